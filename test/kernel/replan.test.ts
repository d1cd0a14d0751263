// The plan changes while drops are counted, and bpftrace is stopped, silent or killed: what is counted
// by the old plan and the new one is counted once, and time without anybody who counts is told.
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect } from "bun:test";
import { makePlan } from "../../core/plan/plan.ts";
import type { Count, Plan } from "../../core/plan/plan.ts";
import type { Tick } from "../../core/watch/tick.ts";
import { bpftraceSource } from "../../plugins/sources/bpftrace/source.ts";
import { makeFolder } from "../folder.ts";
import type { Folder } from "../folder.ts";
import { startTraffic } from "../traffic/traffic.ts";
import {
  bpftrace,
  bpftraceBelow,
  conditions,
  kernelTest,
  startDropwatch,
  withBpftrace,
} from "./machine.ts";

interface Asked {
  readonly where?: Record<string, unknown>;
  readonly by?: Count["by"];
}

interface Watched {
  readonly ticks: readonly Tick[];
  readonly logs: readonly string[];
  readonly plan: (...asked: readonly Asked[]) => Plan;
  replan(plan: Plan): Promise<void>;
  /** Waits until it is so. */
  when(is: () => boolean): Promise<void>;
  /** Ends it, and looks at what is promised of all ticks. */
  end(): Promise<void>;
  /** What the first count of every plan, or that of these, has counted for a port. */
  total(port: number): number;
}

let open: Watched[] = [];
afterEach(async () => {
  await Promise.all(open.map((each) => each.end()));
  open = [];
});

/** Counts in this process by a first plan. */
async function watchPlan(...asked: readonly Asked[]): Promise<Watched> {
  const source = bpftraceSource({ command: bpftrace });
  const facts = await source.facts();
  const plan = (...counts: readonly Asked[]): Plan =>
    makePlan(
      counts.map(({ where = {}, by = [] }) => ({ predicate: conditions(where, facts), by })),
    );
  const first = plan(...asked);
  const ticks: Tick[] = [];
  const logs: string[] = [];
  const ending = new AbortController();
  let attached = (): void => {};
  const ready = new Promise<void>((resolve) => attached = resolve);
  const running = source.run({
    plan: first,
    interval: 250,
    maxKeys: 4096,
    signal: ending.signal,
    onTick: (tick) => void ticks.push(tick),
    onAttached: attached,
    log: (message) => logs.push(message),
  });
  await Promise.race([ready, running]);
  const watched: Watched = {
    ticks,
    logs,
    plan,
    replan: (next) => source.replan!(next),
    async when(is) {
      for (let left = 3000; !is(); left--) {
        if (left === 0) throw new Error(`it never came: ${logs.join("\n")}`);
        await sleep(10);
      }
    },
    async end() {
      ending.abort();
      await running;
      for (const [i, tick] of ticks.entries()) {
        expect(tick.seen).toBe(tick.counted + tick.other + tick.lost);
        expect(tick.unreadable).toBe(0);
        expect(tick.maps).toHaveLength(tick.plan!.maps.length);
        expect(tick.at).toBeGreaterThanOrEqual(ticks[i - 1]?.at ?? 0);
      }
    },
    total: (port) =>
      ticks.flatMap(({ maps }) => maps.flatMap(({ entries }) => entries))
        .filter(({ key }) => key.counts.includes(0) && key.labels.join() === String(port))
        .reduce((sum, { n }) => sum + n, 0),
  };
  open.push(watched);
  return watched;
}

/** The first count of each plan here. */
const shared = { where: { reason: "SOCKET_FILTER" }, by: ["ownerPort"] } as const;

/** What others ask for beside it, so that it lies in another map, under another class. */
const others: readonly (readonly Asked[])[] = [
  [{ where: { l4: "UDP" }, by: ["dport", "l4"] }],
  [{ by: ["saddr", "site"] }],
  [{ where: { reason: "SOCKET_FILTER", len: { gte: 1000 } }, by: ["ownerPort"] }, { by: ["cpu"] }],
  [],
];

const gapsOf = ({ ticks }: Watched): NonNullable<Tick["gap"]>[] =>
  ticks.flatMap(({ gap }) => gap === undefined ? [] : [gap]);

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, n) => sum + n, 0);

describe("a plan that changes", () => {
  kernelTest(
    "counts what both plans count exactly once, whatever is asked for beside it",
    async () => {
      const count = 50_000;
      const watched = await watchPlan(shared);
      const traffic = await startTraffic("socket-filter", {
        count,
        rate: 5000,
        port: 45_201,
        batch: 1,
      });
      traffic.go();
      let sending = true;
      void traffic.done.then(() => sending = false);
      let changes = 0;
      while (sending) {
        const next = watched.plan(shared, ...others[changes % others.length]!);
        const { length } = watched.ticks;
        await watched.replan(next);
        changes++;
        // From then on ticks are of it.
        await watched.when(() => watched.ticks.at(-1)!.plan === next);
        const plans = watched.ticks.slice(length).map(({ plan }) => plan === next);
        expect(plans).toEqual([...plans].sort());
      }
      expect((await traffic.done).sent).toBe(count);
      await sleep(600);
      await watched.end();
      expect(changes).toBeGreaterThan(3);
      expect(watched.total(45_201)).toBe(count);
      expect([watched.logs, gapsOf(watched)]).toEqual([[], []]);
      // Their times are those of the boundaries, one after the other.
      const lasted = sumOf(watched.ticks.slice(1).map(({ seconds }) => seconds));
      const passed = (watched.ticks.at(-1)!.at - watched.ticks[0]!.at) / 1000;
      expect(Math.abs(lasted - passed)).toBeLessThan(0.05);
    },
  );

  kernelTest("misses no drop of a flood, and counts at most one twice at each change", async () => {
    const count = 4_000_000;
    const watched = await watchPlan(shared);
    const flood = await startTraffic("socket-filter", { count, port: 45_202, cpu: 0 });
    flood.go();
    let sending = true;
    void flood.done.then(() => sending = false);
    let changes = 0;
    while (sending) {
      await watched.replan(watched.plan(shared, ...others[changes % others.length]!));
      changes++;
    }
    expect((await flood.done).sent).toBe(count);
    await sleep(600);
    await watched.end();
    const lost = sumOf(watched.ticks.map((tick) => tick.lost + tick.other));
    expect([lost, gapsOf(watched)]).toEqual([0, []]);
    expect(changes).toBeGreaterThan(1);
    const twice = watched.total(45_202) - count;
    expect(twice).toBeGreaterThanOrEqual(0);
    expect(twice).toBeLessThanOrEqual(changes);
  });

  kernelTest("to one that the kernel refuses leaves the old one going", async () => {
    const count = 20_000;
    const watched = await watchPlan(shared);
    const traffic = await startTraffic("socket-filter", { count, rate: 5000, port: 45_203 });
    traffic.go();
    const list = (i: number): number[] =>
      Array.from({ length: 20 }, (_, k) => i * 1000 + k * 3 + 1);
    const by = [
      "ownerPort",
      "dport",
      "sport",
      "dev",
      "comm",
      "saddr",
      "daddr",
      "ifindex",
      "netns",
      "mark",
    ] as const;
    const tooMuch = watched.plan(...Array.from({ length: 40 }, (_, i) => ({
      where: {
        reason: "SOCKET_FILTER",
        dport: [...list(i), 45_203 + (i % 2)],
        sport: { not: list(i + 1) },
        saddr: [`10.${i}.0.0/16`, "127.0.0.0/8"],
        comm: [`x${i}`, "traffic"],
        len: { gte: i },
      },
      by: [by[i % by.length]!],
    })));
    const refused = await watched.replan(tooMuch).then(() => undefined, ({ code }) => code);
    expect(refused).toBe("PROGRAM_REFUSED");
    await traffic.done;
    await sleep(600);
    await watched.end();
    expect(watched.total(45_203)).toBe(count);
    expect(new Set(watched.ticks.map(({ plan }) => plan)).size).toBe(1);
    expect(gapsOf(watched)).toEqual([]);
  }, 120_000);
});

describe("a bpftrace that doesn't count, or doesn't tell", () => {
  kernelTest(
    "is told as a gap while it is stopped, and loses nothing when it goes on",
    async () => {
      const count = 20_000;
      const watched = await watchPlan(shared);
      const traffic = await startTraffic("socket-filter", { count, rate: 3000, port: 45_204 });
      traffic.go();
      await sleep(500);
      const [pid] = bpftraceBelow(process.pid);
      process.kill(pid!, "SIGSTOP");
      try {
        await watched.when(() => gapsOf(watched).length > 4);
      } finally {
        process.kill(pid!, "SIGCONT");
      }
      for (const { over, why } of gapsOf(watched)) {
        expect([over, why]).toEqual([
          false,
          "bpftrace is silent",
        ]);
      }
      await traffic.done;
      await sleep(600);
      const told = gapsOf(watched).length;
      await sleep(600);
      expect(gapsOf(watched)).toHaveLength(told);
      await watched.end();
      expect(watched.total(45_204)).toBe(count);
      expect(watched.logs).toEqual([]);
    },
  );

  kernelTest("is killed and started again where it stays silent", async () => {
    const watched = await watchPlan(shared);
    const [pid] = bpftraceBelow(process.pid);
    process.kill(pid!, "SIGSTOP");
    await watched.when(() => gapsOf(watched).some(({ over }) => over));
    const traffic = await startTraffic("socket-filter", { count: 3000, port: 45_205 });
    traffic.go();
    await traffic.done;
    await sleep(600);
    await watched.end();
    expect(watched.total(45_205)).toBe(3000);
    expect(gapsOf(watched).filter(({ over }) => over)).toHaveLength(1);
    expect(watched.logs[0]).toMatch(/^bpftrace is ended: it was silent for 1\d s$/);
    expect(watched.logs.at(-1)).toMatch(/^bpftrace counts again after 1\d\.\d s without it/);
  });

  kernelTest(
    "is told as a gap from its last tick until it counts again where it is killed",
    async () => {
      const watched = await watchPlan(shared);
      await watched.when(() => watched.ticks.length > 3);
      const [pid] = bpftraceBelow(process.pid);
      const killedAt = Date.now();
      process.kill(pid!, "SIGKILL");
      await watched.when(() => gapsOf(watched).some(({ over }) => over));
      const told = gapsOf(watched);
      expect(told.slice(0, -1).every(({ over }) => !over)).toBe(true);
      expect(told.length).toBeGreaterThan(1);
      const down = sumOf(told.map(({ seconds }) => seconds));
      const most = (Date.now() - killedAt) / 1000 + 0.5;
      expect(down).toBeGreaterThan(0.5);
      expect(down).toBeLessThan(most);
      const traffic = await startTraffic("socket-filter", { count: 3000, port: 45_206 });
      traffic.go();
      await traffic.done;
      await sleep(600);
      await watched.end();
      expect(watched.total(45_206)).toBe(3000);
      expect(gapsOf(watched)).toHaveLength(told.length);
    },
  );

  kernelTest(
    "is replaced at once by a new plan that was on its way when it was killed",
    async () => {
      const watched = await watchPlan(shared);
      await watched.when(() => watched.ticks.length > 3);
      const [pid] = bpftraceBelow(process.pid);
      const next = watched.plan(shared, { by: ["dport"] });
      const replanned = watched.replan(next);
      await watched.when(() => bpftraceBelow(process.pid).length > 1);
      process.kill(pid!, "SIGKILL");
      await replanned;
      const traffic = await startTraffic("socket-filter", { count: 3000, port: 45_207 });
      traffic.go();
      await traffic.done;
      await sleep(1200); // So long after the old one would have been started again.
      expect(bpftraceBelow(process.pid)).toHaveLength(1);
      await watched.end();
      expect(watched.total(45_207)).toBe(3000);
      expect(watched.ticks.at(-1)!.plan === next).toBe(true);
      expect(gapsOf(watched).filter(({ over }) => over)).toHaveLength(1);
    },
  );
});

describe("rules that change", () => {
  let folder: Folder;
  beforeEach(async () => {
    folder = await makeFolder();
  });
  afterEach(() => folder.remove());

  const ruleOf = (alert: string, when: string): string =>
    `import { drops, rule } from "dropwatch";
export default rule({ alert: "${alert}", when: ${when} });
`;

  kernelTest("leave the total of the others what was sent, and the new one counts", async () => {
    const count = 40_000;
    const filtered = `drops.where({ reason: "SOCKET_FILTER", dport: 45_208 })`;
    await folder.write(
      "old.ts",
      ruleOf("Old", `${filtered}.by("ownerPort").count("10m").above(10)`),
    );
    const watch = startDropwatch(["--rules", folder.path, "--json", ...withBpftrace]);
    await watch.attached;
    const traffic = await startTraffic("socket-filter", {
      count,
      rate: 5000,
      port: 45_208,
      batch: 1,
    });
    traffic.go();
    const reloaded = async (n: number): Promise<void> => {
      for (let left = 1000; left > 0; left--) {
        if (watch.err.filter((line) => line.includes("reloaded: ")).length === n) return;
        await sleep(10);
      }
      throw new Error(watch.err.join("\n"));
    };
    await folder.write("new.ts", ruleOf("New", `${filtered}.by("saddr").count("10m").above(10)`));
    await reloaded(1);
    await folder.write(
      "more.ts",
      ruleOf("More", `${filtered}.by("cpu", "site").count("10m").above(10)`),
    );
    await reloaded(2);
    await watch.line((line) => line.includes("alert.firing") && line.includes("More"));
    expect((await traffic.done).sent).toBe(count);
    await sleep(1500);
    expect(await watch.stop()).toBe(0);
    const { data } = JSON.parse(watch.out.at(-1)!);
    const total = (alert: string): number =>
      data.rules.find((each: { alert: string }) => each.alert === alert).total;
    expect(total("Old")).toBe(count);
    expect(total("New")).toBeGreaterThan(total("More"));
    expect(total("More")).toBeGreaterThan(10_000);
    expect(total("New")).toBeLessThan(count);
    expect(data).toMatchObject({ restarts: 0, other: 0, lost: 0 });
    expect(data.seen).toBe(data.counted);
  });
});

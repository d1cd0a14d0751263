// What people can look at, of real runs: rule files, their processes, a store; time and drops are the test's.
import { afterEach, describe, expect, test } from "bun:test";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { closed, drivenSource, ruleText, startRun, until } from "../../test/run.ts";
import type { Run, StartOptions } from "../../test/run.ts";
import { openMemoryStore } from "../store.ts";
import type { View, ViewEvent } from "./view.ts";

let runs: Run[] = [];
let folders: Folder[] = [];
afterEach(async () => {
  for (const run of runs) await run.stop().catch(() => {});
  for (const folder of folders) await folder.remove();
  runs = [];
  folders = [];
});

async function start(options: StartOptions = {}): Promise<Run> {
  const run = await startRun({ view: true, ...options });
  runs.push(run);
  return run;
}

async function stop(run: Run): Promise<void> {
  runs = runs.filter((each) => each !== run);
  await run.stop();
}

const drop = (owner: string, dev = "eth0", reason = "NO_SOCKET"): Parameters<Run["second"]>[0] => [
  [{ reason, owner, dev, site: "udp_rcv", dport: "53" }, 1],
];
const many = (n: number, owner: string, dev = "eth0", reason = "NO_SOCKET") =>
  drop(owner, dev, reason)!.map(([each]) => [each, n] as const);

/** All of the last so many seconds. */
const all = (view: View, by: string[] = ["reason"], where = {}, seconds = 60) => {
  const to = Date.parse(view.status().lastTickAt!);
  const from = to - 1000 * seconds;
  return view.drops({ by: by as ["reason"], where, from, to, step: 1000, limit: 10 });
};

describe("the history", () => {
  test("tells drops apart by any of its fields, beside what rules count", async () => {
    const run = await start({ files: { "a.ts": ruleText("Plain") } });
    await run.second([...many(5, "nginx"), ...many(3, "dnsd", "eth1")]);
    await run.second([...many(2, "nginx"), ...many(4, "", "eth1", "NETFILTER_DROP")]);
    const { view } = run;
    expect(view.status().history.fields).toEqual(["reason", "site", "dev", "owner"]);
    expect(all(view).series.map(({ labels, total }) => [labels.reason, total]))
      .toEqual([["NO_SOCKET", 10], ["NETFILTER_DROP", 4]]);
    expect(all(view, ["dev", "owner"]).series.map(({ labels, total }) => [labels, total])).toEqual([
      [{ dev: "eth0", owner: "nginx" }, 7],
      [{ dev: "eth1", owner: "" }, 4],
      [{ dev: "eth1", owner: "dnsd" }, 3],
    ]);
    const nginx = all(view, ["owner"], { owner: ["nginx"] }, 2);
    expect(nginx.series[0]!.values).toEqual([5, 2]);
    expect([nginx.total, nginx.missing, nginx.exact, nginx.seconds]).toEqual([7, 0, true, 2]);
  });

  test("has each tick in a step of its own, whatever part of a second ticks end at", async () => {
    const { view, second, driven } = await start({ driven: drivenSource({ at: 1_000_300 }) });
    for (const n of [5, 0, 7]) await second(many(n, "a"));
    const drops = all(view, [], {}, 3);
    expect([drops.from, drops.series[0]!.values]).toEqual([driven.at - 3000, [5, 0, 7]]);
    const coarse = view.drops({
      by: [],
      where: {},
      from: 0,
      to: driven.at,
      step: 60_000,
      limit: 1,
    });
    expect(coarse.series[0]!.total).toBe(12);
    expect(coarse.series[0]!.values.filter((n) => n !== null)).toEqual([4]);
  });

  test("says what it can't tell, and what is right instead", async () => {
    const { view, second } = await start();
    await second();
    expect(() => all(view, ["onwer"])).toThrow(/nearest: owner/);
    expect(() => all(view, ["reason"], { dport: ["53"] })).toThrow(/expected reason, site, dev/);
    expect(() => all(view, ["dev", "dev"])).toThrow(/twice/);
    const query = { by: [], where: {}, from: 0, to: 1e12, step: 1000, limit: 1 };
    expect(() => view.drops(query)).toThrow(/a step of \d+ milliseconds/);
    expect(() => view.drops({ ...query, to: -1 })).toThrow(/ends before/);
  });

  test("is by the fields that are asked for, with those that it can't have named", async () => {
    const run = await start({ view: { by: ["dport", "saddr"] } });
    await run.second(closed(3));
    expect(run.view.status().history.fields).toEqual(["reason", "saddr", "dport"]);
    expect(all(run.view, ["dport"]).series[0]!.labels).toEqual({ dport: "53" });
    await expect(start({ view: { by: ["stack"] } })).rejects.toThrow(/history by "stack"/);
    await expect(start({ view: { by: ["sadr"] } })).rejects.toThrow(/nearest: saddr/);
  });

  test("a series is null where nobody counted, and then it isn't exact", async () => {
    const { view, second } = await start();
    await second(many(4, "a"));
    await second([], { seconds: 1, gap: { seconds: 1, why: "bpftrace ended", over: false } });
    expect(view.status().state).toBe("down");
    expect(all(view, [], {}, 1).exact).toBe(false);
    await second([], { seconds: 1, gap: { seconds: 1, why: "bpftrace ended", over: true } });
    await second(many(6, "a"));
    const drops = all(view, ["owner"], {}, 4);
    expect(drops.series[0]!.values).toEqual([4, null, null, 6]);
    expect([drops.exact, drops.seconds]).toEqual([false, 2]);
    expect(view.status()).toMatchObject({
      state: "watching",
      restarts: 1,
      lost: { gapSeconds: 2 },
    });
  });

  test("isn't exact where a second is missing, of whatever time", async () => {
    const { view, second, driven } = await start();
    for (let i = 0; i < 1000; i++) await second(many(1, "a"));
    expect(all(view, [], {}, 900).exact).toBe(true);
    await second([], { seconds: 1, gap: { seconds: 1, why: "it ended", over: true } });
    for (let i = 0; i < 1000; i++) await second(many(1, "a"));
    expect(all(view, [], {}, 900).exact).toBe(true);
    expect(all(view, [], {}, 1100).exact).toBe(false);
    for (let i = 0; i < 3000; i++) await second();
    const week = view.drops({ by: [], where: {}, from: 1_000_000, to: driven.at, limit: 1 });
    expect([week.total, week.exact]).toEqual([2000, false]);
  }, 30_000);

  test("of the last minute is nothing where nobody has counted since", async () => {
    const { view, second } = await start();
    await second(many(9, "a"));
    expect(view.status().recent.seen).toBe(9);
    for (let i = 0; i < 61; i++) {
      await second([], { seconds: 1, gap: { seconds: 1, why: "it ended", over: false } });
    }
    expect(view.status().recent).toMatchObject({ seconds: 0, seen: 0 });
  });

  test("keeps the sums of 10,000 keys, and tells the largest apart", async () => {
    const { view, second } = await start();
    const flood = Array.from({ length: 10_000 }, (_, i) => many(1, `o${i}`)[0]!);
    for (let i = 0; i < 3; i++) await second([...flood, ...many(500, "large")]);
    const drops = all(view, ["owner"], {}, 3);
    expect(drops.total).toBe(31_500);
    expect(drops.series[0]!.labels).toEqual({ owner: null });
    const told = drops.series.concat(drops.rest ?? []).reduce((sum, { total }) => sum + total, 0);
    expect(told).toBe(31_500);
    expect(drops.series[1]).toMatchObject({ labels: { owner: "large" }, total: 1500 });
    expect(drops.restSeries + drops.series.length).toBeLessThanOrEqual(301);
    expect(all(view, [], { reason: ["NO_SOCKET"] }).total).toBe(31_500);
  });

  test("is there after a restart, the minutes too, and begins anew where it is damaged", async () => {
    const folder = await makeFolder();
    folders.push(folder);
    const state = folder.path;
    const first = await start({ view: { state } });
    for (let i = 0; i < 150; i++) await first.second(many(2, "a"));
    const { at } = first.driven;
    await stop(first);
    const driven = drivenSource({ at });
    const second = await start({ view: { state }, driven });
    await second.second(many(1, "b"));
    expect(all(second.view, ["owner"], {}, 200).series.map(({ total }) => total)).toEqual([300, 1]);
    const { secondsFrom, minutesFrom, kept } = second.view.status().history;
    expect([Date.parse(secondsFrom!), Date.parse(minutesFrom!)]).toEqual([1_000_000, 1_000_000]);
    expect(kept).toBe(true);
    await stop(second);

    await folder.write("history.sqlite", "not a database");
    const third = await start({ view: { state }, driven: drivenSource({ at: at + 5000 }) });
    await third.second(many(1, "c"));
    expect(all(third.view, ["owner"], {}, 200).total).toBe(1);
    expect(third.log.join()).toContain("history can't be read");
    await stop(third);
    const other = await start({
      view: { state, by: ["dev"] },
      driven: drivenSource({ at: at + 9000 }),
    });
    await other.second(many(1, "c"));
    expect(all(other.view, ["dev"], {}, 200).total).toBe(1);
    expect(other.log.join()).toContain("by other fields");
  });

  test("an hour of seconds and a week of minutes are kept, and no more", async () => {
    const { view, second, driven } = await start();
    for (let i = 0; i < 3800; i++) await second(many(1, "a"));
    const { secondsFrom, minutesFrom } = view.status().history;
    expect(driven.at - Date.parse(secondsFrom!)).toBeGreaterThanOrEqual(3_600_000);
    expect(driven.at - Date.parse(secondsFrom!)).toBeLessThanOrEqual(3_660_000);
    expect(Date.parse(minutesFrom!)).toBe(1_000_000);
    expect(all(view, ["owner"], {}, 3600).total).toBe(3600);
    const whole = view.drops({ by: [], where: {}, from: 0, to: driven.at, limit: 1 });
    expect([whole.total, whole.step % 60_000]).toEqual([3800, 0]);
  }, 30_000);
});

describe("those who look live", () => {
  test("get each tick, alerts as they change, and what else has changed", async () => {
    const run = await start({ files: { "a.ts": ruleText("Plain", `summary: "no socket",`) } });
    const events: ViewEvent[] = [];
    const leave = run.view.subscribe((event) => events.push(event));
    await run.second(closed(100));
    await until(() => events.some(({ event }) => event === "alert"));
    const [tick] = events.filter(({ event }) => event === "tick");
    expect(tick!.data).toMatchObject({
      seen: 100,
      counted: 100,
      gap: null,
      drops: [[["NO_SOCKET", "", "", ""], 100]],
    });
    const alert = events.find(({ event }) => event === "alert")!;
    expect(alert.data).toMatchObject({
      alert: "Plain",
      state: "firing",
      annotations: { summary: "no socket" },
      silencedBy: [],
      shadow: false,
    });
    const silence = run.view.addSilence({
      matchers: [`alertname="Plain"`],
      duration: 60_000,
      createdBy: "me",
      comment: "known",
    });
    await run.second(closed(100));
    expect(run.view.alerts()[0]!.silencedBy).toEqual([silence.id]);
    expect(run.view.status().alerts).toEqual({ firing: 1, pending: 0, suppressed: 1 });
    expect(events.filter(({ event }) => event === "changed").at(-1)!.data)
      .toEqual({ what: ["silences", "alerts"] });
    expect(run.view.expireSilence(silence.id)!.state).toBe("expired");
    expect(run.view.expireSilence("none")).toBeUndefined();
    expect(run.view.alerts()[0]!.silencedBy).toEqual([]);
    const { fingerprint } = run.view.alerts()[0]!;
    expect(run.view.timeline(fingerprint).map(({ kind }) => kind)).toContain("fired");
    expect(run.view.timeline("0")).toEqual([]);
    for (let i = 0; i < 6; i++) await run.second();
    await until(() => run.view.alert(fingerprint)?.state === "resolved");
    leave();
    const before = events.length;
    await run.second(closed(100));
    expect(events.length).toBe(before);
  });

  test("are told of very many alerts at once in one word, and the worst of them are shown", async () => {
    const run = await start({
      files: {
        "a.ts": ruleText("Many", `severity: "info",`),
        "b.ts": ruleText("Worst", `severity: "critical",`, `.count("5s").above(50)`),
      },
    });
    const alerts: string[] = [];
    const changed: string[] = [];
    run.view.subscribe(({ event, data }) => {
      if (event === "alert") alerts.push(data.alert);
      if (event === "changed") changed.push(...data.what);
    });
    const ports = Array.from({ length: 2500 }, (_, i) => closed(i < 2499 ? 20 : 60, `${1000 + i}`));
    await run.second(ports.flat());
    await until(() => run.messages.length >= 400);
    expect(alerts.length).toBe(200);
    expect(run.view.status().alerts.firing).toBe(2501);
    const shown = run.view.alerts();
    expect([shown.length, shown[0]!.alert]).toEqual([2000, "Worst"]);
    changed.splice(0);
    await run.second([]);
    await until(() => changed.includes("alerts"));
  });

  test("get the time of a tick in whole milliseconds, as they ask for what came since", async () => {
    const driven = drivenSource({ at: 1_700_000_000_000.357 });
    const run = await start({ files: { "a.ts": ruleText("Plain") }, driven });
    const ats: number[] = [];
    run.view.subscribe((event) => event.event === "tick" && ats.push(event.data.at));
    await run.second(closed(10));
    await until(() => ats.length > 0);
    expect(ats).toEqual([1_700_000_001_000]);
    const { total, from, to } = run.view.drops({
      by: ["reason"],
      where: {},
      from: ats[0]! - 1000,
      to: ats[0]!,
      limit: 5,
    });
    expect([total, from, to]).toEqual([10, 1_700_000_000_000, 1_700_000_001_000]);
  });

  test("are told once a tick of what is pending no more, and one that fails ends nothing", async () => {
    const run = await start({ files: { "a.ts": ruleText("Slow", `for: "1h",`) } });
    const changed: string[][] = [];
    run.view.subscribe(() => {
      throw new Error("no");
    });
    run.view.subscribe(({ event, data }) => {
      if (event === "changed") changed.push([...data.what]);
    });
    await run.second(Array.from({ length: 50 }, (_, i) => closed(20, `${1000 + i}`)).flat());
    expect(run.view.status().alerts.pending).toBe(50);
    changed.length = 0;
    for (let i = 0; i < 6; i++) await run.second();
    expect(run.view.status().alerts.pending).toBe(0);
    expect(changed.filter((what) => what.includes("alerts")).length).toBe(1);
    expect(run.log.filter((line) => line.includes("is told no more")).length).toBe(1);
  });

  test("can't make more silences than there may be, nor one whose pattern takes long", async () => {
    const { view } = await start();
    const silence = { duration: 60_000, createdBy: "", comment: "" };
    const pattern = `dev=~"(?:[^a]?){1000}"`;
    expect(() => view.addSilence({ ...silence, matchers: [pattern] })).toThrow(/repeats too much/);
    for (let i = 0; i < 1000; i++) view.addSilence({ ...silence, matchers: [`dev="eth${i}"`] });
    expect(() => view.addSilence({ ...silence, matchers: [`dev="x"`] })).toThrow(/expire some/);
    view.expireSilence(view.silences()[0]!.id);
    view.addSilence({ ...silence, matchers: [`dev="x"`] });
  }, 30_000);

  test("get no more than 200 keys and their reasons in a tick, whole in sum", async () => {
    const { view, second } = await start();
    const ticks: ViewEvent[] = [];
    view.subscribe((event) => ticks.push(event));
    await second(Array.from({ length: 10_000 }, (_, i) => many(1, `o${i}`)[0]!));
    const drops = ticks.flatMap((each) => each.event === "tick" ? each.data.drops : []);
    expect(drops.length).toBe(201);
    expect(drops.reduce((sum, [, n]) => sum + n, 0)).toBe(10_000);
  });
});

describe("rules", () => {
  test("are shown with what runs where, their state, and files that can't be loaded", async () => {
    const run = await start({
      files: {
        "a.ts": ruleText("Plain"),
        "shadow.ts": ruleText("Tried", `mode: "shadow",`),
        "bad.ts": "export default 1;",
      },
    });
    await run.second(closed(100));
    await until(() => run.view.alerts().length === 2);
    const { rules, errors, cost } = run.view.rules();
    const plain = rules.find(({ alert }) => alert === "Plain")!;
    expect(plain).toMatchObject({ state: "firing", firing: 1, total: 100, shadow: false });
    expect(plain.file).toContain("a.ts");
    expect(plain.plan.join()).toContain("kernel: counts by (dport)");
    expect(rules.find(({ alert }) => alert === "Tried")!.shadow).toBe(true);
    expect(rules.some(({ file }) => file === "")).toBe(true);
    expect(errors.map(({ code }) => code)).toEqual(["NOT_A_RULE"]);
    expect(cost).not.toBe("");
    expect(run.view.alerts().map(({ alert, shadow }) => [alert, shadow]).sort())
      .toEqual([["Plain", false], ["Tried", true]]);
    const { loadedAt } = run.view.rules();
    await run.save("bad.ts", undefined);
    await run.save("a.ts", ruleText("Plain", "", `.count("5s").above(20)`));
    await run.reload();
    await run.second(closed(100));
    expect(run.view.rules().errors).toEqual([]);
    expect(run.view.rules().loadedAt > loadedAt).toBe(true);
    expect(run.view.status().rules).toEqual({ loaded: 2, disabled: 0, broken: 0 });
  });
});

describe("stacks", () => {
  test("share out what was counted over those that were walked", async () => {
    const { view, second } = await start();
    const kept = (owner: string, stack: string, n: number) => ({
      drop: { reason: "NO_SOCKET", owner, dev: "eth0", site: "udp_rcv", stack },
      at: "",
      n,
    });
    await second([...many(900, "a"), ...many(100, "b"), ...many(50, "c")], {
      evidence: [kept("a", "x;udp_rcv", 2), kept("a", "y;udp_rcv", 1), kept("b", "x;udp_rcv", 5)],
    });
    const to = Date.parse(view.status().lastTickAt!);
    const stacks = view.stacks({ where: {}, from: to - 60_000, to });
    expect([stacks.total, stacks.kept]).toEqual([1050, 8]);
    // Of c nothing was walked: it is shared out like all of its reason, 7 to 1.
    expect(stacks.stacks).toEqual([
      { reason: "NO_SOCKET", frames: ["x", "udp_rcv"], kept: 7, drops: 744 },
      { reason: "NO_SOCKET", frames: ["y", "udp_rcv"], kept: 1, drops: 306 },
    ]);
    const only = view.stacks({ where: { owner: ["b"] }, from: to - 60_000, to });
    expect(only.stacks.map(({ drops }) => drops)).toEqual([100]);
  });
});

describe("what it costs", () => {
  test("is this process's and its children's CPU and memory", async () => {
    const run = await start({ files: { "a.ts": ruleText("Plain") } });
    await run.second();
    const { processes } = run.view.status().cost;
    const own = processes.find(({ name }) => name === "dropwatch")!;
    expect(own.memoryBytes).toBeGreaterThan(10_000_000);
    expect(own.cpuSeconds).toBeGreaterThan(0);
    expect(processes.find(({ name }) => name === "rules")!.processes).toBeGreaterThanOrEqual(1);
  });
});

test("nothing is said of an alert that nobody is told of, but it is shown", async () => {
  const run = await start({
    sinks: [],
    store: openMemoryStore(),
    files: { "a.ts": ruleText("A") },
  });
  await run.second(closed(100));
  await until(() => run.view.alerts()[0]?.annotations["summary"] !== undefined);
  expect(run.view.alerts()[0]!.state).toBe("firing");
});

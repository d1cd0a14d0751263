// Supervision, with a bpftrace that prints what a test hands it: what it is given as its program is
// the name of a pipe.
import { spawnSync } from "node:child_process";
import { mkdtemp, open, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { facts, planOf } from "../../../test/world.ts";
import { makeLayout } from "../../../core/plan/layout.ts";
import type { Plan } from "../../../core/plan/plan.ts";
import type { Tick } from "../../../core/watch/tick.ts";
import type { Program } from "./program.ts";
import { superviseBpftrace } from "./supervise.ts";
import type { Counting } from "./supervise.ts";

const command = [
  "sh",
  "-c",
  `read -r program
  case $program in
    refuse) echo "ERROR: Error loading program: BPF program is too large" >&2; exit 1 ;;
    gone) exit 7 ;;
  esac
  exec cat "$program"`,
];

let folder = "";
let fakes: Fake[] = [];
let runs: Run[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "dropwatch-test-"));
});
afterEach(async () => {
  runs.forEach((run) => run.abort());
  await Promise.all(runs.map((run) => run.supervised.ended.catch(() => {})));
  await Promise.all(fakes.map((fake) => fake.end()));
  fakes = [];
  runs = [];
  await rm(folder, { recursive: true, force: true });
});

/** A program that the command above takes for what to do. */
const programOf = (plan: Plan, what: string): Program => ({
  text: `${what}\n`,
  scalars: new Map(),
  layout: makeLayout(plan),
});

/** What one of them prints; each that is started with its name prints it, one after the other. */
class Fake {
  readonly counting: Counting;
  readonly plan: Plan;
  readonly #path: string;
  #pipe: FileHandle | undefined;
  #tick = 0;
  #seen: [number, number] = [0, 0];

  constructor(name: string, plan: Plan) {
    this.#path = join(folder, name);
    spawnSync("mkfifo", [this.#path]);
    this.plan = plan;
    this.counting = { plan, program: programOf(plan, this.#path) };
    fakes.push(this);
  }

  /** Waits until it runs. */
  async started(): Promise<void> {
    this.#pipe ??= await open(this.#path, "w");
  }

  async print(...lines: string[]): Promise<void> {
    await this.started();
    await this.#pipe!.write(lines.map((line) => `${line}\n`).join(""));
  }

  /** Prints a tick that ended at so many seconds, with so many drops. */
  async tick(seconds: number, n = 0, exact: 0 | 1 = 1): Promise<void> {
    const copy = this.#tick++ % 2;
    const nsecs = Math.round(seconds * 1e9);
    this.#seen[copy as 0 | 1] += n;
    await this.print(
      printf(`tick ${this.#tick} ${copy} ${nsecs} ${nsecs} ${exact}`),
      map(`b${copy}`, { "3": this.#seen[copy as 0 | 1] }),
      map(`m0_${copy}`, n === 0 ? {} : { "53": n }),
      printf(`end ${this.#tick}`),
    );
    // The next line is read later than this one, by the clock, also on a machine that is busy.
    await sleep(20);
  }

  /** Ends the one that runs; another may follow. */
  async end(): Promise<void> {
    const pipe = this.#pipe;
    this.#pipe = undefined;
    this.#tick = 0;
    this.#seen = [0, 0];
    await pipe?.close();
  }
}

const printf = (text: string): string => JSON.stringify({ type: "printf", data: `${text}\n` });
const map = (name: string, value: unknown): string =>
  JSON.stringify({ type: "map", data: { [`@${name}`]: value } });

interface Run {
  readonly supervised: ReturnType<typeof superviseBpftrace>;
  readonly ticks: Tick[];
  readonly logs: string[];
  readonly attached: () => number;
  abort(): void;
  /** Waits until so many ticks were handed on that tell of anything. */
  until(n: number): Promise<void>;
  /** Waits until the time comes. */
  when(is: () => boolean): Promise<void>;
}

function start(first: Counting, interval = 50): Run {
  const ending = new AbortController();
  const ticks: Tick[] = [];
  const logs: string[] = [];
  let attached = 0;
  const supervised = superviseBpftrace({
    command,
    first,
    facts,
    counters: { read: () => undefined },
    ready: undefined,
    run: {
      plan: first.plan,
      interval,
      maxKeys: 64,
      signal: ending.signal,
      onTick: (tick) => void ticks.push(tick),
      onAttached: () => attached++,
      log: (message) => logs.push(message),
    },
  });
  supervised.ended.catch(() => {}); // Tests that want it look at it.
  const when = async (is: () => boolean): Promise<void> => {
    for (let left = 1000; !is(); left--) {
      if (left === 0) throw new Error(`it never came: ${JSON.stringify({ logs, ticks })}`);
      await sleep(5);
    }
  };
  const run: Run = {
    supervised,
    ticks,
    logs,
    attached: () => attached,
    abort: () => ending.abort(),
    until: (n) => when(() => ticks.filter(isTold).length >= n),
    when,
  };
  runs.push(run);
  return run;
}

/** A program that begins has a tick that takes no time. */
const isTold = ({ gap, seconds, seen }: Tick): boolean => gap !== undefined || seconds + seen > 0;

/** The drops of each tick, and the plan that it is of. */
const shown = (ticks: readonly Tick[], ...known: Fake[]): [string, number][] =>
  ticks.filter((tick) => tick.gap === undefined && isTold(tick)).map((
    { plan, seen },
  ) => [
    "abc"[known.findIndex((each) => each.plan === plan)]!,
    seen,
  ]);

const gaps = (ticks: readonly Tick[]): NonNullable<Tick["gap"]>[] =>
  ticks.flatMap(({ gap }) => gap === undefined ? [] : [gap]);

/** Ticks are in order, and add up. */
function expectOrder(ticks: readonly Tick[]): void {
  for (const [i, { at, seen, counted, other, lost, seconds, gap }] of ticks.entries()) {
    expect(counted + other + lost).toBe(seen);
    expect(at).toBeGreaterThanOrEqual(ticks[i - 1]?.at ?? 0);
    expect(seconds).toBeGreaterThanOrEqual(0);
    if (gap !== undefined) expect(gap.seconds).toBeGreaterThanOrEqual(0);
  }
}

const byPort = { by: ["dport"] } as const;
const three = (): [Fake, Fake, Fake] => [
  new Fake("a", planOf(byPort)),
  new Fake("b", planOf(byPort, { where: { reason: "NO_SOCKET" } })),
  new Fake("c", planOf(byPort, { where: { reason: "SOCKET_FILTER" } })),
];

/** A counts, and b is attached beside it. */
async function both(a: Fake, b: Fake): Promise<{ run: Run; replanned: Promise<void> }> {
  // As long as nothing comes here, nobody is silent.
  const run = start(a.counting, 10_000);
  await a.tick(1);
  await a.tick(2, 1);
  const replanned = run.supervised.replan(b.counting);
  replanned.catch(() => {});
  await b.tick(2.5, 0, 0);
  await run.until(1);
  return { run, replanned };
}

describe("a program of another plan", () => {
  test("takes over where both end a tick at the same moment, and each drop is told once", async () => {
    const [a, b] = three();
    const { run, replanned } = await both(a, b);
    await a.tick(3, 10);
    await b.tick(3, 4); // The part of the ten since it was attached.
    await replanned;
    await b.tick(4, 100);
    await run.until(3);
    expect(shown(run.ticks, a, b)).toEqual([["a", 1], ["a", 10], ["b", 100]]);
    expect(run.ticks.map(({ seconds }) => seconds)).toEqual([0, 1, 1, 0, 1]);
    // The first of the new plan is there before anything else can happen.
    expect(run.ticks[3]!.plan).toBe(b.plan);
    expect([run.attached(), run.logs, gaps(run.ticks)]).toEqual([1, [], []]);
    expectOrder(run.ticks);
  });

  test("waits for the one before it, where that is behind", async () => {
    const [a, b] = three();
    const { run, replanned } = await both(a, b);
    await b.tick(3, 4);
    await b.tick(4, 100);
    await b.tick(5, 1000);
    await sleep(50);
    expect(shown(run.ticks, a, b)).toEqual([["a", 1]]);
    await a.tick(3, 10);
    await replanned;
    expect(shown(run.ticks, a, b))
      .toEqual([["a", 1], ["a", 10], ["b", 100], ["b", 1000]]);
    expectOrder(run.ticks);
  });

  test("catches up with the one before it, where that is ahead", async () => {
    const [a, b] = three();
    const { run, replanned } = await both(a, b);
    await a.tick(3, 10);
    await a.tick(4, 100);
    await b.tick(3, 4);
    await b.tick(4, 100);
    await replanned;
    await b.tick(5, 1000);
    await run.until(4);
    expect(shown(run.ticks, a, b))
      .toEqual([["a", 1], ["a", 10], ["a", 100], ["b", 1000]]);
    expectOrder(run.ticks);
  });

  test("lets a tick pass that wasn't exact in one of them", async () => {
    const [a, b] = three();
    const { run, replanned } = await both(a, b);
    await a.tick(3.01, 10, 0);
    await b.tick(3, 4);
    await a.tick(4, 100);
    await b.tick(4.02, 90, 0);
    await a.tick(5, 1000);
    await b.tick(5, 1000);
    await replanned;
    await b.tick(6, 10_000);
    await run.until(5);
    expect(shown(run.ticks, a, b).slice(1))
      .toEqual([["a", 10], ["a", 100], ["a", 1000], ["b", 10_000]]);
    expect(run.logs).toEqual([]);
    expectOrder(run.ticks);
  });

  test("where no tick is ever exact takes over nearly together after ten, and says so", async () => {
    const [a, b] = three();
    const run = start(a.counting, 1000);
    await a.tick(0.5);
    const replanned = run.supervised.replan(b.counting);
    await b.tick(0.7, 0, 0);
    let n = 0;
    let done = false;
    void replanned.then(() => done = true);
    for (; !done && n < 30; n++) {
      await a.tick(n + 1.002, 1, 0);
      await b.tick(n + 1.004, 1, 0);
      await sleep(5);
    }
    expect(n).toBeGreaterThan(9);
    expect(n).toBeLessThan(13);
    await b.tick(n + 1.004, 1000, 0);
    await run.when(() => shown(run.ticks, a, b).at(-1)![1] === 1000);
    // All ticks of the old one, then those of the new one: none is left out.
    expect(shown(run.ticks, a, b).slice(0, -1)).toEqual(Array(n).fill(["a", 1]));
    expect(run.logs.join()).toMatch(
      /^the new program takes over \d+ ms (late|early): no tick of both/,
    );
    // It isn't exact, and so it is told as a gap; bpftrace wasn't started again for it.
    expect(gaps(run.ticks)).toMatchObject([{ over: false, why: "the program was changed" }]);
    expect(gaps(run.ticks)[0]!.seconds).toBeLessThan(0.1);
    expectOrder(run.ticks);
  });

  test("where the one before it says nothing more takes over after ten, and says so", async () => {
    const [a, b] = three();
    const { run, replanned } = await both(a, b);
    await b.tick(3, 4);
    for (let n = 4; n <= 14; n++) await b.tick(n, 1);
    await replanned;
    expect(shown(run.ticks, a, b)).toEqual([["a", 1], ...Array(11).fill(["b", 1])]);
    expect(run.logs.join()).toContain("the one before it hasn't come to the same moment");
    expect(gaps(run.ticks)).toMatchObject([{ over: false }]);
    expectOrder(run.ticks);
  });

  test("that is refused leaves the one before it going", async () => {
    const [a] = three();
    const run = start(a.counting, 10_000);
    await a.tick(1);
    const plan = planOf({ by: ["saddr"] });
    const refused = run.supervised.replan({ plan, program: programOf(plan, "refuse") });
    expect(await refused.catch(({ code }) => code)).toBe("PROGRAM_REFUSED");
    await a.tick(2, 5);
    await run.until(1);
    expect(shown(run.ticks, a)).toEqual([["a", 5]]);
    expect([run.logs, gaps(run.ticks)]).toEqual([[], []]);
  });

  test("that dies before it has taken over leaves the one before it going", async () => {
    const [a, b] = three();
    const { run, replanned } = await both(a, b);
    await b.tick(3, 4);
    await b.end();
    expect(await replanned.catch(({ code }) => code)).toBe("BPFTRACE_FAILED");
    await a.tick(3, 10);
    await a.tick(4, 100);
    await run.until(3);
    expect(shown(run.ticks, a, b)).toEqual([["a", 1], ["a", 10], ["a", 100]]);
    expect(gaps(run.ticks)).toEqual([]);
  });

  test("that is told to end is given up, and the one before it tells its last counts", async () => {
    const [a, b] = three();
    const { run, replanned } = await both(a, b);
    await b.tick(3, 4);
    await b.tick(4, 4);
    await a.print(map("b0", { "3": 5 }), map("m0_0", { "53": 5 }));
    await sleep(50);
    run.abort();
    expect(await replanned.catch(({ code }) => code)).toBe("BPFTRACE_FAILED");
    await run.supervised.ended;
    expect(shown(run.ticks, a, b)).toEqual([["a", 1], ["a", 5]]);
    const late = run.supervised.replan(b.counting);
    expect(await late.catch(({ code }) => code)).toBe("BPFTRACE_FAILED");
  });

  test("takes over at once where the one before it dies, and the time between is a gap", async () => {
    const [a, b] = three();
    const { run, replanned } = await both(a, b);
    await a.end();
    await replanned;
    await b.tick(3, 4);
    await run.until(3);
    expect(shown(run.ticks, a, b)).toEqual([["a", 1], ["b", 4]]);
    expect(gaps(run.ticks)).toMatchObject([{ over: true, why: "exit code 0" }]);
    expect(run.logs[0]).toBe("bpftrace ended (exit code 0); the new program takes over at once");
    await b.tick(4, 7);
    await run.until(4);
    await sleep(600); // So long after it would have been started again.
    expect(shown(run.ticks, a, b)).toEqual([["a", 1], ["b", 4], ["b", 7]]);
    expectOrder(run.ticks);
  });

  test("takes over as soon as it counts where the one before it has died meanwhile", async () => {
    const [a, b] = three();
    const run = start(a.counting, 10_000);
    await a.tick(1, 1);
    const replanned = run.supervised.replan(b.counting);
    await b.started();
    await a.end();
    await run.when(() => run.logs.length > 0);
    await b.tick(2, 0, 0);
    await replanned;
    await b.tick(3, 7);
    await run.until(3);
    expect(shown(run.ticks, a, b)).toEqual([["a", 1], ["b", 7]]);
    expect(gaps(run.ticks)).toMatchObject([{ over: true }]);
    expect(run.attached()).toBe(1);
    expectOrder(run.ticks);
  });

  test("is followed by a third, one after the other", async () => {
    const [a, b, c] = three();
    const { run, replanned } = await both(a, b);
    const again = run.supervised.replan(c.counting);
    await a.tick(3, 10);
    await b.tick(3, 4);
    await replanned;
    await c.tick(3.3, 0, 0);
    await b.tick(4, 100);
    await c.tick(4, 50);
    await again;
    await c.tick(5, 1000);
    await run.until(4);
    expect(shown(run.ticks, a, b, c))
      .toEqual([["a", 1], ["a", 10], ["b", 100], ["c", 1000]]);
    expect([run.attached(), run.logs, gaps(run.ticks)]).toEqual([1, [], []]);
    expectOrder(run.ticks);
  });

  test("may follow one that was refused", async () => {
    const [a, b] = three();
    const run = start(a.counting, 10_000);
    await a.tick(1);
    const program = programOf(b.plan, "refuse");
    const refused = run.supervised.replan({ plan: b.plan, program });
    const replanned = run.supervised.replan(b.counting);
    expect(await refused.catch(({ code }) => code)).toBe("PROGRAM_REFUSED");
    await b.tick(1.5, 0, 0);
    await a.tick(2, 5);
    await b.tick(2, 3);
    await replanned;
    await b.tick(3, 7);
    await run.until(2);
    expect(shown(run.ticks, a, b)).toEqual([["a", 5], ["b", 7]]);
  });

  test("is watched over as the one before it was", async () => {
    const [a, b] = three();
    const { run, replanned } = await both(a, b);
    await a.tick(3);
    await b.tick(3);
    await replanned;
    await b.end();
    await run.when(() => run.logs.length > 0);
    await b.tick(1, 5); // Started again.
    await run.until(4);
    expect(shown(run.ticks, a, b)).toEqual([["a", 1], ["a", 0], ["b", 5]]);
    expect(gaps(run.ticks)).toMatchObject([{ over: true }]);
    expectOrder(run.ticks);
  });
});

describe("a bpftrace that ends", () => {
  test("is started again; until it counts there is a gap at each tick, and one that says it is over", async () => {
    const [a] = three();
    const before = Date.now();
    const run = start(a.counting);
    await a.tick(1);
    await a.tick(2, 5);
    await run.until(1);
    await a.end();
    await run.when(() => gaps(run.ticks).length > 3);
    await a.tick(1, 7);
    await run.when(() => run.ticks.at(-1)!.seen === 7);
    const told = gaps(run.ticks);
    expect(told.map(({ over }) => over)).toEqual([...told.slice(1).map(() => false), true]);
    expect(new Set(told.map(({ why }) => why))).toEqual(new Set(["exit code 0"]));
    // Together they are the whole time, told once.
    const down = told.reduce((sum, { seconds }) => sum + seconds, 0);
    expect(down).toBeGreaterThan(0.45);
    expect(down).toBeLessThan((Date.now() - before) / 1000);
    const lasted = run.ticks.filter(({ gap }) => gap !== undefined)
      .reduce((sum, { seconds }) => sum + seconds, 0);
    expect(Math.abs(lasted - down)).toBeLessThan(0.01);
    expect(run.logs[0]).toBe("bpftrace ended (exit code 0); starting it again in 0.5 s");
    expect(run.logs[1]).toMatch(/^bpftrace counts again after [01]\.\d s without it/);
    expect(run.attached()).toBe(1);
    expectOrder(run.ticks);
  });

  test("before it ever counted is an error, that of a plan that was asked for meanwhile too", async () => {
    const [, b] = three();
    const plan = planOf(byPort);
    const run = start({ plan, program: programOf(plan, "gone") });
    const replanned = run.supervised.replan(b.counting);
    expect(await run.supervised.ended.catch(({ code }) => code)).toBe("BPFTRACE_FAILED");
    expect(await replanned.catch(({ code }) => code)).toBe("BPFTRACE_FAILED");
    expect([run.ticks, run.attached()]).toEqual([[], 0]);
  });

  test("while it is told to end isn't started again, and no timer is left", async () => {
    const [a] = three();
    const run = start(a.counting);
    await a.tick(1);
    await run.when(() => run.ticks.length > 0);
    await a.end();
    await run.when(() => run.logs.length > 0);
    run.abort();
    await run.supervised.ended;
    const { length } = run.ticks;
    await sleep(200);
    expect(run.ticks).toHaveLength(length);
  });
});

describe("a bpftrace that is silent", () => {
  test("is told at each tick as a gap that isn't over; when it speaks again nothing is lost", async () => {
    const [a] = three();
    const run = start(a.counting);
    await a.tick(1);
    await a.tick(2, 5);
    await run.when(() => gaps(run.ticks).length > 3);
    const told = gaps(run.ticks);
    for (const { over, why, seconds } of told) {
      expect([over, why]).toEqual([false, "bpftrace is silent"]);
      expect(seconds).toBeLessThan(4);
    }
    // Its next tick covers the time.
    for (const { gap, seconds } of run.ticks) if (gap !== undefined) expect(seconds).toBe(0);
    await a.tick(6, 7);
    await run.when(() => run.ticks.at(-1)!.seen === 7);
    expect(run.ticks.at(-1)).toMatchObject({ seconds: 4, counted: 7 });
    expect(run.logs).toEqual([]);
    expectOrder(run.ticks);
  });
});

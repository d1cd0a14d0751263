// What the tests on the real kernel share: whether this machine can run them, a source in this
// process, and dropwatch as a process of its own.
import { spawn } from "node:child_process";
import { accessSync, existsSync, readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "bun:test";
import type { Drop } from "../../core/drop/field.ts";
import { splitLines } from "../../core/lines.ts";
import { makePlan } from "../../core/plan/plan.ts";
import type { Count, Plan, PlanStyle, Sampling } from "../../core/plan/plan.ts";
import { readPredicate } from "../../core/plan/predicate.ts";
import type { Predicate } from "../../core/plan/predicate.ts";
import type { SourceFacts } from "../../core/watch/source.ts";
import type { Tick } from "../../core/watch/tick.ts";
import { bpftraceSource } from "../../plugins/sources/bpftrace/source.ts";

/** The command that runs bpftrace: another version's in `bun run compat`. */
export const bpftrace: readonly string[] = (process.env.DROPWATCH_BPFTRACE ?? "bpftrace").split(
  " ",
);

/** The option that makes dropwatch use it. */
export const withBpftrace: readonly string[] = ["--bpftrace", bpftrace.join(" ")];

/** Why this machine can't run tests on its kernel; undefined where it can. */
function missing(): string | undefined {
  if (process.getuid?.() !== 0) return "not root";
  if (!existsSync("/sys/kernel/btf/vmlinux")) return "no BTF";
  try {
    accessSync("/sys/kernel/tracing/events/skb/kfree_skb/format");
  } catch {
    return "no tracepoint skb:kfree_skb";
  }
  return isThere(bpftrace[0]!) ? undefined : `no ${bpftrace[0]}`;
}

function isThere(command: string): boolean {
  return (process.env.PATH ?? "").split(":").some((dir) => existsSync(`${dir}/${command}`));
}

const noKernel = missing();
const required = process.env.DROPWATCH_KERNEL === "required";

/**
 * A test on the real kernel: skipped where there is none, unless it is required. `tool` is a command that
 * it needs as well.
 */
export function kernelTest(
  name: string,
  body: () => Promise<void>,
  timeout = 60_000,
  tool?: string,
): void {
  const reason = noKernel ?? (tool !== undefined && !isThere(tool) ? `no ${tool}` : undefined);
  if (reason === undefined) test(name, body, timeout);
  else if (required) {
    test(name, () => {
      throw new Error(`DROPWATCH_KERNEL=required, but this machine has ${reason}`);
    });
  } else test.skip(`${name} (${reason})`, body);
}

/** Everything that was counted while `traffic` ran. */
export interface Observed {
  readonly ticks: readonly Tick[];
  readonly samples: readonly Drop[];
  readonly plan: Plan;
  readonly facts: SourceFacts;
  /** Drops of a reason. */
  ofReason(name: string): number;
  /** Drops by the labels of a count's map, joined by a space; only those that serve the count. */
  of(count: number): Map<string, number>;
  /** Sums likewise. */
  sums(count: number): Map<string, number>;
  total(name: "seen" | "counted" | "other" | "lost"): number;
}

export interface ObserveOptions {
  readonly counts?: readonly { where?: Record<string, unknown>; by?: Count["by"]; sum?: "len" }[];
  readonly samples?: Omit<Sampling, "predicate">;
  readonly interval?: number;
  readonly maxKeys?: number;
  readonly style?: PlanStyle;
  /** Keeps some drops whole, and reads the kernel's own counters. */
  readonly evidence?: boolean;
}

/** Counts in this process, with a bpftrace of its own, while `traffic` runs. */
export async function observe(
  options: ObserveOptions,
  traffic: () => Promise<unknown>,
): Promise<Observed> {
  const source = bpftraceSource({ command: bpftrace });
  const facts = await source.facts();
  const counts = (options.counts ?? []).map(({ where = {}, by = [], sum }): Count => ({
    predicate: conditions(where, facts),
    by,
    sum,
  }));
  const plan = makePlan(
    counts,
    options.samples && { ...options.samples, predicate: [] },
    options.style,
    options.evidence
      ? { fields: ["reason"], perTick: 32, labels: [], perLabels: 0, lookedAt: 32, counts: [] }
      : undefined,
  );
  const ending = new AbortController();
  const ticks: Tick[] = [];
  let attached = (): void => {};
  const ready = new Promise<void>((resolve) => attached = resolve);
  const running = source.run({
    plan,
    interval: options.interval ?? 200,
    maxKeys: options.maxKeys ?? 16384,
    signal: ending.signal,
    onTick: (tick) => void ticks.push(tick),
    onAttached: attached,
    log: (message) => console.error(message),
  });
  await Promise.race([ready, running]);
  try {
    await traffic();
    // Samples are printed as they come, but not at the end: the next ticks bring them.
    if (options.samples !== undefined) await sleep(3 * (options.interval ?? 200));
  } finally {
    ending.abort();
    await running;
  }
  for (const tick of ticks) {
    expect(tick.seen).toBe(tick.counted + tick.other + tick.lost);
    expect(tick.unreadable).toBe(0);
  }
  const collect = (count: number, pick: "n" | "sum"): Map<string, number> => {
    const found = new Map<string, number>();
    const place = plan.places[count]!;
    if (place.at !== "map") throw new Error("this count has no map");
    for (const { entries } of ticks.map(({ maps }) => maps[place.map]!)) {
      for (const entry of entries) {
        if (!entry.key.counts.includes(count)) continue;
        const text = entry.key.labels.join(" ");
        found.set(text, (found.get(text) ?? 0) + entry[pick]);
      }
    }
    return found;
  };
  return {
    ticks,
    samples: ticks.flatMap(({ samples }) => samples),
    plan,
    facts,
    ofReason: (name) =>
      ticks.flatMap(({ reasons }) => [...reasons])
        .filter(([id]) => facts.world.names.reason(id) === name)
        .reduce((sum, [, n]) => sum + n, 0),
    of: (count) => collect(count, "n"),
    sums: (count) => collect(count, "sum"),
    total: (name) => ticks.reduce((sum, tick) => sum + tick[name], 0),
  };
}

/** A condition as a rule would have it. */
export function conditions(where: Record<string, unknown>, facts: SourceFacts): Predicate {
  const { predicate, mistakes } = readPredicate([where], facts.world);
  expect(mistakes).toEqual([]);
  return predicate;
}

const main = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

/** dropwatch as a process of its own. */
export interface Running {
  /** Settles when it says that it watches or counts; rejects when it ends before. */
  readonly attached: Promise<void>;
  /** The lines of its standard output and error so far. */
  readonly out: readonly string[];
  readonly err: readonly string[];
  readonly pid: number;
  /** Waits for a line of standard output that fits. */
  line(fits: (line: string) => boolean): Promise<string>;
  /** Sends a signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  readonly ended: Promise<number | null>;
}

/**
 * Starts dropwatch on this runtime. Without root it is in a user namespace in which nobody is root: it has
 * another user's id and no rights, and still may read this folder, wherever it lies.
 */
export function startDropwatch(
  args: readonly string[],
  options: { env?: Record<string, string>; root?: false } = {},
): Running {
  const runtime = "Deno" in globalThis ? ["run", "--allow-all", "--no-lock", main] : [main];
  const line = [process.execPath, ...runtime, ...args];
  const [command = "", ...rest] = options.root === false ? ["unshare", "--user", ...line] : line;
  const child = spawn(command, rest, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1", ...options.env },
  });
  const out: string[] = [];
  const err: string[] = [];
  const waiting = new Set<() => void>();
  const changed = (lines: string[]) => (line: string): void => {
    lines.push(line);
    for (const look of [...waiting]) look();
  };
  const read = Promise.all([
    splitLines(child.stdout, changed(out)),
    splitLines(child.stderr, changed(err)),
  ]);
  const ended = new Promise<number | null>((resolve) => {
    child.on("close", (code) => void read.then(() => resolve(code)));
  });
  const until = (lines: readonly string[], fits: (line: string) => boolean): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = lines.find(fits);
        if (found === undefined) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
      void ended.then((code) => {
        reject(new Error(`dropwatch ended with ${code}:\n${[...err, ...out].join("\n")}`));
      });
    });
  const attached = until(err, (line) => /: (watching|counting) /.test(line)).then(() => {});
  attached.catch(() => {}); // Whoever waits for it sees the error.
  return {
    attached,
    out,
    err,
    pid: child.pid ?? -1,
    line: (fits) => until(out, fits),
    stop(signal = "SIGINT") {
      // Deno takes a child that it has signalled for one that the signal has ended.
      process.kill(child.pid!, signal);
      return ended;
    },
    ended,
  };
}

/** The processes of bpftrace that a process started, itself or through a wrapper. */
export function bpftraceBelow(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const status = readFileSync(`/proc/${entry}/status`, "utf8");
      parents.set(Number(entry), Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1]));
    } catch {
      // It ended while we looked.
    }
  }
  const isBelow = (child: number): boolean => {
    for (let at = parents.get(child); at !== undefined; at = parents.get(at)) {
      if (at === pid) return true;
    }
    return false;
  };
  return [...parents.keys()].filter((each) => {
    try {
      return isBelow(each) && readFileSync(`/proc/${each}/comm`, "utf8").trim() === "bpftrace";
    } catch {
      return false;
    }
  });
}

// What the watch itself takes of the machine: CPU and memory of this process and of those it has started,
// and of the probe in the kernel, where the kernel keeps count of that.
import { readdirSync, readFileSync } from "node:fs";
import type { ProbeCost, ProcessCost, ViewCost } from "./view.ts";

/** The kernel tells CPU times in hundredths of a second (USER_HZ), whatever its own clock is. */
const ticksPerSecond = 100;
/** Milliseconds between two looks. */
const every = 2000;
/** How many processes are looked at. */
const mostProcesses = 1000;

interface Seen {
  readonly name: string;
  readonly cpuSeconds: number;
  readonly memoryBytes: number;
}

export interface CostMeter {
  /** Looks, where the last look is long ago; `now` in milliseconds. */
  look(now: number): void;
  readonly cost: ViewCost;
  /** Of all processes: cores in use, and bytes. */
  readonly total: { readonly cpu: number; readonly memoryBytes: number };
}

/** Measures process `root` and those below it. */
export function costMeter(root: number = process.pid): CostMeter {
  let before = new Map<number, Seen>();
  let lookedAt = -Infinity;
  /** CPU seconds by name, those of processes that are gone too. */
  const used = new Map<string, number>();
  let rates = new Map<string, number>();
  let cost: ViewCost = { processes: [], probe: null };
  const probe = probeMeter();
  return {
    look(now) {
      // Also where the clock was set back.
      if (Math.abs(now - lookedAt) < every) return;
      const seconds = lookedAt === -Infinity ? 0 : Math.abs(now - lookedAt) / 1000;
      lookedAt = now;
      const seen = familyOf(root);
      const spent = new Map<string, number>();
      for (const [pid, { name, cpuSeconds }] of seen) {
        // Its number may have been another one's before.
        const earlier = before.get(pid);
        const known = earlier?.name === name ? earlier.cpuSeconds : 0;
        spent.set(name, (spent.get(name) ?? 0) + Math.max(0, cpuSeconds - known));
      }
      for (const [name, more] of spent) used.set(name, (used.get(name) ?? 0) + more);
      if (seconds > 0) {
        rates = new Map([...spent].map(([name, more]) => [name, more / seconds]));
      }
      before = seen;
      const processes = [...used].map(([name, cpuSeconds]): ProcessCost => {
        const own = [...seen.values()].filter((each) => each.name === name);
        return {
          name,
          processes: own.length,
          cpuSeconds: rounded(cpuSeconds),
          cpu: rounded(rates.get(name) ?? 0),
          memoryBytes: own.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
        };
      });
      const pids = [...seen].filter(([, { name }]) => name === "bpftrace").map(([pid]) => pid);
      cost = { processes, probe: probe(pids) };
    },
    get cost() {
      return cost;
    },
    get total() {
      const sum = (pick: (each: ProcessCost) => number): number =>
        cost.processes.reduce((all, each) => all + pick(each), 0);
      return { cpu: rounded(sum(({ cpu }) => cpu)), memoryBytes: sum((each) => each.memoryBytes) };
    },
  };
}

const rounded = (n: number): number => Math.round(n * 10_000) / 10_000;

/** A process and all below it, by their numbers. */
function familyOf(root: number): Map<number, Seen> {
  const found = new Map<number, Seen>();
  const waiting = [root];
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    if (found.size >= mostProcesses) break;
    const seen = pid === root ? ofUs(root) : look(pid);
    if (seen === undefined) continue;
    found.set(pid, seen);
    waiting.push(...childrenOf(pid));
  }
  return found;
}

function ofUs(pid: number): Seen | undefined {
  const seen = look(pid);
  return seen && { ...seen, name: "dropwatch" };
}

function look(pid: number): Seen | undefined {
  try {
    // The name, in parentheses, may hold anything.
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const comm = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
    const rest = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // One that has ended, and that nobody has asked about yet, takes nothing any more.
    if (rest[0] === "Z") return undefined;
    const [user = 0, system = 0] = rest.slice(11, 13).map(Number);
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    const memoryBytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
    return { name: nameOf(pid, comm), cpuSeconds: (user + system) / ticksPerSecond, memoryBytes };
  } catch {
    return undefined; // It has ended.
  }
}

/** What a process is for. */
function nameOf(pid: number, comm: string): string {
  if (comm === "bpftrace") return "bpftrace";
  const command = readFileSync(`/proc/${pid}/cmdline`, "latin1");
  if (command.includes("dropwatch-rules-")) return "rules";
  return /(^|[\0/])bpftrace\0/.test(command) ? "bpftrace" : "dropwatch";
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "latin1").split(" ")
        .filter((each) => each !== "").map(Number)
    );
  } catch {
    return []; // It has ended, or the kernel doesn't tell (CONFIG_PROC_CHILDREN).
  }
}

/** Adds up what the programs of processes have taken, those that are gone too; null where nobody counts. */
function probeMeter(): (pids: readonly number[]) => ProbeCost | null {
  let before = new Map<string, ProbeCost>();
  let runs = 0;
  let nanoseconds = 0;
  return (pids) => {
    try {
      if (readFileSync("/proc/sys/kernel/bpf_stats_enabled", "latin1").trim() !== "1") return null;
      const now = new Map(pids.flatMap(programsOf));
      for (const [id, taken] of now) {
        const known = before.get(id);
        runs += taken.runs - (known?.runs ?? 0);
        nanoseconds += taken.nanoseconds - (known?.nanoseconds ?? 0);
      }
      before = now;
      return { runs, nanoseconds };
    } catch {
      return null; // It has ended, or isn't ours to look at.
    }
  };
}

/** The programs that a process holds, by their ids. */
function programsOf(pid: number): [id: string, taken: ProbeCost][] {
  return readdirSync(`/proc/${pid}/fdinfo`).flatMap((fd) => {
    const info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, "latin1");
    const id = /^prog_id:\s+(\d+)$/m.exec(info)?.[1];
    if (id === undefined) return [];
    const of = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+)$`, "m").exec(info)?.[1] ?? 0);
    return [[id, { runs: of("run_cnt"), nanoseconds: of("run_time_ns") }]];
  });
}

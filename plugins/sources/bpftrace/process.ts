// One run of bpftrace: started with a program on stdin, read line by line, ended so that its last
// counts arrive.
import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { splitLines } from "../../../core/lines.ts";

export interface BpftraceRun {
  /** The lines of standard error that say more than that a limit could not be raised. */
  readonly complaints: readonly string[];
  readonly pid: number | undefined;
  /** Settles when it has ended and all its lines were read. */
  readonly ended: Promise<{ code: number | null; signal: string | null; error?: Error }>;
  /** Asks it to print its maps and go; kills it when it doesn't. */
  stop(): void;
  /** Ends it at once. */
  kill(): void;
}

/** It may be busy printing a large map; it must not be killed for that. */
const patience = 10_000;
/** bpftrace 0.17 now and then misses a SIGINT that comes while it polls. */
const againAfter = 500;
const maxComplaints = 40;

/** A bpftrace that was started and waits for its program. */
export interface StartedBpftrace {
  /** Whether it ended before it was given one. */
  readonly gone: boolean;
  run(program: string, onLine: (line: string) => void): BpftraceRun;
}

/** Starts bpftrace. Loading its libraries takes a while, in which others may find out what it is to run. */
export function startBpftrace(command: readonly string[], maxKeys: number): StartedBpftrace {
  const [file = "bpftrace", ...args] = command;
  // Without --no-warnings, 0.19 and later print a record for each drop that finds no room in a map,
  // and these crowd out the ticks.
  const child = spawn(file, [...args, "--no-warnings", "-f", "json", "-"], {
    stdio: ["pipe", "pipe", "pipe"],
    env: {
      ...process.env,
      // The name before 0.19 and the one since.
      BPFTRACE_MAP_KEYS_MAX: String(maxKeys),
      BPFTRACE_MAX_MAP_KEYS: String(maxKeys),
    },
    // A Ctrl-C in the terminal goes to the whole group: the main process decides when bpftrace ends.
    detached: true,
  });
  const complaints: string[] = [];
  let error: Error | undefined;
  child.on("error", (thrown) => error = thrown);
  child.stdin.on("error", () => {}); // It ended before it read the program: `ended` tells why.
  const closed = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.on("close", (code, signal) => resolve({ code, signal }));
    child.on("error", () => resolve({ code: null, signal: null }));
  });
  return {
    get gone() {
      return error !== undefined || child.exitCode !== null || child.signalCode !== null;
    },
    run(program, onLine) {
      child.stdin.end(program);
      return follow(child, { file, complaints, closed, error: () => error }, onLine);
    },
  };
}

interface Following {
  readonly file: string;
  readonly complaints: string[];
  readonly closed: Promise<{ code: number | null; signal: string | null }>;
  error(): Error | undefined;
}

function follow(
  child: ChildProcessWithoutNullStreams,
  { file, complaints, closed, error }: Following,
  onLine: (line: string) => void,
): BpftraceRun {
  const finished = Promise.all([
    splitLines(child.stdout, onLine),
    splitLines(child.stderr, (line) => {
      if (
        /RLIMIT_MEMLOCK|available_filter_functions|BPFTRACE_MAP_KEYS_MAX is deprecated/.test(line)
      ) return;
      if (complaints.length < maxComplaints) complaints.push(line);
    }),
  ]);
  const timers: ReturnType<typeof setTimeout>[] = [];
  const ended = (async () => {
    const how = await closed;
    const failed = error();
    if (failed === undefined) await finished;
    timers.forEach(clearTimeout);
    return failed === undefined ? how : { ...how, error: failed };
  })();
  let stopping = false;
  let forbidden = false;
  const signal = (name: "SIGINT" | "SIGKILL"): void => {
    if (child.pid === undefined || forbidden) return;
    // Its number may be another process's by now.
    if (child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(child.pid, name);
    } catch (thrown) {
      if ((thrown as { code?: string }).code !== "EPERM") return; // It is gone already.
      // A wrapper that became root: what we may not signal ends when nobody reads what it prints.
      complaints.push(`may not send ${name} to ${file}: the counts since the last tick are lost`);
      forbidden = true;
      child.stdout.destroy();
      child.stderr.destroy();
    }
  };
  return {
    complaints,
    get pid() {
      return child.pid;
    },
    ended,
    kill: () => signal("SIGKILL"),
    stop() {
      if (stopping) return;
      stopping = true;
      signal("SIGINT");
      for (let after = againAfter; after < patience; after += againAfter) {
        timers.push(setTimeout(() => signal("SIGINT"), after));
      }
      timers.push(setTimeout(() => signal("SIGKILL"), patience));
    },
  };
}

/**
 * How many drops the kernel kept from the probe of a bpftrace process since it attached: a tracing
 * program isn't run while another one runs on the same CPU. undefined where we may not look.
 */
export function missedBy(pid: number): number | undefined {
  try {
    let missed: number | undefined;
    for (const fd of readdirSync(`/proc/${pid}/fdinfo`)) {
      const info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8");
      // 5 is BPF_PROG_TYPE_TRACEPOINT.
      if (!/^prog_type:\s+5$/m.test(info)) continue;
      missed = Math.max(missed ?? 0, Number(/^recursion_misses:\s+(\d+)$/m.exec(info)?.[1] ?? 0));
    }
    return missed;
  } catch {
    return undefined;
  }
}

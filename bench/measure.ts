// What the measurements share: dropwatch or a bare bpftrace as a process, and numbers about both.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { splitLines } from "../core/lines.ts";
import { startTraffic } from "../test/traffic/traffic.ts";

/** A program under measurement. */
export interface Watcher {
  /** Milliseconds from its start to its first sign of counting. */
  readonly attachedAfter: number;
  readonly pid: number;
  readonly out: readonly string[];
  readonly err: readonly string[];
  stop(): Promise<void>;
}

const clockTicks = 100;
export const main: string = fileURLToPath(new URL("../cli/main.ts", import.meta.url));
export const shippedRules: string = fileURLToPath(new URL("../rules/", import.meta.url));

/** Starts a command; it is attached when a line of its output or error fits. */
export async function startWatcher(
  command: readonly string[],
  attached: (line: string) => boolean,
  stdin?: string,
  env: Record<string, string> = {},
): Promise<Watcher> {
  const started = performance.now();
  const child: ChildProcess = spawn(command[0]!, command.slice(1), {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  child.stdin!.end(stdin ?? "");
  const out: string[] = [];
  const err: string[] = [];
  const closed = new Promise<void>((resolve) => child.on("close", () => resolve()));
  const after = await new Promise<number>((resolve, reject) => {
    const look = (into: string[]) => (line: string): void => {
      if (into.length < 10_000) into.push(line);
      if (attached(line)) resolve(performance.now() - started);
    };
    void splitLines(child.stdout!, look(out));
    void splitLines(child.stderr!, look(err));
    void closed.then(() => reject(new Error(`${command.join(" ")} ended:\n${err.join("\n")}`)));
  });
  return {
    attachedAfter: after,
    pid: child.pid!,
    out,
    err,
    async stop() {
      const timer = setInterval(() => child.kill("SIGINT"), 1000);
      child.kill("SIGINT");
      await closed;
      clearInterval(timer);
    },
  };
}

/** dropwatch with rules, on this runtime. */
export function startDropwatch(args: readonly string[]): Promise<Watcher> {
  return startWatcher([process.execPath, main, ...args], (line) => /: watching /.test(line));
}

/** A bare bpftrace program; a second probe prints when all are attached. */
export function startBare(bpftrace: readonly string[], program: string): Promise<Watcher> {
  const sign = 'interval:ms:10 { if (@said == 0) { @said = 1; printf("attached\\n"); } }';
  return startWatcher([...bpftrace, "-"], (line) => line === "attached", `${program}\n${sign}`);
}

/** A process and all that it started. */
export function familyOf(pid: number): number[] {
  const family = [pid];
  const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
  for (let i = 0; i < family.length; i++) {
    for (const each of all) {
      try {
        const stat = readFileSync(`/proc/${each}/stat`, "utf8");
        const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
        if (parent === family[i]) family.push(each);
      } catch {
        // It ended while we looked.
      }
    }
  }
  return family;
}

/** Seconds of CPU that processes have used, and their memory in bytes. */
export function usage(pids: readonly number[]): { seconds: number; bytes: number } {
  let [seconds, bytes] = [0, 0];
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    seconds += (Number(fields[11]) + Number(fields[12])) / clockTicks;
    bytes += Number(fields[21]) * 4096;
  }
  return { seconds, bytes };
}

/** The name of a process. */
export function commOf(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(p / 100 * sorted.length) - 1)]!;
}

const slices = 12;

/**
 * Nanoseconds of one send to a socket that refuses it, each packet a system call, on CPU 1. It is the
 * lower quartile of slices of the run: what a neighbour of this machine does makes some of them slow,
 * and none fast.
 */
export async function costOfSend(count: number): Promise<number> {
  const costs: number[] = [];
  for (let i = 0; i < slices; i++) {
    const traffic = await startTraffic("socket-filter", {
      count: Math.ceil(count / slices),
      cpu: 1,
      batch: 1,
      size: 50,
    });
    traffic.go();
    const { sent, ns } = await traffic.done;
    await traffic.stop();
    costs.push(ns / sent);
  }
  return percentile(costs, 25);
}

/** A machine that has just done something else is given a moment. */
export const settle = (): Promise<void> => sleep(300);

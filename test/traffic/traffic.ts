/**
 * Builds and starts `traffic.c`, the program that causes packet drops of one known kind.
 *
 * Needs gcc. What each kind really causes is in `README.md`.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { inNetns } from "../../plugins/doctor/namespaces.ts";

const here = dirname(fileURLToPath(import.meta.url));

/** A subcommand of `traffic.c`. */
export type TrafficKind =
  | "socket-filter"
  | "socket-rcvbuff"
  | "no-socket"
  | "udp"
  | "qdisc"
  | "tcp-connect"
  | "tcp-listen-overflow"
  | "tcp-filter"
  | "unix-close"
  | "raw-filter"
  | "raw-rcvbuff"
  | "raw"
  | "checksum"
  | "raw-short";

/** What is cut short in the frames of `raw-short`; `ip4-…` and `ip6-…` exist in that family only. */
export type ShortVariant =
  | "ether-only"
  | "ip-4-bytes"
  | "tcp-6-bytes"
  | "udp-4-bytes"
  | "ip4-options"
  | "ip4-length"
  | "ip6-hop-by-hop"
  | "ip6-destination";

/** Whose checksum is wrong in the packets of `checksum`; `ip` is the IPv4 header's. */
export type Checksum = "udp" | "tcp" | "icmp" | "ip";

/** Options of one run of `traffic.c`; each is the command-line option of the same name. */
export interface TrafficOptions {
  /** Sends, or connections, or frames. Default 1000. */
  count?: number;
  /** Sends per second, evenly; 0 (the default) is as fast as it goes. */
  rate?: number;
  /** At full speed, datagrams per system call (sendmmsg), 1 to 64. Default 32. */
  batch?: number;
  /** The CPU the process is pinned to. Default: none. */
  cpu?: number;
  /** 4 (the default) or 6. */
  family?: 4 | 6;
  /** Where to send, and where receivers listen. Default: loopback. */
  address?: string;
  /** The address to send from. It must be one of the namespace's, except in frames. */
  source?: string;
  /**
   * The (first) port to send to and to listen on. Default: one that the kernel picks. Of raw sockets
   * the IP protocol, 253 by default; of unix sockets the number in their name.
   */
  port?: number;
  /** Spreads sends over this many destination ports, from `port` on. Default 1. */
  ports?: number;
  /** Spreads sends over this many receiving sockets. Default 1. */
  sockets?: number;
  /** Bytes of payload. Default 16. */
  size?: number;
  /** The name of the sending task: text, or up to 15 bytes of anything but NUL. Default "traffic". */
  comm?: string | Uint8Array;
  /** Seconds the sockets stay open after the end, unless `stop` comes earlier. Default 0; 60 for `receiverOnly`. */
  hold?: number;
  /** The kinds with receivers (…-filter, …-rcvbuff, `unix-close`): open the sockets and hold them; send nothing. */
  receiverOnly?: boolean;
  /** The same kinds: only send, to `port`. */
  senderOnly?: boolean;
  /**
   * `receiverOnly`: how many processes hold the sockets. `go()` forks the others, which are called
   * held1, held2, …; `done` says that they are there. Another `go()` makes the first let go of the
   * sockets. Default 1.
   */
  holders?: number;
  /** The number that the process has: one that is free again. Default: one that the kernel picks. */
  pid?: number;
  /** The device to send from; `qdisc`, `checksum` and `raw-short` need it. */
  device?: string;
  /** The destination MAC address of frames: `checksum` and `raw-short` need it. */
  mac?: string;
  /** `checksum`: whose is wrong. Default "udp". */
  protocol?: Checksum;
  /** `raw-short`: what the frames are. Default "all": each of the family in turn. */
  variant?: ShortVariant | "all";
  /** The network namespace to run in, as a file: `netns` of a `Side`. Default: this process's. */
  netns?: string;
  /** The directory of the cgroup to run in. Default: this process's. */
  cgroup?: string;
}

/** What the program said when its sockets were open. */
export interface TrafficReady {
  /** The process that sends, or that owns the receiving sockets. */
  pid: number;
  /** The N of `socket:[N]` in /proc/PID/fd of the first receiving socket; absent if this process has none. */
  inode?: number;
  /** The port of the first receiving socket; absent if this process has none. */
  port?: number;
  /** The inodes of all receiving sockets. */
  inodes?: number[];
  /** The ports of all receiving sockets. */
  ports?: number[];
}

/** What the program said at its end. */
export interface TrafficResult {
  /** What was sent and could not be received; what the kernel refused to send isn't counted. */
  sent: number;
  /** Nanoseconds of the sending loop, on the monotonic clock. */
  ns: number;
  /** What was sent besides `sent`, and had room: `socket-rcvbuff`, `tcp-listen-overflow`; else 0. */
  fit: number;
}

/** A running traffic program. */
export interface Traffic {
  ready: TrafficReady;
  /** Starts the sending. */
  go(): void;
  /** Resolves at the end of the sending, also when `stop` brought it about; rejects if the program failed. */
  done: Promise<TrafficResult>;
  /** Ends the program, and resolves when it is gone. Harmless when it is gone already. */
  stop(): Promise<void>;
}

/**
 * Compiles `traffic.c` into `<repository>/.cache/traffic-<hash of the source>`, unless it is there.
 *
 * @returns the path of the program
 * @throws Error with the command that installs gcc, if it is missing; with gcc's words, if it failed
 */
export function buildTraffic(): string {
  const source = join(here, "traffic.c");
  const hash = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 16);
  const cache = join(here, "..", "..", ".cache");
  const program = join(cache, `traffic-${hash}`);
  if (existsSync(program)) return program;
  mkdirSync(cache, { recursive: true });
  const unfinished = `${program}.${process.pid}`;
  const gcc = spawnSync("gcc", ["-O2", "-Wall", "-Wextra", "-o", unfinished, source], {
    encoding: "utf8",
  });
  if (gcc.error) {
    throw new Error(
      `Cannot build ${source}: gcc is missing (${gcc.error.message}). Install it with: apt-get install --yes gcc libc6-dev`,
    );
  }
  if (gcc.status !== 0) {
    rmSync(unfinished, { force: true });
    throw new Error(`Cannot build ${source}: gcc says\n${gcc.stderr}`);
  }
  renameSync(unfinished, program);
  return program;
}

/**
 * Starts the program and waits until its sockets are open. It sends only after `go()`, so that a
 * watcher can be attached before. When this process dies, the program ends too.
 *
 * @throws Error if the program refuses its options or can't open its sockets
 *
 * @example
 * ```ts
 * const traffic = await startTraffic("socket-filter", { count: 1000 });
 * traffic.go();
 * const { sent } = await traffic.done; // 1000 drops with the reason SOCKET_FILTER
 * ```
 */
export async function startTraffic(
  kind: TrafficKind,
  options: TrafficOptions = {},
): Promise<Traffic> {
  const argv = [buildTraffic(), kind, "--start-on-stdin", ...argumentsOf(options)];
  if (options.netns !== undefined) argv.unshift(...inNetns(options.netns));
  if (options.cgroup !== undefined) {
    argv.unshift("sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', options.cgroup);
  }
  const child = spawn(argv[0] as string, argv.slice(1), { stdio: ["pipe", "pipe", "pipe"] });
  const { lines, ended } = listen(child, kind);
  child.stdin.on("error", () => {}); // EPIPE: the program is gone, and `done` says so

  const ready = await lines.next() as unknown as TrafficReady;
  const done = lines.next() as unknown as Promise<TrafficResult>;
  done.catch(() => {}); // a caller that never looks at it must not crash
  return {
    ready,
    done,
    go: () => {
      child.stdin.write("\n");
    },
    stop: async () => {
      child.stdin.end();
      child.kill("SIGTERM");
      await ended;
    },
  };
}

function argumentsOf(options: TrafficOptions): string[] {
  const argv: string[] = [];
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined || value === false || key === "netns" || key === "cgroup") {
      continue;
    }
    if (key === "comm" && typeof value !== "string") {
      argv.push("--comm-hex", Buffer.from(value as Uint8Array).toString("hex"));
      continue;
    }
    argv.push("--" + key.replace(/[A-Z]/g, (letter) => "-" + letter.toLowerCase()));
    if (value !== true) argv.push(String(value));
  }
  return argv;
}

interface Lines {
  /** The next line, parsed; rejects if the program ended without one. */
  next(): Promise<Record<string, unknown>>;
}

function listen(child: ChildProcess, kind: TrafficKind): { lines: Lines; ended: Promise<void> } {
  const arrived: Record<string, unknown>[] = [];
  const waiting: PromiseWithResolvers<Record<string, unknown>>[] = [];
  let failure: Error | undefined;
  let rest = "";
  let stderr = "";

  const fail = (why: string): void => {
    failure ??= new Error(`Cannot run traffic ${kind}: ${why}`);
    for (const one of waiting.splice(0)) one.reject(failure);
  };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    const complete = (rest + text).split("\n");
    rest = complete.pop() ?? "";
    for (const line of complete) {
      const value = JSON.parse(line) as Record<string, unknown>;
      const next = waiting.shift();
      if (next) next.resolve(value);
      else arrived.push(value);
    }
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => stderr += text);
  const ended = new Promise<void>((resolve) => {
    child.on("error", (error) => {
      fail(error.message);
      resolve();
    });
    child.on("close", (code, signal) => {
      fail(stderr.trim() || `it ended with ${signal ?? `code ${code}`}`);
      resolve();
    });
  });
  const next = (): Promise<Record<string, unknown>> => {
    const value = arrived.shift();
    if (value) return Promise.resolve(value);
    if (failure) return Promise.reject(failure);
    const one = Promise.withResolvers<Record<string, unknown>>();
    waiting.push(one);
    return one.promise;
  };
  return { lines: { next }, ended };
}

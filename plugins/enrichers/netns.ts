// The network namespaces of this machine, and their files under /proc/net. A namespace is reached
// through a process in it; one without processes that has a name (`ip netns`) through nsenter.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";

/** One network namespace. */
export interface Netns {
  /** The N in `net:[N]`. */
  readonly inode: string;
  /** Where its /proc/net is: a process in it, or the file that holds it. */
  readonly through: { readonly pid: string } | { readonly file: string };
}

export interface NetnsTable {
  /** All of them, that of this process first; as of a second ago. */
  list(): readonly Netns[];
  /** Files of a namespace's /proc/net, in their order; undefined for one that can't be read. */
  read(netns: Netns, files: readonly string[]): (string | undefined)[];
}

export interface NetnsTableOptions {
  /** /proc, or another place for tests. */
  readonly proc?: string;
  /** Where `ip netns` keeps names. */
  readonly named?: string;
  /** Milliseconds. */
  readonly now?: () => number;
}

const listEvery = 1000;
/** On a machine with thousands of processes a look at all of them may take this part of the time. */
const share = 0.002;
/** So many are watched. */
const most = 500;

/** Makes the table of this machine's network namespaces. */
export function netnsTable(options: NetnsTableOptions = {}): NetnsTable {
  const { proc = "/proc", named = "/run/netns", now = Date.now } = options;
  let known: readonly Netns[] = [];
  let until = -Infinity;
  return {
    list() {
      if (now() < until) return known;
      const started = performance.now();
      known = look(proc, named);
      until = now() + Math.max(listEvery, (performance.now() - started) / share);
      return known;
    },
    read(netns, files) {
      const { through } = netns;
      if ("file" in through) return readThroughFile(through.file, files);
      const { pid } = through;
      // The process may have gone, and its number may be another's.
      if (netnsOf(proc, pid) !== netns.inode) {
        until = -Infinity;
        return files.map(() => undefined);
      }
      return files.map((file) => readText(`${proc}/${pid}/net/${file}`));
    },
  };
}

function look(proc: string, named: string): Netns[] {
  const found = new Map<string, Netns>();
  const add = (inode: string | undefined, through: Netns["through"]): void => {
    if (inode === undefined || found.has(inode) || found.size >= most) return;
    found.set(inode, { inode, through });
  };
  add(netnsOf(proc, "self"), { pid: "self" });
  for (const pid of readdirSync(proc)) if (/^\d+$/.test(pid)) add(netnsOf(proc, pid), { pid });
  for (const name of namesIn(named)) {
    const file = join(named, name);
    add(inodeOf(file), { file });
  }
  return [...found.values()];
}

function netnsOf(proc: string, pid: string): string | undefined {
  try {
    return /^net:\[(\d+)\]$/.exec(readlinkSync(`${proc}/${pid}/ns/net`))?.[1];
  } catch {
    return undefined; // Gone, or not ours to look at.
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // `ip netns` was never used here.
  }
}

function inodeOf(file: string): string | undefined {
  try {
    return String(statSync(file).ino);
  } catch {
    return undefined;
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return undefined;
  }
}

/** /proc/net is that of whoever reads it: a process is sent in to read. */
function readThroughFile(file: string, files: readonly string[]): (string | undefined)[] {
  const mark = "\u001e";
  const script = `for f; do cat /proc/self/net/"$f" 2>/dev/null; printf '${mark}'; done`;
  const { stdout, status } = spawnSync(
    "nsenter",
    [`--net=${file}`, "--", "sh", "-c", script, "sh", ...files],
    { encoding: "latin1", timeout: 1000, stdio: ["ignore", "pipe", "ignore"] },
  );
  if (status !== 0) return files.map(() => undefined);
  const texts = stdout.split(mark);
  return files.map((_, i) => texts[i] === "" ? undefined : texts[i]);
}

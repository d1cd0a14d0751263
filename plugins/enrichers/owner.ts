// Whose a socket is: from its inode to the processes that hold it, through /proc/PID/fd. An inode that
// isn't known is searched for; young processes are looked at before anybody asks, so that those which
// are gone soon have a name too.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Owner } from "../../core/drop/field.ts";
import { utf8 } from "../../core/drop/bytes.ts";

export interface OwnerTable {
  /** The owner of a socket; its name is "" where nobody holds it, and nobody was seen to. */
  owner(inode: number): Owner;
  /** Who holds a socket now, or held it last; the one that is called its owner comes first. */
  holders(inode: number): readonly Holder[];
  /** Looks at the processes that are new since the last time. */
  poll(): void;
  /** Polls on, until the function that it returns is called. */
  start(): () => void;
  /** How often all of /proc was searched. */
  readonly searches: number;
  readonly size: number;
}

/** A process that holds a socket. */
export interface Holder {
  readonly pid: number;
  readonly uid: number;
  readonly name: string;
  /** When the process began, in the kernel's ticks since boot: a number that is used again differs. */
  readonly began: number;
  /** The process that it is a child of. */
  readonly parent: number;
}

export interface OwnerTableOptions {
  /** /proc, or another place for tests. */
  readonly proc?: string;
  /** Milliseconds. */
  readonly now?: () => number;
  /** How many sockets are remembered. */
  readonly limit?: number;
}

interface Entry {
  readonly holders: readonly Holder[];
  /** Until when it is believed, in milliseconds. */
  readonly until: number;
  /** How often nobody was found, one time after the other. */
  readonly misses: number;
  /** Whether all of /proc was searched for holders, so that the eldest is among them. */
  readonly whole: boolean;
}

const nobody: Owner = { name: "", pid: "", uid: "" };
/** A socket rarely changes hands: how long an answer is believed, in milliseconds. */
const believed = 5000;
/** A search costs: it isn't made for each key of a tick, nor again and again for one that nobody holds. */
const searchEvery = 45;
/** Nor often to find an elder holder than those that a poll has seen: that is rare. */
const confirmEvery = 10_000;
const firstPause = 200;
const longestPause = 30_000;
/** How often new processes are looked for, and at which ages one is looked at: it may have no socket yet. */
const pollEvery = 100;
const looks = [0, 200, 600];
/** How long what a poll has seen is believed: the process may still pass its sockets on. */
const young = 1000;
/** A storm of processes must not cost more than what it drops: so many are looked at each time. */
const mostYoung = 100;
const defaultLimit = 50_000;
const init = 1;

/** Makes the table of this machine's sockets. */
export function ownerTable(options: OwnerTableOptions = {}): OwnerTable {
  const { proc = "/proc", now = Date.now, limit = defaultLimit } = options;
  const entries = new Map<number, Entry>();
  let found = new Map<number, number[]>();
  let searchedAt = -Infinity;
  let searches = 0;
  /** When each process was first seen, and how often it was looked at; undefined before the first poll. */
  let known: Map<number, { readonly since: number; looked: number }> | undefined;
  /** The sockets of processes, as of a moment ago: one that has many is read once for all of them. */
  const held = new Map<number, ReadonlySet<number>>();
  let heldAt = -Infinity;
  const holds = (pid: number, inode: number): boolean => {
    if (now() - heldAt >= searchEvery) {
      held.clear();
      heldAt = now();
    }
    let sockets = held.get(pid);
    if (sockets === undefined) held.set(pid, sockets = new Set(socketsOf(proc, pid)));
    return sockets.has(inode);
  };

  const remember = (inode: number, entry: Entry): void => {
    entries.delete(inode); // The oldest are forgotten first.
    entries.set(inode, entry);
    if (entries.size > limit) entries.delete(entries.keys().next().value!);
  };

  /** All sockets of all processes. */
  const search = (): Map<number, number[]> => {
    if (now() - searchedAt < searchEvery) return found;
    found = new Map();
    for (const pid of processes(proc)) {
      for (const inode of socketsOf(proc, pid)) {
        const pids = found.get(inode);
        if (pids === undefined) found.set(inode, [pid]);
        else if (!pids.includes(pid)) pids.push(pid);
      }
    }
    searches++;
    searchedAt = now();
    return found;
  };

  /** Those of the holders so far that hold it still. An init may have a service by now. */
  const still = (inode: number, before: Entry | undefined): number[] =>
    before?.holders.map(({ pid }) => pid).filter((pid) => pid !== init && holds(pid, inode)) ?? [];

  /** A process that holds a socket, and its ancestors as far as they do: it may have inherited it. */
  const line = (inode: number, process: Holder): Holder[] => {
    const holders = [process];
    for (let { parent } = process; parent > init && holds(parent, inode);) {
      const holder = holderOf(proc, parent);
      if (holder === undefined || holders.some(({ pid }) => pid === parent)) break;
      holders.push(holder);
      parent = holder.parent;
    }
    return holders;
  };

  const look = (inode: number, before: Entry | undefined): Entry => {
    let pids = still(inode, before);
    let whole = before?.whole ?? false;
    if (pids.length > 0 && !whole) {
      const others = (now() - searchedAt < confirmEvery ? found : search()).get(inode);
      whole = others !== undefined;
      pids.push(...(others ?? []).filter((pid) => holds(pid, inode)));
    }
    if (pids.length === 0) {
      pids = search().get(inode) ?? [];
      whole = true;
    }
    const holders = rank(pids.flatMap((pid) => holderOf(proc, pid) ?? []));
    if (holders.length > 0) return { holders, until: now() + believed, misses: 0, whole };
    // Nobody holds it any more: it is called what it was called when it was last seen.
    const misses = (before?.misses ?? 0) + 1;
    const pause = Math.min(longestPause, firstPause * 2 ** misses);
    return { holders: before?.holders ?? [], until: now() + pause, misses, whole: true };
  };

  const entryOf = (inode: number): Entry => {
    const entry = entries.get(inode);
    if (entry !== undefined && now() < entry.until) return entry;
    const fresh = look(inode, entry);
    remember(inode, fresh);
    return fresh;
  };

  const poll = (): void => {
    const at = now();
    const pids = processes(proc);
    const before = known;
    known = new Map();
    let looked = 0;
    for (const pid of pids) {
      // Those that were there at the first poll are found when somebody asks.
      const process = before === undefined
        ? { since: at, looked: looks.length }
        : before.get(pid) ?? { since: at, looked: 0 };
      known.set(pid, process);
      const age = looks[process.looked];
      if (age === undefined || at - process.since < age || looked >= mostYoung) continue;
      process.looked++;
      looked++;
      const sockets = socketsOf(proc, pid).filter((inode) => {
        const entry = entries.get(inode);
        return entry === undefined || entry.misses > 0 || entry.until <= at;
      });
      if (sockets.length === 0) continue;
      const holder = holderOf(proc, pid);
      if (holder === undefined) continue;
      for (const inode of sockets) {
        const others = still(inode, entries.get(inode)).flatMap((each) =>
          holderOf(proc, each) ?? []
        );
        const holders = rank([...line(inode, holder), ...others]);
        remember(inode, { holders, until: at + young, misses: 0, whole: false });
      }
    }
  };

  return {
    owner(inode) {
      if (inode === 0) return nobody;
      const [first] = entryOf(inode).holders;
      if (first === undefined) return nobody;
      return { name: first.name, pid: String(first.pid), uid: String(first.uid) };
    },
    holders: (inode) => inode === 0 ? [] : entryOf(inode).holders,
    poll,
    start() {
      poll();
      const timer = setInterval(poll, pollEvery);
      return () => clearInterval(timer);
    },
    get searches() {
      return searches;
    },
    get size() {
      return entries.size;
    },
  };
}

/** Whether this process may see which sockets others hold. */
export function maySeeOwners(proc = "/proc"): boolean {
  try {
    readdirSync(`${proc}/${init}/fd`);
    return true;
  } catch {
    return false;
  }
}

/** The owner first: a service before the init that opened the socket for it, then the eldest. */
function rank(holders: readonly Holder[]): Holder[] {
  return [...new Map(holders.map((holder) => [holder.pid, holder])).values()].sort((a, b) =>
    Number(a.pid === init) - Number(b.pid === init) || a.began - b.began || a.pid - b.pid
  );
}

function processes(proc: string): number[] {
  return readdirSync(proc).filter((name) => /^\d+$/.test(name)).map(Number);
}

/** The inodes of the sockets that a process holds; none where it is gone, or not ours to look at. */
function socketsOf(proc: string, pid: number): number[] {
  const folder = `${proc}/${pid}/fd`;
  let fds: string[];
  try {
    fds = readdirSync(folder);
  } catch {
    return [];
  }
  return fds.flatMap((fd) => {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${fd}`))?.[1];
      return inode === undefined ? [] : [Number(inode)];
    } catch {
      return []; // Closed meanwhile.
    }
  });
}

/** What is known of a process; undefined where it is gone. */
function holderOf(proc: string, pid: number): Holder | undefined {
  try {
    const stat = readFileSync(`${proc}/${pid}/stat`, "latin1");
    const status = readFileSync(`${proc}/${pid}/status`, "latin1");
    const comm = readFileSync(`${proc}/${pid}/comm`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return {
      pid,
      uid: Number(/^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1] ?? NaN),
      // The kernel ends it with a newline; any other one is the name's own.
      name: utf8(comm.subarray(0, comm.length - 1)),
      began: Number(fields[19]),
      parent: Number(fields[1]),
    };
  } catch {
    return undefined;
  }
}

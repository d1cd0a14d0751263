// Who listened on a port lately: when packets come for a port that is closed (NO_SOCKET), whoever had it
// a moment ago is the first suspect. Read from /proc/net of every network namespace.
import type { Listener, Owner } from "../../core/drop/field.ts";
import type { NetnsTable } from "./netns.ts";

export interface ListenerTable {
  /** Who listened on a port of a namespace within the last minutes; undefined where nobody was seen to. */
  listener(l4: string, port: string, netns: string): Listener | undefined;
  /** Looks who listens now. */
  poll(): void;
  /** Polls on, until the function that it returns is called. */
  start(): () => void;
}

export interface ListenerTableOptions {
  /** Whose a socket is, by its inode. */
  readonly owner: (inode: number) => Owner;
  readonly netns: NetnsTable;
  /** Milliseconds. */
  readonly now?: () => number;
}

/** Files of /proc/net, and the state in which a socket of theirs takes packets of anybody. */
const tables = [
  ["tcp", "TCP", "0A"],
  ["tcp6", "TCP", "0A"],
  ["udp", "UDP", "07"],
  ["udp6", "UDP", "07"],
] as const;
const remembered = 10 * 60_000;
const most = 5000;
const pollEvery = 5000;
/** A machine with many connections has long tables: reading them may take this part of the time. */
const share = 0.01;

/** Makes the table of the ports of this machine. */
export function listenerTable(options: ListenerTableOptions): ListenerTable {
  const { owner, netns, now = Date.now } = options;
  const listeners = new Map<string, Listener>();

  const poll = (): void => {
    const at = now();
    for (const space of netns.list()) {
      const texts = netns.read(space, tables.map(([file]) => file));
      tables.forEach(([, l4, state], i) => {
        for (const { port, inode } of socketsIn(texts[i] ?? "", state)) {
          const { name, pid } = owner(inode);
          const key = `${l4} ${port} ${space.inode}`;
          const before = listeners.get(key);
          listeners.delete(key); // The oldest stand first.
          listeners.set(
            key,
            name === "" && before !== undefined ? { ...before, at } : { owner: name, pid, at },
          );
        }
      });
    }
    for (const [key, { at: seen }] of listeners) {
      if (listeners.size <= most && at - seen <= remembered) break;
      listeners.delete(key);
    }
  };

  return {
    listener: (l4, port, space) => listeners.get(`${l4} ${port} ${space}`),
    poll,
    start() {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const next = (): void => {
        const started = performance.now();
        poll();
        const took = performance.now() - started;
        timer = setTimeout(next, Math.max(pollEvery, took / share));
      };
      next();
      return () => clearTimeout(timer);
    },
  };
}

/** The local ports and inodes of a table of /proc/net. */
function socketsIn(text: string, state: string): { port: number; inode: number }[] {
  const found: { port: number; inode: number }[] = [];
  for (const line of text.split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/);
    if (fields[3] !== state) continue;
    const port = parseInt(fields[1]?.split(":")[1] ?? "", 16);
    const inode = Number(fields[9]);
    if (port > 0 && inode > 0) found.push({ port, inode });
  }
  return found;
}

// The kernel's own counters of drops, in every network namespace: read at ticks, told as growth.
import { counterNames, softnetDropped } from "../../core/drop/counter.ts";
import type { CounterGrowth } from "../../core/drop/counter.ts";
import type { NetnsTable } from "./netns.ts";

export interface CounterTable {
  /** How much each counter has grown since the first reading, by namespace; undefined where it is too soon. */
  read(): ReadonlyMap<string, CounterGrowth> | undefined;
}

interface Growing {
  /** What was read last. */
  last: ReadonlyMap<string, number>;
  grown: ReadonlyMap<string, number>;
}

const files = ["snmp", "netstat", "snmp6"];
/** Many namespaces take long: reading them may take this part of the time, and so much at once. */
const share = 0.005;
const atOnce = 100;
/** Namespaces that are gone keep their numbers, so many of them. */
const mostKept = 1000;

/** Makes the table of this machine's counters. */
export function counterTable(netns: NetnsTable, now: () => number = Date.now): CounterTable {
  const spaces = new Map<string, Growing>();
  let begun = false;
  let budget = atOnce;
  let lastAt = now();
  return {
    read() {
      budget = Math.min(atOnce, budget + (now() - lastAt) * share);
      lastAt = now();
      if (budget < 0) return undefined;
      const started = performance.now();
      netns.list().forEach((space, i) => {
        const [snmp, netstat, snmp6] = netns.read(space, files);
        if (snmp === undefined) return; // It is gone; what it counted stays.
        const values = new Map([
          ...readTable(snmp),
          ...readTable(netstat ?? ""),
          ...readLines(snmp6 ?? ""),
        ]);
        // One file for all namespaces: it stands under that of this process.
        if (i === 0) {
          const [softnet] = netns.read(space, ["softnet_stat"]);
          values.set(softnetDropped, readSoftnet(softnet ?? ""));
        }
        const before = spaces.get(space.inode);
        // One that wasn't there at the first reading was made since, and began with zeros.
        const last = before?.last ?? (begun ? new Map<string, number>() : values);
        spaces.set(space.inode, { last: values, grown: grow(before?.grown, last, values) });
      });
      begun = true;
      for (const inode of spaces.keys()) {
        if (spaces.size <= mostKept) break;
        spaces.delete(inode);
      }
      budget -= performance.now() - started;
      return new Map([...spaces].map(([inode, { grown }]) => [inode, grown]));
    },
  };
}

function grow(
  before: CounterGrowth | undefined,
  last: ReadonlyMap<string, number>,
  values: ReadonlyMap<string, number>,
): CounterGrowth {
  let grown: Map<string, number> | undefined;
  for (const [name, value] of values) {
    const old = last.get(name) ?? 0;
    // Less than before: the namespace's number is another one's now.
    const more = value >= old ? value - old : value;
    if (more === 0) continue;
    grown ??= new Map(before);
    grown.set(name, (grown.get(name) ?? 0) + more);
  }
  return grown ?? before ?? new Map();
}

/** `Udp: InDatagrams NoPorts …` and below it `Udp: 7 0 …`, as in snmp and netstat. */
export function readTable(text: string): [string, number][] {
  const lines = text.split("\n");
  const found: [string, number][] = [];
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const wanted = placesIn(lines[i]!);
    if (wanted.length === 0) continue;
    const values = lines[i + 1]!.split(" ");
    for (const [name, place] of wanted) found.push([name, Number(values[place])]);
  }
  return found;
}

/** Heads are the same at each reading: where the wanted counters stand in one. */
const places = new Map<string, readonly (readonly [string, number])[]>();

function placesIn(head: string): readonly (readonly [string, number])[] {
  const known = places.get(head);
  if (known !== undefined) return known;
  const [group = "", ...names] = head.split(" ");
  const found = names.map((name, i) => [group.replace(":", "") + name, i + 1] as const)
    .filter(([name]) => counterNames.has(name));
  if (places.size < 100) places.set(head, found);
  return found;
}

/** `Udp6NoPorts   400`, as in snmp6. */
export function readLines(text: string): [string, number][] {
  const found: [string, number][] = [];
  for (const line of text.split("\n")) {
    const end = line.search(/\s/);
    const name = line.slice(0, end);
    if (counterNames.has(name)) found.push([name, Number(line.slice(end))]);
  }
  return found;
}

/** The second column of every CPU, in hexadecimal. */
export function readSoftnet(text: string): number {
  return text.split("\n").filter((line) => line !== "")
    .reduce((sum, line) => sum + parseInt(line.split(" ")[1] ?? "0", 16), 0);
}

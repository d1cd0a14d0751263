// Reads what bpftrace prints with -f json, and makes ticks of it. See program.ts for the frame of a
// tick: "tick N COPY NSECS NOW EXACT", a record a map, "end N". NSECS is when the tick ended, NOW when
// the line was printed; EXACT is 1 where packets have told for themselves which tick they are of.
//
// Counts by reason only ever grow, in two copies that take turns: a tick's share is the growth of
// its copy. Maps by key are cleared after each tick: what is printed is the tick's share.
import type { CounterReading } from "../../../core/drop/counter.ts";
import { fieldOf } from "../../../core/drop/field.ts";
import type { Drop, Names } from "../../../core/drop/field.ts";
import {
  foldStack,
  keyFlowReader,
  keyReader,
  readFlow,
  readKept,
  siteOfStack,
} from "../../../core/plan/key.ts";
import { plumbing } from "../../../core/drop/site.ts";
import type { SeriesKey } from "../../../core/plan/key.ts";
import { isKeyed } from "../../../core/plan/layout.ts";
import type { Layout } from "../../../core/plan/layout.ts";
import { keySlots, mayBelong } from "../../../core/plan/plan.ts";
import type { KeyMap, Plan } from "../../../core/plan/plan.ts";
import type { Counted, MapCounts, Tick } from "../../../core/watch/tick.ts";
import { tally } from "../../../core/watch/tick.ts";
import { LaterCounts } from "./later.ts";
import { takeApart } from "./shared.ts";

type Printed = ReadonlyMap<string, unknown>;

interface Frame {
  readonly tick: number;
  readonly copy: number;
  readonly nsecs: number;
  readonly exact: boolean;
  /** The kernel's own counters when the frame began. */
  readonly counters: CounterReading | undefined;
  readonly maps: Map<string, unknown>;
}

/** What the kernel's side ran but could not count: see /proc/PID/fdinfo, recursion_misses. */
export type MissedDrops = () => number;

export interface OutputOptions {
  readonly plan: Plan;
  readonly scalars: ReadonlyMap<string, number>;
  readonly layout: Layout;
  readonly names: Names;
  readonly missed: MissedDrops;
  /** Reads the kernel's own counters; undefined where it is too soon. */
  readonly counters?: () => CounterReading["grown"] | undefined;
  readonly now: () => number;
  readonly onTick: (tick: Tick, boundary: Boundary | undefined) => void;
  readonly onAttached: () => void;
}

/** Where a tick ended, by the kernel's clock. Programs that run side by side agree on an exact one. */
export interface Boundary {
  readonly nsecs: number;
  readonly exact: boolean;
}

export interface OutputReader {
  line(text: string): void;
  /** Hands on what waits for what comes later, as it is: nothing more will be known of it. */
  settle(): void;
  /** Gives up what waits: it belongs to ticks that are somebody else's. */
  forgetWaiting(): void;
  /** bpftrace has ended: what it printed at its end are the last counts. */
  end(): void;
}

export function outputReader(options: OutputOptions): OutputReader {
  const { plan, layout, names } = options;
  const keyed = plan.maps.map((map) => isKeyed(layout, map));
  const readers = plan.maps.map((map) => keyReader(plan, map, names));
  const walkers = plan.maps.map((map) => keyReader(plan, map, names, true));
  const flows = plan.maps.map((map) => keyFlowReader(map, names));
  const walkedFlows = plan.maps.map((map) => keyFlowReader(map, names, true));
  const later = plan.maps.map(() => new LaterCounts());
  const reasonTotals: [Map<number, number>, Map<number, number>] = [new Map(), new Map()];
  /** The last printed value of variables that only grow, by their name. */
  const grown = new Map<string, { n: number; sum: number }>();
  /** Drops of a map that came before the number they belong to, since that line was lost; or, less
   * than 0, after it. */
  const ahead = new Map<string, number>();
  let frame: Frame | undefined;
  let atEnd = new Map<string, unknown>();
  let samples: Drop[] = [];
  let unreadable = 0;
  let lostEvents = 0;
  let attached = false;
  let missedBefore = 0;
  let lastAt = options.now();
  /** Wall clock minus the kernel's, in milliseconds: the least delay seen tells it best. */
  let clockOffset: number | undefined;
  let lastNsecs: number | undefined;

  const growth = (name: string, n: number, sum = 0): { n: number; sum: number } => {
    const before = grown.get(name) ?? { n: 0, sum: 0 };
    if (n < before.n) {
      unreadable++;
      return { n: 0, sum: 0 };
    }
    grown.set(name, { n, sum });
    return { n: n - before.n, sum: sum - before.sum };
  };

  /** The growth of a copy's counts by reason. */
  const readReasons = (maps: Printed, copy: number): Map<number, number> => {
    const grownBy = new Map<number, number>();
    const before = reasonTotals[copy as 0 | 1];
    const add = (reason: number, total: unknown): void => {
      if (!isCount(total) || total < (before.get(reason) ?? 0)) {
        unreadable++;
        return;
      }
      const n = total - (before.get(reason) ?? 0);
      before.set(reason, total);
      if (n > 0) grownBy.set(reason, (grownBy.get(reason) ?? 0) + n);
    };
    for (const [raw, total] of entriesOf(maps.get(`b${copy}`))) {
      if (/^\d{1,10}$/.test(raw)) add(Number(raw), total);
      else unreadable++;
    }
    for (const [name, reason] of options.scalars) {
      const total = maps.get(`${name}_${copy}`);
      if (total !== undefined) add(reason, total);
    }
    return grownBy;
  };

  /** What TCP sent again. */
  const readFlows = (maps: Printed, copy: number): Map<string, number> => {
    const sent = new Map<string, number>();
    for (const [raw, n] of entriesOf(maps.get(`f${copy}`))) {
      const flow = isCount(n) ? readFlow(raw, names) : undefined;
      if (flow === undefined) unreadable++;
      else sent.set(flow, n as number);
    }
    return sent;
  };

  const readMap = (
    map: KeyMap,
    maps: Printed,
    copy: number,
    reasons: ReadonlyMap<number, number>,
    { last, now, sent }: { last: boolean; now: number; sent: ReadonlyMap<string, number> },
  ): MapCounts => {
    const name = `m${map.id}_${copy}`;
    const printed = maps.get(name);
    const found = new Map<string, { key: SeriesKey; n: number; sum: number }>();
    let counted = 0;
    const add = (raw: string, value: unknown, walks = false): void => {
      const reader = (walks ? walkers : readers)[map.id]!;
      const read = readValue(value);
      const key = read === undefined ? undefined : reader(raw);
      if (read === undefined || key === undefined) {
        unreadable++;
        return;
      }
      const { n, sum } = keyed[map.id]! ? read : growth(name, read.n, read.sum);
      if (n === 0) return;
      counted += n;
      const flow = (walks ? walkedFlows : flows)[map.id]?.(raw);
      if (flow === undefined) put({ key, n, sum });
      else {
        const waiting = { n, sum, read: (label: string) => reader(raw, label) };
        later[map.id]!.add(flow, waiting, sent, now).forEach(put);
      }
    };
    const put = ({ key, n, sum }: Counted): void => {
      // The same labels can serve different counts: they are kept apart by what they serve.
      const id = `${key.counts.join()}\n${key.text}`;
      const before = found.get(id);
      if (before === undefined) found.set(id, { key, n, sum });
      else {
        before.n += n;
        before.sum += sum;
      }
    };
    // What came earlier, before what comes now: that doesn't wait for itself.
    later[map.id]!.decide(sent, now).forEach(put);
    if (keyed[map.id]!) { for (const [raw, value] of entriesOf(printed)) add(raw, value); }
    else if (printed !== undefined) add("", printed);
    const walked = maps.get(`w${map.id}_${copy}`);
    for (const [raw, value] of entriesOf(walked)) add(raw, value, true);
    // Nothing will be known of these any more.
    if (last) later[map.id]!.decide(sent, Infinity).forEach(put);
    const entries: Counted[] = [...found.values()];
    const total = maps.get(`t${map.id}_${copy}`);
    const belong = map.conditional
      ? (isCount(total) ? growth(`t${map.id}_${copy}`, total).n : 0)
      : belonging(plan, map, reasons);
    const open = belong - counted - (ahead.get(name) ?? 0);
    const wasPrinted = printed !== undefined || walked !== undefined;
    // What only grows and wasn't printed is told by the next print.
    const comes = !keyed[map.id]! && !wasPrinted && !last;
    ahead.set(name, comes ? -open : Math.max(0, -open));
    const missing = comes ? 0 : Math.max(0, open);
    // A map that has drops and wasn't printed is lost; one that was printed had no room.
    return { entries, other: wasPrinted ? missing : 0, lost: wasPrinted ? 0 : missing };
  };

  /** Learns from a line that was printed at `nsecs`. */
  const setClock = (nsecs: number): void => {
    const offset = options.now() - nsecs / 1e6;
    // A clock that was set is followed at once; a delay on the way is not.
    const stepped = clockOffset !== undefined && Math.abs(offset - clockOffset) > 5000;
    clockOffset = clockOffset === undefined || stepped ? offset : Math.min(clockOffset, offset);
  };
  const wallClock = (nsecs: number): number => nsecs / 1e6 + clockOffset!;

  const readCounters = (nsecs: number): CounterReading | undefined => {
    const grown = options.counters?.();
    return grown && { grown, delay: options.now() - wallClock(nsecs) };
  };

  const emit = (
    printed: Printed,
    copy: number,
    nsecs: number | undefined,
    { force = false, last = false, settling = false, exact = false, counters }: {
      force?: boolean;
      last?: boolean;
      /** It brings what waited, and no time has passed. */
      settling?: boolean;
      exact?: boolean;
      counters?: CounterReading | undefined;
    } = {},
  ): void => {
    const { maps, strangers } = takeApart(printed, layout, copy);
    unreadable += strangers;
    const reasons = readReasons(maps, copy);
    const at = settling ? lastAt : nsecs === undefined ? options.now() : wallClock(nsecs);
    const sent = readFlows(maps, copy);
    const counts = plan.maps.map((map) =>
      readMap(map, maps, copy, reasons, { last, now: at, sent })
    );
    const seconds = nsecs !== undefined && lastNsecs !== undefined
      ? (nsecs - lastNsecs) / 1e9
      : (at - lastAt) / 1000;
    const missed = settling ? 0 : Math.max(0, options.missed() - missedBefore);
    missedBefore += missed;
    const seen = [...reasons.values()].reduce((all, n) => all + n, 0) + missed;
    const isEmpty = seen === 0 &&
      counts.every(({ entries, other, lost }) => entries.length + other + lost === 0);
    if (isEmpty && !force) return;
    const evidence = plan.evidence === undefined
      ? undefined
      : entriesOf(maps.get(`x${copy}`)).flatMap(([raw, n]) => {
        const kept = isCount(n) ? readKept(raw, plan.evidence!.fields, names) : undefined;
        if (kept === undefined) unreadable++;
        return kept === undefined ? [] : [{ ...kept, n: n as number }];
      });
    lastAt = at;
    if (nsecs !== undefined) lastNsecs = nsecs;
    options.onTick({
      at,
      seconds: Math.max(0, seconds),
      ...tally(seen, counts, missed),
      reasons,
      maps: counts,
      samples,
      evidence,
      ...(sent.size === 0 ? {} : { retransmits: sent }),
      counters,
      unreadable: unreadable + lostEvents,
    }, nsecs === undefined ? undefined : { nsecs, exact });
    samples = [];
    unreadable = 0;
    lostEvents = 0;
  };

  /** Hands on what has arrived of a frame that wasn't ended, or not begun, or of the dump at the end. */
  const flush = (last: boolean): void => {
    const { maps, copy = 0, nsecs, counters } = frame ?? { maps: atEnd };
    frame = undefined;
    atEnd = new Map();
    emit(maps, copy, last ? undefined : nsecs, { last, counters });
    emit(maps, 1 - copy, undefined, { last });
  };

  const printed = (text: string): void => {
    const words = text.trimEnd().split(" ");
    const isFrame = frame !== undefined || atEnd.size > 0;
    if (/^tick \d+ [01] \d+ \d+ [01]$/.test(text.trimEnd())) {
      // bpftrace reads what the kernel prints only when all its probes are attached; the record
      // that says so comes before they are.
      const isFirst = !attached;
      attached = true;
      if (isFirst) options.onAttached();
      if (isFrame) {
        unreadable++;
        flush(false);
      }
      const [tick = 0, copy = 0, nsecs = 0, now = 0, exact = 0] = words.slice(1).map(Number);
      setClock(now);
      // What was before all probes were attached, no tick covers.
      if (isFirst) lastAt = wallClock(nsecs);
      frame = {
        tick,
        copy,
        nsecs,
        exact: exact === 1,
        counters: readCounters(nsecs),
        maps: new Map(),
      };
    } else if (words[0] === "end" && frame !== undefined && Number(words[1]) === frame.tick) {
      const { maps, copy, nsecs, exact, counters } = frame;
      frame = undefined;
      emit(maps, copy, nsecs, { force: true, exact, counters });
    } else if (words[0] === "end" && isFrame) {
      unreadable++;
      flush(false);
    } else if (words[0] === "s" && plan.samples !== undefined) {
      const sample = readSample(text, plan.samples.fields, names);
      if (sample === undefined) unreadable++;
      else samples.push(sample);
    } else unreadable++;
  };

  return {
    line(text) {
      if (text.trim() === "") return;
      const record = parseRecord(text);
      if (record === undefined) unreadable++;
      else if (record.type === "printf" && typeof record.data === "string") printed(record.data);
      else if (record.type === "attached_probes") return;
      else if (record.type === "lost_events") {
        lostEvents += Number((record.data as { events?: unknown } | null)?.events) || 1;
      } else if (record.type === "map" || record.type === "stats") {
        // In a frame the first print of a map counts: what follows it is the dump at the end, of
        // a copy that may be half cleared.
        const into = frame?.maps ?? atEnd;
        if (typeof record.data !== "object" || record.data === null) unreadable++;
        for (const [name, value] of entriesOf(record.data)) {
          const bare = name.replace(/^@/, "");
          if (!into.has(bare)) into.set(bare, value);
        }
      } else unreadable++;
    },
    settle() {
      for (const copy of [0, 1]) emit(new Map(), copy, undefined, { last: true, settling: true });
    },
    forgetWaiting() {
      for (const each of later) each.clear();
    },
    end: () => flush(true),
  };
}

/** Drops of the reasons that a map counts whatever else they are. */
function belonging(plan: Plan, map: KeyMap, reasons: ReadonlyMap<number, number>): number {
  let total = 0;
  for (const [reason, n] of reasons) if (mayBelong(plan, map.id, reason)) total += n;
  return total;
}

function parseRecord(text: string): { type: string; data: unknown } | undefined {
  try {
    const record: unknown = JSON.parse(text);
    if (typeof record !== "object" || record === null || !("type" in record)) return undefined;
    if (typeof record.type !== "string" || !("data" in record)) return undefined;
    return { type: record.type, data: record.data };
  } catch {
    return undefined;
  }
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === "object" && value !== null ? Object.entries(value) : [];
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0;
}

/** A count, or what `stats()` prints: count, average, total. */
function readValue(value: unknown): { n: number; sum: number } | undefined {
  if (isCount(value)) return { n: value, sum: 0 };
  if (typeof value !== "object" || value === null) return undefined;
  const { count, total } = value as { count?: unknown; total?: unknown };
  return isCount(count) && isCount(total) ? { n: count, sum: total } : undefined;
}

function readSample(
  text: string,
  fields: NonNullable<Plan["samples"]>["fields"],
  names: Names,
): Drop | undefined {
  const numbers = fields.filter((field) => field !== "stack");
  const slots = keySlots(numbers);
  const words = text.split(" ", slots.length + 1);
  if (words.length !== slots.length + 1) return undefined;
  const values = new Map<string, bigint>();
  for (const [i, slot] of slots.entries()) {
    const word = (words[i + 1] ?? "").trim();
    if (!/^-?\d{1,20}$/.test(word)) return undefined;
    values.set(slot, BigInt(word));
  }
  const drop: { [name: string]: string } = {};
  for (const field of numbers) {
    const { slots: own, label } = fieldOf(field);
    drop[field] = label(own.map((slot) => values.get(slot)!), names);
  }
  if (fields.includes("stack")) {
    drop.stack = foldStack(text.slice(words.join(" ").length));
    if (plumbing.has(drop.site ?? "")) drop.site = siteOfStack(drop.stack);
  }
  return drop as Drop;
}

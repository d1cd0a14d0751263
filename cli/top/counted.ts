// What was dropped in the last minute, second by second, and since we began to look; by all the fields
// that the history tells drops apart by.
import type { FieldName } from "../../core/drop/field.ts";
import type { Drops, HistoryLabel, ViewTick } from "../../core/view/view.ts";

/** Seconds that are kept one by one. */
export const minute = 60;
/** Combinations of labels that are told apart; what is more comes under {@linkcode noLabels}. */
const mostKeys = 4096;
/** Seconds between the end of a tick and the beginning of the next in which nobody counted; less is jitter. */
const leastGap = 0.25;

/** The drops of one combination of labels. */
interface Entry {
  readonly labels: readonly HistoryLabel[];
  total: number;
  /** Drops by second, a ring: second `s` is at `s % minute`. */
  readonly drops: Float64Array;
  /** The second that was written last: what is older than a minute before `Counted.second` is gone. */
  last: number;
}

/** Plain data, so that a copy is one that stands still. */
export interface Counted {
  readonly fields: readonly FieldName[];
  readonly entries: Map<string, Entry>;
  /** All drops, and of each second how much of it was counted, as rings too. */
  readonly seen: Float64Array;
  readonly covered: Float64Array;
  /** The second in which the last tick ended, since 1970; -1 before the first. */
  second: number;
  /** When it began, milliseconds since 1970; 0 before the first tick. */
  from: number;
  /** When the last tick ended. */
  at: number;
  /** How long drops were counted. */
  seconds: number;
  /** Since the beginning: seen = counted + other + lost. */
  sums: { seen: number; counted: number; other: number; lost: number };
  /** Seconds in which nobody counted, and why nobody does now; null where somebody does. */
  gapSeconds: number;
  gap: string | null;
  cost: ViewTick["cost"];
}

export function newCounted(fields: readonly FieldName[]): Counted {
  return {
    fields,
    entries: new Map(),
    seen: new Float64Array(minute),
    covered: new Float64Array(minute),
    second: -1,
    from: 0,
    at: 0,
    seconds: 0,
    sums: { seen: 0, counted: 0, other: 0, lost: 0 },
    gapSeconds: 0,
    gap: null,
    cost: { cpu: 0, memoryBytes: 0 },
  };
}

export function addTick(counted: Counted, tick: ViewTick): void {
  const { sums } = counted;
  // A clock that was set back would write over what is newer: its ticks count as of now.
  const at = Math.max(tick.at, counted.at);
  const begun = at - tick.seconds * 1000;
  if (counted.second === -1) counted.from = begun;
  const silence = (at - (counted.at || at)) / 1000 - tick.seconds;
  if (silence > leastGap) counted.gapSeconds += silence;
  counted.gap = tick.gap;
  counted.at = at;
  counted.seconds += tick.seconds;
  counted.cost = tick.cost;
  for (const part of ["seen", "counted", "other", "lost"] as const) sums[part] += tick[part];

  const parts = partsOf(begun, at);
  moveOn(counted, parts.at(-1)![0]);
  for (const [second, part] of parts) {
    if (second <= counted.second - minute) continue;
    counted.seen[second % minute]! += tick.seen * part;
    counted.covered[second % minute]! += tick.seconds * part;
  }
  let told = 0;
  for (const [labels, drops] of tick.drops) {
    told += drops;
    addDrops(counted, labels, drops, parts);
  }
  // What was counted, and isn't listed, wasn't told apart.
  const rest = tick.counted - told;
  if (rest > 0) addDrops(counted, counted.fields.map(() => null), rest, parts);
}

/**
 * The minute before the first tick, as somebody else counted it: a series for each combination. What is
 * `other` is in the series, under its reason; what is lost is in none.
 */
export function addPast(counted: Counted, drops: Drops): void {
  if (counted.second !== -1) return;
  const { sums } = counted;
  sums.seen += drops.total + drops.lost;
  sums.counted += Math.max(0, drops.total - drops.other);
  sums.other += drops.other;
  sums.lost += drops.lost;
  const seconds = drops.step / 1000;
  const series = [...drops.series, ...(drops.rest === null ? [] : [drops.rest])];
  const isKnown = (i: number): boolean =>
    series.some(({ values }) => typeof values[i] === "number");
  const steps = Math.max(0, ...series.map(({ values }) => values.length));
  if (steps === 0) return;
  const last = Math.floor((drops.from + steps * drops.step - 1) / 1000);
  counted.from = drops.from;
  counted.at = drops.from + steps * drops.step;
  counted.seconds += drops.seconds;
  moveOn(counted, last);
  // Values are rates of what was counted of a step, which may be less than all of it: only the totals
  // say how many drops these are.
  const parts = series.map(({ total, values }) => {
    const sum = values.reduce<number>((all, value) => all + (value ?? 0), 0);
    return sum > 0 ? total / sum : 0;
  });
  for (let i = 0; i < steps; i++) {
    if (!isKnown(i)) continue;
    const time = partsOf(drops.from + i * drops.step, drops.from + (i + 1) * drops.step);
    for (const [second, part] of time) {
      if (second > last - minute) counted.covered[second % minute]! += seconds * part;
    }
    for (const [at, { labels, values }] of series.entries()) {
      const n = (values[i] ?? 0) * parts[at]!;
      if (n === 0) continue;
      addDrops(counted, counted.fields.map((field) => labels[field] ?? null), n, time);
      for (const [second, part] of time) {
        if (second > last - minute) counted.seen[second % minute]! += n * part;
      }
    }
  }
}

/** The seconds from one time to another, and what part of the time lies in each. */
function partsOf(from: number, to: number): readonly (readonly [second: number, part: number])[] {
  const last = Math.max(0, Math.ceil(to / 1000) - 1);
  if (!(to > from)) return [[last, 1]];
  // Older ones would be written over at once.
  const first = Math.max(Math.floor(from / 1000), last - minute + 1);
  return Array.from({ length: Math.max(1, last - first + 1) }, (_, i) => {
    const second = first + i;
    const inside = Math.min(to, (second + 1) * 1000) - Math.max(from, second * 1000);
    return [second, inside / (to - from)];
  });
}

/** A new second begins empty. */
function moveOn(counted: Counted, second: number): void {
  const first = Math.max(counted.second + 1, second - minute + 1);
  for (let each = first; each <= second; each++) {
    counted.seen[each % minute] = 0;
    counted.covered[each % minute] = 0;
  }
  counted.second = Math.max(counted.second, second);
}

function addDrops(
  counted: Counted,
  labels: readonly HistoryLabel[],
  drops: number,
  parts: readonly (readonly [number, number])[],
): void {
  const entry = entryOf(counted, labels);
  entry.total += drops;
  const { second } = counted;
  for (let each = Math.max(entry.last + 1, second - minute + 1); each <= second; each++) {
    entry.drops[each % minute] = 0;
  }
  entry.last = second;
  for (const [each, part] of parts) {
    if (each > second - minute) entry.drops[each % minute]! += drops * part;
  }
}

function entryOf(counted: Counted, labels: readonly HistoryLabel[]): Entry {
  const { entries, second } = counted;
  const key = keyOf(labels);
  const known = entries.get(key);
  if (known !== undefined) return known;
  const none = labels.map(() => null);
  const noneKey = keyOf(none);
  if (key !== noneKey && entries.size >= mostKeys) {
    forgetQuiet(counted, noneKey);
    if (entries.size >= mostKeys) return entryOf(counted, none);
  }
  const entry = { labels, total: 0, drops: new Float64Array(minute), last: second };
  entries.set(key, entry);
  return entry;
}

/** What had no drops for a minute makes room: its total goes to those that aren't told apart. */
function forgetQuiet(counted: Counted, noneKey: string): void {
  const quiet = [...counted.entries].filter(([key, { last }]) =>
    key !== noneKey && last <= counted.second - minute
  );
  if (quiet.length === 0) return;
  const rest = entryOf(counted, counted.fields.map(() => null));
  for (const [key, { total }] of quiet) {
    counted.entries.delete(key);
    rest.total += total;
  }
}

/** Labels as the key of a map. */
export function keyOf(labels: readonly HistoryLabel[]): string {
  return JSON.stringify(labels);
}

/** How much of the second was counted, `ago` seconds before the last one. */
export function coveredAt(counted: Counted, ago: number): number {
  const second = counted.second - ago;
  return second < 0 || ago >= minute ? 0 : counted.covered[second % minute]!;
}

/** The drops of an entry in the second `ago` seconds before the last one. */
export function dropsAt(counted: Counted, entry: Entry, ago: number): number {
  const second = counted.second - ago;
  if (second < 0 || second > entry.last || second <= entry.last - minute) return 0;
  return entry.drops[second % minute]!;
}

/** How many of the last seconds make up "now": a second that is whole, or the one before it as well. */
export function nowSeconds(counted: Counted): number {
  return coveredAt(counted, 0) > 0.99 ? 1 : 2;
}

/**
 * Drops a second: now, over the last minute, and for each second of it since the beginning (null: nobody
 * counted).
 */
export function ratesOf(
  counted: Counted,
  at: (ago: number) => number,
): {
  readonly now: number;
  readonly average: number;
  readonly values: readonly (number | null)[];
} {
  let inMinute = 0;
  let seconds = 0;
  let inNow = 0;
  let nowCovered = 0;
  const until = nowSeconds(counted);
  const values: (number | null)[] = [];
  const begun = counted.second - Math.floor(counted.from / 1000);
  for (let ago = 0; ago < minute; ago++) {
    const covered = coveredAt(counted, ago);
    const drops = at(ago);
    inMinute += drops;
    seconds += covered;
    if (ago < until) {
      inNow += drops;
      nowCovered += covered;
    }
    if (ago <= begun) values.push(covered > 0 ? drops / covered : null);
  }
  return {
    now: nowCovered > 0 ? inNow / nowCovered : 0,
    average: seconds > 0 ? inMinute / seconds : 0,
    values: values.reverse(),
  };
}

/** The same of all drops, whatever their labels. */
export function allRates(counted: Counted): ReturnType<typeof ratesOf> {
  return ratesOf(
    counted,
    (ago) => counted.second - ago < 0 ? 0 : counted.seen[(counted.second - ago) % minute]!,
  );
}

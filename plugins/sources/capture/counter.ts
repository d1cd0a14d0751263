// Counts what a capture of version 2 tells, for a plan. What a key of the capture counts for is worked
// out once; from then on a count costs an addition for each map that has it.
import type { Drop } from "../../../core/drop/field.ts";
import { dropPlacer } from "../../../core/plan/label.ts";
import type { SeriesKey } from "../../../core/plan/key.ts";
import { mayBelong } from "../../../core/plan/plan.ts";
import type { Plan } from "../../../core/plan/plan.ts";
import type { ReasonWorld } from "../../../core/plan/predicate.ts";
import type { Counted, MapCounts } from "../../../core/watch/tick.ts";
import type { CapturedTick, CaptureKey } from "./reader.ts";

/** A series of one of the plan's maps, and what was counted of it since the last `take`. */
interface Series {
  readonly map: number;
  readonly key: SeriesKey;
  readonly sums: boolean;
  n: number;
  sum: number;
}

/** A reason, and its drops since the last `take`. */
interface ReasonSum {
  readonly id: number;
  n: number;
  /** Those of the tick that isn't closed, by their keys. */
  open: number;
}

/** What a key of a capture counts for. */
export interface KeyPlace {
  readonly drop: Drop;
  readonly reason: ReasonSum;
  readonly series: readonly Series[];
  /** What one drop adds to a sum, where the capture has no sums. */
  readonly each: number;
  /** Maps that have no room for it in this tick. */
  readonly full: readonly number[];
  /** Which of the counter's memories knows it. */
  readonly age: number;
}

export interface CaptureCounter {
  add(key: CaptureKey<KeyPlace>, n: number, sum: number): void;
  /** Tells what the counts since the last call are of. */
  close(tick: CapturedTick): void;
  /** All that was closed since the last call. */
  take(): CaptureCounts;
}

export interface CaptureCounts {
  readonly seen: number;
  readonly counted: number;
  readonly other: number;
  readonly lost: number;
  readonly reasons: Map<number, number>;
  readonly maps: MapCounts[];
}

export interface CounterOptions {
  readonly plan: Plan;
  readonly world: ReasonWorld;
  /** A drop with the labels of a key. */
  readonly dropOf: (labels: readonly string[]) => Drop;
  /** Whether the capture has sums; otherwise they follow from the drop's own length. */
  readonly sums: boolean;
  /** How many series are remembered, and how many there may be in a tick. */
  readonly maxSeries?: number;
}

const defaultMaxSeries = 1_000_000;

/** Makes a counter. */
export function captureCounter(options: CounterOptions): CaptureCounter {
  const { plan, world, dropOf, sums } = options;
  const maxSeries = options.maxSeries ?? defaultMaxSeries;
  const placeOf = dropPlacer(plan, world);
  const touched: Series[][] = plan.maps.map(() => []);
  const mapOther = plan.maps.map(() => 0);
  let touchedReasons: ReasonSum[] = [];
  let opened: ReasonSum[] = [];
  let known = plan.maps.map(() => new Map<string, Series>());
  let reasonSums = new Map<number, ReasonSum>();
  let told = new Map<string, ReasonSum>();
  let [size, age] = [0, 0];
  let [seen, other, lost] = [0, 0, 0];

  const reasonSum = (id: number): ReasonSum => {
    let found = reasonSums.get(id);
    if (found === undefined) reasonSums.set(id, found = { id, n: 0, open: 0 });
    return found;
  };

  const place = (labels: readonly string[]): KeyPlace => {
    const drop = dropOf(labels);
    const { reason, series } = placeOf(drop);
    const mine: Series[] = [];
    const full: number[] = [];
    for (const { map, key } of series) {
      const id = `${key.counts.join()}\n${key.text}`;
      let one = known[map]!.get(id);
      if (one === undefined && size < maxSeries) {
        one = { map, key, sums: plan.maps[map]!.sum !== undefined, n: 0, sum: 0 };
        known[map]!.set(id, one);
        size++;
      }
      if (one === undefined) full.push(map);
      else mine.push(one);
    }
    const each = sums ? 0 : Number(drop.len ?? 0) || 0;
    return { drop, reason: reasonSum(reason), series: mine, each, full, age };
  };

  const addReason = (sum: ReasonSum, n: number): void => {
    if (n === 0) return;
    if (sum.n === 0) touchedReasons.push(sum);
    sum.n += n;
    seen += n;
  };

  const toldSum = (name: string): ReasonSum => {
    let found = told.get(name);
    if (found === undefined) {
      told.set(name, found = reasonSum(placeOf({ reason: name } as Drop).reason));
    }
    return found;
  };

  return {
    add(key, n, sum) {
      let at = key.place;
      if (at === undefined || at.age !== age) at = key.place = place(key.labels);
      const { reason, series } = at;
      if (reason.open === 0) opened.push(reason);
      reason.open += n;
      for (let i = 0; i < series.length; i++) {
        const one = series[i]!;
        if (one.n === 0) touched[one.map]!.push(one);
        one.n += n;
        if (one.sums) one.sum += sums ? sum : n * at.each;
      }
      if (at.full.length === 0) return;
      other += n;
      for (const map of at.full) mapOther[map]! += n;
    },
    close(tick) {
      lost += tick.lost;
      if (tick.told === undefined) {
        for (const reason of opened) addReason(reason, reason.open);
        // Without even a reason nobody can say which map misses them.
        seen += tick.lost + tick.other;
        lost += tick.other;
      } else {
        const missing = plan.maps.map(() => 0);
        for (const [name, n] of tick.told.reasons) {
          const reason = toldSum(name);
          addReason(reason, n);
          const open = Math.max(0, n - reason.open);
          if (tick.other === 0 || open === 0) continue;
          missing.forEach((_, map) => {
            if (mayBelong(plan, map, reason.id)) missing[map]! += open;
          });
        }
        missing.forEach((n, map) => mapOther[map]! += Math.min(n, tick.other));
        seen += tick.told.missed;
        other += tick.other;
      }
      for (const reason of opened) reason.open = 0;
      opened = [];
    },
    take() {
      const lostAll = Math.min(seen, lost);
      const otherAll = Math.min(seen - lostAll, other);
      const counts: CaptureCounts = {
        seen,
        counted: seen - lostAll - otherAll,
        other: otherAll,
        lost: lostAll,
        reasons: new Map(touchedReasons.map(({ id, n }) => [id, n])),
        maps: touched.map((all, map) => ({
          entries: takeEntries(all),
          other: mapOther[map]!,
          lost: 0,
        })),
      };
      for (const reason of touchedReasons) reason.n = 0;
      touchedReasons = [];
      for (let map = 0; map < touched.length; map++) {
        touched[map]!.length = 0;
        mapOther[map] = 0;
      }
      [seen, other, lost] = [0, 0, 0];
      if (size > maxSeries / 2 || told.size > maxSeries / 2) {
        known = plan.maps.map(() => new Map());
        [reasonSums, told] = [new Map(), new Map()];
        [size, age] = [0, age + 1];
      }
      return counts;
    },
  };
}

function takeEntries(all: readonly Series[]): Counted[] {
  const entries = new Array<Counted>(all.length);
  for (let i = 0; i < all.length; i++) {
    const one = all[i]!;
    entries[i] = { key: one.key, n: one.n, sum: one.sum };
    one.n = 0;
    one.sum = 0;
  }
  return entries;
}

// What a source hands on at each tick: everything that happened since the one before.
import type { CounterReading } from "../drop/counter.ts";
import type { Drop } from "../drop/field.ts";
import type { KeptDrop, SeriesKey } from "../plan/key.ts";
import type { Plan } from "../plan/plan.ts";

/** How many drops had a key, and the sum where the map has one. */
export interface Counted {
  readonly key: SeriesKey;
  readonly n: number;
  readonly sum: number;
}

/** The counts of one map. */
export interface MapCounts {
  readonly entries: readonly Counted[];
  /** Drops that belong to the map and found no room in it. */
  readonly other: number;
  /** Drops that belong to the map and whose count never arrived. */
  readonly lost: number;
}

/**
 * The drops between two ticks. Always: seen = counted + other + lost, where a drop is counted when
 * every map that asks for it has it under its key.
 */
export interface Tick {
  /** When it was taken, in milliseconds since 1970. */
  readonly at: number;
  /** How long it covers. */
  readonly seconds: number;
  readonly seen: number;
  readonly counted: number;
  readonly other: number;
  readonly lost: number;
  /** Drops by the reason's number. */
  readonly reasons: ReadonlyMap<number, number>;
  /** By the map's id in the plan. */
  readonly maps: readonly MapCounts[];
  readonly samples: readonly Drop[];
  /** Drops that were kept whole, and how often each was. */
  readonly evidence?: readonly (KeptDrop & { readonly n: number })[] | undefined;
  /** How often TCP sent again, by flow (flowText in plan/key.ts). */
  readonly retransmits?: ReadonlyMap<string, number> | undefined;
  /** The kernel's own counters, where they were read at this tick. */
  readonly counters?: CounterReading | undefined;
  /** Lines of the source that couldn't be read. */
  readonly unreadable: number;
  /**
   * The source was not counting for so long; how many drops it missed nobody knows. While that lasts
   * there is such a tick each interval, and one that says it is over.
   */
  readonly gap?:
    | { readonly seconds: number; readonly why: string; readonly over: boolean }
    | undefined;
  /** What its maps are of, where the source was given another plan since it began (Source.replan). */
  readonly plan?: Plan | undefined;
}

/** What the ticks of a run come to. */
export interface TickSums {
  seconds: number;
  ticks: number;
  seen: number;
  counted: number;
  other: number;
  lost: number;
  /** How often the source had to be started again. */
  restarts: number;
}

/** The sums of a run that has had no tick. */
export function noTicks(): TickSums {
  return { seconds: 0, ticks: 0, seen: 0, counted: 0, other: 0, lost: 0, restarts: 0 };
}

/** Adds a tick to the sums of its run. */
export function addTick(sums: TickSums, tick: Tick): void {
  sums.ticks++;
  for (const name of ["seconds", "seen", "counted", "other", "lost"] as const) {
    sums[name] += tick[name];
  }
  if (tick.gap?.over === true) sums.restarts++;
}

/** Adds up seen, counted, other and lost, so that the sum always holds. */
export function tally(
  seen: number,
  maps: readonly MapCounts[],
  lost: number,
): { seen: number; counted: number; other: number; lost: number } {
  // A drop can have found no room in several maps: what can be vouched for is the rest.
  const sum = (pick: (map: MapCounts) => number): number =>
    maps.reduce((total, map) => total + pick(map), 0);
  const lostAll = Math.min(seen, lost + sum((map) => map.lost));
  const other = Math.min(seen - lostAll, sum((map) => map.other));
  return { seen, counted: seen - lostAll - other, other, lost: lostAll };
}

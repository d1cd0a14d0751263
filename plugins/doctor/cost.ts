// What the watch adds to a dropped packet, from the times of sends with it and without.

/** Nanoseconds. */
export interface Cost {
  /** One send to a socket that refuses it, without the watch. */
  readonly plain: number;
  /** What the watch adds to it. */
  readonly added: number;
}

/** The times of one run's slices. */
export type Slices = readonly number[];

/**
 * Runs without the watch and with it, of each the quickest by its lower quartile: what a neighbour of
 * this machine does makes some slices slow, or a whole run, and none fast.
 */
export function costOf(plain: readonly Slices[], watched: readonly Slices[]): Cost {
  const without = quickest(plain);
  return { plain: Math.round(without), added: Math.round(quickest(watched) - without) };
}

function quickest(runs: readonly Slices[]): number {
  return Math.min(...runs.map(lowerQuartile));
}

function lowerQuartile(values: Slices): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length / 4) - 1)] ?? 0;
}

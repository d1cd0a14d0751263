// What the watch adds to a dropped packet, from the times of sends with it and without.

/** Nanoseconds. */
export interface Cost {
  /** One send to a socket that refuses it, without the watch. */
  readonly plain: number;
  /** What the watch adds to it. */
  readonly added: number;
}

/**
 * Slices of both kinds, which are compared by their lower quartiles: what a neighbour of this machine
 * does makes some of them slow, and none fast.
 */
export function costOf(plain: readonly number[], watched: readonly number[]): Cost {
  const before = lowerQuartile(plain);
  return { plain: Math.round(before), added: Math.round(lowerQuartile(watched) - before) };
}

function lowerQuartile(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length / 4) - 1)] ?? 0;
}

/** Random numbers that are the same in every run: a property test that fails once fails again. */
export interface Random {
  /** A number from 0 to 1. */
  (): number;
  /** A whole number, both bounds in. */
  int(least: number, most: number): number;
  chance(probability: number): boolean;
  pick<T>(from: readonly T[]): T;
  /** Some of them, in their order; each with an even chance. */
  some<T>(from: readonly T[]): T[];
  shuffle<T>(items: readonly T[]): T[];
  bytes(length: number): Uint8Array;
}

/** Makes a generator (mulberry32) from a seed. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (least: number, most: number): number =>
    least + Math.floor(next() * (most - least + 1));
  return Object.assign(next, {
    int,
    chance: (probability: number) => next() < probability,
    pick: <T>(from: readonly T[]): T => from[int(0, from.length - 1)]!,
    some: <T>(from: readonly T[]): T[] => from.filter(() => next() < 0.5),
    shuffle<T>(items: readonly T[]): T[] {
      const mixed = [...items];
      for (let i = mixed.length - 1; i > 0; i--) {
        const j = int(0, i);
        [mixed[i], mixed[j]] = [mixed[j]!, mixed[i]!];
      }
      return mixed;
    },
    bytes: (length: number) => Uint8Array.from({ length }, () => int(0, 255)),
  });
}

// The time by which alerts are told: the machine's, or in a test one of its own.

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Runs something after so many milliseconds, unless what it returns is called before. */
  after(milliseconds: number, run: () => void): () => void;
}

/** The machine's time. */
export const machineClock: Clock = {
  now: () => Date.now(),
  after(milliseconds, run) {
    const timer = setTimeout(run, Math.min(milliseconds, 2 ** 31 - 1));
    return () => clearTimeout(timer);
  },
};

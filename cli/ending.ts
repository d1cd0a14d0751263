// When a run ends: at a signal, or so long after it began to count.

export interface Ending {
  readonly signal: AbortSignal;
  /** The run counts from now on: its duration begins. */
  begin(): void;
}

/** `duration` in milliseconds; without one only `signal` ends the run. */
export function endAfter(signal: AbortSignal, duration: number | undefined): Ending {
  const over = new AbortController();
  return {
    signal: AbortSignal.any([signal, over.signal]),
    begin() {
      // It must not keep alive a process whose source ended before.
      if (duration !== undefined) setTimeout(() => over.abort(), duration).unref();
    },
  };
}

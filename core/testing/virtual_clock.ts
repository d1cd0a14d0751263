// A time that goes by when a test says so: an hour takes no longer than what happens in it.
import type { Clock } from "../alert/clock.ts";

export interface VirtualClock extends Clock {
  /** Lets so many milliseconds go by, with all that is due in them. */
  advance(milliseconds: number): Promise<void>;
  /** Lets the time go by until a moment. */
  until(at: number): Promise<void>;
  /** Sets the clock, as somebody sets that of a machine: what waits for some time waits on for the rest of it. */
  set(at: number): void;
}

export function virtualClock(start: number): VirtualClock {
  let now = start;
  let timers: { readonly at: number; readonly run: () => void }[] = [];
  /** Lets everything happen that waits for no time. */
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  /** Milliseconds that the clock is ahead of the time that went by. */
  let ahead = 0;
  const until = async (end: number): Promise<void> => {
    await settle();
    for (;;) {
      const next = timers.reduce<(typeof timers)[number] | undefined>(
        (first, timer) => first === undefined || timer.at < first.at ? timer : first,
        undefined,
      );
      if (next === undefined || next.at > end) break;
      timers = timers.filter((timer) => timer !== next);
      now = Math.max(now, next.at);
      next.run();
      await settle();
    }
    now = end;
  };
  return {
    now: () => now + ahead,
    after(milliseconds, run) {
      const timer = { at: now + Math.max(0, milliseconds), run };
      timers.push(timer);
      return () => void (timers = timers.filter((each) => each !== timer));
    },
    advance: (milliseconds) => until(now + milliseconds),
    until: (at) => until(at - ahead),
    set: (at) => void (ahead = at - now),
  };
}

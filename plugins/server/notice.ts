// What the log is told of strangers: that a bound was hit, but not each time.

export interface Notices {
  /** Says it, unless something of that kind was said within the last minute. */
  say(kind: string, message: string): void;
}

const pause = 60_000;

/** `kind`s are a few, written in the code. */
export function makeNotices(log: (message: string) => void, now: () => number): Notices {
  const said = new Map<string, { at: number; left: number }>();
  return {
    say(kind, message) {
      const last = said.get(kind);
      if (last !== undefined && Math.abs(now() - last.at) < pause) {
        last.left++;
        return;
      }
      const left = last?.left ?? 0;
      said.set(kind, { at: now(), left: 0 });
      log(left === 0 ? message : `${message} (and ${left} times since that was said last)`);
    },
  };
}

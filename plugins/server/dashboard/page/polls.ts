// What is read again by itself: the stream tells of most, but not of each number that has grown.

export interface Poll {
  /** Milliseconds from one time to the next. */
  every(): number;
  /** Whether it is to be read at all now; where it wasn't for long, it is read at once when it is. */
  when(): boolean;
  run(): void;
}

/** Runs what is due each time it is called with the time, in milliseconds; the first time is `start`. */
export function makePolls(polls: readonly Poll[], start: number): (now: number) => void {
  const last = polls.map(() => start);
  return (now) => {
    polls.forEach(({ every, when, run }, i) => {
      if (now - last[i]! < every() || !when()) return;
      last[i] = now;
      run();
    });
  };
}

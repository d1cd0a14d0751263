// Alerts that come and go: after so many changes one is told as flapping, once, and held as it is until
// it has been quiet. Each time it flaps again it must be quiet for twice as long.
import type { Routing } from "./route.ts";

/** What is known of the changes of an alert; times in milliseconds since 1970. */
export interface Flap {
  /** When it changed lately, the oldest first. */
  times: readonly number[];
  /** When it changed last. */
  last: number;
  /** Until when it must be quiet; absent where it isn't flapping. */
  until?: number | undefined;
  /** How long it must be, or had to be, quiet; 0 where it hasn't flapped for long. */
  quiet: number;
}

/** After how many times of quiet it is forgotten that an alert flapped. */
const memory = 4;

type Settings = NonNullable<Routing["flapping"]>;

export function noFlap(): Flap {
  return { times: [], last: -Infinity, quiet: 0 };
}

/** Takes note of a change; true where the alert begins to flap. */
export function noteChange(flap: Flap, now: number, settings: Settings): boolean {
  const { changes, within, quiet, longest } = settings;
  const before = flap.last;
  flap.last = now;
  // A time that is yet to come is of a clock that was set back.
  flap.times = [...flap.times, now].filter((at) => at > now - within && at <= now).slice(-changes);
  if (flap.until !== undefined) {
    flap.until = now + flap.quiet;
    return false;
  }
  if (now - before > memory * Math.max(flap.quiet, quiet)) flap.quiet = 0;
  if (flap.times.length < changes) return false;
  flap.quiet = Math.min(longest, flap.quiet === 0 ? quiet : flap.quiet * 2);
  flap.until = now + flap.quiet;
  return true;
}

/** Whether what is known of the changes of an alert still matters for those to come. */
export function remembersChanges(flap: Flap, now: number, settings: Settings): boolean {
  const { within, quiet } = settings;
  const flapped = flap.quiet === 0 ? 0 : memory * Math.max(flap.quiet, quiet);
  return flap.until !== undefined || now - flap.last <= Math.max(within, flapped);
}

/** Whether an alert has just become quiet: from then on it is told as it is. */
export function becomesSteady(flap: Flap, now: number): boolean {
  if (flap.until === undefined) return false;
  flap.until = Math.min(flap.until, now + flap.quiet);
  if (now < flap.until) return false;
  flap.until = undefined;
  flap.times = [];
  return true;
}

// What happens to dropwatch itself, as rules see it: they count it as they count drops.
import type { Tick } from "./tick.ts";

/**
 * - `lost`, `other`: drops whose count never arrived, or that found no room in a map
 * - `refused`: drops that windows had no room for
 * - `down`: a tick in which the source didn't count
 * - `unreadable`: lines of the source that couldn't be read
 * - `ruleError`: code of a rule failed; `ruleDisabled`: it isn't run any more, at each tick
 * - `reloadFailed`: at each tick, a rule file that couldn't be loaded as it is now
 * - `sinkFailing`: at each tick, a sink that has failed several times in a row; `sinkDisabled`: one that is
 *   gone for good; `throttled`: one that takes less than there is to tell
 * - `undelivered`: a message was given up
 * - `stateFailed`: at each tick, the state can't be saved
 */
export const healthEvents = [
  "lost",
  "other",
  "refused",
  "down",
  "unreadable",
  "ruleError",
  "ruleDisabled",
  "reloadFailed",
  "sinkFailing",
  "sinkDisabled",
  "throttled",
  "undelivered",
  "stateFailed",
] as const;
export type HealthEvent = (typeof healthEvents)[number];

/** What is known of such an event: the rule, the file or the sink it is about, and why. */
export const healthFields = ["event", "rule", "file", "sink", "why"] as const;
export type HealthField = (typeof healthFields)[number];

/** Something that happened, `n` times. */
export interface Happened {
  readonly event: HealthEvent;
  readonly rule?: string;
  readonly file?: string;
  readonly sink?: string;
  readonly why?: string;
  readonly n: number;
}

/** What a tick itself tells. */
export function happenedIn(tick: Tick): Happened[] {
  const happened: Happened[] = [];
  if (tick.lost > 0) happened.push({ event: "lost", n: tick.lost });
  if (tick.other > 0) happened.push({ event: "other", n: tick.other });
  if (tick.unreadable > 0) happened.push({ event: "unreadable", n: tick.unreadable });
  if (tick.gap !== undefined) happened.push({ event: "down", why: tick.gap.why, n: 1 });
  return happened;
}

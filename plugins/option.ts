// The options of a sink or of an exporter: what they may be, and what is said of one that can't be used.
import * as v from "valibot";
import { badSinkOption, unknownSinkOption } from "../core/error.ts";
import { nearest } from "../core/nearest.ts";
import { milliseconds } from "../core/rule/duration.ts";
import type { Duration } from "../core/rule/duration.ts";

/** The schema of how often something is to be done again and again. */
export const everySchema: v.GenericSchema<unknown, Duration> = v.custom<Duration>((every) => {
  if (typeof every !== "string") return false;
  try {
    const ms = milliseconds(every);
    return ms >= 1000 && ms <= 86_400_000;
  } catch {
    return false;
  }
}, "a duration from 1s to 1d");

/** The schema of by what others call it. */
export const nameSchema: v.GenericSchema<unknown, string> = v.pipe(
  v.string("a name"),
  v.regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/, "a name of letters, digits, _ and -"),
);

/**
 * Checks the options of what is called `name`, by a schema for each, whose message says what it may be.
 *
 * @throws DropwatchError UNKNOWN_SINK_OPTION, BAD_SINK_OPTION.
 */
export function checkOptions(name: string, entries: v.ObjectEntries, options: unknown): object {
  if (typeof options !== "object" || options === null) {
    throw badSinkOption(name, "it needs its options as an object");
  }
  const odd = Object.keys(options).find((key) => !Object.hasOwn(entries, key));
  if (odd !== undefined) {
    throw unknownSinkOption(name, odd, nearest(odd, Object.keys(entries)));
  }
  const result = v.safeParse(v.object(entries), options);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue) ?? "";
  // The value may be a secret that stands in the wrong place: it isn't shown.
  const what = issue.input === undefined ? "is missing" : "can't be used";
  throw badSinkOption(name, `its ${path} ${what}: expected ${issue.message}`);
}

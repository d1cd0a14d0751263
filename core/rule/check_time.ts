// A length of time in a rule, checked.
import { ruleMistake } from "../error.ts";
import type { DropwatchError } from "../error.ts";
import type { CheckContext } from "./check_context.ts";
import { milliseconds } from "./duration.ts";
import { findValue, written } from "./find_value.ts";

/** Milliseconds that are a multiple of the interval, and at most a day. */
export function timeOf(
  name: string,
  text: unknown,
  at: string,
  context: CheckContext,
  errors: DropwatchError[],
): number {
  const problem = (expected: string): void => {
    errors.push(ruleMistake(findValue(context, at, text), `bad ${name}`, text, expected));
  };
  let time = 0;
  try {
    time = milliseconds(written(text));
  } catch {
    problem(`expected a duration such as "10s"`);
    return time;
  }
  if (time < context.interval || time % context.interval !== 0) {
    problem(`expected a multiple of the interval, ${context.interval} ms (--interval)`);
  }
  if (time > 24 * 3_600_000) problem("expected at most 24h");
  return time;
}

// A rule of code, checked: what it looks at, and which functions it has.
import type { FieldName } from "../drop/field.ts";
import type { DropwatchError } from "../error.ts";
import type { Checked, RuleContext } from "./check_context.ts";
import { checkStream } from "./check_stream.ts";
import { timeOf } from "./check_time.ts";
import type { CheckedCondition } from "./checked.ts";
import { isQuery } from "./host_message.ts";
import type { UncheckedRule } from "./host_message.ts";
import type { QueryData } from "./query.ts";
import { isFunctionMark } from "./rule.ts";

/** Tells a mistake in a rule, at its place. */
export type Tell = (
  what: string,
  value: unknown,
  expected: string,
  names?: readonly string[],
  at?: string,
) => void;

/** Checks what a rule has in place of a condition. */
export function checkCode(
  raw: UncheckedRule,
  context: RuleContext,
  errors: DropwatchError[],
  mistake: Tell,
): Checked<{ condition: CheckedCondition }> | undefined {
  const before = errors.length;
  if (!isQuery(raw.on)) {
    mistake("bad on", raw.on, 'expected drops by fields, such as drops.by("saddr", "dport")');
    return undefined;
  }
  for (const name of ["each", "tick"] as const) {
    if (raw[name] !== undefined && !isFunctionMark(raw[name])) {
      mistake(`bad ${name}`, raw[name], "expected a function");
    }
  }
  if (raw.each === undefined && raw.tick === undefined) {
    mistake("bad on", "on", 'expected a function "each", "tick", or both');
  }
  checkState(raw.state, mistake);
  const every = raw.every === undefined
    ? context.interval
    : timeOf("every", raw.every, raw.at, context, errors);
  const checked = checkStream(raw.on as QueryData, raw.at, context, errors);
  if (checked !== undefined && !("count" in checked)) {
    mistake("bad on", "health", "expected drops: code sees what happens to them only");
  }
  if (raw.every !== undefined && raw.tick === undefined) {
    mistake("bad every", raw.every, 'it goes with "tick"');
  }
  const by: FieldName[] = [];
  if (checked === undefined) return undefined;
  for (const name of Array.isArray(raw.by) ? raw.by as unknown[] : [raw.by]) {
    if ((checked.by as readonly unknown[]).includes(name)) {
      if (by.includes(name as FieldName)) mistake("field twice", name, '"by" has it already');
      else by.push(name as FieldName);
    } else {
      mistake(
        "bad by",
        name ?? "nothing",
        `expected a list of fields that "on" is by: ${checked.by.join(", ")}`,
      );
    }
  }
  if (errors.length > before || !("count" in checked)) return undefined;
  const [each, tick] = [raw.each !== undefined, raw.tick !== undefined];
  return { condition: { is: "code", stream: checked, by, every, each, tick }, by };
}

function checkState(state: unknown, mistake: Tell): void {
  if (state === undefined) return;
  if (
    typeof state !== "object" || state === null || Array.isArray(state) || isFunctionMark(state)
  ) {
    return mistake("bad state", state, "expected { version, init, migrate }");
  }
  const { version, init, migrate, ...rest } = state as Readonly<Record<string, unknown>>;
  const [stranger] = Object.keys(rest);
  if (stranger !== undefined) {
    mistake("unknown key", stranger, "a state has version, init and migrate");
  }
  if (typeof version !== "number" || !Number.isInteger(version) || version < 1) {
    mistake("bad version", version, "expected a whole number from 1 on");
  }
  if (!isFunctionMark(init)) mistake("bad init", init, "expected a function");
  if (migrate !== undefined && !isFunctionMark(migrate)) {
    mistake("bad migrate", migrate, "expected a function");
  }
}

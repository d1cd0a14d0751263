// A case of a rule's test: what is dropped, and what must be said of it. The time is the case's own, so
// that an hour takes no longer than its ticks.
import * as v from "valibot";
import { fieldNames } from "../drop/field.ts";
import type { FieldName, FieldValue } from "../drop/field.ts";
import { badRuleTest } from "../error.ts";
import { nearest } from "../nearest.ts";
import { milliseconds } from "../rule/duration.ts";
import type { Duration } from "../rule/duration.ts";
import { ruleMark } from "../rule/rule.ts";
import type { Rule } from "../rule/rule.ts";
import { healthEvents, healthFields } from "../watch/health.ts";
import type { HealthEvent } from "../watch/health.ts";

/** A time of a case: how long after its beginning. */
export type At = Duration | 0;

/** A packet: what isn't given it doesn't tell. */
export type DropGiven = { readonly [F in FieldName]?: FieldValue<F> | "" };

/** Something that happened to dropwatch. */
export interface HealthGiven {
  readonly event: HealthEvent;
  readonly rule?: string;
  readonly file?: string;
  readonly why?: string;
}

/** What happens in a case. */
export type Given =
  /** So many drops at once. */
  | { readonly at: At; readonly drop: DropGiven; readonly count: number }
  /** Drops that go on: so many a second. */
  | { readonly from: At; readonly to: At; readonly drop: DropGiven; readonly rate: number }
  /** Drops that were seen and whose count never arrived, or that found no room in a map. */
  | { readonly at: At; readonly lost?: number; readonly other?: number }
  /** The source doesn't count for so long. */
  | { readonly at: At; readonly gap: Duration }
  /** dropwatch is killed, and started again with the same `--state`. */
  | { readonly at: At; readonly restart: true }
  /** The rule's file is saved as this. */
  | { readonly at: At; readonly reload: Rule | readonly Rule[] }
  /** Something happens to dropwatch, once or at each tick. */
  | { readonly at: At; readonly health: HealthGiven; readonly count?: number }
  | { readonly from: At; readonly to: At; readonly health: HealthGiven };

/** What must be so after the tick at a time. */
export interface Expected {
  readonly at: At;
  /** `inactive`: there is no such alert, neither pending nor firing. */
  readonly state: "inactive" | "pending" | "firing";
  /** Which alert, where the rule makes several: some of its labels. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Which rule, where several are tested. */
  readonly alert?: string;
  readonly value?: number;
  readonly peak?: number;
  readonly total?: number;
  readonly exact?: boolean;
  readonly summary?: string | RegExp;
  readonly description?: string | RegExp;
}

export interface RuleCase {
  /** What it promises; no other case of the test may promise the same. */
  readonly name: string;
  readonly given: readonly Given[];
  readonly expect: readonly Expected[];
  /** Between two ticks: "1s". */
  readonly interval?: Duration;
}

const At = v.pipe(
  v.union([v.literal(0), v.string()], `a time such as "10s", or 0`),
  v.check((at) => {
    try {
      return at === 0 || milliseconds(at) > 0;
    } catch {
      return false;
    }
  }, `a time such as "10s", or 0`),
);
const count = v.pipe(v.number("a number"), v.minValue(0, "a number of 0 or more"));
const whole = v.pipe(count, v.integer("a whole number"));
const value = v.union([v.string(), v.number()], "a text or a number");
const Drop = v.strictObject(
  Object.fromEntries(fieldNames.map((name) => [name, v.optional(value)])),
  "fields of a drop",
);
const Health = v.strictObject({
  ...Object.fromEntries(healthFields.map((name) => [name, v.optional(v.string())])),
  event: v.picklist(healthEvents, `one of ${healthEvents.join(", ")}`),
}, "what happened: { event: … }");
const isRule = (given: unknown): boolean =>
  typeof given === "object" && given !== null && ruleMark in given;
const Reload = v.pipe(
  v.custom<unknown>((given) => [given].flat().every(isRule), "a rule, or a list of rules"),
);
const text = v.optional(v.union([v.string(), v.instance(RegExp)], "a text or a pattern"));

/** By the key that tells them apart. */
const givenShapes = {
  count: v.strictObject({ at: At, drop: Drop, count: whole }),
  rate: v.strictObject({ from: At, to: At, drop: Drop, rate: count }),
  lost: v.strictObject({ at: At, lost: v.optional(whole), other: v.optional(whole) }),
  gap: v.strictObject({ at: At, gap: v.string() }),
  restart: v.strictObject({ at: At, restart: v.literal(true) }),
  reload: v.strictObject({ at: At, reload: Reload }),
  health: v.union([
    v.strictObject({ at: At, health: Health, count: v.optional(whole) }),
    v.strictObject({ from: At, to: At, health: Health }),
  ], "at, or from and to"),
};

function shapeOf(given: unknown): v.GenericSchema<unknown> {
  const keys = typeof given === "object" && given !== null ? Object.keys(given) : [];
  if (keys.includes("health")) return givenShapes.health;
  if (keys.includes("rate")) return givenShapes.rate;
  if (keys.includes("gap")) return givenShapes.gap;
  if (keys.includes("restart")) return givenShapes.restart;
  if (keys.includes("reload")) return givenShapes.reload;
  if (keys.includes("lost") || keys.includes("other")) return givenShapes.lost;
  return givenShapes.count;
}

const Expectation = v.strictObject({
  at: At,
  state: v.picklist(["inactive", "pending", "firing"], "inactive, pending or firing"),
  labels: v.optional(v.record(v.string(), v.string("a text"), "labels with texts")),
  alert: v.optional(v.string()),
  value: v.optional(v.number("a number")),
  peak: v.optional(v.number("a number")),
  total: v.optional(v.number("a number")),
  exact: v.optional(v.boolean("true or false")),
  summary: text,
  description: text,
});

const Case = v.strictObject({
  name: v.pipe(v.string("a text"), v.minLength(1, "a text")),
  given: v.array(v.unknown(), "a list"),
  expect: v.pipe(v.array(Expectation, "a list"), v.minLength(1, "at least one expectation")),
  interval: v.optional(v.string()),
}, "{ name, given, expect }");

/**
 * Checks the cases of a test.
 *
 * @throws DropwatchError BAD_RULE_TEST, with the case and the key.
 */
export function readCases(cases: unknown): readonly RuleCase[] {
  if (!Array.isArray(cases) || cases.length === 0) {
    throw badRuleTest("the cases", cases, "expected a list with at least one case");
  }
  const names = new Set<string>();
  cases.forEach((each: unknown, i) => {
    const name = (each as { name?: unknown } | null)?.name;
    const where = typeof name === "string" ? `the case "${name}"` : `case ${i + 1}`;
    parse(Case, each, where);
    (each as RuleCase).given.forEach((given, at) =>
      parse(shapeOf(given), given, `${where}, given ${at + 1}`)
    );
    if (names.has(name as string)) {
      throw badRuleTest(where, name, "two cases have this name");
    }
    names.add(name as string);
  });
  return cases as readonly RuleCase[];
}

/** Every key that a case can have somewhere. */
const knownKeys: readonly string[] = [
  ...Object.keys(Case.entries),
  ...Object.keys(Expectation.entries),
  ...["from", "to", "at", "drop", "count", "rate", "lost", "other", "gap", "restart", "reload"],
  ...["health", ...healthFields],
  ...fieldNames,
];

function parse(schema: v.GenericSchema<unknown>, value: unknown, where: string): void {
  const result = v.safeParse(schema, value);
  if (result.success) return;
  const issue = result.issues[0];
  const path = v.getDotPath(issue) ?? "";
  if (issue.type === "strict_object" && issue.expected === "never") {
    const key = path.split(".").at(-1)!;
    throw badRuleTest(where, key, "there is no such key", nearest(key, knownKeys));
  }
  throw badRuleTest(
    `${where}${path === "" ? "" : `, ${path}`}`,
    issue.input,
    `expected ${issue.message}`,
  );
}

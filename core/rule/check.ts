// From what a rule says to what can be watched, with an error for each mistake: its file, line and
// column, the value, and what would be right.
import { fieldNames, fieldOf, isFieldName } from "../drop/field.ts";
import type { FieldName, SummableField } from "../drop/field.ts";
import { ruleMistake, unavailableField } from "../error.ts";
import type { DropwatchError, Place } from "../error.ts";
import { nearest } from "../nearest.ts";
import type { Count } from "../plan/plan.ts";
import { readPredicate } from "../plan/predicate.ts";
import type { SourceFacts } from "../watch/source.ts";
import type { Bundle } from "./bundle.ts";
import { milliseconds } from "./duration.ts";
import { isCondition } from "./host_message.ts";
import type { UncheckedRule } from "./host_message.ts";
import type { ConditionData, QueryData, ValueData } from "./query.ts";
import { textNames } from "./rule.ts";
import type { Severity, TextName } from "./rule.ts";

/** A count over a window (milliseconds). */
export interface Aggregate {
  readonly aggregate: "count" | "rate" | "sum";
  readonly window: number;
  readonly count: Count;
}

/** A value that is worked out at each tick. */
export type Value =
  | Aggregate
  | { readonly part: Value; readonly whole: Value; readonly min: number };

/** The counts that a value is worked out from; the first one is what it is about. */
export function leavesOf(value: Value): [Aggregate, ...Aggregate[]] {
  return "part" in value ? [...leavesOf(value.part), ...leavesOf(value.whole)] : [value];
}

/** A condition, checked. */
export interface CheckedCondition {
  readonly is: "above" | "below";
  readonly threshold: number;
  readonly recovery: number;
  readonly value: Value;
}

/** A rule, checked: it can be planned and watched. */
export interface CheckedRule {
  readonly file: string;
  /** Its place among the rules of its file. */
  readonly index: number;
  readonly place: Place;
  readonly alert: string;
  readonly condition: CheckedCondition;
  /** The labels of its series, in the order in which the rule has them. */
  readonly by: readonly FieldName[];
  readonly for: number;
  readonly keepFiringFor: number;
  readonly severity: Severity;
  readonly labels: Readonly<Record<string, string>>;
  readonly texts: { readonly [N in TextName]?: string | { readonly function: true } };
  readonly runbook: string | undefined;
}

const severities = ["critical", "warning", "info"] as const;
const maxBy = 8;
const reservedLabels = ["alertname", "severity"];

/** What the check is made against. */
export interface CheckContext {
  readonly file: string;
  readonly index: number;
  readonly bundle: Bundle;
  /** The text of a file, to find the line in which a value stands; "" where it can't be read. */
  readonly source: (file: string) => string;
  readonly facts: SourceFacts;
  readonly interval: number;
}

/** Checks one rule. Either there are errors, or a rule. */
export function checkRule(
  raw: UncheckedRule,
  context: CheckContext,
): { rule?: CheckedRule; errors: DropwatchError[] } {
  const errors: DropwatchError[] = [];
  const place = (at: string, value?: unknown, key?: string): Place =>
    findValue(context, at, value, key);
  const mistake = (
    what: string,
    value: unknown,
    expected: string,
    names: readonly string[] = [],
    at: string = raw.at,
  ): void => {
    errors.push(ruleMistake(place(at, value), what, value, expected, names));
  };

  for (const key of raw.unknown) {
    const keys = [
      "alert",
      "when",
      "for",
      "keepFiringFor",
      "severity",
      "labels",
      "summary",
      "description",
      "runbook",
    ];
    mistake("unknown key", key, "a rule has no such key", nearest(key, keys));
  }
  const alert = raw.alert;
  if (typeof alert !== "string" || !/^[A-Za-z_][A-Za-z0-9_]{0,99}$/.test(alert)) {
    mistake("bad alert name", alert, "expected letters, digits and _, as in SocketFilterDrops");
  }
  const duration = (name: string, value: unknown): number => {
    if (value === undefined) return 0;
    try {
      return milliseconds(String(value));
    } catch {
      mistake(`bad ${name}`, value, `expected a duration such as "30s"`);
      return 0;
    }
  };
  const severity = raw.severity === undefined ? "warning" : raw.severity;
  if (!severities.includes(severity as Severity)) {
    mistake(
      "bad severity",
      severity,
      "expected critical, warning or info",
      nearest(String(severity), severities),
    );
  }
  const labels = raw.labels === undefined ? {} : raw.labels;
  if (typeof labels !== "object" || labels === null || Array.isArray(labels)) {
    mistake("bad labels", labels, `expected an object such as { team: "storage" }`);
  } else {
    for (const [name, value] of Object.entries(labels)) {
      const bad = (what: string, value: unknown, expected: string): void => {
        errors.push(ruleMistake(place(raw.at, value, "labels"), what, value, expected));
      };
      if (typeof value !== "string") bad(`bad label ${name}`, value, "expected a text");
      if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) {
        bad("bad label name", name, "expected letters, digits and _");
      }
      if (reservedLabels.includes(name)) bad("bad label name", name, "it is set by dropwatch");
    }
  }
  for (const text of textNames) {
    const value = raw[text];
    if (value !== undefined && typeof value !== "string" && !isFunctionMark(value)) {
      mistake(`bad ${text}`, value, "expected a text or a function that returns one");
    }
  }
  if (raw.runbook !== undefined && !isUrl(raw.runbook)) {
    mistake("bad runbook", raw.runbook, "expected an http or https URL");
  }
  const condition = isCondition(raw.when)
    ? checkCondition(raw.when as ConditionData, context, errors)
    : void mistake(
      "bad when",
      raw.when ?? "nothing",
      'expected a condition such as drops.rate("10s").above(100)',
    );
  const by = condition === undefined ? [] : condition.by;
  for (const name of Object.keys(labels ?? {})) {
    if ((by as readonly string[]).includes(name)) {
      errors.push(
        ruleMistake(
          place(raw.at, name, "labels"),
          "bad label name",
          name,
          `"by" gives the alert this label already`,
        ),
      );
    }
  }
  const forMs = duration("for", raw.for);
  const keep = duration("keepFiringFor", raw.keepFiringFor);
  if (errors.length > 0 || condition === undefined) return { errors };
  const texts: { [N in TextName]?: string | { readonly function: true } } = {};
  for (const name of textNames) {
    const text = raw[name];
    if (text !== undefined) texts[name] = text as string | { function: true };
  }
  return {
    errors,
    rule: {
      file: context.file,
      index: context.index,
      place: place(raw.at),
      alert: alert as string,
      condition: condition.condition,
      by,
      for: forMs,
      keepFiringFor: keep,
      severity: severity as Severity,
      labels: labels as Record<string, string>,
      texts,
      runbook: raw.runbook as string | undefined,
    },
  };
}

function isFunctionMark(value: unknown): boolean {
  return typeof value === "object" && value !== null && "function" in value;
}

function isUrl(value: unknown): boolean {
  return typeof value === "string" && URL.canParse(value) &&
    /^https?:$/.test(new URL(value).protocol);
}

/** A rule is rarely longer: a value that stands farther from its call is another rule's. */
const longestRule = 40;

/**
 * Where `value` stands in the source, looked for from the place of the call that holds it, and
 * behind the first `key` after it where one is given.
 */
function findValue(context: CheckContext, at: string, value: unknown, key?: string): Place {
  const place = context.bundle.place(at);
  if (value === undefined || place.line === undefined) return place;
  const lines = context.source(place.file).split("\n").slice(0, place.line + longestRule);
  const find = (wanted: string, from: { line: number; column: number }) => {
    const bare = wanted.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const pattern = new RegExp(`(?<![\\w.$"'\`])(["'\`]?)${bare}\\1(?![\\w.$"'\`])`, "g");
    for (let line = from.line; line < lines.length; line++) {
      pattern.lastIndex = line === from.line ? from.column : 0;
      const match = pattern.exec(lines[line]!);
      if (match !== null) return { line, column: match.index };
    }
    return undefined;
  };
  let from = { line: place.line - 1, column: Math.max(0, (place.column ?? 1) - 1) };
  if (key !== undefined) from = find(key, from) ?? from;
  const text = typeof value === "string" ? value : String(value);
  const found = text === "" ? undefined : find(text, from);
  return found === undefined
    ? place
    : { file: place.file, line: found.line + 1, column: found.column + 1 };
}

function checkCondition(
  data: ConditionData,
  context: CheckContext,
  errors: DropwatchError[],
): { condition: CheckedCondition; by: FieldName[] } | undefined {
  const before = errors.length;
  const problem = (at: string, what: string, value: unknown, expected: string): void => {
    errors.push(ruleMistake(findValue(context, at, value), what, value, expected));
  };
  const { is, threshold, recovery = threshold } = data;
  const numbers = [["threshold", threshold], ["recovery", data.recovery]] as const;
  for (const [name, number] of numbers) {
    if (name === "recovery" && number === undefined) continue;
    if (typeof number !== "number" || !Number.isFinite(number) || number < 0) {
      problem(data.at, `bad ${name}`, number, "expected a number of 0 or more");
    }
  }
  if (is === "above" ? recovery > threshold : recovery < threshold) {
    problem(
      data.at,
      "bad recovery",
      recovery,
      `expected ${is === "above" ? "at most" : "at least"} the threshold, ${threshold}`,
    );
  }
  const value = checkValue(data.value, context, errors);
  if (value === undefined || errors.length > before) return undefined;
  return { condition: { is, threshold, recovery, value: value.value }, by: value.by };
}

function checkValue(
  data: ValueData,
  context: CheckContext,
  errors: DropwatchError[],
): { value: Value; by: FieldName[] } | undefined {
  const problem = (
    at: string,
    what: string,
    value: unknown,
    expected: string,
    names: readonly string[] = [],
  ): void => {
    errors.push(ruleMistake(findValue(context, at, value), what, value, expected, names));
  };
  if ("share" in data) {
    const part = checkValue(data.share[0], context, errors);
    const whole = checkValue(data.share[1], context, errors);
    if (typeof data.min !== "number" || !(data.min >= 0)) {
      problem(data.at, "bad min", data.min, "expected a number of 0 or more");
    }
    if (part === undefined || whole === undefined) return undefined;
    const same = [...whole.by].sort().join() === [...part.by].sort().join();
    if (whole.by.length > 0 && !same) {
      problem(
        data.at,
        "bad over()",
        whole.by.join(", "),
        `expected a whole without by(), or by the same fields as the part: ${part.by.join(", ")}`,
      );
      return undefined;
    }
    return { value: { part: part.value, whole: whole.value, min: data.min }, by: part.by };
  }
  const before = errors.length;
  let window = 0;
  try {
    window = milliseconds(String(data.window));
    if (window < context.interval || window % context.interval !== 0) {
      problem(
        data.at,
        "bad window",
        data.window,
        `expected a multiple of the interval, ${context.interval} ms (--interval)`,
      );
    }
    if (window > 24 * 3_600_000) {
      problem(data.at, "bad window", data.window, "expected at most 24h");
    }
  } catch {
    problem(data.at, "bad window", data.window, `expected a duration such as "10s"`);
  }
  if (
    data.aggregate === "sum" &&
    !(isFieldName(String(data.field)) && fieldOf(data.field as FieldName).sums)
  ) {
    const summable = fieldNames.filter((name) => fieldOf(name).sums);
    problem(
      data.at,
      "bad field to sum",
      data.field,
      `expected one of ${summable.join(", ")}`,
      nearest(String(data.field), summable),
    );
  }
  const query = checkQuery(data.query, data.at, context, errors);
  if (errors.length > before || query === undefined) return undefined;
  const count: Count = {
    predicate: query.predicate,
    by: query.by,
    sum: data.aggregate === "sum" ? data.field as SummableField : undefined,
  };
  return { value: { aggregate: data.aggregate, window, count }, by: query.by };
}

function checkQuery(
  query: QueryData,
  at: string,
  context: CheckContext,
  errors: DropwatchError[],
): { predicate: Count["predicate"]; by: FieldName[] } | undefined {
  const before = errors.length;
  const start = query.at[0] ?? at;
  const wheres = query.where.filter((where: unknown) => {
    const good = typeof where === "object" && where !== null && !Array.isArray(where);
    if (!good) {
      const place = findValue(context, start, where);
      errors.push(ruleMistake(place, "bad where", where, "expected an object of fields"));
    }
    return good;
  });
  const { predicate, mistakes } = readPredicate(wheres, context.facts.world);
  for (const { what, value, expected, nearest: names } of mistakes) {
    errors.push(ruleMistake(findValue(context, start, value), what, value, expected, names));
  }
  const by: FieldName[] = [];
  for (const name of query.by) {
    if (typeof name !== "string" || !isFieldName(name)) {
      errors.push(
        ruleMistake(
          findValue(context, start, name),
          "unknown field",
          name,
          "there is no such field to count by",
          nearest(String(name), fieldNames),
        ),
      );
    } else if (by.includes(name)) {
      errors.push(
        ruleMistake(findValue(context, start, name), "field twice", name, "by() has it already"),
      );
    } else by.push(name);
  }
  if (by.length > maxBy) {
    errors.push(
      ruleMistake(
        findValue(context, start, undefined),
        "too many fields",
        by.length,
        `expected at most ${maxBy} in by()`,
      ),
    );
  }
  const used = new Set<FieldName>([...by, ...predicate.map(({ field }) => field)]);
  for (const field of used) {
    const why = context.facts.unavailable(field);
    if (why !== undefined) {
      errors.push(unavailableField(findValue(context, start, field), field, why));
    }
  }
  return errors.length > before ? undefined : { predicate, by };
}

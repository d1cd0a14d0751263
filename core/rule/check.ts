// From what a rule says to what can be watched, with an error for each mistake: its file, line and
// column, the value, and what would be right.
import { fieldNames, fieldOf, isFieldName } from "../drop/field.ts";
import type { FieldName, SummableField } from "../drop/field.ts";
import { ruleMistake, unavailableField } from "../error.ts";
import type { DropwatchError, Place } from "../error.ts";
import { nearest } from "../nearest.ts";
import { readPredicate } from "../plan/predicate.ts";
import type { SourceFacts } from "../watch/source.ts";
import { healthEvents, healthFields } from "../watch/health.ts";
import type { HealthField } from "../watch/health.ts";
import type { Bundle } from "./bundle.ts";
import type {
  CheckedCondition,
  CheckedRule,
  DropStream,
  Filter,
  HealthStream,
  Leaf,
  Stream,
  Value,
} from "./checked.ts";
import { milliseconds } from "./duration.ts";
import { isCondition, isQuery } from "./host_message.ts";
import type { UncheckedRule } from "./host_message.ts";
import type { ConditionData, QueryData, ValueData } from "./query.ts";
import { ruleKeys, textNames } from "./rule.ts";
import type { FunctionMark, Mode, Severity } from "./rule.ts";

type Label = FieldName | HealthField;

const severities = ["critical", "warning", "info"] as const;
const modes = ["alert", "shadow"] as const;
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
    mistake("unknown key", key, "a rule has no such key", nearest(key, ruleKeys));
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
  const mode = raw.mode === undefined ? "alert" : raw.mode;
  if (!modes.includes(mode as Mode)) {
    mistake("bad mode", mode, "expected alert or shadow", nearest(String(mode), modes));
  }
  const condition = conditionOf(raw, context, errors, mistake);
  const by = condition?.by ?? [];
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
  if (forMs > 0 && condition?.condition.is === "first") {
    mistake("bad for", raw.for, "first() holds for one tick: leave it out, or use keepFiringFor");
  }
  if (errors.length > 0 || condition === undefined) return { errors };
  const texts: { [N in (typeof textNames)[number]]?: string | FunctionMark } = {};
  for (const name of textNames) {
    const text = raw[name];
    if (text !== undefined) texts[name] = text as string | FunctionMark;
  }
  return {
    errors,
    rule: {
      file: context.file,
      bundle: context.bundle.id,
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
      mode: mode as Mode,
    },
  };
}

type Tell = (
  what: string,
  value: unknown,
  expected: string,
  names?: readonly string[],
  at?: string,
) => void;

/** What a rule looks at: a condition, or drops for its code. */
function conditionOf(
  raw: UncheckedRule,
  context: CheckContext,
  errors: DropwatchError[],
  mistake: Tell,
): { condition: CheckedCondition; by: readonly Label[] } | undefined {
  const before = errors.length;
  if (raw.on === undefined) {
    for (const name of ["by", "state", "each", "every", "tick"] as const) {
      if (raw[name] !== undefined) mistake(`bad ${name}`, name, 'it goes with "on"');
    }
    if (!isCondition(raw.when)) {
      mistake(
        "bad when",
        raw.when ?? "nothing",
        'expected a condition such as drops.rate("10s").above(100)',
      );
    }
    if (errors.length > before) return undefined;
    return checkCondition(raw.when as ConditionData, { ...context, filters: [] }, errors);
  }
  if (raw.when !== undefined) mistake("bad when", "when", 'a rule has either "when" or "on"');
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
  const checked = checkStream(raw.on as QueryData, raw.at, { ...context, filters: [] }, errors);
  if (checked !== undefined && !("count" in checked)) {
    mistake("bad on", "health", "expected drops: code sees what happens to them only");
  }
  const by: FieldName[] = [];
  for (const name of Array.isArray(raw.by) ? raw.by as unknown[] : [raw.by]) {
    if (checked !== undefined && (checked.by as readonly unknown[]).includes(name)) {
      by.push(name as FieldName);
    } else {
      mistake(
        "bad by",
        name ?? "nothing",
        `expected a list of fields that "on" is by: ${checked?.by.join(", ") ?? ""}`,
      );
    }
  }
  if (errors.length > before || checked === undefined || !("count" in checked)) return undefined;
  const [each, tick] = [raw.each !== undefined, raw.tick !== undefined];
  return { condition: { is: "code", stream: checked, by, every, each, tick }, by };
}

function checkState(state: unknown, mistake: Tell): void {
  if (state === undefined) return;
  if (typeof state !== "object" || state === null) {
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

function isFunctionMark(value: unknown): value is FunctionMark {
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

/** What is counted over the filters of one rule. */
type RuleContext = CheckContext & { readonly filters: Filter[] };

type Checked<T> = { readonly by: readonly Label[] } & T;

function checkCondition(
  data: ConditionData,
  context: RuleContext,
  errors: DropwatchError[],
): Checked<{ condition: CheckedCondition }> | undefined {
  const before = errors.length;
  const problem = (what: string, value: unknown, expected: string): void => {
    errors.push(ruleMistake(findValue(context, data.at, value), what, value, expected));
  };
  switch (data.is) {
    case "and":
    case "or": {
      const parts = data.of.map((part) => {
        if (isCondition(part)) return checkCondition(part, context, errors);
        return void problem(`bad ${data.is}()`, part, "expected a condition");
      });
      const by = parts.find((part) => (part?.by.length ?? 0) > 0)?.by ?? [];
      const other = parts.find((part) =>
        part !== undefined && part.by.length > 0 && !sameNames(part.by, by)
      );
      if (other !== undefined) {
        problem(
          `bad ${data.is}()`,
          other.by.join(", "),
          `expected a condition without by(), or by the same fields: ${by.join(", ")}`,
        );
      }
      if (parts.some((part) => part?.condition.is === "first")) {
        problem(`bad ${data.is}()`, "first()", "it can't be joined with others");
      }
      if (errors.length > before) return undefined;
      return { condition: { is: data.is, of: parts.map((part) => part!.condition) }, by };
    }
    case "above":
    case "below": {
      const { is, threshold, recovery = threshold } = data;
      for (const [name, number] of [["threshold", threshold], ["recovery", data.recovery]]) {
        if (name === "recovery" && number === undefined) continue;
        if (typeof number !== "number" || !Number.isFinite(number) || number < 0) {
          problem(`bad ${name}`, number, "expected a number of 0 or more");
        }
      }
      if (is === "above" ? recovery > threshold : recovery < threshold) {
        problem(
          "bad recovery",
          recovery,
          `expected ${is === "above" ? "at most" : "at least"} the threshold, ${threshold}`,
        );
      }
      const value = checkValue(data.value, context, errors);
      if (value === undefined || errors.length > before) return undefined;
      return { condition: { is, threshold, recovery, value: value.value }, by: value.by };
    }
    case "spike": {
      const value = checkValue(data.value, context, errors);
      const over = timeOf("over", data.over, data.at, context, errors);
      for (const name of ["factor", "min"] as const) {
        const number = data[name];
        if (typeof number !== "number" || !(number > 0) || !Number.isFinite(number)) {
          problem(`bad ${name}`, number, "expected a number above 0");
        }
      }
      if (value === undefined || errors.length > before) return undefined;
      if ("part" in value.value || value.value.aggregate === "distinct") {
        problem("bad spike()", "spike", "expected it behind count, rate or sum");
        return undefined;
      }
      const { factor, min } = data;
      return { condition: { is: "spike", leaf: value.value, over, factor, min }, by: value.by };
    }
    case "absent": {
      const window = timeOf("window", data.window, data.at, context, errors);
      const stream = checkStream(data.query, data.at, context, errors);
      if (stream === undefined || errors.length > before) return undefined;
      return { condition: { is: "absent", stream, window }, by: stream.by };
    }
    case "first": {
      const learn = data.learn === undefined
        ? 0
        : timeOf("learn", data.learn, data.at, context, errors);
      const stream = checkStream(data.query, data.at, context, errors);
      if (stream === undefined || errors.length > before) return undefined;
      if (stream.by.length === 0) {
        problem(
          "bad first()",
          "first",
          "expected it behind by(): it is about combinations of labels",
        );
        return undefined;
      }
      return { condition: { is: "first", stream, learn }, by: stream.by };
    }
  }
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return [...a].sort().join() === [...b].sort().join();
}

/** Milliseconds that are a multiple of the interval, and at most a day. */
function timeOf(
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
    time = milliseconds(String(text));
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

function checkValue(
  data: ValueData,
  context: RuleContext,
  errors: DropwatchError[],
): Checked<{ value: Value }> | undefined {
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
    if (whole.by.length > 0 && !sameNames(whole.by, part.by)) {
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
  const window = timeOf("window", data.window, data.at, context, errors);
  const { aggregate } = data;
  const field = data.field as FieldName | undefined;
  if (aggregate === "sum" && !(isFieldName(String(field)) && fieldOf(field!).sums)) {
    const summable = fieldNames.filter((name) => fieldOf(name).sums);
    problem(
      data.at,
      "bad field to sum",
      field,
      `expected one of ${summable.join(", ")}`,
      nearest(String(field), summable),
    );
  }
  if (aggregate === "distinct" && !isFieldName(String(field))) {
    problem(
      data.at,
      "unknown field",
      field,
      "there is no such field to count the values of",
      nearest(String(field), fieldNames),
    );
  } else if (aggregate === "distinct" && data.query.by.includes(field!)) {
    problem(data.at, "bad distinct()", field, "by() has it: each label has one value of it");
  }
  const distinct = aggregate === "distinct" && isFieldName(String(field)) ? field : undefined;
  const stream = checkStream(data.query, data.at, context, errors, {
    sum: aggregate === "sum" ? field as SummableField : undefined,
    distinct,
  });
  if (stream === undefined || errors.length > before) return undefined;
  const leaf: Leaf = { aggregate, window, stream, distinct };
  return { value: leaf, by: stream.by };
}

/** What a stream has to tell besides its labels. */
interface Besides {
  readonly sum?: SummableField | undefined;
  readonly distinct?: FieldName | undefined;
}

function checkStream(
  query: QueryData,
  at: string,
  context: RuleContext,
  errors: DropwatchError[],
  { sum, distinct }: Besides = {},
): Stream | undefined {
  const start = query.at[0] ?? at;
  if (query.of === "health") return checkHealth(query, start, context, errors);
  const before = errors.length;
  const problem = (
    value: unknown,
    what: string,
    expected: string,
    names: readonly string[] = [],
    where = start,
  ): void => {
    errors.push(ruleMistake(findValue(context, where, value), what, value, expected, names));
  };
  const wheres = query.where.filter((where: unknown) => {
    const good = typeof where === "object" && where !== null && !Array.isArray(where);
    if (!good) problem(where, "bad where", "expected an object of fields");
    return good;
  });
  const { predicate, mistakes } = readPredicate(wheres, context.facts.world);
  for (const { what, value, expected, nearest: names } of mistakes) {
    problem(value, what, expected, names);
  }
  const fieldsIn = (names: readonly unknown[], call: string, where = start): FieldName[] => {
    const fields: FieldName[] = [];
    for (const name of names) {
      if (typeof name !== "string" || !isFieldName(name)) {
        const expected = call === "by"
          ? "there is no such field to count by"
          : "there is no such field";
        problem(name, "unknown field", expected, nearest(String(name), fieldNames), where);
      } else if (fields.includes(name)) {
        problem(name, "field twice", `${call}() has it already`, [], where);
      } else fields.push(name);
    }
    return fields;
  };
  const by = fieldsIn(query.by, "by");
  const filters = query.filters.map((filter): Filter => {
    const fields = fieldsIn(Array.isArray(filter.fields) ? filter.fields : [], "filter", filter.at);
    if (fields.length === 0) {
      problem(
        filter.fields,
        "bad filter",
        'expected the fields it needs and a function: filter(["dport"], ({ dport }) => …)',
        [],
        filter.at,
      );
    }
    const index = context.filters.length;
    const checked: Filter = { fields, index };
    context.filters.push(checked);
    return checked;
  });
  const told = new Set<FieldName>([
    ...by,
    ...filters.flatMap(({ fields }) => fields),
    ...(distinct === undefined ? [] : [distinct]),
  ]);
  if (told.size > maxBy) {
    errors.push(
      ruleMistake(
        findValue(context, start, undefined),
        "too many fields",
        told.size,
        `expected at most ${maxBy} in by(), filter() and distinct() together`,
      ),
    );
  }
  for (const field of new Set<FieldName>([...told, ...predicate.map(({ field }) => field)])) {
    const why = context.facts.unavailable(field);
    if (why !== undefined) {
      errors.push(unavailableField(findValue(context, start, field), field, why));
    }
  }
  if (errors.length > before) return undefined;
  // As the rule has them: the plan sorts them.
  const stream: DropStream = { count: { predicate, by: [...told], sum }, by, filters };
  return stream;
}

function checkHealth(
  query: QueryData,
  start: string,
  context: CheckContext,
  errors: DropwatchError[],
): HealthStream | undefined {
  const before = errors.length;
  const problem = (value: unknown, what: string, expected: string, names: readonly string[]) => {
    errors.push(ruleMistake(findValue(context, start, value), what, value, expected, names));
  };
  const isField = (name: unknown): name is HealthField =>
    (healthFields as readonly unknown[]).includes(name);
  const health: { [F in HealthField]?: readonly string[] } = {};
  for (const where of query.where) {
    for (const [name, value] of Object.entries(where ?? {})) {
      if (!isField(name)) {
        problem(name, "unknown field", "health has no such field", nearest(name, healthFields));
        continue;
      }
      const values = (Array.isArray(value) ? value : [value]) as unknown[];
      const stranger = values.find((one) =>
        typeof one !== "string" ||
        (name === "event" && !(healthEvents as readonly string[]).includes(one))
      );
      if (stranger !== undefined || values.length === 0) {
        problem(
          stranger ?? value,
          `bad ${name}`,
          name === "event" ? `expected one of ${healthEvents.join(", ")}` : "expected a text",
          name === "event" ? nearest(String(stranger), healthEvents) : [],
        );
        continue;
      }
      const asked = values as string[];
      health[name] = health[name]?.filter((one) => asked.includes(one)) ?? asked;
    }
  }
  const by: HealthField[] = [];
  for (const name of query.by) {
    if (!isField(name)) {
      problem(
        name,
        "unknown field",
        "health has no such field",
        nearest(String(name), healthFields),
      );
    } else if (by.includes(name)) problem(name, "field twice", "by() has it already", []);
    else by.push(name);
  }
  return errors.length > before ? undefined : { health, by };
}

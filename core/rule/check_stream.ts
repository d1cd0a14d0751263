// What a query counts, checked: its fields, their values, its filters.
import { fieldNames, isFieldName } from "../drop/field.ts";
import type { FieldName, SummableField } from "../drop/field.ts";
import { reasonMissing, ruleMistake, unavailableField } from "../error.ts";
import type { DropwatchError } from "../error.ts";
import { nearest } from "../nearest.ts";
import { readPredicate } from "../plan/predicate.ts";
import { healthEvents, healthFields } from "../watch/health.ts";
import type { HealthField } from "../watch/health.ts";
import type { CheckContext, RuleContext } from "./check_context.ts";
import type { DropStream, Filter, HealthStream, Stream } from "./checked.ts";
import { findValue, written } from "./find_value.ts";
import type { QueryData } from "./query.ts";
import { isFunctionMark } from "./rule.ts";

const maxBy = 8;

/** What a stream has to tell besides its labels. */
interface Besides {
  readonly sum?: SummableField | undefined;
  readonly distinct?: FieldName | undefined;
}

export function checkStream(
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
    if (!isObject(where)) problem(where, "bad where", "expected an object of fields");
    return isObject(where);
  });
  const { predicate, mistakes, missing } = readPredicate(wheres, context.facts.world);
  for (const { what, value, expected, nearest: names } of mistakes) {
    problem(value, what, expected, names);
  }
  for (const name of missing) {
    context.warnings.push(reasonMissing(findValue(context, start, name), name));
  }
  const fieldsIn = (names: readonly unknown[], call: string, where = start): FieldName[] => {
    const fields: FieldName[] = [];
    for (const name of names) {
      if (typeof name !== "string" || !isFieldName(name)) {
        const expected = call === "by"
          ? "there is no such field to count by"
          : "there is no such field";
        problem(name, "unknown field", expected, nearest(written(name), fieldNames), where);
      } else if (fields.includes(name)) {
        problem(name, "field twice", `${call}() has it already`, [], where);
      } else fields.push(name);
    }
    return fields;
  };
  const by = fieldsIn(query.by, "by");
  const filters = query.filters.map((filter): Filter => {
    const { fields: names, keep, at }: { fields: unknown; keep?: unknown; at: string } = filter;
    const fields = fieldsIn(Array.isArray(names) ? names : [], "filter", at);
    const bad = !Array.isArray(names) || names.length === 0 ? names : keep;
    if (bad === names || !isFunctionMark(keep)) {
      problem(
        bad ?? "nothing",
        "bad filter",
        'expected the fields it needs and a function: filter(["dport"], ({ dport }) => …)',
        [],
        at,
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

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
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
  for (const where of query.where as readonly unknown[]) {
    if (!isObject(where)) {
      problem(where, "bad where", "expected an object of fields", []);
      continue;
    }
    for (const [name, value] of Object.entries(where)) {
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
          name === "event" ? nearest(written(stranger), healthEvents) : [],
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
        nearest(written(name), healthFields),
      );
    } else if (by.includes(name)) problem(name, "field twice", "by() has it already", []);
    else by.push(name);
  }
  return errors.length > before ? undefined : { health, by };
}

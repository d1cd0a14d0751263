// The condition of a rule, checked, with the values that it compares.
import { fieldNames, fieldOf, isFieldName } from "../drop/field.ts";
import type { FieldName, SummableField } from "../drop/field.ts";
import { ruleMistake } from "../error.ts";
import type { DropwatchError } from "../error.ts";
import { nearest } from "../nearest.ts";
import type { Checked, RuleContext } from "./check_context.ts";
import { checkStream } from "./check_stream.ts";
import { timeOf } from "./check_time.ts";
import type { CheckedCondition, Leaf, Value } from "./checked.ts";
import { findValue, written } from "./find_value.ts";
import { isCondition, isValue } from "./host_message.ts";
import type { ConditionData, ValueData } from "./query.ts";

export function checkCondition(
  data: ConditionData,
  context: RuleContext,
  errors: DropwatchError[],
): Checked<{ condition: CheckedCondition }> | undefined {
  const before = errors.length;
  const problem = (what: string, value: unknown, expected: string): void => {
    errors.push(ruleMistake(findValue(context, data.at, value), what, value, expected));
  };
  checkOptions(data, context, errors, optionsOf[data.is]);
  switch (data.is) {
    case "and":
    case "or": {
      const inner = deeper(context);
      if (inner === undefined) return void problem(`bad ${data.is}()`, data.is, tooDeep);
      const parts = [data.of[0], data.of[1]].map((part: unknown) => {
        if (isCondition(part)) return checkCondition(part as ConditionData, inner, errors);
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
      if (
        errors.length === before && (is === "above" ? recovery > threshold : recovery < threshold)
      ) {
        problem(
          "bad recovery",
          recovery,
          `expected ${is === "above" ? "at most" : "at least"} the threshold, ${threshold}`,
        );
      }
      const value = checkPart(data.value, is, data.at, context, errors);
      if (value === undefined || errors.length > before) return undefined;
      return { condition: { is, threshold, recovery, value: value.value }, by: value.by };
    }
    case "spike": {
      const value = checkPart(data.value, "spike", data.at, context, errors);
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

/** How deep conditions and values may be joined: nobody writes so much, and stacks have an end. */
const deepest = 50;
const tooDeep = `expected at most ${deepest} of them in each other`;

function deeper(context: RuleContext): RuleContext | undefined {
  const { depth = 0 } = context;
  return depth >= deepest ? undefined : { ...context, depth: depth + 1 };
}

/** The options of a word that it doesn't have. */
function checkOptions(
  data: { readonly at: string; readonly unknown?: readonly unknown[] },
  context: RuleContext,
  errors: DropwatchError[],
  names: readonly string[],
): void {
  for (const option of data.unknown ?? []) {
    errors.push(
      ruleMistake(
        findValue(context, data.at, option),
        "unknown option",
        option,
        "there is no such option here",
        nearest(written(option), names),
      ),
    );
  }
}

/** The options of words. */
const optionsOf: Readonly<Record<ConditionData["is"], readonly string[]>> = {
  above: ["recovery"],
  below: ["recovery"],
  spike: ["over", "factor", "min"],
  absent: [],
  first: ["learn"],
  and: [],
  or: [],
};

/** A value that another word was given. */
function checkPart(
  data: unknown,
  word: string,
  at: string,
  context: RuleContext,
  errors: DropwatchError[],
): Checked<{ value: Value }> | undefined {
  if (isValue(data)) return checkValue(data as ValueData, context, errors);
  const expected = `expected a value such as drops.rate("10s")`;
  errors.push(ruleMistake(findValue(context, at, data), `bad ${word}()`, data, expected));
  return undefined;
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return [...a].sort().join() === [...b].sort().join();
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
    checkOptions(data, context, errors, ["min"]);
    const inner = deeper(context);
    if (inner === undefined) return void problem(data.at, "bad over()", "over", tooDeep);
    const [part, whole] = [data.share[0], data.share[1]].map((each) =>
      checkPart(each, "over", data.at, inner, errors)
    );
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
  if (aggregate === "sum" && !(isFieldName(written(field)) && fieldOf(field!).sums)) {
    const summable = fieldNames.filter((name) => fieldOf(name).sums);
    problem(
      data.at,
      "bad field to sum",
      field,
      `expected one of ${summable.join(", ")}`,
      nearest(written(field), summable),
    );
  }
  if (aggregate === "distinct" && !isFieldName(written(field))) {
    problem(
      data.at,
      "unknown field",
      field,
      "there is no such field to count the values of",
      nearest(written(field), fieldNames),
    );
  } else if (aggregate === "distinct" && data.query.by.includes(field!)) {
    problem(data.at, "bad distinct()", field, "by() has it: each label has one value of it");
  }
  const distinct = aggregate === "distinct" && isFieldName(written(field)) ? field : undefined;
  const stream = checkStream(data.query, data.at, context, errors, {
    sum: aggregate === "sum" ? field as SummableField : undefined,
    distinct,
  });
  if (stream === undefined || errors.length > before) return undefined;
  const leaf: Leaf = { aggregate, window, stream, distinct };
  return { value: leaf, by: stream.by };
}

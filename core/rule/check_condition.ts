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
import { findValue } from "./find_value.ts";
import { isCondition } from "./host_message.ts";
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

// The words of a rule: drops.where().by().rate().above(). Each returns a new value and holds only
// data, so that a rule can be handed to another process and compiled into the kernel.
import type { FieldName, fields, FieldValue, SummableField } from "../drop/field.ts";
import type { Duration } from "./duration.ts";

/** Any of a type's values, or none of them. */
type Choice<V> = V | readonly V[] | { readonly not: V | readonly V[] };

/** Bounds of a number; both ends may be left out. */
export interface NumberRange {
  readonly gte?: number;
  readonly gt?: number;
  readonly lte?: number;
  readonly lt?: number;
}

/** Names that begin so. */
export interface Prefix {
  readonly prefix: string | readonly string[];
}

/**
 * What a field can be asked for: a value, a list of values (any of them), `{ not: … }`; a range for
 * numbers; a prefix for names; an address or a CIDR for addresses. A packet that doesn't tell a
 * field's value equals nothing, so `not` takes it.
 */
export type Asked<F extends FieldName> = F extends "dev" | "comm" ? Choice<string> | Prefix
  : FieldValue<F> extends number ? Choice<number> | NumberRange
  : Choice<FieldValue<F>>;

/** Conditions on a packet; all of them must hold. */
export type Where = { readonly [F in Exclude<keyof typeof fields, "stack">]?: Asked<F> };

/** Where in a rule's bundle something was written: `line:column`, of the bundle, not the source. */
export type At = string;

/** A query as data. */
export interface QueryData {
  readonly where: readonly Readonly<Record<string, unknown>>[];
  readonly by: readonly string[];
  readonly at: readonly At[];
}

/** A number as data: an aggregate over a window, or one divided by another. */
export type ValueData =
  | {
    readonly aggregate: "count" | "rate" | "sum";
    readonly field?: string;
    readonly window: string;
    readonly query: QueryData;
    readonly at: At;
  }
  | {
    readonly share: readonly [part: ValueData, whole: ValueData];
    /** The least that the whole must be for the share to mean something. */
    readonly min: number;
    readonly at: At;
  };

/** A condition as data. */
export interface ConditionData {
  readonly is: "above" | "below";
  readonly threshold: number;
  readonly recovery?: number;
  readonly value: ValueData;
  readonly at: At;
}

/** Drops that are alike in the fields of `by`. */
export interface Query<Label extends FieldName = never> {
  /** Only drops for which all of this holds; a second `where` narrows the first. */
  where(where: Where): Query<Label>;
  /** Counts each combination of these fields by itself; they become the labels of the alert. */
  by<F extends FieldName>(...fields: readonly F[]): Query<F>;
  /** How many drops there were in the last `window`. */
  count(window: Duration): Value<Label>;
  /** How many drops a second there were in the last `window`, on average. */
  rate(window: Duration): Value<Label>;
  /** The sum of a field over the drops of the last `window`: `sum("len", "1m")` is in bytes. */
  sum(field: SummableField, window: Duration): Value<Label>;
  readonly data: QueryData;
}

/** A number that each combination of labels has at each tick. */
export interface Value<Label extends FieldName = never> {
  /**
   * True while the value is greater than `threshold`. With `recovery`, once true it stays true until
   * the value is no longer above `recovery`.
   */
  above(threshold: number, options?: { readonly recovery?: number }): Condition<Label>;
  /** True while the value is less than `threshold`, and until it reaches `recovery`. */
  below(threshold: number, options?: { readonly recovery?: number }): Condition<Label>;
  /**
   * This value divided by another one, from 0 to 1 where it is a part of it. Below `min` the other
   * one is too small to divide by, and the share counts as 0.
   */
  over(whole: Value<never> | Value<Label>, options?: { readonly min?: number }): Value<Label>;
  readonly data: ValueData;
}

/** What must hold for an alert. */
export interface Condition<Label extends FieldName = never> {
  readonly data: ConditionData;
  /** Never read: it only carries the labels' names. */
  readonly label?: Label;
}

/** Where the caller's caller stands in its file, from a stack trace; "" where that can't be told. */
export function callSite(): At {
  const lines = (new Error().stack ?? "").split("\n").filter((line) => /:\d+:\d+/.test(line));
  const match = /:(\d+:\d+)\)?$/.exec(lines[2] ?? "");
  return match?.[1] ?? "";
}

function makeQuery<Label extends FieldName>(data: QueryData): Query<Label> {
  const aggregate = (
    kind: "count" | "rate" | "sum",
    window: string,
    at: At,
    field?: string,
  ): Value<Label> =>
    makeValue({
      aggregate: kind,
      ...(field === undefined ? {} : { field }),
      window,
      query: data,
      at,
    });
  return {
    data,
    where(where) {
      return makeQuery({ ...data, where: [...data.where, where], at: [...data.at, callSite()] });
    },
    by(...fields) {
      return makeQuery({ ...data, by: fields, at: [...data.at, callSite()] });
    },
    count: (window) => aggregate("count", window, callSite()),
    rate: (window) => aggregate("rate", window, callSite()),
    sum: (field, window) => aggregate("sum", window, callSite(), field),
  };
}

function makeValue<Label extends FieldName>(data: ValueData): Value<Label> {
  const compare = (
    is: "above" | "below",
    threshold: number,
    options: { readonly recovery?: number } | undefined,
    at: At,
  ): Condition<Label> => ({
    data: {
      is,
      threshold,
      ...(options?.recovery === undefined ? {} : { recovery: options.recovery }),
      value: data,
      at,
    },
  });
  return {
    data,
    above: (threshold, options) => compare("above", threshold, options, callSite()),
    below: (threshold, options) => compare("below", threshold, options, callSite()),
    over: (whole, options) =>
      makeValue({
        share: [data, (whole as Value | undefined)?.data as ValueData],
        min: options?.min ?? 0,
        at: callSite(),
      }),
  };
}

/**
 * All drops of this machine: the beginning of every condition.
 *
 * @example
 * ```ts
 * import { drops } from "dropwatch";
 *
 * export const floods = drops.where({ reason: "NO_SOCKET" }).by("dport").rate("10s").above(1000);
 * ```
 */
export const drops: Query = makeQuery({ where: [], by: [], at: [] });

// The words of a rule: drops.where().by().rate().above(). Each returns a new value and holds only
// data and the functions of `filter`, so that a rule can be handed to another process and compiled
// into the kernel.
import type { FieldName, fields, FieldValue, SummableField } from "../drop/field.ts";
import type { HealthEvent, HealthField } from "../watch/health.ts";
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

/** Conditions on what happens to dropwatch itself. */
export type HealthWhere = {
  readonly event?: HealthEvent | readonly HealthEvent[];
  readonly rule?: string | readonly string[];
  readonly file?: string | readonly string[];
  readonly sink?: string | readonly string[];
  readonly why?: string | readonly string[];
};

/** Where in a rule's bundle something was written: `line:column`, of the bundle, not the source. */
export type At = string;

/** The fields of a drop as they are in labels: texts, "" where the packet doesn't tell. */
export type Facts<F extends string> = { readonly [K in F]: string };

/** A condition that is a function. In data its fields are told; the function stays with its host. */
export interface FilterData {
  readonly fields: readonly string[];
  readonly at: At;
  readonly keep?: (drop: Facts<string>) => boolean;
}

/** A query as data. */
export interface QueryData {
  /** What is counted: drops where it is left out. */
  readonly of?: "health";
  readonly where: readonly Readonly<Record<string, unknown>>[];
  readonly filters: readonly FilterData[];
  readonly by: readonly string[];
  readonly at: readonly At[];
}

/** A number as data: an aggregate over a window, or one divided by another. */
export type ValueData =
  | {
    readonly aggregate: "count" | "rate" | "sum" | "distinct";
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
  } & Strangers;

/** Options that a word doesn't have; none where it is left out. */
interface Strangers {
  readonly unknown?: readonly unknown[];
}

/** A condition as data. */
export type ConditionData =
  | {
    readonly is: "above" | "below";
    readonly threshold: number;
    readonly recovery?: number;
    readonly value: ValueData;
    readonly at: At;
  } & Strangers
  | {
    readonly is: "spike";
    readonly over: string;
    readonly factor: number;
    readonly min: number;
    readonly value: ValueData;
    readonly at: At;
  } & Strangers
  | {
    readonly is: "absent";
    readonly window: string;
    readonly query: QueryData;
    readonly at: At;
  }
  | {
    readonly is: "first";
    readonly learn?: string;
    readonly query: QueryData;
    readonly at: At;
  } & Strangers
  | {
    readonly is: "and" | "or";
    readonly of: readonly ConditionData[];
    readonly at: At;
  };

/** Drops that are alike in the fields of `by`. */
export interface Query<Label extends FieldName = never> {
  /** Only drops for which all of this holds; a second `where` narrows the first. */
  where(where: Where): Query<Label>;
  /**
   * Only drops for which `keep` returns true. It gets the fields that are named, as texts, and nothing
   * else. It runs outside of the kernel, once for each combination of their values, so what it returns
   * must depend on them alone. The kernel counts by these fields too: name few, of few values.
   */
  filter<F extends FieldName>(
    fields: readonly F[],
    keep: (drop: Facts<F>) => boolean,
  ): Query<Label>;
  /** Counts each combination of these fields by itself; they become the labels of the alert. */
  by<F extends FieldName>(...fields: readonly F[]): Query<F>;
  /** How many drops there were in the last `window`. */
  count(window: Duration): Value<Label>;
  /** How many drops a second there were in the last `window`, on average. */
  rate(window: Duration): Value<Label>;
  /** The sum of a field over the drops of the last `window`: `sum("len", "1m")` is in bytes. */
  sum(field: SummableField, window: Duration): Value<Label>;
  /**
   * How many different values of a field the drops of the last `window` had; a packet that doesn't tell
   * the field has none.
   */
  distinct(field: Exclude<FieldName, Label>, window: Duration): Value<Label>;
  /**
   * True when there was no drop for as long as `window`. With `by`, for each combination that had drops
   * before. Its value is the number of seconds since the last one. A time in which nobody counted is no
   * absence: nothing begins or ends in it, and `window` begins anew after it.
   */
  absent(window: Duration): Condition<Label>;
  /**
   * True at the tick that brings the first drop of a combination of labels never seen before on this
   * host, which `--state` remembers. Its value is how many drops that tick brought. For as long as
   * `learn` after the rule was seen first, combinations are only remembered.
   */
  first(options?: { readonly learn?: Duration }): Condition<Label>;
  readonly data: QueryData;
}

/** What happens to dropwatch itself, alike in the fields of `by`. */
export interface HealthQuery<Label extends HealthField = never> {
  where(where: HealthWhere): HealthQuery<Label>;
  by<F extends HealthField>(...fields: readonly F[]): HealthQuery<F>;
  /** How often it happened in the last `window`; for `lost` and `other`, to how many drops. */
  count(window: Duration): Value<Label>;
  readonly data: QueryData;
}

/** These labels: what has some of them, or more, is another type. */
type Exactly<Label> = (label: Label) => Label;

/** A number that each combination of labels has at each tick. */
export interface Value<Label extends string = never> {
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
  /**
   * True while the value is greater than `factor` times what it was on average in the time `over`
   * before its own window, and at least `min`. It waits until that time has been counted whole. For
   * `count`, `rate` and `sum`.
   */
  spike(
    options: { readonly over: Duration; readonly factor: number; readonly min: number },
  ): Condition<Label>;
  readonly data: ValueData;
  /** Never read: it only carries the labels' names. */
  readonly label?: Exactly<Label>;
}

/** What a condition can be joined with: any where it has no labels; or one without, or by the same. */
export type Joinable<Label extends string, L extends string> = [Label] extends [never]
  ? Condition<L>
  : Condition<never> | Condition<Label>;

/** The labels of two conditions that are joined. */
export type LabelsOf<Label extends string, L extends string> = [Label] extends [never] ? L : Label;

/** What must hold for an alert. */
export interface Condition<Label extends string = never> {
  /** True while both are. A condition without labels holds for every combination of the other's. */
  and<L extends string>(other: Joinable<Label, L>): Condition<LabelsOf<Label, L>>;
  /** True while one of them is. */
  or<L extends string>(other: Joinable<Label, L>): Condition<LabelsOf<Label, L>>;
  readonly data: ConditionData;
  /** Never read: it only carries the labels' names. */
  readonly label?: Exactly<Label>;
}

/** Where the caller's caller stands in its file, from a stack trace; "" where that can't be told. */
export function callSite(): At {
  const lines = (new Error().stack ?? "").split("\n").filter((line) => /:\d+:\d+/.test(line));
  const match = /:(\d+:\d+)\)?$/.exec(lines[2] ?? "");
  return match?.[1] ?? "";
}

/** What else than `known` there is in the options of a word. */
function strangers(options: unknown, known: readonly string[]): Strangers {
  if (options === undefined) return {};
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    return { unknown: [options] };
  }
  const unknown = Object.keys(options).filter((key) => !known.includes(key));
  return unknown.length === 0 ? {} : { unknown };
}

/** The data of what another word made; what is none is told as it is. */
function dataOf(value: unknown): unknown {
  return (value as { readonly data?: unknown } | null | undefined)?.data ?? value;
}

function makeQuery<Label extends FieldName>(data: QueryData): Query<Label> {
  const aggregate = (
    kind: "count" | "rate" | "sum" | "distinct",
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
    filter(fields, keep) {
      const filter = { fields, keep: keep as FilterData["keep"] & object, at: callSite() };
      return makeQuery({ ...data, filters: [...data.filters, filter] });
    },
    by(...fields) {
      return makeQuery({ ...data, by: fields, at: [...data.at, callSite()] });
    },
    count: (window) => aggregate("count", window, callSite()),
    rate: (window) => aggregate("rate", window, callSite()),
    sum: (field, window) => aggregate("sum", window, callSite(), field),
    distinct: (field, window) => aggregate("distinct", window, callSite(), field),
    absent: (window) => makeCondition({ is: "absent", window, query: data, at: callSite() }),
    first: (options) =>
      makeCondition({
        is: "first",
        ...(options?.learn === undefined ? {} : { learn: options.learn }),
        query: data,
        at: callSite(),
        ...strangers(options, ["learn"]),
      }),
  };
}

function makeHealthQuery<Label extends HealthField>(data: QueryData): HealthQuery<Label> {
  return {
    data,
    where(where) {
      return makeHealthQuery({
        ...data,
        where: [...data.where, where],
        at: [...data.at, callSite()],
      });
    },
    by(...fields) {
      return makeHealthQuery({ ...data, by: fields, at: [...data.at, callSite()] });
    },
    count: (window) => makeValue({ aggregate: "count", window, query: data, at: callSite() }),
  };
}

function makeValue<Label extends string>(data: ValueData): Value<Label> {
  const compare = (
    is: "above" | "below",
    threshold: number,
    options: { readonly recovery?: number } | undefined,
    at: At,
  ): Condition<Label> =>
    makeCondition({
      is,
      threshold,
      ...(options?.recovery === undefined ? {} : { recovery: options.recovery }),
      value: data,
      at,
      ...strangers(options, ["recovery"]),
    });
  return {
    data,
    above: (threshold, options) => compare("above", threshold, options, callSite()),
    below: (threshold, options) => compare("below", threshold, options, callSite()),
    over: (whole, options) =>
      makeValue({
        share: [data, dataOf(whole) as ValueData],
        min: options?.min === undefined ? 0 : options.min,
        at: callSite(),
        ...strangers(options, ["min"]),
      }),
    spike: (options) =>
      makeCondition({
        is: "spike",
        over: options?.over,
        factor: options?.factor,
        min: options?.min,
        value: data,
        at: callSite(),
        ...strangers(options, ["over", "factor", "min"]),
      }),
  };
}

function makeCondition<Label extends string>(data: ConditionData): Condition<Label> {
  const join = <L extends string>(is: "and" | "or", other: unknown, at: At) =>
    makeCondition<LabelsOf<Label, L>>({ is, of: [data, dataOf(other) as ConditionData], at });
  return {
    data,
    and: (other) => join("and", other, callSite()),
    or: (other) => join("or", other, callSite()),
  };
}

/** The queries of a condition, in the order in which they stand in it. */
export function queriesOf(data: ConditionData): QueryData[] {
  const ofValue = (value: ValueData): QueryData[] =>
    "share" in value ? value.share.flatMap(ofValue) : [value.query];
  if ("of" in data) return data.of.flatMap(queriesOf);
  return "value" in data ? ofValue(data.value) : [data.query];
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
export const drops: Query = makeQuery({ where: [], filters: [], by: [], at: [] });

/**
 * What happens to dropwatch itself: drops that it lost, a source that is down, rules that fail.
 *
 * @example
 * ```ts
 * import { health } from "dropwatch";
 *
 * export const inexact = health.where({ event: ["lost", "other"] }).count("1m").above(0);
 * ```
 */
export const health: HealthQuery = makeHealthQuery({
  of: "health",
  where: [],
  filters: [],
  by: [],
  at: [],
});

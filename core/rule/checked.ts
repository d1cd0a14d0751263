// A rule that was found right: what is counted for it, and what is made of the counts.
import type { FieldName } from "../drop/field.ts";
import type { Place } from "../error.ts";
import type { Count } from "../plan/plan.ts";
import type { HealthField } from "../watch/health.ts";
import type { AlertFacts, FunctionMark, Mode, Severity, TextName } from "./rule.ts";

/** A condition that is a function of a rule. */
export interface Filter {
  readonly fields: readonly FieldName[];
  /** Its place among the filters of its rule. */
  readonly index: number;
}

/** Drops as they arrive, by labels. */
export interface DropStream {
  /** What is counted: by the labels, and by what filters and `distinct` need. */
  readonly count: Count;
  readonly by: readonly FieldName[];
  readonly filters: readonly Filter[];
}

/** What happens to dropwatch itself, by labels. */
export interface HealthStream {
  /** All of it must hold: any of these values. */
  readonly health: { readonly [F in HealthField]?: readonly string[] };
  readonly by: readonly HealthField[];
}

export type Stream = DropStream | HealthStream;

/** A number over a window (milliseconds). */
export interface Leaf {
  readonly aggregate: "count" | "rate" | "sum" | "distinct";
  readonly window: number;
  readonly stream: Stream;
  /** The field whose values are counted. */
  readonly distinct?: FieldName | undefined;
}

/** A value that is worked out at each tick. */
export type Value =
  | Leaf
  | { readonly part: Value; readonly whole: Value; readonly min: number };

/** A condition, checked. Times in milliseconds. */
export type CheckedCondition =
  | {
    readonly is: "above" | "below";
    readonly threshold: number;
    readonly recovery: number;
    readonly value: Value;
  }
  | {
    readonly is: "spike";
    readonly leaf: Leaf;
    readonly over: number;
    readonly factor: number;
    readonly min: number;
  }
  | { readonly is: "absent"; readonly stream: Stream; readonly window: number }
  | { readonly is: "first"; readonly stream: Stream; readonly learn: number }
  | { readonly is: "and" | "or"; readonly of: readonly CheckedCondition[] }
  | {
    /** Code of the rule says whether it holds. */
    readonly is: "code";
    readonly stream: DropStream;
    readonly by: readonly FieldName[];
    readonly every: number;
    readonly each: boolean;
    readonly tick: boolean;
  };

/** A rule, checked: it can be planned and watched. */
export interface CheckedRule {
  readonly file: string;
  /** The bundle that it was made by: another one where its file has changed. */
  readonly bundle: string;
  /** Its place among the rules of its file. */
  readonly index: number;
  readonly place: Place;
  readonly alert: string;
  readonly condition: CheckedCondition;
  /** The labels of its series, in the order in which the rule has them. */
  readonly by: readonly (FieldName | HealthField)[];
  readonly for: number;
  readonly keepFiringFor: number;
  readonly severity: Severity;
  readonly labels: Readonly<Record<string, string>>;
  /** A function of a rule's own is run by its host; one of dropwatch's rules is at hand. */
  readonly texts: {
    readonly [N in TextName]?: string | FunctionMark | ((alert: AlertFacts) => string);
  };
  readonly runbook: string | undefined;
  readonly mode: Mode;
}

/** How long the drops of an alert are told of where its condition has no window, in milliseconds. */
const defaultSpan = 60_000;

/** The numbers that a value is worked out from; the first one is what it is about. */
export function leavesOf(value: Value): [Leaf, ...Leaf[]] {
  return "part" in value ? [...leavesOf(value.part), ...leavesOf(value.whole)] : [value];
}

/** What a condition looks at, and over how long; the first one is what it is about. */
export function streamsOf(
  condition: CheckedCondition,
): [{ stream: Stream; span: number }, ...{ stream: Stream; span: number }[]] {
  switch (condition.is) {
    case "above":
    case "below": {
      const [first, ...rest] = leavesOf(condition.value)
        .map(({ stream, window }) => ({ stream, span: window }));
      return [first!, ...rest];
    }
    case "spike":
      return [{ stream: condition.leaf.stream, span: condition.leaf.window }];
    case "absent":
      return [{ stream: condition.stream, span: condition.window }];
    case "and":
    case "or": {
      const [first, ...rest] = condition.of.flatMap(streamsOf);
      return [first!, ...rest];
    }
    case "first":
    case "code":
      return [{ stream: condition.stream, span: defaultSpan }];
  }
}

/** The drops that a condition looks at: none for one about dropwatch itself. */
export function dropStreamsOf(condition: CheckedCondition): DropStream[] {
  return streamsOf(condition).flatMap(({ stream }) => "count" in stream ? [stream] : []);
}

/** Whether code of the rule has to be run before it can be evaluated. */
export function needsCode(rule: CheckedRule): boolean {
  return rule.condition.is === "code" ||
    dropStreamsOf(rule.condition).some(({ filters }) => filters.length > 0);
}

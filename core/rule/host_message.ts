// What the main process and the rule host say to each other: a JSON object a line. The main process
// checks what it gets, since the host runs code of strangers; the host is told by the main process
// alone.
import * as v from "valibot";
import { ruleKeys } from "./rule.ts";
import type { AlertFacts, RuleData, TextName } from "./rule.ts";

/** Code of a rule: which one, by the bundle that it was loaded from and its place in it. */
export interface CodeOf {
  /** For people. */
  readonly file: string;
  readonly bundle: string;
  readonly rule: number;
}

/** A state as it is kept: JSON, and the version of its shape. */
export interface KeptState {
  readonly version: number;
  readonly json: string;
}

/** One combination of labels, as code is given it. */
export interface CodeKey {
  /** The values of the rule's `by`. */
  readonly labels: readonly string[];
  /** Absent where it begins. */
  readonly state?: KeptState | undefined;
  readonly active: boolean;
  readonly value: number;
  /** For each the values of the fields of `on`, and how many. */
  readonly samples: readonly (readonly [labels: readonly string[], count: number])[];
}

/** What code made of it. */
export interface CodeResult {
  /** Absent where it hasn't changed; null where it is as at its beginning. */
  readonly state?: KeptState | null | undefined;
  readonly active: boolean;
  readonly value: number;
  /** What it threw; nothing else of it holds then. */
  readonly failure?: Failure | undefined;
}

/** A run of `each` and `tick` for some combinations of labels. */
export interface CodeRun {
  /** The fields of `by`, and those of `on`, in the order of labels and samples. */
  readonly by: readonly string[];
  readonly fields: readonly string[];
  /** The tick's time. */
  readonly now: number;
  /** Whether `tick` is called too. */
  readonly tick: boolean;
  readonly keys: readonly CodeKey[];
}

/** What the host is asked. */
export type Question =
  | {
    readonly do: "load";
    readonly file: string;
    readonly bundle: string;
    /** The bundle's file. */
    readonly path: string;
  }
  | CodeOf & {
    readonly do: "text";
    readonly text: TextName;
    readonly alert: AlertFacts;
  }
  | CodeOf & {
    readonly do: "filter";
    /** Its place among the filters of the rule. */
    readonly filter: number;
    readonly fields: readonly string[];
    readonly values: readonly (readonly string[])[];
  }
  | CodeOf & { readonly do: "run"; readonly run: CodeRun }
  | { readonly do: "forget"; readonly file: string; readonly bundle: string };

/** To the host. Each is answered by one reply with its token. */
export type Request = Question & { readonly token: string };

const maxText = 10_000;
/** In characters. A longer reply is none: a rule must not fill the memory of the main process. */
export const longestReply: number = 1 << 20;

const At = v.string();

const unknown = v.optional(v.unknown());

const QueryShape = v.object({
  of: v.optional(v.literal("health")),
  where: v.array(v.unknown()),
  filters: v.array(v.object({ fields: unknown, keep: unknown, at: At })),
  by: v.array(v.unknown()),
  at: v.array(At),
});

/** Whether a query was made by the words of a rule. */
export function isQuery(value: unknown): boolean {
  return v.is(QueryShape, value);
}

const strangers = { unknown: v.optional(v.array(v.unknown())) };
/** Checked by itself: what is nested deeply must not be the check's undoing. */
const inner = v.unknown();

const ValueShape = v.union([
  v.object({
    aggregate: v.picklist(["count", "rate", "sum", "distinct"]),
    field: unknown,
    window: unknown,
    query: QueryShape,
    at: At,
  }),
  v.object({ share: v.tuple([inner, inner]), min: v.unknown(), at: At, ...strangers }),
]);

/** Whether a value was made by the words of a rule; what it is made of is checked by itself. */
export function isValue(value: unknown): boolean {
  return v.is(ValueShape, value);
}

/** The shape only; what the values may be is checked with the rule's place at hand. */
const RuleShape = v.object({
  ...Object.fromEntries(ruleKeys.map((key) => [key, unknown])),
  unknown: v.array(v.string()),
  at: At,
});

const ConditionShape = v.variant("is", [
  v.object({
    is: v.picklist(["above", "below"]),
    threshold: unknown,
    recovery: unknown,
    value: inner,
    at: At,
    ...strangers,
  }),
  v.object({
    is: v.literal("spike"),
    over: unknown,
    factor: unknown,
    min: unknown,
    value: inner,
    at: At,
    ...strangers,
  }),
  v.object({ is: v.literal("absent"), window: unknown, query: QueryShape, at: At, ...strangers }),
  v.object({ is: v.literal("first"), learn: unknown, query: QueryShape, at: At, ...strangers }),
  v.object({ is: v.picklist(["and", "or"]), of: v.tuple([inner, inner]), at: At, ...strangers }),
]);

/** Whether a condition was made by the words of a rule; what it is made of is checked by itself. */
export function isCondition(value: unknown): boolean {
  return v.is(ConditionShape, value);
}

const FailureSchema = v.object({
  message: v.string(),
  at: At,
  found: v.optional(v.string()),
});

/** In characters of JSON: what a combination of labels may keep. */
export const longestState = 16_384;

const ResultSchema = v.object({
  state: v.nullish(
    v.object({ version: v.number(), json: v.pipe(v.string(), v.maxLength(longestState)) }),
  ),
  active: v.boolean(),
  value: v.pipe(v.number(), v.finite()),
  failure: v.optional(FailureSchema),
});

/** From the host. */
const ReplySchema = v.variant("say", [
  v.object({ say: v.literal("ready") }),
  v.object({ say: v.literal("rules"), token: v.string(), rules: v.array(RuleShape) }),
  v.object({
    say: v.literal("text"),
    token: v.string(),
    text: v.pipe(v.string(), v.maxLength(maxText)),
  }),
  v.object({
    say: v.literal("kept"),
    token: v.string(),
    /** "1" for each that is kept, "0" for each that isn't. */
    kept: v.pipe(v.string(), v.regex(/^[01]*$/)),
  }),
  v.object({ say: v.literal("ran"), token: v.string(), results: v.array(ResultSchema) }),
  v.object({ say: v.literal("done"), token: v.string() }),
  v.object({ say: v.literal("failed"), token: v.string(), failure: FailureSchema }),
]);

/** A rule whose values have not been checked yet. */
export type UncheckedRule = { readonly [K in keyof RuleData]: unknown } & {
  readonly unknown: readonly string[];
  readonly at: string;
};

/** What a rule did wrong. */
export interface Failure {
  readonly message: string;
  /** Where it was thrown: `line:column` of the bundle; "" where that can't be told. */
  readonly at: string;
  /** What the file exports instead of a rule. */
  readonly found?: string | undefined;
}

export type Reply =
  | { readonly say: "ready" }
  | { readonly say: "rules"; readonly token: string; readonly rules: readonly UncheckedRule[] }
  | { readonly say: "text"; readonly token: string; readonly text: string }
  | { readonly say: "kept"; readonly token: string; readonly kept: string }
  | { readonly say: "ran"; readonly token: string; readonly results: readonly CodeResult[] }
  | { readonly say: "done"; readonly token: string }
  | { readonly say: "failed"; readonly token: string; readonly failure: Failure };

/** Reads a line of the host; undefined for what isn't one of its replies. */
export function readReply(line: string): Reply | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const result = v.safeParse(ReplySchema, value);
  return result.success ? result.output as Reply : undefined;
}

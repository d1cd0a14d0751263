// What the main process and the rule host say to each other: a JSON object a line. The main process
// checks what it gets, since the host runs code of strangers; the host is told by the main process
// alone.
import * as v from "valibot";
import type { AlertFacts, RuleData, TextName } from "./rule.ts";

/** What the host is asked. */
export type Question =
  | { readonly do: "load"; readonly file: string; readonly bundle: string }
  | {
    readonly do: "text";
    readonly file: string;
    readonly rule: number;
    readonly text: TextName;
    readonly alert: AlertFacts;
  };

/** To the host. Each is answered by one reply with its token. */
export type Request = Question & { readonly token: string };

const maxText = 10_000;
/** In characters. A longer reply is none: a rule must not fill the memory of the main process. */
export const longestReply: number = 1 << 20;

const At = v.string();

const QueryData = v.object({
  where: v.array(v.unknown()),
  by: v.array(v.unknown()),
  at: v.array(At),
});

const ValueData: v.GenericSchema<unknown> = v.lazy(() =>
  v.union([
    v.object({
      aggregate: v.picklist(["count", "rate", "sum"]),
      field: v.optional(v.unknown()),
      window: v.optional(v.unknown()),
      query: QueryData,
      at: At,
    }),
    v.object({
      share: v.tuple([ValueData, ValueData]),
      min: v.unknown(),
      at: At,
    }),
  ])
);

const Text = v.optional(v.unknown());

/** The shape only; what the values may be is checked with the rule's place at hand. */
const RuleShape = v.object({
  alert: v.optional(v.unknown()),
  when: v.optional(v.unknown()),
  for: v.optional(v.unknown()),
  keepFiringFor: v.optional(v.unknown()),
  severity: v.optional(v.unknown()),
  labels: v.optional(v.unknown()),
  summary: Text,
  description: Text,
  runbook: v.optional(v.unknown()),
  unknown: v.array(v.string()),
  at: At,
});

const ConditionShape = v.object({
  is: v.picklist(["above", "below"]),
  threshold: v.optional(v.unknown()),
  recovery: v.optional(v.unknown()),
  value: ValueData,
  at: At,
});

/** Whether a condition was made by the words of a rule. */
export function isCondition(value: unknown): boolean {
  return v.is(ConditionShape, value);
}

const FailureSchema = v.object({
  message: v.string(),
  at: At,
  found: v.optional(v.string()),
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

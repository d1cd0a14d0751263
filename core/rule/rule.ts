// A rule as its author writes it, and as data, which the rule host hands over.
import type { FieldName } from "../drop/field.ts";
import type { Duration } from "./duration.ts";
import { callSite } from "./query.ts";
import type { At, Condition, ConditionData, Facts, Query, QueryData } from "./query.ts";

/** How bad it is. */
export type Severity = "critical" | "warning" | "info";

/** What the texts of an alert are made of. */
export interface AlertFacts<Label extends string = string> {
  /** The value of the condition now: drops a second, a count, bytes, or a share. */
  readonly value: number;
  /** The largest value since it began. */
  readonly peak: number;
  /** How many drops matched since it began. */
  readonly total: number;
  /** The fields of `by`, and the rule's own labels. */
  readonly labels: { readonly [L in Label]: string };
  /** False where a number is "at least": something was lost in the window. */
  readonly exact: boolean;
}

/** A text, or a function of the alert that makes one. */
export type Text<Label extends string> = string | ((alert: AlertFacts<Label>) => string);

/** What every rule may have: `Label` are the labels of its alerts, `Own` the names of its own. */
interface RuleBasics<Label extends string, Own extends string> {
  /** The alert's name, in CamelCase as Prometheus has it; no other rule may have it. */
  readonly alert: string;
  /** How long the condition must hold before the alert fires; at once where it is left out. */
  readonly for?: Duration;
  /** How long the alert fires on after the condition has ended. */
  readonly keepFiringFor?: Duration;
  /** `warning` where it is left out. */
  readonly severity?: Severity;
  /** Labels of the rule's own, for routing. */
  readonly labels?: Readonly<Record<Own, string>>;
  /** One line for people. */
  readonly summary?: Text<Label | Own>;
  /** More than a line. */
  readonly description?: Text<Label | Own>;
  /** The URL of a page that says what to do. */
  readonly runbook?: string;
  /** A rule in `shadow` is evaluated and shown, and nobody is notified; `alert` where it is left out. */
  readonly mode?: Mode;
}

export type Mode = "alert" | "shadow";

/** A rule that is a condition. */
export interface RuleOptions<Label extends string = never, Own extends string = never>
  extends RuleBasics<Label, Own> {
  readonly when: Condition<Label>;
}

/** What a rule of code keeps: plain data, as JSON has it. */
export interface StateOptions<State> {
  /** Counts up when the shape changes. */
  readonly version: number;
  /** What a combination of labels begins with; one that is like this again is forgotten. */
  readonly init: () => State;
  /** From the state of another version; without it the state begins anew. */
  readonly migrate?: (state: unknown, version: number) => State;
}

/** Drops of one tick that are alike in all fields that the rule asks for. */
export type Sample<F extends string> = Facts<F> & {
  /** How many there were. */
  readonly count: number;
};

/** What code of a rule works with. */
export interface RuleContext<State, Label extends string> {
  readonly labels: Facts<Label>;
  /** Kept from tick to tick, over reloads, and with `--state` over restarts. */
  state: State;
  /** The time of the tick, in milliseconds since 1970. */
  readonly now: number;
  /** The condition holds from now on, with this value. */
  fire(value?: number): void;
  /** The condition holds no longer. */
  resolve(): void;
}

/** Nothing, or what an expression happens to be: but not a promise, for which nobody would wait. */
type Done = void | number | string | boolean;

/** A rule that is code: `F` are the fields of `on`, `Label` those of them that are labels. */
export interface CodeRuleOptions<
  F extends FieldName,
  Label extends F,
  Own extends string,
  State extends object,
> extends RuleBasics<Label, Own> {
  /** The drops that it looks at, counted by what their samples are to tell. */
  readonly on: Query<F>;
  /** Which of these fields are labels: each combination has a state and an alert of its own. */
  readonly by: readonly Label[];
  readonly state?: StateOptions<State>;
  /** Called for each sample of a tick. */
  readonly each?: (sample: Sample<F>, context: RuleContext<State, Label>) => Done;
  /** How often `tick` is called, at multiples of it; at each tick where it is left out. */
  readonly every?: Duration;
  /** Called for each combination of labels that has a state. */
  readonly tick?: (context: RuleContext<State, Label>) => Done;
}

/** How long a text of an alert may be, in UTF-16 units; the rest is cut off. */
export const maxText = 5000;

/** The texts of a rule that may be functions. */
export const textNames = ["summary", "description"] as const;
export type TextName = (typeof textNames)[number];

/** Stands in data for a function, which stays with its host. */
export interface FunctionMark {
  readonly function: true;
}

export function isFunctionMark(value: unknown): value is FunctionMark {
  return typeof value === "object" && value !== null &&
    (value as { function?: unknown }).function === true;
}

/** A rule as data. */
export interface RuleData {
  readonly alert: string;
  readonly when?: ConditionData;
  readonly on?: QueryData;
  readonly by?: readonly string[];
  readonly state?: { readonly [K in keyof StateOptions<object>]: number | FunctionMark };
  readonly each?: FunctionMark;
  readonly every?: string;
  readonly tick?: FunctionMark;
  readonly for?: string;
  readonly keepFiringFor?: string;
  readonly severity?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly summary?: string | FunctionMark;
  readonly description?: string | FunctionMark;
  readonly runbook?: string;
  readonly mode?: string;
  /** Keys that a rule doesn't have. */
  readonly unknown: readonly string[];
  readonly at: At;
}

/** The functions of a rule of code. */
export interface RuleCode {
  readonly state?: StateOptions<object>;
  readonly each?: (sample: Sample<string>, context: RuleContext<object, string>) => void;
  readonly tick?: (context: RuleContext<object, string>) => void;
}

/** The mark of what {@linkcode rule} returned. */
export const ruleMark: unique symbol = Symbol.for("dropwatch.rule");

/** A rule, made by {@linkcode rule}; a file exports it, or an array of such, as its default. */
export interface Rule {
  readonly [ruleMark]: true;
  readonly data: RuleData;
  readonly texts: { readonly [N in TextName]?: (alert: AlertFacts) => string };
  readonly code: RuleCode;
}

/** All keys that a rule may have. */
export const ruleKeys = [
  "alert",
  "when",
  "on",
  "by",
  "state",
  "each",
  "every",
  "tick",
  "for",
  "keepFiringFor",
  "severity",
  "labels",
  "summary",
  "description",
  "runbook",
  "mode",
] as const;

/**
 * Makes a rule: an alert, the condition it stands for, and what people are told.
 *
 * @example
 * ```ts
 * import { drops, rule } from "dropwatch";
 *
 * export default rule({
 *   alert: "SocketFilterDrops",
 *   when: drops.where({ reason: "SOCKET_FILTER" }).by("ownerInode").rate("10s").above(200),
 *   for: "30s",
 *   severity: "warning",
 *   summary: ({ value, labels }) => `socket ${labels.ownerInode} refuses ${value.toFixed(0)}/s`,
 * });
 * ```
 */
export function rule<Label extends string, Own extends string = never>(
  options: RuleOptions<Label, Own>,
): Rule;
/**
 * Makes a rule of code, for what no condition says: it sees each tick's drops, keeps a state, and says
 * itself when the alert fires.
 *
 * @example
 * ```ts
 * import { drops, rule } from "dropwatch";
 *
 * export default rule({
 *   alert: "PortsProbedInOrder",
 *   on: drops.where({ reason: "NO_SOCKET", l4: "TCP" }).by("saddr", "dport"),
 *   by: ["saddr"],
 *   state: { version: 1, init: () => ({ last: 0, steps: 0 }) },
 *   each: ({ dport }, { state, fire }) => {
 *     state.steps = Number(dport) === state.last + 1 ? state.steps + 1 : 0;
 *     state.last = Number(dport);
 *     if (state.steps > 20) fire(state.steps);
 *   },
 * });
 * ```
 */
export function rule<
  F extends FieldName,
  Label extends F,
  State extends object = Record<never, never>,
  Own extends string = never,
>(
  options: CodeRuleOptions<F, Label, Own, State>,
): Rule;
export function rule(options: object): Rule {
  const at = callSite();
  const given = options as Readonly<Record<string, unknown>>;
  const data: { [key: string]: unknown } = { at };
  for (const key of ruleKeys) {
    const value = given[key];
    if (value !== undefined) data[key] = dataOf(key, value);
  }
  data.unknown = Object.keys(given).filter((key) => !(ruleKeys as readonly string[]).includes(key));
  const texts = Object.fromEntries(
    textNames.filter((name) => typeof given[name] === "function").map((
      name,
    ) => [name, given[name]]),
  );
  const { state, each, tick } = given;
  const code = { state, each, tick } as RuleCode;
  return { [ruleMark]: true, data: data as unknown as RuleData, texts, code };
}

function dataOf(key: string, value: unknown): unknown {
  if (typeof value === "function") return { function: true };
  if (key === "when" || key === "on") return (value as { data?: unknown } | null)?.data ?? value;
  if (key !== "state" || typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [
      name,
      typeof part === "function" ? { function: true } : part,
    ]),
  );
}

// A rule as its author writes it, and as the rule host hands it over.
import type { FieldName } from "../drop/field.ts";
import type { Duration } from "./duration.ts";
import { callSite } from "./query.ts";
import type { At, Condition, ConditionData } from "./query.ts";

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

/** What a rule consists of: `Label` are the fields of `by`, `Own` the names of its own labels. */
export interface RuleOptions<Label extends FieldName = never, Own extends string = never> {
  /** The alert's name, in CamelCase as Prometheus has it; no other rule may have it. */
  readonly alert: string;
  readonly when: Condition<Label>;
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
}

/** How long a text of an alert may be, in UTF-16 units; the rest is cut off. */
export const maxText = 5000;

/** The texts of a rule that may be functions. */
export const textNames = ["summary", "description"] as const;
export type TextName = (typeof textNames)[number];

/** A rule as data. A text that is a function says so, and stays with its host. */
export interface RuleData {
  readonly alert: string;
  readonly when: ConditionData;
  readonly for?: string;
  readonly keepFiringFor?: string;
  readonly severity?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly summary?: string | { readonly function: true };
  readonly description?: string | { readonly function: true };
  readonly runbook?: string;
  /** Keys that a rule doesn't have. */
  readonly unknown: readonly string[];
  readonly at: At;
}

/** The mark of what {@linkcode rule} returned. */
export const ruleMark: unique symbol = Symbol.for("dropwatch.rule");

/** A rule, made by {@linkcode rule}; a file exports it, or an array of such, as its default. */
export interface Rule {
  readonly [ruleMark]: true;
  readonly data: RuleData;
  readonly texts: { readonly [N in TextName]?: (alert: AlertFacts) => string };
}

const known = [
  "alert",
  "when",
  "for",
  "keepFiringFor",
  "severity",
  "labels",
  "summary",
  "description",
  "runbook",
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
export function rule<Label extends FieldName, Own extends string = never>(
  options: RuleOptions<Label, Own>,
): Rule {
  const at = callSite();
  const texts: { [N in TextName]?: (alert: AlertFacts) => string } = {};
  const data: { [key: string]: unknown } = { at };
  for (const key of known) {
    const value = options[key];
    if (value === undefined) continue;
    if (typeof value === "function") {
      texts[key as TextName] = value as (alert: AlertFacts) => string;
      data[key] = { function: true };
    } else data[key] = key === "when" ? (value as { data?: unknown } | null)?.data ?? value : value;
  }
  data.unknown = Object.keys(options).filter((key) => !(known as readonly string[]).includes(key));
  return { [ruleMark]: true, data: data as unknown as RuleData, texts };
}

// What the config says of a rule without touching its file: how bad it is, from what value on, and
// whether anybody is told.
import * as v from "valibot";
import { isDuration } from "./duration.ts";
import type { UncheckedRule } from "./host_message.ts";
import type { Mode, Severity } from "./rule.ts";

/** What of a rule can be overridden. */
export interface Override {
  readonly severity?: Severity | undefined;
  /** Added to the rule's own. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Of a rule that has one: its condition is a value above or below it. */
  readonly threshold?: number | undefined;
  readonly recovery?: number | undefined;
  readonly for?: string | undefined;
  readonly keepFiringFor?: string | undefined;
  readonly mode?: Mode | undefined;
}

/** By the name of the alert. */
export type Overrides = Readonly<Record<string, Override>>;

const duration = `a duration like "30s"`;
const optionalText = v.optional(v.pipe(v.string(duration), v.check(isDuration, duration)));
const optionalNumber = v.optional(v.number("a number"));

const entries = {
  severity: v.optional(v.picklist(["critical", "warning", "info"], "critical, warning or info")),
  labels: v.optional(v.record(v.string(), v.string("a text"), "labels with texts")),
  threshold: optionalNumber,
  recovery: optionalNumber,
  for: optionalText,
  keepFiringFor: optionalText,
  mode: v.optional(v.picklist(["alert", "shadow"], "alert or shadow")),
};

export const overrideKeys: readonly string[] = Object.keys(entries);

export const OverridesSchema: v.GenericSchema<unknown, Overrides> = v.record(
  v.string(),
  v.strictObject(entries, "an object"),
  "overrides by the names of alerts",
) as unknown as v.GenericSchema<unknown, Overrides>;

/** The rule as the config has it; it is checked like any other. */
export function overridden(raw: UncheckedRule, overrides: Overrides | undefined): UncheckedRule {
  const name = raw.alert;
  if (overrides === undefined || typeof name !== "string" || !Object.hasOwn(overrides, name)) {
    return raw;
  }
  const { threshold, recovery, labels, ...rest } = overrides[name]!;
  const when = raw.when as Readonly<Record<string, unknown>> | undefined;
  return {
    ...raw,
    ...rest,
    ...(labels === undefined ? {} : { labels: { ...raw.labels as object, ...labels } }),
    // What has no threshold is left as it is: that is told where rules are checked.
    ...((threshold ?? recovery) === undefined || !hasThreshold(raw) ? {} : {
      when: {
        ...when,
        // A recovery belongs to its threshold: the rule's own doesn't go with another one.
        ...(threshold === undefined ? {} : { threshold, recovery: undefined }),
        ...(recovery === undefined ? {} : { recovery }),
      },
    }),
  };
}

/** Whether a rule has a threshold that can be overridden. */
export function hasThreshold(raw: UncheckedRule): boolean {
  const is = (raw.when as { is?: unknown } | undefined)?.is;
  return is === "above" || is === "below";
}

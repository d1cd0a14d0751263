// Rules that are always there: what goes wrong with rules, with sinks or with the state is an alert like
// any other, which those sinks tell that still can. A rule of the same name takes their place.
import type { CheckedRule } from "./checked.ts";
import type { HealthEvent, HealthField } from "../watch/health.ts";
import { milliseconds } from "./duration.ts";
import type { Overrides } from "./override.ts";
import type { AlertFacts, Severity } from "./rule.ts";

/** The bundle of rules that no file has. */
export const ownBundle = "own";

function ownRule(
  alert: string,
  event: HealthEvent,
  by: readonly HealthField[],
  window: number,
  severity: Severity,
  summary: (alert: AlertFacts) => string,
): CheckedRule {
  const value = {
    aggregate: "count",
    window,
    stream: { health: { event: [event] }, by },
  } as const;
  return {
    file: "",
    bundle: ownBundle,
    index: 0,
    place: { file: "" },
    alert,
    condition: { is: "above", threshold: 0, recovery: 0, value },
    by,
    for: 0,
    keepFiringFor: 0,
    severity,
    labels: {},
    texts: { summary },
    runbook: undefined,
    mode: "alert",
  };
}

/** The names of rules that are always there. */
export const ownRuleNames = [
  "RuleError",
  "RuleDisabled",
  "ReloadFailed",
  "SinkFailing",
  "SinkDisabled",
  "NotificationsThrottled",
  "AlertUndelivered",
  "StateNotSaved",
] as const;

/**
 * The rules that are always there, as the config has them; `interval` is that of ticks, in
 * milliseconds.
 */
export function ownRules(interval: number, overrides: Overrides = {}): CheckedRule[] {
  return rulesFor(interval).map((rule) => {
    const { severity, labels, mode, for: wait, keepFiringFor: keep } = overrides[rule.alert] ?? {};
    return {
      ...rule,
      ...(severity === undefined ? {} : { severity }),
      ...(mode === undefined ? {} : { mode }),
      ...(labels === undefined ? {} : { labels }),
      ...(wait === undefined ? {} : { for: milliseconds(wait) }),
      ...(keep === undefined ? {} : { keepFiringFor: milliseconds(keep) }),
    };
  });
}

function rulesFor(interval: number): CheckedRule[] {
  // What is so at each tick is over soon after it is so no more.
  const soon = 3 * interval;
  return [
    ownRule(
      "RuleError",
      "ruleError",
      ["rule", "file", "why"],
      300_000 - (300_000 % interval),
      "warning",
      ({ labels }) => `code of the rule ${labels.rule} failed (${labels.why}): the log says how`,
    ),
    ownRule(
      "RuleDisabled",
      "ruleDisabled",
      ["rule", "file", "why"],
      soon,
      "warning",
      ({ labels }) =>
        `code of the rule ${labels.rule} isn't run any more (${labels.why}), until ${labels.file} changes`,
    ),
    ownRule(
      "ReloadFailed",
      "reloadFailed",
      ["file", "why"],
      soon,
      "warning",
      ({ labels }) =>
        `${
          labels.file || "the rules"
        } can't be loaded as it is now (${labels.why}): its last good ` +
        `version goes on, if there was one`,
    ),
    ownRule(
      "SinkFailing",
      "sinkFailing",
      ["sink", "why"],
      soon,
      "warning",
      ({ labels }) =>
        `the sink ${labels.sink} fails again and again (${labels.why}): what it is to tell waits`,
    ),
    ownRule(
      "SinkDisabled",
      "sinkDisabled",
      ["sink", "why"],
      soon,
      "critical",
      ({ labels }) => `nothing is sent to the sink ${labels.sink} any more (${labels.why})`,
    ),
    {
      ...ownRule(
        "NotificationsThrottled",
        "throttled",
        ["sink"],
        soon,
        "info",
        ({ labels }) =>
          `the sink ${labels.sink} takes less than there is to tell: messages wait, and groups are ` +
          `told less often`,
      ),
      for: 30_000,
    },
    ownRule(
      "AlertUndelivered",
      "undelivered",
      ["sink", "why"],
      300_000 - (300_000 % interval),
      "warning",
      ({ labels }) =>
        `${labels.sink} was not told of an alert (${labels.why}): \`dropwatch outbox list\` has it`,
    ),
    ownRule(
      "StateNotSaved",
      "stateFailed",
      [],
      soon,
      "warning",
      () =>
        "the state can't be saved: alerts are told all the same, but a restart wouldn't know of them",
    ),
  ];
}

// From what a rule says to what can be watched, with an error for each mistake: its file, line and
// column, the value, and what would be right.
import { ruleMistake } from "../error.ts";
import type { DropwatchError, Place } from "../error.ts";
import { nearest } from "../nearest.ts";
import { checkCode } from "./check_code.ts";
import type { Tell } from "./check_code.ts";
import { checkCondition } from "./check_condition.ts";
import type { CheckContext, Checked, RuleContext } from "./check_context.ts";
import type { CheckedCondition, CheckedRule } from "./checked.ts";
import { milliseconds } from "./duration.ts";
import { findValue, written } from "./find_value.ts";
import { isCondition } from "./host_message.ts";
import type { UncheckedRule } from "./host_message.ts";
import type { ConditionData } from "./query.ts";
import { isFunctionMark, ruleKeys, textNames } from "./rule.ts";
import type { FunctionMark, Mode, Severity } from "./rule.ts";

const severities = ["critical", "warning", "info"] as const;
const modes = ["alert", "shadow"] as const;
const reservedLabels = ["alertname", "severity"];

/** Checks one rule. Either there are errors, or a rule; with it there may be warnings. */
export function checkRule(
  raw: UncheckedRule,
  checkContext: CheckContext,
): { rule?: CheckedRule; errors: DropwatchError[]; warnings: DropwatchError[] } {
  const errors: DropwatchError[] = [];
  const warnings: DropwatchError[] = [];
  const context: RuleContext = { ...checkContext, filters: [], warnings };
  const place = (at: string, value?: unknown, key?: string): Place =>
    findValue(context, at, value, key);
  const mistake: Tell = (what, value, expected, names = [], at = raw.at) => {
    errors.push(ruleMistake(place(at, value), what, value, expected, names));
  };

  for (const key of raw.unknown) {
    mistake("unknown key", key, "a rule has no such key", nearest(key, ruleKeys));
  }
  const alert = raw.alert;
  if (typeof alert !== "string" || !/^[A-Za-z_][A-Za-z0-9_]{0,99}$/.test(alert)) {
    mistake("bad alert name", alert, "expected letters, digits and _, as in SocketFilterDrops");
  }
  const duration = (name: string, value: unknown): number => {
    if (value === undefined) return 0;
    try {
      return milliseconds(written(value));
    } catch {
      mistake(`bad ${name}`, value, `expected a duration such as "30s"`);
      return 0;
    }
  };
  const severity = raw.severity === undefined ? "warning" : raw.severity;
  if (!severities.includes(severity as Severity)) {
    mistake(
      "bad severity",
      severity,
      "expected critical, warning or info",
      nearest(written(severity), severities),
    );
  }
  const labels = raw.labels === undefined ? {} : raw.labels;
  if (typeof labels !== "object" || labels === null || Array.isArray(labels)) {
    mistake("bad labels", labels, `expected an object such as { team: "storage" }`);
  } else {
    for (const [name, value] of Object.entries(labels)) {
      const bad = (what: string, value: unknown, expected: string): void => {
        errors.push(ruleMistake(place(raw.at, value, "labels"), what, value, expected));
      };
      if (typeof value !== "string") bad(`bad label ${name}`, value, "expected a text");
      if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) {
        bad("bad label name", name, "expected letters, digits and _");
      }
      if (name.startsWith("__")) bad("bad label name", name, "Prometheus keeps __ for itself");
      if (reservedLabels.includes(name)) bad("bad label name", name, "it is set by dropwatch");
    }
  }
  for (const text of textNames) {
    const value = raw[text];
    if (value !== undefined && typeof value !== "string" && !isFunctionMark(value)) {
      mistake(`bad ${text}`, value, "expected a text or a function that returns one");
    }
  }
  if (raw.runbook !== undefined && !isUrl(raw.runbook)) {
    mistake("bad runbook", raw.runbook, "expected an http or https URL");
  }
  const mode = raw.mode === undefined ? "alert" : raw.mode;
  if (!modes.includes(mode as Mode)) {
    mistake("bad mode", mode, "expected alert or shadow", nearest(written(mode), modes));
  }
  const condition = conditionOf(raw, context, errors, mistake);
  const by = condition?.by ?? [];
  for (const name of Object.keys(labels ?? {})) {
    if ((by as readonly string[]).includes(name)) {
      errors.push(
        ruleMistake(
          place(raw.at, name, "labels"),
          "bad label name",
          name,
          `"by" gives the alert this label already`,
        ),
      );
    }
  }
  const forMs = duration("for", raw.for);
  const keep = duration("keepFiringFor", raw.keepFiringFor);
  if (forMs > 0 && condition?.condition.is === "first") {
    mistake("bad for", raw.for, "first() holds for one tick: leave it out, or use keepFiringFor");
  }
  if (errors.length > 0 || condition === undefined) return { errors, warnings };
  const texts: { [N in (typeof textNames)[number]]?: string | FunctionMark } = {};
  for (const name of textNames) {
    const text = raw[name];
    if (text !== undefined) texts[name] = text as string | FunctionMark;
  }
  return {
    errors,
    warnings,
    rule: {
      file: context.file,
      bundle: context.bundle.id,
      index: context.index,
      place: place(raw.at),
      alert: alert as string,
      condition: condition.condition,
      by,
      for: forMs,
      keepFiringFor: keep,
      severity: severity as Severity,
      labels: labels as Record<string, string>,
      texts,
      runbook: raw.runbook as string | undefined,
      mode: mode as Mode,
    },
  };
}

/** What a rule looks at: a condition, or drops for its code. */
function conditionOf(
  raw: UncheckedRule,
  context: RuleContext,
  errors: DropwatchError[],
  mistake: Tell,
): Checked<{ condition: CheckedCondition }> | undefined {
  const before = errors.length;
  if (raw.on === undefined) {
    for (const name of ["by", "state", "each", "every", "tick"] as const) {
      if (raw[name] !== undefined) mistake(`bad ${name}`, name, 'it goes with "on"');
    }
    if (!isCondition(raw.when)) {
      mistake(
        "bad when",
        raw.when ?? "nothing",
        'expected a condition such as drops.rate("10s").above(100)',
      );
    }
    if (errors.length > before) return undefined;
    return checkCondition(raw.when as ConditionData, context, errors);
  }
  if (raw.when !== undefined) mistake("bad when", "when", 'a rule has either "when" or "on"');
  return checkCode(raw, context, errors, mistake);
}

function isUrl(value: unknown): boolean {
  return typeof value === "string" && URL.canParse(value) &&
    /^https?:$/.test(new URL(value).protocol);
}

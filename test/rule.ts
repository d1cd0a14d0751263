// Rules as they are after the check, without files, and a watch over them, without a kernel.
import type { Drop, FieldName } from "../core/drop/field.ts";
import { dropCounter } from "../core/plan/label.ts";
import { makePlan } from "../core/plan/plan.ts";
import type { Plan } from "../core/plan/plan.ts";
import { checkRule } from "../core/rule/check.ts";
import type { CheckedRule, Leaf, Value } from "../core/rule/checked.ts";
import type { UncheckedRule } from "../core/rule/host_message.ts";
import type { RuleSet } from "../core/rule/load.ts";
import { plainJson } from "../core/rule/plain.ts";
import type { Rule } from "../core/rule/rule.ts";
import { runCode, runFilter } from "../core/rule/run.ts";
import type { Happened } from "../core/watch/health.ts";
import type { Tick } from "../core/watch/tick.ts";
import { tally } from "../core/watch/tick.ts";
import { countsOf, makeWatch } from "../core/watch/watch.ts";
import type { FilterQuestion } from "../core/watch/stream.ts";
import type { Transition, Watch, WatchMemory } from "../core/watch/watch.ts";
import { facts, where, world } from "./world.ts";

/** What a rule counts, over how long (milliseconds). */
export interface Counted {
  readonly where?: Readonly<Record<string, unknown>>;
  readonly by?: readonly FieldName[];
  readonly aggregate?: "count" | "rate" | "sum";
  readonly window?: number;
}

export interface RuleParts extends Counted {
  readonly alert?: string;
  readonly above?: number;
  readonly below?: number;
  readonly recovery?: number;
  /** The whole that it is divided by. */
  readonly over?: Counted & { readonly min?: number };
  readonly for?: number;
  readonly keepFiringFor?: number;
  readonly texts?: CheckedRule["texts"];
  readonly labels?: Readonly<Record<string, string>>;
}

function valueOf(parts: Counted): Leaf {
  const { aggregate = "count", window = 10_000, by = [] } = parts;
  return {
    aggregate,
    window,
    stream: {
      count: {
        predicate: where(parts.where ?? {}),
        by,
        sum: aggregate === "sum" ? "len" : undefined,
      },
      by,
      filters: [],
    },
  };
}

/** A rule that was found right; what isn't given is as little as can be. */
export function ruleOf(parts: RuleParts): CheckedRule {
  const threshold = parts.above ?? parts.below ?? 0;
  const value: Value = parts.over === undefined
    ? valueOf(parts)
    : { part: valueOf(parts), whole: valueOf(parts.over), min: parts.over.min ?? 0 };
  return {
    file: "rules/made_up.ts",
    bundle: "made up",
    index: 0,
    place: { file: "rules/made_up.ts", line: 1, column: 1 },
    alert: parts.alert ?? "MadeUp",
    condition: {
      is: parts.below === undefined ? "above" : "below",
      threshold,
      recovery: parts.recovery ?? threshold,
      value,
    },
    by: parts.by ?? [],
    for: parts.for ?? 0,
    keepFiringFor: parts.keepFiringFor ?? 0,
    severity: "warning",
    labels: parts.labels ?? {},
    texts: parts.texts ?? {},
    runbook: undefined,
    mode: "alert",
  };
}

/** Rules as a run has them, without the processes that run code: none of them may need one. */
export function ruleSetOf(rules: readonly CheckedRule[]): RuleSet {
  return {
    rules,
    errors: [],
    warnings: [],
    host: { text: () => Promise.reject(new Error("no text is asked for")) },
    inputs: () => [],
    onBlame: () => {},
  } as unknown as RuleSet;
}

/** Rules as they are written, checked; throws where they have mistakes. */
export function checked(...rules: readonly Rule[]): CheckedRule[] {
  const file = "rules/made_up.ts";
  const bundle = { id: "made up", code: "", inputs: [], place: () => ({ file }) };
  return rules.map((rule, index) => {
    const raw = JSON.parse(plainJson(rule.data)) as UncheckedRule;
    const context = { file, index, bundle, source: () => "", facts, interval: 1000 };
    const { rule: right, errors: [error] } = checkRule(raw, context);
    if (right === undefined) throw error;
    return right;
  });
}

export interface Watching {
  readonly plan: Plan;
  readonly watch: Watch;
  /** A second goes by, in which these were dropped, so often each. */
  second(
    drops?: readonly (readonly [Drop, number])[],
    tick?: Partial<Tick>,
    happened?: readonly Happened[],
  ): Transition[];
  /** As many seconds without a drop; the transitions of all of them. */
  quiet(seconds: number): Transition[];
  /** What filters were asked, as texts. */
  readonly asked: readonly string[];
}

export interface WatchingOptions {
  readonly maxSeries?: number;
  /** Changes a tick before it is seen. */
  readonly spoil?: (tick: Tick) => Tick;
  /** The rules as they were written, where they have code. */
  readonly code?: readonly Rule[];
  readonly before?: readonly WatchMemory[];
  /** The time at which it begins. */
  readonly from?: number;
}

/** A watch over rules with a tick each second, on a time of its own that begins at 0. */
export function watching(rules: readonly CheckedRule[], options: WatchingOptions = {}): Watching {
  const plan = makePlan(countsOf(rules).counts);
  const watch = makeWatch({
    rules,
    plan,
    interval: 1000,
    maxSeries: options.maxSeries ?? 1000,
    before: options.before ?? [],
  });
  const counter = dropCounter(plan, world);
  let at = options.from ?? 0;
  const asked: string[] = [];
  const ask = ({ rule, filter, values, answer }: FilterQuestion): void => {
    asked.push(...values.map((each) => each.join()));
    answer(runFilter(options.code?.[rule.index], filter.index, filter.fields, values));
  };
  const second: Watching["second"] = (drops = [], more = {}, happened = []) => {
    for (const [drop, n] of drops) counter.add(drop, n);
    const { seen, reasons, maps } = counter.take();
    at += 1000;
    const given: Tick = {
      at,
      seconds: 1,
      ...tally(seen, maps, 0),
      reasons,
      maps,
      samples: [],
      unreadable: 0,
      ...more,
    };
    const tick = options.spoil?.(given) ?? given;
    const failed = new Set<CheckedRule>();
    for (const question of watch.questions(tick)) {
      try {
        ask(question);
      } catch {
        failed.add(question.rule);
      }
    }
    for (const { rule, run, answer } of watch.take(tick, happened)) {
      answer(runCode(options.code?.[rule.index], run, /made_up/));
    }
    return watch.judge(failed);
  };
  return {
    plan,
    watch,
    second,
    asked,
    quiet: (seconds) => Array.from({ length: seconds }, () => second()).flat(),
  };
}

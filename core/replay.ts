// Rules over a capture: what would have fired, when and for how long, and how that changes with the
// threshold.
import type { RuleSet } from "./rule/load.ts";
import { runPipeline } from "./pipeline.ts";
import type { RunSummary } from "./pipeline.ts";
import type { CheckedRule } from "./rule/checked.ts";
import type { Override } from "./rule/override.ts";
import type { Source } from "./watch/source.ts";
import type { Tick } from "./watch/tick.ts";
import type { ActiveAlert, Transition } from "./watch/watch.ts";

/** A time in which an alert fired. */
export interface Firing {
  readonly alert: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds since 1970; `endsAt` is null where it still fired at the end. */
  readonly startsAt: number;
  readonly endsAt: number | null;
  readonly peak: number;
  readonly total: number;
  readonly exact: boolean;
}

/** What a rule would have done with another threshold. */
export interface SweepStep {
  readonly alert: string;
  readonly threshold: number;
  /** How many times an alert fired, of how many combinations of labels, for how long together (s). */
  readonly fired: number;
  readonly series: number;
  readonly seconds: number;
  /** The rule's own threshold. */
  readonly own: boolean;
}

export interface Replayed {
  readonly firings: readonly Firing[];
  readonly sweep: readonly SweepStep[];
  readonly summary: RunSummary;
  /** First and last tick, in milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
}

export interface ReplayOptions {
  readonly source: Source;
  readonly rules: RuleSet;
  /** Milliseconds between ticks. */
  readonly interval: number;
  readonly maxKeys: number;
  readonly overrides?: Readonly<Record<string, Override>> | undefined;
  /** By what thresholds are multiplied; none where this is empty. */
  readonly factors: readonly number[];
  readonly signal: AbortSignal;
  readonly log: (message: string) => void;
  readonly onTick?: (tick: Tick) => void;
}

/** Joins a rule's name and a threshold; no alert's name has it. */
const mark = " above or below ";

/** Runs rules over a source that ends. */
export async function replayRules(options: ReplayOptions): Promise<Replayed> {
  const { rules } = options;
  const variants = rules.rules.flatMap((rule) => variantsOf(rule, options.factors));
  const open = new Map<string, Firing>();
  const firings: Firing[] = [];
  let [from, to] = [Infinity, 0];
  const onTransition = (transition: Transition): void => {
    const { rule, change, labels, peak, total, exact, at } = transition;
    const key = JSON.stringify([rule.alert, labels]);
    if (change === "firing") {
      open.set(key, { alert: rule.alert, labels, startsAt: at, endsAt: null, peak, total, exact });
    } else if (change === "resolved") {
      const known = open.get(key)!;
      open.delete(key);
      firings.push({ ...known, endsAt: at, peak, total, exact: known.exact && exact });
    }
  };
  let last: readonly ActiveAlert[] = [];
  const summary = await runPipeline({
    ...options,
    rules: { ...rules, rules: [...rules.rules, ...variants] },
    sinks: [],
    onTransition,
    onTick(tick) {
      from = Math.min(from, tick.at - 1000 * tick.seconds);
      to = Math.max(to, tick.at);
      options.onTick?.(tick);
    },
    onEnd(active) {
      last = active;
    },
  });
  for (const { rule, labels, state } of last) {
    const known = open.get(JSON.stringify([rule.alert, labels]));
    if (known !== undefined) firings.push({ ...known, peak: state.peak, total: state.total });
  }
  const name = ({ alert, labels }: Firing): string => JSON.stringify([alert, labels]);
  firings.sort((a, b) => a.startsAt - b.startsAt || (name(a) < name(b) ? -1 : 1));
  const names = new Set(rules.rules.map(({ alert }) => alert));
  return {
    firings: firings.filter(({ alert }) => !alert.includes(mark)),
    sweep: sweepOf(rules.rules, variants, firings, to),
    summary: { ...summary, rules: summary.rules.filter(({ alert }) => names.has(alert)) },
    from: from === Infinity ? 0 : from,
    to,
  };
}

function variantsOf(rule: CheckedRule, factors: readonly number[]): CheckedRule[] {
  const { condition } = rule;
  if (condition.is !== "above" && condition.is !== "below") return [];
  const { threshold, recovery } = condition;
  return factors.filter((factor) => factor !== 1).map((factor) => ({
    ...rule,
    alert: `${rule.alert}${mark}${threshold * factor}`,
    condition: { ...condition, threshold: threshold * factor, recovery: recovery * factor },
  }));
}

function sweepOf(
  rules: readonly CheckedRule[],
  variants: readonly CheckedRule[],
  firings: readonly Firing[],
  end: number,
): SweepStep[] {
  if (variants.length === 0) return [];
  const byAlert = Map.groupBy(firings, ({ alert }) => alert);
  return rules.flatMap((rule) => {
    const mine = variants.filter(({ alert }) => alert.startsWith(`${rule.alert}${mark}`));
    if (mine.length === 0) return [];
    return [rule, ...mine].map((each): SweepStep => {
      const { threshold } = each.condition as typeof each.condition & { is: "above" };
      const fired = byAlert.get(each.alert) ?? [];
      return {
        alert: rule.alert,
        threshold,
        fired: fired.length,
        series: new Set(fired.map(({ labels }) => JSON.stringify(labels))).size,
        seconds: fired.reduce((sum, { startsAt, endsAt }) =>
          sum + ((endsAt ?? end) - startsAt), 0) /
          1000,
        own: each === rule,
      };
    }).sort((a, b) => a.threshold - b.threshold);
  });
}

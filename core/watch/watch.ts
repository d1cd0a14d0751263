// From ticks to alerts: windows, conditions, states. No clock and no I/O: time is the ticks' own,
// so that a test or a replay runs it as fast as it goes.
import { separator } from "../plan/key.ts";
import { splitPredicate } from "../plan/plan.ts";
import type { Count, Plan } from "../plan/plan.ts";
import { inRanges } from "../plan/predicate.ts";
import type { Range } from "../plan/predicate.ts";
import { leavesOf } from "../rule/check.ts";
import type { Aggregate, CheckedRule, Value } from "../rule/check.ts";
import { step } from "./state.ts";
import type { AlertState, Change } from "./state.ts";
import type { Tick } from "./tick.ts";
import { Window } from "./window.ts";
import type { Series } from "./window.ts";

/** An alert that changed its state. */
export interface Transition {
  readonly rule: CheckedRule;
  readonly change: Exclude<Change, "none">;
  /** The fields of `by` with their values. */
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly peak: number;
  readonly total: number;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly at: number;
  readonly exact: boolean;
  readonly lost: number;
}

/** A rule's alert that is pending or firing. */
export interface ActiveAlert {
  readonly rule: CheckedRule;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: Readonly<AlertState>;
}

/** An alert of an earlier run. */
export interface EarlierAlert {
  readonly alert: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: Readonly<AlertState>;
}

export interface Watch {
  tick(tick: Tick): Transition[];
  active(): ActiveAlert[];
  /** Takes up an alert of an earlier run; false where no rule makes such alerts any more. */
  restore(earlier: EarlierAlert): boolean;
  /** Drops that matched each rule, in the rules' order. */
  totals(): readonly number[];
  /** Series that are in windows now. */
  readonly size: number;
  /** Drops that windows had no room for since the start. */
  readonly refused: number;
}

export interface WatchOptions {
  readonly rules: readonly CheckedRule[];
  readonly plan: Plan;
  /** Milliseconds between ticks. */
  readonly interval: number;
  /** How many series a window may hold. */
  readonly maxSeries: number;
}

/** What is counted, once for all rules that ask for the same. */
export function countsOf(rules: readonly CheckedRule[]): {
  counts: Count[];
  indexOf: (count: Count) => number;
} {
  const counts: Count[] = [];
  const known = new Map<string, number>();
  const byObject = new Map<Count, number>();
  const keyOf = (count: Count): string =>
    JSON.stringify(
      [count.predicate, [...count.by].sort(), count.sum ?? ""],
      (_, value) => typeof value === "bigint" ? String(value) : value,
    );
  const add = ({ count }: Aggregate): void => {
    const key = keyOf(count);
    let index = known.get(key);
    if (index === undefined) {
      index = counts.push(count) - 1;
      known.set(key, index);
    }
    byObject.set(count, index);
  };
  for (const rule of rules) leavesOf(rule.condition.value).forEach(add);
  return { counts, indexOf: (count) => byObject.get(count)! };
}

interface CountWindow {
  readonly count: number;
  readonly window: Window;
  changed: ReadonlySet<Series>;
}

interface RuleWatch {
  readonly rule: CheckedRule;
  /** The windows of its series: the first one tells which series there are. */
  readonly leading: CountWindow;
  readonly windows: readonly CountWindow[];
  readonly share: boolean;
  readonly value: (text: string) => number;
  /** Where the rule's labels stand in a series' labels. */
  readonly order: readonly number[];
  readonly alerts: Map<string, AlertState>;
  readonly totalOf: { readonly reasons: readonly Range[] } | { readonly count: number };
  total: number;
}

/** Watches rules over ticks of their plan. */
export function makeWatch(options: WatchOptions): Watch {
  const { plan, rules } = options;
  const { indexOf } = countsOf(rules);
  const windows = new Map<string, CountWindow>();
  const byCount: CountWindow[][] = plan.counts.map(() => []);
  const windowOf = (count: number, length: number): CountWindow => {
    const key = `${count}/${length}`;
    let found = windows.get(key);
    if (found === undefined) {
      found = {
        count,
        window: new Window(length, options.interval, options.maxSeries),
        changed: new Set(),
      };
      windows.set(key, found);
      byCount[count]!.push(found);
    }
    return found;
  };
  const watched = rules.map((rule): RuleWatch => {
    const used: CountWindow[] = [];
    const value = valueOf(rule.condition.value, (leaf) => {
      const found = windowOf(indexOf(leaf.count), leaf.window);
      used.push(found);
      return found.window;
    });
    const leading = used[0]!;
    const place = plan.places[leading.count]!;
    const mapBy = place.at === "map" ? plan.maps[place.map]!.by : [];
    return {
      rule,
      leading,
      windows: used,
      share: "part" in rule.condition.value,
      value,
      order: rule.by.map((field) => mapBy.indexOf(field)),
      alerts: new Map(),
      totalOf: totalOf(plan, leading.count),
      total: 0,
    };
  });
  let refused = 0;
  let begun = false;
  const countTotals = new Float64Array(plan.counts.length);

  const feed = (tick: Tick): void => {
    countTotals.fill(0);
    plan.places.forEach((place, count) => {
      if (place.at !== "reasons") return;
      const n = sumReasons(tick.reasons, place.ranges);
      if (n > 0) { for (const { window } of byCount[count]!) window.add(whole, n, 0); }
    });
    for (const map of tick.maps) {
      for (const { key, n, sum } of map.entries) {
        for (const count of key.counts) {
          countTotals[count]! += n;
          for (const { window } of byCount[count]!) if (!window.add(key, n, sum)) refused += n;
        }
      }
    }
    const gap = tick.gap !== undefined;
    // What came before the first tick, or in a gap, nobody has counted.
    const from = gap ? tick.at : begun ? undefined : tick.at - 1000 * tick.seconds;
    begun = true;
    // What no map has lost was lost before it could be told where it belongs.
    const lost = Math.max(0, tick.lost - tick.maps.reduce((sum, map) => sum + map.lost, 0));
    for (const each of windows.values()) {
      const place = plan.places[each.count]!;
      const map = place.at === "map" ? tick.maps[place.map] : undefined;
      const missing = (map?.other ?? 0) + (map?.lost ?? 0) + lost;
      each.changed = each.window.advance(tick.at, missing, missing === 0 && !gap);
      if (from !== undefined) each.window.interrupt(from);
    }
  };

  const evaluate = (each: RuleWatch, tick: Tick, transitions: Transition[]): void => {
    const { rule } = each;
    each.total += "reasons" in each.totalOf
      ? sumReasons(tick.reasons, each.totalOf.reasons)
      : countTotals[each.totalOf.count]!;
    const texts = new Set<string>(each.alerts.keys());
    if (rule.by.length === 0) texts.add("");
    else if (each.share || rule.condition.is === "below") {
      for (const series of each.leading.window.all()) texts.add(series.text);
    } else for (const series of each.leading.changed) texts.add(series.text);
    const { is, threshold, recovery } = rule.condition;
    const worse = is === "above" ? Math.max : Math.min;
    const whole = each.windows.every(({ window }) => window.isWhole(tick.at));
    // A window that isn't whole holds too few drops: that it is below a threshold says nothing.
    if (!whole && is === "below") return;
    const since = Math.max(...each.windows.map(({ window }) => window.since));
    for (const text of texts) {
      const value = each.value(text);
      const before = each.alerts.get(text);
      const holds = (firing: boolean): boolean => {
        const bound = firing ? recovery : threshold;
        return is === "above" ? value > bound : value < bound;
      };
      const series = each.leading.window.get(text);
      const fresh = series === undefined ? 0 : each.leading.window.fresh(series);
      // An alert begins with the drops of its window: they are what made it begin.
      const drops = before === undefined ? series?.count ?? 0 : fresh;
      // What began before the counting did is not over because little has been counted so far.
      if (
        !whole && before !== undefined && before.since < since && !holds(before.state === "firing")
      ) {
        before.value = value;
        before.total += drops;
        continue;
      }
      const { after, change } = step(before, tick.at, value, drops, holds, {
        for: rule.for,
        keepFiringFor: rule.keepFiringFor,
        worse,
      });
      if (after === undefined) each.alerts.delete(text);
      else each.alerts.set(text, after);
      if (change === "none") continue;
      const known = after ?? before!;
      const doubts = each.windows.map(({ window }) => window.doubt());
      transitions.push({
        rule,
        change,
        labels: labelsOf(each, text),
        value,
        peak: known.peak,
        total: known.total,
        since: known.since,
        at: tick.at,
        exact: doubts.every(({ exact }) => exact),
        lost: doubts.reduce((most, { missing }) => Math.max(most, missing), 0),
      });
    }
  };

  return {
    tick(tick) {
      const transitions: Transition[] = [];
      feed(tick);
      for (const each of watched) evaluate(each, tick, transitions);
      return transitions;
    },
    active: () =>
      watched.flatMap((each) =>
        [...each.alerts].map(([text, state]) => ({
          rule: each.rule,
          labels: labelsOf(each, text),
          state,
        }))
      ),
    restore({ alert, labels, state }) {
      const each = watched.find(({ rule }) => rule.alert === alert);
      const names = Object.keys(labels);
      if (
        each === undefined || names.length !== each.rule.by.length ||
        !each.rule.by.every((field) => names.includes(field))
      ) return false;
      const values: string[] = [];
      each.order.forEach((at, i) => values[at] = labels[each.rule.by[i]!]!);
      each.alerts.set(values.join(separator), { ...state });
      return true;
    },
    totals: () => watched.map(({ total }) => total),
    get size() {
      return [...windows.values()].reduce((size, { window }) => size + window.size, 0);
    },
    get refused() {
      return refused;
    },
  };
}

/** The one series of a query without `by`. */
const whole = { text: "", labels: [] };

function labelsOf(each: RuleWatch, text: string): Record<string, string> {
  const values = text.split(separator);
  return Object.fromEntries(
    each.rule.by.map((field, i) => [field, values[each.order[i]!] ?? ""]),
  );
}

function sumReasons(reasons: ReadonlyMap<number, number>, ranges: readonly Range[]): number {
  let sum = 0;
  for (const [reason, n] of reasons) if (inRanges(ranges, reason)) sum += n;
  return sum;
}

/** Where the number of all drops of a count is to be had exactly, even of those without a key. */
function totalOf(plan: Plan, count: number): RuleWatch["totalOf"] {
  const { reasons, rest } = splitPredicate(plan.counts[count]!.predicate);
  return rest.length === 0 ? { reasons } : { count };
}

function valueOf(
  value: Value,
  windowOf: (leaf: Aggregate) => Window,
): (text: string) => number {
  if ("part" in value) {
    const part = valueOf(value.part, windowOf);
    const all = valueOf(value.whole, windowOf);
    const keyed = !("part" in value.whole) && value.whole.count.by.length > 0;
    return (text) => {
      const divisor = all(keyed ? text : "");
      return divisor === 0 || divisor < value.min ? 0 : part(text) / divisor;
    };
  }
  const window = windowOf(value);
  const seconds = value.window / 1000;
  switch (value.aggregate) {
    case "count":
      return (text) => window.get(text)?.count ?? 0;
    case "rate":
      return (text) => (window.get(text)?.count ?? 0) / seconds;
    case "sum":
      return (text) => window.get(text)?.sum ?? 0;
  }
}

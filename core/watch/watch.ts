// From ticks to alerts: streams, conditions, states. No clock and no I/O: time is the ticks' own, so
// that a test or a replay runs it as fast as it goes. What code of rules has to say is asked for
// before a tick, and given with answers.
import type { Drop } from "../drop/field.ts";
import { separator } from "../plan/key.ts";
import type { Count, Plan } from "../plan/plan.ts";
import { dropStreamsOf, streamsOf } from "../rule/checked.ts";
import type { CheckedRule, Leaf, Stream } from "../rule/checked.ts";
import type { CodeResult, CodeRun } from "../rule/host_message.ts";
import { happenedIn } from "./health.ts";
import type { Happened } from "./health.ts";
import { makeJudge, WindowUse } from "./judge.ts";
import type { Judge, JudgeParts } from "./judge.ts";
import { CodeSamples, FirstSeen, LastSeen } from "./remembered.ts";
import type { CodeMemory, EverSeen, SeenMemory } from "./remembered.ts";
import { step } from "./state.ts";
import type { AlertState, Change } from "./state.ts";
import { Feed, labelOrder, streamKey, textOf } from "./stream.ts";
import type { FilterQuestion } from "./stream.ts";
import type { Tick } from "./tick.ts";
import { Window } from "./window.ts";
import type { KeptWindow, WindowOptions } from "./window.ts";

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
  /** Whether its numbers are whole now, and how many drops of its window are known to be missing. */
  readonly exact: boolean;
  readonly lost: number;
}

/** An alert of an earlier run. */
export interface EarlierAlert {
  readonly alert: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: Readonly<AlertState>;
}

/** A run of a rule's code that has to be done before a tick. */
export interface CodeQuestion {
  readonly rule: CheckedRule;
  readonly run: CodeRun;
  answer(results: readonly CodeResult[]): void;
}

/** What a watch remembers, for the one that takes its place. */
export interface WatchMemory {
  /** By stream and length. */
  readonly windows: Map<string, Window>;
  /** By rule and stream. */
  readonly lastSeen: Map<string, SeenMemory>;
  /** By rule. */
  readonly everSeen: Map<string, EverSeen>;
  readonly code: Map<string, CodeMemory>;
  readonly rules: Map<string, RememberedRule>;
  /** Windows of an earlier run. */
  readonly keptWindows: Map<string, KeptWindow>;
  /** When the last tick was. */
  at: number | undefined;
}

interface RememberedRule {
  readonly rule: CheckedRule;
  /** It wasn't judged at the last tick: what changed then has to be looked at yet. */
  behind: boolean;
  readonly alerts: Map<string, AlertState>;
  total: number;
}

export interface Watch {
  readonly rules: readonly CheckedRule[];
  /** What filters haven't said yet about the keys of a tick. */
  questions(tick: Tick): FilterQuestion[];
  /**
   * Takes the drops of a tick, once filters have answered; `happened` is what happened to dropwatch
   * besides. Returns what code is to be run before its rules are judged.
   */
  take(tick: Tick, happened?: readonly Happened[]): CodeQuestion[];
  /** Judges the tick that was taken. Rules in `failed` keep their states: their code couldn't be run. */
  judge(failed?: ReadonlySet<CheckedRule>): Transition[];
  /** Both at once, for rules without code. */
  tick(tick: Tick, happened?: readonly Happened[]): Transition[];
  active(): ActiveAlert[];
  /** What an alert is at now; undefined where it is neither pending nor firing. */
  stateOf(rule: CheckedRule, labels: ActiveAlert["labels"]): Readonly<AlertState> | undefined;
  /** Takes up an alert of an earlier run; false where no rule makes such alerts any more. */
  restore(earlier: EarlierAlert): boolean;
  /** Whether the filters of a rule keep a drop. */
  keeps(rule: CheckedRule, drop: Drop): boolean;
  /** Drops that matched each rule, in the rules' order. */
  totals(): readonly number[];
  /** Series that are in windows now. */
  readonly size: number;
  /** Drops that windows had no room for since the start. */
  readonly refused: number;
  readonly memory: WatchMemory;
}

export interface WatchOptions {
  readonly rules: readonly CheckedRule[];
  readonly plan: Plan;
  /** Finds a count in the plan; of these rules alone where it is left out. */
  readonly indexOf?: (count: Count) => number;
  /** Milliseconds between ticks. */
  readonly interval: number;
  /** How many series a window may hold. */
  readonly maxSeries: number;
  /** What earlier watches remember; the first one is that whose place this one takes. */
  readonly before?: readonly WatchMemory[];
}

/** Equal for counts that are the same. */
export function countKey({ predicate, by, sum }: Count): string {
  return JSON.stringify(
    [predicate, [...by].sort(), sum ?? ""],
    (_, value) => typeof value === "bigint" ? String(value) : value,
  );
}

/** Makes what finds a count among some, those of a plan say; undefined for one that isn't there. */
export function finderOf(counts: readonly Count[]): (count: Count) => number | undefined {
  const indexes = new Map(counts.map((count, i) => [countKey(count), i]));
  return (count) => indexes.get(countKey(count));
}

/** What is counted, once for all rules that ask for the same. */
export function countsOf(rules: readonly CheckedRule[]): {
  counts: Count[];
  indexOf: (count: Count) => number;
} {
  const counts: Count[] = [];
  const known = new Map<string, number>();
  const byObject = new Map<Count, number>();
  for (const { count } of rules.flatMap(({ condition }) => dropStreamsOf(condition))) {
    const key = countKey(count);
    let index = known.get(key);
    if (index === undefined) {
      index = counts.push(count) - 1;
      known.set(key, index);
    }
    byObject.set(count, index);
  }
  return { counts, indexOf: (count) => byObject.get(count)! };
}

/** Says what makes alerts of a rule the same ones: its name, its labels and those of `by`. */
export function identityOf({ alert, severity, labels, by }: CheckedRule): string {
  return JSON.stringify([alert, severity, Object.entries(labels).sort(), [...by].sort()]);
}

interface RuleWatch extends RememberedRule {
  readonly judge: Judge;
  readonly feed: Feed;
  /** The names of its labels in the order in which texts have them. */
  readonly order: readonly string[];
  /** Whether a look at its window's thresholds tells what may have changed. */
  readonly indexed: boolean;
  /** Whether it is about dropwatch itself: that goes on while no drops are counted. */
  readonly health: boolean;
}

/** Rules that compare the same number of a window with their thresholds. */
interface Thresholds {
  readonly use: WindowUse;
  readonly sum: boolean;
  /** Smallest first. */
  readonly bounds: { readonly bound: number; readonly each: RuleWatch }[];
}

export function emptyMemory(): WatchMemory {
  return {
    windows: new Map(),
    lastSeen: new Map(),
    everSeen: new Map(),
    code: new Map(),
    rules: new Map(),
    keptWindows: new Map(),
    at: undefined,
  };
}

/** Watches rules over ticks of their plan. */
export function makeWatch(options: WatchOptions): Watch {
  const { plan, rules, interval, maxSeries: limit } = options;
  const indexOf = options.indexOf ?? countsOf(rules).indexOf;
  const before = options.before ?? [];
  const memory: WatchMemory = { ...emptyMemory(), at: before[0]?.at };
  const feeds = new Map<string, { feed: Feed; count: number }>();
  const byCount: Feed[][] = plan.counts.map(() => []);
  const uses = new Map<string, WindowUse>();
  const codes = new Map<CheckedRule, CodeSamples>();

  const find = <V>(pick: (memory: WatchMemory) => Map<string, V>, key: string): V | undefined => {
    for (const each of before) {
      const found = pick(each).get(key);
      if (found !== undefined) return found;
    }
    return undefined;
  };

  const newWindow = (options: WindowOptions, key: string): Window => {
    const window = new Window(options);
    const kept = find(({ keptWindows }) => keptWindows, key);
    if (kept !== undefined) window.restore(kept, textOf);
    // What came before this watch took another's place wasn't counted for it.
    if (memory.at !== undefined) window.interrupt(memory.at);
    return window;
  };

  const partsOf = (rule: CheckedRule): JudgeParts => {
    const feed = (stream: Stream): Feed => {
      const key = streamKey(stream, rule);
      let known = feeds.get(key);
      if (known === undefined) {
        const count = "count" in stream ? indexOf(stream.count) : -1;
        known = { feed: new Feed(stream, rule, plan, count), count };
        feeds.set(key, known);
        if (count !== -1) byCount[count]!.push(known.feed);
      }
      return known.feed;
    };
    const own = (stream: Stream): string => `${rule.alert}\n${streamKey(stream, rule)}`;
    return {
      plan,
      feed,
      window(leaf, length) {
        const { stream, distinct } = leaf;
        const key = `${streamKey(stream, rule)}\n${length}\n${distinct ?? ""}`;
        let use = uses.get(key);
        if (use === undefined) {
          const window = before[0]?.windows.get(key) ??
            newWindow({ length, interval, limit, distinct: distinct !== undefined }, key);
          memory.windows.set(key, window);
          const part = distinct === undefined ? -1 : feed(stream).partOf(distinct, plan);
          use = new WindowUse(window, part);
          uses.set(key, use);
          feed(stream).consumers.push(use);
        }
        return use;
      },
      lastSeen(stream, window) {
        const seen = find(({ lastSeen }) => lastSeen, own(stream)) ??
          { seen: new Map<string, number>(), since: memory.at ?? Infinity };
        memory.lastSeen.set(own(stream), seen);
        const last = new LastSeen(limit, seen, window);
        feed(stream).consumers.push(last);
        return last;
      },
      firstSeen(stream, learn) {
        const key = `${rule.alert}\n${labelOrder(stream.by).join()}`;
        const ever = find(({ everSeen }) => everSeen, key) ??
          { since: Infinity, texts: new Set<string>(), unsaved: [] };
        memory.everSeen.set(key, ever);
        const first = new FirstSeen(limit, learn, ever);
        feed(stream).consumers.push(first);
        return first;
      },
      codeSamples({ stream, by }) {
        const key = `${rule.alert}\n${labelOrder(by).join()}`;
        const kept = find(({ code }) => code, key) ??
          { all: new Map(), unsaved: new Set<string>() };
        memory.code.set(key, kept);
        const names = labelOrder(stream.by);
        const order = labelOrder(by).map((name) => names.indexOf(name));
        const samples = new CodeSamples(limit, order, kept);
        codes.set(rule, samples);
        feed(stream).consumers.push(samples);
        return samples;
      },
    };
  };

  const watched = rules.map((rule): RuleWatch => {
    const parts = partsOf(rule);
    const judge = makeJudge(rule.condition, parts);
    const known = find(({ rules }) => rules, identityOf(rule));
    const each: RuleWatch = {
      rule,
      judge,
      feed: parts.feed(streamsOf(rule.condition)[0].stream),
      order: labelOrder(rule.by),
      indexed: indexedLeaf(rule) !== undefined,
      health: "health" in streamsOf(rule.condition)[0].stream,
      behind: known?.rule === rule ? known.behind : before.length > 0,
      alerts: known?.alerts ?? new Map(),
      total: known?.total ?? 0,
    };
    memory.rules.set(identityOf(rule), each);
    return each;
  });
  const thresholds = thresholdsOf(watched, partsOf);
  const candidates = new Map<RuleWatch, Set<string>>(watched.map((each) => [each, new Set()]));

  const feedTick = (tick: Tick, happened: readonly Happened[]): void => {
    for (const map of tick.maps) {
      for (const { key, n, sum } of map.entries) {
        for (const count of key.counts) for (const feed of byCount[count]!) feed.take(key, n, sum);
      }
    }
    // What came before the first tick, or in a gap, nobody has counted.
    const first = memory.at === undefined ? tick.at - 1000 * tick.seconds : undefined;
    const from = tick.gap === undefined ? first : tick.at;
    memory.at = tick.at;
    const all = [...happenedIn(tick), ...happened];
    // What no map has lost was lost before it could be told where it belongs.
    const lost = Math.max(0, tick.lost - tick.maps.reduce((sum, map) => sum + map.lost, 0));
    const totals = new Map<Feed, number>();
    for (const { feed } of feeds.values()) {
      feed.takeRest(tick, all);
      totals.set(feed, feed.end(tick, lost, "health" in feed.stream ? first : from));
    }
    for (const each of watched) each.total += totals.get(each.feed)!;
  };

  const gather = (at: number): void => {
    for (const [each, texts] of candidates) {
      texts.clear();
      for (const text of each.alerts.keys()) texts.add(text);
      if (!each.indexed) each.judge.gather(texts, at);
      if (each.behind) each.judge.gatherAll(texts);
    }
    for (const { use, sum, bounds } of thresholds) {
      const least = bounds[0]!.bound;
      for (const series of use.changed) {
        const amount = sum ? series.sum : series.count;
        if (amount <= least) continue;
        for (const { bound, each } of bounds) {
          if (amount <= bound) break;
          candidates.get(each)!.add(series.text);
        }
      }
    }
  };

  const evaluate = (each: RuleWatch, tick: Tick, transitions: Transition[]): void => {
    const { rule, judge, alerts } = each;
    for (const text of candidates.get(each)!) {
      const value = judge.value(text, tick.at);
      const known = alerts.get(text);
      const { fresh, all } = judge.drops(text);
      // An alert begins with the drops of its window: they are what made it begin.
      const drops = known === undefined ? all : fresh;
      const firing = known?.state === "firing";
      const answer = judge.holds(text, firing, tick.at);
      // What began before the counting did is not over because little has been counted so far.
      if (answer === undefined && known !== undefined && known.since < judge.since) {
        known.value = value;
        known.total += drops;
        continue;
      }
      const { after, change } = step(known, tick.at, value, drops, answer === true, {
        for: rule.for,
        keepFiringFor: rule.keepFiringFor,
        worse: judge.rises ? Math.max : Math.min,
      });
      if (after === undefined) alerts.delete(text);
      else alerts.set(text, after);
      if (change === "none") continue;
      const { peak, total, since } = after ?? known!;
      const { missing: lost, exact } = judge.doubt();
      const labels = labelsOf(each, text);
      transitions.push({
        rule,
        change,
        labels,
        value,
        peak,
        total,
        since,
        at: tick.at,
        exact,
        lost,
      });
    }
  };

  let taken: Tick | undefined;
  const take: Watch["take"] = (tick, happened = []) => {
    feedTick(tick, happened);
    taken = tick;
    if (tick.gap !== undefined) return [];
    return [...codes].flatMap(([rule, samples]) => runsOf(rule, samples, tick.at));
  };
  const judge: Watch["judge"] = (failed = new Set()) => {
    const transitions: Transition[] = [];
    const tick = taken!;
    gather(tick.at);
    for (const each of watched) {
      // While nobody counts there is nothing to be judged: no data is not zero.
      if (failed.has(each.rule) || (tick.gap !== undefined && !each.health)) {
        each.behind = true;
        continue;
      }
      each.behind = false;
      evaluate(each, tick, transitions);
    }
    return transitions;
  };

  return {
    rules,
    questions: (tick) =>
      [...feeds.values()].flatMap(({ feed, count }) =>
        feed.isFiltered ? feed.questions(tick, count) : []
      ),
    take,
    judge,
    tick(tick, happened) {
      take(tick, happened);
      return judge();
    },
    active: () =>
      watched.flatMap((each) => {
        if (each.alerts.size === 0) return [];
        const { missing: lost, exact } = each.judge.doubt();
        return [...each.alerts].map(([text, state]) => ({
          rule: each.rule,
          labels: labelsOf(each, text),
          state,
          exact,
          lost,
        }));
      }),
    stateOf({ alert }, labels) {
      const each = watched.find(({ rule }) => rule.alert === alert);
      return each?.alerts.get(textOf(each.order.map((name) => labels[name] ?? "")));
    },
    restore({ alert, labels, state }) {
      const each = watched.find(({ rule }) => rule.alert === alert);
      const names = Object.keys(labels);
      if (
        each === undefined || names.length !== each.rule.by.length ||
        !each.rule.by.every((field) => names.includes(field))
      ) return false;
      each.alerts.set(textOf(each.order.map((name) => labels[name]!)), { ...state });
      return true;
    },
    keeps: (rule, drop) => watched.find((each) => each.rule === rule)?.feed.keeps(drop) === true,
    totals: () => watched.map(({ total }) => total),
    get size() {
      return [...memory.windows.values()].reduce((size, window) => size + window.size, 0);
    },
    get refused() {
      return [...feeds.values()].reduce((all, { feed }) => all + feed.refused, 0);
    },
    memory,
  };
}

/** The leaf of a rule that is one number over a threshold, for each combination of labels. */
function indexedLeaf(
  { condition }: CheckedRule,
): (Leaf & { aggregate: "count" | "rate" | "sum" }) | undefined {
  if (condition.is !== "above" || "part" in condition.value) return undefined;
  const { aggregate, stream } = condition.value;
  if (aggregate === "distinct" || stream.by.length === 0) return undefined;
  return { ...condition.value, aggregate };
}

function thresholdsOf(
  watched: readonly RuleWatch[],
  partsOf: (rule: CheckedRule) => JudgeParts,
): Thresholds[] {
  const groups = new Map<WindowUse, { counts: Thresholds; sums: Thresholds }>();
  for (const each of watched) {
    const leaf = indexedLeaf(each.rule);
    const { condition } = each.rule;
    if (leaf === undefined || condition.is !== "above") continue;
    const use = partsOf(each.rule).window(leaf, leaf.window);
    let group = groups.get(use);
    if (group === undefined) {
      group = { counts: { use, sum: false, bounds: [] }, sums: { use, sum: true, bounds: [] } };
      groups.set(use, group);
    }
    const unit = leaf.aggregate === "rate" ? leaf.window / 1000 : 1;
    // A little less: what rounding does is found out when it is judged.
    const bound = condition.threshold * unit * (1 - 1e-9);
    (leaf.aggregate === "sum" ? group.sums : group.counts).bounds.push({ bound, each });
  }
  const used = [...groups.values()].flatMap(({ counts, sums }) => [counts, sums])
    .filter(({ bounds }) => bounds.length > 0);
  for (const { bounds } of used) bounds.sort((a, b) => a.bound - b.bound);
  return used;
}

/** How many combinations of labels code is run for at once: their states fit into one reply. */
const maxRun = 30;

function runsOf(rule: CheckedRule, samples: CodeSamples, at: number): CodeQuestion[] {
  const { condition } = rule;
  if (condition.is !== "code") return [];
  const { stream, by, every, each, tick } = condition;
  const work = samples.work(at, every, each, tick);
  const questions: CodeQuestion[] = [];
  for (let from = 0; from < work.keys.length; from += maxRun) {
    const keys = work.keys.slice(from, from + maxRun);
    questions.push({
      rule,
      run: {
        by: labelOrder(by),
        fields: labelOrder(stream.by),
        now: at,
        tick: work.tick,
        keys,
      },
      answer: (results) => results.forEach((result, i) => samples.answer(keys[i]!, result)),
    });
  }
  return questions;
}

function labelsOf(each: RuleWatch, text: string): Record<string, string> {
  const values = text.split(separator);
  return Object.fromEntries(
    each.rule.by.map((field) => [field, values[each.order.indexOf(field)] ?? ""]),
  );
}

// Whether a condition holds for a combination of labels, from windows and what is remembered. The
// answer may be that nobody can say yet: a window that wasn't counted whole holds too few drops.
import type { Plan } from "../plan/plan.ts";
import type { CheckedCondition, Leaf, Stream, Value } from "../rule/checked.ts";
import type { CodeSamples, FirstSeen, LastSeen } from "./remembered.ts";
import type { Consumer, Feed, Labels } from "./stream.ts";
import { noLabels } from "./stream.ts";
import type { Tick } from "./tick.ts";
import type { Window } from "./window.ts";
import type { Series } from "./window.ts";

/** A window among the consumers of a stream. */
export class WindowUse implements Consumer {
  readonly window: Window;
  readonly #part: number;
  changed: readonly Series[] = [];

  /** `part`: where the value that is told apart stands. */
  constructor(window: Window, part: number) {
    this.window = window;
    this.#part = part;
  }

  add(key: Labels, n: number, sum: number, parts: readonly string[]): boolean {
    // A packet that doesn't tell the value has none.
    return this.window.add(key, n, sum, parts[this.#part] || undefined);
  }

  end(tick: Tick, missing: number): void {
    const exact = missing === 0 && tick.gap === undefined;
    this.changed = this.window.advance(tick.at, missing, exact);
  }

  interrupt(at: number): void {
    this.window.interrupt(at);
  }
}

/** One condition of one rule. */
export interface Judge {
  value(text: string, at: number): number;
  /** undefined where it can't be said. */
  holds(text: string, firing: boolean, at: number): boolean | undefined;
  /** Adds the combinations for which the answer may have changed, but for those of active alerts. */
  gather(into: Set<string>, at: number): void;
  /** Adds every combination for which it may hold. */
  gatherAll(into: Set<string>): void;
  /** Since when its drops were all counted. */
  readonly since: number;
  doubt(): { missing: number; exact: boolean };
  /** Drops of a combination: with the last tick, and those that made an alert of it begin. */
  drops(text: string): { fresh: number; all: number };
  /** Whether a larger value is worse. */
  readonly rises: boolean;
}

/** What judges are made with. */
export interface JudgeParts {
  readonly plan: Plan;
  feed(stream: Stream): Feed;
  window(leaf: Leaf, length: number): WindowUse;
  lastSeen(stream: Stream, window: number): LastSeen;
  firstSeen(stream: Stream, learn: number): FirstSeen;
  codeSamples(condition: CheckedCondition & { is: "code" }): CodeSamples;
}

export function makeJudge(condition: CheckedCondition, parts: JudgeParts): Judge {
  switch (condition.is) {
    case "above":
    case "below":
      return compare(condition, parts);
    case "spike":
      return spike(condition, parts);
    case "absent":
      return absent(condition, parts);
    case "first":
      return first(condition, parts);
    case "and":
    case "or":
      return joined(condition.is, condition.of.map((part) => makeJudge(part, parts)), condition);
    case "code":
      return code(parts.codeSamples(condition));
  }
}

interface Reader {
  read(text: string): number;
  readonly uses: readonly WindowUse[];
}

/** The number of a series in the unit of an aggregate. */
export function amountOf(aggregate: Leaf["aggregate"], series: Series | undefined): number {
  if (series === undefined) return 0;
  switch (aggregate) {
    case "count":
    case "rate":
      return series.count;
    case "sum":
      return series.sum;
    case "distinct":
      return series.parts!.size;
  }
}

function readerOf(value: Value, parts: JudgeParts): Reader {
  if ("part" in value) {
    const part = readerOf(value.part, parts);
    const all = readerOf(value.whole, parts);
    const keyed = isKeyed(value.whole);
    return {
      uses: [...part.uses, ...all.uses],
      read(text) {
        const divisor = all.read(keyed ? text : noLabels.text);
        return divisor === 0 || divisor < value.min ? 0 : part.read(text) / divisor;
      },
    };
  }
  const use = parts.window(value, value.window);
  const { window } = use;
  const { aggregate } = value;
  const seconds = value.window / 1000;
  return {
    uses: [use],
    read: aggregate === "rate"
      ? (text) => amountOf(aggregate, window.get(text)) / seconds
      : (text) => amountOf(aggregate, window.get(text)),
  };
}

function isKeyed(value: Value): boolean {
  return "part" in value ? isKeyed(value.part) : value.stream.by.length > 0;
}

function sinceOf(uses: readonly WindowUse[]): number {
  return Math.max(...uses.map(({ window }) => window.since));
}

function doubtOf(uses: readonly WindowUse[]): { missing: number; exact: boolean } {
  const doubts = uses.map(({ window }) => window.doubt());
  return {
    missing: doubts.reduce((most, { missing }) => Math.max(most, missing), 0),
    exact: doubts.every(({ exact }) => exact),
  };
}

function dropsOf({ window }: WindowUse, text: string): { fresh: number; all: number } {
  const series = window.get(text);
  return series === undefined
    ? { fresh: 0, all: 0 }
    : { fresh: window.fresh(series), all: series.count };
}

function addAll({ window }: WindowUse, into: Set<string>): void {
  for (const series of window.all()) into.add(series.text);
}

function addChanged({ changed }: WindowUse, into: Set<string>): void {
  for (const series of changed) into.add(series.text);
}

function compare(
  condition: CheckedCondition & { is: "above" | "below" },
  parts: JudgeParts,
): Judge {
  const { is, threshold, recovery, value } = condition;
  const { read, uses } = readerOf(value, parts);
  const leading = uses[0]!;
  const keyed = isKeyed(value);
  const all = (into: Set<string>): void => keyed ? addAll(leading, into) : void into.add("");
  return {
    value: read,
    holds(text, firing, at) {
      const bound = firing ? recovery : threshold;
      const number = read(text);
      const whole = uses.every(({ window }) => window.isWhole(at));
      if (is === "below") return whole ? number < bound : undefined;
      return number > bound ? true : whole ? false : undefined;
    },
    gather(into) {
      // A share changes with its whole, and what is below need not change at all.
      if (!keyed || is === "below" || uses.length > 1) all(into);
      else addChanged(leading, into);
    },
    gatherAll: all,
    get since() {
      return sinceOf(uses);
    },
    doubt: () => doubtOf(uses),
    drops: (text) => dropsOf(leading, text),
    rises: is === "above",
  };
}

function spike(condition: CheckedCondition & { is: "spike" }, parts: JudgeParts): Judge {
  const { leaf, over, factor, min } = condition;
  const recent = parts.window(leaf, leaf.window);
  const long = parts.window(leaf, leaf.window + over);
  const { aggregate } = leaf;
  const seconds = leaf.window / 1000;
  const unit = aggregate === "rate" ? 1 / seconds : 1;
  const amount = ({ window }: WindowUse, text: string): number =>
    amountOf(aggregate, window.get(text));
  const value = (text: string): number => amount(recent, text) * unit;
  const keyed = leaf.stream.by.length > 0;
  let wasWhole = false;
  return {
    value,
    holds(text, _, at) {
      if (!long.window.isWhole(at)) return undefined;
      const before = amount(long, text) - amount(recent, text);
      const usual = before * (leaf.window / over) * unit;
      const now = value(text);
      return now >= min && now > factor * usual;
    },
    gather(into, at) {
      const isWhole = long.window.isWhole(at);
      if (!keyed) into.add("");
      // Now it can be said of all of them, though nothing changed for them at this tick.
      else if (isWhole && !wasWhole) addAll(long, into);
      else for (const use of [recent, long]) addChanged(use, into);
      wasWhole = isWhole;
    },
    gatherAll: (into) => keyed ? addAll(long, into) : void into.add(""),
    get since() {
      return long.window.since;
    },
    doubt: () => doubtOf([recent, long]),
    drops: (text) => dropsOf(recent, text),
    rises: true,
  };
}

function absent(condition: CheckedCondition & { is: "absent" }, parts: JudgeParts): Judge {
  const { stream, window } = condition;
  const last = parts.lastSeen(stream, window);
  const all = (into: Set<string>): void => {
    if (stream.by.length === 0) into.add("");
    else for (const text of last.seen.keys()) into.add(text);
  };
  const from = (text: string): number => Math.max(last.seen.get(text) ?? -Infinity, last.since);
  return {
    value: (text, at) => Math.max(0, (at - from(text)) / 1000),
    holds(text, _, at) {
      if (at - from(text) >= window) return true;
      return at - (last.seen.get(text) ?? -Infinity) < window ? false : undefined;
    },
    gather: all,
    gatherAll: all,
    get since() {
      return last.since;
    },
    doubt: () => ({ missing: last.missing, exact: last.missing === 0 }),
    drops: () => ({ fresh: 0, all: 0 }),
    rises: true,
  };
}

function first(condition: CheckedCondition & { is: "first" }, parts: JudgeParts): Judge {
  const seen = parts.firstSeen(condition.stream, condition.learn);
  const all = (into: Set<string>): void => {
    for (const text of seen.fresh.keys()) into.add(text);
  };
  const value = (text: string): number => seen.fresh.get(text) ?? 0;
  return {
    value,
    holds: (text) => seen.fresh.has(text),
    gather: all,
    gatherAll: all,
    since: -Infinity,
    doubt: () => ({ missing: seen.missing, exact: seen.missing === 0 }),
    drops: (text) => ({ fresh: value(text), all: value(text) }),
    rises: true,
  };
}

function code(samples: CodeSamples): Judge {
  const all = (into: Set<string>): void => {
    for (const [text, { active }] of samples.memory) if (active) into.add(text);
  };
  const fresh = (text: string): number => samples.fresh.get(text) ?? 0;
  return {
    value: (text) => samples.memory.get(text)?.value ?? 0,
    holds: (text) => samples.memory.get(text)?.active === true,
    gather: all,
    gatherAll: all,
    since: -Infinity,
    doubt: () => ({ missing: samples.missing, exact: samples.missing === 0 }),
    drops: (text) => ({ fresh: fresh(text), all: fresh(text) }),
    rises: true,
  };
}

/** Two conditions that are joined; one without labels is the same for all of the other's. */
function joined(
  is: "and" | "or",
  judges: readonly Judge[],
  condition: CheckedCondition & { is: "and" | "or" },
): Judge {
  const keyed = condition.of.map(isKeyedCondition);
  const any = keyed.some((each) => each);
  const own = (i: number, text: string): string => keyed[i] === true ? text : noLabels.text;
  const leading = Math.max(0, keyed.indexOf(true));
  const mixed = any && !keyed.every((each) => each);
  /** Which of them made an alert fire: only for those the way back is that to their recovery. */
  const held = new Map<string, readonly boolean[]>();
  const all = (into: Set<string>): void =>
    judges.forEach((judge, i) => {
      if (keyed[i] === any) judge.gatherAll(into);
    });
  return {
    value: (text, at) => judges[0]!.value(own(0, text), at),
    holds(text, firing, at) {
      const before = held.get(text);
      const answers = judges.map((judge, i) =>
        judge.holds(own(i, text), firing && before?.[i] !== false, at)
      );
      const decisive = is === "or";
      const answer = answers.includes(decisive)
        ? decisive
        : answers.includes(undefined)
        ? undefined
        : !decisive;
      if (answer === true) held.set(text, answers.map((each, i) => each ?? before?.[i] ?? false));
      else if (answer === false) held.delete(text);
      return answer;
    },
    gather(into, at) {
      // What has no labels changes the answer for all of the other's.
      if (mixed) all(into);
      else for (const judge of judges) judge.gather(into, at);
    },
    gatherAll: all,
    get since() {
      return Math.max(...judges.map(({ since }) => since));
    },
    doubt() {
      const doubts = judges.map((judge) => judge.doubt());
      return {
        missing: Math.max(...doubts.map(({ missing }) => missing)),
        exact: doubts.every(({ exact }) => exact),
      };
    },
    drops: (text) => judges[leading]!.drops(own(leading, text)),
    rises: judges[0]!.rises,
  };
}

function isKeyedCondition(condition: CheckedCondition): boolean {
  switch (condition.is) {
    case "above":
    case "below":
      return isKeyed(condition.value);
    case "spike":
      return condition.leaf.stream.by.length > 0;
    case "and":
    case "or":
      return condition.of.some(isKeyedCondition);
    default:
      return condition.stream.by.length > 0;
  }
}

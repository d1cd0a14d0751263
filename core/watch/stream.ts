// From ticks to what conditions look at: of each stream the drops by its labels, those that a filter
// refuses left out. What code of a rule has to say first is asked for here.
import { fieldNames } from "../drop/field.ts";
import type { Drop, FieldName } from "../drop/field.ts";
import { separator } from "../plan/key.ts";
import type { SeriesKey } from "../plan/key.ts";
import { splitPredicate } from "../plan/plan.ts";
import type { Plan } from "../plan/plan.ts";
import { inRanges } from "../plan/predicate.ts";
import type { Range } from "../plan/predicate.ts";
import type { CheckedRule, Filter, Stream } from "../rule/checked.ts";
import { healthFields } from "./health.ts";
import type { Happened } from "./health.ts";
import type { Tick } from "./tick.ts";

/** A combination of labels. */
export type Labels = Pick<SeriesKey, "text" | "labels">;

/** Gets the drops of a stream: a window, or what remembers them. */
export interface Consumer {
  /** `parts` are the values of all that is counted by. False where there is no room. */
  add(key: Labels, n: number, sum: number, parts: readonly string[]): boolean;
  /** The tick's drops were all added; `missing` belong to it and have no key. */
  end(tick: Tick, missing: number): void;
  /** What came before `at` was not counted. */
  interrupt(at: number): void;
}

/** Values of which a filter has to say whether it keeps them. */
export interface FilterQuestion {
  readonly rule: CheckedRule;
  readonly filter: Filter;
  readonly values: readonly (readonly string[])[];
  answer(kept: readonly boolean[]): void;
}

/** How many keys, and answers of a filter, are remembered before the memory is made afresh. */
const maxRemembered = 100_000;
/** How many values a filter is asked about at once. */
const maxAsked = 2000;

/** The names of the labels of a stream, in the order in which its keys have them. */
export function labelOrder(names: readonly string[]): readonly string[] {
  return [...fieldNames, ...healthFields].filter((name) => names.includes(name));
}

/** The text of a combination of labels. */
export const textOf = (labels: readonly string[]): string => labels.join(separator);

/** Equal for streams that are the same, whatever rules and plans they are of. */
export function streamKey(stream: Stream, rule: Pick<CheckedRule, "bundle" | "index">): string {
  if ("health" in stream) return JSON.stringify([stream.health, stream.by]);
  const { count, by, filters } = stream;
  return JSON.stringify(
    [
      count.predicate,
      [...count.by].sort(),
      count.sum ?? "",
      [...by].sort(),
      filters.map(({ index }) => [rule.bundle, rule.index, index]),
    ],
    (_, value) => typeof value === "bigint" ? String(value) : value,
  );
}

interface Verdicts {
  readonly filter: Filter;
  readonly at: readonly number[];
  readonly known: Map<string, boolean>;
}

/** One stream of a plan. */
export class Feed {
  readonly stream: Stream;
  readonly consumers: Consumer[] = [];
  /** Drops of the tick that is being read. */
  total = 0;
  /** Drops that something had no room for, since the start. */
  refused = 0;
  readonly #rule: CheckedRule;
  readonly #place: { readonly map: number } | { readonly reasons: readonly Range[] } | undefined;
  /** Where all drops of the stream are counted exactly, even those without a key. */
  readonly #all: readonly Range[] | undefined;
  /** Where the labels stand in a key; undefined where they are the key. */
  readonly #order: readonly number[] | undefined;
  readonly #projected = new Map<string, Labels>();
  readonly #verdicts: readonly Verdicts[];
  #unknown = 0;

  /** `count` is the index of what it counts in the plan. */
  constructor(stream: Stream, rule: CheckedRule, plan: Plan, count: number) {
    this.stream = stream;
    this.#rule = rule;
    this.#verdicts = [];
    if (!("count" in stream)) return;
    const place = plan.places[count]!;
    this.#place = place.at === "map" ? { map: place.map } : { reasons: place.ranges };
    const { reasons, rest } = splitPredicate(stream.count.predicate);
    if (rest.length === 0 && stream.filters.length === 0) this.#all = reasons;
    const keyed: readonly string[] = place.at === "map" ? plan.maps[place.map]!.by : [];
    const names = labelOrder(stream.by);
    if (names.join() !== keyed.join()) this.#order = names.map((name) => keyed.indexOf(name));
    this.#verdicts = stream.filters.map((filter) => ({
      filter,
      at: filter.fields.map((field) => keyed.indexOf(field)),
      known: new Map(),
    }));
  }

  /** Where the value of a field stands among the parts of a key. */
  partOf(field: FieldName, plan: Plan): number {
    const place = this.#place!;
    return "map" in place ? plan.maps[place.map]!.by.indexOf(field) : -1;
  }

  /** Whether it has filters, that is, whether there may be questions. */
  get isFiltered(): boolean {
    return this.#verdicts.length > 0;
  }

  /** What its filters haven't been asked yet about the keys of a tick that serve `count`. */
  questions(tick: Tick, count: number): FilterQuestion[] {
    const place = this.#place;
    if (place === undefined || !("map" in place)) return [];
    return this.#verdicts.flatMap(({ filter, at, known }) => {
      const asked = new Map<string, readonly string[]>();
      for (const { key } of tick.maps[place.map]?.entries ?? []) {
        if (!key.counts.includes(count)) continue;
        const values = at.map((i) => key.labels[i] ?? "");
        asked.set(textOf(values), values);
      }
      const isNew = ([text]: [string, unknown]): boolean => !known.has(text);
      let all = [...asked].filter(isNew);
      if (known.size + all.length > maxRemembered) {
        known.clear();
        all = [...asked];
      }
      const questions: FilterQuestion[] = [];
      for (let from = 0; from < all.length; from += maxAsked) {
        const some = all.slice(from, from + maxAsked);
        questions.push({
          rule: this.#rule,
          filter,
          values: some.map(([, values]) => values),
          answer: (kept) => some.forEach(([text], i) => known.set(text, kept[i] === true)),
        });
      }
      return questions;
    });
  }

  /** Whether its filters keep a drop; not where they weren't asked about such. */
  keeps(drop: Drop): boolean {
    return this.#verdicts.every(({ filter, known }) =>
      known.get(textOf(filter.fields.map((field) => drop[field] ?? ""))) === true
    );
  }

  /** Takes what the source counted under a key. */
  take(key: SeriesKey, n: number, sum: number): void {
    for (const { at, known } of this.#verdicts) {
      const kept = known.get(textOf(at.map((i) => key.labels[i] ?? "")));
      if (kept === undefined) this.#unknown += n;
      if (kept !== true) return;
    }
    this.#give(
      this.#order === undefined ? key : this.#project(key, this.#order),
      n,
      sum,
      key.labels,
    );
  }

  #give(key: Labels, n: number, sum: number, parts: readonly string[]): void {
    this.total += n;
    for (const consumer of this.consumers) {
      if (!consumer.add(key, n, sum, parts)) this.refused += n;
    }
  }

  #project(key: SeriesKey, order: readonly number[]): Labels {
    let found = this.#projected.get(key.text);
    if (found === undefined) {
      const labels = order.map((i) => key.labels[i] ?? "");
      found = { text: textOf(labels), labels };
      if (this.#projected.size >= maxRemembered) this.#projected.clear();
      this.#projected.set(key.text, found);
    }
    return found;
  }

  /** Takes what a tick tells besides keys. */
  takeRest(tick: Tick, happened: readonly Happened[]): void {
    if ("health" in this.stream) {
      for (const one of happened) {
        const fits = Object.entries(this.stream.health).every(([field, values]) =>
          values.includes(String(one[field as "rule"] ?? ""))
        );
        if (!fits) continue;
        const labels = labelOrder(this.stream.by).map((field) =>
          String(one[field as "rule"] ?? "")
        );
        this.#give({ text: textOf(labels), labels }, one.n, 0, labels);
      }
    } else if (this.#place !== undefined && "reasons" in this.#place) {
      const n = sumReasons(tick.reasons, this.#place.reasons);
      if (n > 0) this.#give(noLabels, n, 0, []);
    }
  }

  /**
   * Ends the tick, of which so many drops were `lost` before it could be told where they belong. Returns
   * how many drops of the stream it brought.
   */
  end(tick: Tick, lost: number, from: number | undefined): number {
    const map = this.#place !== undefined && "map" in this.#place
      ? tick.maps[this.#place.map]
      : undefined;
    const missing = "health" in this.stream
      ? 0
      : (map?.other ?? 0) + (map?.lost ?? 0) + lost + this.#unknown;
    for (const consumer of this.consumers) {
      consumer.end(tick, missing);
      if (from !== undefined) consumer.interrupt(from);
    }
    const total = this.#all === undefined ? this.total : sumReasons(tick.reasons, this.#all);
    this.total = 0;
    this.#unknown = 0;
    return total;
  }
}

/** The one combination of a query without `by`. */
export const noLabels: Labels = { text: "", labels: [] };

function sumReasons(reasons: ReadonlyMap<number, number>, ranges: readonly Range[]): number {
  let sum = 0;
  for (const [reason, n] of reasons) if (inRanges(ranges, reason)) sum += n;
  return sum;
}

// Drops of a time by key, in steps: filled with the history, and then kept up by ticks, each of which
// costs only what it brings. Steps lie on a ring, so what is too old goes by being written over.
import type { Drops, HistoryLabel, ViewTick } from "../../../../core/view/view.ts";

/** A key's drops. */
export interface Series {
  /** Equal for equal labels. */
  readonly key: string;
  /** In the order of the fields that the board tells apart. */
  readonly labels: readonly HistoryLabel[];
  /** Drops in the time. */
  total: number;
  /** Drops a second in the last tick. */
  now: number;
  /** Drops in each step, by the ring's places. */
  readonly drops: Float64Array;
}

export interface BoardOptions {
  /** Milliseconds of a step. */
  readonly step: number;
  /** How many steps. */
  readonly size: number;
  /** How many keys are told apart; the smallest of others are one. */
  readonly most: number;
  /**
   * By how much steps end before a multiple of their length, in milliseconds: ticks end at a fraction of
   * a second of their own, and a step is to hold whole ones.
   */
  readonly phase?: number;
}

export interface Board {
  readonly step: number;
  readonly size: number;
  /** When the last step ends, in milliseconds since 1970. */
  readonly end: number;
  /** What isn't told apart. */
  readonly rest: Series;
  /** How many keys went into `rest` (a key that came again counts again). */
  readonly restKeys: number;
  /** The history up to a time, in place of what there was. `by` are the fields of the keys. */
  fill(drops: Drops, by: readonly string[], until: number): void;
  /** A tick; `labelsOf` gives the labels of a drop's key, undefined where it isn't meant. */
  add(
    tick: Pick<ViewTick, "at" | "seconds" | "gap" | "drops">,
    labelsOf: (labels: readonly HistoryLabel[]) => readonly HistoryLabel[] | undefined,
  ): void;
  /** Those with the most drops first. */
  top(): Series[];
  /** Drops a second in each step, the oldest first; null where nobody counted. */
  rates(series: Series): (number | null)[];
  /** Whether somebody counted, in each step. */
  counted(): boolean[];
  /** When the steps begin, in milliseconds since 1970. */
  times(): number[];
  /** Of how much of the time drops were counted, in seconds. */
  readonly seconds: number;
}

/** A tick that ends so many milliseconds after a step still belongs to it: timers aren't that exact. */
const late = 100;

/** Equal for equal labels: null is told from every text, and no text reads as two labels. */
export function keyOf(labels: readonly HistoryLabel[]): string {
  return labels.length === 1 && labels[0] !== null ? `"${labels[0]}` : JSON.stringify(labels);
}

export function makeBoard({ step, size, most, phase = 0 }: BoardOptions): Board {
  const series = new Map<string, Series>();
  const counted = new Float64Array(size);
  const rest = newSeries("rest", [], size);
  /** The number of the last step: it begins at `last * step - phase`. */
  let last = 0;
  let restKeys = 0;
  /** Those that the last tick brought something of. */
  let current: Series[] = [];

  /** What reaches over from the step beside it by a millisecond isn't a count of this one. */
  const isCounted = (at: number): boolean => counted[at]! > step / 1e5;
  const place = (number: number): number => ((number % size) + size) % size;
  const clear = (at: number): void => {
    counted[at] = 0;
    for (const each of series.values()) forget(each, at);
    forget(rest, at);
  };
  const advance = (to: number): void => {
    if (to - last >= size) { for (let at = 0; at < size; at++) clear(at); }
    else for (let number = last + 1; number <= to; number++) clear(place(number));
    if (to > last) last = to;
  };
  /** Lets the smaller half go into the rest, so that a flood of keys costs its time only now and then. */
  const prune = (): void => {
    const all = [...series.values()].sort((a, b) => b.total - a.total);
    for (const each of all.slice(Math.floor(most / 2))) {
      if (each.total > 0) {
        each.drops.forEach((n, at) => rest.drops[at]! += n);
        rest.total += each.total;
        if (each.now > 0) {
          rest.now += each.now;
          current.push(rest);
        }
        restKeys++;
      }
      series.delete(each.key);
    }
  };
  const find = (labels: readonly HistoryLabel[]): Series => {
    const key = keyOf(labels);
    let found = series.get(key);
    if (found === undefined) {
      if (series.size >= most) prune();
      series.set(key, found = newSeries(key, labels, size));
    }
    return found;
  };

  /** The ring's places of the steps that a time lies in, and which share of it in each. */
  const sharesOf = (begin: number, end: number): [place: number, share: number][] => {
    const to = Math.min(Math.max(begin + 1, end) + phase, (last + 1) * step);
    const from = Math.min(begin + phase, to - 1);
    const first = Math.max(last - size + 1, Math.floor(from / step));
    const shares: [number, number][] = [];
    for (let number = first; number <= Math.min(last, Math.ceil(to / step) - 1); number++) {
      const within = Math.min(to, (number + 1) * step) - Math.max(from, number * step);
      shares.push([place(number), within / (to - from)]);
    }
    return shares;
  };

  return {
    step,
    size,
    get end() {
      return (last + 1) * step - phase;
    },
    rest,
    get restKeys() {
      return restKeys;
    },
    get seconds() {
      return counted.reduce((sum, n) => sum + n, 0);
    },
    fill(drops, by, until) {
      series.clear();
      counted.fill(0);
      rest.drops.fill(0);
      rest.total = rest.now = 0;
      current = [];
      last = Math.ceil((until + phase) / step) - 1;
      restKeys = drops.restSeries;
      const all = drops.rest === null ? drops.series : [...drops.series, drops.rest];
      // The last step may not be over yet.
      const steps = Math.ceil((until - drops.from) / drops.step);
      const times = Array.from({ length: Math.max(0, steps) }, (_, i) => {
        const begin = drops.from + i * drops.step;
        const end = Math.min(begin + drops.step, until);
        return { seconds: (end - begin) / 1000, shares: sharesOf(begin, end) };
      });
      for (const each of all) {
        const mine = each === drops.rest
          ? rest
          : find(by.map((field) => each.labels[field] ?? null));
        mine.total += each.total;
        // Until a tick comes, what is shown as now is the last of what was: a zero would be wrong.
        mine.now = each.values[steps - 1] ?? 0;
        if (mine.now > 0) current.push(mine);
        times.forEach(({ seconds, shares }, i) => {
          for (const [at, share] of shares) {
            mine.drops[at]! += (each.values[i] ?? 0) * seconds * share;
          }
        });
      }
      // Whether somebody counted is the same for all of them. Where there are none, only for how long is
      // known: most likely until now.
      const [any] = all;
      const without = steps - Math.ceil(1000 * drops.seconds / drops.step);
      times.forEach(({ seconds, shares }, i) => {
        if (any === undefined ? i < without : (any.values[i] ?? null) === null) return;
        for (const [at, share] of shares) counted[at]! += seconds * share;
      });
    },
    add({ at, seconds, gap, drops }, labelsOf) {
      // A tick that ends at a boundary belongs to the step before it.
      advance(Math.ceil((at + phase - late) / step) - 1);
      for (const each of current) each.now = 0;
      current = [];
      if (gap !== null || seconds <= 0) return;
      const shares = sharesOf(at - 1000 * seconds, at);
      for (const [at, share] of shares) counted[at]! += seconds * share;
      for (const [labels, n] of drops) {
        const own = labelsOf(labels);
        if (own === undefined) continue;
        const mine = find(own);
        if (mine.now === 0) current.push(mine);
        mine.now += n / seconds;
        for (const [at, share] of shares) {
          mine.drops[at]! += n * share;
          mine.total += n * share;
        }
      }
    },
    top: () => [...series.values()].filter(({ total }) => total > 0.5).sort(byTotal),
    rates: ({ drops }) =>
      Array.from({ length: size }, (_, i) => {
        const at = place(last - size + 1 + i);
        return isCounted(at) ? drops[at]! / counted[at]! : null;
      }),
    counted: () => Array.from({ length: size }, (_, i) => isCounted(place(last - size + 1 + i))),
    times: () => Array.from({ length: size }, (_, i) => (last - size + 1 + i) * step - phase),
  };
}

/** Equal ones stay in one order, so that rows don't change places for nothing. */
function byTotal(a: Series, b: Series): number {
  return b.total - a.total || (a.key < b.key ? -1 : 1);
}

function newSeries(key: string, labels: readonly HistoryLabel[], size: number): Series {
  return { key, labels, total: 0, now: 0, drops: new Float64Array(size) };
}

function forget(series: Series, at: number): void {
  // Sums of shares aren't whole to the last digit.
  series.total = Math.max(0, series.total - series.drops[at]!);
  series.drops[at] = 0;
}

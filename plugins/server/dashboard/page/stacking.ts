// From series to a stacked chart: each is drawn up to the sum of itself and all below it.
import type { Board, Series } from "./board.ts";

/** What a chart shows: a few series, and one for all others. */
export interface Picture {
  /** Seconds since 1970, as uPlot takes them. */
  readonly times: readonly number[];
  /** The lowest of the stack first; the rest, where there is one, last. */
  readonly series: readonly Series[];
  /** Whether the last of `series` is all others. */
  readonly hasRest: boolean;
  /** How many there are in it. */
  readonly restKeys: number;
  /** Drops a second, of each series. */
  readonly rates: readonly (readonly (number | null)[])[];
  /** The same, on top of those below. */
  readonly tops: readonly (readonly (number | null)[])[];
  /** Times in which nobody counted: the first and the last step of each. */
  readonly gaps: readonly (readonly [first: number, last: number])[];
  /** Drops of all series in the time. */
  readonly total: number;
}

/** The series with the most drops, `most` of them, and one that all others are added up in. */
export function pictureOf(board: Board, most: number): Picture {
  const all = board.top();
  // As they are now: a picture that is kept in a pause stays as it is.
  const shown = all.slice(0, most).map((each) => ({ ...each }));
  const others = all.slice(most);
  const rest: Series = {
    key: "rest",
    labels: [],
    total: board.rest.total,
    now: board.rest.now,
    drops: Float64Array.from(board.rest.drops),
  };
  for (const each of others) {
    rest.total += each.total;
    rest.now += each.now;
    each.drops.forEach((n, at) => rest.drops[at]! += n);
  }
  const hasRest = rest.total > 0.5;
  const series = hasRest ? [...shown, rest] : shown;
  const rates = series.map((each) => board.rates(each));
  return {
    times: board.times().map((at) => at / 1000),
    series,
    hasRest,
    restKeys: others.length + board.restKeys,
    rates,
    gaps: gapsOf(board.counted()),
    tops: stacked(rates),
    total: series.reduce((sum, { total }) => sum + total, 0),
  };
}

/** Sums of each and all before it; null stays null. */
export function stacked(
  rates: readonly (readonly (number | null)[])[],
): (number | null)[][] {
  let below: readonly (number | null)[] | undefined;
  return rates.map((each) => {
    const top = each.map((rate, i) => rate === null ? null : rate + (below?.[i] ?? 0));
    below = top;
    return top;
  });
}

/** The series that a height of the chart lies in, at a step; undefined above all of them. */
export function seriesAt(
  { series, tops }: Picture,
  step: number,
  height: number,
): Series | undefined {
  if (height < 0) return undefined;
  return series.find((_, i) => height <= (tops[i]![step] ?? -1));
}

/** The times in which nobody counted: the first and the last step of each. */
export function gapsOf(counted: readonly boolean[]): [first: number, last: number][] {
  const gaps: [number, number][] = [];
  counted.forEach((is, i) => {
    if (is) return;
    const before = gaps.at(-1);
    if (before !== undefined && before[1] === i - 1) before[1] = i;
    else gaps.push([i, i]);
  });
  return gaps;
}

// Sliding windows: how many drops each combination of labels had in the last so many milliseconds.
// A tick costs by the keys that it touches or that leave the window, not by all that are known.
import type { SeriesKey } from "../plan/key.ts";

/** What one combination of labels has in a window. */
export interface Series {
  readonly text: string;
  readonly labels: readonly string[];
  count: number;
  sum: number;
  /** How many drops came with the tick `tick`. */
  fresh: number;
  tick: number;
}

interface Slot {
  readonly at: number;
  readonly added: readonly { readonly series: Series; readonly n: number; readonly sum: number }[];
  readonly missing: number;
  readonly exact: boolean;
}

/** One count over one length of time. */
export class Window {
  readonly length: number;
  readonly #limit: number;
  readonly #grace: number;
  #tick = 1;
  readonly #series = new Map<string, Series>();
  readonly #slots: Slot[] = [];
  #open: { series: Series; n: number; sum: number }[] = [];
  #refused = 0;
  #since = Infinity;

  /** `length` and `interval` (between ticks) in milliseconds; at most `limit` series at a time. */
  constructor(length: number, interval: number, limit: number) {
    this.length = length;
    this.#limit = limit;
    // Ticks come a little late: a window of ten ticks holds ten, never nine or eleven.
    this.#grace = interval / 2;
  }

  /** Adds what a tick counted. False where there is no room for another series. */
  add(key: Pick<SeriesKey, "text" | "labels">, n: number, sum: number): boolean {
    let series = this.#series.get(key.text);
    if (series === undefined) {
      if (this.#series.size >= this.#limit) {
        this.#refused += n;
        return false;
      }
      series = { text: key.text, labels: key.labels, count: 0, sum: 0, fresh: 0, tick: 0 };
      this.#series.set(key.text, series);
    }
    series.count += n;
    series.sum += sum;
    series.fresh = series.tick === this.#tick ? series.fresh + n : n;
    series.tick = this.#tick;
    this.#open.push({ series, n, sum });
    return true;
  }

  /**
   * Ends the tick at `at` (milliseconds) and lets go of what is older than the window. Returns the
   * series that changed. `missing` drops belong in it and have no key.
   */
  advance(at: number, missing: number, exact: boolean): Set<Series> {
    const changed = new Set<Series>(this.#open.map(({ series }) => series));
    this.#slots.push({
      at,
      added: this.#open,
      missing: missing + this.#refused,
      exact: exact && this.#refused === 0,
    });
    this.#open = [];
    this.#refused = 0;
    while (this.#slots.length > 0 && this.#slots[0]!.at <= at - this.length + this.#grace) {
      for (const { series, n, sum } of this.#slots.shift()!.added) {
        series.count -= n;
        series.sum -= sum;
        changed.add(series);
      }
    }
    for (const series of changed) if (series.count === 0) this.#series.delete(series.text);
    this.#tick++;
    return changed;
  }

  /** What came before was not counted: the window is not whole until its length has passed. */
  interrupt(at: number): void {
    this.#since = at;
  }

  /** Since when every drop was counted, in milliseconds since 1970. */
  get since(): number {
    return this.#since;
  }

  /** Whether every drop of the window that ends at `at` was counted. */
  isWhole(at: number): boolean {
    return at - this.#since >= this.length - this.#grace;
  }

  /** How many drops a series got with the tick that was ended last. */
  fresh(series: Series): number {
    return series.tick === this.#tick - 1 ? series.fresh : 0;
  }

  /** The series of a key's text; undefined where it had no drops in the window. */
  get(text: string): Series | undefined {
    return this.#series.get(text);
  }

  /** All series with drops in the window. */
  all(): IterableIterator<Series> {
    return this.#series.values();
  }

  /** How many drops of the window have no key, and whether its numbers are exact. */
  doubt(): { missing: number; exact: boolean } {
    let missing = 0;
    let exact = true;
    for (const slot of this.#slots) {
      missing += slot.missing;
      exact &&= slot.exact;
    }
    return { missing, exact };
  }

  get size(): number {
    return this.#series.size;
  }
}

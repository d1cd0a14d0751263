// Sliding windows: how many drops each combination of labels had in the last so many milliseconds.
// A tick costs by the keys that it touches or that leave the window, not by all that are known.
import type { SeriesKey } from "../plan/key.ts";

/** What one combination of labels has in a window. */
export interface Series {
  readonly text: string;
  readonly labels: readonly string[];
  count: number;
  sum: number;
  /** Where values of a field are told apart: how many drops had each. */
  readonly parts?: Map<string, number> | undefined;
  /** What came with the tick `tick`. */
  entry: Entry;
  tick: number;
  /** The last tick at which something of it left the window. */
  left: number;
}

/** What a series got in one slot. */
interface Entry {
  readonly series: Series;
  n: number;
  sum: number;
  parts?: Map<string, number> | undefined;
}

interface Slot {
  /** When its first tick was. */
  readonly at: number;
  readonly added: Entry[];
  missing: number;
  exact: boolean;
}

/** A window as it is kept: plain data. */
export interface KeptWindow {
  readonly slots: readonly {
    readonly at: number;
    readonly missing: number;
    readonly exact: boolean;
    readonly added: readonly {
      readonly labels: readonly string[];
      readonly n: number;
      readonly sum: number;
      readonly parts?: Readonly<Record<string, number>> | undefined;
    }[];
  }[];
}

/** A window moves on with each tick, but in no more steps than these: a day in steps of 24 s. */
const maxSteps = 3600;
/** How much of all series together a window holds, counted once a step. */
const entriesPerSeries = 20;

export interface WindowOptions {
  /** In milliseconds. */
  readonly length: number;
  /** Between two ticks. */
  readonly interval: number;
  /** How many series it holds at a time. */
  readonly limit: number;
  /** Whether the values of a field are told apart. */
  readonly distinct?: boolean;
}

/** One count over one length of time. */
export class Window {
  readonly length: number;
  readonly #distinct: boolean;
  readonly #limit: number;
  readonly #maxEntries: number;
  readonly #step: number;
  readonly #grace: number;
  #tick = 1;
  readonly #series = new Map<string, Series>();
  readonly #slots: Slot[] = [];
  #open: Entry[] = [];
  #entries = 0;
  #refused = 0;
  #since = Infinity;

  constructor({ length, interval, limit, distinct = false }: WindowOptions) {
    this.length = length;
    this.#distinct = distinct;
    this.#limit = limit;
    this.#maxEntries = limit * entriesPerSeries;
    this.#step = Math.ceil(length / maxSteps / interval) * interval;
    // Ticks come a little late: a window of ten ticks holds ten, never nine or eleven.
    this.#grace = interval / 2;
  }

  /**
   * Adds what a tick counted; `part` is the value that is told apart. False where there is no room for
   * it.
   */
  add(key: Pick<SeriesKey, "text" | "labels">, n: number, sum: number, part?: string): boolean {
    let series = this.#series.get(key.text);
    const isNew = series?.tick !== this.#tick;
    const isNewPart = this.#distinct && part !== undefined &&
      (isNew || !series!.entry.parts!.has(part));
    const more = (isNew ? 1 : 0) + (isNewPart ? 1 : 0);
    if (more > 0 && this.#entries + more > this.#maxEntries) return this.#refuse(n);
    if (series === undefined) {
      if (this.#series.size >= this.#limit) return this.#refuse(n);
      const { text, labels } = key;
      const parts = this.#distinct ? new Map<string, number>() : undefined;
      series = { text, labels, count: 0, sum: 0, parts, entry: noEntry, tick: 0, left: 0 };
      this.#series.set(text, series);
    }
    if (isNew) {
      series.tick = this.#tick;
      series.entry = { series, n: 0, sum: 0, parts: this.#distinct ? new Map() : undefined };
      this.#open.push(series.entry);
    }
    this.#entries += more;
    const { entry, parts } = series;
    if (parts !== undefined && part !== undefined) {
      entry.parts!.set(part, (entry.parts!.get(part) ?? 0) + n);
      parts.set(part, (parts.get(part) ?? 0) + n);
    }
    series.count += n;
    series.sum += sum;
    entry.n += n;
    entry.sum += sum;
    return true;
  }

  #refuse(n: number): false {
    this.#refused += n;
    return false;
  }

  /**
   * Ends the tick at `at` (milliseconds) and lets go of what is older than the window. Returns the
   * series that changed. `missing` drops belong in it and have no key.
   */
  advance(at: number, missing: number, exact: boolean): readonly Series[] {
    const changed: Series[] = [];
    for (const { series } of this.#open) changed.push(series);
    this.#close({
      at,
      added: this.#open,
      missing: missing + this.#refused,
      exact: exact && this.#refused === 0,
    });
    this.#open = [];
    this.#refused = 0;
    const oldest = at - this.length + this.#grace;
    while (this.#slots.length > 0 && this.#slots[0]!.at <= oldest) {
      for (const entry of this.#slots.shift()!.added) {
        const { series } = entry;
        series.count -= entry.n;
        series.sum -= entry.sum;
        this.#entries--;
        if (entry.parts !== undefined) this.#letGo(series.parts!, entry.parts);
        // What came with this tick is counted already: nothing more comes.
        if (series.count === 0) this.#series.delete(series.text);
        if (series.tick === this.#tick || series.left === this.#tick) continue;
        series.left = this.#tick;
        changed.push(series);
      }
    }
    this.#tick++;
    return changed;
  }

  #letGo(parts: Map<string, number>, gone: ReadonlyMap<string, number>): void {
    this.#entries -= gone.size;
    for (const [part, n] of gone) {
      const left = parts.get(part)! - n;
      if (left === 0) parts.delete(part);
      else parts.set(part, left);
    }
  }

  /** A slot of its own, or, in a long window, a part of the step that the last one began. */
  #close(slot: Slot): void {
    const last = this.#slots.at(-1);
    if (last === undefined || slot.at - last.at >= this.#step - this.#grace) {
      this.#slots.push(slot);
      return;
    }
    const known = new Map(last.added.map((entry) => [entry.series, entry]));
    for (const entry of slot.added) {
      const into = known.get(entry.series);
      if (into === undefined) {
        last.added.push(entry);
        continue;
      }
      into.n += entry.n;
      into.sum += entry.sum;
      this.#entries--;
      if (entry.parts === undefined) continue;
      for (const [part, n] of entry.parts) {
        if (into.parts!.has(part)) this.#entries--;
        into.parts!.set(part, (into.parts!.get(part) ?? 0) + n);
      }
    }
    last.missing += slot.missing;
    last.exact &&= slot.exact;
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
    return series.tick === this.#tick - 1 ? series.entry.n : 0;
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

  /** How much it would be to keep. */
  get entries(): number {
    return this.#entries;
  }

  /** What it holds, as plain data. */
  keep(): KeptWindow {
    return {
      slots: this.#slots.map(({ at, missing, exact, added }) => ({
        at,
        missing,
        exact,
        added: added.map(({ series, n, sum, parts }) => ({
          labels: series.labels,
          n,
          sum,
          ...(parts === undefined ? {} : { parts: Object.fromEntries(parts) }),
        })),
      })),
    };
  }

  /** Takes up what an earlier run held; `textOf` makes a key's text of its labels. */
  restore(kept: KeptWindow, textOf: (labels: readonly string[]) => string): void {
    for (const { at, missing, exact, added } of kept.slots) {
      for (const { labels, n, sum, parts } of added) {
        const key = { text: textOf(labels), labels };
        let rest = n;
        for (const [part, each] of Object.entries(parts ?? {})) {
          this.add(key, each, 0, part);
          rest -= each;
        }
        // Of some drops the value isn't known.
        if (rest > 0 || sum > 0) this.add(key, rest, sum);
      }
      this.advance(at, missing, exact);
    }
  }
}

/** Stands for the entry of a series before it has one. */
const noEntry: Entry = { series: undefined as unknown as Series, n: 0, sum: 0 };

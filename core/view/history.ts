// Drops of the past by their labels: an hour of seconds, a week of minutes. Of each moment the keys with
// the most drops are kept; the rest is told apart by its reason alone. So it is bounded, whatever a
// flood brings, and the sums stay whole.
import { fieldNames } from "../drop/field.ts";
import type { FieldName } from "../drop/field.ts";
import { badQuery } from "../error.ts";
import { nearest } from "../nearest.ts";
import { thousandths } from "../number.ts";
import type { Drops, DropSeries, DropsQuery, HistoryLabel } from "./view.ts";

/** Drops that have the same labels, in the order of the history's fields. */
export type Cell = readonly [labels: readonly HistoryLabel[], drops: number];

/** What a tick brought, as the history takes it. Times in milliseconds since 1970. */
export interface Moment {
  /** Its end. */
  readonly at: number;
  readonly seconds: number;
  readonly seen: number;
  readonly other: number;
  readonly lost: number;
  readonly cells: readonly Cell[];
}

/** Moments that lie close together, and the keys that they share. It is what is kept as one row. */
export interface Block {
  /** The number of its time: it begins at `number * length`. */
  readonly number: number;
  readonly keys: (readonly HistoryLabel[])[];
  readonly moments: BlockMoment[];
}

interface BlockMoment {
  at: number;
  seconds: number;
  seen: number;
  other: number;
  lost: number;
  /** The index of a key and its drops, by turns: there are hundreds of thousands in an hour. */
  cells: number[];
}

/** How fine the past is kept, and for how long. Milliseconds. */
export interface LevelOptions {
  readonly name: "seconds" | "minutes";
  /** What is within one of these becomes one moment. */
  readonly resolution: number;
  readonly block: number;
  readonly keep: number;
  /** How many keys of a moment are told apart. */
  readonly mostKeys: number;
}

const minute = 60_000;
const hour = 60 * minute;
export const secondsLevel: LevelOptions = {
  name: "seconds",
  resolution: 1000,
  block: minute,
  keep: hour,
  mostKeys: 100,
};
export const minutesLevel: LevelOptions = {
  name: "minutes",
  resolution: minute,
  block: hour,
  keep: 7 * 24 * hour,
  mostKeys: 100,
};

/** How many values a series has where nobody says how long a step is to be. */
const usualValues = 600;
export const mostValues = 11_000;
export const mostSeries = 1000;
/**
 * A time without anybody who counts is no shorter: bpftrace is started again after half a second. What
 * is less is a clock that runs otherwise than the kernel's.
 */
const shortestHole = 300;
const separator = "\0";

/** Equal for equal labels; none can hold the separator, and `null` is none. */
const keyText = (labels: readonly HistoryLabel[]): string =>
  labels.map((label) => label ?? "\u0001").join(separator);

/** A moment that is being gathered may hold so many times the keys that are told apart of it later. */
const gathering = 20;
/** So many keys of a block are told apart once it is over. */
const mostInBlock = 500;
/** A block may have so many keys before it is looked through for those that nothing has any more. */
const fewKeys = 1000;

/** The cells with the most drops; the rest by its reason alone. */
export function mostOf(cells: readonly Cell[], most: number, reasonAt: number): readonly Cell[] {
  if (cells.length <= most) return cells;
  const sorted = [...cells].sort((a, b) => b[1] - a[1]);
  const rest = new Map<HistoryLabel, number>();
  for (const [labels, drops] of sorted.slice(most)) {
    const reason = labels[reasonAt]!;
    rest.set(reason, (rest.get(reason) ?? 0) + drops);
  }
  const width = cells[0]![0].length;
  return [
    ...sorted.slice(0, most),
    ...[...rest].map(([reason, drops]): Cell => [
      Array.from({ length: width }, (_, i) => (i === reasonAt ? reason : null)),
      drops,
    ]),
  ];
}

/** Drops by their labels, of drops by keys. */
function cellsIn({ keys }: Block, cells: readonly number[]): Cell[] {
  const found: Cell[] = [];
  for (let i = 0; i < cells.length; i += 2) found.push([keys[cells[i]!]!, cells[i + 1]!]);
  return found;
}

/** Moments of one resolution. */
class Level {
  readonly options: LevelOptions;
  readonly blocks: Block[] = [];
  /** The indexes of the keys of the last block. */
  #index = new Map<string, number>();
  /** How many keys the last block may have before it is looked through. */
  #mostBlockKeys = fewKeys;
  /** What has changed since it was asked last. */
  readonly changed = new Set<Block>();
  readonly #reasonAt: number;

  constructor(options: LevelOptions, reasonAt: number) {
    this.options = options;
    this.#reasonAt = reasonAt;
  }

  get last(): BlockMoment | undefined {
    return this.blocks.at(-1)?.moments.at(-1);
  }

  /** When the oldest moment began. */
  get from(): number | undefined {
    const first = this.blocks[0]?.moments[0];
    return first && first.at - 1000 * first.seconds;
  }

  add(moment: Moment): void {
    const { resolution, block: length, mostKeys } = this.options;
    this.#forgetAfter(moment.at);
    // A moment that ends at the boundary belongs to the time before it.
    const number = Math.ceil(moment.at / length) - 1;
    let block = this.blocks.at(-1);
    if (block?.number !== number) {
      if (block !== undefined) this.#close(block);
      block = { number, keys: [], moments: [] };
      this.blocks.push(block);
      this.#index = new Map();
      this.#mostBlockKeys = fewKeys;
      const oldest = (moment.at - this.options.keep) / length;
      while (this.blocks[0]!.number + 1 <= oldest) this.changed.delete(this.blocks.shift()!);
    }
    const bucket = (at: number): number => Math.ceil(at / resolution);
    const before = block.moments.at(-1);
    const { at, seconds, seen, other, lost } = moment;
    // Before they get a place in the block: in a flood there may be thousands of new ones each tick.
    const most = mostOf(moment.cells, mostKeys, this.#reasonAt);
    if (before !== undefined && bucket(before.at) === bucket(at)) {
      before.at = at;
      before.seconds += seconds;
      before.seen += seen;
      before.other += other;
      before.lost += lost;
      before.cells = this.#merge(block, before.cells, most);
      if (before.cells.length / 2 > gathering * mostKeys) {
        before.cells = this.#most(block, before.cells, gathering / 2 * mostKeys);
      }
    } else {
      if (before !== undefined) before.cells = this.#most(block, before.cells, mostKeys);
      const cells = this.#merge(block, [], most);
      block.moments.push({ at, seconds, seen, other, lost, cells });
    }
    if (block.keys.length > this.#mostBlockKeys) this.#forgetKeys(block);
    this.changed.add(block);
  }

  /** Takes up what was kept. */
  restore(block: Block): void {
    if (block.moments.length === 0) return;
    if (block.number <= (this.blocks.at(-1)?.number ?? -Infinity)) return;
    this.blocks.push(block);
    this.#index = new Map(block.keys.map((labels, i) => [keyText(labels), i]));
  }

  /** What is yet to come is of a clock that was set back. */
  #forgetAfter(at: number): void {
    let isCut = false;
    for (let block = this.blocks.at(-1); block !== undefined; block = this.blocks.at(-1)) {
      const { moments } = block;
      while (moments.length > 0 && moments.at(-1)!.at >= at) {
        moments.pop();
        this.changed.add(block);
      }
      if (moments.length > 0) break;
      this.blocks.pop();
      isCut = true;
    }
    if (!isCut) return;
    this.#index = new Map(
      (this.blocks.at(-1)?.keys ?? []).map((labels, i) => [keyText(labels), i]),
    );
  }

  /** Forgets what ends after a time. */
  cut(at: number): void {
    this.#forgetAfter(at + 1);
  }

  #key(block: Block, labels: readonly HistoryLabel[]): number {
    const text = keyText(labels);
    let key = this.#index.get(text);
    if (key === undefined) {
      key = block.keys.push(labels) - 1;
      this.#index.set(text, key);
    }
    return key;
  }

  #merge(block: Block, cells: readonly number[], more: readonly Cell[]): number[] {
    const sums = new Map<number, number>();
    for (let i = 0; i < cells.length; i += 2) sums.set(cells[i]!, cells[i + 1]!);
    for (const [labels, drops] of more) {
      const key = this.#key(block, labels);
      sums.set(key, (sums.get(key) ?? 0) + drops);
    }
    return [...sums].flat();
  }

  /** The keys with the most drops; the rest by its reason alone. */
  #most(block: Block, cells: number[], most: number): number[] {
    if (cells.length / 2 <= most) return cells;
    return this.#merge(block, [], mostOf(cellsIn(block, cells), most, this.#reasonAt));
  }

  /** All that a block will hold is in it. */
  #close(block: Block): void {
    const last = block.moments.at(-1);
    if (last !== undefined) last.cells = this.#most(block, last.cells, this.options.mostKeys);
    this.#forgetKeys(block);
    if (block.keys.length > mostInBlock) this.#thin(block);
    this.changed.add(block);
  }

  /** Tells fewer keys of a whole block apart: where each second has others, none of them is the culprit. */
  #thin(block: Block): void {
    const totals = new Float64Array(block.keys.length);
    for (const { cells } of block.moments) {
      for (let i = 0; i < cells.length; i += 2) totals[cells[i]!]! += cells[i + 1]!;
    }
    const most = new Set(
      [...totals.keys()].sort((a, b) => totals[b]! - totals[a]!).slice(0, mostInBlock),
    );
    for (const moment of block.moments) {
      const all = cellsIn(block, moment.cells);
      const kept = moment.cells.filter((_, i, cells) => most.has(cells[i - i % 2]!));
      const rest = all.filter((_, i) => !most.has(moment.cells[2 * i]!));
      moment.cells = this.#merge(block, kept, mostOf(rest, 0, this.#reasonAt));
    }
    this.#forgetKeys(block);
  }

  /** Lets go of keys that no moment of the last block has any more. */
  #forgetKeys(block: Block): void {
    const used = new Map<number, number>();
    const keys: (readonly HistoryLabel[])[] = [];
    for (const moment of block.moments) {
      const { cells } = moment;
      for (let i = 0; i < cells.length; i += 2) {
        const key = cells[i]!;
        let fresh = used.get(key);
        if (fresh === undefined) used.set(key, fresh = keys.push(block.keys[key]!) - 1);
        cells[i] = fresh;
      }
    }
    block.keys.length = 0;
    for (const labels of keys) block.keys.push(labels);
    this.#index = new Map(keys.map((labels, i) => [keyText(labels), i]));
    this.#mostBlockKeys = Math.max(fewKeys, 2 * keys.length);
  }
}

export interface History {
  readonly fields: readonly FieldName[];
  add(moment: Moment): void;
  /** Nothing was counted up to a time. */
  pass(at: number): void;
  /** @throws DropwatchError BAD_QUERY. */
  query(query: DropsQuery): Drops;
  /** Drops of a time by all fields, those that fit. */
  cells(where: DropsQuery["where"], from: number, to: number): Cell[];
  /** Takes up what was kept: blocks in their order. */
  restore(level: LevelOptions["name"], block: Block): void;
  /** All that was kept has been restored. */
  restored(): void;
  /** What has changed since the last call, of a level. */
  changes(level: LevelOptions["name"]): Block[];
  /** From when on there is something of a level. */
  from(level: LevelOptions["name"]): number | undefined;
  /** What there is of the last so many milliseconds; nothing before this run has counted anything. */
  recent(length: number): Omit<Moment, "at" | "cells">;
}

/** A history by some fields, in the catalogue's order. */
export function makeHistory(by: readonly FieldName[]): History {
  const fields = fieldNames.filter((field) => by.includes(field));
  const reasonAt = fields.indexOf("reason");
  const seconds = new Level(secondsLevel, reasonAt);
  const minutes = new Level(minutesLevel, reasonAt);
  const levelOf = (name: LevelOptions["name"]): Level => name === "seconds" ? seconds : minutes;

  const indexOf = (field: string): number => {
    const at = fields.indexOf(field as FieldName);
    if (at !== -1) return at;
    throw badQuery(`drops aren't kept by ${field}`, field, fields, nearest(field, fields));
  };

  /** Those that fit `where`, as a test of a key that is asked once a key of a block. */
  const fitting = (where: DropsQuery["where"]): (labels: readonly HistoryLabel[]) => boolean => {
    const tests = Object.entries(where)
      .map(([field, labels]) => [indexOf(field), new Set(labels)] as const);
    return (labels) => tests.every(([at, wanted]) => wanted.has(labels[at]!));
  };

  /** The finest there is for all of a time, as far as there is anything. */
  const levelFor = (from: number): Level => {
    if (seconds.from === undefined) return minutes;
    const isWhole = minutes.from === undefined || seconds.from < minutes.from + minute;
    return isWhole || seconds.from <= from ? seconds : minutes;
  };

  /** Calls with each moment that ends in a time: whole moments only, so that sums are exact. */
  const eachMoment = (
    level: Level,
    from: number,
    to: number,
    call: (moment: BlockMoment, block: Block) => void,
  ): void => {
    for (const block of level.blocks) {
      const begin = block.number * level.options.block;
      if (begin >= to) break;
      if (begin + level.options.block <= from) continue;
      for (const moment of block.moments) {
        if (moment.at > from && moment.at <= to) call(moment, block);
      }
    }
  };

  /** Up to when it is known what came, or that nobody counted. */
  let known: number | undefined;

  /** Whether somebody counted all the time, as far as it is known yet. */
  const isCovered = (level: Level, from: number, to: number): boolean => {
    let until = from;
    let holes = 0;
    eachMoment(level, from, to, ({ at, seconds }) => {
      if (at - until - 1000 * seconds > shortestHole) holes++;
      until = at;
    });
    const last = known ?? seconds.last?.at ?? minutes.last?.at ?? to;
    return holes === 0 && Math.min(to, last) - until <= shortestHole;
  };

  return {
    fields,
    pass: (at) => void (known = at),
    add(moment) {
      known = moment.at;
      seconds.add(moment);
      minutes.add(moment);
    },
    query({ by, where, from, to, step: wanted, limit }) {
      if (!(from < to) || !Number.isFinite(to - from)) {
        throw badQuery("the time ends before it begins", `${from} to ${to}`, ["from before to"]);
      }
      if (by.some((field, i) => by.indexOf(field) !== i)) {
        throw badQuery("a field is asked for twice", by.join(), ["each field once"]);
      }
      const places = by.map(indexOf);
      const fits = fitting(where);
      const level = levelFor(from);
      const { resolution } = level.options;
      const least = wanted ?? (to - from) / usualValues;
      const step = Math.max(1, Math.ceil(least / resolution - 1e-9)) * resolution;
      // Ticks end at a fraction of a second of their own: steps begin and end with them.
      const fraction = (seconds.last ?? minutes.last)?.at ?? 0;
      const phase = Math.ceil(fraction / 1000) * 1000 - fraction;
      const begin = Math.floor((from + phase) / step) * step - phase;
      const length = Math.ceil((to - begin) / step);
      if (length > mostValues) {
        throw badQuery("a series would have too many values", `${length}`, [
          `a step of ${Math.ceil((to - from) / mostValues)} milliseconds at least`,
        ]);
      }
      const end = begin + length * step;
      // First who has how much, then what of it is shown: in a flood each second has series of its own.
      const ids = new Map<string, number>();
      const labels: (readonly HistoryLabel[])[] = [];
      const totals: number[] = [];
      const seriesOf = (block: Block): Int32Array =>
        Int32Array.from(block.keys, (key) => {
          if (!fits(key)) return -1;
          const own = places.map((at) => key[at]!);
          const text = keyText(own);
          let id = ids.get(text);
          if (id === undefined) {
            ids.set(text, id = labels.push(own) - 1);
            totals.push(0);
          }
          return id;
        });
      const series = new Map<Block, Int32Array>();
      let [other, lost] = [0, 0];
      eachMoment(level, begin, end, (moment, block) => {
        let own = series.get(block);
        if (own === undefined) series.set(block, own = seriesOf(block));
        other += moment.other;
        lost += moment.lost;
        const { cells } = moment;
        for (let i = 0; i < cells.length; i += 2) {
          const id = own[cells[i]!]!;
          if (id !== -1) totals[id]! += cells[i + 1]!;
        }
      });
      const order = totals.flatMap((drops, id) => drops > 0 ? id : [])
        .sort((a, b) => totals[b]! - totals[a]!);
      const total = order.reduce((sum, id) => sum + totals[id]!, 0);
      const shown = order.slice(0, limit);
      // All that isn't shown is the last one.
      const slots = new Int32Array(totals.length).fill(shown.length);
      shown.forEach((id, slot) => slots[id] = slot);
      const values = Array.from({ length: shown.length + 1 }, () => new Float64Array(length));
      const counted = new Float64Array(length);
      eachMoment(level, begin, end, (moment, block) => {
        const own = series.get(block)!;
        const { cells } = moment;
        for (const [at, share] of sharesOf(moment, begin, step)) {
          counted[at]! += share * moment.seconds;
          for (let i = 0; i < cells.length; i += 2) {
            const id = own[cells[i]!]!;
            if (id !== -1) values[slots[id]!]![at]! += share * cells[i + 1]!;
          }
        }
      });
      const finish = (own: readonly HistoryLabel[], total: number, slot: number): DropSeries => ({
        labels: Object.fromEntries(by.map((field, i) => [field, own[i] ?? null])),
        total,
        values: Array.from(
          values[slot]!,
          (n, i) => counted[i]! > 0 ? thousandths(n / counted[i]!) : null,
        ),
      });
      const told = shown.reduce((sum, id) => sum + totals[id]!, 0);
      const time = counted.reduce((sum, each) => sum + each, 0);
      return {
        by,
        from: begin,
        to: end,
        step,
        seconds: thousandths(time),
        series: shown.map((id, slot) => finish(labels[id]!, totals[id]!, slot)),
        rest: order.length === shown.length ? null : finish([], total - told, shown.length),
        restSeries: order.length - shown.length,
        total,
        missing: other + lost,
        other,
        lost,
        exact: other + lost === 0 && isCovered(level, Math.max(begin, from), end),
      };
    },
    cells(where, from, to) {
      const fits = fitting(where);
      const level = levelFor(from);
      const sums = new Map<string, [readonly HistoryLabel[], number]>();
      const texts = new Map<Block, (string | null)[]>();
      eachMoment(level, from, to, (moment, block) => {
        let own = texts.get(block);
        if (own === undefined) {
          texts.set(block, own = block.keys.map((labels) => fits(labels) ? keyText(labels) : null));
        }
        const { cells } = moment;
        for (let i = 0; i < cells.length; i += 2) {
          const text = own[cells[i]!]!;
          if (text === null) continue;
          const known = sums.get(text);
          if (known !== undefined) known[1] += cells[i + 1]!;
          else sums.set(text, [block.keys[cells[i]!]!, cells[i + 1]!]);
        }
      });
      return [...sums.values()].sort((a, b) => b[1] - a[1]);
    },
    restore: (name, block) => levelOf(name).restore(block),
    restored() {
      // The last minute was kept before it was over: the seconds know the whole of it.
      const { from } = seconds;
      if (from === undefined) return;
      const whole = Math.ceil(from / minute) * minute;
      minutes.cut(whole);
      for (const block of seconds.blocks) {
        for (const moment of block.moments) {
          if (moment.at <= whole) continue;
          minutes.add({ ...moment, cells: cellsIn(block, moment.cells) });
        }
      }
    },
    changes(name) {
      const { changed } = levelOf(name);
      const all = [...changed];
      changed.clear();
      return all;
    },
    from: (name) => levelOf(name).from,
    recent(length) {
      const sum = { seconds: 0, seen: 0, other: 0, lost: 0 };
      if (known === undefined) return sum;
      eachMoment(seconds, known - length, Infinity, (moment) => {
        sum.seconds += moment.seconds;
        sum.seen += moment.seen;
        sum.other += moment.other;
        sum.lost += moment.lost;
      });
      return sum;
    },
  };
}

/** The steps that a moment lies in, and which share of it in each; what began before is in the first. */
function sharesOf(
  { at, seconds }: BlockMoment,
  begin: number,
  step: number,
): [step: number, share: number][] {
  const from = Math.min(at - 1, Math.max(begin, at - 1000 * seconds));
  const shares: [number, number][] = [];
  for (let i = Math.floor((from - begin) / step); begin + i * step < at; i++) {
    const low = Math.max(from, begin + i * step);
    const high = Math.min(at, begin + (i + 1) * step);
    if (high > low) shares.push([i, (high - low) / (at - from)]);
  }
  return shares;
}

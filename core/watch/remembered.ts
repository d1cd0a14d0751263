// What is remembered of combinations of labels beyond any window: when each was last seen, which were
// seen at all, what code of a rule keeps for each.
import type { CodeKey, CodeResult, KeptState } from "../rule/host_message.ts";
import { textOf } from "./stream.ts";
import type { Consumer, Labels } from "./stream.ts";
import type { Tick } from "./tick.ts";

/** When combinations were last seen, and since when that is known. */
export interface SeenMemory {
  /** By text, in milliseconds since 1970; 0 while the tick isn't ended. */
  readonly seen: Map<string, number>;
  since: number;
}

/** When each combination was last seen: for `absent`. */
export class LastSeen implements Consumer {
  readonly #limit: number;
  readonly #memory: SeenMemory;
  readonly #window: number;
  #open = new Set<string>();
  #refused = 0;
  /** Drops without a key, of any combination, within the window. */
  readonly #lost: { readonly at: number; readonly n: number }[] = [];

  /** `window`: how long an absence has to be, in milliseconds. */
  constructor(limit: number, memory: SeenMemory, window: number) {
    this.#limit = limit;
    this.#memory = memory;
    this.#window = window;
  }

  get seen(): Map<string, number> {
    return this.#memory.seen;
  }

  add({ text }: Labels, n: number): boolean {
    if (!this.seen.has(text)) {
      if (this.seen.size >= this.#limit) {
        this.#refused += n;
        return false;
      }
      this.seen.set(text, 0);
    }
    this.#open.add(text);
    return true;
  }

  end(tick: Tick, missing: number): void {
    for (const text of this.#open) this.seen.set(text, tick.at);
    this.#open.clear();
    const n = missing + this.#refused;
    this.#refused = 0;
    if (n > 0) this.#lost.push({ at: tick.at, n });
    while (this.#lost.length > 0 && this.#lost[0]!.at <= tick.at - this.#window) this.#lost.shift();
  }

  interrupt(at: number): void {
    this.#memory.since = at;
  }

  get since(): number {
    return this.#memory.since;
  }

  get missing(): number {
    return this.#lost.reduce((sum, { n }) => sum + n, 0);
  }
}

/** Which combinations were ever seen: for `first`. */
export interface EverSeen {
  /** When the rule was seen first, in milliseconds since 1970. */
  since: number;
  readonly texts: Set<string>;
  /** Those that weren't kept yet. */
  unsaved: string[];
}

/** Tells the combinations that a tick brings for the first time. */
export class FirstSeen implements Consumer {
  readonly #limit: number;
  readonly #learn: number;
  readonly #ever: EverSeen;
  /** New with the tick that was ended last: how many drops each had. */
  readonly fresh: Map<string, number> = new Map();
  #open = new Map<string, number>();
  #refused = 0;
  #missing = 0;

  constructor(limit: number, learn: number, ever: EverSeen) {
    this.#limit = limit;
    this.#learn = learn;
    this.#ever = ever;
  }

  add({ text }: Labels, n: number): boolean {
    if (this.#ever.texts.has(text)) return true;
    // What can't be remembered would be new again and again.
    if (!this.#open.has(text) && this.#ever.texts.size + this.#open.size >= this.#limit) {
      this.#refused += n;
      return false;
    }
    this.#open.set(text, (this.#open.get(text) ?? 0) + n);
    return true;
  }

  end(tick: Tick, missing: number): void {
    if (this.#ever.since === Infinity) this.#ever.since = tick.at - 1000 * tick.seconds;
    this.fresh.clear();
    this.#missing = missing + this.#refused;
    this.#refused = 0;
    // What came with a gap is told with the next tick: in a gap nothing is judged.
    if (tick.gap !== undefined) return;
    const learning = tick.at - this.#ever.since < this.#learn;
    for (const [text, n] of this.#open) {
      this.#ever.texts.add(text);
      this.#ever.unsaved.push(text);
      if (!learning) this.fresh.set(text, n);
    }
    this.#open.clear();
  }

  interrupt(): void {}

  get missing(): number {
    return this.#missing;
  }
}

/** What code of a rule keeps. */
export interface CodeMemory {
  /** By the text of its labels. */
  readonly all: Map<string, KeyMemory>;
  /** Those that changed and weren't kept yet. */
  readonly unsaved: Set<string>;
}

/** What it keeps for one combination of labels. */
export interface KeyMemory {
  readonly labels: readonly string[];
  readonly state?: KeptState | undefined;
  readonly active: boolean;
  readonly value: number;
}

/** The drops of a tick with the same labels. */
interface Collected {
  readonly labels: readonly string[];
  readonly samples: Map<string, [labels: readonly string[], count: number]>;
}

/** Collects a tick's drops for code, and keeps what it answers. */
export class CodeSamples implements Consumer {
  readonly #limit: number;
  readonly #order: readonly number[];
  readonly memory: Map<string, KeyMemory>;
  readonly #unsaved: Set<string>;
  #open = new Map<string, Collected>();
  /** How many of them have no memory yet. */
  #begun = 0;
  #refused = 0;
  /** Those of the tick that was ended last. */
  #ready = new Map<string, Collected>();
  /** Drops that each combination had with the tick that was ended last. */
  readonly fresh: Map<string, number> = new Map();
  #missing = 0;
  /** Half of the time between two ticks: what comes a little early or late is still in time. */
  #grace = 0;
  /** In which of the times between two calls of `tick` the last tick was. */
  #turn: number | undefined;

  /** `order`: where the labels of the rule stand among those of a sample. */
  constructor(limit: number, order: readonly number[], { all, unsaved }: CodeMemory) {
    this.#limit = limit;
    this.#order = order;
    this.memory = all;
    this.#unsaved = unsaved;
  }

  add({ text, labels }: Labels, n: number): boolean {
    const own = this.#order.map((i) => labels[i] ?? "");
    const of = textOf(own);
    let collected = this.#open.get(of);
    if (collected === undefined) {
      const isNew = !this.memory.has(of);
      if (isNew && this.memory.size + this.#begun >= this.#limit) {
        this.#refused += n;
        return false;
      }
      if (isNew) this.#begun++;
      collected = { labels: own, samples: new Map() };
      this.#open.set(of, collected);
    }
    const sample = collected.samples.get(text);
    if (sample === undefined) collected.samples.set(text, [labels, n]);
    else sample[1] += n;
    return true;
  }

  /** What code is to be run for, once the tick is ended. */
  work(
    at: number,
    every: number,
    each: boolean,
    tick: boolean,
  ): { keys: CodeKey[]; tick: boolean } {
    const turnOf = (time: number): number => Math.floor(time / every);
    const turn = turnOf(at + this.#grace);
    const due = tick && turn !== (this.#turn ?? turnOf(at - this.#grace));
    this.#turn = turn;
    const texts = new Set<string>(each ? this.#ready.keys() : []);
    // Where there is no `each`, drops are what begins a combination for `tick`.
    if (due) { for (const text of [...this.memory.keys(), ...this.#ready.keys()]) texts.add(text); }
    const keys = [...texts].map((text): CodeKey => {
      const { labels, state, active = false, value = 0 } = this.memory.get(text) ??
        { labels: this.#ready.get(text)!.labels, state: undefined };
      return {
        labels,
        ...(state === undefined ? {} : { state }),
        active,
        value,
        samples: each ? [...this.#ready.get(text)?.samples.values() ?? []] : [],
      };
    });
    return { keys, tick: due };
  }

  /** What code answered for a key; what failed leaves everything as it was. */
  answer(key: CodeKey, { state, active, value, failure }: CodeResult): void {
    if (failure !== undefined) return;
    const text = textOf(key.labels);
    const kept = state === undefined ? key.state : state ?? undefined;
    const before = this.memory.get(text);
    if (
      state !== undefined || active !== (before?.active ?? false) || value !== (before?.value ?? 0)
    ) this.#unsaved.add(text);
    if (kept === undefined && !active) this.memory.delete(text);
    else this.memory.set(text, { labels: key.labels, state: kept, active, value });
  }

  end(tick: Tick, missing: number): void {
    this.fresh.clear();
    this.#missing = missing + this.#refused;
    this.#refused = 0;
    this.#grace = 500 * tick.seconds;
    this.#ready = new Map();
    // What came with a gap is told with the next tick: in a gap no code is run.
    if (tick.gap !== undefined) return;
    for (const [text, { samples }] of this.#open) {
      let n = 0;
      for (const [, count] of samples.values()) n += count;
      this.fresh.set(text, n);
    }
    this.#ready = this.#open;
    this.#open = new Map();
    this.#begun = 0;
  }

  interrupt(): void {}

  get missing(): number {
    return this.#missing;
  }
}

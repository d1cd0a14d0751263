// Reads the lines of a capture, version 2. Each line is checked whole before anything of it counts.
import type { Drop } from "../../../core/drop/field.ts";
import { separator } from "../../../core/plan/key.ts";
import type { Tick } from "../../../core/watch/tick.ts";
import type { Head2 } from "./head.ts";
import {
  endOfTime,
  longestHole,
  maxCount,
  maxDictionary,
  maxEvidence,
  maxFlows,
  maxKeys,
  maxLabel,
  maxReasonName,
  maxSeconds,
  maxStacks,
  maxSum,
} from "./limit.ts";

/** A key of the dictionary; whoever counts remembers there what it counts for. */
export interface CaptureKey<Place> {
  readonly labels: readonly string[];
  place: Place | undefined;
}

/** What a tick tells beside its counts. */
export interface CapturedTick {
  readonly at: number;
  readonly seconds: number;
  readonly other: number;
  readonly lost: number;
  /** Drops by reason, where they don't follow from the keys, and those without even a reason. */
  readonly told:
    | { readonly missed: number; readonly reasons: ReadonlyMap<string, number> }
    | undefined;
  readonly evidence: NonNullable<Tick["evidence"]>;
  readonly retransmits: ReadonlyMap<string, number>;
}

export interface CapturedGap {
  readonly at: number;
  readonly seconds: number;
  readonly gap: NonNullable<Tick["gap"]>;
}

export interface CaptureHandler<Place> {
  /** A tick was read, and will be told; its counts come before that. */
  before(tick: Pick<CapturedTick, "at" | "seconds">): void;
  count(key: CaptureKey<Place>, n: number, sum: number): void;
  tick(tick: CapturedTick): void;
  gap(gap: CapturedGap): void;
}

export interface CaptureReader {
  /** False where the line can't be read, and was left out. */
  line(text: string): boolean;
  /** Whether the capture has said that it is complete. */
  readonly ended: boolean;
}

type Kept = NonNullable<Tick["evidence"]>[number];

/** Makes a reader; it calls `handler` for what it reads. */
export function captureReader<Place>(head: Head2, handler: CaptureHandler<Place>): CaptureReader {
  const step = head.sum === undefined ? 2 : 3;
  const keyLength = head.fields.length + 2;
  const reasonAt = head.fields.indexOf("reason") + 2;
  let keys: (CaptureKey<Place> | undefined)[] = [];
  let stacks: (string | undefined)[] = [];
  let dictionary = 0;
  let evidence: Kept[] = [];
  let retransmits = new Map<string, number>();
  let last: number | undefined;
  let ended = false;

  /** Takes note of so many more characters of the dictionary. */
  const remember = (texts: readonly string[]): boolean => {
    const size = texts.reduce((sum, text) => sum + text.length, 0);
    if (dictionary + size > maxDictionary) return false;
    dictionary += size;
    return true;
  };

  const isTime = (at: unknown): at is number =>
    isWhole(at, endOfTime) && (last === undefined || (at >= last && at <= last + longestHole));

  const readKey = (row: readonly unknown[]): boolean => {
    const [, id, ...labels] = row;
    if (row.length !== keyLength || !isWhole(id, maxKeys - 1) || keys[id] !== undefined) {
      return false;
    }
    if (!labels.every(isLabel) || (row[reasonAt] as string).length > maxReasonName) return false;
    if (!remember(labels)) return false;
    keys[id] = { labels, place: undefined };
    return true;
  };

  const readStack = (row: readonly unknown[]): boolean => {
    const [, id, stack] = row;
    if (row.length !== 3 || !isWhole(id, maxStacks - 1) || stacks[id] !== undefined) return false;
    if (!isLabel(stack) || !remember([stack])) return false;
    stacks[id] = stack;
    return true;
  };

  const readKept = (row: readonly unknown[]): boolean => {
    const [, n, id, site, at, ...labels] = row;
    const stack = typeof id === "number" ? stacks[id] : undefined;
    if (row.length !== head.evidence.length + 5 || stack === undefined) return false;
    if (!isWhole(n, maxCount) || n === 0 || evidence.length >= maxEvidence) return false;
    if (!isLabel(site) || !isLabel(at) || !labels.every(isLabel)) return false;
    const drop: { [name: string]: string } = {};
    head.evidence.forEach((field, i) => drop[field] = labels[i]!);
    evidence.push({ drop: { ...drop, stack, site } as Drop, at, n });
    return true;
  };

  const readFlows = (row: readonly unknown[]): boolean => {
    if (row.length % 2 === 0 || (row.length - 1) / 2 > maxFlows) return false;
    const read = new Map<string, number>();
    for (let i = 1; i < row.length; i += 2) {
      const [flow, n] = [row[i], row[i + 1]];
      if (!isLabel(flow) || !isWhole(n, maxCount)) return false;
      read.set(flow, n);
    }
    retransmits = read;
    return true;
  };

  const readTick = (row: readonly unknown[]): boolean => {
    const [, at, seconds, other, lost] = row;
    if (!isTime(at) || !isSeconds(seconds)) return false;
    if (!isWhole(other, maxCount) || !isWhole(lost, maxCount)) return false;
    let from = 5;
    let told: CapturedTick["told"];
    if (Array.isArray(row[5])) {
      told = readReasons(row[5]);
      if (told === undefined || told.missed > lost) return false;
      from = 6;
    }
    if ((row.length - from) % step !== 0) return false;
    for (let i = from; i < row.length; i += step) {
      const n = row[i + 1];
      if (keys[row[i] as number] === undefined || typeof row[i] !== "number") return false;
      if (!isWhole(n, maxCount) || n === 0) return false;
      if (step === 3 && !isWhole(row[i + 2], maxSum)) return false;
    }
    handler.before({ at, seconds });
    for (let i = from; i < row.length; i += step) {
      const sum = step === 3 ? row[i + 2] as number : 0;
      handler.count(keys[row[i] as number]!, row[i + 1] as number, sum);
    }
    last = at;
    const tick = { at, seconds, other, lost, told, evidence, retransmits };
    evidence = [];
    retransmits = new Map();
    handler.tick(tick);
    return true;
  };

  const readGap = (row: readonly unknown[]): boolean => {
    const [, at, seconds, missing, why, over] = row;
    if (row.length !== 6 || !isTime(at) || !isSeconds(seconds) || !isSeconds(missing)) return false;
    if (!isLabel(why) || (over !== 0 && over !== 1)) return false;
    last = at;
    handler.gap({ at, seconds, gap: { seconds: missing, why, over: over === 1 } });
    return true;
  };

  const read = (row: readonly unknown[]): boolean => {
    switch (row[0]) {
      case "t":
        return readTick(row);
      case "k":
        return readKey(row);
      case "s":
        return readKept(row);
      case "w":
        return readStack(row);
      case "f":
        return readFlows(row);
      case "g":
        return readGap(row);
      case "n":
        if (row.length !== 1) return false;
        [keys, stacks, dictionary] = [[], [], 0];
        return true;
      case "e":
        return ended = row.length === 2 && isWhole(row[1], endOfTime);
      default:
        return false;
    }
  };

  return {
    line(text) {
      if (ended) return false;
      let row: unknown;
      try {
        row = JSON.parse(text);
      } catch {
        return false;
      }
      return Array.isArray(row) && read(row);
    },
    get ended() {
      return ended;
    },
  };
}

function readReasons(list: readonly unknown[]): CapturedTick["told"] {
  const [missed] = list;
  if (list.length % 2 === 0 || list.length > 2 * maxKeys || !isWhole(missed, maxCount)) {
    return undefined;
  }
  const reasons = new Map<string, number>();
  for (let i = 1; i < list.length; i += 2) {
    const [name, n] = [list[i], list[i + 1]];
    if (!isLabel(name) || name.length > maxReasonName || reasons.has(name)) return undefined;
    if (!isWhole(n, maxCount)) return undefined;
    reasons.set(name, n);
  }
  return { missed, reasons };
}

function isWhole(value: unknown, most: number): value is number {
  return typeof value === "number" && value >= 0 && value <= most && Number.isInteger(value);
}

function isSeconds(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= maxSeconds;
}

function isLabel(value: unknown): value is string {
  return typeof value === "string" && value.length <= maxLabel && !value.includes(separator);
}

// Ticks as the lines of a capture, version 2. A key is written down once and then named by a number,
// so that what a tick costs is a few bytes for each key that had drops.
import type { Drop, FieldName, Names } from "../../../core/drop/field.ts";
import { jsonLine } from "../../../core/error.ts";
import { flowText } from "../../../core/plan/key.ts";
import type { Counted, Tick } from "../../../core/watch/tick.ts";
import type { Head2 } from "./head.ts";
import {
  maxDictionary,
  maxEvidence,
  maxFlows,
  maxKeys as mostKeys,
  maxLabel,
  maxSeconds,
  maxStacks,
  maxSum,
} from "./limit.ts";

/** What a capture is to be of. */
export interface CaptureOptions {
  readonly head: Omit<Head2, "dropwatch" | "version">;
  /** The names of the kernel whose ticks these are. */
  readonly names: Pick<Names, "reason">;
  /** Keys that the dictionary holds, and that a tick may have. */
  readonly maxKeys?: number;
}

/** Writes a capture; each call returns whole lines. */
export interface CaptureWriter {
  head(): string;
  /** A tick of a plan with one map, by the head's fields. */
  tick(tick: Tick): string;
  end(): string;
  /** Different keys that were written down. */
  readonly keys: number;
}

/** Flows of kept drops of which it is still told when TCP sends on them again. */
const maxFollowed = 20_000;

/** Makes a writer. The ticks' only map must be by the fields of the head, in that order. */
export function captureWriter(options: CaptureOptions): CaptureWriter {
  const { head, names, maxKeys = mostKeys } = options;
  const withSum = head.sum !== undefined;
  const ids = new Map<string, number>();
  const stacks = new Map<string, number>();
  const followed = new Set<string>();
  const reasonAt = head.fields.indexOf("reason");
  let size = 0;
  let keys = 0;
  let last: number | undefined;

  const begin = (): string => {
    ids.clear();
    stacks.clear();
    size = 0;
    return line(["n"]);
  };

  /** The clock may be set back: a capture's time doesn't go back. */
  const timeOf = ({ at, seconds }: Pick<Tick, "at" | "seconds">): number => {
    const time = Math.round(at);
    return last = last === undefined || time >= last ? time : last + Math.round(1000 * seconds);
  };

  const writeEvidence = (evidence: NonNullable<Tick["evidence"]>): string => {
    let text = "";
    for (const { drop, at, n } of evidence.slice(0, maxEvidence)) {
      const stack = cut(drop.stack ?? "");
      let id = stacks.get(stack);
      if (id === undefined) {
        id = stacks.size;
        stacks.set(stack, id);
        size += stack.length;
        text += line(["w", id, stack]);
      }
      const labels = head.evidence.map((field) => cut(drop[field] ?? ""));
      text += line(["s", n, id, cut(drop.site ?? ""), cut(at), ...labels]);
      follow(drop);
    }
    return text;
  };

  const follow = (drop: Drop): void => {
    const { saddr = "", sport = "", daddr = "", dport = "", retransmitted = "" } = drop;
    if (retransmitted === "") return;
    if (followed.size >= maxFollowed) followed.delete(followed.values().next().value!);
    followed.add(flowText(saddr, sport, daddr, dport));
  };

  const writeFlows = (retransmits: NonNullable<Tick["retransmits"]>): string => {
    // Of the others no drop was kept: nobody will ask.
    const told = [...retransmits].filter(([flow]) => followed.has(flow)).slice(0, maxFlows);
    return told.length === 0 ? "" : line(["f", ...told.flat()]);
  };

  /** The most frequent ones: of the others only the number is written. */
  const fitting = (entries: readonly Counted[]): readonly Counted[] =>
    entries.length <= maxKeys ? entries : [...entries].sort((a, b) => b.n - a.n).slice(0, maxKeys);

  return {
    head: () => line({ dropwatch: "capture", version: 2, ...head }),
    tick(tick) {
      const at = timeOf(tick);
      const seconds = secondsOf(tick.seconds);
      const gap = tick.gap &&
        line([
          "g",
          at,
          seconds,
          secondsOf(tick.gap.seconds),
          cut(tick.gap.why),
          tick.gap.over ? 1 : 0,
        ]);
      if (gap !== undefined && tick.seen === 0) return gap;
      const all = tick.maps[0]!;
      const entries = fitting(all.entries);
      const labelled = entries.map(({ key }) => jsonLine(key.labels.map(cut)).slice(1, -1));
      const fresh = labelled.filter((labels) => !ids.has(labels));
      const more = fresh.reduce((sum, { length }) => sum + length, 0);
      const isFull = ids.size + fresh.length > maxKeys || stacks.size + maxEvidence > maxStacks ||
        size + more > maxDictionary / 2;
      let text = isFull && size > 0 ? begin() : "";
      const byReason = new Map<string, number>();
      let counts = "";
      entries.forEach(({ key, n, sum }, i) => {
        const labels = labelled[i]!;
        let id = ids.get(labels);
        if (id === undefined) {
          id = ids.size;
          ids.set(labels, id);
          size += labels.length;
          keys++;
          text += `["k",${id},${labels}]\n`;
        }
        counts += withSum
          ? `,${id},${n},${Math.min(maxSum, Math.max(0, Math.round(sum)))}`
          : `,${id},${n}`;
        const reason = key.labels[reasonAt]!;
        byReason.set(reason, (byReason.get(reason) ?? 0) + n);
      });
      text += writeEvidence(tick.evidence ?? []);
      if (tick.retransmits !== undefined) text += writeFlows(tick.retransmits);
      const kept = entries.reduce((sum, { n }) => sum + n, 0);
      const other = tick.other + all.entries.reduce((sum, { n }) => sum + n, 0) - kept;
      const told = reasonsOf(tick, names);
      // Where they don't follow from the keys: of drops without one, and of keys that are known later.
      const follows = other === 0 && told.size === byReason.size &&
        [...told].every(([name, n]) => byReason.get(name) === n);
      const missed = tick.seen - [...told.values()].reduce((sum, n) => sum + n, 0);
      const reasons = follows && missed === tick.lost
        ? ""
        : `,${jsonLine([Math.max(0, missed), ...[...told].flat()])}`;
      text += `["t",${at},${seconds},${other},${tick.lost}${reasons}${counts}]\n`;
      return text + (gap ?? "");
    },
    end: () => line(["e", last ?? 0]),
    get keys() {
      return keys;
    },
  };
}

/** The fields that drops are counted by, of those that are asked for; what follows is left out. */
export function captureFields(asked: readonly FieldName[]): FieldName[] {
  const fields = new Set<FieldName>(["reason", ...asked]);
  for (const field of ["subsystem", "class"] as const) fields.delete(field);
  return [...fields];
}

function reasonsOf({ reasons }: Tick, names: Pick<Names, "reason">): Map<string, number> {
  const byName = new Map<string, number>();
  for (const [id, n] of reasons) {
    const name = names.reason(id);
    byName.set(name, (byName.get(name) ?? 0) + n);
  }
  return byName;
}

function secondsOf(seconds: number): number {
  return Number(Math.min(maxSeconds, Math.max(0, seconds)).toFixed(6));
}

function cut(label: string): string {
  return label.length > maxLabel ? label.slice(0, maxLabel) : label;
}

function line(value: unknown): string {
  return `${jsonLine(value)}\n`;
}

// The kernel's stacks of the last hour. They are walked for the drops that the kernel keeps whole, a few of
// each kind and tick; what was counted of a kind is shared out over the stacks that were kept of it.
import type { Drop, FieldName } from "../drop/field.ts";
import type { Tick } from "../watch/tick.ts";
import type { Cell } from "./history.ts";
import type { HistoryLabel, Stacks } from "./view.ts";

/** Milliseconds: what is told apart in time, and how long it is kept. */
const resolution = 10_000;
const keep = 3_600_000;
/** How many stacks there may be in all: the oldest go first. */
const mostKept = 50_000;
const mostShown = 500;
const separator = "\0";

interface Stack {
  readonly labels: readonly string[];
  readonly reason: string;
  /** Outermost function first, joined by `;`. */
  readonly stack: string;
  kept: number;
}

interface Slot {
  readonly number: number;
  readonly stacks: Map<string, Stack>;
}

export interface StackLog {
  add(tick: Tick): void;
  /** From when on stacks are kept; undefined where there are none. */
  readonly from: number | undefined;
  /** `cells` are the drops of the same time, by the fields of the history. */
  of(
    where: Readonly<Record<string, readonly HistoryLabel[]>>,
    from: number,
    to: number,
    cells: readonly Cell[],
  ): Stacks;
}

/** Keeps the stacks of drops, told apart by the fields of a history. */
export function stackLog(fields: readonly FieldName[]): StackLog {
  const slots: Slot[] = [];
  let size = 0;
  const reasonAt = fields.indexOf("reason");
  /** When the first tick began. */
  let since: number | undefined;
  return {
    get from() {
      return since;
    },
    add({ at, seconds, evidence = [] }) {
      const oldest = (Math.ceil((at - keep) / resolution) - 1) * resolution;
      since = Math.max(since ?? at - 1000 * seconds, oldest);
      if (evidence.length === 0) return;
      const number = Math.ceil(at / resolution) - 1;
      let slot = slots.at(-1);
      if (slot === undefined || slot.number < number) {
        slots.push(slot = { number, stacks: new Map() });
      }
      for (const { drop, n } of evidence) {
        const labels = fields.map((field) => (drop as Drop)[field] ?? "");
        const { reason = "", stack = "" } = drop;
        const text = [...labels, stack].join(separator);
        const known = slot.stacks.get(text);
        if (known !== undefined) known.kept += n;
        else {
          slot.stacks.set(text, { labels, reason, stack, kept: n });
          size++;
        }
      }
      while (size > mostKept || slots[0]!.number * resolution < oldest) {
        const gone = slots.shift()!;
        size -= gone.stacks.size;
        since = Math.max(since, (gone.number + 1) * resolution);
        if (slots.length === 0) break;
      }
    },
    of(where, from, to, cells) {
      const tests = Object.entries(where)
        .map(([field, labels]) => [fields.indexOf(field as FieldName), new Set(labels)] as const);
      const found = new Map<string, Stack>();
      for (const { number, stacks } of slots) {
        if ((number + 1) * resolution <= from || number * resolution >= to) continue;
        for (const [text, stack] of stacks) {
          if (!tests.every(([at, wanted]) => wanted.has(stack.labels[at]!))) continue;
          const known = found.get(text);
          if (known === undefined) found.set(text, { ...stack });
          else known.kept += stack.kept;
        }
      }
      const kinds = Map.groupBy(found.values(), ({ labels }) => labels.join(separator));
      const reasons = Map.groupBy(found.values(), ({ reason }) => reason);
      const shares = new Map<string, Stack & { drops: number }>();
      const shareOut = (drops: number, among: readonly Stack[]): void => {
        const all = among.reduce((sum, { kept }) => sum + kept, 0);
        for (const { labels, reason, stack, kept } of among) {
          const text = `${reason}${separator}${stack}`;
          let share = shares.get(text);
          if (share === undefined) {
            shares.set(text, share = { labels, reason, stack, kept: 0, drops: 0 });
          }
          share.drops += drops * kept / all;
        }
      };
      for (const [labels, drops] of cells) {
        // A kind of which no stack was kept is taken to come the way that others of its reason come.
        const among = kinds.get(labels.join(separator)) ?? reasons.get(labels[reasonAt] ?? "");
        if (among !== undefined) shareOut(drops, among);
      }
      for (const { reason, stack, kept } of found.values()) {
        const share = shares.get(`${reason}${separator}${stack}`);
        if (share !== undefined) share.kept += kept;
      }
      return {
        from,
        to,
        total: cells.reduce((sum, [, drops]) => sum + drops, 0),
        keptFrom: since ?? null,
        kept: [...found.values()].reduce((sum, { kept }) => sum + kept, 0),
        stacks: [...shares.values()].sort((a, b) => b.drops - a.drops).slice(0, mostShown)
          .map(({ reason, stack, kept, drops }) => ({
            reason,
            frames: stack === "" ? [] : stack.split(";"),
            kept,
            drops: Math.round(drops),
          })),
      };
    },
  };
}

// The rate of each reason over the last quarter of an hour, so that an alert can show what was before it.
import type { ReasonWorld } from "../plan/predicate.ts";
import type { Tick } from "../watch/tick.ts";
import type { AlertData } from "./alert.ts";
import type { Rates } from "./notification.ts";

/** Milliseconds. */
const length = 900_000;
const mostValues = 180;

export interface RateHistory {
  add(tick: Tick): void;
  /** The rate of an alert's reasons up to now; undefined where it isn't known what they are. */
  of(alert: AlertData): Rates | undefined;
}

export function makeHistory(world: ReasonWorld): RateHistory {
  const ticks: Pick<Tick, "at" | "seconds" | "reasons">[] = [];
  return {
    add({ at, seconds, reasons }) {
      // What is yet to come is of a clock that was set back.
      while (ticks.length > 0 && ticks.at(-1)!.at > at) ticks.pop();
      ticks.push({ at, seconds, reasons });
      while (ticks[0]!.at <= at - length) ticks.shift();
    },
    of({ evidence, labels, of }) {
      const last = ticks.at(-1);
      const known = evidence.reasons?.map(({ reason }) => reason) ?? [];
      const names = known.length > 0 || labels["reason"] === undefined ? known : [labels["reason"]];
      if (of === "health" || last === undefined || names.length === 0) return undefined;
      const wanted = new Set(names);
      const counts = (reasons: ReadonlyMap<number, number>): number => {
        let n = 0;
        for (const [reason, count] of reasons) {
          if (wanted.has(world.reasons.get(reason) ?? "")) n += count;
        }
        return n;
      };
      const first = beginOf(ticks[0]!);
      const step = Math.max(1, Math.ceil((last.at - first) / mostValues / 1000)) * 1000;
      const values = new Array<number>(Math.max(1, Math.ceil((last.at - first) / step))).fill(0);
      const from = last.at - values.length * step;
      for (const tick of ticks) {
        const n = counts(tick.reasons);
        if (n > 0) {
          spread(values, n / step * 1000, (beginOf(tick) - from) / step, (tick.at - from) / step);
        }
      }
      return { from, step, values, of: names.slice(0, 5).join(", ") };
    },
  };
}

const beginOf = ({ at, seconds }: Pick<Tick, "at" | "seconds">): number =>
  at - Math.max(1, seconds * 1000);

/** Adds a value to those that lie from `begin` to `end`, to each its share. */
function spread(values: number[], value: number, begin: number, end: number): void {
  for (let i = Math.max(0, Math.floor(begin)); i < Math.min(values.length, end); i++) {
    values[i]! += value * (Math.min(i + 1, end) - Math.max(i, begin)) / (end - begin);
  }
}

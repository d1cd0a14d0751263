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
  const ticks: { readonly at: number; readonly reasons: ReadonlyMap<number, number> }[] = [];
  return {
    add({ at, reasons }) {
      ticks.push({ at, reasons });
      while (ticks[0]!.at < at - length) ticks.shift();
    },
    of({ evidence, labels, of }) {
      const last = ticks.at(-1);
      const names = evidence.reasons?.map(({ reason }) => reason) ??
        (labels["reason"] === undefined ? [] : [labels["reason"]]);
      if (of === "health" || last === undefined || names.length === 0) return undefined;
      const wanted = new Set(names);
      const counts = (reasons: ReadonlyMap<number, number>): number => {
        let n = 0;
        for (const [reason, count] of reasons) {
          if (wanted.has(world.reasons.get(reason) ?? "")) n += count;
        }
        return n;
      };
      const first = ticks[0]!.at;
      const step = Math.max(1000, Math.ceil((last.at - first + 1) / mostValues / 1000) * 1000);
      const from = last.at - Math.ceil((last.at - first) / step) * step - step;
      const values = new Array<number>(Math.ceil((last.at - from) / step)).fill(0);
      for (const { at, reasons } of ticks) {
        const slot = Math.min(values.length - 1, Math.ceil((at - from) / step) - 1);
        values[slot]! += counts(reasons) * 1000 / step;
      }
      return { from, step, values, of: names.slice(0, 5).join(", ") };
    },
  };
}

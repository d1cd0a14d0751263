// What is said of the stacks that a flame graph is made of.
import type { Stacks } from "../../../../core/view/view.ts";
import { moment, percent, plural, whole } from "./words.ts";

/** Stacks are kept by times of this length, so what was asked for may begin within one; milliseconds. */
const coarse = 60_000;
const why = "they are kept for an hour at most, and not over a restart";

/** `asked` is the time that they were asked for, `now` the time at which it is said. */
export function stacksText(
  { kept, total, keptFrom }: Pick<Stacks, "kept" | "total" | "keptFrom">,
  asked: { readonly from: number; readonly to: number },
  now: number,
): string {
  if (keptFrom === null) return `No stacks are kept yet: ${why}.`;
  if (asked.to <= keptFrom) {
    return `No stacks are kept of this time, the oldest are of ${moment(keptFrom, now)}: ${why}.`;
  }
  const since = asked.from < keptFrom - coarse
    ? ` Stacks since ${moment(keptFrom, now)}, ${why}.`
    : "";
  if (total === 0 && kept === 0) return `No drops in this time.${since}`;
  if (kept === 0) {
    return `No stack was walked of the ${plural(total, "drop")} in this time.${since}`;
  }
  // Whole stacks of coarse times lie beside drops of the very time.
  const share = kept > total ? "" : ` (${percent(kept, total)})`;
  return `Sampled: ${plural(kept, "stack")} walked, of ${whole(total)} counted drops${share}. ` +
    `A width is what was counted of a reason, shared out over its stacks.${since}`;
}

// Maps that several key sets share, as if each had one to itself.
import type { Layout } from "../../../core/plan/layout.ts";
import { hasClass } from "../../../core/plan/plan.ts";

/**
 * Takes the maps of a copy apart that several key sets share, into those that they would have alone:
 * from `k0_1` to `m3_1` and `w5_1`. What wasn't printed is missing there too. `strangers` is how many
 * keys are nobody's.
 */
export function takeApart(
  printed: ReadonlyMap<string, unknown>,
  layout: Layout,
  copy: number,
): { maps: ReadonlyMap<string, unknown>; strangers: number } {
  if (layout.shared.length === 0 && !layout.joinsTotals) return { maps: printed, strangers: 0 };
  const maps = new Map(printed);
  let strangers = 0;
  for (const { name, sharers } of layout.shared) {
    const together = printed.get(`${name}_${copy}`);
    if (typeof together !== "object" || together === null) continue;
    const own = sharers.map((): [string, unknown][] => []);
    for (const [key, value] of Object.entries(together)) {
      const words = key.split(",", 1);
      const number = Number(words[0]);
      const i = sharers.findIndex(({ map, after }) =>
        number > after && number < after + map.classes.length
      );
      if (i === -1) strangers++;
      else own[i]!.push([ownKey(key, number, sharers[i]!), value]);
    }
    sharers.forEach(({ map, walked }, i) =>
      maps.set(`${walked ? "w" : "m"}${map.id}_${copy}`, Object.fromEntries(own[i]!))
    );
  }
  const totals = printed.get(`t${copy}`);
  if (layout.joinsTotals && typeof totals === "object" && totals !== null) {
    for (const [id, total] of Object.entries(totals)) maps.set(`t${id}_${copy}`, total);
  }
  return { maps, strangers };
}

/** The key without the number and the zeros behind it, and with the class where it would have one. */
function ownKey(
  key: string,
  number: number,
  { map, after, padding }: Layout["shared"][number]["sharers"][number],
): string {
  let at = 0;
  for (let left = 1 + padding; left > 0 && at !== -1; left--) at = key.indexOf(",", at) + 1 || -1;
  const rest = at === -1 ? "" : key.slice(at);
  return hasClass(map) ? `${number - after}${rest === "" ? "" : `,${rest}`}` : rest;
}

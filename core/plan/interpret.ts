// A plan run as the kernel runs it: the reason finds a group, a decision tree finds a class, the class
// and the fields make up a key. For tests of rules: what this counts and what is counted drop by drop
// must be the same.
import { fieldOf } from "../drop/field.ts";
import type { Drop, FieldName } from "../drop/field.ts";
import { separator } from "./key.ts";
import type { SeriesKey } from "./key.ts";
import { fitsLabel, numberOf, reasonNumbers } from "./label.ts";
import type { DropCounter } from "./label.ts";
import { keyFields } from "./plan.ts";
import type { Decision, KeyMap, Plan } from "./plan.ts";
import { inRanges } from "./predicate.ts";
import type { ReasonWorld } from "./predicate.ts";

interface Counted {
  readonly chosen: number;
  readonly labels: ReadonlyMap<FieldName, string>;
  n: number;
  sum: number;
}

/** Counts drops by a plan's groups, decisions and keys. Numbers of reasons are those of `world`. */
export function planInterpreter(plan: Plan, world: ReasonWorld): DropCounter {
  const reasonId = reasonNumbers(world);
  let seen = 0;
  let reasons = new Map<number, number>();
  let maps = plan.maps.map(() => new Map<string, Counted>());
  return {
    add(drop, n) {
      const reason = reasonId(drop.reason ?? "");
      seen += n;
      reasons.set(reason, (reasons.get(reason) ?? 0) + n);
      const group = plan.groups.find(({ ranges }) => inRanges(ranges, reason));
      for (const { map: id, decision } of group?.counted ?? []) {
        const map = plan.maps[id]!;
        const chosen = decide(decision, drop, reason);
        if (chosen === 0) continue;
        const labels = new Map(keyFields(map).map((field) => [field, drop[field] ?? ""]));
        const key = [chosen, ...labels.values()].join(separator);
        const sum = map.sum === undefined ? 0 : n * Number(drop[map.sum] ?? 0);
        const known = maps[id]!.get(key);
        if (known === undefined) maps[id]!.set(key, { chosen, labels, n, sum });
        else {
          known.n += n;
          known.sum += sum;
        }
      }
    },
    take() {
      const taken = {
        seen,
        reasons,
        maps: maps.map((counted, id) => ({
          entries: [...counted.values()].map(({ n, sum, ...key }) => ({
            key: seriesKey(plan, plan.maps[id]!, key),
            n,
            sum,
          })),
          other: 0,
          lost: 0,
        })),
      };
      seen = 0;
      reasons = new Map();
      maps = plan.maps.map(() => new Map());
      return taken;
    },
  };
}

function decide(decision: Decision, drop: Drop, reason: number): number {
  if (typeof decision === "number") return decision;
  const { field } = decision;
  const label = drop[field] ?? "";
  if ("cases" in decision) {
    const number = fieldOf(field).kind === "reason" ? reason : numberOf(field, label);
    const found = decision.cases.find(({ ranges: [lo, hi] }) => number >= lo && number <= hi);
    return found === undefined ? 0 : decide(found.then, drop, reason);
  }
  const { then, otherwise } = decision;
  const holds = "masks" in decision
    ? fitsLabel({ field, masks: decision.masks, not: false }, label)
    : fitsLabel({ field, names: decision.names, not: false }, label);
  return decide(holds ? then : otherwise, drop, reason);
}

/** What outside of the kernel is made of a key. */
function seriesKey(
  plan: Plan,
  map: KeyMap,
  { chosen, labels }: Pick<Counted, "chosen" | "labels">,
): SeriesKey {
  const own = map.by.map((field) => labels.get(field)!);
  const counts = map.classes[chosen]!.filter((index) => {
    const place = plan.places[index]!;
    return place.at === "map" &&
      place.rest.every((test) => fitsLabel(test, labels.get(test.field)!));
  });
  return { text: own.join(separator), labels: own, counts };
}

// What the history is made of: one count of all drops by its fields, beside those of rules, in the kernel.
import { fieldNames, fieldOf } from "../drop/field.ts";
import type { FieldName } from "../drop/field.ts";
import { badHistoryField } from "../error.ts";
import { nearest } from "../nearest.ts";
import type { Count, Plan } from "../plan/plan.ts";
import type { SourceFacts } from "../watch/source.ts";
import type { Tick } from "../watch/tick.ts";
import { finderOf } from "../watch/watch.ts";
import type { Cell } from "./history.ts";
import type { HistoryLabel } from "./view.ts";

/** By what drops are told apart where nobody says otherwise. */
export const usualHistoryFields: readonly FieldName[] = ["reason", "site", "dev", "owner"];

/** Whether drops of the past can be told apart by a field: not by what costs a walk or comes later. */
export function isHistoryField(field: FieldName): boolean {
  const { kind } = fieldOf(field);
  return kind !== "stack" && kind !== "later";
}

/** The fields that a history can have. */
export const historyFields: readonly FieldName[] = fieldNames.filter(isHistoryField);

/**
 * The fields of a history: what is asked for, or the usual ones, of which the source may not have all.
 * The reason is always among them.
 *
 * @throws DropwatchError BAD_HISTORY_FIELD.
 */
export function historyBy(
  asked: readonly string[] | undefined,
  facts: Pick<SourceFacts, "unavailable">,
): readonly FieldName[] {
  for (const field of asked ?? []) {
    if (!(historyFields as readonly string[]).includes(field)) {
      throw badHistoryField(field, historyFields, nearest(field, historyFields));
    }
    const why = facts.unavailable(field as FieldName);
    if (why !== undefined) throw badHistoryField(field, historyFields, [], why);
  }
  const wanted = asked ?? usualHistoryFields.filter((field) => !facts.unavailable(field));
  return fieldNames.filter((field) => field === "reason" || wanted.includes(field));
}

/** What the kernel is to count for a history. */
export function overviewCount(by: readonly FieldName[]): Count {
  return { predicate: [], by };
}

/** Makes the reader of a tick's drops by the fields of an overview, the most first. */
export function overviewReader(
  overview: Count,
  reasonName: (id: number) => string,
): (tick: Tick, plan: Plan) => Cell[] {
  const reasonAt = fieldNames.filter((field) => overview.by.includes(field)).indexOf("reason");
  const indexes = new WeakMap<Plan, number>();
  return (tick, plan) => {
    let index = indexes.get(plan);
    if (index === undefined) {
      indexes.set(plan, index = finderOf(plan.counts)(overview) ?? -1);
    }
    const place = plan.places[index];
    const entries = place?.at === "map" ? tick.maps[place.map]?.entries ?? [] : [];
    const sums = new Map<string, [labels: readonly HistoryLabel[], drops: number]>();
    // Drops by reason are always whole: what no key tells apart is what is left of them.
    const left = new Map<string, number>();
    for (const [id, n] of tick.reasons) {
      const name = reasonName(id);
      left.set(name, (left.get(name) ?? 0) + n);
    }
    for (const { key: { text, labels, counts }, n } of entries) {
      if (!counts.includes(index)) continue;
      const known = sums.get(text);
      if (known === undefined) sums.set(text, [labels, n]);
      else known[1] += n;
      const reason = labels[reasonAt]!;
      left.set(reason, (left.get(reason) ?? 0) - n);
    }
    const cells: Cell[] = [...sums.values()];
    for (const [reason, n] of left) {
      if (n > 0) cells.push([overview.by.map((_, i) => (i === reasonAt ? reason : null)), n]);
    }
    return cells.sort((a, b) => b[1] - a[1]);
  };
}

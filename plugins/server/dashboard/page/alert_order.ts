// Which alerts stand first, and which of them a filter means.
import type { ViewAlert } from "../../../../core/view/view.ts";
import type { Filter } from "./look.ts";

const states = ["firing", "pending", "resolved"];
const severities = ["critical", "warning", "info"];
const rank = (order: readonly string[], name: string): number => {
  const at = order.indexOf(name);
  return at === -1 ? order.length : at;
};

/** Firing, then pending, then over; what is kept quiet behind what isn't, the worst first, then the newest. */
export function alertOrder(a: ViewAlert, b: ViewAlert): number {
  return rank(states, a.state) - rank(states, b.state) ||
    Number(isQuiet(a)) - Number(isQuiet(b)) ||
    (a.state === "resolved" ? 0 : rank(severities, a.severity) - rank(severities, b.severity)) ||
    Date.parse(b.endsAt ?? b.startsAt) - Date.parse(a.endsAt ?? a.startsAt) ||
    (a.fingerprint < b.fingerprint ? -1 : 1);
}

/** Whether nobody is told of it. */
export function isQuiet({ silencedBy, inhibitedBy, shadow }: ViewAlert): boolean {
  return shadow || silencedBy.length + inhibitedBy.length > 0;
}

/**
 * Whether an alert can be about drops that filters mean. One that doesn't tell a field can be about any:
 * it is better seen once too often.
 */
export function fitsFilters(alert: ViewAlert, filters: readonly Filter[]): boolean {
  return [...new Set(filters.map(({ field }) => field))].every((field) => {
    const told = toldOf(alert, field);
    if (told.length === 0) return true;
    return filters.some((filter) =>
      filter.field === field && (filter.label === null || told.includes(filter.label))
    );
  });
}

/**
 * What an alert tells of a field: its label, or its evidence. Evidence names the first few, so it tells
 * only where there are fewer.
 */
function toldOf({ labels, evidence }: ViewAlert, field: string): string[] {
  if (Object.hasOwn(labels, field)) return [labels[field]!];
  const { reasons = [], owners = [], ownerKnown = false } = evidence;
  if (field === "reason" && reasons.length < 3) return reasons.map(({ reason }) => reason);
  if (field === "owner" && ownerKnown && owners.length < 3) return owners.map(({ owner }) => owner);
  return [];
}

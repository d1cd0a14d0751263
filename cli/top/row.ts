// The rows of the table: drops by some of the fields, the ones that fit, in the order that is asked for.
import type { FieldName } from "../../core/drop/field.ts";
import type { HistoryLabel } from "../../core/view/view.ts";
import { dropsAt, keyOf, minute, ratesOf } from "./counted.ts";
import type { Counted } from "./counted.ts";

/** Only drops with these labels, or with a text in one of their labels. */
export type Filter =
  | {
    /** One of these labels, for each field. */
    readonly is: Readonly<Partial<Record<FieldName, readonly HistoryLabel[]>>>;
    /** What drops were grouped by before: that comes back with the filter's end. */
    readonly before?: readonly FieldName[];
  }
  | { readonly text: string };

export const sortKeys = ["rate", "average", "total", "share", "name"] as const;
export type SortKey = (typeof sortKeys)[number];

export interface Row {
  /** What tells it from the others. */
  readonly key: string;
  /** In the order of `by`. */
  readonly labels: readonly HistoryLabel[];
  /** Drops a second: now, and over the last minute. */
  readonly rate: number;
  readonly average: number;
  /** Drops since the beginning. */
  readonly total: number;
  /** Drops of the last minute. */
  readonly minute: number;
  /** Of the drops of the last minute that fit, from 0 to 1; of all that fit where the minute had none. */
  readonly share: number;
  /** Drops a second in each second since the beginning, a minute at most; null where nobody counted. */
  readonly values: readonly (number | null)[];
}

export interface RowQuery {
  readonly by: readonly FieldName[];
  readonly filters: readonly Filter[];
  readonly sort: SortKey;
  readonly reverse: boolean;
}

/** The largest first, names from A; `reverse` turns it round. Rows that are equal keep their order. */
export function rowsOf(counted: Counted, query: RowQuery): Row[] {
  const places = query.by.map((field) => counted.fields.indexOf(field));
  const fits = matcherOf(counted.fields, query.filters);
  const groups = new Map<string, {
    readonly labels: readonly HistoryLabel[];
    readonly drops: Float64Array;
    total: number;
  }>();
  for (const entry of counted.entries.values()) {
    if (!fits(entry.labels)) continue;
    const labels = places.map((place) => entry.labels[place] ?? null);
    const key = keyOf(labels);
    let group = groups.get(key);
    if (group === undefined) {
      group = { labels, drops: new Float64Array(minute), total: 0 };
      groups.set(key, group);
    }
    group.total += entry.total;
    if (entry.last <= counted.second - minute) continue;
    for (let ago = 0; ago < minute; ago++) group.drops[ago]! += dropsAt(counted, entry, ago);
  }
  const rows = [...groups].map(([key, { labels, drops, total }]) => {
    const { now, average, values } = ratesOf(counted, (ago) => drops[ago]!);
    const inMinute = drops.reduce((sum, n) => sum + n, 0);
    return { key, labels, rate: now, average, total, minute: inMinute, values };
  });
  const ofMinute = rows.reduce((sum, row) => sum + row.minute, 0);
  const ofAll = rows.reduce((sum, row) => sum + row.total, 0);
  const shared = rows.map((row): Row => ({
    ...row,
    share: ofMinute > 0 ? row.minute / ofMinute : ofAll > 0 ? row.total / ofAll : 0,
  }));
  const order = orderOf(query.sort);
  return shared.sort((a, b) => (query.reverse ? order(b, a) : order(a, b)) || byName(a, b));
}

function orderOf(sort: SortKey): (a: Row, b: Row) => number {
  if (sort === "name") return byName;
  return (a, b) => b[sort] - a[sort] || b.total - a.total;
}

function byName(a: Row, b: Row): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}

/** Whether the labels of a drop fit all filters. */
function matcherOf(
  fields: readonly FieldName[],
  filters: readonly Filter[],
): (labels: readonly HistoryLabel[]) => boolean {
  const tests = filters.map((filter): (labels: readonly HistoryLabel[]) => boolean => {
    if ("text" in filter) {
      const wanted = filter.text.toLowerCase();
      return (labels) => labels.some((label) => label?.toLowerCase().includes(wanted));
    }
    const wanted = Object.entries(filter.is).map(([field, labels]) =>
      [fields.indexOf(field as FieldName), labels] as const
    );
    return (labels) => wanted.every(([place, some]) => some.includes(labels[place] ?? null));
  });
  return (labels) => tests.every((test) => test(labels));
}

/** The label of a field that most drops have among those that fit; undefined where none do. */
export function commonest(
  counted: Counted,
  field: FieldName,
  filters: readonly Filter[],
): string | undefined {
  if (!counted.fields.includes(field)) return undefined;
  const rows = rowsOf(counted, { by: [field], filters, sort: "average", reverse: false });
  return rows.find(({ labels }) => labels[0] !== null)?.labels[0] ?? undefined;
}

/** A row's own labels as a filter. */
export function filterOf(by: readonly FieldName[], row: Row): Filter & { is: object } {
  return { is: Object.fromEntries(by.map((field, i) => [field, [row.labels[i] ?? null]])) };
}

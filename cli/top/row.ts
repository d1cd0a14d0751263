// The rows of the table: drops by some of the fields, the ones that fit, in the order that is asked for.
import type { FieldName } from "../../core/drop/field.ts";
import type { HistoryLabel } from "../../core/view/view.ts";
import { dropsAt, keyOf, minute, ratesOf } from "./counted.ts";
import type { Counted } from "./counted.ts";
import type { Where } from "./feed.ts";

/** Only drops with these labels, or with a text in one of their labels. */
export type Filter =
  | {
    /** One of these labels, for each field. */
    readonly is: Readonly<Partial<Record<FieldName, readonly HistoryLabel[]>>>;
    /** What drops were grouped by before: that comes back with the filter's end. */
    readonly before?: readonly FieldName[];
  }
  | { readonly text: string };

/** Labels that a text is turned into, at most: the API takes a hundred of a field. */
const mostLabels = 50;

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

/**
 * What filters ask for as labels, which is all that can be looked up. A text becomes the labels of a
 * field that it is in, where these alone pick out what fits it; `without` are the texts that can't be
 * said so.
 */
export function whereOf(
  counted: Counted,
  filters: readonly Filter[],
): { readonly where: Where; readonly without: readonly string[] } {
  const where: Record<string, readonly HistoryLabel[]> = {};
  for (const filter of filters) if ("is" in filter) Object.assign(where, filter.is);
  const texts = filters.flatMap((filter) => "text" in filter ? filter.text : []);
  const without: string[] = [];
  if (texts.length === 0) return { where, without };
  const isFit = matcherOf(counted.fields, filters.filter((filter) => "is" in filter));
  let labels = [...counted.entries.values()].map((entry) => entry.labels).filter(isFit);
  for (const text of texts) {
    const fits = matcherOf(counted.fields, [{ text }]);
    const found = counted.fields.flatMap((field, place) => {
      const own = new Set(labels.map((each) => each[place] ?? null).filter((each) => fits([each])));
      const isAll = own.size <= mostLabels &&
        labels.every((each) => own.has(each[place] ?? null) === fits(each));
      return isAll ? [[field, [...own].sort()] as const] : [];
    }).sort(([, a], [, b]) => a.length - b.length)[0];
    if (found === undefined) {
      without.push(text);
      continue;
    }
    where[found[0]] = found[1];
    labels = labels.filter(fits);
  }
  return { where, without };
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

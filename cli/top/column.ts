// The columns of the table: which of them there is room for, and how wide each is.
import type { FieldName } from "../../core/drop/field.ts";
import { showNumber } from "../../core/number.ts";
import type { Row, SortKey } from "./row.ts";
import type { Span } from "./paint.ts";
import { spark } from "./spark.ts";
import type { BarStyle } from "./spark.ts";
import { fit, fitRight, widthOf } from "./width.ts";

interface NumberColumn {
  readonly name: string;
  readonly sort: SortKey;
  readonly width: number;
  readonly show: (row: Row) => string;
}

/** In the order in which they get room; they are shown in that of `shownOrder`. */
const numberColumns: readonly NumberColumn[] = [
  { name: "NOW/s", sort: "rate", width: 9, show: ({ rate }) => showRate(rate) },
  { name: "TOTAL", sort: "total", width: 12, show: ({ total }) => showCount(total) },
  { name: "1M/s", sort: "average", width: 9, show: ({ average }) => showRate(average) },
  { name: "SHARE", sort: "share", width: 7, show: ({ share }) => showShare(share) },
];
const shownOrder: readonly SortKey[] = ["rate", "average", "total", "share"];

const leastSpark = 10;
const mostSpark = 60;
/** What a field has at least, where there is room for a number beside it. */
const usualField = 8;
const mostField = 40;

export interface Columns {
  readonly fields: readonly { readonly field: FieldName; readonly width: number }[];
  readonly numbers: readonly NumberColumn[];
  /** Columns of the sparkline; 0 where there is no room. */
  readonly spark: number;
}

/** `labels` are those that are to be shown, as they are shown. */
export function layColumns(
  by: readonly FieldName[],
  labels: readonly (readonly string[])[],
  width: number,
): Columns {
  const wished = by.map((field, i) =>
    Math.min(mostField, Math.max(field.length, ...labels.map((row) => widthOf(row[i]!))))
  );
  // Where there is hardly any room, what happens now comes before whole names.
  const half = Math.floor((width - numberColumns[0]!.width) / Math.max(1, by.length)) - 1;
  const leastField = Math.max(2, Math.min(usualField, half));
  const least = wished.reduce((sum, each) => sum + Math.min(each, leastField) + 1, 0);
  const numbers: NumberColumn[] = [];
  let room = width - least;
  for (const column of numberColumns) {
    if (column.width > room) break;
    numbers.push(column);
    room -= column.width;
  }
  // What is left goes to the names first: a culprit whose name is cut is none.
  const extra = wished.map((each) => each - Math.min(each, leastField));
  const wanted = extra.reduce((sum, each) => sum + each, 0);
  const given = Math.min(Math.max(0, room), wanted);
  const fields = by.map((field, i) => ({
    field,
    width: Math.min(wished[i]!, leastField) +
      (wanted === 0 ? 0 : Math.floor((extra[i]! / wanted) * given)),
  }));
  const left = room - given - 1;
  return {
    fields,
    numbers: numbers.toSorted((a, b) => shownOrder.indexOf(a.sort) - shownOrder.indexOf(b.sort)),
    spark: numbers.length < numberColumns.length || left < leastSpark
      ? 0
      : Math.min(mostSpark, left),
  };
}

/** The head of the table; the column that it is sorted by is marked. */
export function headOf(columns: Columns, sort: SortKey, reverse: boolean): string {
  const mark = (sort === "name") === reverse ? "▼" : "▲";
  const named = columns.fields.map(({ field, width }, i) =>
    fit(i === 0 && sort === "name" ? `${field}${mark}` : field, width)
  );
  const numbers = columns.numbers.map(({ name, sort: own, width }) =>
    fitRight(own === sort ? `${name}${mark}` : name, width)
  );
  const last = columns.spark === 0 ? "" : ` ${fit("LAST MINUTE", columns.spark)}`;
  return `${named.map((each) => `${each} `).join("")}${numbers.join("")}${last}`;
}

/** The cells of a row. `labels` as they are shown; each sparkline has a scale of its own. */
export function cellsOf(
  columns: Columns,
  row: Row,
  labels: readonly string[],
  style: BarStyle,
): Span[] {
  // A span a cell: what a terminal thinks of the width of a name ends with its cell.
  const end = style === "utf8" ? "…" : "~";
  const names = columns.fields.map(({ width }, i) => fit(labels[i]!, width, end));
  const numbers = columns.numbers.map(({ show, width }) => fitRight(show(row), width, end));
  const bars = columns.spark === 0 ? [] : [` ${spark(row.values, columns.spark, style)}`];
  return [...names.flatMap((name) => [name, " "]), numbers.join(""), ...bars];
}

/** Drops a second: 0.2, 12.5, 1,234, 12.3M. */
export function showRate(rate: number): string {
  if (rate === 0) return "0";
  if (rate < 0.05) return "<0.1";
  return rate < 100 ? rate.toFixed(1) : showCount(rate);
}

/** A whole number, shortened only where nobody would read its digits. */
export function showCount(n: number): string {
  if (n >= 1e10) return `${(n / 1e9).toFixed(1)}G`;
  return showNumber(Math.round(n));
}

function showShare(share: number): string {
  return `${(share * 100).toFixed(share >= 0.9995 ? 0 : 1)}%`;
}

// A look without a screen: what was dropped in a time, as a table or as lines of JSON.
import type { FieldName } from "../../core/drop/field.ts";
import { jsonLine } from "../../core/error.ts";
import { plural, showNumber } from "../../core/number.ts";
import { showDuration } from "../../core/rule/duration.ts";
import type { HistoryLabel } from "../../core/view/view.ts";
import { showLabel, table } from "../table.ts";
import type { Counted } from "./counted.ts";
import { rowsOf } from "./row.ts";
import type { RowQuery } from "./row.ts";

/** Drops of some labels in the time that was looked at. */
export interface OnceRow {
  readonly labels: Readonly<Partial<Record<FieldName, HistoryLabel>>>;
  readonly drops: number;
  /** A second. */
  readonly rate: number;
  /** Of the drops that fit, from 0 to 1. */
  readonly share: number;
}

/** All of the time, whatever fits: seen = counted + other + lost. */
export interface OnceSummary {
  readonly seconds: number;
  readonly seen: number;
  readonly counted: number;
  readonly other: number;
  readonly lost: number;
  /** Seconds in which nobody counted. */
  readonly gapSeconds: number;
  /** Whether nothing is missing from the numbers; not where nothing was counted at all. */
  readonly exact: boolean;
  /** Drops that fit, and in how many rows. */
  readonly drops: number;
  readonly rows: number;
}

export interface Once {
  readonly rows: readonly OnceRow[];
  readonly summary: OnceSummary;
}

/** What was counted, in rows, the most drops first or by name. */
export function onceOf(counted: Counted, query: RowQuery): Once {
  // Everything there was is as long ago as everything else: the columns of the screen are one here.
  const rows = rowsOf(counted, { ...query, sort: query.sort === "name" ? "name" : "total" });
  const { seconds, sums, gapSeconds } = counted;
  const drops = rows.reduce((sum, { total }) => sum + total, 0);
  const { seen, counted: whole, other, lost } = sums;
  return {
    rows: rows.map(({ labels, total }) => ({
      labels: Object.fromEntries(query.by.map((field, i) => [field, labels[i] ?? null])),
      drops: total,
      rate: seconds > 0 ? total / seconds : 0,
      share: drops > 0 ? total / drops : 0,
    })),
    summary: {
      seconds: rounded(seconds),
      seen,
      counted: whole,
      other,
      lost,
      gapSeconds: rounded(gapSeconds),
      exact: seconds > 0 && other + lost === 0 && gapSeconds === 0,
      drops,
      rows: rows.length,
    },
  };
}

/**
 * The table, and a line that says how long was looked, and how sure the numbers are. Where nothing was
 * counted there is none.
 */
export function showOnce(
  { rows, summary }: Once,
  by: readonly FieldName[],
  limit: number,
): string[] {
  const { seconds, drops, other, lost, gapSeconds, exact } = summary;
  if (seconds === 0) return [];
  const shown = rows.slice(0, limit).map((row) => [
    ...by.map((field) => showOnceLabel(row.labels[field])),
    showNumber(Math.round(row.drops)),
    row.rate.toFixed(1),
    `${(row.share * 100).toFixed(1)}%`,
  ]);
  const missing = [
    other > 0 ? `${showNumber(other)} other` : "",
    lost > 0 ? `${showNumber(lost)} lost` : "",
    gapSeconds > 0 ? `nobody counted for ${showDuration(gapSeconds * 1000)}` : "",
  ].filter((each) => each !== "");
  const more = rows.length - shown.length;
  return [
    ...table([...by, "drops", "drops/s", "share"], shown),
    ...(more > 0 ? [`… ${plural(more, "row")} more: --limit shows them`] : []),
    "",
    `${plural(drops, "drop")} in ${showDuration(seconds * 1000)}, ${
      exact ? "exact" : `at least: ${missing.join(", ")}`
    }`,
  ];
}

/** The rows as one object a line each, and a summary as the last. */
export function jsonOnce({ rows, summary }: Once, timestamp: string, limit: number): string[] {
  return [
    ...rows.slice(0, limit).map((data) => jsonLine({ type: "drops", timestamp, data })),
    jsonLine({ type: "summary", timestamp, data: summary }),
  ];
}

/** As in the rules' `where`: an empty label is one, and drops that weren't told apart have none. */
function showOnceLabel(label: HistoryLabel | undefined): string {
  if (label === null || label === undefined) return "(not told apart)";
  return label === "" ? "-" : showLabel(label);
}

const rounded = (n: number): number => Number(n.toFixed(3));

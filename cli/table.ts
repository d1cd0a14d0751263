// Tables for people.
import { printable, quote } from "../core/error.ts";

/** Columns as wide as their widest cell. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
  return [head, ...rows].map((row) =>
    row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd()
  );
}

/** A value of a label: quoted where it could be taken for something else. */
export function showLabel(value: string): string {
  return /^[\w.:@/-]+$/.test(value) ? value : quote(printable(value));
}

/** A moment, in UTC: `2026-01-02 03:04:05`. */
export function showTime(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace("T", " ");
}

// From lines of styled text to what a terminal is sent. Nothing but this file makes escape sequences
// for lines, and no text passes it as it came.
import { printable } from "../../core/error.ts";
import { cut, isPlain, widthOf } from "./width.ts";

export type Style = "bold" | "dim" | "reverse" | "red" | "yellow" | "green" | "cyan";

/** A piece of a line. */
export type Span = string | readonly [text: string, style: Style];
export type Line = readonly Span[];

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** What a terminal can show. */
export interface Able {
  readonly colour: boolean;
  readonly utf8: boolean;
}

const codes: Readonly<Record<Style, string>> = {
  bold: "1",
  dim: "2",
  reverse: "7",
  red: "31",
  yellow: "33",
  green: "32",
  cyan: "36",
};
const colours: readonly Style[] = ["red", "yellow", "green", "cyan"];

/** ASCII in place of the few characters of our own; strangers' become escapes. */
const plainer: Readonly<Record<string, string>> = { "…": "~", "─": "-", "▼": "v", "▲": "^" };

/** A text from anywhere as this terminal may show it: one line, no control characters. */
export function clean(text: string, utf8: boolean): string {
  // Half of a pair would become another character on its way out.
  const safe = printable(text.toWellFormed());
  if (utf8) return safe;
  return safe.replace(
    /[^\x20-\x7e]/gu,
    (c) => plainer[c] ?? `\\u${c.codePointAt(0)!.toString(16).padStart(4, "0")}`,
  );
}

/** A line in at most `width` columns, as it is written; styles end with it. */
export function paintLine(line: Line, width: number, able: Able): string {
  let painted = "";
  let column = 0;
  for (const span of line) {
    const [raw, style] = typeof span === "string" ? [span, undefined] : span;
    const text = cut(clean(raw, able.utf8), width - column, able.utf8 ? "…" : "~");
    if (text === "") continue;
    const styled = style !== undefined && (able.colour || !colours.includes(style));
    painted += styled ? `\x1b[${codes[style]}m${text}\x1b[0m` : text;
    column += widthOf(text);
    // Terminals differ over the width of some characters: what follows has its place all the same.
    if (!isPlain(text) && column < width) painted += `\x1b[${column + 1}G`;
  }
  return painted;
}

/** Lines as they are written, as many as there is room for. */
export function paint(lines: readonly Line[], { columns, rows }: Size, able: Able): string[] {
  return Array.from(
    { length: Math.max(0, rows) },
    (_, i) => paintLine(lines[i] ?? [], columns, able),
  );
}

/** What turns one screen into the next: only lines that differ, each wiped to its end. */
export function difference(before: readonly string[], after: readonly string[]): string {
  return after.map((line, i) => line === before[i] ? "" : `\x1b[${i + 1};1H${line}\x1b[K`).join("");
}

// How wide a text is in a terminal, and texts cut and filled up to a width.
import stringWidth from "string-width";

/** Texts of these only are as wide as they are long: most are, and need no segmenter. */
const plain = /^[\x20-\x7e]*$/;
const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });
/** Code points of a grapheme that are kept: a letter may carry any number of marks, a screen need not. */
const mostMarks = 8;

/** A character as people see it, and its columns. */
interface Grapheme {
  readonly text: string;
  readonly width: number;
}

function graphemes(text: string): Grapheme[] {
  return [...segmenter.segment(text)].map(({ segment }) => {
    const kept = [...segment].slice(0, mostMarks).join("");
    return { text: kept, width: stringWidth(kept) };
  });
}

/** The columns of a text without control characters. Terminals differ over some emoji. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

/** Whether every terminal has the same idea of a text's width. */
export function isPlain(text: string): boolean {
  return plain.test(text);
}

/** The text, or its beginning and `end` where it is wider than `width` columns. Never wider than that. */
export function cut(text: string, width: number, end: string = "…"): string {
  if (width <= 0) return "";
  if (plain.test(text)) {
    if (text.length <= width) return text;
    return end.length >= width ? text.slice(0, width) : text.slice(0, width - end.length) + end;
  }
  const parts = graphemes(text);
  const whole = parts.reduce((sum, each) => sum + each.width, 0);
  if (whole <= width) return parts.map((each) => each.text).join("");
  const mark = end.length >= width ? "" : end;
  const room = width - mark.length;
  let used = 0;
  let kept = "";
  for (const each of parts) {
    if (used + each.width > room) break;
    used += each.width;
    kept += each.text;
  }
  return kept + mark;
}

/** The text in exactly `width` columns: cut, or filled up with spaces. */
export function fit(text: string, width: number, end?: string): string {
  const shown = cut(text, width, end);
  return shown + " ".repeat(Math.max(0, width - widthOf(shown)));
}

/** Numbers stand at the right; one that has no room is cut like any text. */
export function fitRight(text: string, width: number, end?: string): string {
  const shown = cut(text, width, end);
  return " ".repeat(Math.max(0, width - widthOf(shown))) + shown;
}

/** A text in lines of at most `width` columns, broken between words where that can be. */
export function wrap(text: string, width: number): string[] {
  if (width <= 0) return [];
  const lines: string[] = [];
  let line = "";
  const flush = (): void => {
    if (line !== "") lines.push(line);
    line = "";
  };
  for (const word of text.split(" ")) {
    const joined = line === "" ? word : `${line} ${word}`;
    if (widthOf(joined) <= width) {
      line = joined;
      continue;
    }
    flush();
    let rest = word;
    while (widthOf(rest) > width) {
      const piece = cut(rest, width, "");
      // A character that is wider than the line has no place in it.
      if (piece === "") return lines;
      lines.push(piece);
      rest = rest.slice(piece.length);
    }
    line = rest;
  }
  flush();
  return lines;
}

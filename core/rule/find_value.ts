// Where a value stands in the source of a rule, so that an error can name the place.
import type { Place } from "../error.ts";
import type { CheckContext } from "./check_context.ts";

/** A rule is rarely longer: a value that stands farther from its call is another rule's. */
const longestRule = 40;
/** A longer one isn't looked for: it stands on no line as it is, and makes no regular expression. */
const longestValue = 1000;

/** A value as text: what a rule wrote may have no other. */
export function written(value: unknown): string {
  if (typeof value === "string") return value;
  try {
    return JSON.stringify(value) ?? "";
  } catch {
    return ""; // It is nested too deeply.
  }
}

/**
 * Where `value` stands in the source, looked for from the place of the call that holds it, and
 * behind the first `key` after it where one is given.
 */
export function findValue(
  context: Pick<CheckContext, "bundle" | "source">,
  at: string,
  value: unknown,
  key?: string,
): Place {
  const place = context.bundle.place(at);
  if (value === undefined || place.line === undefined) return place;
  const lines = context.source(place.file).split("\n").slice(0, place.line + longestRule);
  const find = (wanted: string, from: { line: number; column: number }) => {
    const bare = wanted.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const pattern = new RegExp(`(?<![\\w.$"'\`])(["'\`]?)${bare}\\1(?![\\w.$"'\`])`, "g");
    for (let line = from.line; line < lines.length; line++) {
      pattern.lastIndex = line === from.line ? from.column : 0;
      const match = pattern.exec(lines[line]!);
      if (match !== null) return { line, column: match.index };
    }
    return undefined;
  };
  let from = { line: place.line - 1, column: Math.max(0, (place.column ?? 1) - 1) };
  if (key !== undefined) from = find(key, from) ?? from;
  const text = written(value);
  const found = text === "" || text.length > longestValue ? undefined : find(text, from);
  return found === undefined
    ? place
    : { file: place.file, line: found.line + 1, column: found.column + 1 };
}

// Which labels something is about, as Alertmanager writes it: `severity="critical"`, `owner=~"sync.*"`.
// A label that isn't there counts as empty. Patterns are RE2's, as there: they match the whole value, and
// take no longer for a value that was made to be slow. A `.` is any character, as in Prometheus: a name
// with a newline in it is a name, too.
import { RE2JS } from "re2js";
import { badMatcher, reasonOf } from "../error.ts";
import type { Labels } from "./notification.ts";

export interface Matcher {
  readonly name: string;
  readonly op: "=" | "!=" | "=~" | "!~";
  readonly value: string;
}

/** Whether labels are meant. */
export type LabelTest = (labels: Labels) => boolean;

const form = /^\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^"]*?))\s*$/s;
const escapes: Readonly<Record<string, string>> = { n: "\n", '"': '"', "\\": "\\" };
const longest = 1000;
/** Instructions of a compiled pattern: a text takes time with their number, at each look at an alert. */
const largestPattern = 2000;
const example = `a matcher like 'severity="critical"'`;

/**
 * Reads a matcher: a label, one of `=`, `!=`, `=~`, `!~`, and a value, quoted or not.
 *
 * @throws DropwatchError BAD_MATCHER.
 */
export function parseMatcher(text: string): Matcher {
  const [, name, op, quoted, bare] = (text.length > longest ? null : form.exec(text)) ?? [];
  if (name === undefined) throw badMatcher(text, example);
  // `severity==critical` would be about a severity "=critical", which nothing ever has.
  if (/^[=~]/.test(bare ?? "")) {
    throw badMatcher(text, `${example}; a value that begins with = or ~ stands in quotes`);
  }
  const value = (quoted ?? bare!).replace(/\\(.)/gs, (whole, c: string) => escapes[c] ?? whole);
  const matcher = { name, op: op as Matcher["op"], value };
  testOf(matcher); // A pattern that is none is told here.
  return matcher;
}

/** As Alertmanager prints it; {@linkcode parseMatcher} reads the same from it. */
export function showMatcher({ name, op, value }: Matcher): string {
  return `${name}${op}"${value.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n")}"`;
}

/** `{a="b",c=~"d"}`, by name, then by value, then by operator, as Alertmanager sorts them. */
export function showMatchers(matchers: readonly Matcher[]): string {
  const sorted = [...matchers].sort((a, b) =>
    compare(a.name, b.name) || compare(a.value, b.value) ||
    operators.indexOf(a.op) - operators.indexOf(b.op)
  );
  return `{${sorted.map(showMatcher).join(",")}}`;
}

const operators = ["=", "!=", "=~", "!~"];

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A test for all of some matchers. */
export function testOfAll(matchers: readonly Matcher[]): LabelTest {
  const tests = matchers.map(testOf);
  return (labels) => tests.every((test) => test(labels));
}

function testOf(matcher: Matcher): LabelTest {
  const { name, op, value } = matcher;
  const of = (labels: Labels): string => Object.hasOwn(labels, name) ? labels[name]! : "";
  if (op === "=") return (labels) => of(labels) === value;
  if (op === "!=") return (labels) => of(labels) !== value;
  const pattern = patternOf(matcher);
  return op === "=~"
    ? (labels) => pattern.matches(of(labels))
    : (labels) => !pattern.matches(of(labels));
}

function patternOf(matcher: Matcher): RE2JS {
  let pattern: RE2JS;
  try {
    pattern = RE2JS.compile(matcher.value, RE2JS.DOTALL);
  } catch (thrown) {
    // Its own flag is none that people wrote.
    const why = reasonOf(thrown).replace("`(?s)", "`");
    throw badMatcher(showMatcher(matcher), `a pattern of RE2: ${why}`);
  }
  if (pattern.programSize() > largestPattern) {
    throw badMatcher(showMatcher(matcher), "a smaller pattern: this one repeats too much");
  }
  return pattern;
}

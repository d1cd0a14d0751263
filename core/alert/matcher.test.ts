import { describe, expect, test } from "bun:test";
import { hostileNames } from "../../test/alert.ts";
import { randomFrom } from "../../test/random.ts";
import { DropwatchError } from "../error.ts";
import { parseMatcher, showMatcher, showMatchers, testOfAll } from "./matcher.ts";
import type { Matcher } from "./matcher.ts";
import type { Labels } from "./notification.ts";

const matches = (text: string, labels: Labels): boolean => testOfAll([parseMatcher(text)])(labels);

function failure(text: string): DropwatchError {
  try {
    parseMatcher(text);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(DropwatchError);
    return thrown as DropwatchError;
  }
  throw new Error(`${text} was taken`);
}

describe("a matcher", () => {
  test("has one of four operators", () => {
    expect(["a=b", "a!=b", "a=~b", "a!~b"].map(parseMatcher)).toEqual([
      { name: "a", op: "=", value: "b" },
      { name: "a", op: "!=", value: "b" },
      { name: "a", op: "=~", value: "b" },
      { name: "a", op: "!~", value: "b" },
    ]);
  });

  test("means what each operator means", () => {
    const owners = ["syncthing", "sync", "nginx"];
    const found = (text: string): string[] => owners.filter((owner) => matches(text, { owner }));
    expect(found('owner="sync"')).toEqual(["sync"]);
    expect(found('owner!="sync"')).toEqual(["syncthing", "nginx"]);
    expect(found('owner=~"sync.*"')).toEqual(["syncthing", "sync"]);
    expect(found('owner!~"sync.*"')).toEqual(["nginx"]);
  });

  test("may have its value in quotes or not, and space around each part", () => {
    for (const text of ["a=b c", 'a="b c"', '  a  =  "b c"  ', "\ta =b c\n", 'a\n=\n"b c"']) {
      expect(parseMatcher(text)).toEqual({ name: "a", op: "=", value: "b c" });
    }
    expect(parseMatcher('a=" b "').value).toBe(" b ");
  });

  test("may ask for an empty value, with quotes and without", () => {
    expect(parseMatcher('a=""').value).toBe("");
    expect(parseMatcher("a=").value).toBe("");
  });

  test("takes what stands behind the first operator as its value", () => {
    expect(parseMatcher("a=b=c")).toEqual({ name: "a", op: "=", value: "b=c" });
    expect(parseMatcher('a="=~"')).toEqual({ name: "a", op: "=", value: "=~" });
    expect(parseMatcher("a={b,c}").value).toBe("{b,c}");
  });

  // https://prometheus.io/docs/alerting/latest/configuration/#matcher: OpenMetrics' escapes.
  test("has the escapes of OpenMetrics; another backslash is a backslash", () => {
    expect(parseMatcher(String.raw`a="say \"hi\"\n\\"`).value).toBe('say "hi"\n\\');
    expect(parseMatcher(String.raw`a=x\ny\\z`).value).toBe("x\ny\\z");
    expect(parseMatcher(String.raw`a=~"10\.0\.\d+"`).value).toBe(String.raw`10\.0\.\d+`);
    expect(parseMatcher("a=b\\").value).toBe("b\\");
  });

  test("asks for the whole value of a label, not for a part of it", () => {
    expect(matches("a=~b", { a: "abc" })).toBe(false);
    expect(matches("a=~b|c", { a: "bc" })).toBe(false);
    expect(matches("a=~b|bc", { a: "bc" })).toBe(true);
    expect(matches("a=~^b$", { a: "b" })).toBe(true);
    expect(matches("a!~b", { a: "abc" })).toBe(true);
    expect(matches("a=~b", { a: "b\n" })).toBe(false);
  });

  test("finds any character behind a dot: a name may hold a newline", () => {
    expect(matches("a=~x.*", { a: "x\ny" })).toBe(true);
    expect(matches("a=~.", { a: "🦊" })).toBe(true);
  });

  test("looks at case, unless its pattern says otherwise", () => {
    expect(matches("a=B", { a: "b" })).toBe(false);
    expect(matches("a=~B", { a: "b" })).toBe(false);
    expect(matches("a=~(?i)B", { a: "b" })).toBe(true);
  });

  test("takes a label that isn't there as an empty one", () => {
    expect(['a=""', 'a!="b"', 'a=~"b?"', 'a!~"b"'].map((text) => matches(text, {})))
      .toEqual([true, true, true, true]);
    expect(['a="b"', 'a!=""', 'a=~"b"', 'a!~"b?"'].map((text) => matches(text, {})))
      .toEqual([false, false, false, false]);
  });

  test("isn't deceived by what every object has", () => {
    expect(matches("constructor=~.+", {})).toBe(false);
    expect(matches('toString=""', {})).toBe(true);
    expect(matches('__proto__="x"', JSON.parse('{"__proto__":"x"}'))).toBe(true);
  });

  for (
    const text of [
      "",
      "a",
      "=b",
      'a==b"',
      '"a"="b"',
      "a-b=c",
      "1a=b",
      'a="b',
      'a=b"',
      'a="b"c',
      'a="b""c"',
      String.raw`a="b\"`,
      "a~b",
      "a=~b".padEnd(1001, "b"),
    ]
  ) {
    test(`isn't ${JSON.stringify(text.slice(0, 20))}`, () => {
      const { code, message } = failure(text);
      expect(code).toBe("BAD_MATCHER");
      expect(message).toMatch(/: expected a matcher like 'severity="critical"'$/);
    });
  }

  test("with two operators is a slip: a value that begins with one stands in quotes", () => {
    for (const text of ["a==b", "a!==b", "a = ~b", "a=~=b"]) {
      expect(failure(text).message).toContain("begins with = or ~ stands in quotes");
    }
    expect(parseMatcher('a="=b"')).toEqual({ name: "a", op: "=", value: "=b" });
  });

  test("with a pattern that is none of RE2's says why", () => {
    const why = (text: string): string => failure(text).message;
    expect(why("a=~(")).toBe(
      'Cannot read the matcher "a=~"("": expected a pattern of RE2: ' +
        "error parsing regexp: missing closing ): `(`",
    );
    expect(why("a!~[z-a]")).toContain("invalid character class range: `z-a`");
    expect(why("a=~(?=b)")).toContain("invalid or unsupported Perl syntax");
    expect(why(String.raw`a=~(b)\1`)).toContain("invalid escape sequence");
    expect(why("a=~(b{1000}){1000}")).toContain("invalid repeat count");
  });

  test("takes no longer for a value that was made to be slow", () => {
    const slow = ["(a+)+$", "(a|a)*b", "(.*)*x", "(a?){30}a{30}", "(a*)*(a*)*b"]
      .map((pattern) => parseMatcher(`owner=~"${pattern}"`));
    const test = slow.map((matcher) => testOfAll([matcher]));
    const owner = `${"a".repeat(2000)}!`;
    const begin = performance.now();
    for (const each of test) expect(each({ owner })).toBe(false);
    // What backtracks takes longer than the universe has been there.
    expect(performance.now() - begin).toBeLessThan(5000);
  });
});

describe("a matcher that is shown", () => {
  test("is in Alertmanager's form", () => {
    expect(showMatcher(parseMatcher("a=b"))).toBe('a="b"');
    expect(showMatcher(parseMatcher(String.raw`a=~"\d \"x\"\n\\\\"`)))
      .toBe(String.raw`a=~"\\d \"x\"\n\\\\"`);
    expect(showMatcher({ name: "a", op: "=", value: "\t\x07" })).toBe('a="\t\x07"');
  });

  test("is read as the same again, whatever its value holds", () => {
    const random = randomFrom(7);
    const pieces = [...hostileNames, "\\", '"', "\n", "n", " ", "\\n", "\t", "=", "~", "a", "…"];
    for (let i = 0; i < 500; i++) {
      const value = Array.from({ length: random.int(0, 6) }, () => random.pick(pieces)).join("");
      const matcher: Matcher = { name: "owner", op: random.pick(["=", "!="]), value };
      expect(parseMatcher(showMatcher(matcher))).toEqual(matcher);
    }
  });

  test("stands in the order of the names, then of the values, then of the operators", () => {
    const shown = (texts: readonly string[]): string => showMatchers(texts.map(parseMatcher));
    const sorted = '{a="x",a=~"x",a!~"x",a!="y",b="a"}';
    const texts = ['b="a"', 'a!="y"', 'a!~"x"', 'a=~"x"', 'a="x"'];
    expect(shown(texts)).toBe(sorted);
    expect(shown(texts.toReversed())).toBe(sorted);
    expect(shown([])).toBe("{}");
  });
});

describe("a test of several matchers", () => {
  test("holds where all of them do", () => {
    const both = testOfAll(["a=x", "b=~y.*"].map(parseMatcher));
    expect(both({ a: "x", b: "yes" })).toBe(true);
    expect(both({ a: "x" })).toBe(false);
    expect(both({ b: "yes" })).toBe(false);
  });

  test("of none holds for every alert", () => {
    expect(testOfAll([])({})).toBe(true);
  });
});

import { describe, expect, test } from "bun:test";
import { parseMatcher, testOfAll } from "../../../../core/alert/matcher.ts";
import { milliseconds } from "../../../../core/rule/duration.ts";
import {
  bytes,
  cpu,
  labelMeaning,
  labelName,
  matcherOf,
  missing,
  moment,
  percent,
  plural,
  readDuration,
  short,
  span,
  sureText,
  valueText,
  webLink,
  whole,
} from "./words.ts";

const nothing = { probe: 0, map: 0, output: 0, window: 0, unreadable: 0, gapSeconds: 0 };
const sums = { seconds: 9, seen: 100, counted: 100, other: 0, lost: 0 };

describe("a number", () => {
  test("is as short as a column needs", () => {
    expect([0, 0.254, 9.99, 12.34, 99.96, 456.7, 4560, 9999.6, 12_345, 999_960, 1.25e6].map(short))
      .toEqual([
        "0",
        "0.25",
        "9.99",
        "12.3",
        "100",
        "457",
        "4,560",
        "10 k",
        "12.3 k",
        "1 M",
        "1.25 M",
      ]);
    expect([whole(1_234_567.4), whole(0)]).toEqual(["1,234,567", "0"]);
  });

  test("of bytes, cores and shares has its unit", () => {
    expect([512, 1536, 150 * 1024 * 1024].map(bytes)).toEqual(["512 B", "1.5 KiB", "150 MiB"]);
    expect([0, 0.023, 1.5].map(cpu)).toEqual(["0 %", "2.3 %", "150 %"]);
    expect([percent(0, 5), percent(1, 1e6), percent(1, 30), percent(5, 10), percent(1, 0)])
      .toEqual(["0 %", "<0.1 %", "3.3 %", "50 %", "0 %"]);
    expect([400, 99_000, 3_000_000, 40 * 3_600_000, 9 * 86_400_000].map(span))
      .toEqual(["0 s", "99 s", "50 min", "40 h", "9 d"]);
  });

  test("of time is of the day, with the date where it is another day", () => {
    const now = new Date(2026, 2, 14, 12, 0, 0).getTime();
    expect(moment(new Date(2026, 2, 14, 3, 5, 9).getTime(), now)).toBe("03:05:09");
    expect(moment(new Date(2026, 2, 13, 23, 0, 0).getTime(), now)).toBe("13 Mar 23:00:00");
    expect(moment(NaN, now)).toBe("–");
  });
});

describe("what is missing", () => {
  test("is exact where it is nothing, a gap or not", () => {
    expect(missing(sums, { ...nothing, gapSeconds: 3 })).toEqual({ exact: true, text: "exact" });
  });

  test("is told with where it went missing", () => {
    expect(missing({ ...sums, other: 30, lost: 4 }, { ...nothing, map: 30, probe: 4 }))
      .toEqual({ exact: false, text: "at least: 34 missing (probe 4, map 30)" });
    expect(missing(sums, { ...nothing, window: 2, unreadable: 1 }).text)
      .toBe("at least: window 2, 1 unreadable line");
  });

  test("from an alert is told, or that nobody counted", () => {
    expect(sureText({ exact: true, lost: 0 })).toBe("exact");
    expect(sureText({ exact: false, lost: 3 })).toBe("at least; 3 missing in the window");
    expect(sureText({ exact: false, lost: 0 })).toBe("at least; nobody counted for a part of it");
  });
});

describe("an alert's value", () => {
  const fires = { value: 0, peak: 90, state: "firing", health: false } as const;

  test("that is nothing while it fires says that it is held", () => {
    expect(valueText(fires)).toBe("0 (none now, it is kept firing)");
    expect(valueText({ ...fires, value: 12 })).toBe("12");
    for (const other of [{ state: "resolved" }, { health: true }, { peak: 0 }] as const) {
      expect(valueText({ ...fires, ...other })).toBe("0");
    }
  });
});

test("one of something is no more than one", () => {
  expect([0, 1, 2, 1234].map((n) => plural(n, "attempt")))
    .toEqual(["0 attempts", "1 attempt", "2 attempts", "1,234 attempts"]);
});

describe("a label", () => {
  test("that isn't there has a name, and says what that means", () => {
    expect([labelName("owner", ""), labelName("dev", ""), labelName("site", "")])
      .toEqual(["no socket", "no device", "no site"]);
    expect(labelName("owner", null)).toBe("not told apart");
    expect(labelName("owner", "nginx")).toBe("nginx");
    expect(labelMeaning("owner", "nginx")).toBe("");
    for (const label of ["", null]) expect(labelMeaning("owner", label)).not.toBe("");
  });
});

describe("a matcher of a label", () => {
  test.each([
    "plain",
    "",
    `"><script>`,
    "back\\slash",
    'quo"te',
    "new\nline",
    "\\n",
    "=~x",
    "tab\t, comma",
    "é🦆",
  ])("means %j and no other", (value) => {
    expect(parseMatcher(matcherOf("owner", value))).toEqual({ name: "owner", op: "=", value });
  });
});

test("a matcher of a label with a carriage return has none itself", () => {
  for (const value of ["a\rb", '\r\n.*\\r"', "(\r)[x]{2}$"]) {
    const text = matcherOf("owner", value);
    expect(text).not.toMatch(/[\r\n]/);
    const fits = testOfAll([parseMatcher(text)]);
    expect([value, "a\nb", "ab", `${value}x`].map((owner) => fits({ owner })))
      .toEqual([true, false, false, false]);
  }
});

describe("a duration", () => {
  test.each(["1h", "4h", "1d", "90m", "2h30m", "1d12h", "45s"] as const)(
    "%s is read as dropwatch does",
    (text) => {
      expect(readDuration(text)).toBe(milliseconds(text));
    },
  );

  test.each(["", "0h", "1", "h", "1.5h", "-1h", "1y", "1h1d", "1h 2x"])("%j is none", (text) => {
    expect(readDuration(text)).toBe(undefined);
  });
});

describe("a link", () => {
  test("can be followed where it is of the web, and no other", () => {
    expect(webLink("https://runbooks.example/a b")).toBe("https://runbooks.example/a%20b");
    expect(webLink("http://x.example")).toBe("http://x.example/");
    for (
      const bad of [
        "javascript:alert(1)",
        " JavaScript:alert(1)",
        "data:text/html,x",
        "/etc",
        "",
        "x",
      ]
    ) {
      expect(webLink(bad)).toBe(undefined);
    }
  });
});

import { describe, expect, test } from "bun:test";
import { milliseconds, showDuration } from "./duration.ts";

describe("a duration", () => {
  test.each(
    [
      ["500ms", 500],
      ["10s", 10_000],
      ["1.5s", 1500],
      ["5m", 300_000],
      ["1h30m", 5_400_000],
      ["1d", 86_400_000],
      ["1d2h3m4s5ms", 93_784_005],
      ["1s500ms", 1500],
      ["90m", 5_400_000],
    ] as const,
  )("%s is %d ms", (text, expected) => {
    expect(milliseconds(text)).toBe(expected);
  });

  test("that is none, or nothing, or written in another order, is an error with an example", () => {
    const wrong = [
      "",
      "10",
      "s",
      "10 s",
      "-1s",
      "1s1h",
      "1m1m",
      "1.5m",
      "1e3s",
      "0s",
      "0ms",
      "ten seconds",
      "10S",
      "1w",
      "1s\n",
      `${"9".repeat(400)}s`,
    ];
    for (const text of wrong) {
      expect(() => milliseconds(text)).toThrow(/^Cannot read the duration ".*": expected one like/);
    }
  });
});

describe("a duration for people", () => {
  test.each(
    [
      [0, "0ms"],
      [350, "350ms"],
      [999.6, "1000ms"],
      [1000, "1s"],
      [1500, "1.5s"],
      [9949, "9.9s"],
      [10_400, "10s"],
      [65_000, "1m5s"],
      [3_600_000, "1h"],
      [5_400_000, "1h30m"],
      [86_400_000 + 61_000, "1d1m"],
    ] as const,
  )("of %d ms is %s", (ms, expected) => {
    expect(showDuration(ms)).toBe(expected);
  });

  test("can be read again where it is short", () => {
    for (const ms of [1, 999, 1000, 2500, 60_000, 61_000, 3_600_000, 86_400_000]) {
      expect(milliseconds(showDuration(ms))).toBe(ms);
    }
  });
});

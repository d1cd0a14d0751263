// Numbers for people.
import { expect, test } from "bun:test";
import { plural, showBytes, showNumber } from "./number.ts";

test("a number is grouped, and has few digits behind the point, fewer where it is large", () => {
  expect([0, 0.12345, 9.8765, 12.345, 1234567.89, -1234].map(showNumber))
    .toEqual(["0", "0.123", "9.877", "12.3", "1,234,567.9", "-1,234"]);
});

test("one thing is named in the singular, none and several in the plural", () => {
  expect([0, 1, 2, 1200].map((n) => plural(n, "rule")))
    .toEqual(["0 rules", "1 rule", "2 rules", "1,200 rules"]);
});

test("bytes are told in the unit that fits", () => {
  expect([0, 1023, 1024, 1536, 144_571_512, 2 ** 31, 2 ** 40, 2 ** 60].map(showBytes))
    .toEqual([
      "0 bytes",
      "1,023 bytes",
      "1 KiB",
      "1.5 KiB",
      "137.9 MiB",
      "2 GiB",
      "1 TiB",
      "1,048,576 TiB",
    ]);
});

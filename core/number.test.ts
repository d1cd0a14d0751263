// Numbers for people.
import { expect, test } from "bun:test";
import { plural, showNumber } from "./number.ts";

test("a number is grouped, and has few digits behind the point, fewer where it is large", () => {
  expect([0, 0.12345, 9.8765, 12.345, 1234567.89, -1234].map(showNumber))
    .toEqual(["0", "0.123", "9.877", "12.3", "1,234,567.9", "-1,234"]);
});

test("one thing is named in the singular, none and several in the plural", () => {
  expect([0, 1, 2, 1200].map((n) => plural(n, "rule")))
    .toEqual(["0 rules", "1 rule", "2 rules", "1,200 rules"]);
});

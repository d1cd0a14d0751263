// What is said of stacks: how many there are, and since when.
import { describe, expect, test } from "bun:test";
import { stacksText } from "./flame_sum.ts";
import { moment } from "./words.ts";

const now = Date.UTC(2026, 2, 14, 11, 0, 0);
const minutesAgo = (n: number): number => now - n * 60_000;
const lastHour = { from: minutesAgo(60), to: now + 60_000 };

describe("what is said of stacks", () => {
  test("is how many of the drops they stand for", () => {
    const text = stacksText({ kept: 1, total: 40, keptFrom: minutesAgo(60) }, lastHour, now);
    expect(text).toContain("1 stack walked, of 40 counted drops (2.5 %)");
    expect(text).not.toContain("since");
    expect(stacksText({ kept: 0, total: 0, keptFrom: minutesAgo(60) }, lastHour, now))
      .toBe("No drops in this time.");
    expect(stacksText({ kept: 0, total: 1, keptFrom: minutesAgo(60) }, lastHour, now))
      .toBe("No stack was walked of the 1 drop in this time.");
  });

  test("is since when they are kept, where more was asked for", () => {
    const keptFrom = minutesAgo(45);
    const since = `since ${moment(keptFrom, now)}, they are kept for an hour`;
    for (const kept of [0, 7]) {
      expect(stacksText({ kept, total: 40, keptFrom }, lastHour, now)).toContain(since);
      expect(stacksText({ kept, total: 40, keptFrom }, { ...lastHour, from: minutesAgo(5) }, now))
        .not.toContain("since");
    }
  });

  test("of a time before them is that there are none, and not that nothing was dropped", () => {
    const keptFrom = minutesAgo(45);
    const before = { from: minutesAgo(90), to: minutesAgo(80) };
    const text = stacksText({ kept: 0, total: 0, keptFrom }, before, now);
    expect(text).toContain(`the oldest are of ${moment(keptFrom, now)}`);
    expect(text).not.toContain("No drops");
    expect(stacksText({ kept: 0, total: 0, keptFrom: null }, lastHour, now))
      .toContain("No stacks are kept yet");
  });
});

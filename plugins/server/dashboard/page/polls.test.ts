// When something is read again by itself.
import { describe, expect, test } from "bun:test";
import { makePolls } from "./polls.ts";

describe("what is read again by itself", () => {
  test("is so each time it is due, each at its own pace", () => {
    const ran: string[] = [];
    const poll = (name: string, every: number) => ({
      every: () => every,
      when: () => true,
      run: () => void ran.push(name),
    });
    const run = makePolls([poll("alerts", 5), poll("rules", 10)], 100);
    for (let now = 100; now <= 120; now++) run(now);
    expect(ran).toEqual(["alerts", "alerts", "rules", "alerts", "alerts", "rules"]);
  });

  test("waits while nobody looks, and then comes at once and only once", () => {
    let isSeen = false;
    let runs = 0;
    const run = makePolls(
      [{ every: () => 10, when: () => isSeen, run: () => void runs++ }],
      0,
    );
    for (let now = 0; now <= 95; now++) run(now);
    expect(runs).toBe(0);
    isSeen = true;
    run(96);
    run(97);
    expect(runs).toBe(1);
    run(106);
    expect(runs).toBe(2);
  });
});

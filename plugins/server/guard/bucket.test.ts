import { describe, expect, test } from "bun:test";
import { makeBuckets } from "./bucket.ts";

describe("a bucket", () => {
  test("gives as many at once as it holds, then so many a second, and says how long to wait", () => {
    let now = 0;
    const { take, wait } = makeBuckets({ perSecond: 0.5, burst: 3 }, { most: 10, now: () => now });
    expect([take("a"), take("a"), take("a"), take("a")]).toEqual([0, 0, 0, 2]);
    expect(take("b")).toBe(0);
    now = 1999;
    expect([wait("a"), take("a")]).toEqual([1, 1]);
    now = 2000;
    expect([wait("a"), take("a"), take("a")]).toEqual([0, 0, 2]);
    now = 1_000_000;
    expect([take("a"), take("a"), take("a"), take("a")]).toEqual([0, 0, 0, 2]);
  });

  test("can be charged more than it holds: it takes as much longer", () => {
    let now = 0;
    const { charge, wait } = makeBuckets({ perSecond: 100, burst: 500 }, {
      most: 10,
      now: () => now,
    });
    charge("a", 499);
    expect(wait("a")).toBe(0);
    charge("a", 1001);
    expect([wait("a"), wait("b")]).toEqual([11, 0]);
    now = 10_009;
    expect(wait("a")).toBe(1);
    now = 10_010;
    expect(wait("a")).toBe(0);
  });

  test("of a clock that is set back gives nothing away, and goes on", () => {
    let now = 1_000_000;
    const { take } = makeBuckets({ perSecond: 1, burst: 1 }, { most: 10, now: () => now });
    expect(take("a")).toBe(0);
    now = 0;
    expect(take("a")).toBe(1);
    now = 1000;
    expect(take("a")).toBe(0);
  });

  test("is there for so many clients, those that were seen last", () => {
    const { take } = makeBuckets({ perSecond: 0.001, burst: 1 }, { most: 2, now: () => 0 });
    take("a");
    take("b");
    expect(take("a")).toBeGreaterThan(0);
    take("c");
    expect(take("a")).toBeGreaterThan(0);
    // b was forgotten for c's sake.
    expect(take("b")).toBe(0);
  });
});

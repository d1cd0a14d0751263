import { describe, expect, test } from "bun:test";
import { step } from "./state.ts";
import type { AlertState, Change, Lifetimes } from "./state.ts";

interface Life extends Lifetimes {
  readonly above: number;
  readonly recovery: number;
}

/** The life of an alert under values that come a second apart, from second 0 on. */
function live(
  life: Partial<Life>,
  values: readonly number[],
): { changes: Change[]; states: (AlertState | undefined)[] } {
  const { above = 10, recovery = above, for: wait = 0, keepFiringFor = 0 } = life;
  let state: AlertState | undefined;
  const changes: Change[] = [];
  const states: (AlertState | undefined)[] = [];
  values.forEach((value, second) => {
    const { after, change } = step(
      state,
      second * 1000,
      value,
      1,
      value > (state?.state === "firing" ? recovery : above),
      { for: wait, keepFiringFor, worse: Math.max },
    );
    state = after;
    changes.push(change);
    states.push(after === undefined ? undefined : { ...after });
  });
  return { changes, states };
}

const changesOf = (life: Partial<Life>, values: readonly number[]): Change[] =>
  live(life, values).changes;

describe("an alert", () => {
  test("that never was does nothing while its condition doesn't hold", () => {
    const { changes, states } = live({}, [0, 10]);
    expect(changes).toEqual(["none", "none"]);
    expect(states).toEqual([undefined, undefined]);
  });

  test("without `for` fires at once, and is resolved at once", () => {
    expect(changesOf({}, [0, 11, 12, 10, 0])).toEqual([
      "none",
      "firing",
      "none",
      "resolved",
      "none",
    ]);
  });

  test("with `for` is pending until the condition has held for so long, and fires at that very time", () => {
    expect(changesOf({ for: 3000 }, [11, 11, 11, 11, 11]))
      .toEqual(["pending", "none", "none", "firing", "none"]);
  });

  test("that is pending goes away silently, and begins to wait anew", () => {
    expect(changesOf({ for: 2000 }, [11, 11, 0, 11, 11, 11]))
      .toEqual(["pending", "none", "inactive", "pending", "none", "firing"]);
  });

  test("fires on for `keepFiringFor` after the condition has ended", () => {
    expect(changesOf({ keepFiringFor: 3000 }, [11, 0, 0, 0, 0]))
      .toEqual(["firing", "none", "none", "resolved", "none"]);
  });

  test("that is kept firing counts from the last time that the condition held", () => {
    expect(changesOf({ keepFiringFor: 2000 }, [11, 0, 11, 0, 0, 0]))
      .toEqual(["firing", "none", "none", "none", "resolved", "none"]);
  });

  test("that was resolved can fire again, as another one", () => {
    const { changes, states } = live({}, [11, 0, 20]);
    expect(changes).toEqual(["firing", "resolved", "firing"]);
    expect(states[2]).toMatchObject({ since: 2000, peak: 20, total: 1 });
  });

  test("needn't be pending longer than it takes: `for` begins when the condition first holds", () => {
    const { states } = live({ for: 2000 }, [11, 11, 11]);
    expect(states.map((state) => [state?.state, state?.since]))
      .toEqual([["pending", 0], ["pending", 0], ["firing", 0]]);
  });
});

describe("hysteresis", () => {
  test("keeps an alert firing between its recovery and its threshold", () => {
    expect(changesOf({ above: 10, recovery: 5 }, [8, 11, 8, 6, 5]))
      .toEqual(["none", "firing", "none", "none", "resolved"]);
  });

  test("doesn't let an alert begin there, nor wait there", () => {
    expect(changesOf({ above: 10, recovery: 5, for: 2000 }, [8, 11, 8, 11, 11, 11]))
      .toEqual(["none", "pending", "inactive", "pending", "none", "firing"]);
  });

  test("is kept while an alert is kept firing", () => {
    expect(changesOf({ above: 10, recovery: 5, keepFiringFor: 2000 }, [11, 0, 6, 0, 0]))
      .toEqual(["firing", "none", "none", "none", "resolved"]);
  });
});

describe("what is known of an alert", () => {
  test("is the value now, the worst since it began, and how many drops it took", () => {
    const { states } = live({ recovery: 0 }, [11, 30, 12]);
    expect(states.map((state) => [state?.value, state?.peak, state?.total]))
      .toEqual([[11, 11, 1], [30, 30, 2], [12, 30, 3]]);
  });

  test("has the worst value of the time when it was pending, too", () => {
    const { states } = live({ for: 2000 }, [11, 50, 12]);
    expect(states[2]).toMatchObject({ state: "firing", value: 12, peak: 50, total: 3 });
  });

  test("is the lowest value where low is worse", () => {
    let state: AlertState | undefined;
    for (const value of [5, 2, 4]) {
      state = step(state, 0, value, 0, true, {
        for: 0,
        keepFiringFor: 0,
        worse: Math.min,
      }).after;
    }
    expect(state).toMatchObject({ value: 4, peak: 2 });
  });

  test("has the value that ended it when it is resolved", () => {
    const before: AlertState = {
      state: "firing",
      since: 0,
      held: 0,
      value: 20,
      peak: 20,
      total: 5,
    };
    const { after, change } = step(before, 1000, 3, 0, false, {
      for: 0,
      keepFiringFor: 0,
      worse: Math.max,
    });
    expect([after, change]).toEqual([undefined, "resolved"]);
    expect(before).toMatchObject({ value: 3, peak: 20, total: 5 });
  });
});

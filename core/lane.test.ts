// Ticks wait for code, in order; what is too slow is given up, said, and is no data.
import { describe, expect, test } from "bun:test";
import { ruleOf } from "../test/rule.ts";
import { until } from "../test/run.ts";
import { makePlan } from "./plan/plan.ts";
import type { DropwatchError } from "./error.ts";
import type { CheckedRule } from "./rule/checked.ts";
import { makeLane } from "./lane.ts";
import { countsOf, makeWatch } from "./watch/watch.ts";
import type { Tick } from "./watch/tick.ts";
import type { Transition } from "./watch/watch.ts";

/** A rule of code by destination port. */
function codeRule(): CheckedRule {
  const base = ruleOf({ alert: "C", by: ["dport"] });
  if (base.condition.is !== "above" || "part" in base.condition.value) throw new Error("no leaf");
  const { stream } = base.condition.value;
  if (!("count" in stream)) throw new Error("no drops");
  return {
    ...base,
    condition: { is: "code", stream, by: ["dport"], every: 1000, each: true, tick: false },
  };
}

const rule = codeRule();
const plan = makePlan(countsOf([rule]).counts);

function tickAt(at: number): Tick {
  const key = { text: "53", labels: ["53"], counts: [0] };
  return {
    at,
    seconds: 1,
    seen: 1,
    counted: 1,
    other: 0,
    lost: 0,
    reasons: new Map([[3, 1]]),
    maps: [{ entries: [{ key, n: 1, sum: 0 }], other: 0, lost: 0 }],
    samples: [],
    unreadable: 0,
  };
}

describe("a lane", () => {
  test("judges ticks in order, one at a time, and settles when all are", async () => {
    const asked: number[] = [];
    let running = 0;
    const lane = laneWith(async (now) => {
      expect(++running).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 1));
      asked.push(now);
      running--;
    });
    for (let i = 1; i <= 20; i++) lane.push(tickAt(1000 * i));
    await lane.idle();
    expect(asked).toEqual(Array.from({ length: 20 }, (_, i) => 1000 * (i + 1)));
    expect(lane.failures).toEqual([]);
    expect(lane.transitions.map(({ change, at }) => `${change} ${at}`)).toEqual(["firing 1000"]);
  });

  test("gives up ticks beyond thirty, says it once, and takes up again with a gap", async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => release = resolve);
    const asked: number[] = [];
    const lane = laneWith(async (now) => {
      await gate;
      asked.push(now);
    });
    for (let i = 1; i <= 50; i++) lane.push(tickAt(1000 * i));
    expect(lane.failures).toEqual(["C RULE_TOO_SLOW"]);
    expect(lane.busy).toBe(true);
    release();
    await lane.idle();
    expect(asked).toHaveLength(30);
    expect(lane.busy).toBe(false);
    // The first one after it says for how long nobody has judged, and asks for no code.
    lane.push(tickAt(51_000));
    await lane.idle();
    expect(asked).toHaveLength(30);
    lane.push(tickAt(52_000));
    await lane.idle();
    expect(asked.at(-1)).toBe(52_000);
    expect(lane.failures).toEqual(["C RULE_TOO_SLOW"]);
  });

  test("goes on after a mistake that nobody foresaw", async () => {
    let broken = true;
    const lane = laneWith(() => Promise.resolve(), () => {
      if (broken) throw new Error("unforeseen");
    });
    for (let i = 1; i <= 40; i++) {
      lane.push(tickAt(1000 * i));
      await lane.idle();
    }
    expect(new Set(lane.failures)).toEqual(new Set(["C CODE_FAILED"]));
    broken = false;
    lane.push(tickAt(50_000));
    await lane.idle();
    expect(lane.busy).toBe(false);
    await until(() => lane.judged.includes(50_000));
  });

  test("puts another watch in its place between two ticks", async () => {
    const lane = laneWith(() => Promise.resolve());
    lane.push(tickAt(1000));
    lane.lane.replace((before) => {
      expect(before.memory.at).toBe(1000);
      return watchWith([before.memory]);
    });
    lane.push(tickAt(2000));
    await lane.idle();
    expect(lane.transitions.map(({ change }) => change)).toEqual(["firing"]);
    expect(lane.lane.watch.totals()).toEqual([2]);
  });
});

function watchWith(before: Parameters<typeof makeWatch>[0]["before"] = []) {
  return makeWatch({ rules: [rule], plan, interval: 1000, maxSeries: 100, before });
}

function laneWith(run: (now: number) => Promise<void>, onJudged = (): void => {}) {
  const failures: string[] = [];
  const transitions: Transition[] = [];
  const judged: number[] = [];
  const lane = makeLane(watchWith(), {
    host: {
      filter: () => Promise.resolve([]),
      async run(_, { now, keys }) {
        await run(now);
        return keys.map(() => ({ active: true, value: 1 }));
      },
    },
    isDisabled: () => false,
    onFailure: ({ alert }, { code }: DropwatchError) => void failures.push(`${alert} ${code}`),
    onTransitions(all, at) {
      onJudged();
      judged.push(at);
      transitions.push(...all);
    },
  });
  return {
    lane,
    failures,
    transitions,
    judged,
    push: (tick: Tick) => lane.push(tick, []),
    idle: () => lane.idle(),
    get busy() {
      return lane.busy;
    },
  };
}

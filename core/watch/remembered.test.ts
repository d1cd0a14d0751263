// What code of a rule promises and is promised, on the ticks' own time: what it sees, when it is
// called, what it keeps.
import { describe, expect, test } from "bun:test";
import { randomFrom } from "../../test/random.ts";
import { checked, watching } from "../../test/rule.ts";
import type { Watching, WatchingOptions } from "../../test/rule.ts";
import type { Drop } from "../drop/field.ts";
import { drops } from "../rule/query.ts";
import { rule } from "../rule/rule.ts";
import type { Rule, Sample } from "../rule/rule.ts";
import type { Transition } from "./watch.ts";

const to = (dport: string, saddr = "10.0.0.1"): Drop => ({
  reason: "NO_SOCKET",
  l4: "UDP",
  len: "10",
  dport,
  saddr,
});

const watchingCode = (made: Rule, options: WatchingOptions = {}): Watching =>
  watching(checked(made), { ...options, code: [made] });

const shown = (transitions: readonly Transition[]): unknown[] =>
  transitions.map(({ change, labels, value }) => [change, ...Object.values(labels), value]);

/** What a rule's code was given. */
function listening(): { samples: Sample<"saddr" | "dport">[]; ticks: string[]; made: Rule } {
  const samples: Sample<"saddr" | "dport">[] = [];
  const ticks: string[] = [];
  const made = rule({
    alert: "Listens",
    on: drops.by("saddr", "dport"),
    by: ["saddr"],
    state: { version: 1, init: () => ({ n: 0 }) },
    each(sample, { state }) {
      samples.push({ ...sample });
      state.n += sample.count;
    },
    tick({ labels, now }) {
      ticks.push(`${labels.saddr} at ${now}`);
    },
  });
  return { samples, ticks, made };
}

/** Counts the drops of each address, and fires from 10 on until it is set back. */
const counting = (more: object = {}) =>
  rule({
    alert: "Counts",
    on: drops.where({ l4: "UDP" }).by("saddr", "dport"),
    by: ["saddr"],
    state: { version: 1, init: () => ({ n: 0 }) },
    each({ dport, count }, { state, fire, resolve }) {
      if (dport === "1") state.n = 0;
      else if (dport === "13") throw new Error("thirteen");
      else state.n += count;
      if (state.n >= 10) fire(state.n);
      else resolve();
    },
    ...more,
  });

describe("each", () => {
  test("is called for each combination of the fields of on, with how many drops a tick brought", () => {
    const { samples, made } = listening();
    const { second } = watchingCode(made);
    second([[to("53"), 2], [to("80"), 3], [to("53"), 4], [to("53", "10.0.0.2"), 1]]);
    expect(samples).toEqual([
      { saddr: "10.0.0.1", dport: "53", count: 6 },
      { saddr: "10.0.0.1", dport: "80", count: 3 },
      { saddr: "10.0.0.2", dport: "53", count: 1 },
    ]);
    second([[to("80"), 1]]);
    expect(samples.slice(3)).toEqual([{ saddr: "10.0.0.1", dport: "80", count: 1 }]);
    second();
    expect(samples).toHaveLength(4);
  });

  test("sees all drops of the source, whatever came when", () => {
    const random = randomFrom(83);
    const { samples, made } = listening();
    const { second, watch } = watchingCode(made);
    let all = 0;
    for (let tick = 0; tick < 30; tick++) {
      second(Array.from({ length: random.int(0, 5) }, () => {
        const n = random.int(1, 9);
        all += n;
        return [to(`${random.int(1, 4)}`, `10.0.0.${random.int(1, 4)}`), n] as const;
      }));
    }
    expect(samples.reduce((sum, { count }) => sum + count, 0)).toBe(all);
    const states = [...watch.memory.code.values()].flatMap(({ all }) => [...all.values()]);
    const kept = states.map(({ state }) => (JSON.parse(state!.json) as { n: number }).n);
    expect(kept.reduce((sum, n) => sum + n, 0)).toBe(all);
    expect(watch.totals()).toEqual([all]);
  });

  test("sees what came with a gap at the next tick", () => {
    const { samples, made } = listening();
    const { second } = watchingCode(made);
    second([[to("53"), 2]], { gap: { seconds: 1, why: "slow", over: true } });
    expect(samples).toEqual([]);
    second([[to("53"), 3]]);
    expect(samples).toEqual([{ saddr: "10.0.0.1", dport: "53", count: 5 }]);
  });
});

describe("tick", () => {
  test("is called at each tick for what has a state, drops or not", () => {
    const { ticks, made } = listening();
    const { second, quiet } = watchingCode(made);
    quiet(1);
    second([[to("53"), 2], [to("53", "10.0.0.2"), 1]]);
    quiet(1);
    expect(ticks).toEqual([
      "10.0.0.1 at 2000",
      "10.0.0.2 at 2000",
      "10.0.0.1 at 3000",
      "10.0.0.2 at 3000",
    ]);
  });

  test("is called as often as every says, at multiples of it", () => {
    const times: number[] = [];
    const made = rule({
      alert: "Every",
      on: drops,
      by: [],
      state: { version: 1, init: () => ({ began: 0 }) },
      each: (_, { state, now }) => void (state.began ||= now),
      every: "3s",
      tick: ({ now }) => void times.push(now),
    });
    const { second, quiet } = watchingCode(made, { from: 7000 });
    second([[to("53"), 1]]);
    quiet(8);
    expect(times).toEqual([9000, 12_000, 15_000]);
  });

  test("is called in its time though ticks come late, once each time", () => {
    const random = randomFrom(84);
    const times: number[] = [];
    const made = rule({
      alert: "Late",
      on: drops,
      by: [],
      each: (_, { fire }) => fire(),
      every: "2s",
      tick: ({ now }) => void times.push(Math.round(now / 1000)),
    });
    const run = watchingCode(made, {
      spoil: (tick) => ({ ...tick, at: tick.at + random.int(0, 400) }),
    });
    run.second([[to("53"), 1]]);
    run.quiet(40);
    expect(times).toEqual(Array.from({ length: 20 }, (_, i) => 2 * (i + 1)));
  });

  test("alone begins with the drops of its tick, and is called again while it fires", () => {
    const times: number[] = [];
    const made = rule({
      alert: "Alone",
      on: drops.by("saddr"),
      by: ["saddr"],
      tick({ now, fire, resolve }) {
        times.push(now);
        if (now < 4000) fire(now);
        else resolve();
      },
    });
    const { second } = watchingCode(made);
    second();
    expect(shown(second([[to("53"), 1]]))).toEqual([["firing", "10.0.0.1", 2000]]);
    expect([second(), second(), second(), second()].map(shown))
      .toEqual([[], [["resolved", "10.0.0.1", 0]], [], []]);
    expect(times).toEqual([2000, 3000, 4000]);
  });

  test("isn't called in a gap, and neither fires nor ends anything", () => {
    const { ticks, made } = listening();
    const { second } = watchingCode(made);
    second([[to("53"), 1]]);
    second([], { gap: { seconds: 1, why: "killed", over: true } });
    expect(ticks).toHaveLength(1);
  });
});

describe("a state", () => {
  test("is kept from tick to tick, for each combination of labels", () => {
    const { second } = watchingCode(counting());
    expect(second([[to("53"), 6], [to("53", "10.0.0.2"), 9]])).toEqual([]);
    expect(shown(second([[to("80"), 4]]))).toEqual([["firing", "10.0.0.1", 10]]);
    expect(shown(second([[to("80", "10.0.0.2"), 4]]))).toEqual([["firing", "10.0.0.2", 13]]);
    expect(shown(second([[to("1"), 1]]))).toEqual([["resolved", "10.0.0.1", 0]]);
  });

  test("that is as at its beginning is forgotten", () => {
    const { second, watch } = watchingCode(counting());
    const size = (): number =>
      [...watch.memory.code.values()].reduce((sum, { all }) => sum + all.size, 0);
    second([[to("53"), 6], [to("53", "10.0.0.2"), 9]]);
    expect(size()).toBe(2);
    second([[to("1"), 1]]);
    expect(size()).toBe(1);
    expect(second([[to("53"), 9]])).toEqual([]);
  });

  test("stays as it was where code throws, for the combination that it threw for alone", () => {
    const { second, watch } = watchingCode(counting());
    second([[to("53"), 6], [to("53", "10.0.0.2"), 6]]);
    expect(shown(second([[to("53"), 9], [to("13"), 1], [to("53", "10.0.0.2"), 6]])))
      .toEqual([["firing", "10.0.0.2", 12]]);
    expect(watch.active()).toHaveLength(1);
    expect(shown(second([[to("53"), 4]]))).toEqual([["firing", "10.0.0.1", 10]]);
  });

  test("is saved where it changed, and only then", () => {
    const { second, watch } = watchingCode(counting());
    const [memory] = [...watch.memory.code.values()];
    second([[to("53"), 6]]);
    expect([...memory!.unsaved]).toEqual(["10.0.0.1"]);
    memory!.unsaved.clear();
    // It begins as it ends: there is nothing to keep.
    second([[to("1", "10.0.0.9"), 1]]);
    expect(memory!.all.size).toBe(1);
    second([[to("1"), 1]]);
    expect(memory!.unsaved.has("10.0.0.1")).toBe(true);
    expect(memory!.all.size).toBe(0);
  });

  test("goes over to another watch, and to another version by migrate", () => {
    const after = (state: object): Watching => {
      const before = watchingCode(counting());
      before.second([[to("53"), 6]]);
      return watchingCode(counting({ state }), { before: [before.watch.memory], from: 1000 });
    };
    const same = after({ version: 1, init: () => ({ n: 0 }) });
    expect(shown(same.second([[to("53"), 4]]))).toEqual([["firing", "10.0.0.1", 10]]);
    const migrated = after({
      version: 2,
      init: () => ({ n: 0 }),
      migrate: (old: { n: number }, version: number) => ({ n: old.n + 10 * version }),
    });
    expect(shown(migrated.second([[to("53"), 1]]))).toEqual([["firing", "10.0.0.1", 17]]);
  });

  test("begins anew in another version without migrate", () => {
    const before = watchingCode(counting());
    before.second([[to("53"), 9]]);
    const after = watchingCode(counting({ state: { version: 2, init: () => ({ n: 0 }) } }), {
      before: [before.watch.memory],
      from: 1000,
    });
    expect(after.second([[to("53"), 9]])).toEqual([]);
  });
});

describe("an alert of code", () => {
  test("waits for as long as for, and fires on for as long as keepFiringFor", () => {
    const { second, quiet } = watchingCode(counting({ for: "2s", keepFiringFor: "3s" }));
    expect(shown(second([[to("53"), 10]]))).toEqual([["pending", "10.0.0.1", 10]]);
    expect(quiet(1)).toEqual([]);
    expect(shown(quiet(1))).toEqual([["firing", "10.0.0.1", 10]]);
    second([[to("1"), 1]]);
    expect(quiet(1)).toEqual([]);
    expect(shown(quiet(1))).toEqual([["resolved", "10.0.0.1", 0]]);
  });

  test("goes on over a gap, and has its drops as total", () => {
    const { second } = watchingCode(counting());
    second([[to("53"), 12]]);
    expect(second([], { gap: { seconds: 5, why: "killed", over: true } })).toEqual([]);
    expect(second([[to("1"), 3]])).toMatchObject([{ change: "resolved", total: 15, peak: 12 }]);
  });

  test("isn't exact at a tick that brought drops without a key", () => {
    const { second } = watchingCode(counting(), {
      spoil: (tick) => ({ ...tick, maps: tick.maps.map((map) => ({ ...map, other: 2 })) }),
    });
    expect(second([[to("53"), 12]])).toMatchObject([{ exact: false, lost: 2 }]);
  });
});

describe("too many combinations for code", () => {
  test("are refused and said; those that are known go on, all of them at once", () => {
    const { second, watch } = watchingCode(counting(), { maxSeries: 4 });
    const all = (n: number) =>
      Array.from({ length: n }, (_, i) => [to("53", `10.0.0.${i}`), 6] as const);
    second(all(3));
    expect(watch.refused).toBe(0);
    const fired = second(all(6));
    expect(fired.map(({ labels }) => labels["saddr"])).toEqual([
      "10.0.0.0",
      "10.0.0.1",
      "10.0.0.2",
    ]);
    expect(fired[0]).toMatchObject({ exact: false, lost: 12 });
    expect(watch.refused).toBe(12);
    expect(second(all(4)).map(({ labels }) => labels["saddr"])).toEqual(["10.0.0.3"]);
  });
});

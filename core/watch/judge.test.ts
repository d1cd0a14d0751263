// What each word of a condition promises, on the ticks' own time. Rules are written as users write
// them.
import { describe, expect, test } from "bun:test";
import { randomFrom } from "../../test/random.ts";
import { checked, watching } from "../../test/rule.ts";
import type { Watching } from "../../test/rule.ts";
import type { Drop } from "../drop/field.ts";
import { drops, health } from "../rule/query.ts";
import type { Condition } from "../rule/query.ts";
import { rule } from "../rule/rule.ts";
import type { Transition } from "./watch.ts";

const to = (dport: string, saddr = "10.0.0.1", more: Partial<Drop> = {}): Drop => ({
  reason: "NO_SOCKET",
  l4: "UDP",
  len: "10",
  dport,
  saddr,
  ...more,
});

const gap = (over = true) => ({ gap: { seconds: 1, why: "killed", over } });

/** A watch over a rule with this condition. */
const watchingWhen = <L extends string>(when: Condition<L>, more: object = {}): Watching =>
  watching(checked(rule({ alert: "MadeUp", when, ...more })));

const shown = (transitions: readonly Transition[]): unknown[] =>
  transitions.map(({ change, labels, value }) => [change, ...Object.values(labels), value]);

/** What changed at each of so many seconds without a drop. */
const secondsOf = ({ second }: Watching, seconds: number): unknown[] =>
  Array.from({ length: seconds }, () => shown(second()));

describe("absent", () => {
  test("without by holds when there was no drop for as long as its window, from the start on", () => {
    const run = watchingWhen(drops.absent("3s"));
    expect(secondsOf(run, 4)).toEqual([[], [], [["firing", 3]], []]);
    expect(shown(run.second([[to("53"), 1]]))).toEqual([["resolved", 0]]);
    expect(secondsOf(run, 3)).toEqual([[], [], [["firing", 3]]]);
  });

  test("is about the drops that it asks for alone", () => {
    const run = watchingWhen(drops.where({ dport: 53 }).absent("2s"));
    run.second([[to("53"), 1]]);
    run.second([[to("80"), 1]]);
    expect(shown(run.second([[to("80"), 1]]))).toEqual([["firing", 2]]);
  });

  test("by labels is about those that had drops before, each by itself", () => {
    const run = watchingWhen(drops.by("dport").absent("3s"));
    expect(secondsOf(run, 5)).toEqual([[], [], [], [], []]);
    run.second([[to("53"), 1], [to("80"), 1]]);
    run.second([[to("80"), 1]]);
    expect(secondsOf(run, 3)).toEqual([[], [["firing", "53", 3]], [["firing", "80", 3]]]);
    expect(shown(run.second([[to("53"), 1]]))).toEqual([["resolved", "53", 0]]);
  });

  test("begins anew after a gap, in which it neither begins nor ends", () => {
    const run = watchingWhen(drops.absent("3s"));
    run.second([[to("53"), 1]]);
    expect(secondsOf(run, 2)).toEqual([[], []]);
    expect(shown(run.second([], gap()))).toEqual([]);
    expect(secondsOf(run, 3)).toEqual([[], [], [["firing", 3]]]);
    for (const over of [false, false, true]) expect(run.second([], gap(over))).toEqual([]);
    expect(secondsOf(run, 3)).toEqual([[], [], []]);
    expect(run.watch.active()).toHaveLength(1);
    expect(shown(run.second([[to("53"), 1]]))).toEqual([["resolved", 0]]);
  });

  test("that fires ends with a drop right after a gap", () => {
    const run = watchingWhen(drops.by("dport").absent("2s"));
    run.second([[to("53"), 1]]);
    expect(secondsOf(run, 2)).toEqual([[], [["firing", "53", 2]]]);
    run.second([], gap());
    expect(shown(run.second([[to("53"), 1]]))).toEqual([["resolved", "53", 0]]);
  });

  test("isn't exact where drops without a key came in its window, and is again after it", () => {
    let other = 0;
    const run = watching(checked(rule({ alert: "MadeUp", when: drops.by("dport").absent("3s") })), {
      spoil: (tick) => ({ ...tick, maps: tick.maps.map((map) => ({ ...map, other })) }),
    });
    run.second([[to("53"), 1]]);
    other = 4;
    run.second();
    other = 0;
    run.second();
    expect(run.second()).toMatchObject([{ change: "firing", exact: false, lost: 4 }]);
    expect(run.second([[to("53"), 1]])).toMatchObject([{ change: "resolved", exact: true }]);
  });

  test("says that it isn't exact where it has no room for more labels", () => {
    const run = watching(checked(rule({ alert: "MadeUp", when: drops.by("dport").absent("2s") })), {
      maxSeries: 1,
    });
    run.second([[to("53"), 1]]);
    run.second([[to("80"), 5]]);
    expect(run.second()).toMatchObject([{ labels: { dport: "53" }, exact: false, lost: 5 }]);
    expect(run.watch.refused).toBe(5);
  });
});

describe("distinct", () => {
  const run = () => watchingWhen(drops.by("saddr").distinct("dport", "3s").above(2));

  test("counts the different values that the drops of its window had", () => {
    const { second } = run();
    expect(second([[to("1"), 50], [to("2"), 9]])).toEqual([]);
    expect(second([[to("1"), 50], [to("3", "10.0.0.2"), 9]])).toEqual([]);
    expect(shown(second([[to("3"), 1]]))).toEqual([["firing", "10.0.0.1", 3]]);
  });

  test("lets go of a value when the last drop that had it leaves the window", () => {
    const { second, quiet } = run();
    second([[to("1"), 1], [to("2"), 1], [to("3"), 1]]);
    second([[to("1"), 1]]);
    expect(quiet(1)).toEqual([]);
    expect(shown(quiet(1))).toEqual([["resolved", "10.0.0.1", 1]]);
    expect(shown(second([[to("2"), 1], [to("3"), 1], [to("4"), 1]])))
      .toEqual([["firing", "10.0.0.1", 3]]);
  });

  test("counts no value where the packet doesn't tell it", () => {
    const { second, watch } = run();
    second([[to("1"), 1], [to("2"), 1], [to(""), 7]]);
    expect(watch.active()).toEqual([]);
    expect(shown(second([[to("3"), 1]]))).toEqual([["firing", "10.0.0.1", 3]]);
    expect(watch.totals()).toEqual([10]);
  });

  test("without by is over all of them", () => {
    const { second } = watchingWhen(drops.distinct("saddr", "10s").above(1));
    expect(second([[to("1"), 1], [to("2"), 1]])).toEqual([]);
    expect(shown(second([[to("1", "10.0.0.2"), 1]]))).toEqual([["firing", 2]]);
  });

  test("is as many as a set has, whatever came when", () => {
    const random = randomFrom(81);
    for (let round = 0; round < 20; round++) {
      const length = random.int(1, 5);
      const { second, watch } = watchingWhen(
        drops.by("saddr").distinct("dport", `${length}s`).above(0),
      );
      const past: { saddr: string; dport: string }[][] = [];
      for (let tick = 0; tick < 30; tick++) {
        const now = Array.from({ length: random.int(0, 4) }, () => ({
          saddr: `10.0.0.${random.int(1, 3)}`,
          dport: `${random.int(1, 5)}`,
        }));
        past.push(now);
        second(now.map(({ saddr, dport }) => [to(dport, saddr), random.int(1, 3)] as const));
        const sets = new Map<string, Set<string>>();
        for (const { saddr, dport } of past.slice(-length).flat()) {
          sets.set(saddr, (sets.get(saddr) ?? new Set()).add(dport));
        }
        const found = watch.active().map(({ labels, state }) => [labels["saddr"], state.value]);
        expect(found.sort()).toEqual([...sets].map(([saddr, { size }]) => [saddr, size]).sort());
      }
    }
  });
});

describe("spike", () => {
  const spike = { over: "4s", factor: 3, min: 6 } as const;

  test("waits until the time before its window was counted whole, at the start and after a gap", () => {
    const run = watchingWhen(drops.count("2s").spike(spike));
    for (let i = 0; i < 5; i++) expect(run.second([[to("53"), 100]])).toEqual([]);
    run.quiet(6);
    expect(shown(run.second([[to("53"), 6]]))).toEqual([["firing", 6]]);
    run.quiet(3);
    run.second([], gap());
    for (let i = 0; i < 5; i++) expect(run.second([[to("53"), 2 ** i]])).toEqual([]);
  });

  test("holds from min on, and above the factor of what was usual", () => {
    const { second, quiet } = watchingWhen(drops.count("1s").spike(spike));
    quiet(5);
    expect(second([[to("53"), 5]])).toEqual([]);
    expect(shown(second([[to("53"), 6]]))).toEqual([["firing", 6]]);
    // 11 drops in the four seconds before: 2.75 is usual, and 8.25 three times of it.
    expect(shown(second([[to("53"), 8]]))).toEqual([["resolved", 8]]);
    // 19 in four seconds.
    expect(shown(second([[to("53"), 15]]))).toEqual([["firing", 15]]);
  });

  test("of exactly the factor is none", () => {
    const { second, quiet } = watchingWhen(drops.count("1s").spike(spike));
    quiet(1);
    for (let i = 0; i < 4; i++) second([[to("53"), 2]]);
    expect(second([[to("53"), 6]])).toEqual([]);
  });

  test("is in the unit of its value: a rate, or a sum", () => {
    const rate = watchingWhen(drops.rate("2s").spike({ ...spike, min: 5 }));
    const sum = watchingWhen(drops.sum("len", "2s").spike({ ...spike, min: 100 }));
    for (const run of [rate, sum]) run.quiet(6);
    expect(shown(rate.second([[to("53"), 9]]))).toEqual([]);
    expect(shown(rate.second([[to("53"), 1]]))).toEqual([["firing", 5]]);
    expect(shown(sum.second([[to("53"), 9]]))).toEqual([]);
    expect(shown(sum.second([[to("53"), 1]]))).toEqual([["firing", 100]]);
  });

  test("by labels is each one's own, also where nothing changes when it can first be said", () => {
    const { second, quiet } = watchingWhen(drops.by("dport").count("2s").spike(spike));
    quiet(4);
    expect(second([[to("53"), 9]])).toEqual([]);
    expect(shown(second())).toEqual([["firing", "53", 9]]);
  });

  test("ends when its drops have become what is usual", () => {
    const { second, quiet } = watchingWhen(drops.by("dport").count("1s").spike(spike));
    quiet(5);
    const changes = Array.from({ length: 4 }, () => shown(second([[to("53"), 9]])));
    expect(changes).toEqual([[["firing", "53", 9]], [], [["resolved", "53", 9]], []]);
  });
});

describe("first", () => {
  test("holds for one tick, once for each combination of labels", () => {
    const { second } = watchingWhen(drops.by("saddr").first());
    expect(shown(second([[to("1"), 3]]))).toEqual([["firing", "10.0.0.1", 3]]);
    expect(shown(second([[to("1"), 5], [to("1", "10.0.0.2"), 2]])))
      .toEqual([["resolved", "10.0.0.1", 0], ["firing", "10.0.0.2", 2]]);
    expect(shown(second([[to("1"), 5]]))).toEqual([["resolved", "10.0.0.2", 0]]);
    expect(second([[to("1"), 5]])).toEqual([]);
  });

  test("fires on for as long as keepFiringFor", () => {
    const { second, quiet } = watchingWhen(drops.by("saddr").first(), { keepFiringFor: "3s" });
    second([[to("1"), 3]]);
    expect(quiet(2)).toEqual([]);
    expect(quiet(1)).toMatchObject([{ change: "resolved", total: 3 }]);
  });

  test("only remembers while it learns", () => {
    const { second } = watchingWhen(drops.by("saddr").first({ learn: "3s" }));
    expect(second([[to("1"), 3]])).toEqual([]);
    expect(second([[to("1", "10.0.0.2"), 3]])).toEqual([]);
    expect(shown(second([[to("1"), 3], [to("1", "10.0.0.3"), 1]])))
      .toEqual([["firing", "10.0.0.3", 1]]);
  });

  test("that came with a gap is told with the next tick", () => {
    const { second } = watchingWhen(drops.by("saddr").first());
    expect(second([[to("1"), 3]], gap())).toEqual([]);
    expect(shown(second([[to("1"), 1]]))).toEqual([["firing", "10.0.0.1", 4]]);
    expect(shown(second([[to("1"), 1]]))).toEqual([["resolved", "10.0.0.1", 0]]);
  });

  test("has a limit: what can't be remembered is refused, and makes the others inexact", () => {
    const run = watching(checked(rule({ alert: "MadeUp", when: drops.by("saddr").first() })), {
      maxSeries: 2,
    });
    run.second([[to("1"), 1]]);
    expect(run.second([[to("1", "10.0.0.2"), 1], [to("1", "10.0.0.3"), 7]])).toMatchObject([
      { change: "resolved" },
      { change: "firing", labels: { saddr: "10.0.0.2" }, exact: false, lost: 7 },
    ]);
    expect(shown(run.second([[to("1", "10.0.0.3"), 7]])))
      .toEqual([["resolved", "10.0.0.2", 0]]);
    expect(run.watch.refused).toBe(14);
  });
});

describe("and, or", () => {
  const udp = drops.where({ l4: "UDP" });
  const tcp = drops.where({ l4: "TCP" });

  /** Drops by which one of two conditions is true, false, or can't be said. */
  const parts = {
    true: udp.count("1s").above(0),
    false: tcp.count("1s").above(5),
    unknown: tcp.count("1h").below(5),
  };
  type Answer = keyof typeof parts;
  const table: readonly (readonly [Answer, Answer, and: boolean, or: boolean])[] = [
    ["true", "true", true, true],
    ["true", "false", false, true],
    ["true", "unknown", false, true],
    ["false", "true", false, true],
    ["false", "false", false, false],
    ["false", "unknown", false, false],
    ["unknown", "true", false, true],
    ["unknown", "false", false, false],
    ["unknown", "unknown", false, false],
  ];

  test.each(table)("of %s and %s hold as they must", (a, b, and, or) => {
    for (const [is, holds] of [["and", and], ["or", or]] as const) {
      const { second } = watchingWhen(parts[a][is](parts[b]));
      expect([is, second([[to("1"), 1]]).length]).toEqual([is, holds ? 1 : 0]);
    }
  });

  const earlier = {
    alert: "MadeUp",
    labels: {},
    state: { state: "firing", since: -9000, held: -2000, value: 9, peak: 12, total: 40 },
  } as const;

  test.each(table)("of %s and %s keep what fires from before where it can't be said", (a, b) => {
    for (const is of ["and", "or"] as const) {
      const run = watchingWhen(parts[a][is](parts[b]));
      run.watch.restore(earlier);
      run.second([[to("1"), 1]]);
      const decided = is === "or" ? "true" : "false";
      const open = ![a, b].includes(decided) && [a, b].includes("unknown");
      const all = is === "and" ? a === "true" && b === "true" : a === "true" || b === "true";
      expect([is, run.watch.active().length]).toEqual([is, open || all ? 1 : 0]);
    }
  });

  test("by the same labels are about each combination, in whatever order they are named", () => {
    const { second } = watchingWhen(
      udp.by("dport", "saddr").count("1s").above(2)
        .and(drops.by("saddr", "dport").sum("len", "1s").above(35)),
    );
    expect(shown(second([[to("1"), 3], [to("2"), 4], [to("3", "10.0.0.2"), 9]])))
      .toEqual([["firing", "2", "10.0.0.1", 4], ["firing", "3", "10.0.0.2", 9]]);
  });

  test("with one that has no labels are about the labels of the other", () => {
    for (const turned of [false, true]) {
      const keyed = udp.by("dport").count("10s").above(2);
      const plain = tcp.count("1s").above(0);
      const run = watchingWhen(
        turned ? plain.and(keyed) : keyed.and(plain),
      );
      const tcpDrop = to("9", "10.0.0.1", { l4: "TCP" });
      expect(run.second([[to("1"), 3], [to("2"), 1]])).toEqual([]);
      // Nothing changes for port 1, and it begins and ends all the same.
      expect(run.second([[tcpDrop, 1]])).toMatchObject([{
        change: "firing",
        labels: { dport: "1" },
      }]);
      expect(run.second()).toMatchObject([{ change: "resolved", labels: { dport: "1" } }]);
    }
  });

  test("or with one that has no labels holds for all that there are", () => {
    const run = watchingWhen(
      udp.by("dport").count("10s").above(2).or(tcp.count("1s").above(0)),
    );
    expect(shown(run.second([[to("1"), 3], [to("2"), 1]]))).toEqual([["firing", "1", 3]]);
    expect(shown(run.second([[to("9", "10.0.0.1", { l4: "TCP" }), 1]])))
      .toEqual([["firing", "2", 1]]);
    expect(shown(run.second())).toEqual([["resolved", "2", 1]]);
  });

  test("stay true until the recovery of what was true, and of nothing else", () => {
    const run = watchingWhen(
      udp.count("1s").above(10, { recovery: 2 }).or(tcp.count("1s").above(0)),
    );
    const tick = (udps: number, tcps: number): unknown[] =>
      run.second([[to("1"), udps], [to("1", "10.0.0.1", { l4: "TCP" }), tcps]])
        .map(({ change }) => change);
    expect(tick(5, 1)).toEqual(["firing"]);
    // It never was above 10, so that its recovery doesn't matter.
    expect(tick(5, 0)).toEqual(["resolved"]);
    expect(tick(11, 0)).toEqual(["firing"]);
    expect(tick(5, 1)).toEqual([]);
    expect(tick(3, 0)).toEqual([]);
    expect(tick(2, 0)).toEqual(["resolved"]);
  });

  test("and has each part's own recovery while it fires", () => {
    const run = watchingWhen(
      udp.count("1s").above(10, { recovery: 2 }).and(udp.sum("len", "1s").above(50)),
    );
    const tick = (n: number): unknown[] => run.second([[to("1"), n]]).map(({ change }) => change);
    expect([11, 6, 5].map(tick)).toEqual([["firing"], [], ["resolved"]]);
  });

  test("of any depth are as their truth tables have it", () => {
    const random = randomFrom(82);
    const ports = ["1", "2", "3"];
    type Model = (counts: ReadonlyMap<string, number>) => boolean;
    const make = (depth: number): [Condition, Model] => {
      if (depth === 0 || random.chance(0.2)) {
        const port = random.pick(ports);
        const above = random.int(0, 3);
        return [
          drops.where({ dport: Number(port) }).count("1s").above(above),
          (counts) => (counts.get(port) ?? 0) > above,
        ];
      }
      const [[a, modelA], [b, modelB]] = [make(depth - 1), make(depth - 1)];
      return random.chance(0.5)
        ? [a.and(b), (counts) => modelA(counts) && modelB(counts)]
        : [a.or(b), (counts) => modelA(counts) || modelB(counts)];
    };
    for (let round = 0; round < 40; round++) {
      const [when, model] = make(3);
      const { second, watch } = watchingWhen(when);
      for (let tick = 0; tick < 15; tick++) {
        const counts = new Map(random.some(ports).map((port) => [port, random.int(1, 5)]));
        second([...counts].map(([port, n]) => [to(port), n] as const));
        expect(watch.active().length === 1).toBe(model(counts));
      }
    }
  });
});

describe("a rule about dropwatch itself", () => {
  test("counts gaps, while they last, and ends when they are out of its window", () => {
    const run = watchingWhen(health.where({ event: "down" }).by("why").count("3s").above(1));
    expect(run.second([], gap(false))).toEqual([]);
    expect(shown(run.second([], gap(true)))).toEqual([["firing", "killed", 2]]);
    expect(secondsOf(run, 2)).toEqual([[], [["resolved", "killed", 1]]]);
  });

  test("counts drops that were lost or found no room, and lines that couldn't be read", () => {
    const run = (event: "lost" | "other" | "unreadable") =>
      watchingWhen(health.where({ event }).count("1s").above(0));
    expect(shown(run("lost").second([], { lost: 7 }))).toEqual([["firing", 7]]);
    expect(shown(run("other").second([], { other: 5 }))).toEqual([["firing", 5]]);
    expect(shown(run("unreadable").second([], { unreadable: 2 }))).toEqual([["firing", 2]]);
    expect(run("lost").second([], { other: 5, unreadable: 2 })).toEqual([]);
  });

  test("counts what it is told besides, by rule, file and why", () => {
    const run = watchingWhen(
      health.where({ event: ["ruleError", "ruleDisabled"] }).where({ event: "ruleError" })
        .by("rule", "why").count("10s").above(1),
    );
    const event = (rule: string, why: string, n: number) =>
      ({ event: "ruleError", rule, file: "a.ts", why, n }) as const;
    const transitions = run.second([], {}, [
      event("A", "RULE_HUNG", 1),
      event("A", "CODE_FAILED", 2),
      event("B", "RULE_HUNG", 3),
      { event: "ruleDisabled", rule: "C", n: 9 },
    ]);
    expect(shown(transitions)).toEqual([
      ["firing", "A", "CODE_FAILED", 2],
      ["firing", "B", "RULE_HUNG", 3],
    ]);
  });

  test("is counted whole while the source isn't", () => {
    const run = watchingWhen(health.where({ event: "ruleError" }).count("3s").below(1));
    expect(secondsOf(run, 2)).toEqual([[], []]);
    expect(shown(run.second([], gap()))).toEqual([["firing", 0]]);
  });
});

import { describe, expect, test } from "bun:test";
import { randomFrom } from "../../test/random.ts";
import { checked, ruleOf, watching } from "../../test/rule.ts";
import type { Watching } from "../../test/rule.ts";
import type { Drop } from "../drop/field.ts";
import type { CheckedRule } from "../rule/checked.ts";
import { drops } from "../rule/query.ts";
import { rule } from "../rule/rule.ts";
import type { Rule } from "../rule/rule.ts";
import { countsOf } from "./watch.ts";
import type { Transition } from "./watch.ts";

const filter = (ownerInode = "7"): Drop => ({ reason: "SOCKET_FILTER", ownerInode, len: "100" });
const noSocket = (dport: string, l4 = "UDP"): Drop => ({
  reason: "NO_SOCKET",
  dport,
  l4,
  len: "10",
});

const shown = (transitions: readonly Transition[]): unknown[] =>
  transitions.map(({ rule, change, labels, value }) => [rule.alert, change, labels, value]);

describe("a rule", () => {
  test("without `by` is one alert over all drops that match", () => {
    const { second } = watching([ruleOf({ where: { reason: "SOCKET_FILTER" }, above: 5 })]);
    expect(shown(second([[filter("1"), 3], [noSocket("53"), 100]]))).toEqual([]);
    expect(shown(second([[filter("2"), 3]]))).toEqual([["MadeUp", "firing", {}, 6]]);
  });

  test("with `by` is an alert for each combination of labels, in the order of the rule", () => {
    const { second } = watching([ruleOf({ by: ["dport", "l4"], above: 5 })]);
    const transitions = second([
      [noSocket("53"), 6],
      [noSocket("80"), 5],
      [noSocket("53", "TCP"), 7],
    ]);
    expect(shown(transitions)).toEqual([
      ["MadeUp", "firing", { dport: "53", l4: "UDP" }, 6],
      ["MadeUp", "firing", { dport: "53", l4: "TCP" }, 7],
    ]);
    expect(Object.keys(transitions[0]!.labels)).toEqual(["dport", "l4"]);
  });

  test("counts, or counts a second, or sums, over its window", () => {
    const { second } = watching([
      ruleOf({ alert: "Count", by: ["l4"], above: 0, window: 10_000 }),
      ruleOf({ alert: "Rate", by: ["l4"], above: 0, window: 10_000, aggregate: "rate" }),
      ruleOf({ alert: "Bytes", by: ["l4"], above: 0, window: 10_000, aggregate: "sum" }),
      ruleOf({ alert: "All", above: 0, window: 2000, aggregate: "rate" }),
    ]);
    expect(shown(second([[noSocket("53"), 20]]))).toEqual([
      ["Count", "firing", { l4: "UDP" }, 20],
      ["Rate", "firing", { l4: "UDP" }, 2],
      ["Bytes", "firing", { l4: "UDP" }, 200],
      ["All", "firing", {}, 10],
    ]);
  });

  test("is resolved when its drops have left the window, with the value that is left", () => {
    const { second, quiet, watch } = watching([
      ruleOf({ where: { reason: "SOCKET_FILTER" }, by: ["ownerInode"], above: 5, window: 3000 }),
    ]);
    second([[filter(), 6]]);
    second([[filter(), 2]]);
    expect(watch.active()).toHaveLength(1);
    expect(quiet(1)).toEqual([]);
    expect(shown(quiet(1))).toEqual([["MadeUp", "resolved", { ownerInode: "7" }, 2]]);
    expect(watch.active()).toEqual([]);
    quiet(3);
    expect(watch.size).toBe(0);
  });

  test("goes through pending, firing and resolved on the ticks' own time", () => {
    const { second, quiet } = watching([
      ruleOf({ by: ["dport"], above: 5, window: 1000, for: 2000, keepFiringFor: 2000 }),
    ]);
    const burst = (): Transition[] => second([[noSocket("53"), 6]]);
    expect(shown(burst())).toEqual([["MadeUp", "pending", { dport: "53" }, 6]]);
    expect(burst()).toEqual([]);
    const [firing] = burst();
    expect(firing).toMatchObject({ change: "firing", since: 1000, at: 3000 });
    expect(quiet(1)).toEqual([]);
    expect(quiet(1)).toMatchObject([{
      change: "resolved",
      since: 1000,
      at: 5000,
      value: 0,
      peak: 6,
    }]);
  });

  test("tells the worst value and all drops since it began, those of its first window too", () => {
    const { second, quiet } = watching([ruleOf({ by: ["dport"], above: 5, window: 2000 })]);
    second([[noSocket("53"), 4]]);
    expect(second([[noSocket("53"), 5]])).toMatchObject([{ change: "firing", peak: 9, total: 9 }]);
    second([[noSocket("53"), 6]]);
    expect(quiet(2)).toMatchObject([{ change: "resolved", value: 0, peak: 11, total: 15 }]);
  });

  test("stays firing between recovery and threshold", () => {
    const { second } = watching([
      ruleOf({ by: ["dport"], above: 10, recovery: 5, window: 1000 }),
    ]);
    const values = [8, 11, 8, 6, 5];
    expect(values.map((n) => second([[noSocket("53"), n]]).map(({ change }) => change)))
      .toEqual([[], ["firing"], [], [], ["resolved"]]);
  });

  test("of which another one has the same count shares its map and its window", () => {
    const same = { where: { l4: "UDP" }, by: ["dport"] } as const;
    const rules = [ruleOf({ alert: "A", ...same }), ruleOf({ alert: "B", ...same, above: 100 })];
    expect(countsOf(rules).counts).toHaveLength(1);
    const turned = (["l4", "dport"] as const).map((first) =>
      ruleOf({ by: [first, first === "l4" ? "dport" : "l4"] })
    );
    expect(countsOf(turned).counts).toHaveLength(1);
    const { second, watch } = watching(rules);
    expect(shown(second([[noSocket("53"), 5]]))).toEqual([["A", "firing", { dport: "53" }, 5]]);
    expect(watch.size).toBe(1);
  });

  test("sees every drop that it asks for, whatever other rules ask", () => {
    const random = randomFrom(71);
    const { second, quiet } = watching([
      ruleOf({ alert: "All", by: ["dport"], above: 0 }),
      ruleOf({ alert: "Udp", where: { l4: "UDP" }, by: ["dport"], above: 0 }),
      ruleOf({ alert: "Dns", where: { dport: 53 }, by: ["dport"], above: 0 }),
    ]);
    const totals = { All: 0, Udp: 0, Dns: 0 };
    for (let i = 0; i < 50; i++) {
      const n = random.int(1, 5);
      const drop = noSocket("53", random.pick(["UDP", "TCP"]));
      second([[drop, n]]);
      totals.All += n;
      totals.Dns += n;
      if (drop.l4 === "UDP") totals.Udp += n;
    }
    const resolved = quiet(10);
    expect(Object.fromEntries(resolved.map(({ rule, total }) => [rule.alert, total])))
      .toEqual(totals);
  });
});

describe("a rule with `below`", () => {
  test("without `by` holds also where nothing is dropped: zero is a measurement", () => {
    const { second } = watching([ruleOf({ below: 3, window: 1000 })]);
    expect(shown(second([[filter(), 3]]))).toEqual([]);
    expect(shown(second())).toEqual([["MadeUp", "firing", {}, 0]]);
    expect(shown(second([[filter(), 3]]))).toEqual([["MadeUp", "resolved", {}, 3]]);
  });

  test("with `by` holds for each combination that has drops in the window, changed or not", () => {
    const { second } = watching([ruleOf({ by: ["dport"], below: 3, window: 3000 })]);
    expect(shown(second([[noSocket("53"), 5]]))).toEqual([]);
    expect(shown(second([[noSocket("53"), 1], [noSocket("80"), 2]]))).toEqual([]);
    expect(shown(second([[noSocket("53"), 1]])))
      .toEqual([["MadeUp", "firing", { dport: "80" }, 2]]);
    expect(shown(second())).toEqual([
      ["MadeUp", "firing", { dport: "53" }, 2],
    ]);
  });

  test("says nothing before its window is whole, at the start and after a gap", () => {
    const { second } = watching([ruleOf({ below: 3, window: 3000 })]);
    expect(shown(second())).toEqual([]);
    expect(shown(second())).toEqual([]);
    expect(shown(second([[filter(), 9]]))).toEqual([]);
    expect(shown(second([], { gap: { seconds: 2, why: "killed", over: true } }))).toEqual([]);
    expect(shown(second())).toEqual([]);
    expect(shown(second())).toEqual([]);
    expect(shown(second())).toEqual([["MadeUp", "firing", {}, 0]]);
  });

  test("has its lowest value as the worst", () => {
    const { second } = watching([ruleOf({ below: 5, recovery: 8, window: 1000 })]);
    second([[filter(), 4]]);
    second([[filter(), 1]]);
    second([[filter(), 7]]);
    expect(second([[filter(), 8]])).toMatchObject([{ change: "resolved", value: 8, peak: 1 }]);
  });
});

describe("a share", () => {
  const share = (min: number, by: "dport" | undefined = undefined) =>
    ruleOf({
      where: { l4: "UDP" },
      above: 0.5,
      window: 1000,
      over: { window: 1000, min, ...(by === undefined ? {} : { by: [by] }) },
      ...(by === undefined ? {} : { by: [by] }),
    });

  test("is a part of all drops", () => {
    const { second } = watching([share(0)]);
    expect(shown(second([[noSocket("1"), 5], [noSocket("1", "TCP"), 5]]))).toEqual([]);
    expect(shown(second([[noSocket("1"), 6], [noSocket("1", "TCP"), 4]])))
      .toEqual([["MadeUp", "firing", {}, 0.6]]);
  });

  test("counts as 0 where the whole is less than `min`, and where it is nothing", () => {
    for (const min of [10, 0]) {
      const { second } = watching([share(min)]);
      if (min > 0) expect(shown(second([[noSocket("1"), 9]]))).toEqual([]);
      expect(shown(second([[noSocket("1"), 10]]))).toEqual([["MadeUp", "firing", {}, 1]]);
      expect(shown(second())).toEqual([["MadeUp", "resolved", {}, 0]]);
    }
  });

  test("by labels is each combination's own", () => {
    const { second } = watching([share(0, "dport")]);
    const transitions = second([
      [noSocket("53"), 9],
      [noSocket("53", "TCP"), 1],
      [noSocket("80"), 1],
      [noSocket("80", "TCP"), 9],
    ]);
    expect(shown(transitions)).toEqual([["MadeUp", "firing", { dport: "53" }, 0.9]]);
  });

  test("by labels may be of a whole without them", () => {
    const { second } = watching([
      ruleOf({ by: ["dport"], above: 0.5, window: 1000, over: { window: 1000 } }),
    ]);
    expect(shown(second([[noSocket("53"), 7], [noSocket("80"), 3]])))
      .toEqual([["MadeUp", "firing", { dport: "53" }, 0.7]]);
  });

  test("rises when only the whole shrinks", () => {
    const { second, quiet } = watching([
      ruleOf({
        where: { l4: "UDP" },
        by: ["dport"],
        above: 0.5,
        window: 5000,
        over: { by: ["dport"], window: 5000 },
      }),
    ]);
    second([[noSocket("53", "TCP"), 10]]);
    expect(second([[noSocket("53"), 6]])).toEqual([]);
    expect(quiet(3)).toEqual([]);
    expect(shown(quiet(1))).toEqual([["MadeUp", "firing", { dport: "53" }, 1]]);
  });

  test("falls when only the whole grows", () => {
    const { second } = watching([
      ruleOf({
        where: { l4: "UDP" },
        by: ["dport"],
        above: 0.5,
        window: 5000,
        over: { window: 5000 },
      }),
    ]);
    second([[noSocket("53"), 6]]);
    expect(shown(second([[noSocket("80", "TCP"), 10]])))
      .toEqual([["MadeUp", "resolved", { dport: "53" }, 0.375]]);
  });
});

describe("the total of a rule", () => {
  test("is all drops that matched it, and is kept when they have left the window", () => {
    const { second, quiet, watch } = watching([
      ruleOf({ alert: "Filter", where: { reason: "SOCKET_FILTER" }, window: 1000 }),
      ruleOf({ alert: "Ports", where: { reason: "NO_SOCKET" }, by: ["dport"], window: 1000 }),
      ruleOf({ alert: "Udp", where: { l4: "UDP" }, by: ["dport"], window: 1000 }),
    ]);
    second([[filter(), 5], [noSocket("53"), 3]]);
    second([[noSocket("80", "TCP"), 2]]);
    quiet(3);
    expect(watch.totals()).toEqual([5, 5, 3]);
  });

  test("of a rule on reasons alone is right though another one shares its map with a condition", () => {
    const { second, watch } = watching([
      ruleOf({ alert: "Ports", where: { reason: "NO_SOCKET" }, by: ["dport"] }),
      ruleOf({ alert: "Udp", where: { reason: "NO_SOCKET", l4: "UDP" }, by: ["dport"] }),
    ]);
    second([[noSocket("53"), 3], [noSocket("80", "TCP"), 2]]);
    expect(watch.totals()).toEqual([5, 3]);
  });

  test("of a rule on reasons alone has those without a key, too", () => {
    const { second, watch } = watching(
      [ruleOf({ where: { reason: "NO_SOCKET" }, by: ["dport"] })],
      { spoil: (tick) => ({ ...tick, maps: [{ entries: [], other: 3, lost: 0 }] }) },
    );
    second([[noSocket("53"), 3]]);
    expect(watch.totals()).toEqual([3]);
  });

  test("of a share is that of its part", () => {
    const { second, watch } = watching([
      ruleOf({ where: { reason: "NO_SOCKET" }, above: 2, over: { window: 10_000 } }),
    ]);
    second([[noSocket("53"), 3], [filter(), 10]]);
    expect(watch.totals()).toEqual([3]);
  });
});

describe("how sure an alert is", () => {
  const rules = [
    ruleOf({ alert: "Reason", where: { reason: "NO_SOCKET" }, above: 0, window: 3000 }),
    ruleOf({ alert: "Port", by: ["dport"], above: 0, window: 3000 }),
    ruleOf({ alert: "Inode", by: ["ownerInode"], above: 0, window: 3000 }),
  ];
  const sure = (transitions: readonly Transition[]): unknown[] =>
    transitions.map(({ rule, exact, lost }) => [rule.alert, exact, lost]);

  test("is quite sure where nothing was lost", () => {
    const { second } = watching(rules);
    expect(sure(second([[noSocket("53"), 5]])))
      .toEqual([["Reason", true, 0], ["Port", true, 0], ["Inode", true, 0]]);
  });

  test("is less where its own map had no room, or wasn't printed; others stay sure", () => {
    for (const doubt of [{ other: 2, lost: 0 }, { other: 0, lost: 2 }]) {
      const { second } = watching(rules, {
        spoil: (tick) => ({
          ...tick,
          ...doubt,
          maps: tick.maps.map((map, id) => id === 0 ? { ...map, ...doubt } : map),
        }),
      });
      expect(sure(second([[noSocket("53"), 5]])))
        .toEqual([["Reason", true, 0], ["Port", false, 2], ["Inode", true, 0]]);
    }
  });

  test("is less for every alert where drops were lost before they could be counted at all", () => {
    const { second } = watching(rules, { spoil: (tick) => ({ ...tick, seen: 9, lost: 4 }) });
    expect(sure(second([[noSocket("53"), 5]])))
      .toEqual([["Reason", false, 4], ["Port", false, 4], ["Inode", false, 4]]);
  });

  test("is less after a gap, for as long as the gap is in the window", () => {
    const { second, quiet } = watching([
      ruleOf({ by: ["dport"], above: 0, window: 3000, keepFiringFor: 1 }),
    ]);
    second([], { gap: { seconds: 2, why: "killed", over: true } });
    expect(sure(second([[noSocket("53"), 1]]))).toEqual([["MadeUp", false, 0]]);
    quiet(2);
    expect(sure(quiet(1))).toEqual([["MadeUp", true, 0]]);
  });

  test("of a share is that of both its windows", () => {
    const { second } = watching(
      [ruleOf({ where: { l4: "UDP" }, by: ["dport"], above: 0, over: { by: ["dport"] } })],
      {
        spoil: (tick) => ({
          ...tick,
          maps: tick.maps.map((map) => ({ ...map, other: 1 })),
        }),
      },
    );
    expect(sure(second([[noSocket("53"), 5]]))).toEqual([["MadeUp", false, 1]]);
    const whole = watching(
      [ruleOf({ where: { reason: "NO_SOCKET" }, above: 0, over: { where: { l4: "UDP" } } })],
      {
        spoil: (tick) => ({ ...tick, maps: tick.maps.map((map) => ({ ...map, other: 1 })) }),
      },
    );
    expect(sure(whole.second([[noSocket("53"), 5]]))).toEqual([["MadeUp", false, 1]]);
  });
});

describe("an alert that began before the counting did", () => {
  const rules = [ruleOf({ by: ["dport", "l4"], above: 5, window: 3000 })];
  const earlier = {
    alert: "MadeUp",
    labels: { l4: "UDP", dport: "53" },
    state: { state: "firing", since: -9000, held: -2000, value: 9, peak: 12, total: 40 },
  } as const;

  test("goes on until the window is whole, and then is resolved with what is known of it", () => {
    const { second, watch } = watching(rules);
    expect(watch.restore(earlier)).toBe(true);
    second([[noSocket("53"), 2]]);
    expect(shown(second())).toEqual([]);
    expect(watch.active()).toMatchObject([{ labels: { dport: "53", l4: "UDP" } }]);
    expect(second()).toMatchObject([{ change: "resolved", peak: 12, total: 42, since: -9000 }]);
  });

  test("does not fire anew when its condition holds again", () => {
    const { second, watch } = watching(rules);
    watch.restore(earlier);
    expect(shown(second([[noSocket("53"), 20]]))).toEqual([]);
    expect(watch.active()).toMatchObject([{ state: { peak: 20, total: 60 } }]);
  });

  test("goes on over a gap in the counting", () => {
    const { second, quiet } = watching(rules);
    expect(shown(second([[noSocket("53"), 6]]))).toEqual([
      ["MadeUp", "firing", { dport: "53", l4: "UDP" }, 6],
    ]);
    second([], { gap: { seconds: 9, why: "killed", over: true } });
    expect(shown(quiet(2))).toEqual([]);
    expect(shown(quiet(1))).toEqual([["MadeUp", "resolved", { dport: "53", l4: "UDP" }, 0]]);
  });

  test("is nobody's where its rule is gone, or counts by other fields now", () => {
    const { watch } = watching(rules);
    expect(watch.restore({ ...earlier, alert: "Other" })).toBe(false);
    expect(watch.restore({ ...earlier, labels: { dport: "53" } })).toBe(false);
    expect(watch.restore({ ...earlier, labels: { dport: "53", sport: "UDP" } })).toBe(false);
    expect(watch.active()).toEqual([]);
  });
});

describe("too many combinations of labels", () => {
  test("are refused, said, and make numbers uncertain; those that are known go on", () => {
    const { second, watch } = watching([ruleOf({ by: ["dport"], above: 5, window: 5000 })], {
      maxSeries: 2,
    });
    second([[noSocket("1"), 4], [noSocket("2"), 1]]);
    expect(watch.refused).toBe(0);
    const transitions = second([[noSocket("1"), 4], [noSocket("3"), 10]]);
    expect(transitions).toMatchObject([
      { labels: { dport: "1" }, value: 8, exact: false, lost: 10 },
    ]);
    expect(watch.refused).toBe(10);
    expect(watch.size).toBe(2);
  });
});

describe("a watch that takes another's place", () => {
  const drop = (dport: string): Drop => noSocket(dport);

  /** Two watches after each other; `between` is what the first one sees. */
  function handOver(
    before: Rule,
    after: Rule,
    between: (run: Watching) => void,
  ): Watching {
    const first = watching(checked(before), { code: [before] });
    let seconds = 0;
    between({ ...first, second: (...given) => (seconds++, first.second(...given)) });
    return watching(checked(after), {
      code: [after],
      before: [first.watch.memory],
      from: 1000 * seconds,
    });
  }

  const above = (threshold: number, more: object = {}, window: "1s" | "5s" | "9s" = "5s"): Rule =>
    rule({ alert: "Same", when: drops.by("dport").count(window).above(threshold), ...more });

  test("goes on with its windows", () => {
    const { second } = handOver(above(5), above(5), ({ second }) => {
      second([[drop("53"), 4]]);
    });
    expect(shown(second([[drop("53"), 2]]))).toEqual([["Same", "firing", { dport: "53" }, 6]]);
  });

  test("finds at its first tick what is beyond another threshold already", () => {
    const { second } = handOver(above(50), above(5), ({ second }) => {
      second([[drop("53"), 9]]);
    });
    expect(shown(second())).toEqual([["Same", "firing", { dport: "53" }, 9]]);
  });

  test("goes on with its alerts, and what they had since they began", () => {
    const { second, watch, quiet } = handOver(above(5), above(7), ({ second }) => {
      second([[drop("53"), 9]]);
    });
    expect(watch.active()).toMatchObject([{ state: { state: "firing", since: 1000 } }]);
    second([[drop("53"), 1]]);
    expect(quiet(4)).toMatchObject([{ change: "resolved", total: 10, since: 1000, peak: 10 }]);
  });

  test("goes on waiting for as long as for", () => {
    const waits = above(5, { for: "3s" });
    const { quiet } = handOver(waits, waits, ({ second }) => {
      second([[drop("53"), 9]]);
      second();
    });
    expect(quiet(1)).toEqual([]);
    expect(quiet(1)).toMatchObject([{ change: "firing", since: 1000 }]);
  });

  const others: readonly (readonly [string, Rule])[] = [
    ["severity", above(5, { severity: "critical" })],
    ["labels", above(5, { labels: { team: "x" } })],
    ["fields of by", rule({ alert: "Same", when: drops.by("l4").count("5s").above(99) })],
    ["name", rule({ alert: "Another", when: drops.by("dport").count("5s").above(99) })],
  ];
  test.each(others)("has no alerts of a rule that has another %s", (_, after) => {
    const { watch } = handOver(above(5), after, ({ second }) => {
      second([[drop("53"), 9]]);
    });
    expect(watch.active()).toEqual([]);
  });

  test("keeps an alert, whose new window isn't whole, until that is", () => {
    const { quiet } = handOver(above(5), above(5, {}, "9s"), ({ second }) => {
      second([[drop("53"), 9]]);
      second();
    });
    expect(quiet(8)).toEqual([]);
    expect(quiet(1)).toMatchObject([{ change: "resolved" }]);
  });

  test("can say what is below or a spike in windows that are new, once they are whole", () => {
    const plain = rule({ alert: "Same", when: drops.count("5s").above(99) });
    const below = handOver(
      plain,
      rule({ alert: "Same", when: drops.count("3s").below(1) }),
      ({ second }) => {
        second();
      },
    );
    expect([below.quiet(2).length, below.quiet(1).length]).toEqual([0, 1]);
    const spike = handOver(
      plain,
      rule({ alert: "Same", when: drops.count("1s").spike({ over: "2s", factor: 2, min: 1 }) }),
      ({ second }) => {
        second();
      },
    );
    spike.quiet(2);
    expect(spike.second([[drop("53"), 5]])).toMatchObject([{ change: "firing" }]);
  });

  test("goes on with absences, and with what first has seen", () => {
    const absent = rule({ alert: "Absent", when: drops.by("dport").absent("4s") });
    const run = handOver(absent, absent, ({ second }) => {
      second([[drop("53"), 1]]);
      second();
    });
    expect(run.quiet(2)).toEqual([]);
    expect(shown(run.quiet(1))).toEqual([["Absent", "firing", { dport: "53" }, 4]]);
    const first = (where: object): Rule =>
      rule({ alert: "First", when: drops.where(where).by("dport").first() });
    const again = handOver(first({}), first({ l4: "UDP" }), ({ second }) => {
      second([[drop("53"), 1]]);
      second();
    });
    expect(shown(again.second([[drop("53"), 1], [drop("80"), 1]])))
      .toEqual([["First", "firing", { dport: "80" }, 1]]);
  });

  test("goes on with totals", () => {
    const { second, watch } = handOver(above(99), above(98), ({ second }) => {
      second([[drop("53"), 4]]);
    });
    second([[drop("53"), 2]]);
    expect(watch.totals()).toEqual([6]);
  });
});

describe("what wasn't judged", () => {
  test("because a gap was told with its tick is judged at the next one", () => {
    const { second } = watching([ruleOf({ by: ["dport"], above: 5 })]);
    const gap = { seconds: 3, why: "code of rules is too slow", over: true };
    expect(second([[noSocket("53"), 9]], { gap })).toEqual([]);
    expect(shown(second())).toEqual([["MadeUp", "firing", { dport: "53" }, 9]]);
  });
});

describe("thresholds that are looked up", () => {
  test("make the same alerts as each rule by itself, whatever comes", () => {
    const random = randomFrom(72);
    for (let round = 0; round < 60; round++) {
      const rules = Array.from({ length: random.int(1, 6) }, (_, i) => {
        const above = random.pick([0, 0.3, 1, 2, 3, 5, 20]);
        return ruleOf({
          alert: `R${i}`,
          by: random.pick([["dport"], ["dport", "l4"]] as const),
          aggregate: random.pick(["count", "rate", "sum"] as const),
          window: random.pick([1000, 3000, 10_000]),
          above,
          recovery: random.chance(0.5) ? above : above / 2,
          for: random.pick([0, 0, 2000]),
          keepFiringFor: random.pick([0, 0, 2000]),
        });
      });
      // The same, but for a part that is always false: such rules are judged for each key.
      const never = ruleOf({ above: 1e12, window: 1000 }).condition;
      const plain = rules.map((rule): CheckedRule => ({
        ...rule,
        condition: { is: "or", of: [rule.condition, never] },
      }));
      const [looked, judged] = [watching(rules), watching(plain)];
      for (let tick = 0; tick < 40; tick++) {
        const given = Array.from(
          { length: random.int(0, 4) },
          () =>
            [
              noSocket(`${random.int(1, 3)}`, random.pick(["UDP", "TCP"])),
              random.int(1, 4),
            ] as const,
        );
        const more = random.chance(0.1) ? { gap: { seconds: 1, why: "killed", over: true } } : {};
        const told = [looked, judged].map(({ second }) =>
          second(given, more).map(({ rule, change, labels, value, peak, total, since }) =>
            JSON.stringify([rule.alert, change, labels, value, peak, total, since])
          ).sort()
        );
        expect(told[0]).toEqual(told[1]!);
      }
    }
  });
});

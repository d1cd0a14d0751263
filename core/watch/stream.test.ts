// What a filter promises, on the ticks' own time: it is asked little, and what it refuses is nowhere.
import { describe, expect, test } from "bun:test";
import { checked, watching } from "../../test/rule.ts";
import type { Watching, WatchingOptions } from "../../test/rule.ts";
import { world } from "../../test/world.ts";
import type { Drop } from "../drop/field.ts";
import { drops } from "../rule/query.ts";
import type { Condition } from "../rule/query.ts";
import { rule } from "../rule/rule.ts";
import type { Rule } from "../rule/rule.ts";
import { evidenceLog } from "./evidence.ts";

const to = (dport: string, saddr = "10.0.0.1", reason = "NO_SOCKET"): Drop => ({
  reason,
  l4: "UDP",
  len: "10",
  dport,
  saddr,
});

const watchingCode = (rules: readonly Rule[], options: WatchingOptions = {}): Watching =>
  watching(checked(...rules), { ...options, code: rules });

const even = drops.filter(["dport"], ({ dport }) => Number(dport) % 2 === 0);
const made = <L extends string>(when: Condition<L>, alert = "MadeUp"): Rule =>
  rule({ alert, when });

describe("a filter", () => {
  test("lets through what it keeps: the rest isn't counted, not even in the rule's total", () => {
    const { second, watch } = watchingCode([made(even.count("1s").above(4))]);
    expect(second([[to("1"), 100], [to("2"), 4]])).toEqual([]);
    expect(second([[to("1"), 100], [to("2"), 2], [to("4"), 3]])).toMatchObject([
      { value: 5, total: 5, exact: true, lost: 0 },
    ]);
    expect(watch.totals()).toEqual([9]);
  });

  test("doesn't make labels: the combinations of its values are counted together", () => {
    const { second } = watchingCode([made(even.by("saddr").count("1s").above(4))]);
    expect(second([[to("1"), 9], [to("2"), 2], [to("4"), 3], [to("6", "10.0.0.2"), 4]]))
      .toMatchObject([{ labels: { saddr: "10.0.0.1" }, value: 5 }]);
  });

  test("is asked once about each combination of the values that it needs, and no others", () => {
    const { second, asked } = watchingCode([made(even.by("saddr").count("1s").above(4))]);
    second([[to("1"), 9], [to("2"), 2], [to("2", "10.0.0.2"), 2]]);
    expect([...asked].sort()).toEqual(["1", "2"]);
    second([[to("1"), 9], [to("2", "10.0.0.3"), 2], [to("3"), 1]]);
    expect([...asked].sort()).toEqual(["1", "2", "3"]);
  });

  test("isn't asked about drops that the rule doesn't ask for", () => {
    const { second, asked } = watchingCode([
      made(even.where({ reason: "NO_SOCKET" }).count("1s").above(4)),
      rule({ alert: "Other", when: drops.by("dport").count("1s").above(100) }),
    ]);
    second([[to("1", "", "SOCKET_FILTER"), 9], [to("2"), 2]]);
    expect(asked).toEqual(["2"]);
  });

  test("may be one of several: each has to keep a drop", () => {
    const small = even.filter(
      ["dport", "saddr"],
      ({ dport, saddr }) => Number(dport) < 10 && saddr !== "10.0.0.2",
    );
    const { second } = watchingCode([made(small.count("1s").above(0))]);
    expect(second([[to("1"), 1], [to("12"), 2], [to("2", "10.0.0.2"), 4]])).toEqual([]);
    expect(second([[to("8"), 8]])).toMatchObject([{ value: 8 }]);
  });

  test("is each query's own in a condition of several", () => {
    const odd = drops.filter(["dport"], ({ dport }) => Number(dport) % 2 === 1);
    const rules = [
      made(even.count("1s").over(odd.count("1s")).above(1), "Share"),
      made(odd.count("1s").above(2).and(even.count("1s").above(0)), "Both"),
      made(odd.absent("1s").or(even.absent("1s")), "Absent"),
    ];
    const { second } = watchingCode(rules);
    const firing = (given: Parameters<typeof second>[0]): string[] =>
      second(given).filter(({ change }) => change === "firing").map(({ rule }) => rule.alert);
    expect(firing([[to("1"), 3], [to("2"), 1]])).toEqual(["Both"]);
    expect(firing([[to("1"), 1], [to("2"), 3]])).toEqual(["Share"]);
    expect(firing([[to("2"), 3]])).toEqual(["Absent"]);
  });

  test("may need the reason alone", () => {
    const { second } = watchingCode([
      made(drops.filter(["reason"], ({ reason }) => reason.startsWith("NO_")).count("1s").above(0)),
    ]);
    expect(second([[to("1", "", "SOCKET_FILTER"), 3]])).toEqual([]);
    expect(second([[to("1"), 2]])).toMatchObject([{ value: 2 }]);
  });

  test("of two rules of a file is each rule's own, though they are written alike", () => {
    const rules = [true, false].map((kept) =>
      made(drops.filter(["dport"], () => kept).count("1s").above(0), kept ? "All" : "None")
    );
    const { second, watch } = watchingCode(rules);
    expect(second([[to("1"), 5]]).map(({ rule }) => rule.alert)).toEqual(["All"]);
    expect(watch.totals()).toEqual([5, 0]);
  });

  test("that fails leaves the rule as it is, and what it wasn't asked about makes it inexact", () => {
    let fails = false;
    const failing = drops.filter(["dport"], () => {
      if (fails) throw new Error("mine");
      return true;
    });
    const { second, watch, quiet } = watchingCode([made(failing.count("3s").above(4))]);
    expect(second([[to("1"), 5]])).toMatchObject([{ change: "firing", exact: true }]);
    fails = true;
    expect(second([[to("1"), 1], [to("2"), 3]])).toEqual([]);
    fails = false;
    expect(watch.active()).toMatchObject([{ state: { value: 5 } }]);
    // The drops to port 1 were counted: it had been asked about them before.
    expect(quiet(2)).toMatchObject([{ change: "resolved", value: 1, exact: false, lost: 3 }]);
  });

  test("that failed when a value went over the threshold finds it at the next tick", () => {
    let fails = false;
    const failing = drops.filter(["dport"], ({ dport }) => {
      if (fails && dport === "2") throw new Error("mine");
      return true;
    });
    const { second } = watchingCode([made(failing.by("saddr").count("9s").above(4))]);
    second([[to("1"), 1]]);
    fails = true;
    expect(second([[to("1"), 7], [to("2"), 3]])).toEqual([]);
    fails = false;
    expect(second()).toMatchObject([{ change: "firing", value: 8 }]);
  });

  test("remembers 100,000 answers; then it is asked anew about all that a tick brings", () => {
    const { second, asked, watch } = watchingCode([made(
      drops.filter(["dport", "sport"], () => true).count("1s").above(1e9),
    )]);
    const flow = (i: number): [Drop, number] => [
      { ...to(`${i % 300}`), sport: `${Math.floor(i / 300)}` },
      1,
    ];
    second([flow(0)]);
    second(Array.from({ length: 99_990 }, (_, i) => flow(i)));
    expect(asked.length).toBe(99_990);
    second([flow(0), ...Array.from({ length: 20 }, (_, i) => flow(99_990 + i))]);
    expect(asked.length).toBe(99_990 + 21);
    expect(watch.totals()).toEqual([1 + 99_990 + 21]);
  });
});

describe("the evidence of a rule with a filter", () => {
  test("has only drops that it keeps", () => {
    const rules = [made(even.by("saddr").count("5s").above(0))];
    const log = evidenceLog(checked(...rules), world, "");
    const right = checked(...rules);
    const run = watching(right, {
      code: rules,
      spoil: (tick) => {
        const evidence = ["1", "2", "4", "5"].map((dport) => ({ drop: to(dport), at: "", n: 1 }));
        const given = { ...tick, evidence };
        log.add(given);
        return given;
      },
    });
    run.second([[to("1"), 1], [to("2"), 1], [to("4"), 1]]);
    const found = log.of(
      right[0]!,
      { saddr: "10.0.0.1" },
      1000,
      (drop) => run.watch.keeps(right[0]!, drop),
    )!;
    // It was never asked about port 5.
    expect(found.flows.map(({ dport }) => dport).sort()).toEqual(["2", "4"]);
  });
});

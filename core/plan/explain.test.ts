// What `explain` says of rules: what runs where, and what it costs.
import { describe, expect, test } from "bun:test";
import { checked, ruleOf } from "../../test/rule.ts";
import { world } from "../../test/world.ts";
import type { CheckedRule } from "../rule/checked.ts";
import { drops, health } from "../rule/query.ts";
import { rule } from "../rule/rule.ts";
import type { Rule } from "../rule/rule.ts";
import { countsOf } from "../watch/watch.ts";
import { explainRules } from "./explain.ts";
import { makePlan } from "./plan.ts";
import type { PlanStyle } from "./plan.ts";

function explained(rules: readonly CheckedRule[], style: PlanStyle = "decisions") {
  const plan = makePlan(countsOf(rules).counts, undefined, style);
  return explainRules(rules, plan, 1024, world);
}

test("a rule on reasons alone needs no map; one by a field names its map and who shares it", () => {
  const { rules } = explained([
    ruleOf({ alert: "All", where: { reason: "NO_SOCKET" }, above: 5 }),
    ruleOf({
      alert: "Ports",
      where: { reason: "NO_SOCKET" },
      by: ["dport"],
      above: 5,
      for: 10_000,
    }),
    ruleOf({ alert: "Long", where: { len: { gte: 100 } }, by: ["dport"], above: 5 }),
  ]);
  expect(rules[0]!.lines.slice(0, 2)).toEqual([
    "kernel: tests reason is NO_SOCKET",
    "kernel: needs no map of its own: drops by reason are always counted",
  ]);
  expect(rules[1]!.lines).toContain("kernel: counts by (dport) in map @m0, shared with Long");
  expect(rules[1]!.lines.at(-1)).toBe("TypeScript: fires above 5, for 10s");
});

test("conditions are said where they are tested, once", () => {
  const rule = ruleOf({
    where: { reason: "NO_SOCKET", dport: { not: [53, 80] }, len: { gte: 1 } },
    by: ["l4"],
    above: 5,
  });
  const [inKernel] = explained([rule]).rules;
  expect(inKernel!.lines[0]).toBe(
    "kernel: tests reason is NO_SOCKET and dport not in (53, 80) and len in (1–4294967295)",
  );
  const [onKeys] = explained([rule], "keys").rules;
  expect(onKeys!.lines[0]).toBe("kernel: tests reason is NO_SOCKET");
  expect(onKeys!.lines.find((line) => line.includes("on each key"))).toBe(
    "TypeScript: tests dport not in (53, 80) and len in (1–4294967295) on each key, because the kernel's " +
      "decision would have too many cases",
  );
});

test("a long list is cut, and a condition that lets all through isn't said", () => {
  const ports = Array.from({ length: 30 }, (_, i) => 2 * i);
  const { rules } = explained([
    ruleOf({ where: { dport: ports }, by: ["l4"], above: 5 }),
    ruleOf({ alert: "Any", where: { mark: { gte: 0 } }, by: ["dev"], above: 5 }),
  ]);
  expect(rules[0]!.lines[0]).toBe(
    "kernel: tests dport in (0, 2, 4, 6, 8, 10, 12, 14 and 22 more)",
  );
  expect(rules[1]!.lines[0]).toBe("kernel: tests nothing: every drop counts");
});

test("the cost is the updates of a drop and the memory of the maps", () => {
  const { cost } = explained([
    ruleOf({ where: { reason: "NO_SOCKET" }, by: ["dport"], above: 5 }),
    ruleOf({ where: { reason: "NO_SOCKET" }, by: ["dev"], above: 5 }),
  ]);
  expect(cost).toContain("at most 3 (its reason, and 2 by key)");
  expect(cost).toContain("2 maps by key in two copies of 1024 keys");
});

test("key sets that share a map say so, and are one in the memory that it takes", () => {
  const fields = ["dport", "sport", "dev", "cpu", "netns", "mark", "len", "comm"] as const;
  const { rules, cost } = explained(
    fields.flatMap((a, i) =>
      fields.slice(i + 1).map((b) =>
        ruleOf({ alert: `${a}_${b}`, where: { reason: "NO_SOCKET" }, by: [a, b], above: 5 })
      )
    ),
  );
  const maps = rules.map(({ lines }) =>
    /in map (@[mk]\d+)( beside other key sets)?/.exec(lines[1]!)!
  );
  const shared = maps.filter(([, name]) => name!.startsWith("@k"));
  expect(shared.length).toBeGreaterThan(4);
  for (const [, name, beside] of maps) expect(beside !== undefined).toBe(name!.startsWith("@k"));
  expect(new Set(maps.map(([, name]) => name)).size).toBe(24);
  expect(cost).toContain("24 maps by key in two copies");
});

describe("a condition in words", () => {
  const linesOf = (made: Rule): readonly string[] => explained(checked(made)).rules[0]!.lines;
  const udp = drops.where({ l4: "UDP" });

  test("says of a filter that the rule host runs it, and how often", () => {
    const when = drops.filter(["dport", "comm"], () => true).by("saddr").count("1m").above(5);
    expect(linesOf(rule({ alert: "A", when }))).toEqual([
      "kernel: tests nothing: every drop counts",
      "kernel: counts by (saddr, dport, comm) in map @m0",
      "rule host: filters by (dport, comm), once for each combination of their values",
      "TypeScript: count over 1m, once a tick and key",
      "TypeScript: fires above 5",
    ]);
  });

  test("says what is absent, and for how long", () => {
    const lines = linesOf(rule({ alert: "A", when: udp.by("dev").absent("5m"), for: "10s" }));
    expect(lines.slice(0, 2)).toEqual([
      "kernel: tests l4 in (17)",
      "kernel: counts by (dev) in map @m0",
    ]);
    expect(lines.slice(2)).toEqual(["TypeScript: fires when there was none for 5m, for 10s"]);
  });

  test("says which values are told apart, and that the kernel counts by them", () => {
    const lines = linesOf(
      rule({ alert: "A", when: drops.by("saddr").distinct("dport", "1m").above(100) }),
    );
    expect(lines.slice(1)).toEqual([
      "kernel: counts by (saddr, dport) in map @m0",
      "TypeScript: different values of dport over 1m, once a tick and key",
      "TypeScript: fires above 100",
    ]);
  });

  test("says what a spike is compared with", () => {
    const when = drops.rate("1m").spike({ over: "1h", factor: 5, min: 10 });
    expect(linesOf(rule({ alert: "A", when, keepFiringFor: "2m" })).slice(-2)).toEqual([
      "TypeScript: rate over 1m, and over the 1h before, once a tick and key",
      "TypeScript: fires above 5 times of what it was before, from 10 on, and 2m longer",
    ]);
  });

  test("says how long first learns", () => {
    const of = (options?: { readonly learn: "1d" }) =>
      linesOf(rule({ alert: "A", when: drops.by("saddr").first(options) })).at(-1);
    expect(of()).toBe("TypeScript: fires at a key that was never seen before");
    expect(of({ learn: "1d" }))
      .toBe("TypeScript: fires at a key that was never seen before, once it has learnt for 1d");
  });

  test("says each part of what is joined, and how it is", () => {
    const when = udp.count("1m").above(5).and(health.count("1m").above(0)).or(drops.absent("5m"));
    expect(linesOf(rule({ alert: "A", when, for: "1m" }))).toEqual([
      "kernel: tests l4 in (17)",
      "kernel: counts one number in map @m0",
      "TypeScript: count over 1m, once a tick and key",
      "TypeScript: fires above 5",
      "TypeScript: counts what happens to dropwatch itself",
      "TypeScript: count over 1m, once a tick and key",
      "TypeScript: fires above 0",
      "TypeScript: fires when all of them hold",
      "kernel: tests nothing: every drop counts",
      "kernel: needs no map of its own: drops by reason are always counted",
      "TypeScript: fires when there was none for 5m",
      "TypeScript: fires when one of them holds, for 1m",
    ]);
  });

  test("says what code of a rule is called for, and how often", () => {
    const on = drops.by("saddr", "dport");
    const of = (code: object) => linesOf(rule({ alert: "A", on, by: ["saddr"], ...code })).slice(1);
    expect(of({ each: () => {} })).toEqual([
      "kernel: counts by (saddr, dport) in map @m0",
      "rule host: runs each, for each key of a tick",
      "TypeScript: fires when the rule says so",
    ]);
    expect(of({ each: () => {}, tick: () => {}, every: "10s" })[1])
      .toBe("rule host: runs each, for each key of a tick, and tick, every 10s");
    expect(of({ tick: () => {} })[1]).toBe("rule host: runs tick, every 1s");
  });

  test("says that nobody is notified in shadow", () => {
    const when = drops.count("1m").above(1);
    const told = "nobody is notified: the rule is in shadow";
    expect(linesOf(rule({ alert: "A", when, mode: "shadow" })).at(-1)).toBe(told);
    expect(linesOf(rule({ alert: "A", when, mode: "alert" }))).not.toContain(told);
  });

  test("says a map once for each rule that shares it, though the rule has it twice", () => {
    const twice = udp.by("dport").count("1m").above(5).or(udp.by("dport").count("5m").above(9));
    const other = udp.by("dport").distinct("saddr", "1m").above(9);
    const { rules } = explained(checked(
      rule({ alert: "Twice", when: twice }),
      rule({ alert: "Other", when: other }),
      rule({ alert: "Third", when: udp.by("dport").absent("1m") }),
    ));
    expect(rules[0]!.lines).toContain("kernel: counts by (dport) in map @m0, shared with Third");
    expect(rules[2]!.lines).toContain("kernel: counts by (dport) in map @m0, shared with Twice");
    expect(rules[1]!.lines.some((line) => line.includes("shared"))).toBe(false);
  });
});

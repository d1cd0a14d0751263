// What `explain` says of rules: what runs where, and what it costs.
import { expect, test } from "bun:test";
import { ruleOf } from "../../test/rule.ts";
import { world } from "../../test/world.ts";
import type { CheckedRule } from "../rule/checked.ts";
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

// Whatever is written in a rule, the check ends with errors that have a code, or with a rule that can be
// planned and watched.
import { expect, test } from "bun:test";
import { randomFrom } from "../../test/random.ts";
import { watching } from "../../test/rule.ts";
import { facts } from "../../test/world.ts";
import { checkRule } from "./check.ts";
import { readReply } from "./host_message.ts";
import { plainJson } from "./plain.ts";
import { drops, health } from "./query.ts";
import { rule } from "./rule.ts";

const rules = [
  rule({
    alert: "Plain",
    when: drops.where({ reason: ["NO_SOCKET"], dport: { gte: 1 }, comm: { prefix: "a" } })
      .where({ saddr: { not: "10.0.0.0/8" } }).by("dport", "dev").rate("10s")
      .above(5, { recovery: 1 }),
    for: "30s",
    keepFiringFor: "1m",
    severity: "critical",
    labels: { team: "x" },
    mode: "shadow",
    runbook: "https://example.org",
    summary: () => "",
    description: "text",
  }),
  rule({
    alert: "Joined",
    when: drops.filter(["dport"], () => true).by("saddr").distinct("sport", "1m").above(2)
      .and(drops.count("1m").over(drops.sum("len", "1m"), { min: 1 }).below(1))
      .or(drops.count("1m").spike({ over: "1h", factor: 2, min: 1 }))
      .or(drops.by("saddr").absent("5m")),
  }),
  rule({ alert: "First", when: drops.by("saddr").first({ learn: "1d" }) }),
  rule({
    alert: "Health",
    when: health.where({ event: ["lost"], why: "x" }).by("rule").count("1m").above(0),
  }),
  rule({
    alert: "Code",
    on: drops.filter(["comm"], () => true).by("saddr", "dport"),
    by: ["saddr"],
    state: { version: 1, init: () => ({}), migrate: () => ({}) },
    each: () => {},
    every: "10s",
    tick: () => {},
  }),
];

const deep = JSON.parse("[".repeat(2000) + "]".repeat(2000)) as unknown;
const junk: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  "NaN",
  "",
  "x".repeat(5000),
  "__proto__",
  "constructor",
  "10s",
  "dport",
  "NO_SOCKET",
  [],
  [null],
  ["dport", "dport"],
  [["dport"]],
  {},
  { toString: null },
  { toString: 1, valueOf: 2 },
  { function: true },
  { not: { not: 5 } },
  JSON.parse(`{"__proto__": 5, "constructor": {}}`),
  { is: "and", of: [null, null], at: "" },
  { data: {} },
  deep,
];

type Node = { [key: string]: unknown };

/** All places in it, as far as a rule goes: an object or an array, and a key there. */
function placesIn(value: unknown, depth = 0): [Node, string][] {
  if (typeof value !== "object" || value === null || depth > 20) return [];
  const node = value as Node;
  return Object.keys(node).flatMap((
    key,
  ) => [[node, key] as [Node, string], ...placesIn(node[key], depth + 1)]);
}

test("a rule with junk in any place is told, or can be watched, and never crashes the check", () => {
  const random = randomFrom(91);
  const file = "rules/junk.ts";
  const bundle = { id: "junk", code: "", inputs: [], place: () => ({ file, line: 1, column: 1 }) };
  const source = (): string => "export default rule({})\n".repeat(5);
  let [right, wrong] = [0, 0];
  for (let round = 0; round < 2000; round++) {
    const made = random.pick(rules);
    const raw = JSON.parse(plainJson(made.data)) as Node;
    for (let i = random.int(1, 2); i > 0; i--) {
      const [node, key] = random.pick(placesIn(raw));
      if (random.chance(0.15)) delete node[key];
      else if (random.chance(0.1)) node[random.pick(["x", "is", "unknown"])] = random.pick(junk);
      else node[key] = structuredClone(random.pick(junk));
    }
    const reply = readReply(JSON.stringify({ say: "rules", token: "", rules: [raw] }));
    if (reply?.say !== "rules") continue; // The rule host never said such a thing.
    const context = { file, index: 0, bundle, source, facts, interval: 1000 };
    const { rule, errors } = checkRule(reply.rules[0]!, context);
    for (const error of errors) {
      expect(["RULE_MISTAKE", "UNAVAILABLE_FIELD"]).toContain(error.code);
      expect(error.message.length).toBeLessThan(1000);
    }
    expect(rule === undefined).toBe(errors.length > 0);
    if (rule === undefined) {
      wrong++;
      continue;
    }
    right++;
    const { second } = watching([rule], { code: [made] });
    second([[{ reason: "NO_SOCKET", dport: "5", saddr: "192.0.2.1", len: "9" }, 3]]);
    second();
  }
  expect(right).toBeGreaterThan(50);
  expect(wrong).toBeGreaterThan(1000);
});

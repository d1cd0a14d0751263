/**
 * Tests of rules, on `bun test` and `deno test`: tables of what is dropped and what must be said of it,
 * on a time of their own.
 *
 * @module
 */
import { test } from "bun:test";
import { ruleTestFailed, showError } from "./core/error.ts";
import type { DropwatchError } from "./core/error.ts";
import type { Rule } from "./core/rule/rule.ts";
import { readCases } from "./core/testing/case.ts";
import type { RuleCase } from "./core/testing/case.ts";
import { runCase } from "./core/testing/run_case.ts";

export type { At, DropGiven, Expected, Given, HealthGiven, RuleCase } from "./core/testing/case.ts";

/**
 * Tests a rule, or the rules of a file. Each case is a test of its own; it is run twice, counted as the
 * kernel counts and drop by drop, and both must do the same.
 *
 * A case that fails says what was otherwise, and when (RULE_TEST_FAILED). Where the cases themselves are
 * wrong, a test of that fails instead (BAD_RULE_TEST).
 *
 * @example
 * ```ts
 * import { drops, rule } from "dropwatch";
 * import { ruleTest } from "dropwatch/test";
 *
 * const refused = rule({
 *   alert: "Refused",
 *   when: drops.where({ reason: "SOCKET_FILTER" }).by("owner").rate("10s").above(20),
 *   for: "5s",
 * });
 *
 * ruleTest(refused, [{
 *   name: "fires for the owner that refuses",
 *   given: [{ from: 0, to: "30s", drop: { reason: "SOCKET_FILTER", owner: "syncthing" }, rate: 50 }],
 *   expect: [
 *     { at: "4s", state: "inactive" },
 *     { at: "5s", state: "pending", labels: { owner: "syncthing" }, value: 25 },
 *     { at: "10s", state: "firing" },
 *   ],
 * }]);
 * ```
 */
export function ruleTest(rule: Rule | readonly Rule[], cases: readonly RuleCase[]): void {
  const rules = [rule].flat() as Rule[];
  const [{ data: { alert } } = { data: { alert: "no rule" } }] = rules;
  let read: readonly RuleCase[] = [];
  try {
    read = readCases(cases);
  } catch (thrown) {
    test(`${alert}: its cases can be read`, () => {
      throw ruleTestFailed(showError(thrown as DropwatchError));
    });
  }
  for (const each of read) {
    test(`${alert}: ${each.name}`, async () => {
      const counted = await runCase(rules, each, "counted");
      if (counted.failures.length > 0) {
        throw ruleTestFailed([...counted.failures, "what happened:", ...counted.log].join("\n"));
      }
      const single = await runCase(rules, each, "by event");
      if (single.log.join("\n") !== counted.log.join("\n")) {
        throw ruleTestFailed(
          ["counted in the kernel:", ...counted.log, "drop by drop:", ...single.log].join("\n"),
        );
      }
    });
  }
}

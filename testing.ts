/**
 * Tests of rules and of routes, on `bun test` and `deno test`: tables of what is dropped and what must be
 * said of it, of which alerts fire and who must be told, on a time of their own.
 *
 * @module
 */
import { test } from "bun:test";
import { makeRouting } from "./core/alert/route.ts";
import { ruleTestFailed, showError } from "./core/error.ts";
import type { DropwatchError } from "./core/error.ts";
import type { Rule } from "./core/rule/rule.ts";
import { readCases } from "./core/testing/case.ts";
import type { RuleCase } from "./core/testing/case.ts";
import { readRouteCases, runRouteCase } from "./core/testing/route_case.ts";
import type { RouteCase, RouteSink } from "./core/testing/route_case.ts";
import { runCase } from "./core/testing/run_case.ts";
import { describeSink, distinct } from "./plugins/sinks/registry.ts";
import type { Config } from "./core/rule/config.ts";
import { readConfig } from "./core/rule/config.ts";

export type {
  ExpectedNotification,
  RouteAt,
  RouteCase,
  RouteGiven,
} from "./core/testing/route_case.ts";
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

/**
 * Tests who is told of what by a config: alerts fire and end, on a time of their own, and what is sent must
 * be what each case expects, and nothing else. Sinks are not made and nothing leaves the machine; secrets
 * needn't be there.
 *
 * A case that fails says what was otherwise, and all that was sent (RULE_TEST_FAILED). Where the config or
 * the cases themselves are wrong, a test of that fails instead (BAD_CONFIG, BAD_RULE_TEST).
 *
 * @example
 * ```ts
 * import { defineConfig } from "dropwatch";
 * import { webhook } from "dropwatch/sinks";
 * import { routeTest } from "dropwatch/test";
 *
 * const config = defineConfig({
 *   sinks: [webhook({ name: "ops", url: { env: "OPS_URL" } }), "stdout"],
 *   route: {
 *     receiver: "ops",
 *     groupBy: ["alertname"],
 *     routes: [{ matchers: ['severity="info"'], receiver: "stdout" }],
 *   },
 * });
 *
 * routeTest(config, [{
 *   name: "ops are told of a group, once, and of its end",
 *   given: [
 *     { at: 0, fires: { alertname: "SocketFilterDrops", owner: "syncthing" } },
 *     { at: "10s", fires: { alertname: "SocketFilterDrops", owner: "collector" } },
 *     { at: "2m", resolves: { alertname: "SocketFilterDrops", owner: "syncthing" } },
 *     { at: "3m", resolves: { alertname: "SocketFilterDrops", owner: "collector" } },
 *   ],
 *   expect: [
 *     {
 *       at: "30s",
 *       receiver: "ops",
 *       reason: "first notification",
 *       alerts: [{ owner: "syncthing" }, { owner: "collector" }],
 *     },
 *     { at: "5m30s", receiver: "ops", status: "resolved", reason: "all alerts resolved" },
 *   ],
 *   until: "1d",
 * }]);
 * ```
 */
export function routeTest(config: Config, cases: readonly RouteCase[]): void {
  let read: readonly RouteCase[] = [];
  let sinks: readonly RouteSink[] = [];
  try {
    readConfig("the config", config);
    sinks = numbered((config.sinks ?? ["stdout"]).map(describeSink));
    makeRouting(config, sinks.map(({ name }) => name));
    read = readRouteCases(cases);
  } catch (thrown) {
    test("the route: its config and cases can be read", () => {
      throw ruleTestFailed(showError(thrown as DropwatchError));
    });
  }
  for (const each of read) {
    test(`the route: ${each.name}`, async () => {
      const { failures, log } = await runRouteCase(config, sinks, each);
      if (failures.length > 0) {
        throw ruleTestFailed([...failures, "what was sent:", ...log].join("\n"));
      }
    });
  }
}

/** As a run names them: the second `webhook` is `webhook-2`. */
function numbered(sinks: readonly RouteSink[]): RouteSink[] {
  const names = distinct(sinks.map(({ name }) => name));
  return sinks.map((sink, i) => ({ ...sink, name: names[i]! }));
}

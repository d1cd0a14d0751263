// Routes and inhibitions that are about an alert that no rule makes: most often its name is written
// wrongly, and whoever waits for it is never told.
import { parseMatcher } from "../core/alert/matcher.ts";
import type { RouteConfig, RoutingConfig } from "../core/alert/route.ts";
import { noSuchAlert } from "../core/error.ts";
import type { DropwatchError } from "../core/error.ts";
import { nearest } from "../core/nearest.ts";
import { ownRuleNames } from "../core/rule/own_rules.ts";

/** A name of an alert that a config asks for, and where. */
export interface AskedAlert {
  /** `route.routes.0.matchers`. */
  readonly key: string;
  readonly alert: string;
}

/** The alerts that routes and inhibitions name: `alertname="X"`. */
export function alertsAsked({ route, inhibitRules = [] }: RoutingConfig): AskedAlert[] {
  const named = (key: string, matchers: readonly string[] = []): AskedAlert[] =>
    matchers.map(parseMatcher)
      .filter(({ name, op, value }) => name === "alertname" && op === "=" && value !== "")
      .map(({ value }) => ({ key, alert: value }));
  const below = (each: RouteConfig, at: string): AskedAlert[] => [
    ...named(`${at}.matchers`, each.matchers),
    ...(each.routes ?? []).flatMap((child, i) => below(child, `${at}.routes.${i}`)),
  ];
  return [
    ...(route === undefined ? [] : below(route, "route")),
    ...inhibitRules.flatMap(({ sourceMatchers, targetMatchers }, i) => [
      ...named(`inhibitRules.${i}.sourceMatchers`, sourceMatchers),
      ...named(`inhibitRules.${i}.targetMatchers`, targetMatchers),
    ]),
  ];
}

/** Those of them that none of the rules makes, as warnings: a rule may come while `watch` runs. */
export function alertsMissing(
  asked: readonly AskedAlert[],
  rules: readonly string[],
  file: string,
): DropwatchError[] {
  const known = [...rules, ...ownRuleNames];
  return asked.filter(({ alert }) => !known.includes(alert))
    .map(({ key, alert }) => noSuchAlert(file, key, alert, nearest(alert, known)));
}

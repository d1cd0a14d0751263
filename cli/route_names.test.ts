import { expect, test } from "bun:test";
import { alertsAsked, alertsMissing } from "./route_names.ts";

const config = {
  route: {
    routes: [
      { matchers: ['alertname="LinkDown"', "severity=critical"] },
      { routes: [{ matchers: ["alertname=LinkDwon"] }] },
      { matchers: ["alertname=~Link.*", "alertname!=Gone"] },
    ],
  },
  inhibitRules: [{ sourceMatchers: ["alertname=SinkFailing"], targetMatchers: ["alertname=Gone"] }],
};

test("a route or an inhibition about an alert that no rule makes is told, with what is nearest", () => {
  const told = alertsMissing(alertsAsked(config), ["LinkDown", "Other"], "dropwatch.config.ts");
  expect(told.map(({ message }) => message)).toEqual([
    'route.routes.1.routes.0.matchers is about "LinkDwon", and no rule has that name; nearest: LinkDown',
    'inhibitRules.0.targetMatchers is about "Gone", and no rule has that name',
  ]);
  expect(told[0]).toMatchObject({ code: "NO_SUCH_ALERT", place: { file: "dropwatch.config.ts" } });
});

test("without routes nothing is asked for", () => {
  expect(alertsAsked({})).toEqual([]);
});

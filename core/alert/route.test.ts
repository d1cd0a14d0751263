import { describe, expect, test } from "bun:test";
import { DropwatchError } from "../error.ts";
import { readConfig } from "../rule/config.ts";
import type { Config } from "../rule/config.ts";
import { groupKeyOf, groupLabelsOf, makeRouting, routesFor, routingKeys } from "./route.ts";
import type { Route, RouteConfig, Routing, RoutingConfig } from "./route.ts";
import type { Labels } from "./notification.ts";

const sinks = ["ops", "phone", "chat"];

/** As a config with these sinks is read. */
function routingOf(config: RoutingConfig): Routing {
  readConfig("dropwatch.config.ts", config);
  return makeRouting(config, sinks, "dropwatch.config.ts");
}

function failure(config: unknown): DropwatchError {
  try {
    routingOf(config as Config);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(DropwatchError);
    return thrown as DropwatchError;
  }
  throw new Error(`${JSON.stringify(config)} was taken`);
}

const routeOf = (route: RouteConfig): Route => routingOf({ route }).root;

/** The routes that an alert takes, by their receivers. */
const way = (route: RouteConfig, labels: Labels): string[] =>
  routesFor(routeOf(route), labels).map(({ receivers }) => receivers.join("+"));

describe("without a route", () => {
  test("all sinks are told at once, by the alert's name, and looked after soon", () => {
    const { root, flapping, inhibitions } = makeRouting({}, sinks);
    expect(root).toMatchObject({
      key: "{}",
      receivers: sinks,
      groupBy: ["alertname"],
      groupWait: 0,
      groupInterval: 5000,
      repeatInterval: 4 * 3_600_000,
      routes: [],
    });
    expect(inhibitions).toEqual([]);
    expect(flapping)
      .toEqual({ changes: 6, within: 600_000, quiet: 300_000, longest: 7_200_000 });
  });
});

describe("a route", () => {
  test("has Alertmanager's times and all sinks, where it says nothing else", () => {
    expect(routeOf({})).toMatchObject({
      receivers: sinks,
      groupBy: ["alertname"],
      groupWait: 30_000,
      groupInterval: 300_000,
      repeatInterval: 4 * 3_600_000,
    });
  });

  test("passes on to those below what they don't say themselves", () => {
    const [child] = routeOf({
      receiver: "ops",
      groupBy: ["dev"],
      groupWait: "1s",
      groupInterval: "2s",
      repeatInterval: "3s",
      routes: [{ groupInterval: "10s", routes: [{ receiver: ["phone", "chat"] }] }],
    }).routes;
    const inherited = { groupBy: ["dev"], groupWait: 1000, groupInterval: 10_000 };
    expect(child).toMatchObject({ receivers: ["ops"], ...inherited });
    expect(child!.routes[0])
      .toMatchObject({ receivers: ["phone", "chat"], repeatInterval: 3000, ...inherited });
  });

  test("doesn't pass on its times of day, as in Alertmanager", () => {
    const { root } = routingOf({
      timeIntervals: { night: [{}], office: [{}] },
      route: {
        muteTimeIntervals: ["night"],
        activeTimeIntervals: ["office"],
        routes: [{ receiver: "ops" }],
      },
    });
    expect([root.mute, root.active]).toEqual([["night"], ["office"]]);
    expect([root.routes[0]!.mute, root.routes[0]!.active]).toEqual([[], []]);
  });

  test("takes back what it inherits: groups by other labels, by none, or no waiting", () => {
    const [one, none, all] = routeOf({
      groupBy: ["..."],
      routes: [{ groupBy: ["dev"], groupWait: "0s" }, { groupBy: [] }, {}],
    }).routes;
    expect([one!.groupBy, none!.groupBy, all!.groupBy]).toEqual([["dev"], [], undefined]);
    expect([one!.groupWait, none!.groupWait]).toEqual([0, 30_000]);
  });
});

describe("an alert", () => {
  const tree: RouteConfig = {
    receiver: "ops",
    routes: [
      {
        matchers: ['team="net"'],
        receiver: "chat",
        routes: [{ matchers: ['severity="critical"'], receiver: "phone" }],
      },
      { matchers: ['severity="critical"'], receiver: ["phone", "ops"] },
    ],
  };

  test("goes to the first child that is about it, as deep as there is one", () => {
    expect(way(tree, { team: "net", severity: "critical" })).toEqual(["phone"]);
    expect(way(tree, { team: "net", severity: "info" })).toEqual(["chat"]);
    expect(way(tree, { severity: "critical" })).toEqual(["phone+ops"]);
  });

  test("that no child is about goes to the route itself", () => {
    expect(way(tree, { severity: "info" })).toEqual(["ops"]);
    expect(way(tree, {})).toEqual(["ops"]);
  });

  test("goes on to the next where a route says `continue`, and ends where one doesn't", () => {
    const on: RouteConfig = {
      receiver: "ops",
      routes: [
        { matchers: ["a=1"], receiver: "phone", continue: true },
        { matchers: ["b=1"], receiver: "chat" },
        { receiver: "ops" },
      ],
    };
    expect(way(on, { a: "1", b: "1" })).toEqual(["phone", "chat"]);
    expect(way(on, { a: "1" })).toEqual(["phone", "ops"]);
    expect(way(on, { b: "1" })).toEqual(["chat"]);
    expect(way(on, {})).toEqual(["ops"]);
  });

  test("doesn't go back to the route above, where only one with `continue` was about it", () => {
    const on: RouteConfig = {
      receiver: "ops",
      routes: [{ matchers: ["a=1"], receiver: "phone", continue: true }],
    };
    expect(way(on, { a: "1" })).toEqual(["phone"]);
  });

  // A `continue` below is about its own brothers: the one above decides whether its aunts are asked.
  test("leaves a branch with what that branch says, not with what a leaf of it says", () => {
    const on: RouteConfig = {
      receiver: "ops",
      routes: [
        {
          matchers: ["a=1"],
          receiver: "phone",
          routes: [{ matchers: ["b=1"], receiver: "chat", continue: true }],
        },
        { receiver: "ops" },
      ],
    };
    expect(way(on, { a: "1", b: "1" })).toEqual(["chat"]);
  });

  test("needs all matchers of a route", () => {
    const both: RouteConfig = {
      receiver: "ops",
      routes: [{ matchers: ["a=1", "b!=2"], receiver: "phone" }],
    };
    expect(way(both, { a: "1" })).toEqual(["phone"]);
    expect(way(both, { a: "1", b: "2" })).toEqual(["ops"]);
  });
});

describe("a group", () => {
  const labels = { severity: "info", dev: "eth0", alertname: "X" };

  test("is made of the labels of `groupBy` that an alert has, by their names", () => {
    const by = (groupBy: string[]): Labels => groupLabelsOf(routeOf({ groupBy }), labels);
    expect(Object.entries(by(["severity", "alertname", "owner"])))
      .toEqual([["alertname", "X"], ["severity", "info"]]);
    expect(by([])).toEqual({});
    expect(by(["constructor", "toString"])).toEqual({});
  });

  test('of "..." is made of all labels', () => {
    expect(Object.entries(groupLabelsOf(routeOf({ groupBy: ["..."] }), labels)))
      .toEqual([["alertname", "X"], ["dev", "eth0"], ["severity", "info"]]);
  });

  const keyOf = (route: RouteConfig, of: Labels): string => {
    const [taken] = routesFor(routeOf(route), of);
    return groupKeyOf(taken!, groupLabelsOf(taken!, of));
  };

  // `fmt.Sprintf("%s:%s", routeKey, labels)`, alertmanager/dispatch/dispatch.go; LabelSet.String of
  // prometheus/common/model.
  test("has Alertmanager's key: the matchers from the root, then its labels", () => {
    expect(keyOf({}, labels)).toBe('{}:{alertname="X"}');
    expect(keyOf({ groupBy: [] }, labels)).toBe("{}:{}");
    const routes = [{
      matchers: ['severity=~"info|warning"', "alertname!=Y"],
      routes: [{ matchers: ["dev=eth0"] }],
    }];
    expect(keyOf({ groupBy: ["severity", "alertname"], routes }, labels)).toBe(
      '{}/{alertname!="Y",severity=~"info|warning"}/{dev="eth0"}:{alertname="X", severity="info"}',
    );
    expect(keyOf({ routes: [{}] }, labels)).toBe('{}/{}:{alertname="X"}');
  });

  // strconv.Quote of Go.
  test("has values in its key that are quoted as Go does it, so that it can be printed", () => {
    const shown = (value: string): string =>
      groupKeyOf(routeOf({}), { a: value }).slice('{}:{a="'.length, -2);
    expect(shown('say "hi" \\')).toBe(String.raw`say \"hi\" \\`);
    expect(shown("\x07\b\f\n\r\t\v")).toBe(String.raw`\a\b\f\n\r\t\v`);
    expect(shown("\x00\x1b[31m\x7f")).toBe(String.raw`\x00\x1b[31m\x7f`);
    expect(shown("\u0085\u00a0\u202e\ufeff")).toBe(String.raw`\u0085\u00a0\u202e\ufeff`);
    expect(shown("\u{e0001}")).toBe(String.raw`\U000e0001`);
    expect(shown("ü 🦊 日本")).toBe("ü 🦊 日本");
  });

  test("is another one for another value, also for halves of characters", () => {
    const keys = ["", "a", "A", " ", "\ud800", "\ud801", "\\ud800", "a, b", 'a", b="'].map((a) =>
      groupKeyOf(routeOf({}), { a })
    );
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe("a config", () => {
  test("names the nearest where a receiver isn't there", () => {
    const { code, message, place } = failure({
      route: { receiver: "ops", routes: [{}, { receiver: ["chat", "phon"] }] },
    });
    expect(code).toBe("BAD_CONFIG");
    expect(place?.file).toBe("dropwatch.config.ts");
    expect(message).toBe(
      'Cannot use route.routes.1.receiver = "phon": expected one of ops, phone, chat; nearest: phone',
    );
  });

  test("names the nearest where a time isn't there", () => {
    const timeIntervals = { night: [{}], office: [{}] };
    expect(
      failure({ timeIntervals, route: { routes: [{ muteTimeIntervals: ["nihgt"] }] } }).message,
    )
      .toBe(
        'Cannot use route.routes.0.muteTimeIntervals = "nihgt": expected one of night, office; ' +
          "nearest: night",
      );
    expect(failure({ timeIntervals, route: { activeTimeIntervals: ["ofice"] } }).message)
      .toContain(
        'route.activeTimeIntervals = "ofice": expected one of night, office; nearest: office',
      );
    expect(failure({ route: { muteTimeIntervals: ["night"] } }).message)
      .toContain('route.muteTimeIntervals = "night": expected nothing: there is none');
  });

  test("has no matchers at the root: all alerts take it", () => {
    expect(failure({ route: { matchers: ["a=b"] } }).message)
      .toContain("route.matchers = ");
    expect(routeOf({ matchers: [] }).key).toBe("{}");
  });

  test("says where a matcher can't be read, and why", () => {
    expect(failure({ route: { routes: [{ matchers: ["severity"] }] } }).message).toBe(
      'Cannot use route.routes.0.matchers.0 = "severity": ' +
        `expected a matcher like 'severity="critical"'`,
    );
    const severity = (matcher: string): unknown => ({
      route: { routes: [{ matchers: [matcher] }] },
    });
    expect(failure(severity("severity=critcal")).message).toBe(
      'Cannot use route.routes.0.matchers.0 = "severity=critcal": ' +
        "expected a severity: critical, warning or info",
    );
    expect(failure(severity("severity!=page")).code).toBe("BAD_CONFIG");
    expect(
      failure({ inhibitRules: [{ sourceMatchers: ["a=~("], targetMatchers: ["b=c"] }] }).message,
    )
      .toBe(
        'Cannot use inhibitRules.0.sourceMatchers.0 = "a=~(": ' +
          "expected a pattern of RE2: error parsing regexp: missing closing ): `(`",
      );
  });

  const duration = 'expected a duration like "30s"';
  const wrong: readonly (readonly [config: unknown, said: string])[] = [
    [{ route: { groupWait: "30" } }, `route.groupWait = "30": ${duration}, or "0s"`],
    [{ route: { groupWait: 30 } }, `route.groupWait = "30": ${duration}, or "0s"`],
    [{ route: { groupInterval: "0s" } }, `route.groupInterval = "0s": ${duration}`],
    [{ route: { repeatInterval: "0s" } }, `route.repeatInterval = "0s": ${duration}`],
    [{ route: { receiver: [] } }, "route.receiver = "],
    [{ route: { receiver: 5 } }, `expected a sink's name, or several`],
    [{ route: { groupBy: "alertname" } }, "expected a list of labels"],
    [{ route: { groupBy: ["...", "dev"] } }, `expected labels, or ["..."] alone`],
    [{ route: { matchers: "a=b" } }, "expected a list of matchers"],
    [{ route: { continue: "yes" } }, `route.continue = "yes": expected true or false`],
    [{ route: { routes: {} } }, "expected a list of routes"],
    [{ route: "ops" }, "expected a route"],
    [{ timeIntervals: { night: [] } }, "expected a time or more"],
    [{ timeIntervals: { night: {} } }, "expected a list of times"],
    [{ timeIntervals: "night" }, "expected times by their names"],
    [{ inhibitRules: {} }, "expected a list of inhibitions"],
    [
      { inhibitRules: [{ sourceMatchers: [], targetMatchers: ["a=b"] }] },
      "inhibitRules.0.sourceMatchers = ",
    ],
    [{ inhibitRules: [{ sourceMatchers: ["a=b"] }] }, "inhibitRules.0.targetMatchers"],
    [{ flapping: true }, "expected { changes, within, quiet, longest }, or false"],
    [{ flapping: { changes: 2 } }, "expected a whole number from 3 to 100"],
    [{ flapping: { changes: 2.5 } }, "expected a whole number from 3 to 100"],
    [{ flapping: { changes: "6" } }, "expected a whole number from 3 to 100"],
    [{ flapping: { quiet: "5" } }, `flapping.quiet = "5": ${duration}`],
    [{ externalURL: "javascript:alert(1)" }, "expected a URL of http or https"],
    [{ externalURL: "example.org" }, "expected a URL of http or https"],
  ];
  for (const [config, said] of wrong) {
    test(`isn't ${JSON.stringify(config)}`, () => {
      const { code, message } = failure(config);
      expect(code).toBe("BAD_CONFIG");
      expect(message).toContain(said);
      expect(message).not.toContain("Invalid");
    });
  }

  test("names a key that there isn't, however deep, and the nearest", () => {
    const said = (config: unknown): string => failure(config).message;
    expect(said({ route: { groupby: ["dev"] } }))
      .toBe('Cannot use the key "route.groupby": there is no such key; nearest: groupBy');
    expect(said({ route: { routes: [{ routes: [{ reciever: "ops" }] }] } })).toBe(
      'Cannot use the key "route.routes.0.routes.0.reciever": there is no such key; ' +
        "nearest: receiver",
    );
    expect(said({ inhibitRules: [{ sourceMatchers: ["a=b"], targetMatcher: ["a=b"] }] }))
      .toContain("nearest: targetMatchers");
    expect(said({ flapping: { longst: "2h" } })).toContain("nearest: longest");
    expect(said({ timeInterval: {} })).toContain("nearest: timeIntervals");
    expect(failure({ route: { x: 1 } }).code).toBe("UNKNOWN_CONFIG_KEY");
  });

  test("takes each of the keys that are named as near", () => {
    const times = [{ startTime: "09:00", endTime: "17:00" }];
    const interval = {
      times,
      weekdays: ["monday"],
      daysOfMonth: ["1"],
      months: ["1"],
      years: ["2026"],
      location: "UTC",
    };
    const route: RouteConfig = {
      receiver: "ops",
      groupBy: ["dev"],
      groupWait: "0s",
      groupInterval: "1s",
      repeatInterval: "1s",
      matchers: [],
      continue: false,
      activeTimeIntervals: ["night"],
      muteTimeIntervals: ["night"],
      routes: [],
    };
    const inhibition = { sourceMatchers: ["a=b"], targetMatchers: ["b=c"], equal: ["dev"] };
    const flapping = { changes: 3, within: "1m", quiet: "1m", longest: "1m" } as const;
    routingOf({
      timeIntervals: { night: [interval] },
      route,
      inhibitRules: [inhibition],
      flapping,
    });
    const keys = [route, interval, times[0]!, inhibition, flapping].flatMap((each) =>
      Object.keys(each)
    );
    expect(routingKeys.toSorted()).toEqual(keys.toSorted());
  });
});

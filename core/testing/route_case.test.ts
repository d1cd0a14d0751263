// A case of a route's test that expects what isn't sent fails, and says what was.
import { describe, expect, test } from "bun:test";
import { textOf } from "../alert/text.ts";
import { DropwatchError } from "../error.ts";
import type { Duration } from "../rule/duration.ts";
import type { Config } from "../rule/config.ts";
import { readRouteCases, runRouteCase } from "./route_case.ts";
import type { ExpectedNotification, RouteCase, RouteGiven, RouteSink } from "./route_case.ts";

const ops: RouteSink = { name: "ops", sort: "groups", text: textOf };
const log: RouteSink = { name: "log", sort: "changes", text: textOf };

const config: Config = { route: { groupBy: [] } };
const given: readonly RouteGiven[] = [
  {
    at: 0,
    fires: { alertname: "Drops", dev: "eth0" },
    summary: "eth0 drops",
    severity: "critical",
  },
  { at: "10s", fires: { alertname: "Drops", dev: "eth1" } },
  { at: "1m", resolves: { alertname: "Drops", dev: "eth0" } },
  { at: "2m", resolves: { alertname: "Drops", dev: "eth1" } },
];
const first: ExpectedNotification = {
  at: "30s",
  receiver: "ops",
  status: "firing",
  reason: "first notification",
  alerts: [{ dev: "eth1" }, { dev: "eth0", severity: "critical" }],
  text: "eth0 drops",
};
const last: ExpectedNotification = { at: "5m30s", receiver: "ops", status: "resolved" };

/** What fails where this is expected. */
async function failuresOf(
  expected: readonly ExpectedNotification[],
  more: Partial<RouteCase> & { readonly sinks?: readonly RouteSink[]; readonly config?: Config } =
    {},
): Promise<readonly string[]> {
  const { sinks = [ops], config: other = config, ...parts } = more;
  const { failures } = await runRouteCase(other, sinks, {
    name: "a case",
    given,
    until: "1h",
    ...parts,
    expect: expected,
  });
  return failures;
}

describe("a case", () => {
  test("passes where all that it expects is sent, and nothing else", async () => {
    expect(await failuresOf([first, last])).toEqual([]);
    expect(await failuresOf([{ at: "30s", receiver: "ops" }, { at: "5m30s", receiver: "ops" }]))
      .toEqual([]);
  });

  const wrong: readonly (readonly [what: string, Partial<ExpectedNotification>, said: string])[] = [
    ["another time", { at: "31s" }, "it was sent at 30s, not at 31s"],
    ["another status", { status: "resolved" }, 'the status is "firing", not "resolved"'],
    [
      "another reason",
      { reason: "new alerts in group" },
      'the reason is "first notification", not "new alerts in group"',
    ],
    [
      "an alert more",
      { alerts: [...first.alerts!, { dev: "lo" }] },
      'it has no alert with {"dev":"lo"}',
    ],
    [
      "an alert less",
      { alerts: [{ dev: "eth0" }] },
      'it has an alert with {"alertname":"Drops","dev":"eth1","severity":"warning"}',
    ],
    [
      "another alert",
      { alerts: [{ dev: "eth0", severity: "info" }, { dev: "eth1" }] },
      'it has no alert with {"dev":"eth0","severity":"info"}',
    ],
    ["one alert twice", { alerts: [{ dev: "eth0" }, { dev: "eth0" }] }, "it has no alert with"],
    ["another text", { text: "eth7" }, 'its text is "FIRING (2) Drops: eth0 drops'],
    ["another pattern", { text: /eth7/ }, "without /eth7/"],
  ];
  for (const [what, parts, said] of wrong) {
    test(`that expects ${what} fails, and says so`, async () => {
      const failures = await failuresOf([{ ...first, ...parts }, last]);
      expect(failures).toHaveLength(1);
      expect(failures[0]).toMatch(/^expected at (30|31)s to ops: /);
      expect(failures[0]).toContain(said);
    });
  }

  test("that expects another receiver fails, and says what was sent to whom", async () => {
    expect(await failuresOf([{ at: "30s", receiver: "chat" }, last])).toEqual([
      "expected at 30s to chat: nothing was sent there",
      "not expected: at 30s to ops: firing, first notification: Drops, Drops in {}:{}",
    ]);
  });

  test("that expects less than is sent fails", async () => {
    expect(await failuresOf([first])).toEqual([
      "not expected: at 5m30s to ops: resolved, all alerts resolved: Drops, Drops in {}:{}",
    ]);
    expect(await failuresOf([])).toHaveLength(2);
  });

  test("that expects more than is sent fails", async () => {
    expect(await failuresOf([first, last, last]))
      .toEqual(["expected at 5m30s to ops: nothing was sent there"]);
  });

  test("ends with its last time, or with `until`", async () => {
    const { failures, log } = await runRouteCase(config, [ops], {
      name: "a case",
      given,
      expect: [first],
    });
    expect([failures, log.length]).toEqual([[], 1]);
    expect(await failuresOf([first], { until: "5m" })).toEqual([]);
    expect(await failuresOf([first], { until: "5m30s" })).toHaveLength(1);
  });

  test("tells times to the millisecond", async () => {
    const odd: Config = { route: { groupBy: [], groupWait: "1h2m" as Duration } };
    const [failure] = await failuresOf([{ at: "1h2m", receiver: "ops" }], {
      config: odd,
      given: [{ at: "3s7ms", fires: { alertname: "X" } }],
      until: "2h",
    });
    expect(failure).toBe("expected at 1h2m to ops: it was sent at 1h2m3s7ms, not at 1h2m");
  });

  test("gives each expectation what it asks for, the one that asks for more first", async () => {
    const both: readonly RouteGiven[] = ["a", "b"]
      .map((dev) => ({ at: 0, fires: { alertname: "X", dev } }));
    const loose: ExpectedNotification = { at: 0, receiver: "log" };
    const strict: ExpectedNotification = { ...loose, alerts: [{ dev: "a" }] };
    for (const expected of [[loose, strict], [strict, loose]]) {
      expect(await failuresOf(expected, { given: both, sinks: [log], config: {}, until: "1m" }))
        .toEqual([]);
    }
  });

  test("takes a pattern as it is, also one that remembers where it was", async () => {
    const text = /eth0/g;
    expect(await failuresOf([{ ...first, text }, { ...last, text }])).toEqual([]);
  });

  test("that ends what doesn't fire fails: it was meant otherwise", async () => {
    const odd: RouteGiven = { at: "3m", resolves: { alertname: "Drops", dev: "eth0" } };
    expect(await failuresOf([first, last], { given: [...given, odd] })).toEqual([
      'at 3m no alert with {"alertname":"Drops","dev":"eth0"} fires',
    ]);
  });

  test("ends the alert that has the labels, and of several the one that has the fewest more", async () => {
    const { log: lines } = await runRouteCase({}, [log], {
      name: "a case",
      given: [
        { at: 0, fires: { alertname: "X", dev: "a" } },
        { at: 0, fires: { alertname: "X" } },
        { at: "1s", resolves: { alertname: "X" } },
      ],
      expect: [],
    });
    expect(lines).toHaveLength(3);
    expect(lines[2]!.split(" in ")[1]).toBe(lines[1]!.split(" in ")[1]);
  });

  test("lets happen in one tick what happens at one time", async () => {
    const at0: readonly RouteGiven[] = ["a", "b"]
      .map((dev) => ({ at: 0, fires: { alertname: "X", dev } }));
    expect(
      await failuresOf([{ at: 0, receiver: "ops", alerts: [{ dev: "a" }, { dev: "b" }] }], {
        given: at0,
        config: {},
      }),
    ).toEqual([]);
  });

  test("begins at the time that it says, or on a Monday at midnight", async () => {
    const timeIntervals = {
      weekend: [{ weekdays: ["saturday", "sunday"] }],
      monday: [{ weekdays: ["monday"], times: [{ startTime: "00:00", endTime: "00:01" }] }],
    };
    const route = { route: { activeTimeIntervals: ["weekend"] } };
    const fires: readonly RouteGiven[] = [{ at: 0, fires: { alertname: "X" } }];
    const expected: ExpectedNotification[] = [{ at: "30s", receiver: "ops" }];
    expect(
      await failuresOf(expected, {
        config: { timeIntervals, ...route },
        from: "2026-01-03T12:00:00+02:00",
        given: fires,
      }),
    ).toEqual([]);
    expect(
      await failuresOf(expected, {
        config: { timeIntervals, route: { activeTimeIntervals: ["monday"] } },
        given: fires,
      }),
    ).toEqual([]);
  });

  test("has sinks that mirror and that give signs of life, and expects nothing of them", async () => {
    const others: readonly RouteSink[] = [
      { name: "mirror", sort: "mirror", text: textOf },
      { name: "pulse", sort: "heartbeat", text: textOf },
    ];
    expect(
      await failuresOf([first, last], {
        sinks: [ops, ...others],
        config: { route: { groupBy: [], receiver: ["mirror", "pulse", "ops"] } },
      }),
    ).toEqual([]);
  });

  test("silences what matches, for as long as it says", async () => {
    const silenced: readonly RouteGiven[] = [
      { at: 0, silence: { matchers: ["dev=eth0"], duration: "1m", comment: "upgrade" } },
      { at: "10s", fires: { alertname: "X", dev: "eth0" } },
    ];
    expect(await failuresOf([{ at: "1m", receiver: "log" }], { sinks: [log], given: silenced }))
      .toEqual([]);
  });
});

describe("cases", () => {
  const right: RouteCase = { name: "right", given: [], expect: [] };

  function mistake(...cases: readonly unknown[]): DropwatchError {
    try {
      readRouteCases(cases as readonly RouteCase[]);
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(DropwatchError);
      return thrown as DropwatchError;
    }
    throw new Error("they were taken");
  }

  const givenOf = (each: unknown): unknown => ({ ...right, given: [each] });
  const expectOf = (each: unknown): unknown => ({ ...right, expect: [each] });

  test("are taken as they are", () => {
    const cases = [right, { ...right, name: "other" }];
    expect(readRouteCases(cases)).toBe(cases);
  });

  test("have names of their own", () => {
    const { code, message } = mistake(right, { ...right, name: "other" }, right);
    expect(code).toBe("BAD_RULE_TEST");
    expect(message).toContain("case 3");
    expect(message).toContain('"right"');
    expect(message).toContain("a name that no other case has");
  });

  const wrong: readonly (readonly [what: string, case_: unknown, said: readonly string[]])[] = [
    ["no name", { given: [], expect: [] }, ["case 1, name", ": { name, given, expect, … }"]],
    ["an empty name", { ...right, name: "" }, ["case 1, name", ": a text"]],
    ["no list", { ...right, given: {} }, ["case 1, given", ": a list of what happens"]],
    ["an unknown key", { ...right, untl: "1h" }, ["case 1, untl", "no such key; nearest: until"]],
    ["a wrong until", { ...right, until: "soon" }, ["case 1, until", 'a duration like "30s"']],
    ["a wrong from", { ...right, from: "monday" }, ["case 1, from", "2026-01-05T00:00:00Z"]],
    ["no case", null, ["case 1"]],
    [
      "what happens at no time",
      givenOf({ fires: { alertname: "X" } }),
      ["case 1, given.0.at", ": { at, fires, … }"],
    ],
    [
      "what happens at a wrong time",
      givenOf({ at: "0s", fires: { alertname: "X" } }),
      ["given.0.at", 'a time such as "10s", or 0'],
    ],
    ["an alert without a name", givenOf({ at: 0, fires: { dev: "a" } }), ["labels with alertname"]],
    ["a label that is no text", givenOf({ at: 0, fires: { alertname: "X", n: 5 } }), ["a text"]],
    [
      "something that can't happen",
      givenOf({ at: 0, fire: { alertname: "X" } }),
      ["given.0.fire", "no such key; nearest: fires"],
    ],
    [
      "two things at once",
      givenOf({ at: 0, fires: { alertname: "X" }, resolves: { alertname: "X" } }),
      ["given.0.resolves", "no such key"],
    ],
    [
      "an unknown key of an alert",
      givenOf({ at: 0, fires: { alertname: "X" }, severty: "info" }),
      ["given.0.severty", "nearest: severity"],
    ],
    [
      "an unknown severity",
      givenOf({ at: 0, fires: { alertname: "X" }, severity: "page" }),
      ["given.0.severity", "critical, warning or info"],
    ],
    [
      "an unknown key of a silence",
      givenOf({ at: 0, silence: { matchers: ["a=b"], duraton: "1h" } }),
      ["given.0.silence.duraton", "nearest: duration"],
    ],
    ["a restart that is none", givenOf({ at: 0, restart: false }), ["given.0.restart", "true"]],
    [
      "an unknown key of a notification",
      expectOf({ at: 0, reciever: "ops" }),
      ["case 1, expect.0.reciever", "nearest: receiver"],
    ],
    ["a notification for nobody", expectOf({ at: 0 }), [
      "expect.0.receiver",
      ": { at, receiver, … }",
    ]],
    [
      "an unknown status",
      expectOf({ at: 0, receiver: "ops", status: "pending" }),
      ["expect.0.status", "firing or resolved"],
    ],
    [
      "alerts that are no list",
      expectOf({ at: 0, receiver: "ops", alerts: { dev: "a" } }),
      ["expect.0.alerts", "a list of labels"],
    ],
    [
      "a text that is a number",
      expectOf({ at: 0, receiver: "ops", text: 5 }),
      ["expect.0.text", "a text or a pattern"],
    ],
  ];
  for (const [what, each, said] of wrong) {
    test(`with ${what} can't be read`, () => {
      const { code, message } = mistake(each);
      expect(code).toBe("BAD_RULE_TEST");
      for (const part of said) expect(message).toContain(part);
    });
  }
});

// Who is told of what, when and why. Most of it is run as a whole, with outbox and state, on a time of its
// own; and each of those cases once more with dropwatch killed in between.
import { describe, expect, test } from "bun:test";
import { alertOf } from "../../test/alert.ts";
import { randomFrom } from "../../test/random.ts";
import { runRouteCase } from "../testing/route_case.ts";
import type { RouteCase, RouteGiven, RouteSink } from "../testing/route_case.ts";
import type { AlertMessage } from "./alert.ts";
import { makeDispatcher } from "./dispatch.ts";
import type { Dispatcher, DispatchOptions } from "./dispatch.ts";
import { makeJournal } from "./journal.ts";
import type { Journal } from "./journal.ts";
import { mostAlerts } from "./notification.ts";
import type { Notification } from "./notification.ts";
import type { Body } from "./outbox.ts";
import { makeRouting } from "./route.ts";
import type { RoutingConfig } from "./route.ts";
import { makeSilence, makeSilencer } from "./silence.ts";
import type { Sink } from "./sink.ts";
import { textOf } from "./text.ts";

const sinkOf = (name: string, more: Partial<RouteSink> = {}): RouteSink => ({
  name,
  sort: "groups",
  text: textOf,
  ...more,
});
const ops = sinkOf("ops");
const log = sinkOf("log", { sort: "changes" });

const fires = (at: RouteGiven["at"], alertname: string, more: object = {}): RouteGiven => ({
  at,
  fires: { alertname, ...more },
});
const ends = (at: RouteGiven["at"], alertname: string, more: object = {}): RouteGiven => ({
  at,
  resolves: { alertname, ...more },
});

interface Story {
  readonly config: RoutingConfig;
  readonly sinks?: readonly RouteSink[];
  readonly given: readonly RouteGiven[];
  readonly until: NonNullable<RouteCase["until"]>;
  readonly from?: string;
}

/** What is told in a story, a line each: `30s ops: firing, first notification: X`. */
async function told(
  { config, sinks = [ops], given, until, from }: Story,
): Promise<string[]> {
  const { failures, log } = await runRouteCase(config, sinks, {
    name: "a story",
    given,
    expect: [],
    until,
    ...(from === undefined ? {} : { from }),
  });
  expect(failures.filter((line) => !line.startsWith("not expected: "))).toEqual([]);
  return log.map((line) =>
    line.replace(/^at (.*?) to /, "$1 ").replace(/ in [^ ]+$| in \{.*$/, "")
  );
}

const byAll = { route: { groupBy: [] } };
const office = {
  timeIntervals: { office: [{ times: [{ startTime: "09:00", endTime: "17:00" }] }] },
};
const steady = { flapping: false } as const;
const down = ['severity="critical"'];

const stories: Readonly<
  Record<string, Story & { readonly told: readonly string[] }>
> = {
  "without a route all sinks are told at once, and of more within five seconds": {
    config: {},
    sinks: [ops, sinkOf("chat"), log],
    given: [fires(0, "X", { dev: "a" }), fires("1s", "X", { dev: "b" }), ends("7s", "X")],
    until: "1m",
    told: [
      "0 ops: firing, first notification: X",
      "0 chat: firing, first notification: X",
      "0 log: firing, first notification: X",
      "1s log: firing, first notification: X",
      "5s ops: firing, new alerts in group: X, X",
      "5s chat: firing, new alerts in group: X, X",
      "7s log: resolved, all alerts resolved: X",
      "10s ops: firing, new resolved alerts: X, X",
      "10s chat: firing, new resolved alerts: X, X",
    ],
  },
  "a new group waits for more alerts before it is told": {
    config: byAll,
    given: [fires(0, "X"), fires("10s", "Y"), fires("29s", "Z")],
    until: "1h",
    told: ["30s ops: firing, first notification: X, Y, Z"],
  },
  "what comes later is told with the next look, every five minutes after the first": {
    config: byAll,
    given: [fires(0, "X"), fires("31s", "Y"), ends("5m31s", "X"), fires("20m29s", "Z")],
    until: "1h",
    told: [
      "30s ops: firing, first notification: X",
      "5m30s ops: firing, new alerts in group: X, Y",
      "10m30s ops: firing, new resolved alerts: Y, X",
      "20m30s ops: firing, new alerts in group: Y, Z",
    ],
  },
  "an alert is told in the moment in which it fires, where no route says to wait": {
    config: {},
    given: [fires("1s", "X")],
    until: "1s",
    told: ["1s ops: firing, first notification: X"],
  },
  "an alert that is over within groupWait is told to nobody": {
    config: byAll,
    given: [fires(0, "X"), ends("29s", "X")],
    until: "1d",
    told: [],
  },
  "an alert that is over before the next look is told to nobody, others are": {
    config: byAll,
    given: [fires(0, "X"), fires("1m", "Y"), ends("2m", "Y"), fires("3m", "Z")],
    until: "1h",
    told: [
      "30s ops: firing, first notification: X",
      "5m30s ops: firing, new alerts in group: X, Z",
    ],
  },
  "a group that was over begins anew": {
    config: byAll,
    given: [fires(0, "X"), ends("1m", "X"), fires("6m", "X"), ends("7m", "X")],
    until: "1h",
    told: [
      "30s ops: firing, first notification: X",
      "5m30s ops: resolved, all alerts resolved: X",
      "6m30s ops: firing, first notification: X",
      "11m30s ops: resolved, all alerts resolved: X",
    ],
  },
  "an alert that ends and fires again between two looks is told once": {
    config: byAll,
    given: [fires(0, "X"), ends("1m", "X"), fires("2m", "X")],
    until: "3h",
    told: ["30s ops: firing, first notification: X"],
  },
  "more alerts are told before ends, ends before a repetition": {
    config: { route: { groupBy: [], repeatInterval: "5m" } },
    given: [
      fires(0, "X"),
      fires("1m", "Y"),
      ends("6m", "X"),
      fires("6m", "Z"),
      ends("11m", "Y"),
    ],
    until: "21m",
    told: [
      "30s ops: firing, first notification: X",
      "5m30s ops: firing, new alerts in group: X, Y",
      "10m30s ops: firing, new alerts in group: Y, Z, X",
      "15m30s ops: firing, new resolved alerts: Z, Y",
      "20m30s ops: firing, repeat interval elapsed: Z",
    ],
  },
  "what fires unchanged is repeated with the first look after repeatInterval": {
    config: { route: { groupBy: [], groupInterval: "5m", repeatInterval: "7m" } },
    given: [fires(0, "X")],
    until: "31m",
    told: [
      "30s ops: firing, first notification: X",
      "10m30s ops: firing, repeat interval elapsed: X",
      "20m30s ops: firing, repeat interval elapsed: X",
      "30m30s ops: firing, repeat interval elapsed: X",
    ],
  },
  "repeatInterval counts from what was told last, whatever that was": {
    config: { route: { groupBy: [], repeatInterval: "10m" } },
    given: [fires(0, "X"), fires("6m", "Y")],
    until: "21m",
    told: [
      "30s ops: firing, first notification: X",
      "10m30s ops: firing, new alerts in group: X, Y",
      "20m30s ops: firing, repeat interval elapsed: X, Y",
    ],
  },
  "a sink that wants no ends is told of none, and of no alert that is over": {
    config: byAll,
    sinks: [sinkOf("ops", { sendResolved: false })],
    given: [
      fires(0, "X"),
      fires("1s", "Y"),
      ends("1m", "X"),
      fires("6m", "Z"),
      ends("11m", "Y"),
      ends("11m", "Z"),
      fires("20m", "X"),
    ],
    until: "1h",
    told: [
      "30s ops: firing, first notification: X, Y",
      "10m30s ops: firing, new alerts in group: Y, Z",
      "20m30s ops: firing, first notification: X",
    ],
  },
  "groups are told apart by the labels of groupBy, each in its own time": {
    config: { route: { groupBy: ["dev"] } },
    given: [
      fires(0, "X", { dev: "a" }),
      fires("10s", "Y", { dev: "b" }),
      fires("20s", "Z", { dev: "a" }),
      fires("25s", "V"),
    ],
    until: "5m",
    told: [
      "30s ops: firing, first notification: X, Z",
      "40s ops: firing, first notification: Y",
      "55s ops: firing, first notification: V",
    ],
  },
  'with groupBy "..." each alert is told by itself': {
    config: { route: { groupBy: ["..."] } },
    given: [fires(0, "X", { dev: "a" }), fires(0, "X", { dev: "b" })],
    until: "5m",
    told: [
      "30s ops: firing, first notification: X",
      "30s ops: firing, first notification: X",
    ],
  },
  "an alert goes to two sinks, each by a route of its own, with `continue`": {
    config: {
      route: {
        receiver: "ops",
        routes: [
          { matchers: ["alertname=X"], receiver: "chat", continue: true, groupWait: "0s" },
          { matchers: ["alertname=X"], receiver: "ops", groupWait: "1m" },
        ],
      },
    },
    sinks: [ops, sinkOf("chat")],
    given: [fires(0, "X"), ends("9m", "X")],
    until: "1h",
    told: [
      "0 chat: firing, first notification: X",
      "1m ops: firing, first notification: X",
      "10m chat: resolved, all alerts resolved: X",
      "11m ops: resolved, all alerts resolved: X",
    ],
  },
  "two routes to one sink tell of an alert once, at the times of either": {
    config: {
      timeIntervals: {
        ...office.timeIntervals,
        night: [{ times: [{ startTime: "17:00", endTime: "24:00" }] }],
      },
      route: {
        routes: [
          {
            matchers: ["alertname=X"],
            activeTimeIntervals: ["office"],
            repeatInterval: "10m",
            continue: true,
          },
          { matchers: ["alertname=X"], activeTimeIntervals: ["night"], repeatInterval: "30m" },
        ],
      },
    },
    from: "2026-01-05T16:45:00Z",
    sinks: [ops, log],
    given: [fires(0, "X"), fires("20m", "X", { dev: "a" })],
    until: "1h",
    told: [
      "0 log: firing, first notification: X",
      "30s ops: firing, first notification: X",
      "10m30s ops: firing, repeat interval elapsed: X",
      "20m log: firing, first notification: X",
      "20m30s ops: firing, new alerts in group: X, X",
      "50m30s ops: firing, repeat interval elapsed: X, X",
    ],
  },
  "a sink for every change gets each of them at once, whatever the route waits for": {
    config: { route: { groupWait: "1m" } },
    sinks: [log],
    given: [fires(0, "X"), fires("1s", "Y"), ends("2s", "X"), fires("3s", "X"), ends("4s", "Y")],
    until: "1d",
    told: [
      "0 log: firing, first notification: X",
      "1s log: firing, first notification: Y",
      "2s log: resolved, all alerts resolved: X",
      "3s log: firing, first notification: X",
      "4s log: resolved, all alerts resolved: Y",
    ],
  },

  // --- times of day ---

  "a mute time keeps a group quiet; what still fires is told when it ends": {
    config: { ...office, route: { groupBy: [], muteTimeIntervals: ["office"] } },
    from: "2026-01-05T16:00:00Z",
    given: [fires(0, "X"), fires("10m", "Y"), ends("20m", "Y")],
    until: "3h",
    told: ["1h30s ops: firing, first notification: X"],
  },
  "an end within a mute time is told when it ends": {
    config: { ...office, route: { groupBy: [], muteTimeIntervals: ["office"] } },
    from: "2026-01-05T08:50:00Z",
    given: [fires(0, "X"), ends("20m", "X")],
    until: "1d",
    told: [
      "30s ops: firing, first notification: X",
      "8h10m30s ops: resolved, all alerts resolved: X",
    ],
  },
  "nothing is repeated within a mute time; it is due when it ends": {
    config: { ...office, route: { groupBy: [], muteTimeIntervals: ["office"] } },
    from: "2026-01-05T08:50:00Z",
    given: [fires(0, "X")],
    until: "9h",
    told: [
      "30s ops: firing, first notification: X",
      "8h10m30s ops: firing, repeat interval elapsed: X",
    ],
  },
  "a route tells in its active times alone": {
    config: { ...office, route: { groupBy: [], activeTimeIntervals: ["office"] } },
    from: "2026-01-05T08:00:00Z",
    given: [fires(0, "X"), ends("9h30m", "X")],
    until: "1d",
    told: [
      "1h30s ops: firing, first notification: X",
      "5h30s ops: firing, repeat interval elapsed: X",
    ],
  },
  "a mute time within an active one counts": {
    config: {
      timeIntervals: {
        ...office.timeIntervals,
        lunch: [{ times: [{ startTime: "12:00", endTime: "13:00" }] }],
      },
      route: { groupBy: [], activeTimeIntervals: ["office"], muteTimeIntervals: ["lunch"] },
    },
    from: "2026-01-05T11:55:00Z",
    given: [fires(0, "X"), fires("6m", "Y")],
    until: "2h",
    told: [
      "30s ops: firing, first notification: X",
      "1h5m30s ops: firing, new alerts in group: X, Y",
    ],
  },
  "one of several active times is enough": {
    config: {
      timeIntervals: { ...office.timeIntervals, never: [{ years: ["1970"] }] },
      route: { groupBy: [], activeTimeIntervals: ["never", "office"] },
    },
    from: "2026-01-05T12:00:00Z",
    given: [fires(0, "X")],
    until: "1h",
    told: ["30s ops: firing, first notification: X"],
  },
  "a sink for every change gets in a mute time ends alone, and what still fires after it": {
    config: { ...office, route: { groupBy: [], muteTimeIntervals: ["office"] } },
    sinks: [log],
    from: "2026-01-05T16:59:00Z",
    given: [fires(0, "X"), fires("10s", "Y"), ends("20s", "Y")],
    until: "1h",
    told: ["1m log: firing, first notification: X"],
  },

  // --- silences ---

  "a silence keeps quiet what fires under it, and what still fires is told after it": {
    config: byAll,
    sinks: [ops, log],
    given: [
      { at: 0, silence: { matchers: ["alertname=X"], duration: "12m" } },
      fires("1m", "X"),
      fires("1m", "Y"),
    ],
    until: "1h",
    told: [
      "1m log: firing, first notification: Y",
      "1m30s ops: firing, first notification: Y",
      "12m log: firing, first notification: X",
      "16m30s ops: firing, new alerts in group: X, Y",
    ],
  },
  "what fires and ends under a silence is told to nobody": {
    config: byAll,
    sinks: [ops, log],
    given: [
      { at: 0, silence: { matchers: ["alertname=X"], duration: "12m" } },
      fires("1m", "X"),
      ends("11m", "X"),
    ],
    until: "1h",
    told: [],
  },
  "a silence that begins while a new group waits is looked at when it is told": {
    config: byAll,
    given: [fires(0, "X"), { at: "10s", silence: { matchers: ["alertname=X"], duration: "1m" } }],
    until: "1h",
    told: ["5m30s ops: firing, first notification: X"],
  },
  "a silence that begins while an alert fires ends its repetitions, but not its end": {
    config: { route: { groupBy: [], repeatInterval: "5m" } },
    sinks: [ops, log],
    given: [
      fires(0, "X"),
      { at: "1m", silence: { matchers: ["alertname=X"], duration: "1h" } },
      ends("22m", "X"),
    ],
    until: "2h",
    told: [
      "0 log: firing, first notification: X",
      "30s ops: firing, first notification: X",
      "22m log: resolved, all alerts resolved: X",
      "25m30s ops: resolved, all alerts resolved: X",
    ],
  },
  "an alert that was told before its silence isn't new after it": {
    config: byAll,
    given: [fires(0, "X"), { at: "1m", silence: { matchers: ["alertname=X"], duration: "20m" } }],
    until: "4h1m",
    told: [
      "30s ops: firing, first notification: X",
      "4h30s ops: firing, repeat interval elapsed: X",
    ],
  },
  "a group that was told as over while a silenced alert of it fires begins anew with that": {
    config: byAll,
    given: [
      fires(0, "X"),
      fires(0, "Y"),
      { at: "1m", silence: { matchers: ["alertname=X"], duration: "20m" } },
      ends("2m", "Y"),
      ends("1h", "X"),
    ],
    until: "2h",
    told: [
      "30s ops: firing, first notification: X, Y",
      "5m30s ops: resolved, all alerts resolved: Y",
      "25m30s ops: firing, first notification: X",
      "1h30s ops: resolved, all alerts resolved: X",
    ],
  },
  "an alert whose group was told as over is told of its own end, silenced or not": {
    config: byAll,
    given: [
      fires(0, "X"),
      fires(0, "Y"),
      { at: "1m", silence: { matchers: ["alertname=X"], duration: "2h" } },
      ends("2m", "Y"),
      ends("1h", "X"),
    ],
    until: "2h",
    told: [
      "30s ops: firing, first notification: X, Y",
      "5m30s ops: resolved, all alerts resolved: Y",
      "1h30s ops: resolved, all alerts resolved: X",
    ],
  },

  // --- inhibitions ---

  "a target is kept quiet by its source, and told when that is over": {
    config: { ...byAll, inhibitRules: [{ sourceMatchers: down, targetMatchers: ["alertname=X"] }] },
    sinks: [ops, log],
    given: [
      fires(0, "Down", { severity: "critical" }),
      fires("1s", "X"),
      ends("7m", "Down"),
      ends("20m", "X"),
    ],
    until: "1h",
    told: [
      "0 log: firing, first notification: Down",
      "30s ops: firing, first notification: Down",
      "7m log: resolved, all alerts resolved: Down",
      "7m log: firing, first notification: X",
      "10m30s ops: firing, new alerts in group: X, Down",
      "20m log: resolved, all alerts resolved: X",
      "20m30s ops: resolved, all alerts resolved: X",
    ],
  },
  "a target that was told before its source is told of its end": {
    config: { ...byAll, inhibitRules: [{ sourceMatchers: down, targetMatchers: ["alertname=X"] }] },
    given: [
      fires(0, "X"),
      fires("1m", "Down", { severity: "critical" }),
      ends("6m", "X"),
      ends("11m", "Down"),
    ],
    until: "1h",
    told: [
      "30s ops: firing, first notification: X",
      "5m30s ops: firing, new alerts in group: Down",
      "10m30s ops: firing, new resolved alerts: Down, X",
      "15m30s ops: resolved, all alerts resolved: Down",
    ],
  },
  "a source that is silenced keeps its targets quiet nevertheless": {
    config: { ...byAll, inhibitRules: [{ sourceMatchers: down, targetMatchers: ["alertname=X"] }] },
    given: [
      { at: 0, silence: { matchers: ["alertname=Down"], duration: "2h" } },
      fires("1s", "Down", { severity: "critical" }),
      fires("2s", "X"),
    ],
    until: "1h",
    told: [],
  },

  // --- what comes and goes ---

  "an alert that comes and goes is told as that, once, and when it is over for good": {
    config: {},
    given: [0, 40, 80].flatMap((at) => [
      fires(at === 0 ? 0 : `${at}s`, "X"),
      ends(`${at + 20}s`, "X"),
    ]),
    until: "1h",
    told: [
      "0 ops: firing, first notification: X",
      "25s ops: resolved, all alerts resolved: X",
      "40s ops: firing, first notification: X",
      "1m5s ops: resolved, all alerts resolved: X",
      "1m20s ops: firing, first notification: X",
      "1m45s ops: firing, alert is flapping: X",
      "6m40s ops: resolved, all alerts resolved: X",
    ],
  },
  "an alert that came and went is told when it fires for good": {
    config: {},
    given: [0, 2, 4, 6].flatMap((at) => [
      fires(at === 0 ? 0 : `${at}s`, "X"),
      ...(at < 6 ? [ends(`${at + 1}s`, "X")] : []),
    ]),
    until: "3h",
    told: [
      "0 ops: firing, first notification: X",
      "10s ops: firing, alert is flapping: X",
      "5m10s ops: firing, alert is steady: X",
    ],
  },
  "an alert that goes on coming and going is held as long as it does": {
    config: {},
    given: Array.from({ length: 40 }, (_, i) => i).flatMap((i) => [
      fires(i === 0 ? 0 : `${i * 60}s`, "X"),
      ends(`${i * 60 + 30}s`, "X"),
    ]),
    until: "2h",
    told: [
      "0 ops: firing, first notification: X",
      "35s ops: resolved, all alerts resolved: X",
      "1m ops: firing, first notification: X",
      "1m35s ops: resolved, all alerts resolved: X",
      "2m ops: firing, first notification: X",
      "2m35s ops: firing, alert is flapping: X",
      "44m30s ops: resolved, all alerts resolved: X",
    ],
  },
  "with Alertmanager's times an alert that comes and goes is found out, too": {
    config: byAll,
    given: Array.from({ length: 4 }, (_, i) => i).flatMap((i) => [
      fires(i === 0 ? 0 : `${i * 120}s`, "X"),
      ends(`${i * 120 + 60}s`, "X"),
    ]),
    until: "1h",
    told: [
      "30s ops: firing, first notification: X",
      "5m30s ops: firing, alert is flapping: X",
      "15m30s ops: resolved, all alerts resolved: X",
    ],
  },
  "a sink for every change gets each of them, also of an alert that comes and goes": {
    config: {},
    sinks: [log],
    given: Array.from({ length: 8 }, (_, i) => i).map((i) => {
      const at = i === 0 ? 0 : `${i}s` as const;
      return i % 2 === 0 ? fires(at, "X") : ends(at, "X");
    }),
    until: "1h",
    told: Array.from({ length: 8 }, (_, i) => i).map((i) =>
      i % 2 === 0
        ? `${i === 0 ? 0 : `${i}s`} log: firing, first notification: X`
        : `${i}s log: resolved, all alerts resolved: X`
    ),
  },
  "nothing is held with `flapping: false`": {
    config: steady,
    given: [0, 20, 40, 60].flatMap((at) => [
      fires(at === 0 ? 0 : `${at}s`, "X"),
      ends(`${at + 10}s`, "X"),
    ]),
    until: "1h",
    told: [0, 20, 40, 60].flatMap((at) => [
      `${at === 0 ? "0" : at === 60 ? "1m" : `${at}s`} ops: firing, first notification: X`,
      `${at + 15 > 60 ? `1m${at - 45}s` : `${at + 15}s`} ops: resolved, all alerts resolved: X`,
    ]),
  },
};

describe("of what happens", () => {
  for (const [name, story] of Object.entries(stories)) {
    test(name, async () => {
      expect(await told(story)).toEqual([...story.told]);
    });
  }
});

/** Seconds of a time as a line of `told` begins with it. */
function secondsOf(at: string): number {
  const [, d = "0", h = "0", m = "0", s = "0"] = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?/
    .exec(at)!;
  return ((Number(d) * 24 + Number(h)) * 60 + Number(m)) * 60 + Number(s);
}

describe("killed in between, and started again with what was kept, dropwatch tells the same:", () => {
  for (const [name, story] of Object.entries(stories)) {
    test(name, async () => {
      const moments = [
        ...story.given.map(({ at }) => String(at)),
        ...story.told.map((line) => line.split(" ")[0]!),
      ].map(secondsOf);
      // Right behind what happens, and shortly before and after.
      const times = [...new Set(moments.flatMap((at) => [at - 2, at, at + 2]))]
        .filter((at) => at >= 0 && at <= secondsOf(story.until)).sort((a, b) => a - b);
      const restarts = times.map((at): RouteGiven => ({
        at: at === 0 ? 0 : `${at}s`,
        restart: true,
      }));
      expect(await told({ ...story, given: [...story.given, ...restarts] }))
        .toEqual([...story.told]);
      // One alone shows what many would hide from one another.
      for (const restart of restarts.filter((_, i) => i % Math.ceil(restarts.length / 6) === 0)) {
        expect(await told({ ...story, given: [...story.given, restart] }))
          .toEqual([...story.told]);
      }
    });
  }
});

// --- one dispatcher by itself ---

const start = Date.parse("2026-01-05T00:00:00Z");
const second = 1000;

interface Put {
  readonly sink: string;
  readonly group: string;
  readonly body: Body;
}

/** A dispatcher, and what it put in the outbox. */
function dispatcherOf(
  config: RoutingConfig,
  sinks: readonly Sink[],
  more: Partial<DispatchOptions> = {},
): Dispatcher & { readonly puts: Put[]; readonly journal: Journal; readonly said: string[] } {
  const puts: Put[] = [];
  const said: string[] = [];
  const journal = makeJournal();
  const dispatcher = makeDispatcher({
    routing: makeRouting(config, sinks.map(({ name }) => name)),
    sinks,
    silencer: makeSilencer(),
    outbox: { put: (sink, group, body) => `msg_${puts.push({ sink, group, body })}` },
    journal,
    log: (message) => said.push(message),
    ...more,
  });
  return Object.assign(dispatcher, { puts, journal, said });
}

const done = (): Promise<void> => Promise.resolve();
const people: Sink = { name: "people", notify: done };
const paper: Sink = { name: "paper", send: done };
const mirror: Sink = {
  name: "mirror",
  mirror: done,
  every: 60 * second,
  keepResolved: 300 * second,
};
const heart: Sink = { name: "heart", beat: done, every: 60 * second };

/** An alert as it fires, or ends, so many milliseconds after the start. */
function messageAt(
  at: number,
  parts: Parameters<typeof alertOf>[0] = {},
  over = false,
): AlertMessage {
  const time = new Date(start + at).toISOString();
  return { ...alertOf({ ...parts, ...(over ? { endsAt: time } : {}) }), timestamp: time };
}

/** The notification that was put last. */
function lastOf(puts: readonly Put[]): Notification {
  const body = puts.at(-1)?.body;
  if (body?.is !== "notification") throw new Error("no notification was put last");
  return body.notification;
}

describe("a flood of alerts", () => {
  const many = (count: number, at = 0): AlertMessage[] =>
    Array.from({ length: count }, (_, i) => messageAt(at, { labels: { dev: `eth${i}` } }));

  test("is told in one notification, of 50 of them and of how many there are", () => {
    const { receive, step, puts } = dispatcherOf({}, [people]);
    for (const message of many(10_000)) receive(message, start);
    step(start);
    expect(puts).toHaveLength(1);
    const { alerts, firing, resolved, truncatedAlerts, reason } = lastOf(puts);
    expect({ firing, resolved, truncatedAlerts, reason, shown: alerts.length }).toEqual({
      firing: 10_000,
      resolved: 0,
      truncatedAlerts: 9950,
      reason: "first notification",
      shown: mostAlerts,
    });
  });

  test("ends in as few, whose numbers are right", () => {
    const { receive, step, puts } = dispatcherOf({}, [people]);
    const alerts = many(10_000);
    for (const message of alerts) receive(message, start);
    step(start);
    for (const { data } of alerts.slice(0, 9990)) {
      receive(messageAt(second, { labels: data.labels }, true), start + second);
    }
    step(start + 5 * second);
    const some = lastOf(puts);
    expect([some.reason, some.firing, some.resolved, some.truncatedAlerts, some.alerts.length])
      .toEqual(["new resolved alerts", 10, 9990, 9950, 50]);
    expect(some.alerts.slice(0, 11).map(({ status }) => status))
      .toEqual([...Array(10).fill("firing"), "resolved"]);
    for (const { data } of alerts.slice(9990)) {
      receive(messageAt(6 * second, { labels: data.labels }, true), start + 6 * second);
    }
    step(start + 10 * second);
    const all = lastOf(puts);
    expect([all.reason, all.firing, all.resolved]).toEqual(["all alerts resolved", 0, 10]);
    expect(puts).toHaveLength(3);
  });

  test("is written down whole by a sink for every change", () => {
    const { receive, step, puts } = dispatcherOf({}, [paper]);
    for (const message of many(2000)) receive(message, start);
    step(start);
    expect(puts).toHaveLength(2000);
  });

  test("keeps what the first thousand are made of, and lets go of the rest", () => {
    const evidence = { kept: 1, site: "tcp_v4_rcv" };
    const { receive, step, puts } = dispatcherOf({ route: { groupBy: ["..."], groupWait: "0s" } }, [
      people,
    ]);
    for (const { data, ...message } of many(1500)) {
      receive({ ...message, data: { ...data, evidence } }, start);
    }
    step(start);
    const kept = puts.filter(({ body }) =>
      body.is === "notification" && body.notification.alerts[0]!.evidence.site !== undefined
    );
    expect([puts.length, kept.length]).toEqual([1500, 1000]);
  });

  test("beyond the limit is told to nobody, and that is said", () => {
    const { receive, step, puts, said, firing } = dispatcherOf({}, [people], { limit: 10 });
    const dispatcher = { receive, step };
    for (const message of many(25)) dispatcher.receive(message, start);
    step(start);
    expect(lastOf(puts).firing).toBe(10);
    expect(firing()).toHaveLength(10);
    expect(said).toEqual([
      "more than 10 alerts fire: SocketFilterDrops and what follows are told to nobody",
    ]);
  });

  test("counts what it has refused", () => {
    const dispatcher = dispatcherOf({}, [people], { limit: 10 });
    for (const message of many(25)) dispatcher.receive(message, start);
    expect(dispatcher.refused).toBe(15);
  });

  test("makes room again when it is over, at once", () => {
    const dispatcher = dispatcherOf({}, [people], { limit: 10 });
    for (const message of many(10)) dispatcher.receive(message, start);
    dispatcher.step(start);
    for (const { data } of many(10)) {
      dispatcher.receive(messageAt(second, { labels: data.labels }, true), start + second);
    }
    dispatcher.step(start + 5 * second);
    for (const { data } of many(10)) {
      const labels = { ...data.labels, ns: "b" };
      dispatcher.receive(messageAt(6 * second, { labels }), start + 6 * second);
    }
    dispatcher.step(start + 6 * second);
    expect(dispatcher.refused).toBe(0);
    expect(lastOf(dispatcher.puts).firing).toBe(10);
  });
});

describe("an alert that fires again", () => {
  test("has its room, whatever else makes room for more", () => {
    const dispatcher = dispatcherOf({}, [people], { limit: 2 });
    const send = (at: number, dev: string, over = false): void =>
      dispatcher.receive(messageAt(at * second, { labels: { dev } }, over), start + at * second);
    send(0, "a");
    dispatcher.step(start);
    send(1, "a", true);
    dispatcher.step(start + 5 * second);
    send(6, "a");
    send(6, "b");
    send(6, "c");
    expect(dispatcher.firing().map(({ labels }) => labels["dev"])).toEqual(["a", "b"]);
    expect(dispatcher.refused).toBe(1);
  });
});

describe("a notification", () => {
  test("has the alerts that fire first, the worst of them first, and the oldest of those", () => {
    const { receive, step, puts } = dispatcherOf({ route: { groupBy: [], groupWait: "0s" } }, [
      people,
    ]);
    const at = (minute: number): string => new Date(start + minute * 60_000).toISOString();
    const parts = [
      { alert: "D", severity: "info", startsAt: at(0) },
      { alert: "C", severity: "warning", startsAt: at(2) },
      { alert: "B", severity: "warning", startsAt: at(1) },
      { alert: "A", severity: "critical", startsAt: at(3) },
      { alert: "E", severity: "critical", startsAt: at(0) },
    ] as const;
    for (const part of parts) receive(messageAt(0, part), start);
    step(start);
    receive(messageAt(second, parts[4], true), start + second);
    step(start + 300 * second);
    expect(lastOf(puts).alerts.map(({ alert }) => alert)).toEqual(["A", "B", "C", "D", "E"]);
  });

  test("says what its alerts have in common, whom it is for, and where people can look", () => {
    const { receive, step, puts } = dispatcherOf({}, [people], {
      externalURL: "https://x.example/",
    });
    receive(messageAt(0, { labels: { dev: "a", team: "net" } }), start);
    receive(messageAt(0, { labels: { dev: "b", team: "net" } }), start);
    step(start);
    expect(lastOf(puts)).toMatchObject({
      receiver: "people",
      status: "firing",
      timestamp: "2026-01-05T00:00:00.000Z",
      groupKey: '{}:{alertname="SocketFilterDrops"}',
      groupLabels: { alertname: "SocketFilterDrops" },
      commonLabels: {
        alertname: "SocketFilterDrops",
        severity: "warning",
        ownerInode: "4711",
        team: "net",
      },
      commonAnnotations: { summary: "a socket refuses packets" },
      externalURL: "https://x.example/",
    });
  });

  test("tells the numbers of the moment in which it is made", () => {
    const { receive, step, puts } = dispatcherOf({ route: { groupWait: "30s" } }, [people], {
      current: () => ({ value: 7, peak: 900, total: 5000 }),
    });
    receive(messageAt(0), start);
    step(start + 30 * second);
    expect(lastOf(puts).alerts[0]).toMatchObject({ value: 7, peak: 900, total: 5000 });
  });

  test("tells of what is over the numbers of its end", () => {
    const { receive, step, puts } = dispatcherOf({}, [people], {
      current: () => ({ value: 7, peak: 900, total: 5000 }),
    });
    receive(messageAt(0), start);
    step(start);
    receive(messageAt(second, { value: 1, peak: 2, total: 3 }, true), start + second);
    step(start + 5 * second);
    expect(lastOf(puts).alerts[0]).toMatchObject({ value: 1, peak: 2, total: 3 });
  });

  test("has the rates of its worst alert", () => {
    const { receive, step, puts } = dispatcherOf({ route: { groupBy: [], groupWait: "0s" } }, [
      people,
    ], { rates: ({ alert }) => ({ from: 0, step: 1000, values: [1], of: alert }) });
    receive(messageAt(0, { alert: "Mild", severity: "info" }), start);
    receive(messageAt(0, { alert: "Bad", severity: "critical" }), start);
    step(start);
    expect(lastOf(puts).rates?.of).toBe("Bad");
  });

  test("says of an alert that comes and goes that it is held, and for how long", () => {
    const { receive, step, puts } = dispatcherOf({ flapping: { changes: 3 } }, [people]);
    receive(messageAt(0), start);
    step(start);
    receive(messageAt(second, {}, true), start + second);
    receive(messageAt(2 * second), start + 2 * second);
    receive(messageAt(3 * second, {}, true), start + 3 * second);
    step(start + 5 * second);
    const { reason, status, alerts: [alert] } = lastOf(puts);
    expect([reason, status, alert!.status, alert!.endsAt])
      .toEqual(["alert is flapping", "firing", "firing", null]);
    expect(alert!.annotations["flapping"])
      .toBe("it comes and goes: told again when it has been as it is for 5 min");
  });
});

describe("a sink", () => {
  test("for every change gets the alert itself, one for people gets a notification", () => {
    const { receive, step, puts } = dispatcherOf({}, [paper, people, heart]);
    const message = messageAt(0);
    receive(message, start);
    step(start);
    expect(puts.map(({ sink, group, body }) => [sink, group, body.is])).toEqual([
      ["paper", message.data.fingerprint, "alert"],
      ["people", '{}:{alertname="SocketFilterDrops"}', "notification"],
    ]);
    expect(puts[0]!.body).toEqual({ is: "alert", alert: message });
  });

  test("that mirrors gets a picture at each change, and each `every`", () => {
    const { receive, step, nextAt, puts } = dispatcherOf({}, [mirror]);
    const stepAt = (at: number): number => {
      step(start + at);
      return puts.length;
    };
    receive(messageAt(0), start);
    expect(nextAt(start)).toBe(start);
    expect([0, 1, 59, 60, 61, 120].map((at) => stepAt(at * second))).toEqual([1, 1, 1, 2, 2, 3]);
    receive(messageAt(125 * second, {}, true), start + 125 * second);
    expect(stepAt(125 * second)).toBe(4);
    expect(puts.every(({ group, body }) => group === "all" && body.is === "mirror")).toBe(true);
  });

  test("that mirrors sees what fires, and for `keepResolved` what is over", () => {
    const { receive, step, mirrored, puts } = dispatcherOf({}, [mirror]);
    const seen = (at: number): string[] => {
      step(start + at * second);
      return mirrored("mirror", start + at * second)
        .map(({ type, data }) => `${data.labels["dev"]} ${type}`);
    };
    receive(messageAt(0, { labels: { dev: "a" } }), start);
    receive(messageAt(0, { labels: { dev: "b" } }), start);
    expect(seen(0)).toEqual(["a alert.firing", "b alert.firing"]);
    receive(messageAt(10 * second, { labels: { dev: "a" } }, true), start + 10 * second);
    expect(seen(10)).toEqual(["a alert.resolved", "b alert.firing"]);
    for (let at = 70; at <= 310; at += 60) expect(seen(at)).toHaveLength(2);
    expect(seen(370)).toEqual(["b alert.firing"]);
    receive(messageAt(371 * second, { labels: { dev: "b" } }, true), start + 371 * second);
    seen(371);
    expect(seen(800)).toEqual([]);
    const sent = puts.length;
    for (let at = 900; at < 1500; at += 60) expect(seen(at)).toEqual([]);
    expect(puts).toHaveLength(sent);
  });

  test("that mirrors doesn't see what is silenced, nor what is inhibited", () => {
    const silencer = makeSilencer();
    const config = { inhibitRules: [{ sourceMatchers: ["dev=c"], targetMatchers: ["dev=b"] }] };
    const { receive, mirrored } = dispatcherOf(config, [mirror], { silencer });
    for (const dev of ["a", "b", "c"]) receive(messageAt(0, { labels: { dev } }), start);
    silencer.set([makeSilence({
      id: "s",
      matchers: ["dev=a"],
      startsAt: start,
      duration: second,
      createdBy: "me",
      comment: "",
    })]);
    const seen = (at: number): (string | undefined)[] =>
      mirrored("mirror", at).map(({ data }) => data.labels["dev"]);
    expect(seen(start)).toEqual(["c"]);
    expect(seen(start + second)).toEqual(["a", "c"]);
  });

  test("is told of an end once, also where an alert is told to be over twice", () => {
    const { receive, step, puts } = dispatcherOf({}, [paper, people]);
    receive(messageAt(0), start);
    step(start);
    receive(messageAt(second, {}, true), start + second);
    receive(messageAt(2 * second, {}, true), start + 2 * second);
    step(start + 5 * second);
    step(start + 10 * second);
    expect(puts.map(({ sink }) => sink)).toEqual(["paper", "people", "paper", "people"]);
  });

  test("isn't told of the end of an alert that it never heard of", () => {
    const { receive, step, puts } = dispatcherOf({}, [paper, people]);
    receive(messageAt(0, {}, true), start);
    step(start);
    expect(puts).toEqual([]);
  });
});

describe("a dispatcher", () => {
  test("says when there will be something to do, and does nothing before", () => {
    const { receive, step, nextAt, puts } = dispatcherOf({ route: {} }, [people]);
    expect(nextAt(start)).toBe(Infinity);
    receive(messageAt(0), start);
    expect(nextAt(start)).toBe(start + 30 * second);
    step(start + 29_999);
    expect(puts).toHaveLength(0);
    step(start + 30 * second);
    expect(puts).toHaveLength(1);
    expect(nextAt(start + 30 * second)).toBe(start + 330 * second);
  });

  test("looks at multiples of the interval, however late it is", () => {
    const { receive, step, nextAt } = dispatcherOf({ route: {} }, [people]);
    receive(messageAt(0), start);
    step(start + 30 * second);
    step(start + 86_400 * second);
    expect(nextAt(start)).toBe(start + (30 + 288 * 300) * second);
  });

  test("waits no longer for an alert that has fired for longer than groupWait", () => {
    const { receive, nextAt } = dispatcherOf({ route: {} }, [people]);
    receive(messageAt(0), start + 20 * second);
    expect(nextAt(start)).toBe(start + 30 * second);
    const late = dispatcherOf({ route: {} }, [people]);
    late.receive(messageAt(0), start + 3600 * second);
    expect(late.nextAt(start)).toBe(start + 3600 * second);
  });

  test("tells what still waits when it is flushed", () => {
    const { receive, flush, puts } = dispatcherOf({ route: {} }, [people]);
    receive(messageAt(0), start);
    flush(start + second);
    expect(lastOf(puts).reason).toBe("first notification");
  });

  test("keeps nothing of what is over and forgotten", () => {
    const dispatcher = dispatcherOf({}, [people, paper]);
    dispatcher.receive(messageAt(0), start);
    dispatcher.step(start);
    dispatcher.receive(messageAt(second, {}, true), start + second);
    dispatcher.step(start + 5 * second);
    const kept = dispatcher.changes(true);
    expect([kept.notices.length, kept.groups.length]).toEqual([1, 0]);
    dispatcher.kept();
    dispatcher.step(start + 3600 * second);
    expect(dispatcher.changes(true)).toMatchObject({ notices: [], groups: [] });
    expect(dispatcher.changes().goneNotices).toHaveLength(1);
  });

  test("hands out what has changed once", () => {
    const dispatcher = dispatcherOf({}, [people]);
    dispatcher.receive(messageAt(0), start);
    dispatcher.step(start);
    expect([dispatcher.changes().notices.length, dispatcher.changes().groups.length])
      .toEqual([1, 1]);
    dispatcher.kept();
    expect(dispatcher.changes())
      .toEqual({ notices: [], goneNotices: [], groups: [], goneGroups: [] });
    expect(dispatcher.changes(true).notices).toHaveLength(1);
  });

  test("writes down what became of an alert", () => {
    const config = { inhibitRules: [{ sourceMatchers: ["dev=b"], targetMatchers: ["dev=a"] }] };
    const { receive, step, journal } = dispatcherOf(config, [people]);
    receive(messageAt(0, { labels: { dev: "b" } }), start);
    receive(messageAt(0, { labels: { dev: "a" } }), start);
    step(start);
    receive(messageAt(second, { labels: { dev: "b" } }, true), start + second);
    step(start + 5 * second);
    const { fingerprint } = messageAt(0, { labels: { dev: "a" } }).data;
    const { fingerprint: source } = messageAt(0, { labels: { dev: "b" } }).data;
    const events = journal.waiting.filter((event) => event.fingerprint === fingerprint);
    expect(events.map(({ kind, sink, text }) => [kind, sink, text])).toEqual([
      ["fired", "", "SocketFilterDrops: a socket refuses packets (value 250.5)"],
      ["grouped", "people", 'in the group {}:{alertname="SocketFilterDrops"}'],
      ["inhibited", "", `inhibited by ${source} (SocketFilterDrops fires)`],
      ["told again", "", `no longer inhibited by ${source}`],
      ["queued", "people", "new alerts in group"],
    ]);
    expect(events.at(-1)!.message).toBe("msg_2");
  });
});

describe("the timeline of an alert", () => {
  test("says which time of day keeps it quiet, also where it came when others were quiet", () => {
    const config = { ...office, route: { groupBy: [], muteTimeIntervals: ["office"] } };
    const { receive, step, journal } = dispatcherOf(config, [people, paper]);
    const [nine, evening] = [9 * 3600 * second, 17 * 3600 * second];
    for (const [i, dev] of ["a", "b"].entries()) {
      const at = nine + i * 60 * second;
      receive(messageAt(at, { labels: { dev } }), start + at);
      step(start + at + 30 * second);
    }
    step(start + evening);
    for (const dev of ["a", "b"]) {
      const { fingerprint } = messageAt(0, { labels: { dev } }).data;
      const events = journal.waiting.filter((event) => event.fingerprint === fingerprint)
        .filter(({ kind }) => kind === "muted" || kind === "told again");
      expect(
        events.map((
          { kind, sink, text, at },
        ) => [kind, sink, text, (at - start) / second >= 61_200]),
      )
        .toEqual([
          ["muted", "people", "at this time: office", false],
          ["muted", "paper", "at this time: office", false],
          ["told again", "paper", "the time has come", true],
          ["told again", "people", "the time has come", true],
        ]);
    }
  });
});

describe("what an earlier run has kept", () => {
  const keptBy = (dispatcher: Dispatcher): ReturnType<Dispatcher["changes"]> =>
    dispatcher.changes(true);

  test("is left out where it can't be read, and the rest is taken up", () => {
    const first = dispatcherOf({}, [people]);
    first.receive(messageAt(0), start);
    first.step(start);
    const { notices, groups } = keptBy(first);
    const broken = ["", "{", "null", "5", "{}", '{"message":{}}', '{"told":5}', "[]"];
    const second_ = dispatcherOf({}, [people]);
    second_.restore(
      [...broken.map((data, i) => ({ key: `k${i}`, data })), ...notices],
      [...broken.map((data, i) => ({ owner: "people", key: `k${i}`, data })), ...groups],
      start,
    );
    expect(second_.firing()).toHaveLength(1);
    second_.step(start + 5 * second);
    expect(second_.puts).toEqual([]);
  });

  test("has all its labels, whatever their names", () => {
    const labels = { constructor: "a", prototype: "b", dev: "c" };
    const first = dispatcherOf({}, [people]);
    first.receive(messageAt(0, { labels }), start);
    const later = dispatcherOf({}, [people]);
    later.restore(keptBy(first).notices, [], start);
    expect(later.firing()).toEqual(first.firing());
    expect(later.firing()[0]!.labels).toMatchObject(labels);
  });

  test("is told of its end by the sink that told it, where its alerts take another way now", () => {
    const chat: Sink = { name: "chat", notify: done };
    const first = dispatcherOf({ route: { receiver: "people", groupWait: "0s" } }, [people, chat]);
    first.receive(messageAt(0), start);
    first.step(start);
    const { notices, groups } = keptBy(first);
    const later = dispatcherOf({ route: { receiver: "chat", groupWait: "0s" } }, [people, chat]);
    later.restore(notices, groups, start + second);
    later.step(start + second);
    later.receive(messageAt(2 * second, {}, true), start + 2 * second);
    later.step(start + 600 * second);
    expect(later.puts.map(({ sink, body }) => [
      sink,
      body.is === "notification" && body.notification.reason,
    ])).toEqual([
      ["chat", "first notification"],
      ["people", "all alerts resolved"],
      ["chat", "all alerts resolved"],
    ]);
  });

  test("of a sink that is of another sort now begins anew: it is another receiver", () => {
    const sorts = [people, { ...paper, name: "people" }, { ...mirror, name: "people" }];
    for (const before of sorts) {
      for (const after of sorts) {
        if (before === after) continue;
        const first = dispatcherOf({}, [before]);
        first.receive(messageAt(0), start);
        first.step(start);
        const { notices, groups } = keptBy(first);
        const later = dispatcherOf({}, [after]);
        later.restore(notices, groups, start + second);
        later.step(start + second);
        expect(later.puts).toHaveLength(1);
        expect(later.changes().goneGroups).toHaveLength(1);
        later.receive(messageAt(2 * second, {}, true), start + 2 * second);
        later.step(start + 10 * second);
        expect(later.puts.length).toBeGreaterThan(1);
      }
    }
  });

  test("waits no longer than its route says, also where the clock was set back meanwhile", () => {
    const routing = { route: {}, flapping: false } as const;
    const first = dispatcherOf(routing, [people]);
    first.receive(messageAt(0), start);
    first.step(start + 30 * second);
    const { notices, groups } = keptBy(first);
    const early = start - 5 * 3600 * second;
    const later = dispatcherOf(routing, [people]);
    later.restore(notices, groups, early);
    later.step(early);
    expect(later.puts).toEqual([]);
    later.receive(messageAt(-5 * 3600 * second, {}, true), early);
    later.step(early + 300 * second);
    expect(lastOf(later.puts).reason).toBe("all alerts resolved");
  });

  test("of a sink that is gone is forgotten", () => {
    const first = dispatcherOf({}, [people]);
    first.receive(messageAt(0), start);
    first.step(start);
    const { notices, groups } = keptBy(first);
    const later = dispatcherOf({}, [paper]);
    later.restore(notices, groups, start);
    later.step(start);
    expect(later.puts.map(({ sink }) => sink)).toEqual(["paper"]);
    expect(later.changes().goneGroups).toEqual([
      { owner: "people", key: '{}:{alertname="SocketFilterDrops"}' },
    ]);
  });

  test("of an alert that all were told of is told on: nothing now, its end later", () => {
    const dispatcher = dispatcherOf({ route: {} }, [people, paper]);
    dispatcher.adopt(messageAt(0).data, start);
    dispatcher.step(start + 3600 * second);
    expect(dispatcher.puts).toEqual([]);
    dispatcher.receive(messageAt(3601 * second, {}, true), start + 3601 * second);
    dispatcher.step(start + 3900 * second);
    expect(dispatcher.puts.map(({ sink }) => sink)).toEqual(["paper", "people"]);
    expect(lastOf(dispatcher.puts).reason).toBe("all alerts resolved");
  });

  test("keeps an alert held that came and went, over a restart", () => {
    const flapping = { changes: 3 };
    const first = dispatcherOf({ flapping }, [people]);
    for (let i = 0; i < 4; i++) {
      first.receive(messageAt(i * second, {}, i % 2 === 1), start + i * second);
    }
    first.step(start + 4 * second);
    expect(first.puts).toHaveLength(1);
    const { notices, groups } = keptBy(first);
    const later = dispatcherOf({ flapping }, [people]);
    later.restore(notices, groups, start + 5 * second);
    later.step(start + 60 * second);
    expect(later.puts).toEqual([]);
    later.step(start + 303 * second);
    later.step(start + 310 * second);
    expect(lastOf(later.puts).reason).toBe("all alerts resolved");
  });
});

// --- as Alertmanager decides it ---

/** What Alertmanager has of a group, and of what it has told of it (nflog). */
interface Model {
  /** Alerts of the group, and whether they fire. */
  readonly alerts: Map<string, boolean>;
  nextAt: number;
  told: { firing: ReadonlySet<string>; resolved: ReadonlySet<string>; at: number } | undefined;
}

/** DedupStage.needsUpdate of alertmanager/notify/dedup_stage.go. */
function needsUpdate(
  { told }: Model,
  firing: ReadonlySet<string>,
  resolved: ReadonlySet<string>,
  repeat: number,
  now: number,
): string | undefined {
  if (told === undefined) return firing.size > 0 ? "first notification" : undefined;
  if (!firing.isSubsetOf(told.firing)) {
    return told.firing.size === 0 ? "first notification" : "new alerts in group";
  }
  if (firing.size === 0) return told.firing.size > 0 ? "all alerts resolved" : undefined;
  if (!resolved.isSubsetOf(told.resolved)) return "new resolved alerts";
  return now - told.at >= repeat ? "repeat interval elapsed" : undefined;
}

describe("whatever fires and ends", () => {
  const names = ["A", "B", "C", "D"];
  const times = { groupWait: 5, groupInterval: 10, repeatInterval: 35 };
  const route = {
    groupBy: [],
    groupWait: "5s",
    groupInterval: "10s",
    repeatInterval: "35s",
  } as const;

  test("is told when and why Alertmanager tells it", () => {
    const random = randomFrom(23);
    for (let round = 0; round < 40; round++) {
      const { receive, step, puts } = dispatcherOf({ route, flapping: false }, [people]);
      const model: Model = { alerts: new Map(), nextAt: 0, told: undefined };
      const expected: string[] = [];
      const found: string[] = [];
      const chance = random.pick([0.02, 0.1, 0.4]);
      const fires = new Set<string>();
      for (let now = 0; now < 400; now++) {
        for (const alert of names) {
          if (!random.chance(chance)) continue;
          const over = fires.has(alert);
          receive(messageAt(now * second, { alert }, over), start + now * second);
          if (over) fires.delete(alert);
          else fires.add(alert);
          if (!over && model.alerts.size === 0) model.nextAt = now + times.groupWait;
          if (!over || model.alerts.has(alert)) model.alerts.set(alert, !over);
        }
        step(start + now * second);
        for (const { body } of puts.splice(0)) {
          if (body.is !== "notification") continue;
          const { reason, alerts } = body.notification;
          const shown = alerts.map(({ alert, status }) => `${alert} ${status}`).sort();
          found.push(`${now} ${reason}: ${shown.join(", ")}`);
        }
        if (model.alerts.size === 0 || now < model.nextAt) continue;
        model.nextAt = now + times.groupInterval;
        // Ours: what nobody was told of is over for nobody.
        for (const [alert, firing] of model.alerts) {
          if (!firing && model.told?.firing.has(alert) !== true) model.alerts.delete(alert);
        }
        const of = (wanted: boolean): Set<string> =>
          new Set(
            [...model.alerts].filter(([, firing]) => firing === wanted).map(([name]) => name),
          );
        const [firing, resolved] = [of(true), of(false)];
        const reason = needsUpdate(model, firing, resolved, times.repeatInterval, now);
        if (reason !== undefined) {
          const shown = [
            ...[...firing].map((name) => `${name} firing`),
            ...[...resolved].map((name) => `${name} resolved`),
          ].sort();
          expected.push(`${now} ${reason}: ${shown.join(", ")}`);
          model.told = { firing, resolved, at: now };
        }
        for (const name of resolved) model.alerts.delete(name);
      }
      expect(found).toEqual(expected);
      expect(found.length).toBeGreaterThan(0);
    }
  });
});

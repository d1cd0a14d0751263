// A case of a route's test: which alerts fire, and what people are told of them. The time is the case's
// own, so that a night takes no longer than what happens in it.
import * as v from "valibot";
import { fingerprint } from "../alert/alert.ts";
import type { AlertData, AlertMessage } from "../alert/alert.ts";
import { makeDelivery } from "../alert/delivery.ts";
import type { Delivery } from "../alert/delivery.ts";
import { makeNotification } from "../alert/notification.ts";
import type { Labels, Notification, NotificationReason } from "../alert/notification.ts";
import { makeRouting } from "../alert/route.ts";
import { makeSilence } from "../alert/silence.ts";
import type { Sink } from "../alert/sink.ts";
import { plainText } from "../alert/text.ts";
import type { NotificationText } from "../alert/text.ts";
import { badRuleTest, quote } from "../error.ts";
import { nearest } from "../nearest.ts";
import type { Config } from "../rule/config.ts";
import { isDuration, milliseconds } from "../rule/duration.ts";
import type { Duration } from "../rule/duration.ts";
import type { Severity } from "../rule/rule.ts";
import { openMemoryStore } from "../store.ts";
import { virtualClock } from "./virtual_clock.ts";

/** A time of a case: how long after its beginning. */
export type RouteAt = Duration | 0;

/** What happens in a case. */
export type RouteGiven =
  /** An alert fires; its labels have its name as `alertname`. */
  | {
    readonly at: RouteAt;
    readonly fires: Labels;
    readonly severity?: Severity;
    readonly summary?: string;
    readonly description?: string;
    readonly value?: number;
  }
  /** It is over. */
  | { readonly at: RouteAt; readonly resolves: Labels }
  | {
    readonly at: RouteAt;
    readonly silence: {
      readonly matchers: readonly string[];
      readonly duration: Duration;
      readonly comment?: string;
    };
  }
  /** dropwatch is killed, and started again with the same `--state`. */
  | { readonly at: RouteAt; readonly restart: true };

/** A notification that must be sent. What isn't given may be anything. */
export interface ExpectedNotification {
  readonly at: RouteAt;
  /** The name of the sink. */
  readonly receiver: string;
  readonly status?: "firing" | "resolved";
  readonly reason?: NotificationReason;
  /** Some labels of each of its alerts, in any order. */
  readonly alerts?: readonly Labels[];
  /** Is part of its text, or matches it. */
  readonly text?: string | RegExp;
}

export interface RouteCase {
  /** What it promises; no other case of the test may promise the same. */
  readonly name: string;
  readonly given: readonly RouteGiven[];
  /** All that is sent, in order: nothing else may be. */
  readonly expect: readonly ExpectedNotification[];
  /** Up to when nothing else may be sent; up to the last time in the case without it. */
  readonly until?: Duration;
  /** The time at its beginning, ISO 8601; 2026-01-05T00:00:00Z without it, a Monday. */
  readonly from?: string;
}

/** A sink, as far as routes are concerned. */
export interface RouteSink {
  readonly name: string;
  /** Whether it gets every change of an alert, or groups; others get what no case expects. */
  readonly sort: "changes" | "groups" | "mirror" | "heartbeat";
  readonly sendResolved?: boolean | undefined;
  readonly text: (notification: Notification) => NotificationText;
}

const At = v.pipe(
  v.union([v.literal(0), v.string()], `a time such as "10s", or 0`),
  v.check((at) => at === 0 || isDuration(at), `a time such as "10s", or 0`),
);
const duration = v.pipe(v.string("a duration"), v.check(isDuration, `a duration like "30s"`));
const labels = v.record(v.string(), v.string("a text"), "labels with texts");
const named = v.pipe(
  labels,
  v.check(({ alertname }) => alertname !== undefined && alertname !== "", "labels with alertname"),
);
const Silence = v.strictObject({
  matchers: v.array(v.string("a matcher"), "a list of matchers"),
  duration,
  comment: v.optional(v.string("a text")),
}, "{ matchers, duration, comment }");
const givenShapes = {
  fires: v.strictObject({
    at: At,
    fires: named,
    severity: v.optional(v.picklist(["critical", "warning", "info"], "critical, warning or info")),
    summary: v.optional(v.string("a text")),
    description: v.optional(v.string("a text")),
    value: v.optional(v.number("a number")),
  }, "{ at, fires, … }"),
  resolves: v.strictObject({ at: At, resolves: named }, "{ at, resolves }"),
  silence: v.strictObject({ at: At, silence: Silence }, "{ at, silence }"),
  restart: v.strictObject({ at: At, restart: v.literal(true, "true") }, "{ at, restart }"),
};
const Expectation = v.strictObject({
  at: At,
  receiver: v.string("the name of a sink"),
  status: v.optional(v.picklist(["firing", "resolved"], "firing or resolved")),
  reason: v.optional(v.string("a reason")),
  alerts: v.optional(v.array(labels, "a list of labels")),
  text: v.optional(v.union([v.string(), v.instance(RegExp)], "a text or a pattern")),
}, "{ at, receiver, … }");
const Case = v.strictObject({
  name: v.pipe(v.string("a text"), v.minLength(1, "a text")),
  given: v.array(
    v.lazy((given) => {
      const keys = typeof given === "object" && given !== null ? Object.keys(given) : [];
      const key = keys.find((each) => Object.hasOwn(givenShapes, each)) as keyof typeof givenShapes;
      return (givenShapes[key] ?? givenShapes.fires) as v.GenericSchema<unknown>;
    }),
    "a list of what happens",
  ),
  expect: v.array(Expectation, "a list of notifications"),
  until: v.optional(duration),
  from: v.optional(
    v.pipe(
      v.string("a time"),
      v.check((text) => !Number.isNaN(Date.parse(text)), "a time like 2026-01-05T00:00:00Z"),
    ),
  ),
}, "{ name, given, expect, … }");

const caseKeys: readonly string[] = [
  ...new Set(
    [Case, Expectation, Silence, ...Object.values(givenShapes)].flatMap(({ entries }) =>
      Object.keys(entries)
    ),
  ),
];

/**
 * Checks the cases of a test.
 *
 * @throws DropwatchError BAD_RULE_TEST.
 */
export function readRouteCases(cases: readonly RouteCase[]): readonly RouteCase[] {
  const names = new Set<string>();
  cases.forEach((each, i) => {
    const result = v.safeParse(Case, each);
    if (!result.success) {
      // That a key is wrong says more than that the right one is missing.
      const issue = result.issues.find(({ expected }) => expected === "never") ?? result.issues[0];
      const path = v.getDotPath(issue);
      const where = `case ${i + 1}${path === null ? "" : `, ${path}`}`;
      const unknown = issue.expected === "never" && path !== null
        ? nearest(path.split(".").at(-1)!, caseKeys)
        : [];
      const expected = issue.expected === "never" ? "no such key" : issue.message;
      throw badRuleTest(where, issue.input, expected, unknown);
    }
    if (names.has(each.name)) {
      throw badRuleTest(`case ${i + 1}`, each.name, "a name that no other case has");
    }
    names.add(each.name);
  });
  return cases;
}

interface Sent {
  readonly at: number;
  readonly notification: Notification;
  readonly text: string;
}

const timeOf = (at: RouteAt): number => at === 0 ? 0 : milliseconds(at);

/** Runs a case; returns what is otherwise than expected, and what was sent. */
export async function runRouteCase(
  config: Config,
  sinks: readonly RouteSink[],
  each: RouteCase,
): Promise<{ readonly failures: readonly string[]; readonly log: readonly string[] }> {
  const start = Date.parse(each.from ?? "2026-01-05T00:00:00Z");
  const clock = virtualClock(start);
  const store = openMemoryStore(false);
  const sent: Sent[] = [];
  const said: string[] = [];
  const note = (sink: RouteSink, notification: Notification): Promise<void> => {
    sent.push({
      at: clock.now() - start,
      notification,
      text: plainText(sink.text(notification)),
    });
    return Promise.resolve();
  };
  const receivers = sinks.map((sink): Sink => {
    const { name, sort, sendResolved } = sink;
    if (sort === "changes") return { name, send: (alert) => note(sink, alone(name, alert)) };
    if (sort === "groups") {
      return { name, notify: (notification) => note(sink, notification), sendResolved };
    }
    const every = milliseconds("1d");
    const nothing = (): Promise<void> => Promise.resolve();
    return sort === "mirror"
      ? { name, mirror: nothing, every, keepResolved: 0 }
      : { name, beat: nothing, every };
  });
  let ids = 0;
  const begin = (): Delivery => {
    const delivery: Delivery = makeDelivery({
      sinks: receivers,
      routing: makeRouting(config, sinks.map(({ name }) => name)),
      clock,
      store,
      log: (message) => said.push(message),
      random: () => 0,
      makeId: () => `msg_${++ids}`,
      externalURL: config.externalURL ?? "",
      save() {
        store.save(delivery.changes());
        delivery.kept();
      },
      trouble: () => undefined,
      alone: true,
    });
    delivery.begin([]);
    return delivery;
  };
  let delivery = begin();
  const fired = new Map<string, AlertData>();
  const events = each.given.map((given, i) => ({ given, i, at: timeOf(given.at) }))
    .sort((a, b) => a.at - b.at || a.i - b.i);
  const failures: string[] = [];
  for (const [i, { given, at }] of events.entries()) {
    await clock.until(start + at);
    if ("restart" in given) {
      await delivery.close();
      delivery = begin();
      delivery.tell();
    } else if ("silence" in given) {
      const { matchers, duration, comment = "" } = given.silence;
      delivery.silence(makeSilence({
        id: `silence_${++ids}`,
        matchers,
        startsAt: clock.now(),
        duration: milliseconds(duration),
        createdBy: "test",
        comment,
      }));
    } else {
      const message = messageOf(given, clock.now(), fired);
      if (message === undefined) {
        const { resolves } = given as Extract<RouteGiven, { resolves: Labels }>;
        failures.push(`at ${given.at} no alert with ${JSON.stringify(resolves)} fires`);
        continue;
      }
      delivery.receive([message]);
      // What happens at one time happens in one tick.
      const next = events[i + 1];
      if (next?.at !== at || !("fires" in next.given || "resolves" in next.given)) delivery.tell();
    }
  }
  const times = [...each.given, ...each.expect].map(({ at }) => timeOf(at));
  const end = Math.max(
    0,
    ...times,
    ...(each.until === undefined ? [] : [milliseconds(each.until)]),
  );
  await clock.until(start + end);
  await delivery.close();
  store.close();
  return {
    failures: [...failures, ...compare(each.expect, sent), ...said],
    log: sent.map(showSent),
  };
}

/** A change of an alert, as the only one of its group. */
function alone(receiver: string, { timestamp, data }: AlertMessage): Notification {
  const reason = data.status === "firing" ? "first notification" : "all alerts resolved";
  return makeNotification({
    receiver,
    reason,
    timestamp,
    groupKey: data.fingerprint,
    groupLabels: data.labels,
    externalURL: "",
  }, [data]);
}

/** What an alert tells; undefined where one ends that doesn't fire. */
function messageOf(
  given: Extract<RouteGiven, { fires: Labels } | { resolves: Labels }>,
  now: number,
  fired: Map<string, AlertData>,
): AlertMessage | undefined {
  const at = new Date(now).toISOString();
  if ("resolves" in given) {
    // The one that has the fewest labels besides.
    const [data] = [...fired.values()].filter(({ labels }) => hasLabels(labels, given.resolves))
      .sort((a, b) => Object.keys(a.labels).length - Object.keys(b.labels).length);
    if (data === undefined) return undefined;
    fired.delete(data.fingerprint);
    return {
      type: "alert.resolved",
      timestamp: at,
      data: { ...data, status: "resolved", endsAt: at },
    };
  }
  const data = dataOf(given, at);
  fired.set(data.fingerprint, data);
  return { type: "alert.firing", timestamp: at, data };
}

function hasLabels(labels: Labels, some: Labels): boolean {
  return Object.entries(some).every(([name, value]) => labels[name] === value);
}

function dataOf(given: Extract<RouteGiven, { fires: Labels }>, startsAt: string): AlertData {
  const { fires, summary, description, value = 1 } = given;
  const known = fires["severity"];
  const severity = given.severity ?? (known === "critical" || known === "info" ? known : "warning");
  const labels = { ...fires, severity };
  return {
    alert: fires["alertname"]!,
    status: "firing",
    severity,
    labels,
    annotations: {
      summary: summary ?? fires["alertname"]!,
      ...(description === undefined ? {} : { description }),
    },
    value,
    peak: value,
    total: value,
    startsAt,
    endsAt: null,
    fingerprint: fingerprint(labels),
    exact: true,
    lost: 0,
    evidence: {},
  };
}

function compare(expected: readonly ExpectedNotification[], sent: readonly Sent[]): string[] {
  const failures: string[] = [];
  // What asks for more takes first what it asks for.
  const sorted = [...expected].sort((a, b) =>
    timeOf(a.at) - timeOf(b.at) || Object.keys(b).length - Object.keys(a).length
  );
  const rest = [...sent];
  for (const each of sorted) {
    const at = rest.findIndex((one) => differences(each, one).length === 0);
    if (at >= 0) {
      rest.splice(at, 1);
      continue;
    }
    // What comes nearest tells best what is otherwise.
    const [near] = rest.filter(({ notification }) => notification.receiver === each.receiver)
      .sort((a, b) => differences(each, a).length - differences(each, b).length);
    failures.push(
      `expected at ${each.at} to ${each.receiver}: ${
        near === undefined ? "nothing was sent there" : differences(each, near).join("; ")
      }`,
    );
    if (near !== undefined) rest.splice(rest.indexOf(near), 1);
  }
  for (const one of rest) failures.push(`not expected: ${showSent(one)}`);
  return failures;
}

/** What of a notification is otherwise than expected. */
function differences(expected: ExpectedNotification, { at, notification, text }: Sent): string[] {
  const { receiver, status, reason, alerts } = notification;
  const wrong: string[] = [];
  const check = (what: string, wanted: unknown, found: unknown): void => {
    if (wanted !== undefined && wanted !== found) {
      wrong.push(`${what} is ${quote(found)}, not ${quote(wanted)}`);
    }
  };
  check("the receiver", expected.receiver, receiver);
  if (timeOf(expected.at) !== at) wrong.push(`it was sent at ${showAt(at)}, not at ${expected.at}`);
  check("the status", expected.status, status);
  check("the reason", expected.reason, reason);
  if (expected.alerts !== undefined) {
    const found = [...alerts];
    for (const labels of expected.alerts) {
      const i = found.findIndex((alert) => hasLabels(alert.labels, labels));
      if (i < 0) wrong.push(`it has no alert with ${JSON.stringify(labels)}`);
      else found.splice(i, 1);
    }
    for (const { labels } of found) wrong.push(`it has an alert with ${JSON.stringify(labels)}`);
  }
  const part = expected.text;
  // `test` of a pattern with the flag g goes on where it was.
  const has = (part: string | RegExp): boolean =>
    typeof part === "string" ? text.includes(part) : text.search(part) >= 0;
  if (part !== undefined && !has(part)) {
    wrong.push(`its text is ${quote(text)}, without ${part}`);
  }
  return wrong;
}

/** A time to the millisecond, as a case writes it. */
function showAt(at: number): string {
  let rest = at;
  let shown = "";
  for (
    const [unit, length] of [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1000], [
      "ms",
      1,
    ]] as const
  ) {
    const count = Math.floor(rest / length);
    if (count > 0) shown += `${count}${unit}`;
    rest -= count * length;
  }
  return shown === "" ? "0" : shown;
}

function showSent({ at, notification }: Sent): string {
  const { receiver, status, reason, alerts, groupKey } = notification;
  const names = alerts.map(({ labels }) => labels["alertname"]).join(", ");
  return `at ${showAt(at)} to ${receiver}: ${status}, ${reason}: ${names} in ${groupKey}`;
}

// Who is told of which alert, and how often: a tree of routes, as Alertmanager's. An alert walks from the
// root into the first child that is about it, and on into the next where that one says `continue`.
import * as v from "valibot";
import { badConfig } from "../error.ts";
import type { DropwatchError } from "../error.ts";
import { nearest } from "../nearest.ts";
import { isDuration, milliseconds } from "../rule/duration.ts";
import type { Duration } from "../rule/duration.ts";
import { parseMatcher, showMatchers, testOfAll } from "./matcher.ts";
import type { LabelTest } from "./matcher.ts";
import type { Labels } from "./notification.ts";
import { TimeIntervalSchema } from "./time_interval.ts";
import type { TimeInterval } from "./time_interval.ts";

/** A route, as a config has it. What isn't given is that of the route above, but for times and matchers. */
export interface RouteConfig {
  /** The names of the sinks that are told; at the root all of them without it. */
  readonly receiver?: string | readonly string[];
  /** Alerts with equal values of these labels are told together; `["..."]`: each by itself. */
  readonly groupBy?: readonly string[];
  /** How long to wait for more alerts before a new group is told. */
  readonly groupWait?: Duration | "0s";
  /** Time between two looks at a group that has been told. */
  readonly groupInterval?: Duration;
  /** How long until a group that fires unchanged is told again. */
  readonly repeatInterval?: Duration;
  /** All of them must be true of an alert's labels. */
  readonly matchers?: readonly string[];
  /** Whether the next routes are looked at, too. */
  readonly continue?: boolean;
  /** Names of times at which it tells; always without it. */
  readonly activeTimeIntervals?: readonly string[];
  /** Names of times at which it doesn't. */
  readonly muteTimeIntervals?: readonly string[];
  readonly routes?: readonly RouteConfig[];
}

/** Alerts that say nothing new while others fire. */
export interface InhibitRule {
  /** Who keeps others quiet. */
  readonly sourceMatchers: readonly string[];
  /** Who is kept quiet. */
  readonly targetMatchers: readonly string[];
  /** Labels that both must have the same value of. */
  readonly equal?: readonly string[];
}

/** When an alert that comes and goes is held. */
export interface Flapping {
  /** How many changes within `within` make it flap; 6. */
  readonly changes?: number;
  /** "10m". */
  readonly within?: Duration;
  /** How long it must be as it is before it is believed again, "5m"; double each time, up to `longest`. */
  readonly quiet?: Duration;
  /** "2h". */
  readonly longest?: Duration;
}

/** What a config says of the way from an alert to people. */
export interface RoutingConfig {
  readonly route?: RouteConfig;
  /** By their names. */
  readonly timeIntervals?: Readonly<Record<string, readonly TimeInterval[]>>;
  readonly inhibitRules?: readonly InhibitRule[];
  /** False: nothing is held. */
  readonly flapping?: Flapping | false;
}

/** A route that was checked; times in milliseconds. */
export interface Route {
  /** The matchers from the root: `{}/{severity="critical"}`. */
  readonly key: string;
  readonly receivers: readonly string[];
  /** `undefined`: by all labels. */
  readonly groupBy: readonly string[] | undefined;
  readonly groupWait: number;
  readonly groupInterval: number;
  readonly repeatInterval: number;
  readonly active: readonly string[];
  readonly mute: readonly string[];
  readonly matches: LabelTest;
  readonly continue: boolean;
  readonly routes: readonly Route[];
}

export interface Inhibition {
  readonly source: LabelTest;
  readonly target: LabelTest;
  readonly equal: readonly string[];
}

/** What the way from an alert to people is. */
export interface Routing {
  readonly root: Route;
  readonly intervals: ReadonlyMap<string, readonly TimeInterval[]>;
  readonly inhibitions: readonly Inhibition[];
  readonly flapping: {
    readonly changes: number;
    readonly within: number;
    readonly quiet: number;
    readonly longest: number;
  } | undefined;
}

/**
 * Times where the config has no `route`: one who watches is told at once, and again soon. With a route
 * they are Alertmanager's.
 */
const timesWithout = { groupWait: 0, groupInterval: 5000, repeatInterval: 4 * 3_600_000 };
const timesOfRoute = { groupWait: 30_000, groupInterval: 300_000, repeatInterval: 4 * 3_600_000 };

const duration = v.pipe(
  v.string(`a duration like "30s"`),
  v.check(isDuration, `a duration like "30s"`),
);
const durationOrNone = `a duration like "30s", or "0s"`;
const names = v.array(v.string("a name"), "a list of names");
const someNames = v.pipe(names, v.minLength(1, "a name or more"));
const labelNames = v.pipe(
  v.array(v.string("a label"), "a list of labels"),
  v.check(
    (labels) => labels.length === 1 || !labels.includes("..."),
    `labels, or ["..."] alone: each alert by itself`,
  ),
);
/** What an alert's severity may be asked for; none is what no alert has. */
const severities: ReadonlySet<string> = new Set(["critical", "warning", "info", ""]);
const matchers = v.array(
  v.pipe(
    v.string(`a matcher like 'severity="critical"'`),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return;
      try {
        const { name, op, value } = parseMatcher(dataset.value);
        // A route that is about nothing is found out at night.
        if (name === "severity" && !op.endsWith("~") && !severities.has(value)) {
          addIssue({ message: "a severity: critical, warning or info" });
        }
      } catch (thrown) {
        const { expected } = (thrown as DropwatchError).data as { readonly expected: string };
        addIssue({ message: expected });
      }
    }),
  ),
  "a list of matchers",
);
const RouteSchema: v.GenericSchema<unknown, RouteConfig> = v.strictObject({
  receiver: v.optional(v.union([v.string(), someNames], "a sink's name, or several")),
  groupBy: v.optional(labelNames),
  groupWait: v.optional(
    v.pipe(
      v.string(durationOrNone),
      v.check((text) => text === "0s" || isDuration(text), durationOrNone),
    ),
  ),
  groupInterval: v.optional(duration),
  repeatInterval: v.optional(duration),
  matchers: v.optional(matchers),
  continue: v.optional(v.boolean("true or false")),
  activeTimeIntervals: v.optional(names),
  muteTimeIntervals: v.optional(names),
  routes: v.optional(v.array(v.lazy(() => RouteSchema), "a list of routes")),
}, "a route") as unknown as v.GenericSchema<unknown, RouteConfig>;

const changesFrom = "a whole number from 3 to 100";
const Flaps = v.strictObject({
  changes: v.optional(
    v.pipe(
      v.number(changesFrom),
      v.integer(changesFrom),
      v.minValue(3, changesFrom),
      v.maxValue(100, changesFrom),
    ),
  ),
  within: v.optional(duration),
  quiet: v.optional(duration),
  longest: v.optional(duration),
}, "{ changes, within, quiet, longest }, or false");

/** The parts of a config that are about routing, by their keys. */
export const routingEntries: {
  readonly [K in keyof RoutingConfig]-?: v.GenericSchema<unknown>;
} = {
  route: v.optional(RouteSchema),
  timeIntervals: v.optional(
    v.record(
      v.string(),
      v.pipe(
        v.array(TimeIntervalSchema, "a list of times"),
        v.minLength(1, "a time or more"),
      ),
      "times by their names",
    ),
  ),
  inhibitRules: v.optional(v.array(
    v.strictObject({
      sourceMatchers: v.pipe(matchers, v.minLength(1, "a matcher or more")),
      targetMatchers: v.pipe(matchers, v.minLength(1, "a matcher or more")),
      equal: v.optional(names),
    }, "{ sourceMatchers, targetMatchers, equal }"),
    "a list of inhibitions",
  )),
  flapping: v.optional(
    v.lazy((given) => (given === false ? v.literal(false) : Flaps) as v.GenericSchema<unknown>),
  ),
};

/**
 * Makes a config's routing ready; `sinks` are the names of all, `file` is where the config is.
 *
 * @throws DropwatchError BAD_CONFIG where a name isn't there.
 */
export function makeRouting(
  config: RoutingConfig,
  sinks: readonly string[],
  file = "the config",
): Routing {
  const { route, timeIntervals = {}, inhibitRules = [], flapping = {} } = config;
  const intervals = new Map(Object.entries(timeIntervals));
  const above: Route = {
    key: "",
    receivers: sinks,
    groupBy: ["alertname"],
    ...(route === undefined ? timesWithout : timesOfRoute),
    active: [],
    mute: [],
    matches: () => true,
    continue: false,
    routes: [],
  };
  if ((route?.matchers ?? []).length > 0) {
    throw badConfig(file, "route.matchers", route?.matchers, "none: all alerts take the root");
  }
  return {
    root: makeRoute(route ?? {}, above, "route", { file, sinks, intervals: [...intervals.keys()] }),
    intervals,
    inhibitions: inhibitRules.map(({ sourceMatchers, targetMatchers, equal = [] }) => ({
      source: testOfAll(sourceMatchers.map(parseMatcher)),
      target: testOfAll(targetMatchers.map(parseMatcher)),
      equal,
    })),
    flapping: flapping === false ? undefined : {
      changes: flapping.changes ?? 6,
      within: milliseconds(flapping.within ?? "10m"),
      quiet: milliseconds(flapping.quiet ?? "5m"),
      longest: milliseconds(flapping.longest ?? "2h"),
    },
  };
}

/** Every key that a part of it may have, for "did you mean". */
export const routingKeys: readonly string[] = [
  "receiver",
  "groupBy",
  "groupWait",
  "groupInterval",
  "repeatInterval",
  "matchers",
  "continue",
  "activeTimeIntervals",
  "muteTimeIntervals",
  "routes",
  "times",
  "startTime",
  "endTime",
  "weekdays",
  "daysOfMonth",
  "months",
  "years",
  "location",
  "sourceMatchers",
  "targetMatchers",
  "equal",
  "changes",
  "within",
  "quiet",
  "longest",
];

function makeRoute(
  config: RouteConfig,
  above: Route,
  at: string,
  names: {
    readonly file: string;
    readonly sinks: readonly string[];
    readonly intervals: readonly string[];
  },
): Route {
  const known = (key: string, given: readonly string[], all: readonly string[]): void => {
    const odd = given.find((name) => !all.includes(name));
    if (odd === undefined) return;
    const expected = all.length === 0 ? "nothing: there is none" : `one of ${all.join(", ")}`;
    throw badConfig(names.file, `${at}.${key}`, odd, expected, nearest(odd, all));
  };
  const { groupBy, activeTimeIntervals = [], muteTimeIntervals = [] } = config;
  const receivers = config.receiver === undefined ? above.receivers : [config.receiver].flat();
  known("receiver", receivers, names.sinks);
  known("activeTimeIntervals", activeTimeIntervals, names.intervals);
  known("muteTimeIntervals", muteTimeIntervals, names.intervals);
  const own = (config.matchers ?? []).map(parseMatcher);
  const time = (text: string | undefined, other: number): number =>
    text === undefined ? other : text === "0s" ? 0 : milliseconds(text);
  const route: Route = {
    key: `${above.key === "" ? "" : `${above.key}/`}${showMatchers(own)}`,
    receivers,
    groupBy: groupBy === undefined ? above.groupBy : groupBy.includes("...") ? undefined : groupBy,
    groupWait: time(config.groupWait, above.groupWait),
    groupInterval: time(config.groupInterval, above.groupInterval),
    repeatInterval: time(config.repeatInterval, above.repeatInterval),
    active: activeTimeIntervals,
    mute: muteTimeIntervals,
    matches: testOfAll(own),
    continue: config.continue ?? false,
    routes: [],
  };
  return {
    ...route,
    routes: (config.routes ?? []).map((child, i) =>
      makeRoute(child, route, `${at}.routes.${i}`, names)
    ),
  };
}

/** The routes that an alert takes, in their order. */
export function routesFor(route: Route, labels: Labels): Route[] {
  if (!route.matches(labels)) return [];
  const taken: Route[] = [];
  for (const child of route.routes) {
    const found = routesFor(child, labels);
    taken.push(...found);
    if (found.length > 0 && !child.continue) break;
  }
  return taken.length > 0 ? taken : [route];
}

/** The labels that a route tells alerts together by. */
export function groupLabelsOf({ groupBy }: Route, labels: Labels): Record<string, string> {
  const names = (groupBy ?? Object.keys(labels)).filter((name) => Object.hasOwn(labels, name));
  return Object.fromEntries(names.sort().map((name) => [name, labels[name]!]));
}

/** `{}/{severity="critical"}:{alertname="X"}`: the same group in another run, too. */
export function groupKeyOf({ key }: Route, labels: Labels): string {
  const shown = Object.entries(labels).map(([name, value]) => `${name}=${quoted(value)}`);
  return `${key}:{${shown.join(", ")}}`;
}

const escapes: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  '"': '\\"',
  "\\": "\\\\",
};

/** A value as Go quotes it (strconv.Quote), and with it Alertmanager: what can't be seen is escaped. */
function quoted(value: string): string {
  const shown = value.replace(/["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, (c) => {
    const code = c.codePointAt(0)!;
    const hex = code.toString(16);
    if (code < 0x80) return escapes[c] ?? `\\x${hex.padStart(2, "0")}`;
    return code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
  });
  return `"${shown}"`;
}

// dropwatch.config.ts: what the command line says, and what only code can say (sinks and sources).
import * as v from "valibot";
import { badConfig, unknownConfigKey } from "../error.ts";
import { nearest } from "../nearest.ts";
import { routingEntries, routingKeys } from "../alert/route.ts";
import type { RoutingConfig } from "../alert/route.ts";
import type { MirrorSink, Sink, SinkSpec } from "../alert/sink.ts";
import type { ExporterSpec, MetricsExporter } from "../view/exporter.ts";
import type { Source } from "../watch/source.ts";
import { milliseconds } from "./duration.ts";
import { SecretSchema } from "../secret.ts";
import type { Secret } from "../secret.ts";
import { overrideKeys, OverridesSchema } from "./override.ts";
import type { Overrides } from "./override.ts";

/** What a config may hold; an option of the command line wins over it. */
export interface Config extends RoutingConfig {
  /** Folders or files with rules. */
  readonly rules?: string | readonly string[];
  /** Time between two ticks: "1s". */
  readonly interval?: string;
  /** The folder that state is kept in. */
  readonly state?: string;
  /** Sinks: those of "dropwatch/sinks", made by `defineSink`, or written as on the command line. */
  readonly sinks?: readonly (string | Sink | SinkSpec)[];
  /** Where metrics are pushed to: `otlpMetrics` of "dropwatch/sinks", or written as on the command line. */
  readonly metrics?: readonly (string | ExporterSpec | MetricsExporter)[];
  /** Where people can look when they are told of an alert: the URL of a dashboard. */
  readonly externalURL?: string;
  /** Labels that every alert has besides its own, where those don't say otherwise: which machine it is. */
  readonly externalLabels?: Readonly<Record<string, string>>;
  /** A source made by `defineSource`, or written as on the command line: "replay:FILE". */
  readonly source?: string | Source;
  /** The command that runs bpftrace: "sudo -n bpftrace". */
  readonly bpftrace?: string;
  /** How many keys a map in the kernel may hold. */
  readonly maxKeys?: number;
  /** What is otherwise than in the rules' files, by the name of the alert. */
  readonly overrides?: Overrides;
  /** Where the dashboard, the API and the metrics are served: "127.0.0.1:8787". */
  readonly listen?: string;
  /** What a client must know; needed where `listen` isn't this machine alone. */
  readonly token?: Secret;
  /** Names by which clients may call the server, besides its address: those that a proxy passes on. */
  readonly allowedHosts?: readonly string[];
  /** The fields that drops of the past are told apart by, for those who look on. */
  readonly historyBy?: readonly string[];
}

/**
 * Types a config.
 *
 * @example
 * ```ts
 * import { defineConfig } from "dropwatch";
 *
 * export default defineConfig({ rules: "rules/", interval: "2s", sinks: ["stdout"] });
 * ```
 */
export function defineConfig(config: Config): Config {
  return config;
}

const isSink = (value: unknown): value is Sink | SinkSpec => {
  if (typeof value !== "object" || value === null) return false;
  if ("kind" in value) return typeof value.kind === "string" && "options" in value;
  const methods = value as Record<string, unknown>;
  return typeof methods["name"] === "string" &&
    ["send", "notify", "mirror", "beat"].some((name) => typeof methods[name] === "function");
};

/** Whether the log and routes can call something so. */
const isName = (name: string): boolean => /^[A-Za-z][A-Za-z0-9_-]{0,63}$/.test(name);
const isOwn = (sink: string | Sink | SinkSpec): sink is Sink =>
  typeof sink === "object" && !("kind" in sink);
/** What a sink of one's own says of itself; those of "dropwatch/sinks" check their options. */
const isCalledWell = (sink: string | Sink | SinkSpec): boolean => !isOwn(sink) || isName(sink.name);
const hasGoodTimes = (sink: string | Sink | SinkSpec): boolean => {
  if (!isOwn(sink)) return true;
  const { timeout, rate, every, keepResolved } = sink as Partial<MirrorSink>;
  const isAbove0 = (n: unknown): boolean => typeof n === "number" && n > 0 && n < Infinity;
  return (timeout === undefined || isAbove0(timeout)) &&
    (rate === undefined || isAbove0(rate.perSecond) && isAbove0(rate.burst) && rate.burst >= 1) &&
    (!("mirror" in sink || "beat" in sink) || isAbove0(every)) &&
    (!("mirror" in sink) || keepResolved === 0 || isAbove0(keepResolved));
};

const isExporter = (value: unknown): value is ExporterSpec | MetricsExporter => {
  if (typeof value !== "object" || value === null) return false;
  if ("exporter" in value) return typeof value.exporter === "string" && "options" in value;
  const { name, interval, push } = value as Record<string, unknown>;
  return typeof name === "string" && isName(name) && typeof push === "function" &&
    typeof interval === "number" && interval >= 1000 && interval <= 86_400_000;
};

const isSource = (value: unknown): value is Source =>
  typeof value === "object" && value !== null && "name" in value && "run" in value &&
  "facts" in value && typeof value.run === "function" && typeof value.facts === "function";

export const possibleIntervals = `a duration from "50ms" to "60s"`;

/** Whether ticks may be so many milliseconds apart. */
export function isInterval(length: number): boolean {
  return length >= 50 && length <= 60_000;
}

const isIntervalText = (text: string): boolean => {
  try {
    return isInterval(milliseconds(text));
  } catch {
    return false;
  }
};

/** The maps by reason have as many: with fewer than a kernel has reasons, `seen` would be too low. */
export const leastMaxKeys = 512;
export const mostMaxKeys = 1_000_000;

const entries = {
  rules: v.optional(v.union([v.string(), v.array(v.string())], "a folder, or a list of folders")),
  interval: v.optional(
    v.pipe(v.string(possibleIntervals), v.check(isIntervalText, possibleIntervals)),
  ),
  state: v.optional(v.string("a folder")),
  sinks: v.optional(
    v.array(
      v.pipe(
        v.union(
          [v.string(), v.custom<Sink | SinkSpec>(isSink)],
          'a sink: a string, one of "dropwatch/sinks", or what defineSink returns',
        ),
        v.check(isCalledWell, "a sink whose name has letters, digits, _ and -, 64 at most"),
        v.check(
          hasGoodTimes,
          "a sink with a rate of { perSecond, burst: 1 or more }, and with times in milliseconds",
        ),
      ),
      "a list of sinks",
    ),
  ),
  metrics: v.optional(
    v.array(
      v.union(
        [v.string(), v.custom<ExporterSpec | MetricsExporter>(isExporter)],
        'an exporter: a string, otlpMetrics of "dropwatch/sinks", or { name, interval, push } with ' +
          "a name of letters, digits, _ and -, and milliseconds from 1000 on",
      ),
      "a list of exporters",
    ),
  ),
  source: v.optional(
    v.union(
      [v.string(), v.custom<Source>(isSource)],
      "a source: a string, or what defineSource returns",
    ),
  ),
  bpftrace: v.optional(v.string("a command")),
  overrides: v.optional(OverridesSchema),
  externalLabels: v.optional(v.record(
    v.pipe(
      v.string(),
      v.regex(/^(?!__|alertname$|severity$)[a-zA-Z_][a-zA-Z0-9_]*$/, "a label of an own name"),
    ),
    v.string("a text"),
    "labels with texts",
  )),
  externalURL: v.optional(
    v.pipe(
      v.string("a URL"),
      v.check((url) => /^https?:\/\//.test(url) && URL.canParse(url), "a URL of http or https"),
    ),
  ),
  listen: v.optional(v.string('an address: "127.0.0.1:8787"')),
  token: v.optional(SecretSchema),
  allowedHosts: v.optional(v.array(v.string("a name"), "a list of names")),
  historyBy: v.optional(v.array(v.string("a field"), "a list of fields")),
  ...routingEntries,
  maxKeys: v.optional(
    v.pipe(
      v.number("a whole number"),
      v.integer("a whole number"),
      v.minValue(leastMaxKeys, `at least ${leastMaxKeys}`),
      v.maxValue(mostMaxKeys, `at most ${mostMaxKeys}`),
    ),
  ),
};

const ConfigSchema: v.GenericSchema<unknown, Config> = v.strictObject(
  entries,
) as unknown as v.GenericSchema<unknown, Config>;

/**
 * Checks what a config file exports.
 *
 * @throws DropwatchError UNKNOWN_CONFIG_KEY, BAD_CONFIG.
 */
export function readConfig(file: string, value: unknown): Config {
  const proto: unknown = typeof value === "object" && value !== null
    ? Object.getPrototypeOf(value)
    : undefined;
  if (proto !== Object.prototype && proto !== null) {
    throw badConfig(file, "default", value, `"export default defineConfig({ … })"`);
  }
  const unknown = Object.keys(value as object).find((key) => !Object.hasOwn(entries, key));
  if (unknown !== undefined) {
    throw unknownConfigKey(file, unknown, nearest(unknown, Object.keys(entries)));
  }
  for (const [alert, override] of Object.entries((value as Config).overrides ?? {})) {
    if (typeof override !== "object" || override === null) continue;
    const odd = Object.keys(override).find((key) => !overrideKeys.includes(key));
    if (odd !== undefined) {
      throw unknownConfigKey(file, `overrides.${alert}.${odd}`, nearest(odd, overrideKeys));
    }
  }
  const result = v.safeParse(ConfigSchema, value);
  if (result.success) return result.output;
  const odd = result.issues.find(({ expected }) => expected === "never");
  const path = odd === undefined ? null : v.getDotPath(odd);
  if (path !== null) {
    throw unknownConfigKey(file, path, nearest(path.split(".").at(-1)!, routingKeys));
  }
  const issue = result.issues[0];
  throw badConfig(file, v.getDotPath(issue) ?? "default", issue.input, issue.message);
}

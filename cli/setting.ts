// What a run works with: the config file, and over it the options.
import { access } from "node:fs/promises";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import {
  badConfig,
  badOption,
  badSinkOption,
  brokenConfig,
  DropwatchError,
  missingArgument,
  noState,
  ofReplacedSinks,
  ofSink,
  printable,
  unknownSource,
  unreadableFile,
} from "../core/error.ts";
import { makeRouting } from "../core/alert/route.ts";
import type { Routing } from "../core/alert/route.ts";
import type { Sink, SinkSpec } from "../core/alert/sink.ts";
import type { Source } from "../core/watch/source.ts";
import { api } from "../core/rule/api.ts";
import { apiSymbol } from "../core/rule/rule_api.ts";
import { bundleFiles } from "../core/rule/bundle.ts";
import {
  isInterval,
  leastMaxKeys,
  mostMaxKeys,
  possibleIntervals,
  readConfig,
} from "../core/rule/config.ts";
import type { Config } from "../core/rule/config.ts";
import { milliseconds } from "../core/rule/duration.ts";
import { loadRules } from "../core/rule/load.ts";
import type { RuleSet } from "../core/rule/load.ts";
import type { Overrides } from "../core/rule/override.ts";
import { describeThrown } from "../core/rule/thrown.ts";
import { readSecret } from "../core/secret.ts";
import type { MetricsExporter } from "../core/view/exporter.ts";
import {
  checkExporter,
  exporterMakers,
  exporterName,
  makeExporter,
} from "../plugins/metrics/registry.ts";
import { bpftraceSource } from "../plugins/sources/bpftrace/source.ts";
import { replaySource } from "../plugins/sources/replay.ts";
import {
  checkSink,
  describeSink,
  distinctNames,
  makeSink,
  makeSinkOf,
  sinkMakers,
} from "../plugins/sinks/registry.ts";
import type { SinkDescription, SinkSetting } from "../plugins/sinks/registry.ts";
import type { Terminal } from "./command.ts";
import type { Given } from "./option.ts";
import { alertsAsked, alertsMissing } from "./route_names.ts";

/** What commands are run with, when config and options have been read. */
export interface Setting {
  readonly rules: readonly string[];
  readonly source: Source;
  /** The command that runs bpftrace. */
  readonly bpftrace: readonly string[];
  /** The names of the sinks, and of what kind each is. */
  readonly sinks: readonly NamedSink[];
  /**
   * Makes the sinks, or the one of a name: only who sends needs their secrets.
   *
   * @throws DropwatchError BAD_SINK_OPTION.
   */
  openSinks(only?: string): readonly Sink[];
  /**
   * Makes what pushes metrics.
   *
   * @throws DropwatchError BAD_EXPORTER_OPTION.
   */
  openExporters(): readonly MetricsExporter[];
  /** Who is told of what. */
  readonly routing: Routing;
  /** What is odd about the routes, for these rules; nothing where some couldn't be loaded. */
  oddRoutes(rules: RuleSet): readonly DropwatchError[];
  /** Where people can look. */
  readonly externalURL: string | undefined;
  /** What every alert has besides its own labels. */
  readonly externalLabels: Readonly<Record<string, string>> | undefined;
  /** Milliseconds. */
  readonly interval: number;
  readonly maxKeys: number;
  /** The folder that state is kept in. */
  readonly state: string | undefined;
  /** What is otherwise than in the rules' files. */
  readonly overrides: Overrides | undefined;
  /** Where people can look on; undefined where nothing is served. */
  readonly listen: Listen | undefined;
  /** The fields of the history; the usual ones where nobody says. */
  readonly historyBy: readonly string[] | undefined;
}

/** Where the dashboard, the API and metrics are served, and for whom. */
export interface Listen {
  readonly address: string;
  readonly token: string | undefined;
  readonly allowedHosts: readonly string[];
}

/** A sink that isn't made yet. */
export interface NamedSink extends SinkDescription {
  /** `slack`; `own` where the config has one of its own. */
  readonly kind: string;
}

const defaultConfig = "dropwatch.config.ts";
const defaultMaxKeys = 4096;
/** Where a config finds the sinks and exporters that come with dropwatch. */
const sinksSymbol = Symbol.for("dropwatch.sinks");
const makers = { ...sinkMakers, ...exporterMakers };

/**
 * The folder of the state, for a command that needs nothing else.
 *
 * @throws DropwatchError NO_STATE.
 */
export async function readState(given: Given): Promise<string> {
  const state = given.text("state") ?? (await loadConfig(given.text("config"))).state;
  if (state === undefined) throw noState(undefined);
  return state;
}

/** What a command asks of its setting. */
interface SettingNeeds {
  /** Milliseconds between ticks where nobody says; 1000. */
  readonly interval?: number;
  /** What sinks send and get. */
  readonly trace?: SinkSetting["trace"];
  /** Whether routes must fit the sinks; true. */
  readonly routed?: boolean;
}

/** Reads the config and the options of a command. */
export async function readSetting(
  given: Given,
  terminal: Terminal,
  { interval: defaultInterval = 1000, trace, routed = true }: SettingNeeds = {},
): Promise<Setting> {
  const config = await loadConfig(given.text("config"));
  const interval = given.time("interval") ??
    (config.interval === undefined ? defaultInterval : milliseconds(config.interval));
  if (!isInterval(interval)) throw badOption("interval", given.text("interval"), possibleIntervals);
  const rules = given.list("rules").length > 0 ? given.list("rules") : [config.rules ?? []].flat();
  const file = given.text("config") ?? defaultConfig;
  const words = given.list("sink");
  const sinks = nameSinks(
    words.length > 0 ? words : config.sinks ?? ["stdout"],
    words.length > 0 ? undefined : file,
  );
  // A sign of life takes no routes.
  const names = sinks.filter(({ sort }) => sort !== "heartbeat").map(({ name }) => name);
  const bpftrace = bpftraceCommand(given, config);
  const pushed = given.list("metrics");
  const exporters = pushed.length > 0 ? pushed : config.metrics ?? [];
  const exportersFile = pushed.length > 0 ? undefined : file;
  for (const exporter of exporters) checkExporter(exporter, exportersFile);
  return {
    rules,
    source: pickSource(given.text("source") ?? config.source ?? "bpftrace", bpftrace),
    bpftrace,
    sinks,
    openSinks(only) {
      const clear = secretsInTheClear(file, terminal);
      const made = sinks.filter(({ name }) => only === undefined || name === only).map((sink) =>
        openSink(sink, {
          json: given.flag("json"),
          colour: terminal.colour,
          out: terminal.out,
          log: terminal.log,
          env: process.env,
          host: hostname(),
          inTheClear: clear.found,
          ...(trace === undefined ? {} : { trace }),
        })
      );
      clear.tell();
      return made;
    },
    openExporters() {
      const clear = secretsInTheClear(file, terminal);
      const names = distinctNames(exporters.map(exporterName));
      const made = exporters.map((exporter, i) =>
        makeExporter(exporter, {
          env: process.env,
          file: exportersFile,
          name: names[i]!,
          ...(exportersFile === undefined ? {} : { inTheClear: clear.found }),
        })
      );
      clear.tell();
      return made;
    },
    routing: !routed
      ? makeRouting({}, names, file)
      : words.length === 0
      ? makeRouting(config, names, file)
      : routingOver(config, names, file),
    oddRoutes: ({ rules, errors }) =>
      errors.length > 0
        ? []
        : alertsMissing(alertsAsked(config), rules.map(({ alert }) => alert), file),
    externalURL: config.externalURL,
    externalLabels: config.externalLabels,
    interval,
    maxKeys: given.number("max-keys", leastMaxKeys, mostMaxKeys) ?? config.maxKeys ??
      defaultMaxKeys,
    state: given.text("state") ?? config.state,
    overrides: config.overrides,
    listen: listenOf(given, config, file, terminal),
    historyBy: given.text("history-by")?.split(",").map((field) => field.trim()) ??
      config.historyBy,
  };
}

/**
 * The token of `--token-file`, or that of the environment.
 *
 * @throws DropwatchError BAD_OPTION.
 */
export function readToken(given: Given): string | undefined {
  const file = given.text("token-file");
  if (file === undefined) return process.env["DROPWATCH_TOKEN"];
  const fail = (why: string): DropwatchError =>
    badOption("token-file", file, `a file with a token: it ${why}`);
  return readSecret({ file }, process.env, fail);
}

function listenOf(
  given: Given,
  config: Config,
  file: string,
  terminal: Terminal,
): Listen | undefined {
  const address = given.text("listen") ?? config.listen;
  if (address === undefined) return undefined;
  const secret = given.text("token-file") === undefined ? config.token : undefined;
  if (typeof secret === "string") {
    const clear = secretsInTheClear(file, terminal);
    clear.found("token", "the server");
    clear.tell();
  }
  const allowed = given.list("allow-host");
  return {
    address,
    token: secret === undefined ? readToken(given) : readSecret(
      secret,
      process.env,
      (why) => badConfig(file, "token", "…", `a token: it ${why}`),
    ),
    allowedHosts: allowed.length > 0 ? allowed : config.allowedHosts ?? [],
  };
}

/** Notes what of a config is secret and stands in it, and warns of all of it at once. */
function secretsInTheClear(file: string, { log }: Terminal): {
  readonly found: (option: string, of: string) => void;
  tell(): void;
} {
  const clear = new Set<string>();
  return {
    found: (option, of) => void clear.add(`the ${option} of ${of}`),
    tell() {
      if (clear.size === 0) return;
      log(
        `${file} has secrets in the clear: ${[...clear].join(", ")}; ` +
          `{ env: "NAME" } or { file: "PATH" } in their place keeps them out of it`,
      );
    },
  };
}

/** A sink as it was given, and where: the config's file, or the command line. */
interface GivenSink extends NamedSink {
  readonly given: string | Sink | SinkSpec;
  readonly file: string | undefined;
}

/**
 * The sinks of a run, checked without their secrets, each under a name of its own: the second `webhook` is
 * `webhook-2`.
 *
 * @throws DropwatchError UNKNOWN_SINK, UNKNOWN_SINK_OPTION, BAD_SINK_OPTION.
 */
function nameSinks(
  all: readonly (string | Sink | SinkSpec)[],
  file: string | undefined,
): GivenSink[] {
  const sinks = all.map((given) => {
    const described = describeSink(given);
    const kind = typeof given === "string"
      ? given.split("=", 1)[0]!
      : "kind" in given
      ? given.kind
      : "own";
    const sink = { ...described, kind, given, file };
    telling(sink, () => checkSink(given, process.env));
    return sink;
  });
  const names = distinctNames(sinks.map(({ name }) => name));
  return sinks.map((sink, i) => {
    const { kind, name } = sink;
    // Who named two sinks alike would have routes that mean the first of them alone.
    if (names[i] !== name && name !== kind) {
      throw ofSink(badSinkOption(kind, "another sink has its name"), { name, kind, file });
    }
    return { ...sink, name: names[i]! };
  });
}

function openSink(sink: NamedSink, setting: SinkSetting): Sink {
  const { given, name } = sink as GivenSink;
  return telling(sink as GivenSink, () => {
    const made = typeof given === "string"
      ? makeSink(given, setting)
      : "kind" in given
      ? makeSinkOf(given, setting)
      : given;
    return made.name === name ? made : renamed(made, name);
  });
}

/** Does something with a sink; what is wrong with it is said under its name. */
function telling<T>(sink: GivenSink, act: () => T): T {
  try {
    return act();
  } catch (thrown) {
    throw thrown instanceof DropwatchError ? ofSink(thrown, sink) : thrown;
  }
}

/** The config's routes over the sinks of the command line. */
function routingOver(config: Config, names: readonly string[], file: string): Routing {
  try {
    return makeRouting(config, names, file);
  } catch (thrown) {
    throw thrown instanceof DropwatchError ? ofReplacedSinks(thrown) : thrown;
  }
}

/** The same sink under another name; what it keeps to itself stays its own. */
function renamed(sink: Sink, name: string): Sink {
  return new Proxy(sink, {
    get(target, key) {
      if (key === "name") return name;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/**
 * Where the rules are that a command is to look at: what its words and --rules name, or else the config.
 *
 * @throws DropwatchError MISSING_ARGUMENT.
 */
export function rulePlaces(command: string, given: Given, setting: Setting): readonly string[] {
  const named = [...given.words, ...given.list("rules")];
  const places = named.length > 0 ? named : setting.rules;
  if (places.length === 0) throw missingArgument(command, "a folder or file with rules");
  return places;
}

/** Reads rule files as the setting has it. The host that ran them is the caller's to close. */
export function readRules(
  files: readonly string[],
  { source, interval, overrides }: Setting,
  { log }: Terminal,
): Promise<RuleSet> {
  return loadRules({ files, facts: () => source.facts(), interval, log, overrides });
}

function bpftraceCommand(given: Given, config: Config): readonly string[] {
  const words = (given.text("bpftrace") ?? config.bpftrace ?? "bpftrace").trim().split(/\s+/);
  if (words[0] === "") throw badOption("bpftrace", "", "a command");
  return words;
}

/** The source that a command watches: the kernel, unless another one is asked for. */
function pickSource(source: string | Source, bpftrace: readonly string[]): Source {
  if (typeof source !== "string") return source;
  if (source === "bpftrace") return bpftraceSource({ command: bpftrace });
  if (source.startsWith("replay:")) return replaySource({ file: source.slice("replay:".length) });
  throw unknownSource(source, ["bpftrace", "replay:FILE"]);
}

/** Runs a config file: it is the operator's own code, with the operator's rights. */
async function loadConfig(named: string | undefined): Promise<Config> {
  const file = resolve(named ?? defaultConfig);
  try {
    await access(file);
  } catch (thrown) {
    if (named === undefined) return {};
    throw unreadableFile(named, thrown);
  }
  const { bundles, errors } = await bundleFiles([file], {
    "dropwatch/sinks": { symbol: sinksSymbol, names: Object.keys(makers) },
  });
  const broken = errors.get(file);
  if (broken !== undefined) throw brokenConfig(broken.place ?? { file }, broken.message);
  Object.assign(globalThis, { [apiSymbol]: api, [sinksSymbol]: makers });
  const folder = await mkdtemp(join(tmpdir(), "dropwatch-config-"));
  try {
    const path = join(folder, "config.mjs");
    const bundle = bundles.get(file)!;
    await writeFile(path, bundle.code, { mode: 0o600 });
    let module: { default?: unknown };
    try {
      module = await import(pathToFileURL(path).href);
    } catch (thrown) {
      const { message, at } = describeThrown(thrown, /config\.mjs[^:]*:\d+:\d+/);
      throw brokenConfig(bundle.place(at), `it threw ${printable(message)}`, thrown);
    }
    return readConfig(named ?? defaultConfig, module.default);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

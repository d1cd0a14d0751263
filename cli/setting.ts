// What a run works with: the config file, and over it the options.
import { access } from "node:fs/promises";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import {
  badOption,
  brokenConfig,
  missingArgument,
  noState,
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
import { bpftraceSource } from "../plugins/sources/bpftrace/source.ts";
import { replaySource } from "../plugins/sources/replay.ts";
import { distinct, makeSink, makeSinkOf, sinkMakers } from "../plugins/sinks/registry.ts";
import type { SinkSetting } from "../plugins/sinks/registry.ts";
import type { Terminal } from "./command.ts";
import type { Given } from "./option.ts";

/** What commands are run with, when config and options have been read. */
export interface Setting {
  readonly rules: readonly string[];
  readonly source: Source;
  /** The command that runs bpftrace. */
  readonly bpftrace: readonly string[];
  readonly sinks: readonly Sink[];
  /** Who is told of what. */
  readonly routing: Routing;
  /** Where people can look. */
  readonly externalURL: string | undefined;
  /** Milliseconds. */
  readonly interval: number;
  readonly maxKeys: number;
  /** The folder that state is kept in. */
  readonly state: string | undefined;
  /** What is otherwise than in the rules' files. */
  readonly overrides: Overrides | undefined;
}

const defaultConfig = "dropwatch.config.ts";
const defaultMaxKeys = 4096;
/** Where a config finds the sinks that come with dropwatch. */
const sinksSymbol = Symbol.for("dropwatch.sinks");

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

/** Reads the config and the options of a command. */
export async function readSetting(
  given: Given,
  terminal: Terminal,
  defaultInterval = 1000,
  trace?: SinkSetting["trace"],
): Promise<Setting> {
  const config = await loadConfig(given.text("config"));
  const interval = given.time("interval") ??
    (config.interval === undefined ? defaultInterval : milliseconds(config.interval));
  if (!isInterval(interval)) throw badOption("interval", given.text("interval"), possibleIntervals);
  const rules = given.list("rules").length > 0 ? given.list("rules") : [config.rules ?? []].flat();
  const sinks = given.list("sink").length > 0 ? given.list("sink") : config.sinks ?? ["stdout"];
  const made = makeSinks(sinks, {
    json: given.flag("json"),
    colour: terminal.colour,
    out: terminal.out,
    log: terminal.log,
    env: process.env,
    ...(trace === undefined ? {} : { trace }),
  });
  const bpftrace = bpftraceCommand(given, config);
  return {
    rules,
    source: pickSource(given.text("source") ?? config.source ?? "bpftrace", bpftrace),
    bpftrace,
    sinks: made,
    routing: makeRouting(
      config,
      made.map(({ name }) => name),
      given.text("config") ?? defaultConfig,
    ),
    externalURL: config.externalURL,
    interval,
    maxKeys: given.number("max-keys", leastMaxKeys, mostMaxKeys) ?? config.maxKeys ??
      defaultMaxKeys,
    state: given.text("state") ?? config.state,
    overrides: config.overrides,
  };
}

/** The sinks of a run, each under a name of its own: the second `webhook` is `webhook-2`. */
function makeSinks(given: readonly (string | Sink | SinkSpec)[], setting: SinkSetting): Sink[] {
  const sinks = given.map((each) =>
    typeof each === "string"
      ? makeSink(each, setting)
      : "kind" in each
      ? makeSinkOf(each, setting)
      : each
  );
  const names = distinct(sinks.map(({ name }) => name));
  return sinks.map((sink, i) => sink.name === names[i] ? sink : renamed(sink, names[i]!));
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
    "dropwatch/sinks": { symbol: sinksSymbol, names: Object.keys(sinkMakers) },
  });
  const broken = errors.get(file);
  if (broken !== undefined) throw brokenConfig(broken.place ?? { file }, broken.message);
  Object.assign(globalThis, { [apiSymbol]: api, [sinksSymbol]: sinkMakers });
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

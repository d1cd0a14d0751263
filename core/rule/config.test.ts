// What a config may hold, and that each mistake in it is told with its file, key and value.
import { describe, expect, test } from "bun:test";
import { alertOf } from "../../test/alert.ts";
import { facts } from "../../test/world.ts";
import type { AlertSink } from "../alert/sink.ts";
import { DropwatchError } from "../error.ts";
import type { Source } from "../watch/source.ts";
import { defineConfig, readConfig } from "./config.ts";

const file = "some/dropwatch.config.ts";

/** The error of a config. */
function failure(value: unknown): DropwatchError {
  try {
    readConfig(file, value);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(DropwatchError);
    return thrown as DropwatchError;
  }
  throw new Error("it was taken");
}

const badRun = { source: { name: "x", run: 1, facts: () => {} } };
const badFacts = { source: { name: "x", run: () => {}, facts: 2 } };

const sent: unknown[] = [];

/** A sink with a private part, which a copy of it would lack. */
class Remembering implements AlertSink {
  readonly name = "remembering";
  readonly #sent = sent;
  send(alert: unknown): Promise<void> {
    this.#sent.push(alert);
    return Promise.resolve();
  }
}

/** What JSON can't say: it holds itself. */
const endless: Record<string, unknown> = { name: "x" };
endless.self = endless;

/** A config that is on its way. */
const late = Promise.resolve({ rules: 5 });
const someday = new Date(0);

const source: Source = {
  name: "mine",
  facts: () => Promise.resolve(facts),
  run: () => Promise.resolve(),
};

describe("a config", () => {
  test("may hold every key, and is taken as it is", () => {
    const config = defineConfig({
      rules: ["rules/", "more.ts"],
      interval: "2s",
      state: "state/",
      sinks: ["stdout", "webhook=https://example.org/hook"],
      source: "replay:drops.ndjson",
      bpftrace: "sudo -n bpftrace",
      maxKeys: 8192,
    });
    expect(readConfig(file, config)).toEqual(config);
  });

  test("may be empty, and name one folder of rules without a list", () => {
    expect(readConfig(file, {})).toEqual({});
    expect(readConfig(file, { rules: "rules/" })).toEqual({ rules: "rules/" });
    expect(readConfig(file, { rules: [], sinks: [] })).toEqual({ rules: [], sinks: [] });
  });

  test("may leave a key undefined", () => {
    const { rules, sinks, maxKeys } = readConfig(file, { rules: undefined, maxKeys: undefined });
    expect([rules, sinks, maxKeys]).toEqual([undefined, undefined, undefined]);
  });

  test("hands over sinks and a source themselves, not copies of them", async () => {
    const sink = new Remembering();
    const config = readConfig(file, { sinks: ["stdout", sink], source });
    expect(config.source).toBe(source);
    expect(config.sinks![1]).toBe(sink);
    const alert = alertOf();
    const context = { id: "1", signal: new AbortController().signal };
    await (config.sinks![1] as AlertSink).send(alert, context);
    expect(sent).toEqual([alert]);
  });

  test.each(["50ms", "1s", "1m", "1s500ms"])("may tick every %s", (interval) => {
    expect(readConfig(file, { interval }).interval).toBe(interval);
  });

  test.each([512, 4096, 1_000_000])("may have %d keys a map", (maxKeys) => {
    expect(readConfig(file, { maxKeys }).maxKeys).toBe(maxKeys);
  });
});

describe("a mistake in a config", () => {
  const cases: readonly (readonly [
    name: string,
    value: unknown,
    key: string,
    wrong: unknown,
    expected: string,
  ])[] = [
    ["no default export", undefined, "default", undefined, "defineConfig"],
    ["null for a config", null, "default", null, "defineConfig"],
    ["a text for a config", "rules/", "default", "rules/", "defineConfig"],
    ["a function for a config", defineConfig, "default", defineConfig, "defineConfig"],
    ["a list for a config", [], "default", [], "defineConfig"],
    ["a map for a config", new Map(), "default", new Map(), "defineConfig"],
    ["a promise of a config", late, "default", late, "defineConfig"],
    ["an object of a class for a config", someday, "default", someday, "defineConfig"],
    ["a number for rules", { rules: 5 }, "rules", 5, "a folder"],
    ["a number among rules", { rules: ["a", 5] }, "rules", ["a", 5], "a folder"],
    ["a number for the interval", { interval: 1000 }, "interval", 1000, "50ms"],
    ["an interval that is no duration", { interval: "often" }, "interval", "often", "50ms"],
    ["an interval that is too short", { interval: "49ms" }, "interval", "49ms", "50ms"],
    ["an interval that is too long", { interval: "61s" }, "interval", "61s", "60s"],
    ["a number for the state's folder", { state: 1 }, "state", 1, "a folder"],
    ["one sink without a list", { sinks: "stdout" }, "sinks", "stdout", "a list of sinks"],
    ["a number for a sink", { sinks: ["stdout", 5] }, "sinks.1", 5, "defineSink"],
    ["a sink that can't send", { sinks: [{ name: "x" }] }, "sinks.0", { name: "x" }, "defineSink"],
    [
      "a sink whose send is no function",
      { sinks: [{ name: "x", send: "y" }] },
      "sinks.0",
      { name: "x", send: "y" },
      "defineSink",
    ],
    ["a number for the source", { source: 5 }, "source", 5, "defineSource"],
    ["half a source", { source: { name: "x" } }, "source", { name: "x" }, "defineSource"],
    ["a source whose run is no function", badRun, "source", badRun.source, "defineSource"],
    ["a source whose facts are no function", badFacts, "source", badFacts.source, "defineSource"],
    ["a list for the command", { bpftrace: ["sudo"] }, "bpftrace", ["sudo"], "a command"],
    ["a text for a number", { maxKeys: "4096" }, "maxKeys", "4096", "a whole number"],
    ["a number that isn't whole", { maxKeys: 600.5 }, "maxKeys", 600.5, "a whole number"],
    ["a bigint for a number", { maxKeys: 10n }, "maxKeys", 10n, "a whole number"],
    ["a sink that holds itself", { sinks: [endless] }, "sinks.0", endless, "defineSink"],
    ["what is no number", { maxKeys: NaN }, "maxKeys", NaN, "a whole number"],
    ["too few keys", { maxKeys: 511 }, "maxKeys", 511, "512"],
    ["too many keys", { maxKeys: 1_000_001 }, "maxKeys", 1_000_001, "1000000"],
  ];

  test.each(cases)("is told: %s", (_, value, key, wrong, expected) => {
    const error = failure(value);
    expect(error).toMatchObject({ code: "BAD_CONFIG", exit: 2, place: { file } });
    expect(error.data.key).toBe(key);
    expect(error.data.value).toEqual(wrong);
    expect(error.message).toContain(key);
    expect(error.message).toContain(expected);
  });

  test.each([
    ["intervl", ["interval"]],
    ["sink", ["sinks"]],
    ["max-keys", ["maxKeys"]],
    ["webhook", []],
    ["toString", []],
  ])("is told: the key %s, with the nearest that there is", (key, nearest) => {
    const error = failure({ rules: "rules/", [key]: "1s" });
    expect(error).toMatchObject({ code: "UNKNOWN_CONFIG_KEY", exit: 2, place: { file } });
    expect(error.data).toEqual({ key, nearest });
    for (const name of [key, ...nearest]) expect(error.message).toContain(name);
  });
});

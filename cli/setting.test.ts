// The config file: it is run with its imports, options win over it, and whatever is wrong with it is
// an error that says where, with the exit code of wrong usage.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { makeFolder } from "../test/folder.ts";
import type { Folder } from "../test/folder.ts";
import { DropwatchError } from "../core/error.ts";
import type { OptionName } from "./option.ts";
import { readOptions } from "./option.ts";
import type { Setting } from "./setting.ts";
import { readSetting } from "./setting.ts";

let folder: Folder;

beforeEach(async () => {
  folder = await makeFolder();
});

afterEach(() => folder.remove());

const names: readonly OptionName[] = [
  "rules",
  "config",
  "sink",
  "metrics",
  "interval",
  "state",
  "source",
  "bpftrace",
  "max-keys",
  "json",
];

/** The setting that a config makes, with options beside it. */
async function read(
  config: string,
  args: readonly string[] = [],
  log: (line: string) => void = () => {},
): Promise<Setting> {
  const file = await folder.write("dropwatch.config.ts", config);
  return await readSetting(readOptions(["--config", file, ...args], names), {
    out: () => {},
    log,
    colour: false,
    isTerminal: false,
    signal: new AbortController().signal,
    onHangup: () => {},
  });
}

async function failure(config: string): Promise<DropwatchError> {
  try {
    await read(config);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(DropwatchError);
    return thrown as DropwatchError;
  }
  throw new Error("it was taken");
}

describe("a config file", () => {
  test("sets what options leave open, and options win over it", async () => {
    const config = `import { defineConfig } from "dropwatch";
export default defineConfig({
  rules: "rules/",
  interval: "2s",
  source: "replay:drops.ndjson",
  sinks: ["stdout", "webhook=https://example.org/hook"],
  maxKeys: 8192,
});
`;
    const set = await read(config);
    expect([set.rules, set.interval, set.maxKeys]).toEqual([["rules/"], 2000, 8192]);
    expect(set.source.name).toBe("replay:drops.ndjson");
    expect(set.openSinks()).toHaveLength(2);
    const won = await read(config, ["--interval", "5s", "--sink", "stdout", "--rules", "a.ts"]);
    expect([won.rules, won.interval, won.maxKeys]).toEqual([["a.ts"], 5000, 8192]);
    expect(won.openSinks()).toHaveLength(1);
  });

  test("gives each sink a name of its own, and takes none away that the config gives", async () => {
    const { sinks } = await read(`
const own = { name: "webhook-2", send: async () => {} };
const url = "webhook=http://x.example/";
export default { sinks: [own, url, url, url] };
`);
    expect(sinks.map(({ name }) => name))
      .toEqual(["webhook-2", "webhook", "webhook-3", "webhook-4"]);
  });

  test("has sinks of its own whose names and times can be used", async () => {
    const send = `send: async () => {}`;
    const config = (sink: string): string => `export default { sinks: [{ ${sink} }] };`;
    const good = [
      `name: "a_b-1", ${send}, timeout: 5, rate: { perSecond: 0.1, burst: 1 }`,
      `name: "a", mirror: async () => {}, every: 60000, keepResolved: 0`,
    ];
    for (const sink of good) expect((await read(config(sink))).sinks).toHaveLength(1);
    const bad = [
      `name: "a\\nb", ${send}`,
      `name: "", ${send}`,
      `name: "a", ${send}, timeout: NaN`,
      `name: "a", ${send}, timeout: "20s"`,
      `name: "a", ${send}, rate: { perSecond: 0, burst: 1 }`,
      `name: "a", ${send}, rate: { perSecond: 1 }`,
      `name: "a", ${send}, rate: { perSecond: 1, burst: 0.5 }`,
      `name: "a", beat: async () => {}`,
      `name: "a", mirror: async () => {}, every: 60000`,
    ];
    for (const sink of bad) {
      const { code, message } = await failure(config(sink));
      expect([code, message]).toEqual(["BAD_CONFIG", expect.stringContaining("a sink w")]);
    }
  });

  test("may import other files, and make sinks and a source", async () => {
    await folder.write("limits.ts", `export const interval: string = "3s";\n`);
    const set = await read(`import { defineConfig, defineSink, defineSource } from "dropwatch";
import { interval } from "./limits.ts";
export default defineConfig({
  interval,
  sinks: [defineSink({ name: "mine", send: async () => {} })],
  source: defineSource({ name: "own", facts: () => Promise.reject(new Error("no")), run: async () => {} }),
});
`);
    expect([set.interval, set.openSinks()[0]!.name, set.source.name]).toEqual([
      3000,
      "mine",
      "own",
    ]);
  });

  test("is read anew each time", async () => {
    expect((await read(`export default { maxKeys: 600 };`)).maxKeys).toBe(600);
    expect((await read(`export default { maxKeys: 700 };`)).maxKeys).toBe(700);
  });

  test("leaves no copy of itself behind, also where it fails", async () => {
    const copies = (): string[] =>
      readdirSync(tmpdir()).filter((name) => name.startsWith("dropwatch-config-")).sort();
    const before = copies();
    await read("export default {};");
    await failure(`throw new Error("no");`);
    expect(copies()).toEqual(before);
  });
});

describe("a mistake in a config file", () => {
  const at = (line?: number, column?: number) => ({
    file: folder.file("dropwatch.config.ts"),
    ...(line === undefined ? {} : { line }),
    ...(column === undefined ? {} : { column }),
  });

  test("of syntax is told with line and column", async () => {
    const error = await failure(`export default {\n  rules: ,\n};\n`);
    expect([error.code, error.exit]).toEqual(["BROKEN_CONFIG", 2]);
    expect(error.place).toEqual(at(2, 10));
  });

  test("in an import is told where that stands", async () => {
    const error = await failure(`\nimport { a } from "./gone.ts";\nexport default { rules: a };\n`);
    expect([error.code, error.exit]).toEqual(["BROKEN_CONFIG", 2]);
    expect(error.place).toEqual(at(2, 19));
    expect(error.message).toContain("./gone.ts");
  });

  test("that throws is told with what it threw, and the line", async () => {
    const error = await failure(`const a = 1;\n\nthrow new RangeError("no \\x1b[31m" + a);\n`);
    expect([error.code, error.exit]).toEqual(["BROKEN_CONFIG", 2]);
    expect(error.place).toMatchObject(at(3));
    expect(error.message).toContain("RangeError: no \\x1b[31m1");
  });

  test("of its export is told with the file and the key", async () => {
    expect(await failure("export const config = {};")).toMatchObject({
      code: "BAD_CONFIG",
      exit: 2,
      place: at(),
      data: { key: "default" },
    });
    expect(await failure(`export default { maxKeys: "many" };`)).toMatchObject({
      code: "BAD_CONFIG",
      place: at(),
      data: { key: "maxKeys", value: "many" },
    });
    expect(await failure(`export default { ruels: "rules/" };`)).toMatchObject({
      code: "UNKNOWN_CONFIG_KEY",
      exit: 2,
      place: at(),
      data: { key: "ruels", nearest: ["rules"] },
    });
  });

  test("of a sink is told under the sink's own name, without any secret being there", async () => {
    const config = (sinks: string, more = ""): string =>
      `import { slack, webhook } from "dropwatch/sinks";\n` +
      `export default { sinks: [${sinks}]${more} };\n`;
    const told = async (sinks: string): Promise<unknown> => {
      const { code, message, place } = await failure(config(sinks));
      return [code, message.replace("Cannot set up the sink ", ""), place?.file === at().file];
    };
    expect(await told(`slack({ name: "chat", urll: "x" })`))
      .toEqual([
        "UNKNOWN_SINK_OPTION",
        `chat (slack): it has no option "urll"; nearest: url`,
        true,
      ]);
    expect(await told(`slack({ name: "my chat" })`)).toEqual([
      "BAD_SINK_OPTION",
      "my chat (slack): its name can't be used: expected a name of letters, digits, _ and -",
      true,
    ]);
    expect(await told("slack()"))
      .toEqual(["BAD_SINK_OPTION", "slack: it needs its options as an object", true]);
    const same = `slack({ name: "chat", url: { env: "NONE" } })`;
    expect(await told(`${same}, ${same}`))
      .toEqual(["BAD_SINK_OPTION", "chat (slack): another sink has its name", true]);
    const set = await read(config(`${same}, slack({ url: { env: "NONE" } }), "stdout"`));
    expect(set.sinks.map(({ name, kind }) => `${name} ${kind}`))
      .toEqual(["chat slack", "slack slack", "stdout stdout"]);
    expect(set.openSinks("stdout").map(({ name }) => name)).toEqual(["stdout"]);
    expect(() => set.openSinks("chat")).toThrow(
      `the sink chat (slack): its url is to be in "NONE": no such variable`,
    );
    expect((await failure(config(`"wehook=x"`))).message).toContain("; nearest: webhook");
  });

  test("of an exporter is told, without any secret being there", async () => {
    const config = (metrics: string): string =>
      `import { otlpMetrics } from "dropwatch/sinks";\n` +
      `export default { metrics: [${metrics}] };\n`;
    expect(await failure(config(`otlpMetrics({ urll: "x" })`))).toMatchObject({
      code: "BAD_EXPORTER_OPTION",
      exit: 2,
      place: at(),
    });
    expect(await failure(config(`"oltp=x"`))).toMatchObject({
      code: "UNKNOWN_EXPORTER",
      exit: 2,
      place: at(),
    });
    const push = "push: async () => {}";
    for (
      const bad of ["1", "{}", `{ name: "a", ${push} }`, `{ name: "a", interval: 15, ${push} }`]
    ) {
      expect((await failure(config(bad))).code).toBe("BAD_CONFIG");
    }
    const secret = `otlpMetrics({ url: { env: "NONE" } })`;
    const set = await read(config(`${secret}, { name: "own", interval: 1000, ${push} }`));
    expect(() => set.openExporters()).toThrow(
      `the exporter otlp: its url is to be in "NONE": no such variable`,
    );
  });

  test("is no mistake of --sink, but for routes that name what it takes the place of", async () => {
    const config = `export default { sinks: ["file=a"], route: { receiver: "file" } };`;
    const error = await read(config, ["--sink", "stdout"]).catch((thrown) => thrown);
    expect(error.message).toContain("--sink takes the place of all sinks of the config");
  });

  test("of a route about an alert that no rule makes is told, where all rules are known", async () => {
    const route = `{ routes: [{ matchers: ["alertname=LinkDwon"] }] }`;
    const { oddRoutes } = await read(`export default { route: ${route} };`);
    const rules = (errors: readonly DropwatchError[]): never =>
      ({ rules: [{ alert: "LinkDown" }], errors }) as never;
    expect(oddRoutes(rules([])).map(({ code, data }) => [code, data.nearest]))
      .toEqual([["NO_SUCH_ALERT", ["LinkDown"]]]);
    expect(oddRoutes(rules([new DropwatchError("X", "y")]))).toEqual([]);
  });

  test("is none where metrics are pushed: each has a name, and --metrics wins", async () => {
    const url = `url: "http://localhost:4318"`;
    const config = `import { otlpMetrics } from "dropwatch/sinks";
export default {
  metrics: [
    otlpMetrics({ ${url}, headers: { "x-key": "s3cret" } }),
    "otlp=http://localhost",
    otlpMetrics({ ${url}, name: "vendor", interval: "1m" }),
  ],
};`;
    const logged: string[] = [];
    const named = async (args: readonly string[]): Promise<string[]> =>
      (await read(config, args, (line) => logged.push(line))).openExporters()
        .map(({ name, interval }) => `${name} ${interval}`);
    expect(await named([])).toEqual(["otlp 15000", "otlp-2 15000", "vendor 60000"]);
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain("secrets in the clear: the header x-key of otlp;");
    expect(await named(["--metrics", "otlp=http://x.example"])).toEqual(["otlp 15000"]);
    expect(logged).toHaveLength(1);
    expect((await read("export default {};")).openExporters()).toEqual([]);
  });

  test("is told once for all secrets in the clear", async () => {
    const logged: string[] = [];
    const set = await read(
      `import { slack } from "dropwatch/sinks";
const url = "https://hooks.slack.com/x";
export default { sinks: [slack({ url }), slack({ name: "b", url })] };`,
      [],
      (line) => logged.push(line),
    );
    expect(logged).toEqual([]);
    set.openSinks();
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain("the url of slack, the url of b");
    expect(logged[0]).not.toContain("hooks.slack.com");
  });

  test("since it isn't there is told", async () => {
    const file = folder.file("gone.config.ts");
    const terminal = {
      out: () => {},
      log: () => {},
      colour: false,
      isTerminal: false,
      signal: new AbortController().signal,
      onHangup: () => {},
    };
    const error = await readSetting(readOptions(["--config", file], names), terminal)
      .then(() => undefined, (thrown: DropwatchError) => thrown);
    expect(error).toMatchObject({ code: "UNREADABLE_FILE", exit: 2, place: { file } });
  });
});

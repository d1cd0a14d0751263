// The documents are true: what is generated is up to date, and every example of a rule or a config
// is one that dropwatch itself takes.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Terminal } from "../cli/command.ts";
import { checkCommand } from "../cli/commands/check.ts";
import { testCommand } from "../cli/commands/run_tests.ts";
import { readOptions } from "../cli/option.ts";
import { readSetting } from "../cli/setting.ts";
import { fieldNames } from "../core/drop/field.ts";
import { knowledge } from "../core/drop/knowledge.ts";
import { sign } from "../plugins/sinks/webhook.ts";
import { pages } from "../scripts/docs.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "dropwatch-docs-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** What a command printed. */
function terminal(): Terminal & { readonly said: string[] } {
  const said: string[] = [];
  const say = (text: string): void => void said.push(text);
  const signal = new AbortController().signal;
  return { out: say, log: say, colour: false, isTerminal: false, signal, said, onHangup: () => {} };
}

interface Example {
  readonly place: string;
  readonly code: string;
  readonly kind: "rule" | "test" | "config" | "module";
}

/** The blocks marked `ts` of a page. */
function examplesOf(page: string, text: string): Example[] {
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => {
    const code = match[1]!;
    const line = text.slice(0, match.index).split("\n").length + 1;
    const kind = code.includes('from "dropwatch/test"')
      ? "test"
      : code.includes("defineConfig(")
      ? "config"
      : code.includes('from "dropwatch"')
      ? "rule"
      : "module";
    return { place: `${page}:${line}`, code, kind };
  });
}

const written = ["README.md", ...(await readdir(join(root, "docs"))).map((name) => `docs/${name}`)]
  .filter((page) => page.endsWith(".md"));
/** What the docstrings of a file say, with each line where it was. */
const docstrings = (code: string): string =>
  code.split("\n").map((line) => /^ \* ?(.*)$/.exec(line)?.[1] ?? "").join("\n");
const examples = [
  ...(await Promise.all(
    written.map(async (page) => examplesOf(page, await readFile(join(root, page), "utf8"))),
  )).flat(),
  ...examplesOf("testing.ts", docstrings(await readFile(join(root, "testing.ts"), "utf8"))),
];

/** A capture of a kernel that has every reason and tells every field. */
const everything = JSON.stringify({
  dropwatch: "capture",
  version: 1,
  kernel: "of the examples",
  reasons: Object.fromEntries(Object.keys(knowledge).map((name, id) => [id + 2, name])),
  subsystems: { 0: "core", 1: "mac80211_unusable", 2: "openvswitch" },
  fields: fieldNames,
});

describe("the generated pages", () => {
  for (const page of ["docs/fields.md", "docs/errors.md", "docs/metrics.md"]) {
    test(`${page} is what \`bun run docs\` writes`, async () => {
      expect(await readFile(join(root, page), "utf8")).toBe((await pages()).get(page)!);
    });
  }
});

describe("the examples", () => {
  for (const { place, code } of examples.filter(({ kind }) => kind === "rule")) {
    test(`${place} is a rule without mistakes`, async () => {
      await writeFile(join(folder, "everything.ndjson"), everything);
      await mkdir(join(folder, "rules"));
      await writeFile(join(folder, "rules/example.ts"), code);
      const source = `replay:${join(folder, "everything.ndjson")}`;
      const args = ["--source", source, join(folder, "rules")];
      const shown = terminal();
      const exit = await checkCommand.run(readOptions(args, checkCommand.options), shown);
      expect(shown.said.join("\n")).toContain(" 0 mistakes found");
      expect(exit).toBe(0);
    });
  }

  for (const { place, code } of examples.filter(({ kind }) => kind === "test")) {
    test(`${place} is a test that passes`, async () => {
      await writeFile(join(folder, "example.test.ts"), code);
      const shown = terminal();
      const given = readOptions([join(folder, "example.test.ts")], testCommand.options);
      expect(await testCommand.run(given, shown)).toBe(0);
      expect(shown.said[0]).toBe("1 file of tests: passed");
    });
  }

  for (const { place, code } of examples.filter(({ kind }) => kind === "config")) {
    test(`${place} is a config that can be read`, async () => {
      const file = join(folder, "dropwatch.config.ts");
      await writeFile(file, code);
      for (const [, name] of code.matchAll(/env: "(\w+)"/g)) {
        process.env[name!] ??= secretFor(name!);
      }
      const setting = await readSetting(readOptions(["--config", file], ["config"]), terminal());
      expect(setting.sinks.length).toBeGreaterThan(0);
    });
  }

  for (const { place, code } of examples.filter(({ kind }) => kind === "module")) {
    test(`${place} can be imported, and does what it says`, async () => {
      const file = join(folder, "example.ts");
      await writeFile(file, code);
      const module = await import(pathToFileURL(file).href) as { verify?: Verify };
      const { verify } = module;
      if (verify === undefined) throw new Error("an example of a kind that no test knows");
      const key = new Uint8Array(32).fill(7);
      const secret = `whsec_${Buffer.from(key).toString("base64")}`;
      const now = Math.floor(Date.now() / 1000);
      const headers = (at: number, body: string): Record<string, string> => ({
        "webhook-id": "msg_1",
        "webhook-timestamp": String(at),
        "webhook-signature": `v1,AAAA v1,${sign(key, "msg_1", at, body)}`,
      });
      expect(verify(headers(now, "{}"), "{}", secret)).toBe(true);
      expect(verify(headers(now, "{}"), "{ }", secret)).toBe(false);
      expect(verify(headers(now - 3600, "{}"), "{}", secret)).toBe(false);
      expect(verify({}, "{}", secret)).toBe(false);
    });
  }

  test("there are some of each kind", () => {
    for (const kind of ["rule", "test", "config", "module"]) {
      expect(examples.filter((example) => example.kind === kind).length).toBeGreaterThan(0);
    }
  });
});

/** Something of the form that a secret of this name has. */
function secretFor(name: string): string {
  if (name.endsWith("URL")) return "https://example.org/hook/1";
  if (name.endsWith("SECRET")) return `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
  if (name === "TELEGRAM_TOKEN") return "1:abc";
  return "0123456789abcdef0123456789abcdef";
}

type Verify = (headers: Record<string, string>, body: string, secret: string) => boolean;

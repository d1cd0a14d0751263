// The rule host: whatever a rule does, its author is told with a code and a place, every other rule
// goes on, and nothing of ours is in a rule's reach. Rules run in a real child process here, on the
// runtime that runs the tests.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from "node:fs";
import { readlinkSync, statSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { dirname } from "node:path";
import { hostileNames, rawControl } from "../../test/alert.ts";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { facts } from "../../test/world.ts";
import type { DropwatchError } from "../error.ts";
import { bundleFiles } from "./bundle.ts";
import type { RuleHost } from "./host.ts";
import { loadRules } from "./load.ts";
import type { AlertFacts } from "./rule.ts";

const root = process.getuid?.() === 0;
const deno = "Deno" in globalThis;

const alert: AlertFacts = {
  value: 12.5,
  peak: 20,
  total: 99,
  labels: { dport: "53" },
  exact: true,
};

/** The source of a rule: its alert's name, its summary as code, and what stands above it. */
const ruleOf = (name: string, summary: string, above = ""): string =>
  `${above}
import { drops, rule } from "dropwatch";
export default rule({ alert: "${name}", when: drops.count("1m").above(1), summary: ${summary} });
`;

const good = (name: string): string => ruleOf(name, `({ value }) => "${name} " + value`);

interface Loaded {
  readonly host: RuleHost;
  readonly alerts: readonly string[];
  readonly errors: readonly DropwatchError[];
  /** What rules printed. */
  readonly log: readonly string[];
  /** The summary of the first rule of a file, or of another one. */
  text(name: string, rule?: number, facts?: AlertFacts): Promise<string>;
}

let folder: Folder;
let hosts: RuleHost[];
/** The bundles of files. */
const ids = new Map<string, string>();

beforeEach(async () => {
  folder = await makeFolder();
  hosts = [];
});

afterEach(async () => {
  for (const host of hosts) await host.close();
  await folder.remove();
});

/** Loads files; `onLog` is called with each message as it is logged. */
async function load(
  files: Readonly<Record<string, string>>,
  onLog: (message: string) => void = () => {},
): Promise<Loaded> {
  const paths: string[] = [];
  for (const [name, text] of Object.entries(files)) paths.push(await folder.write(name, text));
  const log: string[] = [];
  for (const [file, { id }] of (await bundleFiles(paths)).bundles) ids.set(file, id);
  const { rules, errors, host } = await loadRules({
    files: paths,
    facts: () => Promise.resolve(facts),
    interval: 1000,
    log: (message) => {
      log.push(message);
      onLog(message);
    },
  });
  hosts.push(host);
  return {
    host,
    alerts: rules.map(({ alert }) => alert),
    errors,
    log,
    text: async (name, rule = 0, facts = alert) => {
      const file = folder.file(name);
      const bundle = ids.get(file) ?? "";
      return await host.text({ file, bundle, index: rule }, "summary", facts);
    },
  };
}

/** What a promise is rejected with. */
async function failure(promise: Promise<unknown>): Promise<DropwatchError> {
  try {
    await promise;
  } catch (thrown) {
    return thrown as DropwatchError;
  }
  throw new Error("it didn't fail");
}

/** The folder of a host: its program lies there. */
function folderOf(host: RuleHost): string {
  const words = readFileSync(`/proc/${host.pid}/cmdline`, "utf8").split("\0").filter(Boolean);
  return dirname(words.at(-1)!);
}

/** Waits for what comes by itself, for two seconds at most. */
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Whether a process is no more, or waits only to be asked how it ended. */
function hasEnded(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return true;
  }
}

async function expectEnd(pid: number): Promise<void> {
  expect(pid).toBeGreaterThan(1);
  await until(() => hasEnded(pid));
  expect(hasEnded(pid)).toBe(true);
}

/** Ends the process of a host, and waits until the host has seen it. */
async function kill(host: RuleHost): Promise<void> {
  if (host.pid === undefined) return; // It has ended by itself, and nobody has asked for more.
  process.kill(host.pid, "SIGKILL");
  while (host.pid !== undefined) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe("a file that fails while it is loaded", () => {
  const cases: readonly (readonly [
    name: string,
    source: string,
    error: { code: string; line?: number; found?: string },
  ])[] = [
    ["throws an error", `const a = 1;\n\nthrow new Error("no " + a);`, {
      code: "RULE_THREW",
      line: 3,
    }],
    [
      "throws in a function that it calls",
      `function deep(): never {\n  throw new TypeError("deep");\n}\n\ndeep();`,
      { code: "RULE_THREW", line: 2 },
    ],
    ["throws what is no error", `throw "no";`, { code: "RULE_THREW" }],
    ["rejects", `await Promise.reject(new Error("later"));`, { code: "RULE_THREW", line: 1 }],
    ["never returns", "for (;;);", { code: "RULE_HUNG" }],
    ["waits for ever", "await new Promise(() => {});", { code: "RULE_HUNG" }],
    ["ends the process", "process.exit(3);", { code: "RULE_CRASHED" }],
    ["ends the process as if all were well", "process.exit(0);", { code: "RULE_CRASHED" }],
    ["exports nothing", "export const a = 1;", { code: "NOT_A_RULE", found: "no default export" }],
    ["exports a text", `export default "rule";`, { code: "NOT_A_RULE", found: "string" }],
    ["exports a function", "export default () => 1;", { code: "NOT_A_RULE", found: "function" }],
    ["exports null", "export default null;", { code: "NOT_A_RULE", found: "null" }],
    ["exports an empty array", "export default [];", { code: "NOT_A_RULE", found: "array" }],
    [
      "exports an array with something else in it",
      good("InArray").replace("rule({", "[1, rule({").replace("});", "})];"),
      { code: "NOT_A_RULE", found: "array" },
    ],
    [
      "exports what only looks like a rule",
      `export default { data: { alert: "X", unknown: [], at: "" }, texts: {} };`,
      { code: "NOT_A_RULE", found: "object" },
    ],
  ];

  test.each(cases)("because it %s is told, and costs the others nothing", async (_, bad, want) => {
    const loaded = await load({ "a.ts": good("Before"), "m.ts": bad, "z.ts": good("After") });
    expect(loaded.alerts).toEqual(["Before", "After"]);
    expect(loaded.errors).toHaveLength(1);
    const [error] = loaded.errors;
    expect(error).toMatchObject({ code: want.code, exit: 1 });
    expect(error!.place!.file).toBe(folder.file("m.ts"));
    if (want.line !== undefined) expect(error!.place!.line).toBe(want.line);
    if (want.found !== undefined) expect(error!.data.found).toContain(want.found);
    expect(await loaded.text("z.ts")).toBe("After 12.5");
    expect(await loaded.text("a.ts")).toBe("Before 12.5");
  });

  test("because it kills its process is told, and costs the others nothing", async () => {
    const loaded = await load({
      "a.ts": good("Before"),
      "m.ts": `process.kill(process.pid, "SIGKILL");`,
      "z.ts": good("After"),
    });
    expect(loaded.alerts).toEqual(["Before", "After"]);
    const { code, place } = loaded.errors[0]!;
    expect(code).toBe("RULE_CRASHED");
    expect(place!.file).toBe(folder.file("m.ts"));
    expect(await loaded.text("a.ts")).toBe("Before 12.5");
    expect(await loaded.text("z.ts")).toBe("After 12.5");
  });

  test("because it has more data than a rule may is told how much, and costs the others nothing", async () => {
    const loaded = await load({
      "a.ts": good("Before"),
      "m.ts": ruleOf("Large", `"x".repeat(5_000_000)`),
      "z.ts": good("After"),
    });
    expect(loaded.alerts).toEqual(["Before", "After"]);
    const [error, ...more] = loaded.errors;
    expect(more).toEqual([]);
    expect(error).toMatchObject({ code: "RULE_THREW", place: { file: folder.file("m.ts") } });
    expect(error!.message).toMatch(/50\d{5} characters/);
    expect(await loaded.text("z.ts")).toBe("After 12.5");
  });

  test("isn't loaded again when the host has to be started anew", async () => {
    const loaded = await load({ "a.ts": good("Before"), "m.ts": "process.exit(3);" });
    expect(await loaded.text("a.ts")).toBe("Before 12.5");
    await kill(loaded.host);
    expect(await loaded.text("a.ts")).toBe("Before 12.5");
    const { pid } = loaded.host;
    expect(await loaded.text("a.ts")).toBe("Before 12.5");
    expect(loaded.host.pid).toBe(pid);
    expect(loaded.log).toEqual([]);
  });

  test("can be loaded once it is mended", async () => {
    const loaded = await load({ "a.ts": good("Before"), "m.ts": "process.exit(3);" });
    const file = await folder.write("m.ts", good("Mended"));
    const bundle = (await bundleFiles([file])).bundles.get(file)!;
    ids.set(file, bundle.id);
    const result = await loaded.host.load(file, bundle);
    expect(result).toMatchObject({ rules: [{ alert: "Mended" }] });
    expect(await loaded.text("m.ts")).toBe("Mended 12.5");
    expect(await loaded.text("a.ts")).toBe("Before 12.5");
  });
});

describe("a text", () => {
  const texts = (...summaries: readonly string[]): string =>
    `import { drops, rule } from "dropwatch";\nexport default [${
      summaries.map((summary, i) =>
        `rule({ alert: "R${i}", when: drops.count("1m").above(1), summary: ${summary} })`
      ).join(",\n")
    }];\n`;

  test("is made by the rule that was asked for, of the alert's facts", async () => {
    const loaded = await load({
      "a.ts": texts("(alert) => JSON.stringify(alert)", `() => "second"`, `() => "third"`),
      "b.ts": texts(`() => "of b"`),
    });
    expect(await loaded.text("a.ts", 1)).toBe("second");
    expect(await loaded.text("b.ts")).toBe("of b");
    expect(JSON.parse(await loaded.text("a.ts"))).toEqual(alert);
  });

  test("is each one's own, also when all are asked for at once", async () => {
    const names = Array.from({ length: 20 }, (_, i) => `R${i}`);
    const loaded = await load({ "a.ts": texts(...names.map((name) => `() => "${name}"`)) });
    const made = await Promise.all(names.map((_, i) => loaded.text("a.ts", i)));
    expect(made).toEqual(names);
  });

  test("keeps every character that a stranger chose", async () => {
    const loaded = await load({ "a.ts": texts(`({ labels }) => labels.comm`) });
    for (const comm of [...hostileNames, `\n{"say":"ready"}\r\n\x00\x85€😀"\\`, "a\u2028b"]) {
      const labels = { comm };
      const made = loaded.text("a.ts", 0, { ...alert, labels });
      expect(await made).toBe(comm);
    }
  });

  test("whose function throws or returns no text is told, and the next is made", async () => {
    const loaded = await load({
      "a.ts": texts(
        `() => { throw new RangeError("mine"); }`,
        "() => 7",
        `async () => "late"`,
        "() => undefined",
        `() => { throw { toString() { throw new Error("again"); } }; }`,
        `() => "fine"`,
      ),
    });
    for (const rule of [0, 1, 2, 3]) {
      const error = await failure(loaded.text("a.ts", rule));
      expect(error).toMatchObject({ code: "TEXT_FAILED", exit: 1, data: { text: "summary" } });
      expect(error.place).toEqual({ file: folder.file("a.ts") });
      expect(error.message).toContain(rule === 0 ? "RangeError: mine" : "returned no text");
    }
    expect(await loaded.text("a.ts", 5)).toBe("fine");
  });

  test("that a rule has no function for is an error, not another one's", async () => {
    const loaded = await load({ "a.ts": texts(`"always the same"`, `() => "fine"`) });
    expect((await failure(loaded.text("a.ts", 0))).code).toBe("TEXT_FAILED");
    expect((await failure(loaded.text("a.ts", 9))).code).toBe("TEXT_FAILED");
    expect((await failure(loaded.text("gone.ts"))).code).toBe("TEXT_FAILED");
    expect(await loaded.text("a.ts", 1)).toBe("fine");
  });

  test("that is enormous is cut after 5000 characters", async () => {
    const loaded = await load({ "a.ts": texts(`() => "x".repeat(2 ** 24)`, `() => "fine"`) });
    expect(await loaded.text("a.ts")).toBe("x".repeat(5000));
    expect(await loaded.text("a.ts", 1)).toBe("fine");
  });

  test("whose function doesn't return is told, and those that wait behind it are made", async () => {
    const loaded = await load({
      "a.ts": texts("() => { for (;;); }", `() => "same file"`),
      "b.ts": good("Other"),
    });
    const hung = failure(loaded.text("a.ts"));
    const behind = [loaded.text("a.ts", 1), loaded.text("b.ts")];
    expect(await hung).toMatchObject({
      code: "RULE_HUNG",
      place: { file: folder.file("a.ts") },
      data: { seconds: 0.3 },
    });
    expect(await Promise.all(behind)).toEqual(["same file", "Other 12.5"]);
  });

  test("whose function ends the process is told each time, and the others are made", async () => {
    const loaded = await load({
      "a.ts": texts("() => process.exit(1)", `() => "same file"`),
      "b.ts": good("Other"),
    });
    for (let round = 0; round < 4; round++) {
      const ended = failure(loaded.text("a.ts"));
      const behind = [loaded.text("a.ts", 1), loaded.text("b.ts")];
      expect(await ended).toMatchObject({
        code: "RULE_CRASHED",
        place: { file: folder.file("a.ts") },
      });
      expect(await Promise.all(behind)).toEqual(["same file", "Other 12.5"]);
    }
  });
});

describe("what a rule prints", () => {
  test("by console goes to the log, a line a line, and is safe to look at", async () => {
    const loaded = await load({
      "a.ts": ruleOf(
        "Talks",
        `() => {
          console.log("log \\x1b[31m");
          console.info("info");
          console.debug("debug");
          console.warn("warn");
          console.error("error\\nof two lines");
          return "said";
        }`,
      ),
    });
    expect(await loaded.text("a.ts")).toBe("said");
    await loaded.host.close();
    const [first, ...rest] = loaded.log;
    expect(first).toContain("log \\x1b[31m");
    expect(rest).toEqual(["info", "debug", "warn", "error", "of two lines"]);
    expect(loaded.log.join("")).not.toMatch(rawControl);
  });

  test("is kept up to 64 KiB, and then it is said once that the rest is left out", async () => {
    const loaded = await load({
      "a.ts": ruleOf(
        "Floods",
        `() => {
          for (let i = 0; i < 3000; i++) {
            console.log("e".repeat(99));
            process.stdout.write("o".repeat(99) + "\\n");
          }
          return "done";
        }`,
      ),
      "b.ts": good("Other"),
    });
    expect(await loaded.text("a.ts")).toBe("done");
    expect(await loaded.text("b.ts")).toBe("Other 12.5");
    await loaded.host.close();
    expect(loaded.log.slice(0, -1)).toEqual(Array(655).fill("e".repeat(99)));
    expect(loaded.log.at(-1)).toContain("left out");
  });

  test("to where replies go, without a line's end, doesn't cost it its answer", async () => {
    const loaded = await load({
      "a.ts": ruleOf(
        "Partial",
        `() => (fs.writeSync(1, "part"), process.stdout.write("ial"), "said")`,
        `import fs from "node:fs";`,
      ),
      "b.ts": good("Other"),
    });
    expect(await loaded.text("a.ts")).toBe("said");
    expect(await loaded.text("b.ts")).toBe("Other 12.5");
    expect(await loaded.text("a.ts")).toBe("said");
  });

  test("without a line's end doesn't fill our memory, and isn't printed", async () => {
    const loaded = await load({
      "a.ts": ruleOf(
        "NoEnd",
        `() => (fs.writeSync(2, "e".repeat(200_000)), "done")`,
        `import fs from "node:fs";`,
      ),
    });
    expect(await loaded.text("a.ts")).toBe("done");
    await loaded.host.close();
    expect(loaded.log).toHaveLength(1);
    expect(loaded.log[0]).toContain("left out");
  });
});

describe("what a rule leaves running", () => {
  test.each([
    ["a promise that is rejected", `Promise.reject(new Error("stray"));`],
    [
      "a promise that is rejected later",
      `setTimeout(() => Promise.reject(new Error("stray")), 0);`,
    ],
    ["a timer that throws", `setTimeout(() => { throw new Error("stray"); }, 0);`],
  ])("costs the others nothing, and is told in the log: %s", async (_, above) => {
    const loaded = await load({
      "a.ts": good("Before"),
      "m.ts": ruleOf("Stray", `() => "own"`, above),
      "z.ts": good("After"),
    });
    expect(loaded.errors).toEqual([]);
    expect(loaded.alerts).toEqual(["Before", "Stray", "After"]);
    const made = ["a.ts", "m.ts", "z.ts"].map((name) => loaded.text(name));
    expect(await Promise.all(made)).toEqual(["Before 12.5", "own", "After 12.5"]);
    await until(() => loaded.log.length > 0);
    expect(loaded.log.join("\n")).toMatch(/error: stray/i);
  });

  // Under Deno a rule can start no process.
  if (!deno) {
    const spawning = (stdio: "inherit" | "ignore"): string =>
      `cp.spawn("sleep", ["60"], { stdio: "${stdio}" }).pid`;
    const above = `import cp from "node:child_process";`;

    test("ends with the rule that hangs: a process that holds its pipes", async () => {
      const loaded = await load({
        "a.ts": good("Other"),
        "m.ts": ruleOf("Hangs", `() => { console.log(${spawning("inherit")}); for (;;); }`, above),
      });
      const hung = failure(loaded.text("m.ts"));
      expect(await loaded.text("a.ts")).toBe("Other 12.5");
      expect((await hung).code).toBe("RULE_HUNG");
      await expectEnd(Number(loaded.log[0]));
    });

    test("ends with the rule that ends its process", async () => {
      const loaded = await load({
        "m.ts": ruleOf(
          "Ends",
          `() => { console.log(${spawning("ignore")}); process.exit(); }`,
          above,
        ),
      });
      expect((await failure(loaded.text("m.ts"))).code).toBe("RULE_CRASHED");
      await expectEnd(Number(loaded.log[0]));
    });

    test("ends when the host is closed", async () => {
      const loaded = await load({
        "m.ts": ruleOf("Starts", `() => String(${spawning("ignore")})`, above),
      });
      const pid = Number(await loaded.text("m.ts"));
      expect(hasEnded(pid)).toBe(false);
      await loaded.host.close();
      await expectEnd(pid);
    });
  }
});

describe("a reply that a rule forges", () => {
  /**
   * What a forger begins with. `say` writes lines to where replies go; `token` is that of the request
   * which is being answered: the process of all rules hides it from none that looks for it.
   */
  const forger = (summary: string, whenLoaded = ""): string =>
    ruleOf(
      "Forger",
      summary,
      `import fs from "node:fs";
let token;
const { parse } = JSON;
JSON.parse = (...args) => {
  const value = parse(...args);
  token = value?.token ?? token;
  return value;
};
function say(...lines) {
  const text = lines.map((line) => typeof line === "string" ? line : JSON.stringify(line));
  let bytes = new TextEncoder().encode(text.join("\\n") + "\\n");
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(fs.writeSync(1, bytes));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}
function wait(milliseconds) {
  for (const from = Date.now(); Date.now() - from < milliseconds;);
}
${whenLoaded}`,
    );

  /** Loads a forger between two others. All three give their own texts, asked for at once. */
  async function expectTruth(source: string): Promise<void> {
    const loaded = await load({ "a.ts": good("Before"), "m.ts": source, "z.ts": good("After") });
    expect(loaded.errors).toEqual([]);
    expect(loaded.alerts).toEqual(["Before", "Forger", "After"]);
    const made = ["a.ts", "m.ts", "z.ts"].map((name) => loaded.text(name));
    expect(await Promise.all(made)).toEqual(["Before 12.5", "true", "After 12.5"]);
  }

  test("to a question that nobody asked, or of no known form, is not taken", async () => {
    const forged = [
      "",
      "[]",
      "{}",
      "null",
      "{",
      "\u0000",
      { say: "text", text: "forged" },
      { say: "text", id: 1, text: "forged" },
      { say: "text", token: "", text: "forged" },
      { say: "text", token: null, text: "forged" },
      { say: "text", token: 1, text: "forged" },
      { say: "text", token: ["1"], text: "forged" },
      { say: "text", token: "00000000-0000-4000-8000-000000000000", text: "forged" },
      { say: "rules", rules: [] },
      { say: "rules", token: "1", rules: [] },
      { say: "failed", failure: { message: "forged", at: "" } },
      { say: "failed", token: "1", failure: { message: "forged", at: "" } },
      { say: "failed", token: "1" },
      { say: "begin", token: "1" },
      { say: "nothing", token: "1" },
    ];
    const saying = `say(...${JSON.stringify(forged)})`;
    await expectTruth(forger(`() => (${saying}, "true")`, `${saying};`));
  });

  test("with a token that it guesses is not taken", async () => {
    const guessing = `for (let i = 0; i < 500; i++) {
      const token = crypto.randomUUID();
      say(
        { say: "text", token, text: "forged" },
        { say: "rules", token, rules: [] },
        { say: "failed", token, failure: { message: "forged", at: "" } },
      );
    }`;
    await expectTruth(forger(`() => { ${guessing} return "true"; }`, guessing));
  });

  test("that says the host is ready in the middle of a rule's code changes nothing", async () => {
    const ready = `say({ say: "ready" }, { say: "ready" })`;
    await expectTruth(forger(`() => (${ready}, "true")`, `${ready};`));
    await expectTruth(forger(`() => (${ready}, wait(100), ${ready}, "true")`));
  });

  test("that says the host is ready again and again gains the rule no time", async () => {
    const loaded = await load({
      "a.ts": good("Other"),
      "m.ts": forger(`() => { for (;;) { say({ say: "ready" }); wait(100); } }`),
    });
    const hung = failure(loaded.text("m.ts"));
    expect(await loaded.text("a.ts")).toBe("Other 12.5");
    expect((await hung).code).toBe("RULE_HUNG");
  });

  test("can't have the token of a request, since a rule that listens in on JSON hears none", async () => {
    const loaded = await load({ "m.ts": forger("() => `heard: ${token}`") });
    expect(await loaded.text("m.ts")).toMatch(/^heard: (undefined)?$/);
  });

  test("that is longer than a text may be is not taken", async () => {
    await expectTruth(forger(`() => {
      for (const length of [20_000, 1 << 20, 3 << 20]) {
        say({ say: "text", token, text: "x".repeat(length) });
      }
      return "true";
    }`));
  });
});

describe("the process that rules run in", () => {
  const status = (pid: number | undefined): Map<string, string> =>
    new Map(
      readFileSync(`/proc/${pid}/status`, "utf8").split("\n").map((line) => {
        const [name = "", value = ""] = line.split(":");
        return [name, value.trim()] as const;
      }),
    );

  test.skipIf(!root)("has the rights of nobody, and no group or capability of root", async () => {
    const { host, text } = await load({ "a.ts": good("A") });
    await text("a.ts");
    const read = status(host.pid);
    expect(read.get("Uid")!.split(/\s+/)).toEqual(Array(4).fill("65534"));
    expect(read.get("Gid")!.split(/\s+/)).toEqual(Array(4).fill("65534"));
    expect(["", "65534"]).toContain(read.get("Groups")!);
    for (const name of ["CapInh", "CapPrm", "CapEff", "CapAmb"]) {
      expect([name, read.get(name)]).toEqual([name, "0000000000000000"]);
    }
  });

  test.skipIf(!root)("has them too when it was started again", async () => {
    const { host, text } = await load({ "a.ts": ruleOf("A", "() => process.exit(1)") });
    await failure(text("a.ts"));
    await failure(text("gone.ts"));
    expect(status(host.pid).get("Uid")!.split(/\s+/)).toEqual(Array(4).fill("65534"));
  });

  test("has none of our environment", async () => {
    process.env.DROPWATCH_TEST_SECRET = "hush-4711";
    try {
      const { host, text } = await load({ "a.ts": good("A") });
      await text("a.ts");
      const names = readFileSync(`/proc/${host.pid}/environ`, "utf8").split("\0")
        .map((entry) => entry.replace(/=.*/s, "")).filter((name) => name !== "");
      expect(names.sort()).toEqual(["DENO_DIR", "HOME", "NO_COLOR", "PATH"]);
    } finally {
      delete process.env.DROPWATCH_TEST_SECRET;
    }
  });

  test("has none of our open files", async () => {
    const secret = await folder.write("secret.txt", "hush");
    const fd = openSync(secret, "r");
    try {
      const { host, text } = await load({ "a.ts": good("A") });
      await text("a.ts");
      const links = (pid: number | undefined): string[] =>
        readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
          try {
            return [readlinkSync(`/proc/${pid}/fd/${name}`)];
          } catch {
            return [];
          }
        });
      expect(links(process.pid)).toContain(secret);
      expect(links(host.pid)).not.toContain(secret);
    } finally {
      closeSync(fd);
    }
  });

  test.skipIf(!root)("can't read what only root may, nor signal us", async () => {
    const secret = await folder.write("secret.txt", "hush");
    await chmod(folder.path, 0o755);
    await chmod(secret, 0o600);
    const attempt = (code: string): string =>
      `() => { try { return "did: " + ${code}; } catch (error) { return "refused: " + error; } }`;
    const { text } = await load({
      "read.ts": ruleOf(
        "Reads",
        attempt(`fs.readFileSync(${JSON.stringify(secret)}, "utf8")`),
        `import fs from "node:fs";`,
      ),
      "signal.ts": ruleOf("Signals", attempt(`process.kill(${process.pid}, 0)`)),
    });
    expect(await text("read.ts")).toMatch(/^refused: .*(EACCES|NotCapable|denied)/);
    expect(await text("signal.ts")).toMatch(/^refused: .*(EPERM|NotCapable|denied)/);
  });

  test("reads rules from a folder that nobody else may look into, or write to", async () => {
    const { host, text } = await load({ "a.ts": good("A") });
    await text("a.ts");
    const own = folderOf(host);
    const names = readdirSync(own);
    expect(names).toHaveLength(2);
    expect(statSync(own).mode & 0o027).toBe(0);
    for (const name of names) expect(statSync(`${own}/${name}`).mode & 0o337).toBe(0);
    expect(statSync(own).uid).toBe(process.getuid!());
  });

  test.skipIf(!root)("is the only one without root's rights that can read the rules", async () => {
    const { host, text } = await load({ "a.ts": good("A") });
    await text("a.ts");
    const own = folderOf(host);
    const file = `${own}/${readdirSync(own).find((name) => name.startsWith("rule-"))}`;
    const readAs = (id: number): boolean =>
      spawnSync("/bin/cat", [file], { uid: id, gid: id, stdio: "ignore" }).status === 0;
    expect([readAs(65534), readAs(12345)]).toEqual([true, false]);
  });
});

if (deno) {
  describe("a rule under Deno", () => {
    test("is refused files, network, processes and the environment, and goes on", async () => {
      const attempts: Readonly<Record<string, string>> = {
        "read a file": `Deno.readTextFileSync("/etc/passwd")`,
        "read a file as Node does": `fs.readFileSync("/etc/passwd")`,
        "import a file": `await import("file://" + "/etc/passwd", { with: { type: "text" } })`,
        "read the environment of its process": `Deno.readTextFileSync("/proc/self/environ")`,
        "list a folder": `[...Deno.readDirSync("/")]`,
        "write a file": `Deno.writeTextFileSync(${JSON.stringify(folder.file("new"))}, "x")`,
        "write into its own folder":
          `Deno.writeTextFileSync(new URL("./new", import.meta.url), "x")`,
        "write as Node does": `fs.writeFileSync(${JSON.stringify(folder.file("new"))}, "x")`,
        "fetch": `await fetch("http://127.0.0.1:4711/")`,
        "connect": `await Deno.connect({ hostname: "127.0.0.1", port: 9 })`,
        "listen": `Deno.listen({ hostname: "127.0.0.1", port: 0 })`,
        "resolve a name": `await Deno.resolveDns("example.org", "A")`,
        "run a program": `new Deno.Command("/bin/true").outputSync()`,
        "signal a process": `Deno.kill(${process.pid}, "SIGWINCH")`,
        "read a variable": `Deno.env.get("PATH")`,
        "read all variables": `Deno.env.toObject()`,
        "learn the host's name": `Deno.hostname()`,
        "load a library": `Deno.dlopen("libc.so.6", {})`,
      };
      const above = `import fs from "node:fs";\nconst did = {};\n` +
        Object.entries(attempts).map(([name, code]) =>
          `try { ${code}; did[${JSON.stringify(name)}] = "did it"; } ` +
          `catch (error) { did[${JSON.stringify(name)}] = String(error); }`
        ).join("\n");
      const loaded = await load({ "a.ts": ruleOf("Tries", "() => JSON.stringify(did)", above) });
      expect(loaded.errors).toEqual([]);
      const did = JSON.parse(await loaded.text("a.ts")) as Record<string, string>;
      for (const name of Object.keys(attempts)) {
        expect(`${name}: ${did[name]}`).toMatch(/: \w+: Requires \w+ access/);
      }
    });

    test("that doesn't catch the refusal is told which right it lacks, and where", async () => {
      const { errors } = await load({ "a.ts": `\nDeno.readTextFileSync("/etc/passwd");\n` });
      expect(errors[0]).toMatchObject({
        code: "RULE_THREW",
        place: { file: folder.file("a.ts"), line: 2 },
      });
      expect(errors[0]!.message).toContain("read access");
    });
  });
}

describe("the host", () => {
  test("that somebody kills is started again with all its rules", async () => {
    const loaded = await load({ "a.ts": good("A"), "b.ts": good("B"), "c.ts": good("C") });
    for (const round of [1, 2, 3, 4]) {
      await kill(loaded.host);
      const made = ["c.ts", "a.ts", "b.ts"].map((name) => loaded.text(name));
      expect([round, ...await Promise.all(made)]).toEqual([round, "C 12.5", "A 12.5", "B 12.5"]);
    }
    expect(loaded.log).toEqual([]);
  });

  test("that a file's code ends later blames nobody else, at the first load or a later one", async () => {
    const slow = "await new Promise((resolve) => setTimeout(resolve, 50));";
    const loaded = await load({
      "a.ts": ruleOf("Ends", `() => "ends"`, "setTimeout(() => process.exit(3), 5);"),
      "m.ts": ruleOf("Innocent", `() => "innocent"`, slow),
      "z.ts": ruleOf("Hangs", "() => { for (;;); }"),
    });
    expect(loaded.errors).toEqual([]);
    for (const round of [1, 2, 3, 4, 5]) {
      await kill(loaded.host);
      expect([round, await loaded.text("m.ts")]).toEqual([round, "innocent"]);
    }
    expect((await failure(loaded.text("z.ts"))).code).toBe("RULE_HUNG");
    expect(await loaded.text("m.ts")).toBe("innocent");
  });

  test("that is closed leaves no process and no file behind", async () => {
    const { host, text } = await load({ "a.ts": good("A") });
    await text("a.ts");
    const [pid, own] = [host.pid, folderOf(host)];
    expect(existsSync(own)).toBe(true);
    await host.close();
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(existsSync(own)).toBe(false);
    expect(host.pid).toBe(undefined);
    await host.close();
  });

  test("that is closed in the middle of a rule's code ends that rule", async () => {
    const loaded = await load({ "a.ts": ruleOf("Loops", "() => { for (;;); }") });
    const hanging = failure(loaded.text("a.ts"));
    const { pid } = loaded.host;
    await loaded.host.close();
    expect((await hanging).code).toBe("RULE_CRASHED");
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  test("that is closed answers all who wait, the one in whose code it was and those behind", async () => {
    const loaded = await load({
      "a.ts": ruleOf("Loops", "() => { for (;;); }"),
      "b.ts": good("B"),
    });
    const waiting = ["a.ts", "a.ts", "b.ts"].map((name) => failure(loaded.text(name)));
    await loaded.host.close();
    const codes = (await Promise.all(waiting)).map(({ code }) => code);
    expect(codes).toEqual(["RULE_CRASHED", "HOST_FAILED", "HOST_FAILED"]);
  });

  test("that is closed leaves nothing after rules that ended it", async () => {
    const loaded = await load({ "a.ts": ruleOf("Ends", "() => process.exit(1)") });
    const own = folderOf(loaded.host);
    await failure(loaded.text("a.ts"));
    await loaded.host.close();
    expect(existsSync(own)).toBe(false);
  });
});

// `new`, `test` and `replay` as a user has them: rules are written, tested and tried on a capture.
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { makeFolder } from "../test/folder.ts";
import type { Folder } from "../test/folder.ts";

const main = fileURLToPath(new URL("main.ts", import.meta.url));
const runtime = "Deno" in globalThis ? ["run", "--allow-all"] : [];

interface Ended {
  readonly out: string;
  readonly log: string;
  readonly code: number | null;
}

let folder: Folder;
beforeAll(async () => {
  folder = await makeFolder({
    "rules/refused.ts": rule,
    "rules/deep/filtered.ts": rule.replace("Refused", "Filtered")
      .replace(".by(", '.filter(["owner"], ({ owner }) => owner !== "unbound").by('),
    "capture.ndjson": capture,
    "tests/right.test.ts": testOf({ name: "fires", at: "5s", state: "firing" }),
    "tests/wrong.test.ts": testOf({ name: "fires too early", at: "1s", state: "firing" }),
    "tests/stranger.test.ts": testOf({ name: "has a key", at: "5s", state: "firing", valu: 1 }),
    "tests/twice.test.ts": testOf(
      { name: "twice", at: "5s", state: "firing" },
      { name: "twice", at: "6s", state: "firing" },
    ),
    "tests/broken.test.ts": "export default {",
    "tests/refused.ts": rule,
  });
});
afterAll(() => folder.remove());

const rule = `import { drops, rule } from "dropwatch";

export default rule({
  alert: "Refused",
  when: drops.where({ reason: "SOCKET_FILTER" }).by("owner").rate("1s").above(50),
  for: "3s",
});
`;

function testOf(
  ...expected: readonly { readonly name: string; readonly [key: string]: unknown }[]
): string {
  const cases = expected.map(({ name, ...rest }) => ({
    name,
    given: [{ from: 0, to: "10s", drop: { reason: "SOCKET_FILTER", owner: "a" }, rate: 60 }],
    expect: [rest],
  }));
  return [
    'import { ruleTest } from "dropwatch/test";',
    'import rule from "./refused.ts";',
    `ruleTest(rule, ${JSON.stringify(cases)} as never);`,
  ].join("\n");
}

const start = Date.parse("2026-01-02T03:04:00Z");

/** A minute: ten seconds with 100 drops of syncthing a second, ten with 60 of unbound. */
const capture = [
  {
    dropwatch: "capture",
    version: 1,
    kernel: "5.19.0",
    // On this kernel the reasons had other numbers.
    reasons: { 3: "NO_SOCKET", 7: "SOCKET_FILTER" },
    fields: ["reason", "owner"],
  },
  ...Array.from({ length: 60 }, (_, second) => {
    const at = start + 1000 * second + 500;
    if (second >= 10 && second < 20) return [at, 100, "SOCKET_FILTER", "syncthing"];
    if (second >= 30 && second < 40) return [at, 60, "SOCKET_FILTER", "unbound"];
    return [at, 1, "NO_SOCKET", ""];
  }),
].map((line) => JSON.stringify(line)).join("\n");

function dropwatch(...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [...runtime, main, ...args], {
    cwd: folder.path,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1" },
  });
  let [out, log] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => out += text);
  child.stderr.setEncoding("utf8").on("data", (text) => log += text);
  return new Promise((resolve) => child.on("close", (code) => resolve({ out, log, code })));
}

const objects = (text: string) =>
  text.trim().split("\n").map((line) => JSON.parse(line) as { type: string; data: never });

describe("dropwatch new", () => {
  test("writes a rule and a test that passes at once, and is right", async () => {
    const made = await dropwatch("new", "DNSResolverLoses", "--rules", "new");
    expect(made).toMatchObject({
      code: 0,
      out: "new/dns_resolver_loses.ts\nnew/dns_resolver_loses.test.ts\n",
    });
    const tried = await dropwatch("test", "new");
    expect(tried).toMatchObject({ code: 0, out: "1 file of tests: passed\n" });
    expect(tried.log).toMatch(/\b3 pass/);
    const checked = await dropwatch("check", "new", "--source", "replay:capture.ndjson");
    // The capture hasn't got the reason: that there is no other mistake is what counts.
    expect(checked.out.trim().split("\n")).toHaveLength(1);
    expect(checked.out).toContain("SOCKET_RCVBUFF");
  });

  test("takes a reason, and writes over nothing", async () => {
    const made = await dropwatch("new", "Mine", "--reason", "NO_SOCKET", "--rules", "mine");
    expect(made.code).toBe(0);
    const text = await readFile(folder.file("mine/mine.ts"), "utf8");
    expect(text).toContain(`reason: "NO_SOCKET"`);
    const again = await dropwatch("new", "Mine", "--rules", "mine");
    expect(again).toMatchObject({ code: 2, out: "" });
    expect(again.log).toContain("[FILE_EXISTS]");
    expect(await readFile(folder.file("mine/mine.ts"), "utf8")).toBe(text);
  });

  test.each([
    [["new"], "MISSING_ARGUMENT"],
    [["new", "no-name"], "BAD_ALERT_NAME"],
    [["new", "../../etc/passwd"], "BAD_ALERT_NAME"],
    [["new", "Right", "--reason", "SOCKET_FILTR"], "UNKNOWN_REASON"],
  ])("says what is wrong with %j", async (args, code) => {
    const ended = await dropwatch(...args);
    expect(ended).toMatchObject({ code: 2, out: "" });
    expect(ended.log).toContain(`[${code}]`);
  });
});

describe("dropwatch test", () => {
  test("runs what is right, and tells which rules have no test", async () => {
    const ended = await dropwatch("test", "tests/right.test.ts");
    expect(ended).toMatchObject({ code: 0, out: "1 file of tests: passed\n" });
    const all = await dropwatch("test", "tests/right.test.ts", "rules", "--json");
    expect(objects(all.out)).toMatchObject([{
      type: "tests",
      data: { files: ["tests/right.test.ts"], passed: true },
    }]);
    expect(all.log).toContain("without a test beside it: rules/deep/filtered.ts, rules/refused.ts");
  });

  test.each([
    ["wrong", ['expected the state "firing", found "pending"', "at 1s"]],
    ["stranger", ["BAD_RULE_TEST", "valu", "nearest: value"]],
    ["twice", ["BAD_RULE_TEST", "two cases have this name"]],
  ])("fails where a test is %s, and says why", async (name, said) => {
    const ended = await dropwatch("test", `tests/${name}.test.ts`);
    expect(ended).toMatchObject({ code: 1, out: "1 file of tests: failed\n" });
    for (const text of said) expect(ended.log).toContain(text);
  });

  test("says where a test can't be read, or isn't there", async () => {
    const broken = await dropwatch("test", "tests/broken.test.ts");
    expect(broken.code).toBe(1);
    expect(broken.log).toContain("tests/broken.test.ts:1:");
    const none = await dropwatch("test", "rules");
    expect(none.code).toBe(2);
    expect(none.log).toContain("[NO_RULE_TESTS]");
  });
});

describe("dropwatch replay", () => {
  test("tells what would have fired, when, for how long, with what peak", async () => {
    const ended = await dropwatch("replay", "capture.ndjson", "--rules", "rules", "--json");
    expect(ended.code).toBe(0);
    const told = objects(ended.out);
    const firings = told.filter(({ type }) => type === "firing").map(({ data }) => data as object);
    const firing = (alert: string, owner: string, minute: string, peak: number, total: number) => ({
      alert,
      labels: { owner },
      startsAt: `2026-01-02T03:04:${minute}4.000Z`,
      endsAt: `2026-01-02T03:04:${Number(minute) + 1}1.000Z`,
      peak,
      total,
      exact: true,
    });
    expect(firings).toEqual([
      firing("Filtered", "syncthing", "1", 100, 1000),
      firing("Refused", "syncthing", "1", 100, 1000),
      firing("Refused", "unbound", "3", 60, 600),
    ]);
    expect(told.at(-1)).toMatchObject({ type: "summary", data: { seen: 1640, lost: 0 } });
  });

  test("shows how the outcome changes with the threshold", async () => {
    const ended = await dropwatch(
      "replay",
      "capture.ndjson",
      "--rules",
      "rules/refused.ts",
      "--sweep",
      "--json",
    );
    const steps = objects(ended.out).filter(({ type }) => type === "sweep")
      .map(({ data }) => data as { threshold: number; series: number; own: boolean });
    expect(steps.map(({ threshold, series, own }) => [threshold, series, own])).toEqual([
      [5, 2, false],
      [10, 2, false],
      [25, 2, false],
      [50, 2, true],
      [100, 0, false],
      [250, 0, false],
      [500, 0, false],
    ]);
  });

  test("shows tables to people", async () => {
    const { out, code } = await dropwatch(
      "replay",
      "capture.ndjson",
      "--rules",
      "rules",
      "--sweep",
    );
    expect(code).toBe(0);
    expect(out).toMatch(/^2026-01-02 03:04:14 +7s +Refused +owner=syncthing +100 +1,000$/m);
    expect(out).toMatch(/^→ 50 +2 times +2 label sets +14s +█+$/m);
  });

  test("says what is missing", async () => {
    expect((await dropwatch("replay")).log).toContain("[MISSING_ARGUMENT]");
    expect((await dropwatch("replay", "capture.ndjson")).log).toContain("[MISSING_ARGUMENT]");
    expect((await dropwatch("replay", "no.ndjson", "--rules", "rules")).code).not.toBe(0);
  });
});

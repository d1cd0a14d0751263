// What survives a kill and a restart, in a real database: the second run goes on where the first was.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { DatabaseSync } from "node:sqlite";
import { alertOf } from "../test/alert.ts";
import { makeFolder } from "../test/folder.ts";
import type { Folder } from "../test/folder.ts";
import { closed, codeText, drivenSource, ruleText, startRun, until } from "../test/run.ts";
import type { Run, StartOptions } from "../test/run.ts";
import type { AlertData } from "./alert/alert.ts";
import { fingerprint } from "./alert/alert.ts";
import { openStore } from "./store.ts";
import type { StateStore } from "./store.ts";

let folder: Folder;
let ends: (() => Promise<void>)[] = [];
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(async () => {
  for (const end of ends) await end();
  ends = [];
  await folder.remove();
});

interface Life {
  readonly run: Run;
  /** Nothing that comes after this is kept. */
  kill(): Promise<void>;
}

/** A run on the folder's state, from `at` on. */
async function live(at: number, options: StartOptions = {}): Promise<Life> {
  const log: string[] = [];
  const store = openStore(folder.file("state"), (message) => void log.push(message));
  let dead = false;
  const mortal: StateStore = { ...store, save: (changes) => dead || store.save(changes) };
  const run = await startRun({ folder, driven: drivenSource({ at }), store: mortal, ...options });
  let ended = false;
  const kill = async (): Promise<void> => {
    if (ended) return;
    ended = dead = true;
    await run.stop();
    store.close();
  };
  ends.push(kill);
  return { run, kill };
}

const changes = (run: Run): string[] =>
  run.transitions.map(({ rule, change, labels }) =>
    `${rule.alert} ${labels["dport"] ?? ""} ${change}`
  );
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 250));

describe("after a kill", () => {
  test("an alert that is pending fires when its time has come, counted from before", async () => {
    const text = ruleText("A", `for: "5s",`, `.count("1m").above(10)`);
    const one = await live(1_000_000, { files: { "a.ts": text } });
    await one.run.second(closed(100));
    await settle();
    await one.kill();
    const two = await live(1_003_000);
    await two.run.second(closed(100));
    expect(changes(two.run)).toEqual([]);
    await two.run.second(closed(100));
    await two.run.second(closed(100));
    await until(() => two.run.told().length === 1);
    expect(two.run.messages[0]!.data.startsAt).toBe(new Date(1_001_000).toISOString());
  });

  test("an alert that fires isn't told again, and its end is, as the same one", async () => {
    const one = await live(1_000_000, { files: { "a.ts": ruleText("A", `summary: "s",`) } });
    await one.run.second(closed(100));
    await until(() => one.run.told().length === 1);
    await settle();
    await one.kill();
    const two = await live(1_002_000);
    for (let i = 0; i < 8; i++) await two.run.second();
    await until(() => two.run.told().length === 1);
    expect(two.run.messages[0]!.data).toMatchObject({
      status: "resolved",
      fingerprint: one.run.messages[0]!.data.fingerprint,
      annotations: { summary: "s" },
      total: 100,
    });
  });

  test("an alert that fires and hadn't been told yet is told", async () => {
    const one = await live(1_000_000, {
      files: { "a.ts": ruleText("A", `summary: () => { for (;;); },`) },
    });
    await one.run.second(closed(100));
    await one.run.second(closed(100));
    expect(one.run.told()).toEqual([]);
    await one.kill();
    const stored = new DatabaseSync(folder.file("state/dropwatch.sqlite"));
    stored.exec("UPDATE alert SET sent = NULL");
    stored.close();
    await folder.write("rules/a.ts", ruleText("A"));
    const two = await live(1_003_000);
    await until(() => two.run.told().length > 0);
    await two.run.second(closed(100));
    await settle();
    expect(two.run.told()).toEqual(["A firing"]);
  });

  test("windows hold what they held", async () => {
    const one = await live(1_000_000, {
      files: { "a.ts": ruleText("A", "", `.count("1m").above(10)`) },
    });
    await one.run.second(closed(6));
    await settle();
    await one.kill();
    const two = await live(1_005_000);
    await two.run.second(closed(6));
    expect(changes(two.run)).toEqual(["A 53 firing"]);
    expect(two.run.transitions[0]!.value).toBe(12);
  });

  test("what has left a window meanwhile isn't in it", async () => {
    const one = await live(1_000_000, {
      files: { "a.ts": ruleText("A", "", `.count("1m").above(10)`) },
    });
    await one.run.second(closed(9));
    await settle();
    await one.kill();
    const two = await live(1_060_000);
    await two.run.second(closed(9));
    expect(changes(two.run)).toEqual([]);
  });

  test("what first() has seen isn't new, and what it hasn't is", async () => {
    const text = `import { drops, rule } from "dropwatch";
export default rule({ alert: "A", when: drops.where({ reason: "NO_SOCKET" }).by("dport").first({ learn: "2s" }) });`;
    const one = await live(1_000_000, { files: { "a.ts": text } });
    for (let i = 0; i < 3; i++) await one.run.second(closed(1));
    await settle();
    await one.kill();
    const two = await live(1_010_000);
    await two.run.second([...closed(1), ...closed(1, "99")]);
    expect(changes(two.run)).toEqual(["A 99 firing"]);
  });

  test("absent() knows what to miss", async () => {
    const text = `import { drops, rule } from "dropwatch";
export default rule({ alert: "A", when: drops.where({ reason: "NO_SOCKET" }).by("dport").absent("3s") });`;
    const one = await live(1_000_000, { files: { "a.ts": text } });
    await one.run.second(closed(1));
    await settle();
    await one.kill();
    const two = await live(1_010_000);
    for (let i = 0; i < 4; i++) await two.run.second();
    expect(changes(two.run)).toEqual(["A 53 firing"]);
  });

  test("states of code are as they were, and of another version are migrated", async () => {
    const text = (version: number, more = ""): string =>
      codeText(
        "C",
        `state: { version: ${version}, init: () => ({ n: 0 }), ${more} },
  each: ({ count }, { state, fire }) => { state.n += count; if (state.n > 10) fire(state.n); },`,
      );
    const one = await live(1_000_000, { files: { "c.ts": text(1) } });
    await one.run.second(closed(6));
    await settle();
    await one.run.second();
    await settle();
    await one.kill();
    await folder.write(
      "rules/c.ts",
      text(2, `migrate: (old) => ({ n: (old as { n: number }).n + 100 }),`),
    );
    const two = await live(1_005_000);
    await two.run.second(closed(1));
    await until(() => two.run.told().length === 1);
    expect(two.run.messages[0]!.data.value).toBe(107);
  });

  test("an alert whose rule is gone is told to be over, once", async () => {
    const one = await live(1_000_000, { files: { "a.ts": ruleText("A"), "b.ts": ruleText("B") } });
    await one.run.second(closed(100));
    await until(() => one.run.told().length === 2);
    await settle();
    await one.kill();
    await one.run.save("a.ts", undefined);
    const two = await live(1_005_000);
    await until(() => two.run.told().length === 1);
    expect(two.run.told()).toEqual(["A resolved"]);
    await settle();
    await two.kill();
    const three = await live(1_006_000);
    await settle();
    expect(three.run.told("A")).toEqual([]);
  });

  test("an alert whose severity is another now is over, and begins as the other one", async () => {
    const one = await live(1_000_000, {
      files: { "a.ts": ruleText("A", "", `.count("1m").above(10)`) },
    });
    await one.run.second(closed(100));
    await until(() => one.run.told().length === 1);
    await settle();
    await one.kill();
    const two = await live(1_005_000, { overrides: { A: { severity: "critical" } } });
    await until(() => two.run.told().length === 1);
    await two.run.second(closed(100));
    await until(() => two.run.told().length === 2);
    const [end, begin] = two.run.messages.map(({ data }) => data);
    expect(end).toMatchObject({ status: "resolved", severity: "warning" });
    expect(end!.fingerprint).toBe(one.run.messages[0]!.data.fingerprint);
    expect(begin).toMatchObject({ status: "firing", severity: "critical" });
  });
});

describe("shadow", () => {
  test("is never kept as sent; what fires in it is told when it is over", async () => {
    const one = await live(1_000_000, {
      files: { "a.ts": ruleText("A", "", `.count("1m").above(10)`) },
      overrides: { A: { mode: "shadow" } },
    });
    await one.run.second(closed(100));
    await until(() => one.run.log.some((line) => line.includes("in shadow")));
    await settle();
    await one.kill();
    const stored = new DatabaseSync(folder.file("state/dropwatch.sqlite"));
    expect(stored.prepare("SELECT alert, sent FROM alert").all().map((row) => ({ ...row })))
      .toEqual([{ alert: "A", sent: null }]);
    stored.close();
    const two = await live(1_002_000);
    await until(() => two.run.told().length === 1);
    expect(two.run.told()).toEqual(["A firing"]);
    expect(one.run.messages).toEqual([]);
  });

  test("that a firing rule is put into while nothing runs ends its alert for who was told", async () => {
    const one = await live(1_000_000, {
      files: { "a.ts": ruleText("A", "", `.count("1m").above(10)`) },
    });
    await one.run.second(closed(100));
    await until(() => one.run.told().length === 1);
    await settle();
    await one.kill();
    const two = await live(1_002_000, { overrides: { A: { mode: "shadow" } } });
    await until(() => two.run.told().length === 1);
    expect(two.run.messages[0]!.data).toMatchObject({
      status: "resolved",
      fingerprint: one.run.messages[0]!.data.fingerprint,
    });
    await settle();
    await two.kill();
    // And it is told once.
    const three = await live(1_003_000, { overrides: { A: { mode: "shadow" } } });
    await three.run.second();
    await settle();
    expect(three.run.messages).toEqual([]);
  });
});

describe("a state", () => {
  test("of the first version of the database is read", async () => {
    await folder.write("rules/a.ts", ruleText("A"));
    await folder.write("state/keep", "");
    const labels = { alertname: "A", severity: "warning", dport: "53" };
    const sent: AlertData = {
      ...alertOf({ alert: "A" }).data,
      labels,
      fingerprint: fingerprint(labels),
    };
    const old = new DatabaseSync(folder.file("state/dropwatch.sqlite"));
    old.exec(`CREATE TABLE alert (alert TEXT NOT NULL, labels TEXT NOT NULL, state TEXT NOT NULL,
      sent TEXT, PRIMARY KEY (alert, labels)) STRICT, WITHOUT ROWID; PRAGMA user_version = 1;`);
    const state = { state: "firing", since: 1, held: 2, value: 3, peak: 4, total: 5 };
    old.prepare("INSERT INTO alert VALUES (?, ?, ?, ?)")
      .run("A", `[["dport","53"]]`, JSON.stringify(state), JSON.stringify(sent));
    old.close();
    const { run } = await live(1_000_000);
    for (let i = 0; i < 7; i++) await run.second();
    await until(() => run.told().length === 1);
    expect(run.told()).toEqual(["A resolved"]);
    expect(run.messages[0]!.data.total).toBe(5);
  });

  test("with rows that nobody knows, or that are damaged, is read without them, and it is said", async () => {
    const one = await live(1_000_000, {
      files: { "a.ts": ruleText("A", "", `.count("1m").above(10)`) },
    });
    await one.run.second(closed(6));
    await settle();
    await one.kill();
    const stored = new DatabaseSync(folder.file("state/dropwatch.sqlite"));
    const put = stored.prepare("INSERT OR REPLACE INTO memory VALUES (?, ?, ?, ?)");
    put.run("future", "A", "", "{}");
    put.run("code", "A\ndport", `["53"]`, "{");
    put.run("code", "A\ndport", "no labels", `{"active":true,"value":1}`);
    put.run("last", "A\ndport", `["53"]`, `"text"`);
    put.run("seen", "A\ndport", `[1]`, "0");
    put.run("window", "B", "", `{"slots":[{"at":1}]}`);
    stored.close();
    const two = await live(1_003_000);
    expect(two.run.log).toContain("5 rows of the state can't be read, and are left out");
    await two.run.second(closed(6));
    expect(changes(two.run)).toEqual(["A 53 firing"]);
  });
});

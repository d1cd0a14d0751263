// The shipped rules alert on what somebody should look at. What a machine drops in its normal life, or
// when sockets and devices go away, fires none of them, however much it is.
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { AlertMessage } from "../core/alert/alert.ts";
import { knowledge } from "../core/drop/knowledge.ts";
import { runPipeline } from "../core/pipeline.ts";
import { findRuleFiles, loadRules } from "../core/rule/load.ts";
import { replaySource } from "../plugins/sources/replay.ts";
import { makeFolder } from "./folder.ts";
import type { Folder } from "./folder.ts";

let folder: Folder;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => folder.remove());

const shipped = fileURLToPath(new URL("../rules/", import.meta.url));
const names = Object.keys(knowledge).filter((name) => /^[A-Z]/.test(name));
const packet = {
  l4: "UDP",
  saddr: "192.0.2.1",
  daddr: "192.0.2.2",
  sport: "40000",
  dport: "514",
  dev: "eth0",
  cpu: "1",
  owner: "syncthing",
  ownerPid: "100",
  ownerPort: "514",
};

/** What fires where so many of each of these reasons are dropped each second, for three minutes. */
async function firedBy(reasons: readonly string[], perSecond: number): Promise<string[]> {
  const head = {
    dropwatch: "capture",
    version: 1,
    kernel: "6.18.44",
    reasons: Object.fromEntries(names.map((name, i) => [i + 2, name])),
    subsystems: { 0: "core" },
    fields: ["reason", ...Object.keys(packet)],
  };
  const lines = Array.from(
    { length: 180 },
    (_, second) =>
      reasons.map((reason) =>
        JSON.stringify([1_000_000 + 1000 * second, perSecond, reason, ...Object.values(packet)])
      ),
  );
  const file = await folder.write(
    "capture.ndjson",
    [JSON.stringify(head), ...lines.flat(), ""].join("\n"),
  );
  const source = replaySource({ file });
  const log: string[] = [];
  const rules = await loadRules({
    files: await findRuleFiles([shipped]),
    facts: () => source.facts(),
    interval: 1000,
    log: (line) => log.push(line),
  });
  expect(rules.errors).toEqual([]);
  const told: AlertMessage[] = [];
  try {
    await runPipeline({
      source,
      rules,
      sinks: [{ name: "kept", send: (message) => (told.push(message), Promise.resolve()) }],
      interval: 1000,
      maxKeys: 4096,
      signal: new AbortController().signal,
      log: (line) => log.push(line),
    });
  } finally {
    await rules.host.close();
  }
  expect(log).toEqual([]);
  return [...new Set(told.filter(({ type }) => type === "alert.firing").map((m) => m.data.alert))];
}

const ofClass = (...classes: readonly string[]): string[] =>
  names.filter((name) => classes.includes(knowledge[name as keyof typeof knowledge].class));

describe("the shipped rules", () => {
  test("stay quiet whatever is torn down, or drops as protocols do", async () => {
    const quiet = ofClass("teardown", "normal");
    expect(quiet.length).toBeGreaterThan(40);
    expect(await firedBy(quiet, 1000)).toEqual([]);
  });

  test("fire on as many drops of what is a fault, or refused", async () => {
    const loud = await firedBy(ofClass("fault", "policy"), 1000);
    expect(loud.length).toBeGreaterThan(6);
    expect(loud).toContain("SyncthingSocketFilterDrops");
  });
});

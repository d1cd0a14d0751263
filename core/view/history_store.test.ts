// The past on disk: what can't be written is said once and tried again, what can't be read is left out.
import { readFile, writeFile } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { makeHistory } from "./history.ts";
import type { History } from "./history.ts";
import { historyFile, openHistoryStore } from "./history_store.ts";

let folder: Folder;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => folder.remove());

const begin = 1_700_000_040_000;

function add(history: History, second: number, drops = 1): number {
  const at = begin + 1000 * second;
  const cells = [[["NO_SOCKET", "a"], drops]] as const;
  history.add({ at, seconds: 1, seen: drops, other: 0, lost: 0, cells });
  return at;
}

const fresh = (): History => makeHistory(["reason", "owner"]);
const total = (history: History): number =>
  history.query({ by: [], where: {}, from: begin, to: begin + 1e7, limit: 1 }).total;

function restored(log: (message: string) => void = () => {}): History {
  const history = fresh();
  const store = openHistoryStore(folder.path, log);
  store.restore(history);
  store.close(fresh());
  return history;
}

describe("the past", () => {
  test("is written every ten seconds, and at the end", () => {
    const store = openHistoryStore(folder.path, () => {});
    const history = fresh();
    for (let second = 1; second <= 25; second++) store.save(history, add(history, second));
    expect(total(restored())).toBe(21);
    store.close(history);
    expect(total(restored())).toBe(25);
  });

  test("has the whole last minute after a kill in the middle of it", () => {
    const store = openHistoryStore(folder.path, () => {});
    const history = fresh();
    for (let second = 1; second <= 151; second++) store.save(history, add(history, second));
    const again = restored();
    const minutes = again.changes("minutes").flatMap(({ moments }) => moments);
    expect(minutes.reduce((sum, { seen }) => sum + seen, 0)).toBe(total(again));
    expect(total(again)).toBe(151);
    store.close(history);
  });

  test("that can't be written is said once, and all of it is written later", () => {
    const log: string[] = [];
    const store = openHistoryStore(folder.path, (message) => log.push(message));
    const history = fresh();
    const other = new DatabaseSync(historyFile(folder.path));
    other.exec("BEGIN EXCLUSIVE");
    for (let second = 1; second <= 45; second++) store.save(history, add(history, second));
    expect(log.length).toBe(1);
    expect(log[0]).toContain("can't be kept, and is tried again");
    other.exec("ROLLBACK");
    other.close();
    store.close(history);
    expect(total(restored())).toBe(45);
  });

  test("that is damaged is moved away; what in it can't be read is left out", async () => {
    const store = openHistoryStore(folder.path, () => {});
    const history = fresh();
    for (let second = 1; second <= 70; second++) add(history, second);
    store.close(history);
    const database = new DatabaseSync(historyFile(folder.path));
    database.exec("UPDATE block SET data = '{}' WHERE level = 'seconds' AND number % 2 = 0");
    const broken = database.prepare("SELECT count(*) AS n FROM block WHERE data = '{}'").get()!;
    database.close();
    expect(broken["n"]).toBe(1);
    const log: string[] = [];
    restored((message) => log.push(message));
    expect(log.join()).toContain("1 parts of the history");
    await folder.write("history.sqlite", "not a database at all");
    const second: string[] = [];
    expect(total(restored((message) => second.push(message)))).toBe(0);
    expect(second.join()).toContain("it is now");
  });

  test("that is damaged inside is moved away, at the start and while it is written", async () => {
    const history = fresh();
    const store = openHistoryStore(folder.path, () => {});
    for (let second = 1; second <= 3000; second++) add(history, second);
    store.close(history);
    const file = historyFile(folder.path);
    const bytes = await readFile(file);
    for (let page = 4096; page < bytes.length; page += 4096) bytes.fill(0xff, page, page + 200);
    await writeFile(file, bytes);
    const log: string[] = [];
    expect(total(restored((message) => log.push(message)))).toBe(0);
    expect(log.join()).toContain("it is now");

    const second = openHistoryStore(folder.path, (message) => log.push(message));
    const other = new DatabaseSync(file);
    other.exec("DROP TABLE block");
    other.close();
    log.length = 0;
    for (let s = 1; s <= 45; s++) second.save(history, add(history, 3000 + s));
    expect(log.filter((line) => line.includes("it is now")).length).toBe(1);
    second.close(history);
    expect(total(restored())).toBeGreaterThan(0);
  });

  test("goes on after a clock that was set back, also over a restart", () => {
    const store = openHistoryStore(folder.path, () => {});
    const history = fresh();
    for (let second = 1; second <= 1200; second++) store.save(history, add(history, second));
    for (let second = 601; second <= 640; second++) store.save(history, add(history, second, 5));
    store.close(history);
    const again = fresh();
    const later = openHistoryStore(folder.path, () => {});
    later.restore(again);
    for (let second = 641; second <= 871; second++) later.save(again, add(again, second, 2));
    later.close(again);
    const query = { by: [], where: {}, limit: 1 };
    const from = begin + 640_000;
    expect(again.query({ ...query, from, to: begin + 871_000 }).total).toBe(462);
    expect(again.query({ ...query, from: begin, to: begin + 1e7 }).total).toBe(600 + 200 + 462);
    expect(total(restored())).toBe(600 + 200 + 462);
  });

  test("stays within its bounds on disk: an hour of seconds, a week of minutes", () => {
    const store = openHistoryStore(folder.path, () => {});
    const history = fresh();
    for (let second = 1; second <= 5000; second++) store.save(history, add(history, second));
    store.close(history);
    const database = new DatabaseSync(historyFile(folder.path));
    const rows = database.prepare("SELECT level, count(*) AS n FROM block GROUP BY level").all();
    database.close();
    const of = (level: string): number =>
      rows.find((row) => row["level"] === level)!["n"] as number;
    expect(of("seconds")).toBeLessThanOrEqual(61);
    expect(of("minutes")).toBe(2);
  });
});

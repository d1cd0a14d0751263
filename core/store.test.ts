// The alerts that survive a restart: kept at once, read back as they were, for one process alone.
import { readdir, readFile, rename, stat } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { alertOf } from "../test/alert.ts";
import { makeFolder } from "../test/folder.ts";
import type { Folder } from "../test/folder.ts";
import { openStore } from "./store.ts";
import type { SavedAlert } from "./store.ts";

let folder: Folder;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => folder.remove());

const state = { state: "firing", since: 1, held: 2, value: 3, peak: 4, total: 5 } as const;
const firing: SavedAlert = {
  alert: "A",
  labels: { comm: "\u0000\n'\"; DROP TABLE alert; --", dev: "" },
  state,
  sent: alertOf().data,
};
const pending: SavedAlert = { alert: "B", labels: {}, state: { ...state, state: "pending" } };
const silent = (message: string): void => expect(message).toBe("");

describe("the store", () => {
  test("gives back after a kill what was saved, and nothing that is gone", () => {
    const first = openStore(folder.path, silent);
    first.save({ alerts: [firing, pending] });
    first.save({ alerts: [{ ...pending, state: { ...pending.state, total: 9 } }] });
    first.close();
    const second = openStore(folder.path, silent);
    const found = second.load().sort((a, b) => a.alert < b.alert ? -1 : 1);
    expect(found).toEqual([firing, {
      ...pending,
      state: { ...pending.state, total: 9 },
      sent: undefined,
    }]);
    // The order of labels doesn't matter.
    second.save({
      goneAlerts: [{ alert: "A", labels: { dev: "", comm: firing.labels["comm"]! } }],
    });
    expect(second.load().map(({ alert }) => alert)).toEqual(["B"]);
    second.close();
  });

  test("makes the folder, for its user alone", async () => {
    const path = folder.file("deep/er");
    openStore(path, silent).close();
    expect((await stat(path)).mode & 0o777).toBe(0o700);
  });

  test("is one process's at a time, and says so to the other", () => {
    const first = openStore(folder.path, silent);
    expect(() => openStore(folder.path, silent)).toThrow("another dropwatch runs on it");
    first.save({ alerts: [pending] });
    first.close();
    openStore(folder.path, silent).close();
  });

  test("moves a file that is no database away, says so, and begins anew", async () => {
    await folder.write("dropwatch.sqlite", "nonsense ".repeat(1000));
    const said: string[] = [];
    const store = openStore(folder.path, (message) => void said.push(message));
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/dropwatch\.sqlite: the state is damaged .* it is now .*damaged-/);
    store.save({ alerts: [pending] });
    expect(store.load().map(({ alert }) => alert)).toEqual(["B"]);
    store.close();
    const [damaged] = (await readdir(folder.path)).filter((name) => name.includes(".damaged-"));
    expect(await readFile(folder.file(damaged!), "utf8")).toContain("nonsense");
  });

  test("that can't be made anew at once is made anew as soon as it can be", async () => {
    const place = folder.file("state");
    const said: string[] = [];
    const store = openStore(place, (message) => said.push(message));
    const renewed = (): boolean => {
      try {
        store.save({ alerts: [firing] });
      } catch (thrown) {
        return store.renew(thrown);
      }
      throw new Error("it was saved");
    };
    const other = new DatabaseSync(`${place}/dropwatch.sqlite`);
    other.exec("DROP TABLE alert");
    other.close();
    await rename(place, `${place}-away`);
    expect(renewed).toThrow();
    expect(renewed).toThrow();
    await rename(`${place}-away`, place);
    expect(renewed()).toBe(true);
    store.save({ alerts: [firing] });
    expect(store.load()).toEqual([firing]);
    store.close();
  });

  test("that is damaged while it is used is moved away, and all can be saved again", () => {
    const said: string[] = [];
    const store = openStore(folder.path, (message) => void said.push(message));
    const other = new DatabaseSync(folder.file("dropwatch.sqlite"));
    other.exec("DROP TABLE alert");
    other.close();
    let thrown: unknown;
    try {
      store.save({ alerts: [pending] });
    } catch (error) {
      thrown = error;
    }
    expect(String(thrown)).toContain("no such table");
    expect(store.renew(new Error("disk I/O error"))).toBe(false);
    expect(store.renew(thrown)).toBe(true);
    expect(said).toHaveLength(1);
    store.save({ alerts: [pending] });
    expect(store.load().map(({ alert }) => alert)).toEqual(["B"]);
    store.close();
  });

  test("says what to do where its file is a later version's", () => {
    const later = new DatabaseSync(folder.file("dropwatch.sqlite"));
    later.exec("PRAGMA user_version = 99");
    later.close();
    expect(() => openStore(folder.path, silent)).toThrow("later dropwatch (version 99)");
  });

  test("leaves out a row that can't be read, and says it", () => {
    openStore(folder.path, silent).close();
    const database = new DatabaseSync(folder.file("dropwatch.sqlite"));
    database.exec("INSERT INTO alert VALUES ('A', '[]', '{\"state\":\"odd\"}', NULL)");
    database.close();
    const said: string[] = [];
    const store = openStore(folder.path, (message) => void said.push(message));
    expect(store.load()).toEqual([]);
    expect(said).toHaveLength(1);
    store.close();
  });
});

// What other commands see of a state, and do with it.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { alertOf } from "../test/alert.ts";
import { makeFolder } from "../test/folder.ts";
import type { Folder } from "../test/folder.ts";
import { makeSilence, mostSilences, silenceRetention } from "./alert/silence.ts";
import type { Silence } from "./alert/silence.ts";
import { openStore } from "./store.ts";
import { openBeside } from "./store_beside.ts";
import type { StateBeside } from "./store_beside.ts";

let folder: Folder;
let beside: StateBeside;
beforeEach(async () => {
  folder = await makeFolder();
  beside = openBeside(folder.path, true);
});
afterEach(async () => {
  beside.close();
  await folder.remove();
});

const silenceOf = (id: string, parts: Partial<Silence> = {}): Silence => ({
  ...makeSilence({
    id,
    matchers: ["dev=eth0"],
    startsAt: Date.now(),
    duration: 3_600_000,
    createdBy: "me",
    comment: "",
  }),
  ...parts,
});
const ids = (): string[] => beside.silences().map(({ id }) => id).sort();

describe("silences", () => {
  test("that are over for days are forgotten when another one comes", () => {
    const now = Date.now();
    beside.putSilence(silenceOf("old", { endsAt: now - silenceRetention - 1000 }));
    beside.putSilence(silenceOf("late", { endsAt: now - 60_000 }));
    beside.putSilence(silenceOf("new"));
    expect(ids()).toEqual(["late", "new"]);
  });

  test("can be expired however many there are, and no more can be added", () => {
    const store = openStore(folder.path, () => {});
    store.save({
      silences: Array.from({ length: mostSilences + 1 }, (_, i) => silenceOf(`s${i}`)),
    });
    store.close();
    expect(() => beside.putSilence(silenceOf("more"))).toThrow("expire some");
    const over = silenceOf("s7", { endsAt: Date.now() - 1 });
    beside.putSilence(over);
    expect(beside.silences().find(({ id }) => id === "s7")).toEqual(over);
  });
});

describe("alerts", () => {
  test("are there as long as they fire, also where all that became of them is long ago", () => {
    const message = alertOf({ alert: "LinkDown", labels: { dev: "eth0" } });
    const { fingerprint } = message.data;
    const store = openStore(folder.path, () => {});
    store.save({
      rows: [{
        kind: "notice",
        owner: "",
        key: fingerprint,
        data: JSON.stringify({ message, flap: { times: [], last: null, quiet: 0 }, quiet: "" }),
      }],
    });
    store.close();
    expect(beside.alerts()).toEqual([{ fingerprint, message, last: undefined }]);
    expect(beside.events(fingerprint)).toEqual([]);
  });
});

describe("a message that was given up", () => {
  test("has a day once more when it is sent again", () => {
    const store = openStore(folder.path, () => {});
    store.save({
      outbox: [{
        id: "msg_1",
        sink: "ops",
        group: "g",
        seq: 1,
        state: "dead",
        body: { is: "alert", alert: alertOf() },
        created: 1000,
        attempts: 99,
        nextAt: 2000,
        error: "answered 500",
      }],
    });
    store.close();
    const before = Date.now();
    beside.retry("msg_1");
    const [row] = beside.outbox();
    expect(row).toMatchObject({ state: "pending", attempts: 0 });
    expect(row!.created).toBeGreaterThanOrEqual(before);
  });
});

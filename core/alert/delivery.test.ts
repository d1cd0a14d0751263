// Alerts are told whatever becomes of the state that they are kept in, and what people do with `dropwatch
// silence` and `dropwatch outbox` takes effect while it runs.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { closed, ruleText, startRun, until } from "../../test/run.ts";
import type { Run, StartOptions } from "../../test/run.ts";
import { openStore } from "../store.ts";
import type { StateStore } from "../store.ts";
import { findId, openBeside } from "../store_beside.ts";
import { makeSilence } from "./silence.ts";
import { DeliveryError } from "./sink.ts";

let folder: Folder;
let run: Run | undefined;
let store: StateStore | undefined;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(async () => {
  await run?.stop();
  store?.close();
  run = store = undefined;
  await folder.remove();
});

const files = { "a.ts": ruleText("A", `summary: "s",`, `.count("2s").above(10)`) };

/** Starts a run that keeps its state in a folder. */
async function start(state: string, options: StartOptions = {}): Promise<Run> {
  store = openStore(state, (message) => said.push(message));
  said.length = 0;
  return run = await startRun({ folder, files, store, ...options });
}
const said: string[] = [];

/** An alert fires for a port, and is over. */
async function comeAndGo(run: Run, port: string): Promise<void> {
  await run.second(closed(100, port));
  for (let i = 0; i < 4; i++) await run.second();
}
const toldOf = (run: Run, port: string): string[] =>
  run.messages.filter(({ data }) => data.labels["dport"] === port).map(({ data }) => data.status);
const both = ["firing", "resolved"];

describe("a state that can't be written", () => {
  test(
    "because the disk is full is said; alerts are told all the same, and kept when there is room",
    async () => {
      const disk = folder.file("disk");
      mkdirSync(disk);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]);
      try {
        const run = await start(`${disk}/state`);
        await comeAndGo(run, "1");
        await until(() => toldOf(run, "1").length === 2);
        writeFileSync(`${disk}/filler`, "");
        try {
          for (;;) writeFileSync(`${disk}/filler`, Buffer.alloc(4096), { flag: "a" });
        } catch {
          // It is full.
        }
        // What SQLite has set aside may still be enough for some.
        for (let port = 2; port < 40; port++) await comeAndGo(run, String(port));
        await until(() => run.log.some((line) => line.includes("the state can't be saved")));
        await until(() => toldOf(run, "39").length === 2);
        for (let port = 2; port < 40; port++) expect(toldOf(run, String(port))).toEqual(both);
        expect(run.told("StateNotSaved")).toContain("StateNotSaved firing");
        writeFileSync(`${disk}/filler`, "");
        await run.second(closed(100, "77"));
        await run.second(closed(100, "77"));
        await until(() => toldOf(run, "77").length === 1);
        for (let i = 0; i < 6; i++) await run.second(closed(100, "77"));
        await until(() => run.told("StateNotSaved").at(-1) === "StateNotSaved resolved");
        expect(store!.load().map(({ labels }) => labels["dport"])).toContain("77");
        await run.stop();
        store!.close();
      } finally {
        execFileSync("umount", ["-l", disk]);
      }
      run = store = undefined;
    },
    20_000,
  );

  test(
    "because somebody else has locked it is said; nothing waits for him, and nothing is lost",
    async () => {
      const state = folder.file("state");
      const run = await start(state);
      const other = new DatabaseSync(`${state}/dropwatch.sqlite`);
      other.exec("BEGIN EXCLUSIVE");
      await comeAndGo(run, "1");
      await run.second(closed(100, "2"));
      await until(() => toldOf(run, "1").length === 2 && toldOf(run, "2").length === 1);
      expect(run.log.join()).toMatch(/the state can't be saved, and is tried again: .*locked/);
      expect(run.told("StateNotSaved").length).toBeGreaterThan(0);
      other.exec("ROLLBACK");
      other.close();
      await run.second(closed(100, "2"));
      await until(() => store!.load().some(({ labels }) => labels["dport"] === "2"));
      expect(toldOf(run, "1")).toEqual(both);
      const beside = openBeside(state);
      const kinds = beside.alerts().map(({ fingerprint }) => beside.events(fingerprint))
        .find(([first]) => first!.text.startsWith("A: s (value 100)"))!.map(({ kind }) => kind);
      expect(kinds).toEqual(expect.arrayContaining(["fired", "queued", "delivered"]));
      beside.close();
    },
    20_000,
  );

  test("because it is damaged is moved away; a new one has all that is so now", async () => {
    const state = folder.file("state");
    const run = await start(state);
    await run.second(closed(100, "1"));
    await until(() => toldOf(run, "1").length === 1);
    const other = new DatabaseSync(`${state}/dropwatch.sqlite`);
    for (const table of ["alert", "memory", "outbox"]) other.exec(`DROP TABLE ${table}`);
    other.close();
    await run.second([...closed(100, "1"), ...closed(100, "2")]);
    await until(() => said.length > 0);
    await run.second([...closed(100, "1"), ...closed(100, "2")]);
    expect(said[0]).toContain("the state is damaged");
    expect(readdirSync(state).some((name) => name.includes(".damaged-"))).toBe(true);
    await until(() => store!.load().length >= 2);
    const ports = store!.load().filter(({ alert }) => alert === "A")
      .map(({ labels }) => labels["dport"]!);
    expect(ports.sort()).toEqual(["1", "2"]);
    await until(() => store!.loadMemory(["notice"]).length >= 2);
    await until(() => toldOf(run, "2").length === 1);
    for (let i = 0; i < 4; i++) await run.second();
    await until(() => toldOf(run, "1").length === 2);
  }, 20_000);
});

describe("while it runs", () => {
  test(
    "a silence that another process adds keeps alerts quiet, and lets them go when it is expired",
    async () => {
      const state = folder.file("state");
      const run = await start(state);
      const beside = openBeside(state);
      const silence = makeSilence({
        id: "s1",
        matchers: [`alertname="A"`, `dport=~"1|3"`],
        startsAt: Date.now(),
        duration: 3_600_000,
        createdBy: "me",
        comment: "an upgrade",
      });
      beside.putSilence(silence);
      await new Promise((resolve) => setTimeout(resolve, 1200));
      await run.second([...closed(100, "1"), ...closed(100, "2")]);
      await until(() => toldOf(run, "2").length === 1);
      expect(toldOf(run, "1")).toEqual([]);
      const { fingerprint } = beside.alerts().find(({ message }) =>
        message?.data.labels["dport"] === "1"
      )!;
      const timeline = (): string[] =>
        beside.events(fingerprint).map(({ kind, text }) => `${kind} ${text}`);
      expect(timeline()).toEqual([
        "fired A: s (value 100)",
        "silenced silenced by s1 (me: an upgrade)",
      ]);
      beside.putSilence({ ...silence, endsAt: Date.now() });
      await until(() => toldOf(run, "1").length === 1);
      await until(() => timeline().some((line) => line.startsWith("delivered")));
      expect(timeline().slice(2)).toEqual([
        "told again no longer silenced by s1",
        "queued fires",
        "delivered ",
      ]);
      beside.close();
    },
    20_000,
  );

  test(
    "a message that was given up is sent once more, or dropped, when another process says so",
    async () => {
      const state = folder.file("state");
      let refuses = true;
      const sent: string[] = [];
      const run = await start(state, {
        sinks: [{
          name: "ops",
          send: ({ data }, { id }) => {
            if (refuses) return Promise.reject(new DeliveryError("answered 400", { final: true }));
            sent.push(`${id} ${data.labels["dport"]}`);
            return Promise.resolve();
          },
        }],
      });
      await run.second([...closed(100, "1"), ...closed(100, "2")]);
      const beside = openBeside(state);
      await until(() => beside.outbox().filter((row) => row.state === "dead").length >= 2);
      refuses = false;
      const of = (port: string): string =>
        beside.outbox().find(({ body }) =>
          body.is === "alert" && body.alert.data.labels["dport"] === port
        )!.id;
      const [one, two] = [of("1"), of("2")];
      expect(findId("message", one.slice(0, 20), [one, two])).toBe(one);
      expect(() => findId("message", "msg_", [one, two])).toThrow("several begin so");
      beside.retry(one);
      beside.drop(two);
      await until(() => sent.length > 0);
      expect(sent).toEqual([`${one} 1`]);
      await until(() => beside.outbox().every(({ id }) => id !== one && id !== two));
      beside.close();
    },
    20_000,
  );
});

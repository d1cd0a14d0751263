// `silence`, `outbox`, `alerts` and `sink` as a user has them, on the state of a run.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { DeliveryError } from "../core/alert/sink.ts";
import type { Sink } from "../core/alert/sink.ts";
import { openStore } from "../core/store.ts";
import { rawControl } from "../test/alert.ts";
import { makeFolder } from "../test/folder.ts";
import type { Folder } from "../test/folder.ts";
import { Receiver } from "../test/receiver.ts";
import { closed, ruleText, startRun, until } from "../test/run.ts";

const main = fileURLToPath(new URL("main.ts", import.meta.url));
const runtime = "Deno" in globalThis ? ["run", "--allow-all"] : [];
/** A process a command: they take a while on a busy machine. */
const patience = 30_000;

interface Ended {
  readonly out: string;
  readonly log: string;
  readonly code: number | null;
}

let folder: Folder;
let state = "";
beforeEach(async () => {
  folder = await makeFolder();
  state = folder.file("state");
});
afterEach(() => folder.remove());

/** Runs a command in the test's folder. */
function dropwatch(...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [...runtime, main, ...args], {
    cwd: folder.path,
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [out, log] = ["", ""];
  child.stdout.on("data", (data) => out += String(data));
  child.stderr.on("data", (data) => log += String(data));
  return new Promise((resolve) => child.on("close", (code) => resolve({ out, log, code })));
}
const objects = (out: string): Record<string, unknown>[] =>
  out.trim().split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));

/** A run in which an alert fires for port 53, with a sink that takes it and one that refuses it. */
async function alertOnce(summary = "s"): Promise<void> {
  const store = openStore(state, () => {});
  const sent: string[] = [];
  const sinks: Sink[] = [
    { name: "ops", send: ({ data }) => Promise.resolve(void sent.push(data.alert)) },
    {
      name: "chat",
      notify: () => Promise.reject(new DeliveryError("answered 400: bad", { final: true })),
    },
  ];
  const run = await startRun({
    folder,
    store,
    sinks,
    files: { "a.ts": ruleText("A", `summary: ${JSON.stringify(summary)},`) },
  });
  await run.second(closed(100));
  await until(() => sent.includes("A") && store.loadOutbox().length > 0);
  await run.stop();
  store.close();
}

describe("without a state", () => {
  test("a command that needs one says where it comes from", async () => {
    const none = await dropwatch("alerts", "list");
    expect([none.code, none.out]).toEqual([2, ""]);
    expect(none.log).toMatch(/--state DIR .*\[NO_STATE\]/);
    const empty = await dropwatch("outbox", "list", "--state", state);
    expect(empty.code).toBe(2);
    expect(empty.log).toContain("[NO_STATE]");
  }, patience);

  test("a verb that there isn't names the nearest", async () => {
    for (const command of ["silence", "outbox", "alerts", "sink"]) {
      const { code, log } = await dropwatch(command, "lst");
      expect([command, code]).toEqual([command, 2]);
      expect(log).toMatch(/nearest: list.* \[UNKNOWN_VERB\]/);
    }
  }, patience);
});

describe("silence", () => {
  test("adds, lists and expires, for people and as JSON", async () => {
    const added = await dropwatch(
      ...["silence", "add", 'alertname="A"', "owner=~sync.*", "--duration", "2h"],
      ...["--comment", "an \x1b[2J upgrade", "--author", "me", "--state", state],
    );
    expect([added.code, added.log]).toEqual([0, expect.stringContaining("had no state")]);
    const [, id = ""] = /^([0-9a-f-]{36}) {2}active until \d{4}-/.exec(added.out) ?? [];
    const listed = await dropwatch("silence", "list", "--state", state);
    expect(listed.out).toMatch(/^id +state +matches +ends +by +comment\n/);
    expect(listed.out).toMatch(
      /active +alertname="A" owner=~"sync\.\*" +in (2h|1h59m) +me +an \\x1b/,
    );
    for (const line of listed.out.trim().split("\n")) expect(line).not.toMatch(rawControl);
    const json = objects((await dropwatch("silence", "list", "--json", "--state", state)).out);
    expect(json).toHaveLength(1);
    expect(json[0]).toMatchObject({
      type: "silence",
      data: {
        id,
        state: "active",
        createdBy: "me",
        matchers: ['alertname="A"', 'owner=~"sync.*"'],
      },
    });
    const expired = await dropwatch("silence", "expire", id.slice(0, 6), "--state", state);
    expect([expired.code, expired.out.includes("expired")]).toEqual([0, true]);
    const rest = await dropwatch("silence", "list", "--state", state);
    expect([rest.out, rest.code]).toEqual(["", 0]);
    expect((await dropwatch("silence", "list", "--all", "--state", state)).out).toContain(
      "expired",
    );
  }, patience);

  test("that can't be meant is refused, and says why", async () => {
    const wrong: readonly (readonly [readonly string[], string])[] = [
      [["a=b"], "--duration"],
      [["--duration", "1h"], "BAD_SILENCE"],
      [["a!=b", "--duration", "1h"], "BAD_SILENCE"],
      [['a=~"("', "--duration", "1h"], "BAD_MATCHER"],
      [["nonsense", "--duration", "1h"], "BAD_MATCHER"],
      [["a=b", "--duration", "soon"], "BAD_OPTION"],
    ];
    for (const [args, says] of wrong) {
      const { code, log } = await dropwatch("silence", "add", ...args, "--state", state);
      expect([args, code, log.includes(says)]).toEqual([args, 2, true]);
    }
    const unknown = await dropwatch("silence", "expire", "abc", "--state", state);
    expect([unknown.code, unknown.log.includes("UNKNOWN_ID")]).toEqual([2, true]);
  }, patience);
});

describe("of a run", () => {
  test("alerts tells who was told, who wasn't and why; nothing of it is raw", async () => {
    await alertOnce("\x1b[31mred\u202e");
    const list = await dropwatch("alerts", "list", "--state", state);
    expect(list.out).toMatch(/^fingerprint +state +since/);
    const [, fingerprint = ""] = /^([0-9a-f]{16}) +firing .* A /m.exec(list.out) ?? [];
    expect(fingerprint).not.toBe("");
    const shown = await dropwatch("alerts", "show", fingerprint.slice(0, 8), "--state", state);
    expect(shown.code).toBe(0);
    const kinds = [...shown.out.matchAll(/Z? {2,4}([a-z]+) +(ops|chat)?/g)].map(([, kind]) => kind);
    expect(kinds).toEqual(
      expect.arrayContaining(["fired", "grouped", "queued", "delivered", "given"]),
    );
    expect(shown.out).toMatch(/given up +chat: answered 400: bad/);
    for (const line of `${list.out}${shown.out}`.trim().split("\n")) {
      expect(line).not.toMatch(rawControl);
    }
    const events = objects(
      (await dropwatch("alerts", "show", fingerprint, "--json", "--state", state)).out,
    );
    expect(events[0]).toMatchObject({ type: "event", data: { kind: "fired", fingerprint } });
  }, patience);

  test("outbox lists what was given up, shows it, and sends it again or drops it", async () => {
    await alertOnce();
    const list = await dropwatch("outbox", "list", "--state", state);
    expect(list.out).toMatch(/msg_\w+ +chat +given up +A firing .* answered 400: bad/);
    const rows = objects((await dropwatch("outbox", "list", "--json", "--state", state)).out);
    const ids = rows.map(({ data }) => (data as { id: string }).id);
    const shown = await dropwatch("outbox", "show", ids[0]!, "--json", "--state", state);
    expect(JSON.parse(shown.out)).toMatchObject({
      type: "message",
      data: { id: ids[0], sink: "chat", state: "dead" },
    });
    const retried = await dropwatch("outbox", "retry", ids[0]!.slice(0, 12), "--state", state);
    expect([retried.code, retried.log]).toEqual([
      0,
      `dropwatch: ${ids[0]} will be sent again, by the \`watch\` of this state\n`,
    ]);
    expect((await dropwatch("outbox", "list", "--state", state)).out).toMatch(/waits/);
    for (const id of ids) await dropwatch("outbox", "drop", id, "--state", state);
    const empty = await dropwatch("outbox", "list", "--state", state);
    expect([empty.out, empty.log]).toEqual([
      "",
      "dropwatch: all that was to be told has arrived\n",
    ]);
  }, patience);
});

describe("sink test", () => {
  test(
    "shows the request and the answer, without secrets; its exit code says whether it arrived",
    async () => {
      const receiver = new Receiver();
      await receiver.open();
      try {
        await folder.write(
          "dropwatch.config.ts",
          `import { defineConfig } from "dropwatch";
import { webhook } from "dropwatch/sinks";
export default defineConfig({
  sinks: [webhook({ name: "ops", url: { env: "OPS_URL" } })],
});
`,
        );
        process.env.OPS_URL = receiver.url("/hook/s3cret");
        const good = await dropwatch("sink", "test", "ops");
        expect([good.code, good.log]).toEqual([
          0,
          expect.stringMatching(/^dropwatch: ops: delivered: 204 \(\d+ ms\)\n$/),
        ]);
        expect(good.out).toContain("> POST http://127.0.0.1:");
        expect(good.out).toContain("> webhook-id: msg_");
        expect(good.out).toContain("< 204");
        expect(receiver.received[0]!.body).toContain("this is a test of dropwatch");
        receiver.answers(403, {}, "not you, /hook/s3cret");
        const bad = await dropwatch("sink", "test", "ops", "--json");
        expect(bad.code).toBe(1);
        expect(objects(bad.out).at(-1)).toMatchObject({
          type: "outcome",
          data: { sink: "ops", delivered: false },
        });
        for (const text of [good.out, good.log, bad.out, bad.log]) {
          expect(text).not.toContain("s3cret");
        }
        const none = await dropwatch("sink", "test", "opps");
        expect([none.code, none.log.includes("ops")]).toEqual([2, true]);
        const listed = await dropwatch("sink", "list");
        for (const kind of ["stdout", "slack", "email", "heartbeat"]) {
          expect(listed.out).toContain(`\n${kind} `.replace("\nstdout", "stdout"));
        }
      } finally {
        delete process.env.OPS_URL;
        await receiver.close();
      }
    },
    patience,
  );
});

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { AlertMessage } from "../../core/alert/alert.ts";
import type { AlertSink, DeliveryError } from "../../core/alert/sink.ts";
import { alertOf, hostileNames, rawControl } from "../../test/alert.ts";
import { sinkContract } from "../../test/contract/sink.ts";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { randomFrom } from "../../test/random.ts";
import { sinkOf } from "../../test/sink.ts";
import { file } from "./file.ts";
import type { FileOptions } from "./file.ts";

const context = { id: "msg_1", signal: new AbortController().signal };
const resolved = "2026-01-02T03:09:05.000Z";

const under = (format: "json" | "text") => async () => {
  const folder = await makeFolder();
  const path = folder.file("alerts");
  return {
    sink: sinkOf(file({ path, format, maxSize: "1G" })),
    received: () => {
      const text = existsSync(path) ? readFileSync(path, "utf8") : "";
      // An alert for people begins with its day, and its other lines with spaces.
      return text.split(format === "json" ? /(?<=\n)/ : /(?<=\n)(?=\d{4}-)/)
        .filter((each) => each !== "");
    },
    close: () => folder.remove(),
  };
};

sinkContract("file in JSON", { setUp: under("json"), read: (text) => JSON.parse(text) });
sinkContract("file for people", { setUp: under("text") });

let folder: Folder;
let path = "";

beforeEach(async () => {
  folder = await makeFolder();
  path = folder.file("alerts");
});

afterEach(() => folder.remove());

const sinkTo = (options: Partial<FileOptions> = {}, log: (line: string) => void = () => {}) =>
  sinkOf<AlertSink>(file({ path, ...options }), { log });

const lines = async (file = path): Promise<AlertMessage[]> =>
  (await readFile(file, "utf8")).trimEnd().split("\n").map((line) => JSON.parse(line));

/** The names of the alerts in a file. */
const namesIn = async (file = path): Promise<string[]> =>
  (await lines(file)).map(({ data }) => data.alert);

const failure = async (sink: AlertSink, signal = context.signal): Promise<DeliveryError> => {
  try {
    await sink.send(alertOf(), { ...context, signal });
  } catch (thrown) {
    return thrown as DeliveryError;
  }
  throw new Error("it was delivered");
};

describe("the file", () => {
  test("is made where there is none, for nobody else to read", async () => {
    await sinkTo().send(alertOf(), context);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test("keeps what is in it, and the mode it has", async () => {
    await writeFile(path, "of before\n");
    await chmod(path, 0o640);
    await sinkTo().send(alertOf(), context);
    expect(await readFile(path, "utf8")).toMatch(/^of before\n\{.*\}\n$/);
    expect((await stat(path)).mode & 0o777).toBe(0o640);
  });

  test("may be moved away at any time: the next alert is in a new one", async () => {
    const sink = sinkTo();
    await sink.send(alertOf({ alert: "First" }), context);
    await rename(path, `${path}.moved`);
    await sink.send(alertOf({ alert: "Second" }), context);
    expect([await namesIn(`${path}.moved`), await namesIn()]).toEqual([["First"], ["Second"]]);
  });

  test("may be cut to nothing: the next alert is at its beginning", async () => {
    const sink = sinkTo();
    await sink.send(alertOf({ alert: "First" }), context);
    await writeFile(path, "");
    await sink.send(alertOf({ alert: "Second" }), context);
    expect(await namesIn()).toEqual(["Second"]);
  });

  test("is told by a word, in JSON", async () => {
    await sinkOf<AlertSink>(`file=${path}`).send(alertOf(), context);
    expect(await lines()).toEqual([JSON.parse(JSON.stringify(alertOf()))]);
    expect(() => sinkOf("file")).toThrow("it needs a path: file=PATH");
  });

  test("for people tells the day", async () => {
    const sink = sinkTo({ format: "text" });
    await sink.send(alertOf(), context);
    await sink.send(alertOf({ endsAt: resolved }), context);
    const text = await readFile(path, "utf8");
    expect(text).toMatch(/^2026-01-02T03:04:05 FIRING {3}SocketFilterDrops warning/);
    expect(text).toMatch(/^2026-01-02T03:09:05 RESOLVED SocketFilterDrops warning/m);
  });
});

describe("a file that is too large", () => {
  const length = Buffer.byteLength(`${JSON.stringify(alertOf({ alert: "A1" }))}\n`);
  const sendAll = async (sink: AlertSink, count: number): Promise<void> => {
    for (let i = 1; i <= count; i++) await sink.send(alertOf({ alert: `A${i}` }), context);
  };

  test("is moved, and so many old ones are kept", async () => {
    await sendAll(sinkTo({ maxSize: String(2 * length), keep: 2 }), 9);
    expect(await namesIn()).toEqual(["A9"]);
    expect(await namesIn(`${path}.1`)).toEqual(["A7", "A8"]);
    expect(await namesIn(`${path}.2`)).toEqual(["A5", "A6"]);
    expect(existsSync(`${path}.3`)).toBe(false);
  });

  test("is moved by one who finds it so", async () => {
    await sendAll(sinkTo(), 2);
    await sinkTo({ maxSize: "1k" }).send(alertOf({ alert: "A3" }), context);
    expect([await namesIn(`${path}.1`), await namesIn()]).toEqual([["A1", "A2"], ["A3"]]);
  });

  test("goes where no old ones are kept", async () => {
    await sendAll(sinkTo({ maxSize: String(length), keep: 0 }), 3);
    expect(await namesIn()).toEqual(["A3"]);
    expect(existsSync(`${path}.1`)).toBe(false);
  });

  test("is written to where it can't be moved, and that is said once", async () => {
    await mkdir(`${path}.1`);
    await writeFile(`${path}.1/in the way`, "");
    const said: string[] = [];
    await sendAll(sinkTo({ maxSize: "1k", keep: 1 }, (line) => said.push(line)), 5);
    expect(await namesIn()).toEqual(["A1", "A2", "A3", "A4", "A5"]);
    expect(said).toHaveLength(1);
    expect(said[0]).toContain(`${path} is too large and can't be moved`);
  });

  test("takes an alert that is larger still, alone", async () => {
    const sink = sinkTo({ maxSize: "1k" });
    const long = "x".repeat(5000);
    for (let i = 0; i < 2; i++) {
      await sink.send(alertOf({ labels: { comm: `${i}${long}` } }), context);
    }
    expect((await lines()).map(({ data }) => data.labels.comm)).toEqual([`1${long}`]);
    expect((await lines(`${path}.1`)).map(({ data }) => data.labels.comm)).toEqual([`0${long}`]);
  });

  test("is moved once for those that come at the same time", async () => {
    const sink = sinkTo({ maxSize: String(4 * length), keep: 9 });
    await Promise.all(
      Array.from({ length: 9 }, (_, i) => sink.send(alertOf({ alert: `A${i}` }), context)),
    );
    expect(await namesIn(`${path}.2`)).toEqual(["A0", "A1", "A2", "A3"]);
    expect(await namesIn(`${path}.1`)).toEqual(["A4", "A5", "A6", "A7"]);
    expect(await namesIn()).toEqual(["A8"]);
  });
});

describe("an alert that can't be written", () => {
  test("is one to try again, and the error says where and why", async () => {
    for (const bad of [folder.file("none/alerts"), folder.path]) {
      const { name, final, message } = await failure(sinkTo({ path: bad }));
      expect([name, final]).toEqual(["DeliveryError", false]);
      expect(message.startsWith(`can't write to ${bad}: `)).toBe(true);
    }
  });

  test("is written when the folder is there", async () => {
    const sink = sinkTo({ path: folder.file("none/alerts") });
    await failure(sink);
    await mkdir(folder.file("none"));
    await sink.send(alertOf(), context);
    expect(await lines(folder.file("none/alerts"))).toHaveLength(1);
  });

  test("is refused by what is no regular file, without waiting for its other end", async () => {
    expect(spawnSync("mkfifo", [path]).status).toBe(0);
    for (const bad of [path, "/dev/full"]) {
      const { final, message } = await failure(sinkTo({ path: bad }));
      expect([final, message]).toEqual([false, `can't write to ${bad}: it is no regular file`]);
    }
  });

  test("isn't written any more when the time is over", async () => {
    const { name, final } = await failure(sinkTo(), AbortSignal.abort());
    expect([name, final]).toEqual(["DeliveryError", false]);
    expect(existsSync(path)).toBe(false);
  });

  test("leaves the next one as it is after half a line, whoever left that", async () => {
    await writeFile(path, '{"type":"alert.fir');
    await sinkTo().send(alertOf({ alert: "Whole" }), context);
    const [half, whole, ...rest] = (await readFile(path, "utf8")).split("\n");
    expect([half, JSON.parse(whole!).data.alert, rest]).toEqual([
      '{"type":"alert.fir',
      "Whole",
      [""],
    ]);
  });

  test("leaves no half line behind when the room ends, and is told", async () => {
    // The limit of a process (RLIMIT_FSIZE) ends a write in its middle, as a full disk does.
    const root = fileURLToPath(new URL("../..", import.meta.url));
    await folder.write(
      "fill.ts",
      `import { fileSink } from ${JSON.stringify(`${root}plugins/sinks/file.ts`)};
       const sink = fileSink({ path: ${JSON.stringify(path)} }, { name: "file", log() {} });
       const signal = new AbortController().signal;
       const messages = [];
       for (let i = 0; i < 40; i++) {
         const alert = { type: "alert.firing", data: { alert: "A" + i, text: "x".repeat(300) } };
         try {
           await sink.send(alert, { id: "1", signal });
         } catch (thrown) {
           messages.push([thrown.final, thrown.message]);
         }
       }
       console.log(JSON.stringify(messages));`,
    );
    const runtime = "Deno" in globalThis
      ? ["run", "--allow-all", "--no-check", "--config", `${root}deno.json`]
      : [];
    const { stdout, stderr } = spawnSync(
      "sh",
      ["-c", `trap "" XFSZ; ulimit -f 8; exec "$@"`, "sh", process.execPath, ...runtime]
        .concat(folder.file("fill.ts")),
      { cwd: root, encoding: "utf8" },
    );
    expect(stderr).toBe("");
    const messages = JSON.parse(stdout) as [boolean, string][];
    expect(messages.length).toBeGreaterThan(20);
    for (const [final, message] of messages) {
      expect(final).toBe(false);
      expect(message).toMatch(
        /^can't write to \S+: (only \d+ of \d+ bytes had room|EFBIG.*|File too large.*)$/,
      );
    }
    const kept = await namesIn();
    expect(kept).toEqual(kept.map((_, i) => `A${i}`));
    expect(kept.length).toBe(40 - messages.length);
    // There is room again: nothing of those that failed is in its way.
    await sinkTo().send(alertOf({ alert: "Next" }), context);
    expect(await namesIn()).toEqual([...kept, "Next"]);
  });
});

test("whatever is in an alert, it is one line of JSON that says the same", async () => {
  const random = randomFrom(7);
  const sink = sinkTo();
  const sent: AlertMessage[] = [];
  for (let i = 0; i < 200; i++) {
    const comm = Array.from(
      { length: random.int(1, 20) },
      () => String.fromCharCode(random.chance(0.5) ? random.int(0, 160) : random.int(0, 65_535)),
    ).join("") + random.pick(hostileNames);
    const alert = alertOf({ labels: { comm }, annotations: { summary: comm, [comm]: comm } });
    sent.push(alert);
    await sink.send(alert, context);
  }
  const text = await readFile(path, "utf8");
  for (const line of text.trimEnd().split("\n")) expect(line).not.toMatch(rawControl);
  expect(await lines()).toEqual(sent);
});

test("options that can't be are told", () => {
  for (
    const [options, expected] of [
      [{ path: "" }, "its path can't be used: expected a path"],
      [{ path: "a\0b" }, "its path can't be used: expected a path"],
      [{ maxSize: "10 MB" }, `its maxSize can't be used: expected a size like "10M"`],
      [{ maxSize: "0" }, `its maxSize can't be used: expected a size like "10M"`],
      [{ keep: -1 }, "its keep can't be used: expected a number from 0 to 100"],
      [{ keep: 1.5 }, "its keep can't be used: expected a whole number"],
      [{ format: "xml" }, `its format can't be used: expected "json" or "text"`],
    ] as const
  ) {
    expect(() => sinkTo(options as Partial<FileOptions>)).toThrow(expected);
  }
});

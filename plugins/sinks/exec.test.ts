import { readFileSync } from "node:fs";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { DeliveryError, GroupSink } from "../../core/alert/sink.ts";
import { alertOf, hostileNames, rawControl } from "../../test/alert.ts";
import { sinkContract } from "../../test/contract/sink.ts";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { randomFrom } from "../../test/random.ts";
import { notificationOf, sinkOf } from "../../test/sink.ts";
import { exec } from "./exec.ts";
import type { ExecOptions } from "./exec.ts";
import type { SinkSetting } from "./registry.ts";

const context = { id: "msg_1", signal: new AbortController().signal };
const env = { PATH: process.env.PATH };

sinkContract("exec", {
  async setUp() {
    const folder = await makeFolder({ out: "" });
    const out = folder.file("out");
    return {
      sink: sinkOf(exec({ command: ["sh", "-c", `cat >> "$1"`, "sh", out] }), { env }),
      received: () => readFileSync(out, "utf8").split("\n").filter((line) => line !== ""),
      close: () => folder.remove(),
    };
  },
  read: (text) => JSON.parse(text),
});

let folder: Folder;

beforeEach(async () => {
  folder = await makeFolder();
});

afterEach(() => folder.remove());

/** A sink that runs a script of sh in the test's folder, whose path is its first argument. */
const script = (
  text: string,
  options: Partial<ExecOptions> = {},
  setting: Partial<SinkSetting> = {},
): GroupSink =>
  sinkOf<GroupSink>(exec({ command: ["sh", "-c", text, "sh", folder.path], ...options }), {
    env,
    ...setting,
  });

const notification = notificationOf([alertOf()]);

async function failure(sink: GroupSink, signal = context.signal): Promise<DeliveryError> {
  try {
    await sink.notify(notification, { ...context, signal });
  } catch (thrown) {
    return thrown as DeliveryError;
  }
  throw new Error("it was delivered");
}

/** Settles when a file is there that holds something. */
async function written(name: string): Promise<string> {
  for (;;) {
    const text = await readFile(folder.file(name), "utf8").catch(() => "");
    if (text !== "") return text;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const isRunning = (pid: string): boolean => {
  try {
    // One that has ended and nobody waits for is no longer running.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid.trim()}/status`, "utf8"));
  } catch {
    return false;
  }
};

/** Settles when a process is gone; fails by the test's time. */
async function gone(pid: string): Promise<void> {
  while (isRunning(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("the program", () => {
  test("gets the alert on its standard input, and what matters in variables", async () => {
    await script(`cat > "$1/in"; env > "$1/env"`).notify(notification, context);
    const { type, data } = JSON.parse(await readFile(folder.file("in"), "utf8"));
    expect([type, data.labels.ownerInode]).toEqual(["alert.firing", "4711"]);
    const lines = (await readFile(folder.file("env"), "utf8")).split("\n");
    for (
      const line of [
        "DROPWATCH_ID=msg_1",
        "DROPWATCH_STATUS=firing",
        "DROPWATCH_REASON=first notification",
        "DROPWATCH_ALERT=SocketFilterDrops",
        "DROPWATCH_SEVERITY=warning",
        "DROPWATCH_SUMMARY=a socket refuses packets",
        "DROPWATCH_TITLE=FIRING SocketFilterDrops: a socket refuses packets",
        `DROPWATCH_GROUP_KEY={}:{alertname="SocketFilterDrops"}`,
        `DROPWATCH_FINGERPRINT=${alertOf().data.fingerprint}`,
        "DROPWATCH_FIRING=1",
        "DROPWATCH_RESOLVED=0",
        "DROPWATCH_TEXT=FIRING SocketFilterDrops: a socket refuses packets",
        "ownerInode 4711, value 250.5, peak 300, drops 12,345, since 2026-01-02 03:04:05 UTC",
      ]
    ) {
      expect(lines).toContain(line);
    }
  });

  test("inherits PATH, HOME and LANG, what it is to have, and nothing else", async () => {
    const setting = { env: { ...env, HOME: "/h", LANG: "C", TOKEN: "s3cret", OTHER: "hidden" } };
    await script(`env > "$1/env"`, { env: ["TOKEN"] }, setting).notify(notification, context);
    const names = (await readFile(folder.file("env"), "utf8")).matchAll(/^([A-Z]+)=/gm);
    // The shell makes PWD and its like.
    const inherited = [...names].map(([, name]) => name).filter((name) =>
      !["PWD", "SHLVL", "OLDPWD"].includes(name!)
    );
    expect(inherited.sort()).toEqual(["HOME", "LANG", "PATH", "TOKEN"]);
  });

  test("may leave its input unread, however long that is", async () => {
    const long = notificationOf([alertOf({ labels: { comm: "x".repeat(500_000) } })]);
    await script("exec <&-; exit 0").notify(long, context);
    await script("exit 0").notify(long, context);
  });

  test("that is run by its path alone is told by a word", async () => {
    const path = folder.file("a program; exit 3");
    await writeFile(path, `#!/bin/sh\nprintf %s "$#" > "${folder.path}/count"\n`);
    await chmod(path, 0o700);
    await sinkOf<GroupSink>(`exec=${path}`, { env }).notify(notification, context);
    expect(await readFile(folder.file("count"), "utf8")).toBe("0");
    expect(() => sinkOf("exec")).toThrow("it needs a program: exec=PROGRAM");
  });

  test("may leave a child behind that holds its output open", async () => {
    await script(`sleep 600 & echo $! > "$1/pid"`).notify(notification, context);
    const pid = await written("pid");
    expect(isRunning(pid)).toBe(true);
    process.kill(Number(pid));
  });
});

describe("what a stranger chose", () => {
  test("is never an argument, a variable's name, or a line of a variable", async () => {
    const random = randomFrom(3);
    const pieces = [..."$`'\"\\;|&<>(){}*?! =\n\r\0\ud800", "$(id)", "() { :;};", ...hostileNames];
    const sink = script(
      `printf '%s\\0' "$#" "$@" > "$1/args"; tr '\\0' '\\1' < /proc/$$/environ > "$1/env"; cat > "$1/in"`,
    );
    for (let i = 0; i < 25; i++) {
      const comm = Array.from({ length: random.int(1, 30) }, () => random.pick(pieces)).join("");
      const alert = alertOf({
        alert: comm,
        labels: { comm, [comm]: comm },
        annotations: { summary: comm, description: comm },
      });
      await sink.notify(notificationOf([alert], { groupKey: comm }), context);
      expect(await readFile(folder.file("args"), "utf8")).toBe(`1\0${folder.path}\0`);
      const variables = (await readFile(folder.file("env"), "utf8")).split("\x01").slice(0, -1);
      expect(variables.map((each) => each.split("=")[0]).sort()).toEqual(
        [
          ...["ALERT", "FINGERPRINT", "FIRING", "GROUP_KEY", "ID", "REASON", "RESOLVED"],
          ...["SEVERITY", "STATUS", "SUMMARY", "TEXT", "TITLE"],
        ].map((name) => `DROPWATCH_${name}`).concat("PATH").sort(),
      );
      for (const each of variables) {
        const lines = each.split("\n");
        for (const line of lines) expect(line).not.toMatch(rawControl);
        if (!each.startsWith("DROPWATCH_TEXT=")) expect(lines).toHaveLength(1);
      }
      const { data } = JSON.parse(await readFile(folder.file("in"), "utf8"));
      expect(data.labels.comm).toBe(comm);
    }
  }, 20_000);

  test("fits into an environment, however long it is", async () => {
    const long = "\u202e".repeat(5000);
    const alerts = Array.from(
      { length: 50 },
      (_, i) => alertOf({ alert: `A${i}${long}`, annotations: { summary: long } }),
    );
    await script(`cat > "$1/in"; printf %s "$DROPWATCH_TEXT" > "$1/text"`)
      .notify(notificationOf(alerts, { groupKey: long }), context);
    expect((await readFile(folder.file("in"))).length).toBeLessThanOrEqual(1024 * 1024);
    expect(await readFile(folder.file("text"), "utf8")).toMatch(/…$/);
  }, 20_000);
});

describe("the exit code", () => {
  test("0 is delivered, 75 is one to try again, all others are final", async () => {
    expect(await script("exit 0").notify(notification, context)).toEqual({
      answer: "exited with 0",
    });
    for (const code of [1, 2, 64, 75, 76, 126, 127, 255]) {
      const { name, final, gone, message } = await failure(script(`exit ${code}`));
      expect([name, final, gone, message])
        .toEqual(["DeliveryError", code !== 75, false, `exited with ${code}`]);
    }
  });

  test("of one that was killed is none: it is one to try again", async () => {
    const { final, message } = await failure(script("kill -SEGV $$"));
    expect([final, message]).toEqual([false, "was killed by SIGSEGV"]);
  });

  test("comes with what the program said, its beginning, safe to print", async () => {
    const { message } = await failure(script(`printf '\\033[2J bad\\nthings'; exit 1`));
    expect(message).toBe("exited with 1: \\x1b[2J bad\\x0athings");
    const long = await failure(script("head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 1"));
    expect(long.message).toMatch(/^exited with 1: x{150,}$/);
    expect(long.message.length).toBeLessThan(300);
  });

  test("comes without secrets", async () => {
    const traced: string[] = [];
    const sink = script(`echo "no: $TOKEN"; exit 1`, { env: ["TOKEN"] }, {
      env: { ...env, TOKEN: "s3cret" },
      trace: (_, lines) => traced.push(lines),
    });
    expect((await failure(sink)).message).toBe("exited with 1: no: •••");
    expect(traced.join()).not.toContain("s3cret");
    expect(traced.join()).toContain("DROPWATCH_STATUS=firing");
  });

  test("of a program that isn't there, or can't be run, is none: it is one to try again", async () => {
    await writeFile(folder.file("text"), "x");
    for (const program of [folder.file("none"), folder.file("text"), folder.path]) {
      const sink = sinkOf<GroupSink>(exec({ command: [program] }), { env });
      const { name, final, message } = await failure(sink);
      expect([name, final]).toEqual(["DeliveryError", false]);
      expect(message).toContain(`can't run "${program}": `);
    }
  });
});

describe("a program that takes too long", () => {
  test("is ended with all its children", async () => {
    const ending = new AbortController();
    const failing = failure(
      script(`sleep 600 & echo $! > "$1/child"; echo $$ > "$1/pid"; wait`),
      ending.signal,
    );
    const pids = [await written("pid"), await written("child")];
    expect(pids.map(isRunning)).toEqual([true, true]);
    ending.abort();
    const { name, final, message } = await failing;
    expect([name, final, message])
      .toEqual(["DeliveryError", false, `"sh" took too long and was ended`]);
    await Promise.all(pids.map(gone));
  });

  test("is killed where it doesn't obey, and so are children that don't", async () => {
    const ending = new AbortController();
    const failing = failure(
      script(
        `trap "" TERM; sh -c 'echo $$ > "$1/child"; while :; do sleep 1; done' sh "$1" & ` +
          `echo $$ > "$1/pid"; while :; do sleep 1; done`,
      ),
      ending.signal,
    );
    const pids = [await written("pid"), await written("child")];
    ending.abort();
    expect((await failing).final).toBe(false);
    await Promise.all(pids.map(gone));
  });

  test("isn't started when the time is over", async () => {
    const error = await failure(script(`touch "$1/started"`), AbortSignal.abort());
    expect(error.message).toBe("too late: nothing was run");
    expect(await readFile(folder.file("started")).catch(() => "none")).toBe("none");
  });

  test("has 20 seconds, or as many as it is given", () => {
    expect(script("").timeout).toBe(20_000);
    expect(script("", { timeout: "2m" }).timeout).toBe(120_000);
    expect(() => script("", { timeout: "soon" as "1s" })).toThrow("soon");
  });
});

test("options that can't be are told", () => {
  for (
    const [options, expected] of [
      [{ command: [] }, "expected a program, and its arguments"],
      [{ command: [""] }, "expected a program, and its arguments"],
      [{ command: "ls -l" }, "its command can't be used: expected a list"],
      [{ command: ["ls", "a\0b"] }, "expected a text without NUL"],
      [{ env: ["A=B"] }, "expected names of variables"],
      [{ env: ["NOT_THERE"] }, `its env names "NOT_THERE": there is no such variable`],
    ] as const
  ) {
    expect(() => script("", options as unknown as Partial<ExecOptions>)).toThrow(expected);
  }
});

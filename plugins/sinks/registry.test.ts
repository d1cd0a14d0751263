// How sinks are made of words and configs: their options, names, texts and secrets.
import { describe, expect, test } from "bun:test";
import { alertOf } from "../../test/alert.ts";
import { makeFolder } from "../../test/folder.ts";
import { Receiver } from "../../test/receiver.ts";
import { notificationOf, testSetting } from "../../test/sink.ts";
import type { GroupSink } from "../../core/alert/sink.ts";
import { DropwatchError } from "../../core/error.ts";
import type { SinkSpec } from "./kind.ts";
import { describeSink, distinctNames, makeSink, makeSinkOf, sinkMakers } from "./registry.ts";
import type { SinkSetting } from "./registry.ts";
import { slack } from "./slack.ts";
import { stdout } from "./stdout.ts";
import { webhook } from "./webhook.ts";

const context = { id: "msg_1", signal: new AbortController().signal };
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

function mistake(make: () => unknown): [code: string, message: string] {
  try {
    make();
  } catch (thrown) {
    if (thrown instanceof DropwatchError) return [thrown.code, thrown.message];
    throw thrown;
  }
  throw new Error("it was made");
}

describe("a sink of a config", () => {
  const make = (spec: SinkSpec, setting: Partial<SinkSetting> = {}) =>
    makeSinkOf(spec, { ...testSetting, ...setting });

  test("has the name of its kind, or its own", () => {
    expect(make(webhook({ url: "http://x.example/" })).name).toBe("webhook");
    expect(make(webhook({ name: "ops", url: "http://x.example/" })).name).toBe("ops");
  });

  test("with an option that there isn't is an error with the nearest", () => {
    expect(mistake(() => make(webhook({ ulr: "http://x.example/" } as never)))).toEqual([
      "UNKNOWN_SINK_OPTION",
      `Cannot set up the sink webhook: it has no option "ulr"; nearest: url`,
    ]);
  });

  test("with an option that can't be used says which, and never shows the value", () => {
    const [code, message] = mistake(() => make(webhook({ url: { evn: "s3cret" } } as never)));
    expect(code).toBe("BAD_SINK_OPTION");
    expect(message).toMatch(/its url.* expected \{ env: "NAME" \}, \{ file: "PATH" \} or a text/);
    expect(message).not.toContain("s3cret");
    for (const name of ["", "a b", "1st", "x".repeat(65)]) {
      expect(mistake(() => make(webhook({ name, url: "http://x.example/" })))[0])
        .toBe("BAD_SINK_OPTION");
    }
  });

  test("without an option that it needs says so", () => {
    expect(mistake(() => make(webhook({} as never)))[1]).toContain("its url is missing");
  });

  test("of no kind is an error with those that there are", () => {
    const [code, message] = mistake(() => make({ kind: "slak", options: {} }));
    expect(code).toBe("UNKNOWN_SINK");
    expect(message).toContain("slack");
  });

  test("is sent as much as its kind takes, or as the config says", () => {
    const url = { env: "URL" };
    const env = { URL: "https://hooks.example.org/services/T0/B0/xyz" };
    expect(make(slack({ url }), { env }).rate).toEqual({ perSecond: 1, burst: expect.any(Number) });
    const rate = { perSecond: 0.1, burst: 2 };
    expect(make(slack({ url, rate }), { env }).rate).toEqual(rate);
  });
});

describe("a secret", () => {
  const made = (options: object, setting: Partial<SinkSetting>): string[] => {
    const said: string[] = [];
    makeSinkOf({ kind: "webhook", options: { url: "http://x.example/", ...options } }, {
      ...testSetting,
      inTheClear: (option, name) => said.push(`${option} of ${name}`),
      ...setting,
    });
    return said;
  };

  test("comes from the environment or a file, without the end of its line", async () => {
    const folder = await makeFolder({ key: `${secret}\n` });
    try {
      expect(made({ secret: { env: "KEY" } }, { env: { KEY: `${secret}\n` } })).toEqual([]);
      expect(made({ secret: { file: folder.file("key") } }, {})).toEqual([]);
      await folder.write("empty", "\n");
      expect(mistake(() => made({ secret: { file: folder.file("empty") } }, {}))[1])
        .toContain("the file is empty");
      expect(mistake(() => made({ secret: { file: folder.file("none") } }, {}))[1])
        .toMatch(/its secret can't be read: .*ENOENT|no such file/);
    } finally {
      await folder.remove();
    }
  });

  test("that isn't there names the variable", () => {
    expect(mistake(() => made({ secret: { env: "KEY" } }, { env: { KEY: "" } }))).toEqual([
      "BAD_SINK_OPTION",
      `Cannot set up the sink webhook: its secret is to be in "KEY": no such variable`,
    ]);
  });

  test("in the clear is warned about in a config, not on the command line", () => {
    expect(made({ secret }, {})).toEqual(["secret of webhook"]);
    const quiet: string[] = [];
    makeSink("slack=https://hooks.example.org/services/T0/B0/xyz", {
      ...testSetting,
      inTheClear: (option) => quiet.push(option),
    });
    expect(quiet).toEqual([]);
  });

  test("is in no trace, no error and no log, in whatever form", async () => {
    const receiver = new Receiver();
    await receiver.open();
    try {
      const token = 'tok"en/+ü s3cret';
      const url = `${receiver.url("/services/T0/B0/")}${encodeURIComponent(token)}`;
      const lines: string[] = [];
      const sink = makeSinkOf(slack({ url: { env: "URL" } }), {
        ...testSetting,
        env: { URL: url },
        log: (line) => lines.push(line),
        trace: (_, line) => lines.push(line),
      }) as GroupSink;
      receiver.answer = (request, response) =>
        void response.writeHead(404).end(`no ${request.url} and ${url}`);
      const error = await sink.notify(notificationOf([alertOf()]), context)
        .catch((thrown) => String(thrown));
      expect(lines.length).toBeGreaterThan(1);
      for (const line of [...lines, String(error)]) {
        expect(line).not.toMatch(/s3cret|tok%22en|tok"en/);
      }
    } finally {
      await receiver.close();
    }
  });
});

describe("a text of the config", () => {
  const said: string[] = [];
  const bodyOf = async (text: unknown): Promise<string> => {
    const receiver = new Receiver();
    receiver.answers(200, {}, "ok");
    await receiver.open();
    said.length = 0;
    try {
      const sink = makeSinkOf(
        slack({ url: { env: "URL" }, text: text as never }),
        { ...testSetting, env: { URL: receiver.url() }, log: (line) => said.push(line) },
      ) as GroupSink;
      await sink.notify(notificationOf([alertOf()]), context);
      return receiver.received[0]!.body;
    } finally {
      await receiver.close();
    }
  };

  test("takes the place of the default one, and is escaped as that is", async () => {
    const body = await bodyOf(() => "own <!channel> & title\nown body");
    expect(JSON.parse(body).text).toBe("own &lt;!channel&gt; &amp; title");
    expect(body).toContain("own body");
    expect(body).not.toContain("a socket refuses packets");
    expect(said).toEqual([]);
  });

  test("that fails, or is none, leaves the default one, and that is said", async () => {
    const failing = () => {
      throw new Error("oh\nno");
    };
    for (const text of [failing, () => 42, () => ({ body: "x" }), () => undefined]) {
      expect(await bodyOf(text)).toContain("a socket refuses packets");
      expect(said).toHaveLength(1);
      expect(said[0]).toMatch(
        /^slack: the text of the config failed \(.*\): the default one is sent$/,
      );
    }
  });
});

test("names are made distinct, whatever they were", () => {
  expect(distinctNames(["a", "b", "a", "a-2", "a"])).toEqual(["a", "b", "a-3", "a-2", "a-4"]);
});

test("what a sink is can be told without making it, and is what it is when it is made", () => {
  const env = {
    URL: "https://hooks.example.org/services/T0/B0/xyz",
    KEY: "0123456789abcdef0123456789abcdef",
  };
  for (
    const word of ["stdout", "webhook=http://x.example/", "file=/tmp/x", "loki=http://x.example"]
  ) {
    const { name, sort } = describeSink(word);
    const sink = makeSink(word, { ...testSetting, env });
    expect([name, sort]).toEqual([sink.name, "send" in sink ? "changes" : "groups"]);
  }
  expect(describeSink(stdout({})).sort).toBe("changes");
  expect(describeSink({ name: "own", beat: () => Promise.resolve(), every: 1 }).sort)
    .toBe("heartbeat");
  expect(new Set(Object.values(sinkMakers).map(({ of }) => of.sort)))
    .toEqual(new Set(["changes", "groups", "mirror", "heartbeat"]));
});

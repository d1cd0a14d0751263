import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { AlertData } from "../../core/alert/alert.ts";
import type { Notification, Rates } from "../../core/alert/notification.ts";
import type { Delivered, DeliveryError, GroupSink } from "../../core/alert/sink.ts";
import { alertOf } from "../../test/alert.ts";
import { httpSinkContract, sinkContract } from "../../test/contract/sink.ts";
import { hostileAlerts, longAlerts } from "../../test/hostile.ts";
import { readPng } from "../../test/png.ts";
import { randomFrom } from "../../test/random.ts";
import { Slack } from "../../test/services/slack.ts";
import type { SlackMessage } from "../../test/services/slack.ts";
import { notificationOf, sinkOf } from "../../test/sink.ts";
import type { SinkSetting } from "./registry.ts";
import { slack } from "./slack.ts";
import type { SlackOptions } from "./slack.ts";

httpSinkContract("slack", {
  make: (url) => sinkOf(`slack=${url}`),
  readsAnswer: true,
});

sinkContract("slack as a bot", {
  async setUp() {
    const service = new Slack();
    await service.open();
    return {
      sink: sinkOf(slack({ token: service.token, channel: "#drops", api: service.api })),
      received: () => service.calls.map(({ text }) => text),
      async close() {
        await service.close();
        expect(service.refused).toEqual([]);
      },
    };
  },
});

let service: Slack;
beforeEach(async () => {
  service = new Slack();
  await service.open();
});
afterEach(() => service.close());

const context = { id: "msg_1", signal: new AbortController().signal };
const endsAt = "2026-01-02T03:09:05.000Z";

const hook = (setting: Partial<SinkSetting> = {}): GroupSink =>
  sinkOf<GroupSink>(`slack=${service.url()}`, setting);
const bot = (options: Partial<SlackOptions> = {}, setting: Partial<SinkSetting> = {}): GroupSink =>
  sinkOf<GroupSink>(
    slack({ token: service.token, channel: "#drops", api: service.api, ...options }),
    setting,
  );
const failure = async (sending: Promise<unknown>): Promise<DeliveryError> => {
  try {
    await sending;
  } catch (thrown) {
    return thrown as DeliveryError;
  }
  throw new Error("it was delivered");
};

// deno-lint-ignore no-explicit-any
const shown = (message: any): any[] => [
  ...message.blocks,
  // deno-lint-ignore no-explicit-any
  ...(message.attachments ?? []).flatMap((each: any) => each.blocks),
];
/** All text objects of a message, as Slack reads them. */
const textsOf = (message: unknown): { type: string; text: string; emoji?: boolean }[] =>
  shown(message).flatMap(({ text, fields = [], elements = [] }) => [
    ...(text === undefined ? [] : [text]),
    ...fields,
    ...elements,
  ]);
const colourOf = ({ body }: SlackMessage): unknown =>
  (body["attachments"] as { color: string }[])[0]!.color;

const whole = alertOf({
  severity: "critical",
  annotations: {
    summary: "nginx refuses packets",
    description: "The filter of its socket says no.",
    runbook: "https://runbooks.example/a?b=1&c=2|d",
  },
  labels: { owner: "nginx" },
  evidence: { kept: 3, site: "sk_filter_trim_cap", source: "https://git.example/f.c#n1" },
} as Partial<AlertData>);
const of = (parts: Partial<Notification> = {}): Notification =>
  notificationOf([whole], { externalURL: "https://drops.example/", ...parts });

describe("a message", () => {
  test("tells what, how bad, since when, where and what to do, in that order", async () => {
    await hook().notify(of(), context);
    const { body } = service.calls[0]!;
    expect(body["text"]).toBe("FIRING SocketFilterDrops: nginx refuses packets");
    expect(shown(body)[0]).toEqual({
      type: "header",
      text: {
        type: "plain_text",
        text: "FIRING SocketFilterDrops: nginx refuses packets",
        emoji: false,
      },
    });
    expect(textsOf(body).map(({ text }) => text.replace("\n", "=")).slice(1)).toEqual([
      "value=250.5",
      "peak=300",
      "drops=12,345",
      "since=2026-01-02 03:04:05 UTC",
      "ownerInode=4711",
      "owner=nginx",
      "The filter of its socket says no.=in sk_filter_trim_cap",
      "<https://runbooks.example/a?b=1&amp;c=2%7Cd|runbook>   <https://git.example/f.c#n1|kernel source>",
      "<https://drops.example/|dashboard>",
    ]);
    expect(service.refused).toEqual([]);
  });

  test("has a bar in the colour of the severity, and a green one when it is over", async () => {
    const colours: unknown[] = [];
    for (
      const parts of [{ severity: "critical" }, { severity: "warning" }, { severity: "info" }, {
        endsAt,
      }]
    ) {
      const alert = alertOf(parts as Partial<AlertData>);
      await hook().notify(notificationOf([alert]), context);
      const [{ color }] = service.calls.at(-1)!.body["attachments"] as [{ color: string }];
      colours.push(color);
    }
    expect(colours).toEqual(["#d32f2f", "#f2a900", "#2f7ed8", "#2eb67d"]);
  });

  test("tells how long it lasted when it is over, and no longer what to do", async () => {
    const over = alertOf({ ...whole.data, status: "resolved", endsAt });
    await hook().notify(notificationOf([over]), context);
    const texts = textsOf(service.calls[0]!.body).map(({ text }) => text);
    expect(texts[0]).toBe("RESOLVED SocketFilterDrops: nginx refuses packets");
    expect(texts).toContain("lasted\n5m");
    expect(texts.join()).not.toMatch(/runbook|sk_filter/);
  });

  test("tells some of many alerts in a few words, and how many are left", async () => {
    const alerts = Array.from({ length: 120 }, (_, i) => alertOf({ labels: { comm: `w${i}` } }));
    await hook().notify(notificationOf(alerts), context);
    const texts = textsOf(service.calls[0]!.body).map(({ text }) => text);
    expect(texts.filter((text) => text.startsWith("warning: a socket refuses"))).toHaveLength(9);
    expect(texts.at(-1)).toBe("and 110 more alerts: 120 firing, 0 resolved in all");
    expect(service.refused).toEqual([]);
  });

  test("is what the config says, where it says something", async () => {
    for (
      const [text, texts] of [
        [() => "one *line* <!here>", ["one *line* <!here>", "firing, warning"]],
        [() => ({ title: "two", body: "lines\nof it" }), ["two", "lines\nof it"]],
        [() => "", ["(blank)", "firing, warning"]],
      ] as const
    ) {
      await sinkOf<GroupSink>(slack({ url: service.url(), text }))
        .notify(notificationOf([alertOf()]), context);
      expect(textsOf(service.calls.at(-1)!.body).map((each) => each.text)).toEqual([...texts]);
    }
    expect(service.calls[0]!.body["text"]).toBe("one *line* &lt;!here&gt;");
    expect(service.refused).toEqual([]);
  });
});

describe("what a stranger chose", () => {
  test("is text: no mention, link, style or emoji comes of it, and nothing is refused", async () => {
    const random = randomFrom(11);
    for (let round = 0; round < 60; round++) {
      const sink = random.chance(0.5) ? hook() : bot();
      const parts = { externalURL: "https://drops.example/?a=1&b=2" };
      await sink.notify(notificationOf(hostileAlerts(random), parts), context);
      const { body } = service.calls.at(-1)!;
      expect(service.refused).toEqual([]);
      // What is shown before a message is opened is markup: none of its characters is left.
      expect(String(body["text"]).replace(/&(amp|lt|gt);/g, "")).not.toMatch(/[<>&]/);
      for (const { type, text, emoji } of textsOf(body)) {
        // Plain text has no markup; it would have emoji.
        if (type === "plain_text") expect(emoji).toBe(false);
        else {
          for (const link of text.split("   ")) {
            expect(link).toMatch(
              /^<https:\/\/(runbooks\.example\/%3Ca%3E%7C\(b\)\|runbook|drops\.example\/\?a=1&amp;b=2\|dashboard)>$/,
            );
          }
        }
      }
    }
  });

  test("of any length fits: 100,000 characters, and 1,234 alerts of them", async () => {
    for (const char of ["x", "\u{1f600}", "<"]) {
      await bot().notify(notificationOf(longAlerts(char)), context);
    }
    expect(service.refused).toEqual([]);
    expect(service.messages).toHaveLength(3);
    for (const { text } of service.calls) expect(text).toContain("1,2");
  });
});

describe("a webhook", () => {
  test("has delivered only where the answer is ok", async () => {
    service.fault("webhook", { body: "<html>log in" }, { body: "" }, { body: { ok: true } });
    for (let i = 0; i < 3; i++) {
      const error = await failure(hook().notify(of(), context));
      expect([error.name, error.final]).toEqual(["DeliveryError", false]);
      expect(error.message).toMatch(/^answered 200, but not "ok": /);
    }
    expect(await hook().notify(of(), context)).toEqual({ answer: "200 ok" });
  });

  test("that is gone, or was taken away, is told as such", async () => {
    service.fault(
      "webhook",
      { status: 410, body: "channel_is_archived" },
      { status: 404, body: "no_service" },
      { status: 403, body: "action_prohibited" },
      { status: 500, body: "rollup_error" },
    );
    const ends: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      const { final, gone } = await failure(hook().notify(of(), context));
      ends.push([final, gone]);
    }
    expect(ends).toEqual([[true, true], [true, false], [true, false], [false, false]]);
  });

  test("never tells its URL: neither in an error, nor in what is traced", async () => {
    const traced: string[] = [];
    service.fault("webhook", { status: 404, body: `no_service ${service.url()}` });
    const sink = hook({ trace: (_, lines) => void traced.push(lines) });
    const { message } = await failure(sink.notify(of(), context));
    expect(traced).toHaveLength(2);
    expect(`${message} ${traced.join()}`).not.toContain("s3cret");
  });
});

describe("the options", () => {
  test.each([
    [{}],
    [{ url: "https://hooks.example/", token: "xoxb-1" }],
    [{ url: "https://hooks.example/", channel: "#a" }],
    [{ token: "xoxb-1" }],
    [{ channel: "#a" }],
  ])("are either a URL, or a token and a channel: not %j", (options) => {
    expect(() => sinkOf(slack(options)))
      .toThrow("it needs either a url, or a token and a channel");
  });

  test("may be a word: a channel, whose token is in the environment", () => {
    const env = { DROPWATCH_SLACK_TOKEN: "xoxb-1" };
    for (const channel of ["#drops", "C0123456789"]) {
      expect(sinkOf(`slack=${channel}`, { env }).name).toBe("slack");
    }
    expect(() => sinkOf("slack=#drops")).toThrow("DROPWATCH_SLACK_TOKEN");
    expect(() => sinkOf(slack({ token: "xoxb-1", channel: "a b" }))).toThrow(
      "a channel's ID or name",
    );
  });

  test("may say where the API is, which must be a URL", () => {
    expect(() => sinkOf(slack({ token: "xoxb-1", channel: "#a", api: "slack.example/s3cret" })))
      .toThrow("its api must begin with http:// or https://");
  });

  test("set a rate that Slack takes: one message a second", () => {
    expect(bot().rate).toEqual({ perSecond: 1, burst: 1 });
  });
});

describe("a bot", () => {
  const step = async (
    memo: string | undefined,
    reason: Notification["reason"],
    alerts: Parameters<typeof notificationOf>[0] = [whole],
    parts: Partial<Notification> = {},
  ): Promise<Delivered> =>
    await bot().notify(
      notificationOf(alerts, { reason, ...parts }),
      { ...context, memo },
    ) as Delivered;
  const over = alertOf({ ...whole.data, status: "resolved", endsAt });

  test("posts a message, and turns it green when all is over, with a short reply", async () => {
    const first = await step(undefined, "first notification");
    expect(service.messages.map(colourOf)).toEqual(["#d32f2f"]);
    await step(first.memo, "all alerts resolved", [over]);
    const [message, reply] = service.messages;
    expect(service.messages).toHaveLength(2);
    expect([colourOf(message!), message!.updates]).toEqual(["#2eb67d", 1]);
    expect(message!.body["text"]).toBe("RESOLVED SocketFilterDrops: nginx refuses packets");
    expect([reply!.thread, reply!.broadcast]).toEqual([message!.ts, false]);
    expect(textsOf(reply!.body).map(({ text }) => text)).toEqual([
      "RESOLVED SocketFilterDrops: nginx refuses packets\nvalue 250.5, peak 300, drops 12,345, " +
      "since 2026-01-02 03:04:05 UTC, lasted 5m",
    ]);
    expect(service.refused).toEqual([]);
  });

  test.each(
    [
      ["new alerts in group", true],
      ["repeat interval elapsed", true],
      ["alert is flapping", true],
      ["alert is steady", false],
      ["new resolved alerts", false],
    ] as const,
  )("updates the message at `%s`, and says so in the thread", async (reason, everyone) => {
    const first = await step(undefined, "first notification");
    const second = await step(first.memo, reason, [whole, alertOf({ alert: "Other" })]);
    expect(second).toEqual({ answer: "updated", memo: first.memo! });
    const [message, reply] = service.messages;
    expect(service.messages).toHaveLength(2);
    expect(message!.updates).toBe(1);
    // What fires is told to the whole channel: an update, or a reply alone, makes no phone ring.
    expect([reply!.thread, reply!.broadcast]).toEqual([message!.ts, everyone]);
    expect(textsOf(reply!.body)[0]!.text).toContain("critical: nginx refuses packets\nwarning: ");
  });

  test("begins a new message where another story begins", async () => {
    const first = await step(undefined, "first notification");
    const green = await step(first.memo, "all alerts resolved", [over]);
    const count = service.messages.length;
    for (
      const [memo, reason] of [
        [green.memo, "first notification"],
        [green.memo, "new alerts in group"],
        [first.memo, "first notification"],
        [first.memo, "test"],
        [undefined, "new alerts in group"],
        ["not JSON", "new alerts in group"],
        ['{"channel":1}', "new alerts in group"],
        [first.memo!.replace("#drops", "#elsewhere"), "new alerts in group"],
      ] as const
    ) {
      const { answer, memo: next } = await step(memo, reason);
      expect([reason, answer]).toEqual([reason, "posted"]);
      expect(JSON.parse(next!).ts).toBe(service.messages.at(-1)!.ts);
    }
    expect(service.messages).toHaveLength(count + 8);
    expect(service.messages[0]!.updates).toBe(1);
    expect(service.refused).toEqual([]);
  });

  test.each([
    "message_not_found",
    "cant_update_message",
    "edit_window_closed",
    "channel_not_found",
    "is_archived",
  ])("posts anew where the message can't be updated: %s", async (error) => {
    const first = await step(undefined, "first notification");
    service.fault("chat.update", error);
    const second = await step(first.memo, "all alerts resolved", [over]);
    expect(second.answer).toBe("posted");
    expect(second.memo).not.toBe(first.memo);
    expect(service.messages.map(colourOf)).toEqual(["#d32f2f", "#2eb67d"]);
    expect(service.messages[1]!.thread).toBeUndefined();
  });

  test("tells new alerts even where the thread takes no replies, and leaves out what is only news", async () => {
    const logged: string[] = [];
    const sink = bot({}, { log: (line) => void logged.push(line) });
    const first = await step(undefined, "first notification");
    service.fault("chat.postMessage", "restricted_action_thread_locked");
    const news = notificationOf([over], { reason: "all alerts resolved" });
    expect(await sink.notify(news, { ...context, memo: first.memo }))
      .toMatchObject({ answer: "updated" });
    expect(logged.join()).toContain(
      "a reply was left out: chat.postMessage answered restricted_action",
    );
    expect(service.messages).toHaveLength(1);
    service.fault("chat.postMessage", "restricted_action_thread_locked");
    expect((await step(first.memo, "new alerts in group")).answer).toBe("posted");
    expect(service.messages.map(({ thread }) => thread)).toEqual([undefined, undefined]);
  });

  test("does both again where the reply is to be tried again: one message, one reply", async () => {
    const first = await step(undefined, "first notification");
    service.fault("chat.postMessage", "internal_error");
    const error = await failure(step(first.memo, "new alerts in group"));
    expect(error.final).toBe(false);
    await step(first.memo, "new alerts in group");
    expect(service.messages.map(({ thread }) => thread)).toEqual([
      undefined,
      service.messages[0]!.ts,
    ]);
  });

  test("names a channel by its name when it posts, and by its ID afterwards", async () => {
    const first = await step(undefined, "first notification");
    await step(first.memo, "new alerts in group");
    expect(service.calls.map(({ body }) => body["channel"]))
      .toEqual(["#drops", "C0123456789", "C0123456789"]);
  });
});

describe("an error of the API, which comes with 200,", () => {
  test.each([
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
    "ratelimited",
  ])(
    "is tried again: %s",
    async (error) => {
      service.fault("chat.postMessage", error);
      const { final, message } = await failure(bot().notify(of(), context));
      expect([final, message]).toEqual([false, `chat.postMessage answered ${error}`]);
    },
  );

  test.each([
    "invalid_auth",
    "token_revoked",
    "channel_not_found",
    "not_in_channel",
    "invalid_blocks",
  ])(
    "is final: %s",
    async (error) => {
      service.fault("chat.postMessage", error);
      const { final, message } = await failure(bot().notify(of(), context));
      expect(final).toBe(true);
      expect(message).toContain(`chat.postMessage answered ${error}`);
    },
  );

  test("says how long to wait, with 200 and with 429", async () => {
    for (const status of [200, 429]) {
      const body = { ok: false, error: "ratelimited" };
      service.fault("chat.postMessage", { status, headers: { "retry-after": "30" }, body });
      const { final, retryAfter } = await failure(bot().notify(of(), context));
      expect([final, retryAfter]).toEqual([false, 30_000]);
    }
  });

  test("says what to do about it", async () => {
    service.fault("chat.postMessage", {
      body: { ok: false, error: "missing_scope", needed: "chat:write", provided: "files:write" },
    }, "not_in_channel");
    expect((await failure(bot().notify(of(), context))).message).toBe(
      "chat.postMessage answered missing_scope, needed: chat:write (the app lacks a scope: add it and " +
        "install the app again)",
    );
    expect((await failure(bot().notify(of(), context))).message).toContain("/invite");
  });

  test("that isn't of Slack is tried again, and is safe to print", async () => {
    for (const body of ["<html>\x1b[2J log in", "", "null", "[1]", '{"ok":false}']) {
      service.fault("chat.postMessage", { body });
      const { final, message } = await failure(bot().notify(of(), context));
      expect(final).toBe(false);
      expect(message).not.toContain("\x1b");
    }
  });

  test("never tells the token, nor does what is traced", async () => {
    const traced: string[] = [];
    const sink = bot({}, { trace: (_, lines) => void traced.push(lines) });
    service.fault("chat.postMessage", `no ${service.token}`, {
      status: 400,
      body: `Bearer ${service.token}`,
    });
    const errors = [
      await failure(sink.notify(of(), context)),
      await failure(sink.notify(of(), context)),
    ];
    expect(traced).toHaveLength(4);
    expect(`${errors.join()} ${traced.join()}`).not.toContain("s3cret");
  });
});

describe("a picture", () => {
  const rates: Rates = {
    from: Date.parse("2026-01-02T03:00:00Z"),
    step: 10_000,
    values: Array.from({ length: 60 }, (_, i) => i),
    of: "SOCKET_FILTER <!channel>",
  };
  const with_ = (parts: Partial<Notification> = {}): Notification => of({ rates, ...parts });
  const logging = (options: Partial<SlackOptions> = {}): [GroupSink, string[]] => {
    const logged: string[] = [];
    return [bot(options, { log: (line) => void logged.push(line) }), logged];
  };

  test("of the rate goes into the thread, where there are rates", async () => {
    await bot().notify(with_(), context);
    const [message] = service.messages;
    const [file] = service.files;
    expect(file!.shared).toBe(`${message!.channel}/${message!.ts}`);
    expect(readPng(file!.bytes!).width).toBe(1200);
    expect(file!.name).toBe("drops.png");
    expect(service.refused).toEqual([]);
  });

  test("comes again with what is said later", async () => {
    const { memo } = await bot().notify(with_(), context) as Delivered;
    await bot().notify(with_({ reason: "new alerts in group" }), { ...context, memo });
    expect(service.files.map(({ shared }) => shared))
      .toEqual(Array(2).fill(`C0123456789/${service.messages[0]!.ts}`));
  });

  test("is left out where there are no rates, or it isn't wanted", async () => {
    await bot().notify(of(), context);
    await bot({ picture: false }).notify(with_(), context);
    expect(service.calls.map(({ method }) => method)).toEqual([
      "chat.postMessage",
      "chat.postMessage",
    ]);
  });

  test.each([
    ["files.getUploadURLExternal", "missing_scope"],
    ["files.getUploadURLExternal", "file_uploads_disabled"],
    ["files.completeUploadExternal", "internal_error"],
  ])("that fails never fails the message: %s answers %s", async (method, error) => {
    const [sink, logged] = logging();
    service.fault(method, error);
    expect(await sink.notify(with_(), context)).toMatchObject({ answer: "posted" });
    expect(logged.filter((line) => line.includes("picture")))
      .toEqual([
        expect.stringContaining(`slack: a picture was left out: ${method} answered ${error}`),
      ]);
  });

  test("that can't be uploaded is left out, and where to is told nobody", async () => {
    const [sink, logged] = logging();
    service.fault("upload", { status: 500, body: `no ${service.url("/upload/F000?sig=upl0ad")}` });
    service.fault("files.getUploadURLExternal");
    await sink.notify(with_(), context);
    service.fault("files.getUploadURLExternal", {
      body: { ok: true, upload_url: "file:///x", file_id: "F" },
    });
    await sink.notify(with_(), context);
    const lines = logged.filter((line) => line.includes("picture"));
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain("answered 500");
    expect(lines.join()).not.toContain("upl0ad");
  });

  test("that is cut short by the end leaves the message delivered", async () => {
    const ending = new AbortController();
    const [sink, logged] = logging();
    service.fault("files.getUploadURLExternal", {
      get body() {
        ending.abort(new Error("over"));
        return {};
      },
    });
    expect(await sink.notify(with_(), { ...context, signal: ending.signal }))
      .toMatchObject({ answer: "posted" });
    expect(logged.some((line) => line.includes("picture was left out"))).toBe(true);
  });
});

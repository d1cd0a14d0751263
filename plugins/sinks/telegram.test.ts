// What is special to Telegram; what every sink promises is in test/contract/sink.ts.
import { describe, expect, test } from "bun:test";
import type { AlertMessage } from "../../core/alert/alert.ts";
import type { Notification } from "../../core/alert/notification.ts";
import type { DeliveryError, GroupSink } from "../../core/alert/sink.ts";
import type { AlertEvidence } from "../../core/watch/evidence.ts";
import { alertOf, hostileNames } from "../../test/alert.ts";
import { httpSinkContract } from "../../test/contract/sink.ts";
import { randomFrom } from "../../test/random.ts";
import { inEachTest } from "../../test/services/each_test.ts";
import { foundIn, openText, Telegram } from "../../test/services/telegram.ts";
import type { TelegramMessage } from "../../test/services/telegram.ts";
import { notificationOf, sinkOf } from "../../test/sink.ts";
import type { SinkSetting } from "./registry.ts";
import { telegram } from "./telegram.ts";
import type { TelegramOptions } from "./telegram.ts";

const token = "123456:AAF-s3cret_part";

httpSinkContract("telegram", {
  make: (url) => sinkOf(telegram({ token, chat: -100, url })),
  accepted: `{"ok":true,"result":{"message_id":7}}`,
  readsAnswer: true,
  adds: `/bot${token}/sendMessage`,
});

let service: Telegram;
inEachTest(() => service = new Telegram(token, [-100, "@ops"]));

const context = { id: "msg_1", signal: new AbortController().signal };
const sinkWith = (
  options: Partial<TelegramOptions> = {},
  setting: Partial<SinkSetting> = {},
): GroupSink =>
  sinkOf<GroupSink>(telegram({ token, chat: -100, url: service.url("/"), ...options }), setting);
const sent = async (
  alerts: readonly AlertMessage[],
  parts: Partial<Notification> = {},
): Promise<TelegramMessage> => {
  await sinkWith().notify(notificationOf(alerts, parts), context);
  return service.messages.at(-1)!;
};
const parts = ({ text, entities = [] }: TelegramMessage): [string, string][] =>
  entities.map(({ type, offset, length }) => [type, text.slice(offset, offset + length)]);
const resolvedAt = "2026-01-02T03:09:05.000Z";

describe("a message", () => {
  test("says the worst alert first, its numbers, its evidence, what to do, and has links", async () => {
    const alert = alertOf({
      severity: "critical",
      labels: { owner: "nginx" },
      annotations: {
        summary: "a socket refuses packets",
        description: "look at the filter",
        runbook: "https://wiki.example/filter",
      },
      evidence: {
        kept: 3,
        at: "sk_filter_trim_cap+0x9b",
        source: "https://elixir.example/sk_filter_trim_cap",
      } as AlertEvidence,
    });
    const message = await sent([alert], { externalURL: "https://dropwatch.example/a" });
    expect(message.text).toBe([
      "🔴 critical",
      "FIRING SocketFilterDrops: a socket refuses packets",
      "",
      "ownerInode 4711",
      "owner nginx",
      "value 250.5",
      "peak 300",
      "drops 12,345",
      "since 2026-01-02 03:04:05 UTC",
      "look at the filter",
      "in sk_filter_trim_cap+0x9b",
      "runbook · kernel source",
      "dashboard",
    ].join("\n"));
    expect(parts(message).map(([type, text]) => [type, text.split("\n")[0]])).toEqual([
      ["bold", "critical"],
      ["code", "FIRING SocketFilterDrops: a socket refuses packets"],
      ["pre", "ownerInode 4711"],
      ["text_link", "runbook"],
      ["text_link", "kernel source"],
      ["text_link", "dashboard"],
    ]);
    expect(message.entities!.flatMap(({ url }) => url ?? [])).toEqual([
      "https://wiki.example/filter",
      "https://elixir.example/sk_filter_trim_cap",
      "https://dropwatch.example/a",
    ]);
    expect(message.link_preview_options).toEqual({ is_disabled: true });
  });

  test("that is over says so, without what is to be done", async () => {
    const { text } = await sent([alertOf({ endsAt: resolvedAt, value: 0 })]);
    expect(text).toMatch(/^✅ resolved\nRESOLVED SocketFilterDrops: /);
    expect(text).toContain("lasted 5m");
  });

  test("goes to the chat and the topic that it is told, in a number or a name", async () => {
    await sinkWith({ chat: "@ops", thread: 12 }).notify(notificationOf([alertOf()]), context);
    expect(service.messages[0]).toMatchObject({ chat_id: "@ops", message_thread_id: 12 });
  });

  test("is a reply to the first one of its group, also when that was deleted", async () => {
    const sink = sinkWith();
    const notify = (memo?: string, endsAt?: string) =>
      sink.notify(notificationOf([alertOf(endsAt === undefined ? {} : { endsAt })]), {
        ...context,
        memo,
      });
    expect(await notify()).toEqual({ answer: "message 1", memo: "1" });
    expect(service.messages[0]!.reply_parameters).toBeUndefined();
    expect(await notify("1")).toEqual({ answer: "message 2", memo: "1" });
    expect(service.messages[1]!.reply_parameters)
      .toEqual({ message_id: 1, allow_sending_without_reply: true });
    expect(await notify("999")).toEqual({ answer: "message 3", memo: "999" });
    expect(await notify("1", resolvedAt)).toEqual({ answer: "message 4" });
    for (const odd of ["", "x", "1e3", "-1"]) {
      expect(await notify(odd)).toMatchObject({ memo: String(service.messages.length) });
      expect(service.messages.at(-1)!.reply_parameters).toBeUndefined();
    }
  });

  test("with the text of a config is that, and counts nothing that it left out", async () => {
    const text = (): string => "mine @ops\nline 1\nline 2";
    const sink = sinkOf<GroupSink>(telegram({ token, chat: -100, url: service.url("/"), text }));
    await sink.notify(notificationOf([alertOf(), alertOf({ labels: { dev: "x" } })]), context);
    expect(service.messages[0]!.text).toBe("🟠 warning\nmine @ops\n\nline 1\nline 2");
    expect(foundIn(service.messages[0]!)).toEqual([]);
    const empty = sinkOf<GroupSink>(
      telegram({ token, chat: -100, url: service.url("/"), text: () => " \n " }),
    );
    await empty.notify(notificationOf([alertOf()]), context);
    expect(service.messages[1]!.text).toBe("🟠 warning");
  });

  test("about many tells as many as have room, and how many there are besides", async () => {
    const many = (length: number): AlertMessage[] =>
      Array.from({ length }, (_, i) =>
        alertOf({
          labels: { comm: `worker${i}` },
          annotations: { summary: `worker${i} loses`, runbook: "https://wiki.example/" },
        }));
    for (const count of [2, 30, 1234]) {
      const message = await sent(many(count));
      const told = parts(message).filter(([type]) => type === "pre").length;
      const left = /and ([\d,]+) more alerts?/.exec(message.text)?.[1] ?? "0";
      expect(told + Number(left.replace(",", ""))).toBe(count);
      expect(told).toBeGreaterThan(Math.min(count, 8) - 1);
    }
  });

  test(
    "is taken, and nothing in it is markup, mention or link, whatever a stranger chose",
    async () => {
      const random = randomFrom(3);
      const pieces = [
        ...hostileNames,
        "@channel ",
        "#tag ",
        "$USD ",
        "/start ",
        "https://evil.example/x ",
        "evil.example ",
        "a@evil.example ",
        "tg://user?id=1 ",
        "12:34 ",
        "+49 123 4567890 ",
        "```",
        "<b>",
        "[x](https://evil.example) ",
        "😀",
        "\ud83d",
        " ",
        "",
      ];
      const name = (): string =>
        Array.from({ length: random.int(0, 6) }, () => random.pick(pieces)).join("")
          .repeat(random.pick([1, 1, 1, 20, 100]));
      for (let round = 0; round < 100; round++) {
        const count = random.pick([1, 1, 2, 5, 20]);
        const alerts = Array.from({ length: count }, () =>
          alertOf({
            alert: "Drops",
            severity: random.pick(["critical", "warning", "info"]),
            labels: { comm: name(), dev: random.pick(pieces), container: random.pick(pieces) },
            annotations: { summary: name(), description: name(), note: name() },
            evidence: {
              kept: 1,
              owners: [{ owner: name(), pid: "1", drops: 1 }],
            } as unknown as AlertEvidence,
            ...(random.chance(0.3) ? { endsAt: resolvedAt } : {}),
          }));
        const message = await sent(alerts, { groupKey: name() });
        expect(foundIn(message)).toEqual([]);
        expect(message.entities!.flatMap(({ url }) => url ?? [])).toEqual([]);
        expect(message.entities!.length).toBeLessThanOrEqual(100);
        // What lies open is ours to the last character.
        expect(openText(message).replaceAll("\0", "").replace(/\s+/g, " ").trim())
          .toMatch(/^(✅ resolved|🔴 critical|🟠 warning|🔵 info)( and [\d,]+ more alerts?)?$/u);
      }
      expect(service.messages).toHaveLength(100);
    },
    20_000,
  );
});

describe("an answer", () => {
  const failure = async (sink: GroupSink = sinkWith()): Promise<DeliveryError> =>
    await sink.notify(notificationOf([alertOf()]), context).catch((thrown) => thrown);

  test("429 says in its body how long to wait", async () => {
    service.answers(
      429,
      {},
      `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35",` +
        `"parameters":{"retry_after":35}}`,
    );
    const error = await failure();
    expect([error.final, error.retryAfter]).toEqual([false, 35_000]);
    service.answers(429, {}, `{"ok":false,"parameters":{"retry_after":99999999}}`);
    expect((await failure()).retryAfter).toBe(3_600_000);
    for (const text of ["", "no", `{"parameters":{"retry_after":"5"}}`, "[]"]) {
      service.answers(429, {}, text);
      expect((await failure()).retryAfter).toBeUndefined();
    }
  });

  test("200 without ok isn't Telegram's, and worth another try", async () => {
    for (const text of ["", "<html>log in", `{"ok":false}`, `{"ok":true}`]) {
      service.answers(200, {}, text);
      const error = await failure();
      expect([error.name, error.final]).toEqual(["DeliveryError", false]);
      expect(error.message).toMatch(/^answered 200, but not ok: /);
    }
  });

  test("is final for a token or a chat that isn't there", async () => {
    const wrong = await failure(sinkWith({ token: "1:wrong-token" }));
    expect([wrong.final, wrong.message]).toEqual([
      true,
      `answered 401: {"ok":false,"error_code":401,"description":"Unauthorized"}`,
    ]);
    const chat = await failure(sinkWith({ chat: -7 }));
    expect(chat.final).toBe(true);
    expect(chat.message).toContain("Bad Request: chat not found");
    expect(service.refused.splice(0)).toHaveLength(2);
  });

  test("never shows the token, which is in the URL, nor its secret part", async () => {
    const traced: string[] = [];
    const trace = (_: string, lines: string): void => void traced.push(lines);
    const sink = sinkWith({ token: { env: "TG" } }, { env: { TG: token }, trace });
    await sink.notify(notificationOf([alertOf()]), context);
    service.answer = (request, response) =>
      void response.writeHead(500).end(`${request.url} ${token} AAF-s3cret_part`);
    traced.push(String(await failure(sink)));
    await service.close();
    traced.push(String(await failure(sink)));
    await service.open();
    expect(traced).toHaveLength(7);
    expect(traced.join("\n")).not.toMatch(/s3cret|123456:/);
  });
});

test("a token has BotFather's form, and isn't shown where it has none", () => {
  for (const wrong of ["", "s3cret", "1:s3cret/../x", "1:s3cret ?", "a:s3cret"]) {
    expect(() => sinkWith({ token: wrong })).toThrow("must be as @BotFather gives it");
    try {
      sinkWith({ token: wrong });
    } catch (thrown) {
      expect(String(thrown)).not.toContain("s3cret");
    }
  }
});

test("a chat is a number or a name, on the command line too", () => {
  for (const chat of ["", "ops", "@", "1.5", 1.5, "@a b"]) {
    expect(() => sinkWith({ chat })).toThrow("expected a chat's number, or @name");
  }
  const env = { DROPWATCH_TELEGRAM_TOKEN: token };
  expect(sinkOf("telegram=-100123", { env }).name).toBe("telegram");
  expect(() => sinkOf("telegram=-100123")).toThrow("DROPWATCH_TELEGRAM_TOKEN");
});

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { AlertData } from "../../core/alert/alert.ts";
import type { DeliveryError, GroupSink } from "../../core/alert/sink.ts";
import { alertOf } from "../../test/alert.ts";
import { httpSinkContract } from "../../test/contract/sink.ts";
import { hostileAlerts, longAlerts } from "../../test/hostile.ts";
import { randomFrom } from "../../test/random.ts";
import { Discord } from "../../test/services/discord.ts";
import type { DiscordMessage } from "../../test/services/discord.ts";
import { notificationOf, sinkOf } from "../../test/sink.ts";
import { discord } from "./discord.ts";

httpSinkContract("discord", { make: (url) => sinkOf(`discord=${url}`) });

let service: Discord;
beforeEach(async () => {
  service = new Discord();
  await service.open();
});
afterEach(() => service.close());

const context = { id: "msg_1", signal: new AbortController().signal };
const sink = (): GroupSink => sinkOf<GroupSink>(`discord=${service.url()}`);
const failure = async (): Promise<DeliveryError> => {
  try {
    await sink().notify(notificationOf([alertOf()]), context);
  } catch (thrown) {
    return thrown as DeliveryError;
  }
  throw new Error("it was delivered");
};

/** What Discord's escapes leave: `\*` is a star. */
const unescaped = (text: string): string => text.replace(/\\([^0-9A-Za-z\s])/g, "$1");

/** All texts of a message that are Markdown to Discord. */
const markdownOf = ({ content, embeds }: DiscordMessage): string[] => [
  content,
  ...embeds.flatMap(({ title = "", description = "", fields = [] }) => [
    title,
    description,
    ...fields.flatMap(({ name, value }) => [name, value]),
  ]),
];

describe("a message", () => {
  test("tells what, how bad, since when, where and what to do", async () => {
    const alert = alertOf({
      severity: "critical",
      annotations: {
        summary: "nginx refuses packets",
        description: "The filter says no.",
        runbook: "https://runbooks.example/a(b)",
      },
      labels: { owner: "nginx_1" },
      evidence: { kept: 3, site: "sk_filter_trim_cap", source: "https://git.example/f.c" },
    } as Partial<AlertData>);
    await sink().notify(
      notificationOf([alert], { externalURL: "https://drops.example/" }),
      context,
    );
    expect(service.messages).toEqual([{
      content: "FIRING SocketFilterDrops\\: nginx refuses packets",
      embeds: [{
        color: 0xd32f2f,
        description: [
          "The filter says no\\.",
          "in sk\\_filter\\_trim\\_cap",
          "[runbook](https://runbooks.example/a%28b%29)",
          "[kernel source](https://git.example/f.c)",
          "[dashboard](https://drops.example/)",
        ].join("\n"),
        fields: [
          { name: "value", value: "250\\.5", inline: true },
          { name: "peak", value: "300", inline: true },
          { name: "drops", value: "12,345", inline: true },
          { name: "since", value: "2026\\-01\\-02 03\\:04\\:05 UTC", inline: true },
          { name: "ownerInode", value: "4711", inline: true },
          { name: "owner", value: "nginx\\_1", inline: true },
        ],
      }],
      allowed_mentions: { parse: [] },
    }]);
  });

  test("is green when it is over, and says how long it lasted", async () => {
    await sink().notify(notificationOf([alertOf({ endsAt: "2026-01-02T03:09:05.000Z" })]), context);
    const [{ content, embeds: [embed] }] = service.messages as [DiscordMessage];
    expect(content).toMatch(/^RESOLVED /);
    expect(embed!.color).toBe(0x2eb67d);
    expect(embed!.fields).toContainEqual({ name: "lasted", value: "5m", inline: true });
  });

  test("tells some of many alerts, each in its colour, and how many are left", async () => {
    const alerts = Array.from(
      { length: 120 },
      (_, i) => alertOf({ severity: i === 0 ? "critical" : "info", labels: { comm: `w${i}` } }),
    );
    await sink().notify(notificationOf(alerts), context);
    const [{ embeds }] = service.messages as [DiscordMessage];
    expect(embeds.map(({ color }) => color)).toEqual([0xd32f2f, ...Array(9).fill(0x2f7ed8)]);
    expect(embeds.at(-1)!.footer!.text).toBe("and 110 more alerts: 120 firing, 0 resolved in all");
    expect(service.refused).toEqual([]);
  });

  test("is what the config says, where it says something", async () => {
    const own = (text: () => string): GroupSink =>
      sinkOf<GroupSink>(discord({ url: service.url(), text }));
    await own(() => "**one** @here\ntwo").notify(notificationOf([alertOf()]), context);
    await own(() => "").notify(notificationOf([alertOf()]), context);
    expect(service.messages.map(({ content, embeds: [embed] }) => [content, embed!.description]))
      .toEqual([
        ["\\*\\*one\\*\\* \\@here", "two"],
        ["\\(blank\\)", "firing, warning"],
      ]);
  });

  test("is asked to be taken before it is answered", async () => {
    await sinkOf<GroupSink>(`discord=${service.url("/api/webhooks/1/s3cret?thread_id=7")}`)
      .notify(notificationOf([alertOf()]), context);
    expect(service.receiver.received[0]!.path)
      .toBe("/api/webhooks/1/s3cret?thread_id=7&wait=true");
  });
});

describe("what a stranger chose", () => {
  test("is text: no style, list, heading, link, mention or emoji comes of it", async () => {
    const random = randomFrom(13);
    const links =
      /\[(runbook\]\(https:\/\/runbooks\.example\/%3Ca%3E\|%28b%29|dashboard\]\(https:\/\/drops\.example\/)\)/g;
    for (let round = 0; round < 60; round++) {
      const parts = { externalURL: "https://drops.example/" };
      await sink().notify(notificationOf(hostileAlerts(random), parts), context);
      expect(service.refused).toEqual([]);
      const message = service.messages.at(-1)!;
      expect(message.allowed_mentions).toEqual({ parse: [] });
      for (const text of markdownOf(message)) {
        const bare = text.replace(links, "").replace(/\\[^0-9A-Za-z\s]/g, "");
        expect(bare).not.toMatch(/[\\*_~`|<>[\](){}#@:]/);
        expect(bare).not.toMatch(/^\s*([-+]|\d+\.)/m);
      }
    }
  });

  test("is read as it was written", async () => {
    const value = "a*b_c~d`e|f<g>h[i](j)#k@l:m\\n!o-p+q.{r} https://x.example/";
    const alert = alertOf({ labels: { comm: value }, annotations: { summary: value } });
    await sink().notify(notificationOf([alert]), context);
    const [{ content, embeds: [embed] }] = service.messages as [DiscordMessage];
    expect(unescaped(content)).toBe(`FIRING SocketFilterDrops: ${value}`);
    expect(embed!.fields!.map((field) => unescaped(field.value))).toContain(value);
  });

  test("of any length fits, and no escape is cut in two", async () => {
    for (const char of ["x", "*", "\u{1f600}"]) {
      await sink().notify(notificationOf(longAlerts(char)), context);
    }
    expect(service.refused).toEqual([]);
    for (const message of service.messages) {
      expect(JSON.stringify(message)).toContain("1,2");
      for (const text of markdownOf(message)) {
        expect(text.replace(/\\[^0-9A-Za-z\s]/g, "")).not.toMatch(/[\\*]/);
      }
    }
  });
});

describe("an answer", () => {
  test("of 429 says how long to wait, in its header or in its JSON", async () => {
    const text = JSON.stringify({ message: "You are being rate limited.", retry_after: 1.337 });
    service.receiver.answers(429, {}, text);
    expect((await failure()).retryAfter).toBe(1337);
    service.receiver.answers(429, { "retry-after": "2" }, text);
    expect((await failure()).retryAfter).toBe(2000);
    for (
      const odd of [
        '{"retry_after":"soon"}',
        '{"retry_after":-1}',
        '{"retry_after":1e9}',
        "null",
        "<",
      ]
    ) {
      service.receiver.answers(429, {}, odd);
      expect([odd, (await failure()).retryAfter]).toEqual([odd, undefined]);
    }
  });

  test("that repeats the token doesn't tell it", async () => {
    service.receiver.answers(404, {}, '{"message": "no /api/webhooks/123/s3cret-token"}');
    const { final, message } = await failure();
    expect(final).toBe(true);
    expect(message).not.toContain("s3cret");
  });
});

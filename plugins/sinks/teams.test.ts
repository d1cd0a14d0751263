import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { AlertData } from "../../core/alert/alert.ts";
import type { GroupSink } from "../../core/alert/sink.ts";
import { alertOf } from "../../test/alert.ts";
import { httpSinkContract } from "../../test/contract/sink.ts";
import { hostileAlerts, longAlerts } from "../../test/hostile.ts";
import { randomFrom } from "../../test/random.ts";
import { Teams, textsOf } from "../../test/services/teams.ts";
import { notificationOf, sinkOf } from "../../test/sink.ts";
import { teams } from "./teams.ts";

httpSinkContract("teams", { make: (url) => sinkOf(`teams=${url}`) });

let service: Teams;
beforeEach(async () => {
  service = new Teams();
  await service.open();
});
afterEach(() => service.close());

const context = { id: "msg_1", signal: new AbortController().signal };
const sink = (): GroupSink => sinkOf<GroupSink>(`teams=${service.url()}`);
const styleOf = (index: number): unknown => service.cards[index]!.body[0]!["style"];

describe("a card", () => {
  test("tells what, how bad, since when, where and what to do", async () => {
    const alert = alertOf({
      severity: "critical",
      annotations: {
        summary: "nginx refuses packets",
        description: "The filter says no.",
        runbook: "https://runbooks.example/a",
      },
      evidence: { kept: 3, site: "sk_filter_trim_cap", source: "https://git.example/f.c" },
    } as Partial<AlertData>);
    const sent = await sink()
      .notify(notificationOf([alert], { externalURL: "https://drops.example/" }), context);
    expect(sent).toEqual({ answer: "202" });
    const [card] = service.cards;
    expect(textsOf(card!).map(({ text }) => text)).toEqual([
      "FIRING SocketFilterDrops: nginx refuses packets",
      ...["value  ", "250.5", "peak  ", "300", "drops  ", "12,345"],
      ...["since  ", "2026-01-02 03:04:05 UTC", "ownerInode  ", "4711"],
      "The filter says no.",
      "in sk_filter_trim_cap",
    ]);
    expect(card!.actions.map(({ title, url }) => [title, url])).toEqual([
      ["runbook", "https://runbooks.example/a"],
      ["kernel source", "https://git.example/f.c"],
      ["dashboard", "https://drops.example/"],
    ]);
  });

  test("has the colour of the severity, and is green when it is over", async () => {
    for (const severity of ["critical", "warning", "info"] as const) {
      await sink().notify(notificationOf([alertOf({ severity })]), context);
    }
    await sink().notify(notificationOf([alertOf({ endsAt: "2026-01-02T03:09:05.000Z" })]), context);
    expect([0, 1, 2, 3].map(styleOf)).toEqual(["attention", "warning", "accent", "good"]);
    const texts = textsOf(service.cards[3]!).map(({ text }) => text);
    expect(texts[0]).toMatch(/^RESOLVED /);
    expect(texts).toContain("5m");
  });

  test("tells some of many alerts in a few words, and how many are left", async () => {
    const alerts = Array.from({ length: 120 }, (_, i) => alertOf({ labels: { comm: `w${i}` } }));
    await sink().notify(notificationOf(alerts), context);
    const texts = textsOf(service.cards[0]!).map(({ text }) => text);
    expect(texts.filter((text) => text.startsWith("warning: "))).toHaveLength(9);
    expect(texts.at(-1)).toBe("and 110 more alerts: 120 firing, 0 resolved in all");
  });

  test("is what the config says, where it says something", async () => {
    await sinkOf<GroupSink>(teams({ url: service.url(), text: () => "**one**\ntwo" }))
      .notify(notificationOf([alertOf()]), context);
    await sinkOf<GroupSink>(teams({ url: service.url(), text: () => "" }))
      .notify(notificationOf([alertOf()]), context);
    expect(service.cards.map((card) => textsOf(card).map(({ text }) => text)))
      .toEqual([["**one**", "two"], ["(blank)"]]);
  });

  test("of which the answer repeats the signature doesn't tell it", async () => {
    service.receiver.answer = (request, response) => void response.writeHead(401).end(request.url);
    const error = await sink().notify(notificationOf([alertOf()]), context).catch(String);
    expect(error).toContain("answered 401");
    expect(error).not.toContain("s3cret");
  });
});

describe("what a stranger chose", () => {
  test("is text: it stands where cards have neither Markdown nor functions, and links are ours", async () => {
    const random = randomFrom(17);
    for (let round = 0; round < 60; round++) {
      const parts = { externalURL: "https://drops.example/" };
      await sink().notify(notificationOf(hostileAlerts(random), parts), context);
      expect(service.refused).toEqual([]);
      const card = service.cards.at(-1)!;
      for (const { text, markdown } of textsOf(card)) {
        expect(markdown).toBe(false);
        expect(text).not.toContain("{{");
        expect(text).not.toContain("\n");
      }
      // Mentions would need entities beside the card.
      expect(service.receiver.received.at(-1)!.body).not.toContain('"entities"');
      for (const { title, url } of card.actions) {
        expect(`${title} ${url}`).toMatch(
          /^(runbook https:\/\/runbooks\.example\/%3Ca%3E\|\(b\)|dashboard https:\/\/drops\.example\/)$/,
        );
      }
    }
  });

  test("of any length fits into 20 KB", async () => {
    for (const char of ["x", "\u{1f600}", "{"]) {
      await sink().notify(notificationOf(longAlerts(char)), context);
    }
    expect(service.refused).toEqual([]);
    for (const { body } of service.receiver.received) {
      expect(Buffer.byteLength(body)).toBeLessThanOrEqual(20_000);
      expect(body).toContain("1,2");
      expect(body).not.toContain("{{");
    }
  });
});

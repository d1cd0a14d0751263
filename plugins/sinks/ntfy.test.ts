// What is special to ntfy; what every sink promises is in test/contract/sink.ts.
import { describe, expect, test } from "bun:test";
import type { AlertMessage } from "../../core/alert/alert.ts";
import type { Notification } from "../../core/alert/notification.ts";
import type { DeliveryError, GroupSink } from "../../core/alert/sink.ts";
import type { AlertEvidence } from "../../core/watch/evidence.ts";
import { alertOf, hostileNames, rawControl } from "../../test/alert.ts";
import { httpSinkContract } from "../../test/contract/sink.ts";
import { randomFrom } from "../../test/random.ts";
import { inEachTest } from "../../test/services/each_test.ts";
import { Ntfy } from "../../test/services/ntfy.ts";
import type { NtfyPublished } from "../../test/services/ntfy.ts";
import { notificationOf, sinkOf } from "../../test/sink.ts";
import { ntfy } from "./ntfy.ts";
import type { NtfyOptions } from "./ntfy.ts";
import type { SinkSetting } from "./registry.ts";

const token = "tk_7eevizlsiwf9yi4uxsrs83r4352o0";
const topic = "drops-s3cret";

httpSinkContract("ntfy", { make: (url) => sinkOf(ntfy({ topic, url })) });

let service: Ntfy;
inEachTest(() => service = new Ntfy(token));

const context = { id: "msg_1", signal: new AbortController().signal };
const sinkWith = (
  options: Partial<NtfyOptions> = {},
  setting: Partial<SinkSetting> = {},
): GroupSink =>
  sinkOf<GroupSink>(ntfy({ topic, token, url: service.url("/"), ...options }), setting);
const sent = async (
  alerts: readonly AlertMessage[],
  parts: Partial<Notification> = {},
): Promise<NtfyPublished> => {
  await sinkWith().notify(notificationOf(alerts, parts), context);
  return service.published.at(-1)!;
};
const resolvedAt = "2026-01-02T03:09:05.000Z";

describe("a message", () => {
  test("says what is going on in its title, the rest below, and has buttons for the links", async () => {
    const alert = alertOf({
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
    expect(await sent([alert], { externalURL: "https://dropwatch.example/a" })).toEqual({
      topic,
      title: "FIRING SocketFilterDrops: a socket refuses packets",
      message: [
        "ownerInode 4711, owner nginx, value 250.5, peak 300, drops 12,345, " +
        "since 2026-01-02 03:04:05 UTC",
        "look at the filter",
        "in sk_filter_trim_cap+0x9b",
      ].join("\n"),
      priority: 4,
      tags: ["warning"],
      click: "https://dropwatch.example/a",
      actions: [
        { action: "view", label: "dashboard", url: "https://dropwatch.example/a" },
        { action: "view", label: "runbook", url: "https://wiki.example/filter" },
        {
          action: "view",
          label: "kernel source",
          url: "https://elixir.example/sk_filter_trim_cap",
        },
      ],
    });
  });

  test("is as loud as it is bad, and silent when it is over", async () => {
    const loud: unknown[] = [];
    for (const severity of ["critical", "warning", "info"] as const) {
      const { priority, tags } = await sent([alertOf({ severity })]);
      loud.push([priority, tags]);
    }
    const { priority, tags, title, message } = await sent([alertOf({ endsAt: resolvedAt })]);
    expect([...loud, [priority, tags]]).toEqual([
      [5, ["rotating_light"]],
      [4, ["warning"]],
      [3, ["information_source"]],
      [2, ["white_check_mark"]],
    ]);
    expect(title).toMatch(/^RESOLVED /);
    expect(message).toContain("lasted 5m");
  });

  test("about many tells as many as have room, and how many there are besides", async () => {
    for (const count of [2, 10, 50, 1234]) {
      const { message } = await sent(
        Array.from({ length: count }, (_, i) =>
          alertOf({
            labels: { comm: `worker${i}` },
            annotations: { summary: `worker${i} loses` },
          })),
      );
      const told = message.match(/comm worker\d+/g)!.length;
      const left = /\n\nand ([\d,]+) more alerts?$/.exec(message)?.[1] ?? "0";
      expect(told + Number(left.replace(",", ""))).toBe(count);
      expect(told).toBeGreaterThan(Math.min(count, 10) - 1);
    }
  });

  test("with the text of a config is that, and counts nothing that it left out", async () => {
    const notify = async (text: string): Promise<NtfyPublished> => {
      const sink = sinkOf<GroupSink>(
        ntfy({ topic, token, url: service.url("/"), text: () => text }),
      );
      await sink.notify(notificationOf([alertOf(), alertOf({ labels: { dev: "x" } })]), context);
      return service.published.at(-1)!;
    };
    expect(await notify("mine\nline 1\nline 2"))
      .toMatchObject({ title: "mine", message: "line 1\nline 2" });
    expect(await notify("mine")).toMatchObject({ title: "mine", message: "mine" });
  });

  test(
    "is taken whatever a stranger chose: no link, no line, no button that isn't ours",
    async () => {
      const random = randomFrom(9);
      const pieces = [
        ...hostileNames,
        "https://evil.example/x",
        "http:////x",
        "[x](https://evil.example)",
        "\\",
        '"',
        "😀",
        "\ud83d",
        "ü",
        "",
      ];
      const name = (): string =>
        Array.from({ length: random.int(0, 6) }, () => random.pick(pieces)).join("")
          .repeat(random.pick([1, 1, 1, 20, 100]));
      for (let round = 0; round < 100; round++) {
        const alerts = Array.from({ length: random.pick([1, 1, 2, 5, 20]) }, () =>
          alertOf({
            labels: { comm: name(), dev: random.pick(pieces) },
            annotations: { summary: name(), description: name(), note: name() },
            evidence: {
              kept: 1,
              owners: [{ owner: name(), pid: "1", drops: 1 }],
            } as unknown as AlertEvidence,
            ...(random.chance(0.3) ? { endsAt: resolvedAt } : {}),
          }));
        const { title, message, click, actions } = await sent(alerts, { groupKey: name() });
        expect([click, actions]).toEqual([undefined, undefined]);
        expect(title).not.toMatch(rawControl);
        expect(`${title} ${message}`).not.toMatch(/https?:\/\//);
        for (const line of message.split("\n")) expect(line).not.toMatch(rawControl);
        expect(message.trim()).not.toBe("");
      }
      expect(service.published).toHaveLength(100);
    },
    20_000,
  );

  test("of escapes only still fits into the JSON that a server takes", async () => {
    const comm = '"\\\x1b'.repeat(5000);
    const { message } = await sent([alertOf({ labels: { comm } })]);
    expect(message.length).toBeGreaterThan(1000);
  });

  test("leaves out a link that is too long for it", async () => {
    const runbook = `https://wiki.example/${"x".repeat(5000)}`;
    const { actions } = await sent([alertOf({ annotations: { summary: "s", runbook } })]);
    expect(actions).toBeUndefined();
  });
});

describe("an answer", () => {
  const failure = async (sink: GroupSink): Promise<DeliveryError> =>
    await sink.notify(notificationOf([alertOf()]), context).catch((thrown) => thrown);

  test("403 for a token that the server doesn't know is final, and never shows it", async () => {
    const error = await failure(sinkWith({ token: "tk_wr0ng" }));
    expect([error.final, error.message])
      .toEqual([true, `answered 403: {"code":40301,"http":403,"error":"forbidden"}`]);
    expect(service.refused.splice(0)).toHaveLength(1);
  });

  test("never shows the topic or the token", async () => {
    const traced: string[] = [];
    const trace = (_: string, lines: string): void => void traced.push(lines);
    const env = { TOPIC: topic, TOKEN: token };
    const sink = sinkWith({ topic: { env: "TOPIC" }, token: { env: "TOKEN" } }, { env, trace });
    await sink.notify(notificationOf([alertOf()]), context);
    service.answers(429, {}, `too many for ${topic} and ${token}`);
    const error = await failure(sink);
    expect(error.final).toBe(false);
    expect(traced).toHaveLength(4);
    expect([...traced, error.message].join("\n")).not.toMatch(/s3cret|tk_/);
  });
});

test("a topic and a token have their forms, and aren't shown where they have none", () => {
  for (const wrong of ["", "a/s3cret", "a b", "s3cret".repeat(11)]) {
    expect(() => sinkWith({ topic: wrong })).toThrow("must be 1 to 64 letters, digits, _ and -");
  }
  expect(() => sinkWith({ token: "a\nb" })).toThrow("ASCII without white space");
});

test("on the command line the topic is the word, the rest is in the environment", async () => {
  const env = { DROPWATCH_NTFY_URL: service.url("/"), DROPWATCH_NTFY_TOKEN: token };
  const sink = sinkOf<GroupSink>("ntfy=drops", { env });
  await sink.notify(notificationOf([alertOf()]), context);
  expect(service.published[0]!.topic).toBe("drops");
  expect(sinkOf("ntfy=drops").rate).toEqual({ perSecond: 0.2, burst: 60 });
});

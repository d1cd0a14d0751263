// What is special to PagerDuty; what every sink promises is in test/contract/sink.ts.
import { describe, expect, test } from "bun:test";
import type { AlertMessage } from "../../core/alert/alert.ts";
import type { Notification } from "../../core/alert/notification.ts";
import type { DeliveryError, GroupSink } from "../../core/alert/sink.ts";
import type { AlertEvidence } from "../../core/watch/evidence.ts";
import { alertOf, hostileNames, rawControl } from "../../test/alert.ts";
import { httpSinkContract } from "../../test/contract/sink.ts";
import { randomFrom } from "../../test/random.ts";
import { inEachTest } from "../../test/services/each_test.ts";
import { Pagerduty } from "../../test/services/pagerduty.ts";
import type { PagerdutyEvent } from "../../test/services/pagerduty.ts";
import { notificationOf, sinkOf } from "../../test/sink.ts";
import { pagerduty } from "./pagerduty.ts";
import type { PagerdutyOptions } from "./pagerduty.ts";
import type { SinkSetting } from "./registry.ts";

const routingKey = "0123456789abcdefABCDEF9876543210";

httpSinkContract("pagerduty", { make: (url) => sinkOf(pagerduty({ routingKey, url })) });

let service: Pagerduty;
inEachTest(() => service = new Pagerduty(routingKey));

const context = { id: "msg_1", signal: new AbortController().signal };
const sinkWith = (
  options: Partial<PagerdutyOptions> = {},
  setting: Partial<SinkSetting> = {},
): GroupSink =>
  sinkOf<GroupSink>(
    pagerduty({ routingKey, url: service.url("/v2/enqueue"), source: "web1", ...options }),
    setting,
  );
const sent = async (
  alerts: readonly AlertMessage[],
  parts: Partial<Notification> = {},
): Promise<PagerdutyEvent> => {
  await sinkWith().notify(notificationOf(alerts, parts), context);
  return service.events.at(-1)!;
};
const resolvedAt = "2026-01-02T03:09:05.000Z";

describe("an event", () => {
  test("says what is going on, where, how bad, and what to do", async () => {
    const alert = alertOf({
      severity: "critical",
      labels: { owner: "nginx", dev: "eth0" },
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
    const event = await sent([alert], {
      groupKey: "the group",
      groupLabels: { alertname: "SocketFilterDrops", dev: "eth0" },
      externalURL: "https://dropwatch.example/a",
    });
    expect(event).toEqual({
      routing_key: routingKey,
      event_action: "trigger",
      // printf 'web1\nthe group' | sha256sum
      dedup_key: "f8e1b7e868455c6d3ccfbd1ba2d167a1aab463ca2f95453017c2ca0f2e85757d",
      payload: {
        summary: "FIRING SocketFilterDrops: a socket refuses packets",
        source: "web1",
        severity: "critical",
        timestamp: "2026-01-02T03:04:05.000Z",
        component: "nginx",
        group: "dev=eth0",
        class: "SocketFilterDrops",
        custom_details: {
          ownerInode: "4711",
          owner: "nginx",
          dev: "eth0",
          value: "250.5",
          peak: "300",
          drops: "12,345",
          since: "2026-01-02 03:04:05 UTC",
          "more about it": "look at the filter\nin sk_filter_trim_cap+0x9b",
        },
      },
      links: [
        { href: "https://wiki.example/filter", text: "runbook" },
        { href: "https://elixir.example/sk_filter_trim_cap", text: "kernel source" },
        { href: "https://dropwatch.example/a", text: "dashboard" },
      ],
      client: "dropwatch",
      client_url: "https://dropwatch.example/a",
    });
  });

  test("that resolves has the key of the one that triggered, and the numbers at the end", async () => {
    const groupKey = `{}:{comm="${"x".repeat(100_000)}"}`;
    const first = await sent([alertOf()], { groupKey });
    const last = await sent([alertOf({ endsAt: resolvedAt, value: 0 })], { groupKey });
    expect([first.event_action, last.event_action]).toEqual(["trigger", "resolve"]);
    expect(last.dedup_key).toBe(first.dedup_key);
    expect((await sent([alertOf()], { groupKey: `${groupKey}.` })).dedup_key)
      .not.toBe(first.dedup_key);
    await sinkWith({ source: "web2" }).notify(notificationOf([alertOf()], { groupKey }), context);
    expect(service.events.at(-1)!.dedup_key).not.toBe(first.dedup_key);
    expect(last.payload.custom_details).toMatchObject({ value: "0", peak: "300", lasted: "5m" });
  });

  test("of a group triggers as long as one alert fires, and tells the others", async () => {
    const alerts = Array.from({ length: 60 }, (_, i) =>
      alertOf({
        labels: { comm: `worker${i}` },
        annotations: { summary: `worker${i} loses` },
        ...(i > 2 ? { endsAt: resolvedAt } : {}),
      }));
    const event = await sent(alerts);
    expect(event.event_action).toBe("trigger");
    const details = event.payload.custom_details!;
    expect(details["alerts in all"]).toBe("3 firing, 57 resolved");
    const others = details["other alerts"] as string[];
    expect(others).toHaveLength(21);
    expect(others[0]).toMatch(/^firing: worker\d+ loses \(ownerInode 4711, comm worker\d+, value /);
    expect(others[2]).toMatch(/^resolved: worker\d+ loses \(/);
    expect(others.at(-1)).toBe("and 39 more alerts");
  });

  test("with the text of a config has that, and nothing that it left out", async () => {
    const text = (): string => "mine\nline 1\nline 2";
    const sink = sinkOf<GroupSink>(
      pagerduty({ routingKey, url: service.url("/v2/enqueue"), text }),
    );
    await sink.notify(notificationOf([alertOf(), alertOf({ labels: { dev: "x" } })]), context);
    expect(service.events[0]!.payload).toMatchObject({
      summary: "mine",
      custom_details: { "more about it": "line 1\nline 2", "other alerts": [] },
    });
  });

  test("over 512 KB goes without its details", async () => {
    const long = "x".repeat(600_000);
    const runbook = `https://wiki.example/${long}`;
    const event = await sent(
      [alertOf({ annotations: { summary: long, description: long, runbook } })],
      { externalURL: runbook },
    );
    expect([event.links, event.client_url]).toEqual([[], undefined]);
    expect(event.payload.summary).toMatch(/^FIRING SocketFilterDrops: x+…$/);
    expect(event.payload.summary).toHaveLength(1024);
    expect(event.payload.custom_details)
      .toEqual({ note: "the details were left out: more than 512 KB" });
  });

  test("is taken whatever a stranger chose, and has no control character in any text", async () => {
    const random = randomFrom(5);
    const pieces = [...hostileNames, "[x](https://evil.example)", "<a href=x>", "😀", "", "a b"];
    const name = (): string =>
      Array.from({ length: random.int(0, 5) }, () => random.pick(pieces)).join("")
        .repeat(random.chance(0.1) ? 500 : 1);
    const texts = (value: unknown): string[] =>
      typeof value === "string"
        ? [value]
        : typeof value === "object" && value !== null
        ? Object.entries(value).flatMap(([key, each]) => [key, ...texts(each)])
        : [];
    for (let round = 0; round < 100; round++) {
      const alerts = Array.from({ length: random.int(1, 4) }, () =>
        alertOf({
          labels: { comm: name(), owner: name(), container: name(), [`l${round}`]: name() },
          annotations: { summary: name(), description: name(), runbook: name(), note: name() },
          ...(random.chance(0.3) ? { endsAt: resolvedAt } : {}),
        }));
      const { payload, links, ...rest } = await sent(alerts, {
        groupKey: name(),
        groupLabels: { comm: name() },
        externalURL: name(),
      });
      expect(links).toEqual([]);
      expect(rest.client_url).toBeUndefined();
      const { custom_details: details, ...fields } = payload;
      for (const text of texts(fields)) {
        expect(text).not.toMatch(rawControl);
        expect(text.isWellFormed()).toBe(true);
      }
      // Lines are ours: each begins a paragraph of its own.
      for (const text of texts(details)) {
        for (const line of text.split("\n")) expect(line).not.toMatch(rawControl);
      }
    }
    expect(service.events).toHaveLength(100);
  }, 20_000);
});

describe("an answer", () => {
  test("202 is delivered", async () => {
    expect(await sinkWith().notify(notificationOf([alertOf()]), context))
      .toEqual({ answer: "202" });
  });

  test("400 for a key that PagerDuty doesn't know is final, and says so without it", async () => {
    const other = "f".repeat(32);
    const error = await sinkWith({ routingKey: other }).notify(notificationOf([alertOf()]), context)
      .catch((thrown) => thrown) as DeliveryError;
    expect(error.final).toBe(true);
    expect(error.message).toContain("Invalid routing key");
    expect(error.message).not.toContain(other);
    expect(service.refused.splice(0)).toHaveLength(1);
  });

  test("never shows the key, though it is in the body", async () => {
    const traced: string[] = [];
    const env = { PD: routingKey };
    const trace = (_: string, lines: string): void => void traced.push(lines);
    await sinkWith({ routingKey: { env: "PD" } }, { env, trace })
      .notify(notificationOf([alertOf()]), context);
    expect(traced[0]).toContain(`"routing_key":"•••"`);
    expect(traced.join("\n")).not.toContain(routingKey);
  });
});

test("a routing key is 32 letters and digits, and isn't shown where it is none", () => {
  for (const key of ["", "e+kd5BWM-NCknhB3XnYg", `${routingKey}0`, "s3cret"]) {
    expect(() => sinkWith({ routingKey: key })).toThrow("must be 32 letters and digits");
    try {
      sinkWith({ routingKey: key });
    } catch (thrown) {
      if (key !== "") expect(String(thrown)).not.toContain(key);
    }
  }
  expect(sinkOf("pagerduty=env:PD", { env: { PD: routingKey } }).name).toBe("pagerduty");
});

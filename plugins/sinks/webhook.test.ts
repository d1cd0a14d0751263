// What is special to the webhook; what every sink promises is in test/contract/sink.test.ts.
import type { AlertEvidence } from "../../core/watch/evidence.ts";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as v from "valibot";
import { fingerprint } from "../../core/alert/alert.ts";
import { makeNotification } from "../../core/alert/notification.ts";
import type { Notification } from "../../core/alert/notification.ts";
import { alertOf, hostileNames } from "../../test/alert.ts";
import type { AlertMessage } from "../../core/alert/alert.ts";
import type { Delivered } from "../../core/alert/sink.ts";
import { Receiver } from "../../test/receiver.ts";
import type { Received } from "../../test/receiver.ts";
import { httpSinkContract } from "../../test/contract/sink.ts";
import { randomFrom } from "../../test/random.ts";
import { WebhookSchema } from "../../test/services/alertmanager.ts";
import { CloudEventSchema } from "../../test/services/cloudevents.ts";
import { give, notificationOf, sinkOf } from "../../test/sink.ts";
import { retryAfter } from "../http.ts";
import { alertmanagerBody, cloudEventBody, nativeBody, signWith, webhook } from "./webhook.ts";
import type { WebhookOptions } from "./webhook.ts";

httpSinkContract("webhook", {
  make: (url) => sinkOf(`webhook=${url}`, { env: { DROPWATCH_WEBHOOK_SECRET: secret } }),
  read: (text) => JSON.parse(text),
});

httpSinkContract("webhook as Alertmanager's", {
  make: (url) => sinkOf(webhook({ url, format: "alertmanager" })),
  // How many there are is told by those that are left out.
  show: (body) => {
    const { alerts, truncatedAlerts } = v.parse(WebhookSchema, JSON.parse(body));
    return `${alerts.length + truncatedAlerts} ${body}`;
  },
});

httpSinkContract("webhook as CloudEvents", {
  make: (url) => sinkOf(webhook({ url, format: "cloudevents" })),
  read: (text) => {
    const { type, time, data } = v.parse(CloudEventSchema, JSON.parse(text));
    return { type: type.replace("dropwatch.", ""), timestamp: time, data } as AlertMessage;
  },
});

let receiver: Receiver;

beforeEach(async () => {
  receiver = new Receiver();
  await receiver.open();
});

afterEach(() => receiver.close());

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const context = { id: "msg_7", signal: new AbortController().signal };
const send = (
  options: WebhookOptions,
  alert: AlertMessage = alertOf(),
): Promise<Delivered | void> => give(sinkOf(webhook(options)), alert, context);

describe("a request", () => {
  test("is a POST of JSON to the URL as it was given", async () => {
    await send({ url: receiver.url("/a/b?token=1%202") });
    const [{ method, path, headers, body }] = receiver.received as [Received];
    expect([method, path]).toEqual(["POST", "/a/b?token=1%202"]);
    expect(headers["content-type"]).toBe("application/json");
    expect(headers["user-agent"]).toBe("dropwatch");
    expect(JSON.parse(body).type).toBe("alert.firing");
  });

  test("has the headers of Standard Webhooks: an id, and the seconds of the attempt", async () => {
    const setting = { now: () => 1_614_265_330_999 };
    await give(sinkOf(`webhook=${receiver.url()}`, setting), alertOf(), context);
    const { headers } = receiver.received[0]!;
    expect(headers["webhook-id"]).toBe("msg_7");
    expect(headers["webhook-timestamp"]).toBe("1614265330");
    expect(headers["webhook-signature"]).toBeUndefined();
  });

  test("is signed where there is a secret, over what was sent", async () => {
    await send({ url: receiver.url(), secret });
    const { headers, body } = receiver.received[0]!;
    const at = Number(headers["webhook-timestamp"]);
    expect(headers["webhook-signature"]).toBe(signWith(secret, "msg_7", at, body));
  });

  test("is signed with each of several secrets, while one is replaced by the other", async () => {
    const other = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
    await send({ url: receiver.url(), secret: [secret, other] });
    const { headers, body } = receiver.received[0]!;
    const at = Number(headers["webhook-timestamp"]);
    expect(headers["webhook-signature"]).toBe(
      `${signWith(secret, "msg_7", at, body)} ${signWith(other, "msg_7", at, body)}`,
    );
  });

  test("is under 20 KB: evidence and long texts are cut, the alert itself is not", async () => {
    const long = "long ".repeat(10_000);
    const alert = alertOf({
      annotations: { summary: `ü${long}`, description: long, runbook: "https://x.example/" },
      evidence: {
        stacks: Array(1000).fill({ drops: 1, stack: [long.slice(0, 100)] }),
      } as unknown as AlertEvidence,
    });
    await send({ url: receiver.url() }, alert);
    const { body } = receiver.received[0]!;
    expect(Buffer.byteLength(body)).toBeLessThan(20_000);
    const { data } = JSON.parse(body);
    expect({ ...data, annotations: null }).toEqual({
      ...alert.data,
      evidence: {},
      annotations: null,
    });
    expect(data.annotations.summary).toMatch(/^ülong .*…$/);
    expect(data.annotations.runbook).toBe("https://x.example/");
  });

  test("is under 20 KB whatever the labels are", async () => {
    const stack = "some_function_of_the_kernel;".repeat(2000);
    await send({ url: receiver.url() }, alertOf({ labels: { stack, team: "ü".repeat(9000) } }));
    const { body } = receiver.received[0]!;
    expect(Buffer.byteLength(body)).toBeLessThan(20_000);
    const { labels } = JSON.parse(body).data;
    expect(labels.alertname).toBe("SocketFilterDrops");
    expect(labels.stack).toMatch(/^some_function_of_the_kernel;.*…$/);
  });
});

describe("a format", () => {
  const alerts = [
    alertOf({
      labels: { dev: "eth0", comm: "" },
      annotations: { summary: "s", runbook: "https://x.example/r" },
      evidence: { source: "https://x.example/source", site: "f" } as AlertEvidence,
    }),
    alertOf({ labels: { dev: "eth1", comm: "" }, endsAt: "2026-01-02T03:09:05.000Z" }),
  ];
  const notification = notificationOf(alerts, {
    receiver: "hook",
    groupKey: `{}:{alertname="SocketFilterDrops"}`,
    groupLabels: { alertname: "SocketFilterDrops", comm: "" },
    externalURL: "https://dropwatch.example/",
  });

  test("is signed as the native one, and says what it is", async () => {
    for (
      const [format, type] of [
        ["native", "application/json"],
        ["alertmanager", "application/json"],
        ["cloudevents", "application/cloudevents+json; charset=utf-8"],
      ] as const
    ) {
      await send({ url: receiver.url(), secret, format });
      const { headers, body } = receiver.received.at(-1)!;
      expect(headers["content-type"]).toBe(type);
      expect(headers["webhook-id"]).toBe("msg_7");
      expect(headers["webhook-signature"])
        .toBe(signWith(secret, "msg_7", Number(headers["webhook-timestamp"]), body));
    }
    expect(() => sinkOf(webhook({ url: "http://x.example/", format: "xml" as never })))
      .toThrow("expected native, alertmanager or cloudevents");
  });

  test("of Alertmanager is version 4, as the real one sends it", () => {
    const common = { alertname: "SocketFilterDrops", severity: "warning", ownerInode: "4711" };
    const labels = [{ ...common, dev: "eth0" }, { ...common, dev: "eth1" }] as const;
    const numbers = { value: "250.5", peak: "300", drops: "12,345" };
    const startsAt = "2026-01-02T03:04:05.000Z";
    expect(v.parse(WebhookSchema, JSON.parse(alertmanagerBody(notification)))).toEqual({
      version: "4",
      receiver: "hook",
      status: "firing",
      groupKey: `{}:{alertname="SocketFilterDrops"}`,
      groupLabels: { alertname: "SocketFilterDrops" },
      commonLabels: common,
      commonAnnotations: numbers,
      externalURL: "https://dropwatch.example/",
      truncatedAlerts: 0,
      alerts: [
        {
          status: "firing",
          labels: labels[0],
          annotations: { summary: "s", runbook: "https://x.example/r", ...numbers, site: "f" },
          startsAt,
          endsAt: "0001-01-01T00:00:00Z",
          generatorURL: "https://x.example/source",
          fingerprint: fingerprint(labels[0]),
        },
        {
          status: "resolved",
          labels: labels[1],
          annotations: { summary: "a socket refuses packets", ...numbers },
          startsAt,
          endsAt: "2026-01-02T03:09:05.000Z",
          generatorURL: "",
          fingerprint: fingerprint(labels[1]),
        },
      ],
    });
  });

  test("of CloudEvents has the id of the message, the host in its source, and our alert as its data", () => {
    const event = v.parse(
      CloudEventSchema,
      JSON.parse(cloudEventBody(notification, "msg_7", "web_1.example")),
    );
    const { data, ...attributes } = event;
    expect(attributes).toEqual({
      specversion: "1.0",
      id: "msg_7",
      source: "//web-1.example/dropwatch",
      type: "dropwatch.alert.firing",
      time: notification.timestamp,
      subject: `SocketFilterDrops/${alerts[0]!.data.fingerprint}`,
      datacontenttype: "application/json",
    });
    expect(data).toEqual(JSON.parse(nativeBody(notification)).data);
  });

  test("holds its form and 20 KB for any notification", () => {
    const random = randomFrom(11);
    const pieces = [...hostileNames, "\\", '"', "\u202e", "ü", "😀", "a", "\ud83d", ""];
    const text = (): string =>
      Array.from({ length: random.int(0, 4) }, () => random.pick(pieces))
        .join("").repeat(random.chance(0.02) ? 1000 : random.chance(0.1) ? 30 : 1);
    const set = (most: number): Record<string, string> =>
      Object.fromEntries(
        Array.from(
          { length: random.int(0, most) },
          (_, i) => [`${random.chance(0.9) ? "l" : text()}${i}`, text()],
        ),
      );
    for (let round = 0; round < 40; round++) {
      const count = random.pick([1, 2, 5, 80]);
      const most = count === 1 ? 200 : 5;
      const some = Array.from({ length: count }, () =>
        alertOf({
          labels: set(most),
          annotations: set(most),
          ...(random.chance(0.3) ? { endsAt: "2026-01-02T03:09:05.000Z" } : {}),
        }).data);
      const notification: Notification = makeNotification({
        receiver: text(),
        reason: "first notification",
        timestamp: "2026-01-02T03:09:05.000Z",
        groupKey: text(),
        groupLabels: set(3),
        externalURL: "https://dropwatch.example/",
      }, some);
      const native = nativeBody(notification);
      const theirs = alertmanagerBody(notification);
      const event = cloudEventBody(notification, "msg_7", "h".repeat(253));
      for (const body of [native, theirs, event]) {
        expect(Buffer.byteLength(body)).toBeLessThan(20_000);
      }
      const { alerts, truncatedAlerts } = v.parse(WebhookSchema, JSON.parse(theirs));
      expect(alerts.length + truncatedAlerts).toBe(some.length);
      expect(v.is(CloudEventSchema, JSON.parse(event))).toBe(true);
      const { type, data } = JSON.parse(native);
      expect(type).toBe(`alert.${notification.status}`);
      expect(data.fingerprint).toBe(notification.alerts[0]!.fingerprint);
      expect(data.labels.alertname).toBe("SocketFilterDrops");
      if (some.length > 1) {
        expect(1 + data.group.alerts.length + data.group.truncatedAlerts).toBe(some.length);
      }
    }
  }, 20_000);
});

describe("the signature of Standard Webhooks", () => {
  test("is the known answer for its known example", () => {
    const id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    expect(signWith(secret, id, 1_614_265_330, '{"test": 2432232314}'))
      .toBe("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  });

  test("needs a secret of 24 to 64 bytes in its own form", () => {
    const secretOf = (bytes: number): string =>
      `whsec_${Buffer.alloc(bytes, 1).toString("base64")}`;
    for (const bytes of [24, 64]) {
      expect(sinkOf(webhook({ url: "http://x.example/", secret: secretOf(bytes) })).name).toBe(
        "webhook",
      );
    }
    for (
      const wrong of [
        secretOf(23),
        secretOf(65),
        "",
        "whsec_",
        "MfKQ9r8GKYqrTwjUPD8I",
      ]
    ) {
      expect(() => sinkOf(webhook({ url: "http://x.example/", secret: wrong })))
        .toThrow('its secret must be "whsec_" and base64 of 24 to 64 bytes');
    }
  });
});

describe("Retry-After", () => {
  const now = Date.parse("2026-01-02T03:04:05Z");

  test("is seconds, or a date of HTTP", () => {
    expect(retryAfter("120", now)).toBe(120_000);
    expect(retryAfter(" 0 ", now)).toBe(0);
    expect(retryAfter("Fri, 02 Jan 2026 03:05:05 GMT", now)).toBe(60_000);
  });

  test("in the past is at once, far in the future an hour", () => {
    expect(retryAfter("Fri, 02 Jan 2026 03:00:00 GMT", now)).toBe(0);
    expect(retryAfter("999999999999", now)).toBe(3_600_000);
    expect(retryAfter("9".repeat(400), now)).toBe(3_600_000);
  });

  test("that can't be read is none", () => {
    for (const value of [null, "", "soon", "1.5 hours"]) {
      expect([value, retryAfter(value, now)]).toEqual([value, undefined]);
    }
  });
});

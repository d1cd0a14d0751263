// What is special to the webhook; what every sink promises is in test/contract/sink.test.ts.
import type { AlertEvidence } from "../../core/watch/evidence.ts";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { alertOf } from "../../test/alert.ts";
import type { AlertMessage } from "../../core/alert/alert.ts";
import type { Delivered } from "../../core/alert/sink.ts";
import { Receiver } from "../../test/receiver.ts";
import type { Received } from "../../test/receiver.ts";
import { httpSinkContract } from "../../test/contract/sink.ts";
import { give, notificationOf, sinkOf } from "../../test/sink.ts";
import { retryAfter } from "./http.ts";
import { nativeBody, signWith, webhook } from "./webhook.ts";
import type { WebhookOptions } from "./webhook.ts";

httpSinkContract("webhook", {
  make: (url) => sinkOf(`webhook=${url}`, { env: { DROPWATCH_WEBHOOK_SECRET: secret } }),
  read: (text) => JSON.parse(text),
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

describe("a group that is too large", () => {
  test("has as many of its alerts as there is room for, and says how many it leaves out", () => {
    const alerts = Array.from(
      { length: 40 },
      (_, i) => alertOf({ labels: { comm: `${i}`.padEnd(700, "x") } }),
    );
    const most = 20_000;
    const body = nativeBody(notificationOf(alerts), most);
    const { group } = JSON.parse(body).data;
    expect(Buffer.byteLength(body)).toBeLessThan(most);
    // One more would not have fitted.
    expect(Buffer.byteLength(body)).toBeGreaterThan(most - 2000);
    expect(group.alerts.length).toBeGreaterThan(5);
    expect(group.alerts.length + group.truncatedAlerts).toBe(39);
  });
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

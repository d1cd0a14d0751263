import { hostname } from "node:os";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { AlertMessage } from "../../core/alert/alert.ts";
import type { AlertSink, DeliveryError } from "../../core/alert/sink.ts";
import { alertOf, hostileNames, rawControl } from "../../test/alert.ts";
import { httpSinkContract } from "../../test/contract/sink.ts";
import { randomFrom } from "../../test/random.ts";
import { Receiver } from "../../test/receiver.ts";
import { entriesOf, standForLoki } from "../../test/services/loki.ts";
import type { Entry } from "../../test/services/loki.ts";
import { sinkOf } from "../../test/sink.ts";
import type { SinkSetting } from "./registry.ts";
import { loki } from "./loki.ts";
import type { LokiOptions } from "./loki.ts";

httpSinkContract("loki", {
  make: (url) => sinkOf(`loki=${url}`),
  accepted: "",
  read: (text) => JSON.parse(JSON.parse(text).streams[0].values[0][1]),
});

const context = { id: "msg_7", signal: new AbortController().signal };
let receiver: Receiver;
let refused: readonly string[] = [];

beforeEach(async () => {
  receiver = new Receiver();
  await receiver.open();
  refused = standForLoki(receiver);
});

afterEach(async () => {
  await receiver.close();
  expect(refused).toEqual([]);
});

const sinkTo = (
  options: Partial<LokiOptions> = {},
  setting: Partial<SinkSetting> = {},
): AlertSink => sinkOf<AlertSink>(loki({ url: receiver.url("/"), ...options }), setting);

/** The entry that arrives of an alert. */
async function sent(alert: AlertMessage, sink = sinkTo()): Promise<Entry> {
  const { answer } = (await sink.send(alert, context))!;
  expect(answer).toBe("204");
  const [entry, ...rest] = entriesOf(receiver.received.at(-1)!);
  expect(rest).toEqual([]);
  return entry!;
}

describe("an entry", () => {
  test("is the alert as JSON, at its time, in a stream of few labels", async () => {
    const { labels, at, line } = await sent(alertOf({ severity: "critical" }));
    expect(labels).toEqual({
      job: "dropwatch",
      host: hostname(),
      alertname: "SocketFilterDrops",
      severity: "critical",
    });
    expect(at).toBe(BigInt(Date.parse("2026-01-02T03:04:05.000Z")) * 1_000_000n);
    expect(JSON.parse(line)).toEqual(
      JSON.parse(JSON.stringify(alertOf({ severity: "critical" }))),
    );
  });

  test("is in the same stream whatever the alert is by, and when it is over", async () => {
    const first = await sent(alertOf({ labels: { comm: "a", owner: "b" } }));
    for (const comm of [...hostileNames, "c".repeat(5000)]) {
      expect((await sent(alertOf({ labels: { comm } }))).labels).toEqual(first.labels);
    }
    expect((await sent(alertOf({ endsAt: "2026-01-02T03:09:05.000Z" }))).labels)
      .toEqual(first.labels);
  });

  test("is the same when it is sent again: Loki keeps it once", async () => {
    const alert = alertOf();
    await sent(alert);
    await sent(alert);
    const [first, second] = receiver.received;
    expect(first!.body).toBe(second!.body);
  });

  test("has the labels that it is told to have", async () => {
    const { labels } = await sent(
      alertOf(),
      sinkTo({ labels: { env: "prod", dc: "x".repeat(5000) } }),
    );
    expect(labels["env"]).toBe("prod");
    expect(labels["dc"]).toMatch(/^x+…$/);
  });

  test("fits, however long names are", async () => {
    const long = "\u2028".repeat(100_000);
    const alert = alertOf({
      labels: { alertname: `ü${long}`, comm: "x".repeat(300_000) },
      annotations: { summary: long, description: long },
    });
    const { labels, line } = await sent(alert);
    expect(labels["alertname"]).toMatch(/^ü\u2028+…$/);
    expect(JSON.parse(line).data.fingerprint).toBe(alert.data.fingerprint);
  });

  test("holds whatever a stranger chose as text, and nothing else", async () => {
    const random = randomFrom(12);
    for (let i = 0; i < 100; i++) {
      const comm = random.pick(hostileNames) +
        Array.from({ length: random.int(0, 30) }, () => random.pick([...`"{}[],:\\\n\0\ud800é`]))
          .join("");
      const alert = alertOf({ labels: { comm }, annotations: { summary: comm } });
      const { labels, line } = await sent(alert);
      expect(line).not.toMatch(rawControl);
      expect(JSON.parse(line)).toEqual(JSON.parse(JSON.stringify(alert)));
      expect(Object.keys(labels)).toEqual(["job", "host", "alertname", "severity"]);
    }
  });
});

describe("a request", () => {
  test("goes to /loki/api/v1/push where the URL has no path, and elsewhere as it is", async () => {
    for (const path of ["/", "", "/loki/loki/api/v1/push"]) {
      await sent(alertOf(), sinkTo({ url: receiver.url(path) }));
    }
    expect(receiver.received.map(({ path }) => path))
      .toEqual(["/loki/api/v1/push", "/loki/api/v1/push", "/loki/loki/api/v1/push"]);
  });

  test("logs in with a name and a password, or a token, and names the tenant", async () => {
    const env = { PASSWORD: "pass:wörd", TOKEN: "glc_abc" };
    await sent(
      alertOf(),
      sinkTo({ user: "12345", password: { env: "PASSWORD" }, tenant: "a|b" }, { env }),
    );
    await sent(alertOf(), sinkTo({ token: { env: "TOKEN" } }, { env }));
    await sent(alertOf());
    const [basic, bearer, none] = receiver.received.map(({ headers }) => headers);
    expect(Buffer.from(basic!.authorization!.slice(6), "base64").toString())
      .toBe("12345:pass:wörd");
    expect(basic!["x-scope-orgid"]).toBe("a|b");
    expect(bearer!.authorization).toBe("Bearer glc_abc");
    expect([none!.authorization, none!["x-scope-orgid"]]).toEqual([undefined, undefined]);
  });

  test("never tells a password, in whatever form", async () => {
    const traced: string[] = [];
    const env = { PASSWORD: "s3cret" };
    const sink = sinkTo({ user: "me", password: { env: "PASSWORD" } }, {
      env,
      trace: (_, lines) => traced.push(lines),
    });
    const pair = Buffer.from("me:s3cret").toString("base64");
    receiver.answers(401, {}, `who is s3cret, or ${pair}`);
    const error = await sink.send(alertOf(), context).then(() => undefined, (thrown) => thrown);
    expect((error as DeliveryError).message).toBe("answered 401: who is •••, or •••");
    expect(traced.join()).not.toContain("s3cret");
    expect(traced.join()).not.toContain(pair);
  });

  test("that is too late for Loki is final, and the error has its words", async () => {
    receiver.answers(400, {}, "entry too far behind, oldest acceptable timestamp is: 2026-01-02");
    const error = await sinkTo().send(alertOf(), context).then(() => undefined, (thrown) => thrown);
    expect([error.final, error.message]).toEqual([
      true,
      "answered 400: entry too far behind, oldest acceptable timestamp is: 2026-01-02",
    ]);
  });
});

test("options that can't be are told", () => {
  for (
    const [options, expected] of [
      [{ user: "me" }, "it needs a user and a password, or neither"],
      [{ password: "s3cret" }, "it needs a user and a password, or neither"],
      [{ token: "a", user: "me", password: "b" }, "not both"],
      [{ token: "a\r\nb" }, "its token has characters that no token has"],
      [{ tenant: "a\r\nb: c" }, "its tenant can't be used: expected a tenant's id"],
      [{ labels: { "a b": "c" } }, "expected a label's name"],
      [{ labels: { host: "c" } }, "expected other labels than job, alertname, severity, host"],
      [
        { labels: Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`l${i}`, ""])) },
        "expected ten labels or fewer",
      ],
    ] as const
  ) {
    expect(() => sinkTo(options as Partial<LokiOptions>)).toThrow(expected);
  }
});

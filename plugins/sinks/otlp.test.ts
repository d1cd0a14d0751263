import { hostname } from "node:os";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { AlertEvidence } from "../../core/watch/evidence.ts";
import type { AlertMessage } from "../../core/alert/alert.ts";
import type { AlertSink, DeliveryError } from "../../core/alert/sink.ts";
import { version } from "../../core/version.ts";
import { alertOf, hostileNames, rawControl } from "../../test/alert.ts";
import { httpSinkContract } from "../../test/contract/sink.ts";
import { randomFrom } from "../../test/random.ts";
import { Receiver } from "../../test/receiver.ts";
import { recordsOf, standForCollector } from "../../test/services/otlp.ts";
import type { LogRecord } from "../../test/services/otlp.ts";
import { sinkOf } from "../../test/sink.ts";
import type { SinkSetting } from "./registry.ts";
import { otlp } from "./otlp.ts";
import type { OtlpOptions } from "./otlp.ts";

httpSinkContract("otlp", {
  make: (url) => sinkOf(`otlp=${url}`),
  accepted: "{}",
  readsAnswer: true,
  again: [429, 502, 503, 504],
  final: [400, 401, 403, 404, 408, 410, 413, 425, 500, 501],
});

const context = { id: "msg_7", signal: new AbortController().signal };
let receiver: Receiver;
let refused: readonly string[] = [];

beforeEach(async () => {
  receiver = new Receiver();
  await receiver.open();
  refused = standForCollector(receiver);
});

afterEach(async () => {
  await receiver.close();
  expect(refused).toEqual([]);
});

const sinkTo = (
  options: Partial<OtlpOptions> = {},
  setting: Partial<SinkSetting> = {},
): AlertSink => sinkOf<AlertSink>(otlp({ url: receiver.url("/"), ...options }), setting);

/** The record that arrives of an alert. */
async function sent(alert: AlertMessage, sink = sinkTo()): Promise<LogRecord> {
  const { answer } = (await sink.send(alert, context))!;
  expect(answer).toBe("200");
  const [record, ...rest] = recordsOf(receiver.received.at(-1)!);
  expect(rest).toEqual([]);
  return record!;
}

const failure = async (sink = sinkTo()): Promise<DeliveryError> =>
  await sink.send(alertOf(), context).then(
    () => Promise.reject(new Error("it was delivered")),
    (thrown) => thrown as DeliveryError,
  );

describe("a record", () => {
  test("tells the alert: its time, its summary, its labels and its numbers", async () => {
    expect(await sent(alertOf({ annotations: { summary: "a socket refuses", team: "net" } })))
      .toEqual({
        resource: {
          "service.name": "dropwatch",
          "service.version": version,
          "host.name": hostname(),
        },
        scope: "dropwatch",
        at: BigInt(Date.parse("2026-01-02T03:04:05.000Z")) * 1_000_000n,
        severityNumber: 13,
        severityText: "WARN",
        eventName: "dropwatch.alert",
        body: "a socket refuses",
        attributes: {
          "dropwatch.message.id": "msg_7",
          "dropwatch.alert.name": "SocketFilterDrops",
          "dropwatch.alert.status": "firing",
          "dropwatch.alert.severity": "warning",
          "dropwatch.alert.fingerprint": alertOf().data.fingerprint,
          "dropwatch.alert.starts_at": "2026-01-02T03:04:05.000Z",
          "dropwatch.alert.value": 250.5,
          "dropwatch.alert.peak": 300,
          "dropwatch.alert.total": 12_345,
          "dropwatch.alert.exact": true,
          "dropwatch.alert.lost": 0,
          "dropwatch.label.alertname": "SocketFilterDrops",
          "dropwatch.label.severity": "warning",
          "dropwatch.label.ownerInode": "4711",
          "dropwatch.annotation.team": "net",
        },
      });
  });

  test("is as severe as the alert, and not at all when that is over", async () => {
    const severityOf = async (alert: AlertMessage): Promise<unknown[]> => {
      const { severityNumber, severityText } = await sent(alert);
      return [severityNumber, severityText];
    };
    const endsAt = "2026-01-02T03:09:05.000Z";
    expect(await severityOf(alertOf({ severity: "critical" }))).toEqual([18, "ERROR2"]);
    expect(await severityOf(alertOf({ severity: "warning" }))).toEqual([13, "WARN"]);
    expect(await severityOf(alertOf({ severity: "info" }))).toEqual([9, "INFO"]);
    expect(await severityOf(alertOf({ severity: "critical", endsAt }))).toEqual([9, "INFO"]);
  });

  test("of an alert that is over has its end, and that as its time", async () => {
    const endsAt = "2026-01-02T03:09:05.000Z";
    const { at, attributes } = await sent(alertOf({ endsAt }));
    expect(at).toBe(BigInt(Date.parse(endsAt)) * 1_000_000n);
    expect(attributes["dropwatch.alert.ends_at"]).toBe(endsAt);
    expect(attributes["dropwatch.alert.status"]).toBe("resolved");
  });

  test("has the evidence as lines", async () => {
    const evidence = { kept: 1, at: "sk_filter+0x1" } as unknown as AlertEvidence;
    const { attributes } = await sent(alertOf({ evidence }));
    expect(attributes["dropwatch.alert.evidence"]).toEqual(["in sk_filter+0x1"]);
  });

  test("has large numbers whole, and others as they are", async () => {
    const numbers = { value: 0.1, peak: 1e300, total: 2 ** 53 - 1, lost: 2 ** 60 };
    const { attributes } = await sent(alertOf(numbers));
    for (const [name, value] of Object.entries(numbers)) {
      expect(attributes[`dropwatch.alert.${name}`]).toBe(value);
    }
  });

  test("says what the resource is told to be", async () => {
    const resource = { "deployment.environment.name": "prod", "service.name": "drops" };
    expect((await sent(alertOf(), sinkTo({ resource }))).resource)
      .toMatchObject({ ...resource, "host.name": hostname() });
  });

  test("keeps to 128 attributes and says how many it leaves out", async () => {
    const labels = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`l${i}`, "x"]));
    const { attributes } = await sent(alertOf({ labels }));
    expect(Object.keys(attributes)).toHaveLength(128);
    const { droppedAttributesCount } =
      JSON.parse(receiver.received[0]!.body).resourceLogs[0].scopeLogs[0].logRecords[0];
    expect(droppedAttributesCount).toBe(11 + 503 - 128);
  });

  test("holds whatever a stranger chose as text, and nothing else", async () => {
    const random = randomFrom(11);
    const plain = await sent(alertOf({ labels: { comm: "x" }, annotations: { summary: "x" } }));
    for (let i = 0; i < 100; i++) {
      const comm = random.pick(hostileNames) +
        Array.from({ length: random.int(0, 30) }, () => random.pick([...`"{}[],:\\\n\0\ud800é`]))
          .join("");
      const alert = alertOf({ labels: { comm }, annotations: { summary: comm } });
      const record = await sent(alert);
      expect(record.attributes["dropwatch.label.comm"]).toBe(comm.toWellFormed());
      expect(Object.keys(record.attributes)).toEqual(Object.keys(plain.attributes));
      expect(record.body).not.toMatch(rawControl);
    }
  });
});

describe("a request", () => {
  test("goes to /v1/logs where the URL has no path, and elsewhere as it is", async () => {
    for (const path of ["/", "", "/otlp/v1/logs", "/?a=b"]) {
      await sent(alertOf(), sinkTo({ url: receiver.url(path) }));
    }
    expect(receiver.received.map(({ path }) => path))
      .toEqual(["/v1/logs", "/v1/logs", "/otlp/v1/logs", "/?a=b"]);
  });

  test("has the headers that it is to have, and secrets are nowhere told", async () => {
    const traced: string[] = [];
    const said: string[] = [];
    const sink = sinkTo({
      headers: { Authorization: { env: "TOKEN" }, "x-team": "net", "content-type": "text/plain" },
    }, {
      env: { TOKEN: "Bearer s3cret" },
      trace: (_, lines) => traced.push(lines),
      log: (line) => said.push(line),
      inTheClear: (option) => said.push(option),
    });
    await sent(alertOf(), sink);
    const { headers } = receiver.received[0]!;
    expect([headers.authorization, headers["x-team"]]).toEqual(["Bearer s3cret", "net"]);
    expect(traced.join()).toContain("authorization: •••");
    expect(traced.join()).not.toContain("s3cret");
    expect(said).toEqual([]);
    receiver.answers(401, {}, "no such token: Bearer s3cret");
    expect((await failure(sink)).message).toBe("answered 401: no such token: •••");
  });

  test("warns of a key in the clear, not of what is none", () => {
    const said: string[] = [];
    const headers = { "x-api-key": "s3cret", "x-team": "net" };
    sinkTo({ headers }, { inTheClear: (option, sink) => said.push(`${option} of ${sink}`) });
    expect(said).toEqual(["header x-api-key of otlp"]);
  });

  test("never has a header that splits in two", () => {
    for (const headers of [{ "a: b": "c" }, { "": "c" }, { "a\n": "c" }, { a: "b\r\nc: d" }]) {
      expect(() => sinkTo({ headers })).toThrow(/Cannot set up the sink otlp/);
    }
  });
});

describe("an answer", () => {
  test("that some were refused is final, and says why", async () => {
    for (const rejectedLogRecords of [1, "1"]) {
      const partialSuccess = { rejectedLogRecords, errorMessage: "too old\x1b[2J" };
      receiver.answers(200, {}, JSON.stringify({ partialSuccess }));
      const { final, message } = await failure();
      expect([final, message]).toEqual([true, "refused: too old\\x1b[2J"]);
    }
    receiver.answers(200, {}, `{"partialSuccess":{"rejectedLogRecords":"1"}}`);
    expect((await failure()).message).toBe("refused: no reason given");
  });

  test("that refuses nothing is good, whatever else it says", async () => {
    const warning = { partialSuccess: { rejectedLogRecords: 0, errorMessage: "use gRPC" } };
    for (const text of ["", "{}", "null", "ok", "[]", JSON.stringify(warning)]) {
      receiver.answers(200, {}, text);
      await sinkTo().send(alertOf(), context);
    }
  });
});

// What is special to the sink for Alertmanager, with a real one; what every sink promises is in
// test/contract/sink.ts.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { fingerprint } from "../../core/alert/alert.ts";
import { shorten } from "../../core/alert/shorten.ts";
import type { AlertMessage } from "../../core/alert/alert.ts";
import type { Delivered, DeliveryError, MirrorSink } from "../../core/alert/sink.ts";
import type { AlertEvidence } from "../../core/watch/evidence.ts";
import { alertOf, hostileNames } from "../../test/alert.ts";
import { httpSinkContract } from "../../test/contract/sink.ts";
import { randomFrom } from "../../test/random.ts";
import { Receiver } from "../../test/receiver.ts";
import {
  Alertmanager,
  alertmanagerTest,
  tells,
  WebhookSchema,
} from "../../test/services/alertmanager.ts";
import type { WebhookBody } from "../../test/services/alertmanager.ts";
import { notificationOf, sinkOf, testSetting } from "../../test/sink.ts";
import * as v from "valibot";
import { textOf } from "../../core/alert/text.ts";
import { alertmanager, alertmanagerSink } from "./alertmanager.ts";
import type { AlertmanagerOptions } from "./alertmanager.ts";
import type { SinkContext } from "./kind.ts";
import type { SinkSetting } from "./registry.ts";
import { alertmanagerBody } from "./webhook.ts";

httpSinkContract("alertmanager", {
  make: (url) => sinkOf(`alertmanager=${url}`),
  adds: "/api/v2/alerts",
  // That an alert is over is told by its end.
  show: (body) => {
    const over = JSON.parse(body).map(({ endsAt }: { endsAt: string }) =>
      Date.parse(endsAt) > Date.now() ? "firing" : "resolved"
    );
    return `${over.join()} ${body}`;
  },
});

const context = { id: "msg_1", signal: new AbortController().signal };
const sinkWith = (
  options: AlertmanagerOptions,
  setting: Partial<SinkSetting> = {},
): MirrorSink => sinkOf<MirrorSink>(alertmanager(options), setting);
/** What a sink is made with that has no secrets. */
const plainContext: SinkContext = {
  ...testSetting,
  name: "alertmanager",
  host: "",
  now: Date.now,
  secret: (_, secret) => String(secret),
  keepSecret: () => {},
  hide: (text) => text,
  text: textOf,
  trace: undefined,
};
const ago = (ms: number): string => new Date(Date.now() - ms).toISOString();
/** One form for a time: Go leaves out the zeros at the end of a fraction. */
const instant = (time: string): string => new Date(time).toISOString();
const withInstants = (body: WebhookBody): WebhookBody => ({
  ...body,
  alerts: body.alerts.map((each) => ({
    ...each,
    startsAt: instant(each.startsAt),
    endsAt: instant(each.endsAt),
  })),
});
/** As Alertmanager has labels: UTF-8, and none that is empty. */
const asTaken = (labels: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(labels).filter(([, value]) => value !== "")
      .map(([name, value]) => [name, value.toWellFormed()]),
  );

describe("with a real Alertmanager", () => {
  let running: Alertmanager | undefined;
  let receiver: Receiver | undefined;

  afterEach(async () => {
    await running?.close();
    await receiver?.close();
    running = receiver = undefined;
  });

  const start = async (config?: string): Promise<Alertmanager> =>
    running = await Alertmanager.start(config);
  const mirror = (alerts: readonly AlertMessage[]): Promise<Delivered | void> =>
    sinkWith({ urls: running!.url }).mirror(alerts, context);

  alertmanagerTest(
    "what fires is there, with our fingerprint, our times and our texts",
    async () => {
      const one = await start();
      const startsAt = ago(90_000);
      const before = Date.now();
      const source = "https://elixir.bootlin.com/linux/v6.18/C/ident/sk_filter_trim_cap";
      const alert = alertOf({
        startsAt,
        exact: false,
        lost: 7,
        evidence: { source, at: "sk_filter_trim_cap+0x9b" } as AlertEvidence,
      });
      expect(await mirror([alert])).toEqual({ answer: "200" });
      const [taken, ...others] = [...(await one.alerts()).values()];
      expect(others).toEqual([]);
      expect(taken!.fingerprint).toBe(alert.data.fingerprint);
      expect(taken!.labels).toEqual(alert.data.labels);
      expect(taken!.annotations).toEqual({
        summary: "a socket refuses packets",
        value: "at least 250.5",
        peak: "300",
        drops: "at least 12,345",
        lost: "7",
        site: "sk_filter_trim_cap+0x9b",
      });
      expect(taken!.generatorURL).toBe(source);
      expect(taken!.startsAt).toBe(startsAt);
      const end = Date.parse(taken!.endsAt);
      expect(end).toBeGreaterThanOrEqual(before + 240_000);
      expect(end).toBeLessThanOrEqual(Date.now() + 240_000);
    },
  );

  alertmanagerTest(
    "what is resolved is told with its true end, in the form of our webhook",
    async () => {
      receiver = new Receiver();
      await receiver.open();
      const told = {
        firing: Promise.withResolvers<void>(),
        resolved: Promise.withResolvers<void>(),
      };
      const bodies: Partial<Record<WebhookBody["status"], WebhookBody>> = {};
      receiver.answer = (_, response) => {
        response.writeHead(200).end();
        const body = v.parse(WebhookSchema, JSON.parse(receiver!.received.at(-1)!.body));
        bodies[body.status] = withInstants(body);
        told[body.status].resolve();
      };
      const one = await start(tells(receiver.url()));
      const parts = { startsAt: ago(60_000), labels: { comm: "nginx\n", dev: "" } };
      const firing = alertOf(parts);
      await mirror([firing]);
      await told.firing.promise;
      const resolved = alertOf({ ...parts, endsAt: ago(1000), value: 0 });
      await mirror([resolved]);
      await told.resolved.promise;
      expect([...(await one.alerts()).values()]).toEqual([]);
      expect(bodies.resolved!.alerts[0]!.endsAt).toBe(resolved.data.endsAt!);

      for (const alert of [firing, resolved]) {
        const real = bodies[alert.data.status]!;
        const ours = alertmanagerBody(
          notificationOf([alert], {
            receiver: "hook",
            groupKey: real.groupKey,
            externalURL: real.externalURL,
          }),
        );
        expect(withInstants(JSON.parse(ours))).toEqual({ ...real });
        expect(Object.keys(JSON.parse(ours)).sort()).toEqual(Object.keys(real).sort());
      }
    },
  );

  alertmanagerTest("after a crash all are there again once they were sent again", async () => {
    const one = await start();
    const alerts = Array.from(
      { length: 20 },
      (_, i) => alertOf({ startsAt: ago(600_000), labels: { ownerInode: String(i) } }),
    );
    const ours = new Set(alerts.map(({ data }) => data.fingerprint));
    await mirror(alerts);
    expect(new Set((await one.alerts()).keys())).toEqual(ours);
    await one.kill();
    const refused = await mirror(alerts).catch((thrown: DeliveryError) => thrown) as DeliveryError;
    expect([refused.name, refused.final]).toEqual(["DeliveryError", false]);
    await one.run();
    expect([...(await one.alerts()).keys()]).toEqual([]);
    await mirror(alerts);
    const again = await one.alerts();
    expect(new Set(again.keys())).toEqual(ours);
    for (const { data } of alerts) {
      expect(again.get(data.fingerprint)!.startsAt).toBe(data.startsAt);
    }
  });

  alertmanagerTest("names arrive as they were, whatever a stranger chose", async () => {
    const one = await start();
    const random = randomFrom(47);
    const odd = [..."\0\t\n\"\\'{}<>&=,€😀\ud800\udc00\u2028\u202e\ufeff\x7f\x80 aZ0_:"];
    const name = (): string =>
      Array.from({ length: random.int(0, 15) }, () => random.pick(odd)).join("");
    const names = [
      ...hostileNames,
      ...Array.from({ length: 200 }, name),
      "",
      "x".repeat(8192),
    ];
    const alerts = names.map((comm, i) =>
      alertOf({
        startsAt: ago(5000),
        labels: { ownerInode: String(i), comm, dev: i % 3 === 0 ? "" : comm },
        annotations: { summary: `from ${comm}`, "no-name.of theirs": comm, "": comm, "2": comm },
      })
    );
    await mirror(alerts);
    const taken = await one.alerts();
    expect(taken.size).toBe(alerts.length);
    for (const { data } of alerts) {
      const labels = asTaken(data.labels);
      const alert = taken.get(fingerprint(labels))!;
      expect(alert.labels).toEqual(labels);
      const comm = data.labels.comm!.toWellFormed();
      expect(alert.annotations).toMatchObject({
        summary: shorten(`from ${comm}`, 8192),
        no_name_of_theirs: comm,
        _: comm,
        _2: comm,
      });
    }
  });

  alertmanagerTest("a name too long to be one is cut, and two such alerts stay two", async () => {
    const one = await start();
    const long = "x".repeat(100_000);
    const alerts = ["a", "b"].map((end) =>
      alertOf({ startsAt: ago(5000), labels: { comm: long + end }, annotations: { summary: long } })
    );
    await mirror(alerts);
    const taken = [...(await one.alerts()).values()];
    expect(taken.map(({ labels }) => labels.comm!.slice(8190)).sort())
      .toEqual(alerts.map(({ data }) => `x… ${data.fingerprint}`).sort());
    expect(taken.map(({ annotations }) => annotations.summary!.length)).toEqual([8192, 8192]);
  });

  alertmanagerTest("a thousand alerts arrive", async () => {
    const one = await start();
    const alerts = Array.from(
      { length: 1000 },
      (_, i) => alertOf({ startsAt: ago(5000), labels: { ownerInode: String(i) } }),
    );
    await mirror(alerts);
    expect(new Set((await one.alerts()).keys()))
      .toEqual(new Set(alerts.map(({ data }) => data.fingerprint)));
  });

  alertmanagerTest("an alert that begins after now is taken: clocks are set back", async () => {
    const one = await start();
    const alert = alertOf({ startsAt: new Date(Date.now() + 86_400_000).toISOString() });
    await mirror([alert]);
    expect([...(await one.alerts()).keys()]).toEqual([alert.data.fingerprint]);
    const over = alertOf({ startsAt: ago(-60_000), endsAt: ago(1000), labels: { comm: "x" } });
    expect(await mirror([over])).toEqual({ answer: "200" });
  });
});

describe("to several members", () => {
  let members: [Receiver, Receiver];
  const logged: string[] = [];

  beforeEach(async () => {
    members = [new Receiver(), new Receiver()];
    await Promise.all(members.map((member) => member.open()));
    logged.length = 0;
  });

  afterEach(async () => {
    for (const member of members) await member.close();
  });

  const both = (options: Partial<AlertmanagerOptions> = {}): MirrorSink =>
    sinkWith(
      { urls: members.map((member) => member.url("/")), ...options },
      { log: (line) => logged.push(line) },
    );

  test("each gets all of it", async () => {
    expect(await both().mirror([alertOf()], context)).toEqual({ answer: "2 of 2 members" });
    expect(members.map(({ received }) => received.map(({ path }) => path)))
      .toEqual([["/api/v2/alerts"], ["/api/v2/alerts"]]);
    expect(members[0].received[0]!.body).toBe(members[1].received[0]!.body);
  });

  test("gets alerts with the machine that they are of: the same alert of two machines stays two", async () => {
    const added = async (
      options: Partial<AlertmanagerOptions>,
      labels: Readonly<Record<string, string>> = {},
    ): Promise<readonly unknown[]> => {
      await sinkWith({ urls: members[0].url("/"), ...options }, { host: "web-3" })
        .mirror([alertOf({ labels })], context);
      const [{ labels: { instance, site } }] = JSON.parse(members[0].received.at(-1)!.body);
      return [instance, site];
    };
    expect(await added({})).toEqual(["web-3", undefined]);
    expect(await added({}, { instance: "own" })).toEqual(["own", undefined]);
    expect(await added({}, { instance: "" })).toEqual(["web-3", undefined]);
    expect(await added({ labels: { site: "b" } })).toEqual([undefined, "b"]);
    expect(await added({ labels: {} })).toEqual([undefined, undefined]);
  });

  test("one is enough, and the other is told of once, and once when it is back", async () => {
    const sink = both();
    members[1].answers(503, {}, "no");
    for (let i = 0; i < 3; i++) {
      expect(await sink.mirror([alertOf()], context)).toEqual({ answer: "1 of 2 members" });
    }
    const host = new URL(members[1].url()).host;
    expect(logged).toEqual([`alertmanager: ${host} didn't take all alerts: answered 503: no`]);
    members[1].answers(200);
    await sink.mirror([alertOf()], context);
    expect(logged.slice(1)).toEqual([`alertmanager: ${host} takes alerts again`]);
  });

  test("none is a failure that says what each said; it is final where it is for all", async () => {
    const fail = async (): Promise<DeliveryError> =>
      await both().mirror([alertOf()], context).catch((thrown) => thrown) as DeliveryError;
    members[0].answers(400, {}, "bad");
    members[1].answers(503, { "retry-after": "7" });
    const [a, b] = members.map((member) => new URL(member.url()).host);
    const mixed = await fail();
    expect([mixed.message, mixed.final]).toEqual([
      `${a} answered 400: bad; ${b} answered 503`,
      false,
    ]);
    members[1].answers(400);
    expect((await fail()).final).toBe(true);
    for (const member of members) member.answers(429, { "retry-after": "7" });
    expect((await fail()).retryAfter).toBe(7000);
  });

  test("a request that is refused doesn't keep the next away; one that nobody takes does", async () => {
    const alerts = Array.from({ length: 300 }, (_, i) => alertOf({ labels: { comm: `${i}` } }));
    for (const [status, requests] of [[400, 2], [503, 1]] as const) {
      for (const member of members) {
        member.received.length = 0;
        member.answer = (_, response) =>
          void response.writeHead(member.received.length === 1 ? status : 200).end();
      }
      const error = await both().mirror(alerts, context).catch((thrown) => thrown) as DeliveryError;
      expect([error.name, error.final]).toEqual(["DeliveryError", status === 400]);
      expect(members.map(({ received }) => received.length)).toEqual([requests, requests]);
    }
  });

  test("one that hangs is left after its time, and the round is delivered by the other", async () => {
    members[1].answer = () => {};
    const { host } = new URL(members[1].url());
    const sink = alertmanagerSink(
      { urls: members.map((member) => member.url()) },
      { ...plainContext, log: (line) => logged.push(line) },
      100,
    );
    expect(await sink.mirror([alertOf()], context)).toEqual({ answer: "1 of 2 members" });
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain(`${host} didn't take all alerts: no answer (`);
  });

  test("nothing is sent where nothing fires", async () => {
    await both().mirror([], context);
    expect(members.flatMap(({ received }) => received)).toEqual([]);
  });

  test("requests have 256 alerts and 1 MB at most", async () => {
    const small = Array.from(
      { length: 600 },
      (_, i) => alertOf({ labels: { ownerInode: `${i}` } }),
    );
    await both().mirror(small, context);
    const counts = (): number[] => members[0].received.map(({ body }) => JSON.parse(body).length);
    expect(counts()).toEqual([256, 256, 88]);
    members[0].received.length = 0;
    const summary = "\u202e".repeat(8000);
    const large = Array.from(
      { length: 100 },
      (_, i) => alertOf({ labels: { ownerInode: `${i}` }, annotations: { summary } }),
    );
    await both().mirror(large, context);
    expect(counts().reduce((a, b) => a + b)).toBe(100);
    for (const { body } of members[0].received) {
      expect(Buffer.byteLength(body)).toBeLessThanOrEqual(1_000_000);
    }
  }, 20_000);
});

describe("options", () => {
  test("say how often: an alert ends four rounds after it was sent last", async () => {
    const receiver = new Receiver();
    await receiver.open();
    try {
      const now = Date.parse("2026-01-02T03:04:05.000Z");
      const sink = sinkWith({ urls: receiver.url("/am/"), every: "30s" }, { now: () => now });
      expect([sink.every, sink.keepResolved]).toEqual([30_000, 300_000]);
      await sink.mirror([alertOf()], context);
      const [{ path, body }] = receiver.received as [Receiver["received"][number]];
      expect(path).toBe("/am/api/v2/alerts");
      expect(JSON.parse(body)[0].endsAt).toBe("2026-01-02T03:06:05.000Z");
    } finally {
      await receiver.close();
    }
  });

  test("say who we are, and keep it to themselves", async () => {
    const receiver = new Receiver();
    await receiver.open();
    const traced: string[] = [];
    const env = { AM_PASSWORD: "pässw0rd", AM_TOKEN: "t0ken.of-ours" };
    const given = async (options: Partial<AlertmanagerOptions>): Promise<string | undefined> => {
      receiver.received.length = 0;
      receiver.answer = (request, response) =>
        void response.writeHead(401).end(`no: ${request.headers.authorization} ${env.AM_TOKEN}`);
      const trace = (_: string, lines: string): void => void traced.push(lines);
      const sink = sinkWith({ urls: receiver.url(), ...options }, { env, trace });
      const error = await sink.mirror([alertOf()], context).catch((thrown) => thrown);
      traced.push(String(error));
      return receiver.received[0]!.headers.authorization;
    };
    try {
      const basic = { user: "drop", password: { env: "AM_PASSWORD" } };
      const pair = Buffer.from("drop:pässw0rd").toString("base64");
      expect(await given({ basic })).toBe(`Basic ${pair}`);
      expect(await given({ bearer: { env: "AM_TOKEN" } })).toBe("Bearer t0ken.of-ours");
      expect(traced.length).toBeGreaterThan(4);
      for (const secret of [pair, "t0ken"]) {
        expect(traced.slice(-3).join("\n")).not.toContain(secret);
      }
      expect(traced.slice(0, 3).join("\n")).not.toContain(pair);
      expect(traced.join("\n")).toContain("•••");
    } finally {
      await receiver.close();
    }
  });

  test("that contradict themselves, or could end a header, are refused", () => {
    const urls = "http://x.example/";
    const basic = { user: "a", password: "b" };
    expect(() => sinkWith({ urls, basic, bearer: "t" })).toThrow("both basic and bearer");
    expect(() => sinkWith({ urls, bearer: "a\nb: c" })).toThrow("ASCII without white space");
    expect(() => sinkWith({ urls, basic: { user: "a:b", password: "c" } }))
      .toThrow("without a colon");
    expect(() => sinkWith({ urls, labels: { "a-b": "c" } })).toThrow("its labels");
    expect(() => sinkWith({ urls: [] })).toThrow("expected a URL, or a list of them");
    expect(() => sinkWith({ urls: ["http://x.example/", "x"] })).toThrow("must begin with http");
  });

  test("are several URLs on the command line, with commas between", async () => {
    const receiver = new Receiver();
    await receiver.open();
    try {
      const word = `alertmanager=${receiver.url("/a")},${receiver.url("/b")}`;
      await sinkOf<MirrorSink>(word).mirror([alertOf()], context);
      expect(receiver.received.map(({ path }) => path).sort())
        .toEqual(["/a/api/v2/alerts", "/b/api/v2/alerts"]);
    } finally {
      await receiver.close();
    }
  });
});

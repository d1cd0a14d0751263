import { hostname } from "node:os";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { AlertMessage } from "../../core/alert/alert.ts";
import type { AlertSink, DeliveryError } from "../../core/alert/sink.ts";
import { alertOf, hostileNames, rawControl } from "../../test/alert.ts";
import { sinkContract } from "../../test/contract/sink.ts";
import type { SinkUnderTest } from "../../test/contract/sink.ts";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { randomFrom } from "../../test/random.ts";
import { makeCertificate } from "../../test/services/certificate.ts";
import {
  datagramServer,
  lineServer,
  readLocal,
  readMessage,
  streamServer,
  udpServer,
} from "../../test/services/syslog.ts";
import type { StreamServer, SyslogMessage, SyslogServer } from "../../test/services/syslog.ts";
import { sinkOf } from "../../test/sink.ts";
import { syslog } from "./syslog.ts";
import type { SyslogOptions } from "./syslog.ts";
import { message } from "./syslog_message.ts";

const context = { id: "msg_1", signal: new AbortController().signal };
const resolved = "2026-01-02T03:09:05.000Z";

/** Without the byte order mark, which belongs to the form. */
const bare = (text: string): string => text.replace("\ufeff", "");

/** A sink that has delivered when its server has the message: UDP can't tell. */
function waiting(sink: AlertSink, server: Pick<SyslogServer, "received" | "arrived">): AlertSink {
  return {
    ...sink,
    async send(alert, context) {
      const before = server.received().length;
      const answer = await sink.send(alert, context);
      await server.arrived(before + 1);
      return answer;
    },
  };
}

const network = (scheme: "udp" | "tcp") => async (): Promise<SinkUnderTest> => {
  const server = scheme === "udp" ? await udpServer() : await streamServer();
  return {
    sink: waiting(sinkOf(`syslog=${scheme}://127.0.0.1:${server.port}`), server),
    received: () => server.received().map(bare),
    close: () => server.close(),
  };
};

sinkContract("syslog over UDP", { setUp: network("udp") });
sinkContract("syslog over TCP", { setUp: network("tcp") });
sinkContract("syslog on a local socket", {
  async setUp() {
    const folder = await makeFolder();
    const server = await datagramServer(folder.file("log"));
    const sink = sinkOf<AlertSink>(`syslog=unix://${folder.file("log")}`);
    return {
      sink: {
        ...sink,
        // A few wait in the kernel at most.
        send: (alert, context) => sink.send(alert, context).finally(() => server.received()),
      },
      received: () => server.received(),
      async close() {
        await server.close();
        await folder.remove();
      },
    };
  },
});

let folder: Folder;
const opened: { close(): Promise<void> }[] = [];

beforeEach(async () => {
  folder = await makeFolder();
});

afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
  await folder.remove();
});

async function open<Server extends { close(): Promise<void> }>(
  opening: Promise<Server>,
): Promise<Server> {
  const server = await opening;
  opened.push(server);
  return server;
}

const sinkTo = (options: SyslogOptions): AlertSink => sinkOf<AlertSink>(syslog(options));

async function failure(sink: AlertSink, signal = context.signal): Promise<DeliveryError> {
  try {
    await sink.send(alertOf(), { ...context, signal });
  } catch (thrown) {
    return thrown as DeliveryError;
  }
  throw new Error("it was delivered");
}

const setting = { facility: "local0", maxBytes: 8192 } as const;
const made = (alert: AlertMessage, maxBytes = 8192): SyslogMessage =>
  readMessage(message(alert, { ...setting, maxBytes }).toString());

describe("a message of RFC 5424", () => {
  test("tells the alert: in its header, in structured data and in words", () => {
    expect(made(alertOf({ labels: { comm: "nginx" } }))).toEqual({
      facility: 16,
      severity: 4,
      timestamp: "2026-01-02T03:04:05.000Z",
      hostname: hostname(),
      appName: "dropwatch",
      procId: String(process.pid),
      msgId: "FIRING",
      data: {
        "dropwatch@32473": [
          ["alert", "SocketFilterDrops"],
          ["status", "firing"],
          ["severity", "warning"],
          ["value", "250.5"],
          ["peak", "300"],
          ["total", "12345"],
          ["exact", "true"],
          ["lost", "0"],
          ["fingerprint", alertOf({ labels: { comm: "nginx" } }).data.fingerprint],
          ["startsAt", "2026-01-02T03:04:05.000Z"],
        ],
        "labels@32473": [["ownerInode", "4711"], ["comm", "nginx"]],
      },
      text: "FIRING SocketFilterDrops warning: a socket refuses packets; " +
        "ownerInode=4711 comm=nginx value 250.5 peak 300 12,345 drops",
    });
  });

  test("says that it is over, at what time and after how long", () => {
    const { timestamp, msgId, text, data } = made(alertOf({ endsAt: resolved }));
    expect([timestamp, msgId]).toEqual([resolved, "RESOLVED"]);
    expect(text).toMatch(/^RESOLVED SocketFilterDrops warning: .* after 5m$/);
    expect(data["dropwatch@32473"]!.at(-1)).toEqual(["endsAt", resolved]);
  });

  test("is as severe as the alert, and a notice when that is over", () => {
    const severityOf = (alert: AlertMessage): number => made(alert).severity;
    expect(severityOf(alertOf({ severity: "critical" }))).toBe(2);
    expect(severityOf(alertOf({ severity: "warning" }))).toBe(4);
    expect(severityOf(alertOf({ severity: "info" }))).toBe(6);
    expect(severityOf(alertOf({ severity: "critical", endsAt: resolved }))).toBe(5);
  });

  test("has names of labels that the grammar takes", () => {
    const labels = { 'a b="]é': "x", ["l".repeat(50)]: "y", "": "z" };
    expect(made(alertOf({ labels })).data["labels@32473"]).toEqual([
      ["ownerInode", "4711"],
      ["a_b____", "x"],
      ["l".repeat(32), "y"],
      ["_", "z"],
    ]);
  });

  test("escapes what would end a value", () => {
    const comm = `a"b]c\\d[e="f`;
    expect(message(alertOf({ labels: { comm } }), setting).toString())
      .toContain(String.raw`comm="a\"b\]c\\d[e=\"f"`);
    expect(made(alertOf({ labels: { comm } })).data["labels@32473"]!.at(-1)).toEqual([
      "comm",
      comm,
    ]);
  });

  test("holds whatever a stranger chose as text, and is as long as it may be", () => {
    const random = randomFrom(5);
    const pieces = [...'"]\\[ =<>\n\r\0é€\ud800\ufeff', ...hostileNames];
    for (let i = 0; i < 500; i++) {
      const name = (most: number): string =>
        Array.from({ length: random.int(0, most) }, () => random.pick(pieces)).join("");
      const comm = name(random.pick([5, 50, 2000]));
      const maxBytes = random.pick([480, 600, 1024, 2048, 8192]);
      const parts = {
        labels: { comm, [name(5)]: name(50) },
        annotations: { summary: name(100) },
        exact: random.chance(0.5),
      };
      const bytes = message(alertOf(parts), { ...setting, maxBytes });
      expect(bytes.length).toBeLessThanOrEqual(maxBytes);
      // UTF-8 that is cut in a character isn't one.
      const whole = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
      const { text, data, msgId } = readMessage(whole);
      expect(text).not.toMatch(rawControl);
      expect(text).toMatch(/^FIRING SocketFilterDrops warning: /);
      expect(msgId).toBe("FIRING");
      expect(Object.keys(data).every((id) => /^(dropwatch|labels)@32473$/.test(id))).toBe(true);
      const values = Object.values(data).flat().map(([, value]) => value).join("");
      expect(values).not.toMatch(rawControl);
      expect(data["dropwatch@32473"]?.map(([name]) => name).join() ?? "")
        .toMatch(/^(alert,status,severity,value,peak,total,exact,lost,fingerprint,startsAt)?$/);
    }
  });

  test("keeps the numbers, however long the names are, and says what is cut", () => {
    const long = "x".repeat(100_000);
    const { text, data } = made(
      alertOf({ labels: { comm: long }, annotations: { summary: long } }),
    );
    expect(text).toMatch(
      /^FIRING SocketFilterDrops warning: x+…; ownerInode=4711 comm=x+… value 250.5/,
    );
    expect(data["labels@32473"]!.at(-1)![1]).toMatch(/^x+…$/);
    const short = made(alertOf({ labels: { comm: long }, annotations: { summary: long } }), 480);
    expect(Object.keys(short.data)).toEqual(["dropwatch@32473"]);
    expect(short.text).toMatch(/^FIRING SocketFilterDrops warning: x+…$/);
  });
});

describe("on a local socket", () => {
  test("a message has the form of syslog(3), in local time", async () => {
    const server = await open(datagramServer(folder.file("log")));
    await sinkTo({ url: `unix://${folder.file("log")}`, facility: "daemon" })
      .send(alertOf({ severity: "critical" }), context);
    const [text] = server.received() as [string];
    const at = new Date("2026-01-02T03:04:05.000Z");
    const clock = [at.getHours(), at.getMinutes(), at.getSeconds()]
      .map((n) => String(n).padStart(2, "0")).join(":");
    expect(readLocal(text)).toEqual({
      priority: 3 * 8 + 2,
      time: `Jan ${String(at.getDate()).padStart(2)} ${clock}`,
      tag: `dropwatch[${process.pid}]`,
      text: "FIRING SocketFilterDrops critical: a socket refuses packets; " +
        "ownerInode=4711 value 250.5 peak 300 12,345 drops",
    });
  });

  test("holds whatever a stranger chose in one line", async () => {
    const server = await open(datagramServer(folder.file("log")));
    const sink = sinkTo({ url: `unix://${folder.file("log")}`, maxBytes: 600 });
    for (const comm of [...hostileNames, "é".repeat(5000)]) {
      await sink.send(alertOf({ labels: { comm }, annotations: { summary: comm } }), context);
      const text = server.received().at(-1)!;
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(600);
      expect(readLocal(text).text).not.toMatch(rawControl);
    }
  });

  test("a message may have the form of RFC 5424", async () => {
    const server = await open(datagramServer(folder.file("log")));
    await sinkTo({ url: `unix://${folder.file("log")}`, format: "rfc5424" })
      .send(alertOf(), context);
    expect(readMessage(server.received()[0]!).msgId).toBe("FIRING");
  });

  test("that is a stream, a message is a line", async () => {
    const server = await open(lineServer(folder.file("log")));
    const sink = sinkTo({ url: `unix://${folder.file("log")}` });
    await sink.send(alertOf({ alert: "First" }), context);
    await sink.send(alertOf({ alert: "Second" }), context);
    await server.arrived(2);
    expect(server.received().map((line) => readLocal(line).text.split(" ")[1]))
      .toEqual(["First", "Second"]);
  });

  test("that isn't there, or that nobody reads, it is one to try again", async () => {
    const path = folder.file("log");
    const sink = sinkTo({ url: `unix://${path}` });
    const missing = await failure(sink);
    expect([missing.name, missing.final]).toEqual(["DeliveryError", false]);
    expect(missing.message).toBe(`can't reach unix://${path} (Cannot sendto: ENOENT)`);
    await (await datagramServer(path)).close();
    const dead = await failure(sink);
    expect([dead.final, dead.message])
      .toEqual([false, `${path} takes nothing: nobody reads there, or too slowly`]);
  });

  test("of a daemon that was started again, the next message arrives", async () => {
    const path = folder.file("log");
    const sink = sinkTo({ url: `unix://${path}` });
    const first = await datagramServer(path);
    await sink.send(alertOf(), context);
    await first.close();
    await folder.remove();
    folder = await makeFolder();
    const again = sinkTo({ url: `unix://${folder.file("log")}` });
    await failure(again);
    const second = await open(datagramServer(folder.file("log")));
    await again.send(alertOf(), context);
    expect(second.received()).toHaveLength(1);
  });

  test("that takes no more, nothing is held up: it is one to try again", async () => {
    const server = await open(datagramServer(folder.file("log")));
    const sink = sinkTo({ url: `unix://${folder.file("log")}` });
    let taken = 0;
    let error: DeliveryError | undefined;
    while (error === undefined && taken < 10_000) {
      await sink.send(alertOf(), context).then(() => taken++, (thrown) => error = thrown);
    }
    expect(error?.message).toContain("takes nothing");
    expect(error?.final).toBe(false);
    expect(server.received()).toHaveLength(taken);
    await sink.send(alertOf(), context);
  });

  test("the default one is /dev/log", async () => {
    const traced: string[] = [];
    const sink = sinkOf<AlertSink>("syslog", { trace: (_, lines) => traced.push(lines) });
    await sink.send(alertOf(), context).catch(() => {});
    expect(traced[0]).toMatch(/^unix:\/\/\/dev\/log\n\n<132>/);
  });
});

describe("over UDP", () => {
  test("a message is a datagram, of 2048 bytes at most", async () => {
    const server = await open(udpServer());
    const sink = sinkTo({ url: `udp://127.0.0.1:${server.port}` });
    await sink.send(alertOf({ labels: { comm: "é".repeat(10_000) } }), context);
    await server.arrived(1);
    const [text] = server.received() as [string];
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(2048);
    expect(readMessage(text).appName).toBe("dropwatch");
  });

  test("goes to a name, and to an address of IPv6", async () => {
    const v4 = await open(udpServer());
    await sinkTo({ url: `udp://localhost:${v4.port}` }).send(alertOf(), context);
    const v6 = await open(udpServer("::1"));
    await sinkTo({ url: `udp://[::1]:${v6.port}` }).send(alertOf(), context);
    await v6.arrived(1);
    expect(v6.received()).toHaveLength(1);
  });

  test("a name that nobody knows is one to try again", async () => {
    const { name, final, message } = await failure(sinkTo({ url: "udp://nowhere.invalid" }));
    expect([name, final]).toEqual(["DeliveryError", false]);
    expect(message).toContain("can't reach udp://nowhere.invalid");
  });
});

describe("over a stream", () => {
  const to = (server: StreamServer, more: SyslogOptions = {}): AlertSink =>
    sinkTo({ url: `tcp://127.0.0.1:${server.port}`, ...more });

  test("messages are counted octets, each over a connection of its own", async () => {
    const server = await open(streamServer());
    const sink = to(server);
    const alerts = ["é€", "plain", "x".repeat(100_000)]
      .map((comm, i) => alertOf({ alert: `A${i}`, labels: { comm } }));
    for (const alert of alerts) await sink.send(alert, context);
    expect(server.received().map((text) => readMessage(text).data["dropwatch@32473"]![0]![1]))
      .toEqual(["A0", "A1", "A2"]);
    expect(server.received().every((text) => Buffer.byteLength(text) <= 8192)).toBe(true);
    expect([server.connections, server.wrong]).toEqual([3, []]);
  });

  test("that breaks in the middle, it is sent again whole over the next one", async () => {
    const server = await open(streamServer());
    const sink = to(server);
    // It hangs up with something unread, as a server does that is killed.
    server.instead = (socket) => void socket.on("error", () => {}).resetAndDestroy();
    const error = await failure(sink);
    expect([error.name, error.final]).toEqual(["DeliveryError", false]);
    server.instead = undefined;
    await sink.send(alertOf(), context);
    await server.arrived(1);
    expect(server.received().map((text) => readMessage(text).msgId)).toEqual(["FIRING"]);
    expect(server.wrong).toEqual([]);
  });

  test("whose other end never hangs up, a message is delivered after a moment", async () => {
    const server = await open(streamServer());
    server.instead = (socket) => {
      socket.allowHalfOpen = true;
      socket.on("error", () => {}).resume();
    };
    await to(server).send(alertOf(), context);
  });

  test("ends an attempt at once when it is aborted", async () => {
    const server = await open(streamServer());
    const ending = new AbortController();
    server.instead = (socket) => {
      socket.on("error", () => {}).pause();
      ending.abort();
    };
    const error = await failure(to(server), ending.signal);
    expect([error.name, error.final]).toEqual(["DeliveryError", false]);
    expect((await failure(to(server), AbortSignal.abort())).message)
      .toBe("too late: nothing was sent");
  });

  test("that is refused is one to try again", async () => {
    const server = await streamServer();
    await server.close();
    const { name, final, message } = await failure(to(server));
    expect([name, final]).toEqual(["DeliveryError", false]);
    expect(message).toMatch(/^can't reach tcp:\/\/127\.0\.0\.1:\d+ \(.*ECONNREFUSED/);
  });
});

describe("over TLS", () => {
  test("a message goes to a server whose certificate is known, by name and by address", async () => {
    const certificate = makeCertificate(folder);
    const server = await open(streamServer(certificate));
    for (const host of ["127.0.0.1", "localhost"]) {
      await sinkTo({ url: `tls://${host}:${server.port}`, ca: certificate.certFile })
        .send(alertOf(), context);
    }
    await server.arrived(2);
    expect(server.received().map((text) => readMessage(text).msgId)).toEqual(["FIRING", "FIRING"]);
    expect(server.wrong).toEqual([]);
  });

  test("nothing is told to a server whose certificate isn't", async () => {
    const server = await open(streamServer(makeCertificate(folder)));
    const other = makeCertificate(folder, "other");
    for (const ca of [undefined, other.certFile]) {
      const error = await failure(
        sinkTo({ url: `tls://127.0.0.1:${server.port}`, ...(ca === undefined ? {} : { ca }) }),
      );
      expect([error.name, error.final]).toEqual(["DeliveryError", false]);
      expect(error.message).toMatch(/certificate|self.signed|issuer|CA/i);
    }
    expect(server.received()).toEqual([]);
  });

  test("a server may ask for our certificate", async () => {
    const [own, ours] = [makeCertificate(folder), makeCertificate(folder, "ours")];
    const server = await open(streamServer(own, ours));
    const url = `tls://127.0.0.1:${server.port}`;
    const ca = own.certFile;
    expect((await failure(sinkTo({ url, ca }))).final).toBe(false);
    await sinkTo({ url, ca, cert: ours.certFile, key: ours.keyFile }).send(alertOf(), context);
    await server.arrived(1);
    expect(server.received()).toHaveLength(1);
  });
});

test("options that can't be are told", () => {
  const form = "its URL must be udp://HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT or unix:///PATH";
  for (
    const [options, expected] of [
      [{ url: "host:514" }, form],
      [{ url: "http://host" }, form],
      [{ url: "udp://" }, form],
      [{ url: "tcp://host/path" }, form],
      [{ url: "tcp://user:password@host" }, form],
      [{ url: "unix://host/path" }, form],
      [{ url: "unix:///a%zz" }, form],
      [{ url: "udp://%ff" }, form],
      [{ url: `unix:///${"x".repeat(107)}` }, "the path of a socket has at most 107 bytes"],
      [{ url: "tcp://host", ca: "/ca.pem" }, "ca, cert and key are for tls:// only"],
      [{ url: "tls://host", cert: "/cert.pem" }, "it needs both cert and key, or neither"],
      [{ url: "tls://host", ca: "/nowhere/ca.pem" }, "its ca can't be read"],
      [{ facility: "local9" }, "its facility can't be used: expected a facility: kern, user"],
      [{ maxBytes: 100 }, "its maxBytes can't be used: expected 480 or more"],
    ] as const
  ) {
    expect(() => sinkTo(options as SyslogOptions)).toThrow(expected);
  }
  expect(sinkTo({ url: "tls://host" }).name).toBe("syslog");
});

// What strangers can do to a server over real connections: nothing that the watching feels.
import type { Socket } from "node:net";
import { afterEach, describe, expect, test } from "bun:test";
import { rawClient, readEvents, requestHead, serve } from "../../test/server.ts";
import type { EventReader, RawClient, Served } from "../../test/server.ts";
import { closed, until } from "../../test/run.ts";
import type { ServerOptions } from "./server.ts";

let served: Served | undefined;
const clients = new Set<Socket>();
afterEach(async () => {
  for (const socket of clients) socket.destroy();
  clients.clear();
  await served?.stop();
  served = undefined;
});

const token = "0123456789abcdef-token";

async function start(options: Partial<ServerOptions> = {}): Promise<Served> {
  return served = await serve(options);
}

function client({ server }: Served): RawClient {
  const made = rawClient(server.url);
  clients.add(made.socket);
  return made;
}

/** The status of the answer to a request, byte for byte. */
async function statusOf(to: Served, ...parts: readonly string[]): Promise<string> {
  const { write, until, socket } = client(to);
  for (const part of parts) write(part);
  const got = await until("\r\n\r\n");
  socket.destroy();
  return got.split("\r\n")[0]!;
}

describe("a request that is no good", () => {
  test.each([
    ["is no HTTP", "\x16\x03\x01\x02hello\r\n\r\n", "400"],
    ["has no Host", "GET /healthz HTTP/1.1\r\n\r\n", "400"],
    ["has two Hosts", "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"],
    ["names a whole URL", "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", "400"],
    [
      "has two lengths of its body",
      "POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "400",
    ],
  ])("and %s is refused", async (_, text, status) => {
    expect(await statusOf(await start(), text)).toContain(` ${status} `);
  });

  test("has headers that are too large: refused; others go on", async () => {
    const to = await start();
    const { write, until, closed } = client(to);
    write(requestHead(to.server.url, "GET /healthz", [`X-Long: ${"a".repeat(100_000)}`]));
    expect(await until("HEADERS_TOO_LARGE")).toMatch(/^HTTP\/1.1 431 /);
    await closed;
    expect((await to.ask("/healthz")).status).toBe(200);
  });

  test("has a path of ten thousand characters: refused", async () => {
    const to = await start();
    const path = `/${"a".repeat(10_000)}`;
    expect(await statusOf(to, requestHead(to.server.url, `GET ${path}`))).toContain(" 414 ");
  });

  test("never ends its headers: cut off in time, though it goes on sending", async () => {
    const to = await start({ limits: { headerTime: 500, requestTime: 600 } });
    const slow = client(to);
    slow.write(`GET /healthz HTTP/1.1\r\nHost: x\r\n`);
    const sending = setInterval(() => slow.write("X-A: b\r\n"), 50);
    const at = performance.now();
    await slow.closed;
    clearInterval(sending);
    expect(performance.now() - at).toBeLessThan(4000);
    expect(slow.got).not.toContain(" 200 ");
  });

  test("says nothing at all: cut off in time", async () => {
    const to = await start({ limits: { headerTime: 500, requestTime: 600 } });
    await client(to).closed;
  });

  test("never ends its body: cut off in time", async () => {
    const to = await start({ limits: { headerTime: 500, requestTime: 700 } });
    const slow = client(to);
    slow.write(requestHead(to.server.url, "POST /login", [
      "Content-Type: application/json",
      "Content-Length: 1000",
    ]));
    const sending = setInterval(() => slow.write(" "), 50);
    const at = performance.now();
    await slow.closed;
    clearInterval(sending);
    expect(performance.now() - at).toBeLessThan(4000);
  });

  test("sits on a connection that it doesn't use: closed", async () => {
    const to = await start({ limits: { idleTime: 500, headerTime: 5000 } });
    const idle = client(to);
    idle.write(requestHead(to.server.url, "GET /healthz"));
    expect(await idle.until("ok\n")).toContain(" 200 ");
    await idle.closed;
  });
});

describe("a body", () => {
  const head = (to: Served, ...headers: readonly string[]): string =>
    requestHead(to.server.url, "POST /api/v1/silences", [
      "Content-Type: application/json",
      ...headers,
    ]);

  test("that is said to be huge is refused before it is sent", async () => {
    const to = await start();
    expect(await statusOf(to, head(to, "Content-Length: 10000000000"))).toContain(" 413 ");
  });

  test("that is huge is refused, and not read on", async () => {
    const to = await start();
    const { write, until, closed } = client(to);
    write(head(to, "Content-Length: 5000000"));
    write("x".repeat(5_000_000));
    expect(await until("\r\n\r\n")).toContain(" 413 ");
    await closed;
  });

  test("that is huge in chunks is refused, and not read on", async () => {
    const to = await start();
    const { write, until, closed } = client(to);
    write(head(to, "Transfer-Encoding: chunked"));
    for (let i = 0; i < 40; i++) write(`10000\r\n${"x".repeat(0x10000)}\r\n`);
    expect(await until("\r\n\r\n")).toContain(" 413 ");
    await closed;
  });

  test("of 64 KiB is read, one byte more isn't", async () => {
    const to = await start();
    const send = async (size: number): Promise<number> => {
      const body = `{"matchers":[]${" ".repeat(size - 15)}}`;
      const headers = { "content-type": "application/json" };
      const answer = await to.ask("/api/v1/silences", { method: "POST", headers, body });
      await answer.text();
      return answer.status;
    };
    expect(await send(65_536)).toBe(400);
    expect(await send(65_537)).toBe(413);
  });

  test("that goes away in the middle leaves nothing behind, in the log neither", async () => {
    const to = await start();
    const expecting = head(to, "Content-Length: 1000", "Expect: 100-continue");
    await Promise.all(Array.from({ length: 15 }, async () => {
      const { write, until, socket, closed } = client(to);
      write(expecting);
      // Now the server waits for what was said to come.
      expect(await until("\r\n\r\n")).toContain(" 100 ");
      write("{");
      socket.destroy();
      await closed;
    }));
    expect((await to.ask("/healthz")).status).toBe(200);
    await to.server.close();
    expect(to.log).toEqual([]);
  });
});

describe("many connections", () => {
  test("beyond the limit are closed, those within go on, and a place that is left is free", async () => {
    const to = await start({ limits: { connectionsEach: 10 } });
    const ask = async (from: RawClient): Promise<string> => {
      from.write(requestHead(to.server.url, "GET /healthz"));
      return await from.until("ok\n");
    };
    const open = Array.from({ length: 10 }, () => client(to));
    for (const each of open) expect(await ask(each)).toContain(" 200 ");
    const more = client(to);
    await more.closed;
    expect(more.got).toBe("");
    expect(to.log.join("\n")).toContain("refuses a connection of 127.0.0.1");
    const [first, second] = open;
    second!.write(requestHead(to.server.url, "GET /healthz"));
    await until(() => second!.got.split("ok\n").length === 3);
    first!.socket.destroy();
    // The server learns of it a moment later.
    let got = "";
    while (got === "") got = await ask(client(to));
    expect(got).toContain(" 200 ");
  });

  test("a thousand idle streams: ticks are told in time, and each client gets each", async () => {
    const to = await start({
      limits: {
        connections: 1100,
        connectionsEach: 1100,
        streams: 1000,
        streamsEach: 1000,
        reads: { perSecond: 1000, burst: 1100 },
      },
    });
    const readers: RawClient[] = [];
    for (let i = 0; i < 1000; i++) {
      const reader = client(to);
      reader.write(requestHead(to.server.url, "GET /api/v1/events"));
      readers.push(reader);
    }
    const heads = await Promise.all(readers.map(({ until }) => until("event: hello")));
    expect(heads.filter((head) => head.includes(" 200 "))).toHaveLength(1000);
    const took: number[] = [];
    for (let i = 0; i < 10; i++) {
      const at = performance.now();
      await to.run.second(closed(i + 1));
      took.push(performance.now() - at);
    }
    const all = await Promise.all(readers.map(({ until }) => until(`"seen":10,`)));
    for (const got of all) {
      expect(got.match(/"seen":\d+/g)?.map(String)).toEqual(took.map((_, i) => `"seen":${i + 1}`));
    }
    expect(Math.max(...took)).toBeLessThan(500);
  }, 60_000);
});

/** The data of the next event of a kind. */
async function nextOf(events: EventReader, kind: string): Promise<unknown> {
  for (;;) {
    const event = await events.next();
    if (event === undefined) throw new Error(`the stream ended before an event ${kind}`);
    if (event.event === kind) return event.data;
  }
}

describe("an answer", () => {
  test("that isn't read is given up, and what waits for it with it", async () => {
    const body = new Uint8Array(16_000_000).fill(120);
    const files = new Map([["/assets/large.bin", { body, type: "application/octet-stream" }]]);
    const to = await start({ files: () => Promise.resolve(files), limits: { readTime: 300 } });
    const lazy = client(to);
    lazy.write(requestHead(to.server.url, "GET /assets/large.bin"));
    await lazy.until("\r\n\r\n");
    lazy.socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    lazy.socket.resume();
    await lazy.closed;
    expect(lazy.got.length).toBeLessThan(body.length);
    expect(to.log).toEqual([]);
  }, 30_000);

  test("that is read is whole", async () => {
    const body = new Uint8Array(3_000_000).map((_, i) => i);
    const files = new Map([["/assets/large.bin", { body, type: "application/octet-stream" }]]);
    const to = await start({ files: () => Promise.resolve(files) });
    const got = new Uint8Array(await (await to.ask("/assets/large.bin")).arrayBuffer());
    expect(Buffer.compare(got, body)).toBe(0);
  });
});

describe("work", () => {
  test("that an address asks for is bounded, however few its requests", async () => {
    const to = await start({ limits: { work: { perSecond: 1, burst: 1 } } });
    const statuses = new Set<number>();
    while (!statuses.has(429)) {
      const answer = await to.ask("/api/v1/reasons");
      await answer.text();
      statuses.add(answer.status);
      if (answer.status === 429) {
        expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
      }
    }
    expect([...statuses]).toEqual([200, 429]);
    expect((await to.ask("/healthz")).status).toBe(200);
  });
});

describe("a stream of events", () => {
  test("beyond the limits is refused with Retry-After; another address's isn't concerned", async () => {
    const to = await start({ limits: { streamsEach: 2 } });
    const first = readEvents(await to.ask("/api/v1/events"));
    const second = readEvents(await to.ask("/api/v1/events"));
    await first.next();
    await second.next();
    const third = await to.ask("/api/v1/events");
    expect([third.status, third.headers.get("retry-after")]).toEqual([503, "5"]);
    expect(await third.json()).toMatchObject({ error: { code: "TOO_MANY_STREAMS" } });
    await first.close();
    // A place is free once the server has seen that the first is gone.
    for (;;) {
      const next = await to.ask("/api/v1/events");
      if (next.status === 200) {
        await readEvents(next).close();
        break;
      }
      await next.text();
    }
    await second.close();
  });

  test("whose client doesn't read is ended, others get all; it resumes where it was", async () => {
    const to = await start({ limits: { streamBytes: 100_000 } });
    const lazy = client(to);
    lazy.write(requestHead(to.server.url, "GET /api/v1/events"));
    const head = await lazy.until("event: hello");
    expect(head).toContain(" 200 ");
    const eager = readEvents(await to.ask("/api/v1/events"));
    await eager.next();
    lazy.socket.pause();
    const drops = Array.from(
      { length: 150 },
      (_, i) => [{ reason: "NO_SOCKET", dev: `eth${"x".repeat(9)}${i}` }, 1] as const,
    );
    let last = 0;
    for (let i = 0; i < 3000 && !to.log.some((line) => line.includes("isn't read")); i++) {
      await to.run.second(drops);
      last = (await nextOf(eager, "tick") as { at: number }).at;
      expect(last).toBe(to.run.driven.at);
    }
    expect(to.log.filter((line) => line.includes("isn't read"))).toHaveLength(1);
    await eager.close();
    // What the kernel had taken for it already is all it still gets.
    lazy.socket.resume();
    await lazy.closed;
    const ids = [...lazy.got.matchAll(/^id: (\S+)$/gm)].map(([, id]) => id!);
    const resumed = readEvents(
      await to.ask("/api/v1/events", { headers: { "last-event-id": ids.at(-1)! } }),
    );
    expect((await resumed.next())?.event).toBe("hello");
    const next = await resumed.next();
    const number = (id: string | undefined): number => Number(id?.split("-").at(-1));
    // Either what comes next, or a word that it is lost; never a hole.
    expect(next?.event === "reset" || number(next?.id) === number(ids.at(-1)) + 1).toBe(true);
    await resumed.close();
  }, 60_000);

  test("is cut off by none of the times that requests have", async () => {
    const to = await start({
      limits: { headerTime: 200, requestTime: 300, idleTime: 200, readTime: 300, heartbeat: 50 },
    });
    const reader = client(to);
    reader.write(requestHead(to.server.url, "GET /api/v1/events"));
    // Ten times as long as any of them.
    await until(() => reader.got.split(": alive").length > 60 || reader.socket.destroyed, 20_000);
    await to.run.second(closed(7));
    expect(await reader.until(`"seen":7,`)).toContain(`"seen":7,`);
  }, 30_000);

  test("ends when its session does", async () => {
    const to = await start({ token, limits: { heartbeat: 50 } });
    const login = await fetch(`${to.server.url}/login`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token }),
    });
    const cookie = login.headers.get("set-cookie")!.split(";")[0]!;
    const stream = readEvents(
      await fetch(`${to.server.url}/api/v1/events`, { headers: { cookie } }),
    );
    expect((await stream.next())?.event).toBe("hello");
    await fetch(`${to.server.url}/logout`, { method: "POST", headers: { cookie } });
    expect(await stream.next()).toBeUndefined();
  });

  test("is told by HEAD as it is by GET, and none is opened", async () => {
    const to = await start({ limits: { streamsEach: 1 } });
    for (let i = 0; i < 3; i++) {
      const head = await to.ask("/api/v1/events", { method: "HEAD" });
      expect([head.status, head.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    }
  });
});

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "bun:test";
import type { FieldName } from "../../core/drop/field.ts";
import { DropwatchError } from "../../core/error.ts";
import { closed, ruleText, until } from "../../test/run.ts";
import { serve } from "../../test/server.ts";
import type { Served } from "../../test/server.ts";
import { connectTo, whereQuery } from "./connect.ts";
import type { Feed, FeedEvent } from "./feed.ts";

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).toReversed()) await end();
});

async function served(token?: string): Promise<Served> {
  const made = await serve({
    ...(token === undefined ? {} : { token }),
    run: { files: { "closed.ts": ruleText("Closed") } },
  });
  ending.push(() => made.stop());
  return made;
}

function feedTo(url: string, token?: string): Feed {
  const over = new AbortController();
  ending.push(() => over.abort());
  return connectTo({ url, token, signal: over.signal });
}

function listen(feed: Feed): FeedEvent[] {
  const events: FeedEvent[] = [];
  ending.push(feed.subscribe((event) => void events.push(event)));
  return events;
}

async function refused(asking: Promise<unknown>): Promise<string> {
  try {
    await asking;
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(DropwatchError);
    expect((thrown as DropwatchError).code).toBe("CANNOT_CONNECT");
    return (thrown as DropwatchError).message;
  }
  throw new Error("it was answered");
}

describe("a watch that runs elsewhere", () => {
  test(
    "is shown as one in this process: status, the minute before, stacks, alerts, reasons",
    async () => {
      const { run, server } = await served();
      const feed = feedTo(`${server.url}/`);
      expect(await feed.past()).toBeUndefined();
      await run.second(closed(30));
      await run.second(closed(5));
      const status = await feed.status();
      expect(status.instance).toBe(run.view.status().instance);
      const past = await feed.past();
      expect(past!.total).toBe(35);
      expect(past!.series[0]!.labels.reason).toBe("NO_SOCKET");
      expect(past!.series[0]!.values.filter((value) => (value ?? 0) > 0)).toEqual([30, 5]);
      expect((await feed.stacks({ reason: ["NO_SOCKET"], owner: [null, ""] })).total).toBe(35);
      expect((await feed.stacks({ reason: ["OTHER"] })).total).toBe(0);
      expect((await feed.alerts()).map(({ alert, state }) => [alert, state]))
        .toEqual([["Closed", "firing"]]);
      expect((await feed.reason("NO_SOCKET"))!.means).toMatch(/socket/);
      expect(await feed.reason("NO/SUCH REASON")).toBeUndefined();
    },
    20_000,
  );

  test("tells what happens, as it happens", async () => {
    const { run, server } = await served();
    const events = listen(feedTo(server.url));
    await until(() => events.some(({ event }) => event === "joined"));
    await run.second(closed(30));
    await until(() => events.some(({ event }) => event === "alert"));
    const tick = events.find((event) => event.event === "tick")!;
    expect(tick.event === "tick" && tick.data.drops).toEqual(
      [[
        run.view.status().history.fields.map((field: FieldName) =>
          field === "reason" ? "NO_SOCKET" : ""
        ),
        30,
      ]],
    );
  });

  test("wants its token, and is not asked without end for what it refuses", async () => {
    const { server } = await served("secret-of-the-test-0123456789");
    expect(await refused(feedTo(server.url).status())).toContain("it wants a token: --token-file");
    expect(await refused(feedTo(server.url, "wrong").status())).toContain("it wants a token");
    expect((await feedTo(server.url, "secret-of-the-test-0123456789").status()).state)
      .toBe("starting");
    const events = listen(feedTo(server.url));
    await until(() => events.length > 0);
    expect(events[0]).toEqual({
      event: "cut",
      data: { why: "it wants a token: --token-file FILE, or DROPWATCH_TOKEN" },
    });
  });

  test("that goes away and comes back is joined again", async () => {
    const { run, server } = await served();
    const { port } = new URL(server.url);
    const events = listen(feedTo(server.url));
    await until(() => events.some(({ event }) => event === "joined"));
    await server.close();
    await until(() => events.some(({ event }) => event === "cut"));
    const before = events.length;
    const again = await serve({ address: `127.0.0.1:${port}` });
    ending.push(() => again.stop());
    await until(() => events.slice(before).some(({ event }) => event === "joined"));
    await again.run.second(closed(1));
    await until(() => events.some(({ event }) => event === "tick"));
    await run.second([]);
  }, 20_000);

  test("isn't one: what answers is told, and nothing of it is taken", async () => {
    const answers: Record<string, [number, string, string]> = {
      "/api/v1/status": [200, "text/html", "<title>a page</title>"],
      "/api/v1/alerts": [200, "application/json", `{"alerts":[{"alert":1}]}`],
      "/api/v1/stacks": [500, "text/plain", "\x1b[2J"],
      "/api/v1/reasons/BIG": [200, "application/json", `"${"x".repeat(17_000_000)}"`],
    };
    const server = createServer((request, response) => {
      const path = new URL(request.url!, "http://host").pathname;
      if (path === "/api/v1/events") {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write(`event: tick\ndata: {"at": "now"}\n\nevent: tick\ndata: none\n\n`);
        return void response.end(`event: reset\ndata: {}\n\n`);
      }
      const [status, type, body] = answers[path] ?? [302, "text/plain", ""];
      response.writeHead(status, { "content-type": type, location: "http://127.0.0.1:1/" });
      response.end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ending.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const feed = feedTo(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    expect(await refused(feed.status())).toContain("/status isn't what dropwatch says");
    expect(await refused(feed.alerts())).toContain("/alerts isn't what dropwatch says");
    expect(await refused(feed.stacks({}))).toContain("500: no dropwatch");
    expect(await refused(feed.reason("BIG"))).toContain("larger than");
    await refused(feed.reason("ELSEWHERE")); // A redirection: the token isn't taken along.
    const events = listen(feed);
    await until(() => events.some(({ event }) => event === "cut"));
    expect(events.filter(({ event }) => event === "tick")).toEqual([]);
    expect(events.some(({ event }) => event === "missed")).toBe(true);
  });

  test("has an address, and nobody answers at that", async () => {
    expect(await refused(feedTo("http://127.0.0.1:1").status())).toMatch(/Cannot look at/);
    for (const wrong of ["", "host:8787", "ftp://host", "http://user:secret@host"]) {
      expect(() => feedTo(wrong)).toThrow(/Cannot look at/);
    }
    expect(() => feedTo("http://user:secret@host")).toThrow(/--token-file/);
  });

  test("is asked for labels as they are, and for those that weren't told apart", () => {
    expect(String(whereQuery({ owner: ["a&b=c", null, ""], dev: ["lo"] }, { window: "1m" })))
      .toBe("window=1m&where.owner=a%26b%3Dc&null.owner=1&where.owner=&where.dev=lo");
  });
});

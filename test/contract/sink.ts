// What every sink promises, and besides what every sink promises that posts to a URL. sink.test.ts
// holds each of them to it; what is special to a sink is tested beside it.
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { AlertMessage } from "../../core/alert/alert.ts";
import { makeQueue } from "../../core/alert/queue.ts";
import type { DeliveryError, Sink } from "../../core/alert/sink.ts";
import { alertOf, hostileNames, rawControl } from "../alert.ts";
import { Receiver } from "../receiver.ts";
import type { Received } from "../receiver.ts";

/** Milliseconds: for a queue to empty, and in place of the pauses between attempts. */
const patience = 4000;
const shortPause = 5;

/** A sink and its other end. */
export interface SinkUnderTest {
  readonly sink: Sink;
  /** What has arrived so far, a text for each alert, as it arrived. */
  received(): readonly string[];
  /** Takes the other end down. */
  close?(): Promise<void>;
}

export interface SinkContract {
  setUp(): Promise<SinkUnderTest>;
  /** Reads a text as the alert that it tells; left out for a sink that writes for people. */
  readonly read?: (text: string) => AlertMessage;
}

const context = { id: "msg_1", signal: new AbortController().signal };
const resolvedAt = "2026-01-02T03:09:05.000Z";

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    Object.values(value).forEach(freeze);
    Object.freeze(value);
  }
  return value;
}

/** Declares the tests of a sink's promises. */
export function sinkContract(name: string, { setUp, read }: SinkContract): void {
  const using = async (body: (under: SinkUnderTest) => Promise<void>): Promise<void> => {
    const under = await setUp();
    try {
      await body(under);
      await under.sink.close?.();
    } finally {
      await under.close?.();
    }
  };

  describe(`${name}, as every sink`, () => {
    test("has a name for the log, without an address that could hold a token", () =>
      using(({ sink }) => {
        expect(sink.name).toMatch(/^[a-z][a-z0-9_-]*$/);
        return Promise.resolve();
      }));

    test("has delivered an alert when `send` settles", () =>
      using(async ({ sink, received }) => {
        await sink.send(alertOf(), context);
        expect(received()).toHaveLength(1);
        expect(received()[0]).toContain("SocketFilterDrops");
        expect(received()[0]).toContain("4711");
      }));

    test("delivers in order what fires and what is resolved", () =>
      using(async ({ sink, received }) => {
        const alerts = [
          alertOf({ alert: "First" }),
          alertOf({ alert: "First", endsAt: resolvedAt }),
          alertOf({ alert: "Second" }),
        ];
        for (const alert of alerts) await sink.send(alert, context);
        expect(received().map((text) => /First|Second/.exec(text)?.[0]))
          .toEqual(["First", "First", "Second"]);
        expect(received().map((text) => /resolved/i.test(text))).toEqual([false, true, false]);
      }));

    test("leaves the alert as it was: other sinks get it too", () =>
      using(async ({ sink, received }) => {
        await sink.send(freeze(alertOf()), context);
        expect(received()).toHaveLength(1);
      }));

    test("lets nothing through raw that a stranger chose: no control character, no line", () =>
      using(async ({ sink, received }) => {
        for (const name of hostileNames) {
          await sink.send(
            alertOf({
              labels: { comm: name, dev: name },
              annotations: { summary: `from ${name}`, description: name, runbook: name },
            }),
            context,
          );
        }
        expect(received()).toHaveLength(hostileNames.length);
        for (const text of received()) {
          for (const line of text.replace(/\n$/, "").split("\n")) {
            expect(line).not.toMatch(rawControl);
          }
        }
      }));

    test("takes names of any length, and never puts them raw either", () =>
      using(async ({ sink, received }) => {
        const names = ["x".repeat(100_000), ...hostileNames.map((name) => name.repeat(10_000))];
        for (const name of names) {
          await sink.send(
            alertOf({
              labels: { comm: name, dev: name },
              annotations: { summary: name, description: name },
            }),
            context,
          );
        }
        expect(received()).toHaveLength(names.length);
        for (const text of received()) {
          expect(text).toContain("SocketFilterDrops");
          for (const line of text.replace(/\n$/, "").split("\n")) {
            expect(rawControl.test(line)).toBe(false);
          }
          expect(() => read?.(text)).not.toThrow();
        }
      }));

    test("says that a number is only `at least`", () =>
      using(async ({ sink, received }) => {
        await sink.send(alertOf({ exact: false, lost: 77 }), context);
        expect(received()[0]).toContain("77");
        expect(received()[0]).toMatch(/at least|"exact":false/);
      }));

    if (read === undefined) return;

    test("tells the alert in the one shape that it has everywhere", () =>
      using(async ({ sink, received }) => {
        const alerts = [
          alertOf(),
          alertOf({ endsAt: resolvedAt }),
          ...hostileNames.map((comm) => alertOf({ labels: { comm } })),
        ];
        for (const alert of alerts) await sink.send(alert, context);
        expect(received().map(read)).toEqual(
          alerts.map((alert) => JSON.parse(JSON.stringify(alert))),
        );
      }));
  });
}

export interface HttpSinkContract {
  /** A sink that posts to a URL. */
  make(url: string): Sink;
  /** By what the receiver tells a message that it has had already from a new one. */
  idOf(request: Received): unknown;
  /** Reads a body as the alert that it tells. */
  read(text: string): AlertMessage;
}

/** Declares the tests of what a sink promises that posts alerts to a URL. */
export function httpSinkContract(name: string, { make, idOf, read }: HttpSinkContract): void {
  sinkContract(name, {
    async setUp() {
      const receiver = new Receiver();
      await receiver.open();
      return {
        sink: make(receiver.url()),
        received: () => receiver.received.map(({ body }) => body),
        close: () => receiver.close(),
      };
    },
    read,
  });

  describe(`${name}, as every sink that posts to a URL`, () => {
    let receiver: Receiver;

    beforeEach(async () => {
      receiver = new Receiver();
      await receiver.open();
    });

    afterEach(() => receiver.close());

    /** How an attempt failed. */
    const failure = async (
      url: string = receiver.url(),
      signal: AbortSignal = context.signal,
    ): Promise<DeliveryError> => {
      try {
        await make(url).send(alertOf(), { ...context, signal });
      } catch (thrown) {
        return thrown as DeliveryError;
      }
      throw new Error("it was delivered");
    };

    /** Sends through the queue that stands in front of each sink; returns what was logged. */
    const deliver = async (
      alerts: readonly AlertMessage[],
      options: { readonly timeout?: number } = {},
    ): Promise<string[]> => {
      const logged: string[] = [];
      const log = (message: string): void => void logged.push(message);
      const queue = makeQueue(make(receiver.url()), {
        log,
        sleep: (pause, signal) =>
          sleep(pause === patience ? pause : shortPause, undefined, { signal }),
        ...options,
      });
      for (const alert of alerts) queue.push(alert);
      expect(await queue.drain(patience)).toBe(0);
      return logged;
    };

    test("gives a message one id over all attempts, and each message one of its own", async () => {
      receiver.answer = (_, response) =>
        void response.writeHead(receiver.received.length % 3 === 0 ? 204 : 503).end();
      const firing = alertOf();
      await deliver([firing, alertOf({ endsAt: resolvedAt }), firing]);
      const ids = receiver.received.map(idOf);
      expect(ids).toHaveLength(9);
      expect(ids[0]).toBeTruthy();
      expect([0, 3, 6].map((at) => new Set(ids.slice(at, at + 3)).size)).toEqual([1, 1, 1]);
      expect(new Set(ids).size).toBe(3);
      expect(receiver.received.map(({ body }) => read(body).type)).toEqual([
        ...Array(3).fill("alert.firing"),
        ...Array(3).fill("alert.resolved"),
        ...Array(3).fill("alert.firing"),
      ]);
    });

    test.each([200, 201, 202, 204])("takes %d as delivered", async (status) => {
      receiver.answers(status, {}, status === 204 ? "" : "ok");
      await make(receiver.url()).send(alertOf(), context);
      expect(receiver.received).toHaveLength(1);
    });

    test.each([408, 425, 429, 500, 502, 503, 504])("takes %d as: try again", async (status) => {
      receiver.answers(status);
      const error = await failure();
      expect([error.name, error.final]).toEqual(["DeliveryError", false]);
      expect(error.message).toBe(`answered ${status}`);
    });

    test.each([400, 401, 403, 404, 410, 413])("takes %d as: never again", async (status) => {
      receiver.answers(status);
      expect((await failure()).final).toBe(true);
    });

    test.each([301, 302, 303, 307, 308])("never follows %d, which is final", async (status) => {
      receiver.answers(status, { location: receiver.url("/elsewhere") });
      expect((await failure()).final).toBe(true);
      expect(receiver.received.map(({ path }) => path)).toEqual(["/hook"]);
    });

    test("waits as long as it is asked to: seconds, or until an HTTP date", async () => {
      receiver.answers(429, { "retry-after": "7" });
      expect((await failure()).retryAfter).toBe(7000);
      receiver.answers(503, { "retry-after": new Date(Date.now() + 60_000).toUTCString() });
      const { retryAfter = 0 } = await failure();
      expect(retryAfter).toBeGreaterThan(50_000);
      expect(retryAfter).toBeLessThanOrEqual(60_000);
      receiver.answers(503);
      expect((await failure()).retryAfter).toBeUndefined();
    });

    test("takes a Retry-After that it can't read as none", async () => {
      for (const value of ["soon", "1.5", "-5", "in 5 minutes", ""]) {
        receiver.answers(503, { "retry-after": value });
        expect([value, (await failure()).retryAfter]).toEqual([value, undefined]);
      }
    });

    test("doesn't use up its attempts at once where it may come back at once", async () => {
      for (const value of ["0", "Thu, 01 Jan 1970 00:00:00 GMT"]) {
        receiver.answers(503, { "retry-after": value });
        const before = receiver.received.length;
        const queue = makeQueue(make(receiver.url()), { log: () => {}, random: () => 1 });
        queue.push(alertOf());
        expect(await queue.drain(300)).toBe(1);
        expect(receiver.received.length - before).toBeLessThan(3);
      }
    });

    test("tells an answer by its beginning, safe to print", async () => {
      receiver.answers(500, {}, `\x1b[2J bad\nthings ${"x".repeat(5000)}`);
      const { message } = await failure();
      expect(message).toMatch(/^answered 500: \\x1b\[2J bad\\x0athings x+$/);
      expect(message.length).toBeLessThan(300);
    });

    test.each([200, 400, 503])("doesn't read an answer %d that never ends", async (status) => {
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      let written = 0;
      receiver.answer = (_, response) => {
        const piece = "x".repeat(65_536);
        const more = (): void => {
          do written += piece.length; while (!response.destroyed && response.write(piece));
        };
        response.on("close", resolve).on("drain", more).on("error", () => {});
        response.writeHead(status);
        more();
      };
      const sending = make(receiver.url()).send(alertOf(), context);
      if (status === 200) await sending;
      else expect((await sending.catch((thrown) => thrown)).final).toBe(status === 400);
      await closed;
      expect(written).toBeLessThan(32 * 1024 * 1024);
    });

    test.each([400, 503])("knows what %d means though the rest never comes", async (status) => {
      receiver.answer = (_, response) => void response.writeHead(status).write("because");
      const error = await failure(receiver.url(), AbortSignal.timeout(200));
      expect([error.name, error.final]).toEqual(["DeliveryError", status === 400]);
      expect(error.message).toContain(`answered ${status}`);
    });

    test("has delivered what was answered 200, though the rest never comes", async () => {
      receiver.answer = (_, response) => void response.writeHead(200).write("o");
      await make(receiver.url()).send(alertOf(), { ...context, signal: AbortSignal.timeout(2000) });
      expect(receiver.received).toHaveLength(1);
    });

    test("gives up an attempt that nobody answers, and tries again", async () => {
      receiver.answer = (_, response) => {
        if (receiver.received.length > 1) response.writeHead(204).end();
      };
      const [attempt, ...rest] = await deliver([alertOf()], { timeout: 100 });
      expect(attempt).toMatch(/SocketFilterDrops \(firing\): .*; next attempt in/);
      expect(rest).toEqual([]);
      expect(new Set(receiver.received.map(idOf)).size).toBe(1);
    });

    test("ends an attempt at once when it is aborted", async () => {
      const ending = new AbortController();
      receiver.answer = () => ending.abort(new Error("too late"));
      const error = await failure(receiver.url(), ending.signal);
      expect([error.name, error.final]).toEqual(["DeliveryError", false]);
    });

    test("sends nothing that was aborted before", async () => {
      const error = await failure(receiver.url(), AbortSignal.abort(new Error("over")));
      expect([error.name, error.final]).toEqual(["DeliveryError", false]);
      expect(receiver.received).toEqual([]);
    });

    test("takes a refused connection as: try again", async () => {
      const url = receiver.url();
      await receiver.close();
      const error = await failure(url);
      await receiver.open();
      expect([error.name, error.final, error.retryAfter])
        .toEqual(["DeliveryError", false, undefined]);
    });

    test("takes a connection that breaks as: try again", async () => {
      receiver.answer = (request) => void request.socket.destroy();
      const error = await failure();
      expect([error.name, error.final]).toEqual(["DeliveryError", false]);
    });

    describe("an error never tells the URL, which may hold a token", () => {
      const token = /hook|s3cret|127\.0\.0\.1:\d+\//i;
      const paths = ["/hook/s3cret?key=s3cret", "/hook/S%33cret s3cret", "/hook#s3cret"];

      test("where nobody answers", async () => {
        const urls = paths.map((path) => receiver.url(path));
        await receiver.close();
        const errors = [...urls, urls[0]!.replace("http:", "HTTP:")].map((url) => failure(url));
        const messages = (await Promise.all(errors)).map(({ message }) => message);
        await receiver.open();
        for (const message of messages) expect(message).not.toMatch(token);
      });

      test("where the connection breaks, or the time is over", async () => {
        receiver.answer = (request) => void request.socket.destroy();
        for (const path of paths) {
          expect(String(await failure(receiver.url(path)))).not.toMatch(token);
        }
        receiver.answer = () => {};
        const url = receiver.url(paths[0]);
        expect(String(await failure(url, AbortSignal.timeout(50)))).not.toMatch(token);
      });

      test("where the answer repeats it", async () => {
        receiver.answer = (request, response) =>
          void response.writeHead(404).end(
            `Cannot POST ${request.url} at ${receiver.url(request.url)}`,
          );
        const { message } = await failure(receiver.url(paths[0]));
        expect(message).toMatch(/^answered 404: Cannot POST /);
        expect(message).not.toMatch(token);
      });

      test("where it has a name and a password", async () => {
        const url = receiver.url("/").replace("http://", "http://somebody:s3cret@");
        receiver.answers(404, {}, "not here");
        expect(String(await failure(url))).not.toMatch(/somebody|s3cret/);
      });

      test("and no URL is told that is none", () => {
        for (const url of ["", "hook/s3cret", "ftp://127.0.0.1/s3cret", "file:///etc/s3cret"]) {
          let message = "";
          try {
            make(url);
          } catch (thrown) {
            message = String(thrown);
          }
          expect(message).toContain("its URL must begin with http:// or https://");
          expect(message).not.toContain("s3cret");
        }
      });
    });
  });
}

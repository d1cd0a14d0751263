// What every sink promises, and besides what every sink promises that posts to a URL. sink.test.ts
// holds each of them to it; what is special to a sink is tested beside it.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { AlertMessage } from "../../core/alert/alert.ts";
import type { DeliveryError, HeartbeatSink, Sink } from "../../core/alert/sink.ts";
import { alertOf, hostileNames, rawControl } from "../alert.ts";
import { Receiver } from "../receiver.ts";
import { give, notificationOf } from "../sink.ts";

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
/** Milliseconds: a megabyte of names takes long on a busy machine. */
const longNames = 30_000;
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
        await give(sink, alertOf(), context);
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
        for (const alert of alerts) await give(sink, alert, context);
        expect(received().map((text) => /First|Second/.exec(text)?.[0]))
          .toEqual(["First", "First", "Second"]);
        expect(received().map((text) => /resolved/i.test(text))).toEqual([false, true, false]);
      }));

    test("leaves the alert as it was: other sinks get it too", () =>
      using(async ({ sink, received }) => {
        await give(sink, freeze(alertOf()), context);
        expect(received()).toHaveLength(1);
      }));

    test("lets nothing through raw that a stranger chose: no control character, no line", () =>
      using(async ({ sink, received }) => {
        for (const name of hostileNames) {
          await give(
            sink,
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

    test(
      "takes names of any length, and never puts them raw either",
      () =>
        using(async ({ sink, received }) => {
          const names = ["x".repeat(100_000), ...hostileNames.map((name) => name.repeat(10_000))];
          for (const name of names) {
            await give(
              sink,
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
        }),
      longNames,
    );

    test("says that a number is only `at least`", () =>
      using(async ({ sink, received }) => {
        await give(sink, alertOf({ exact: false, lost: 77 }), context);
        expect(received()[0]).toContain("77");
        expect(received()[0]).toMatch(/at least|exact\\?":false/);
      }));

    test("tells a group of many in one message, and how many it leaves out", () =>
      using(async ({ sink, received }) => {
        if (!("notify" in sink)) return;
        const alerts = Array.from(
          { length: 1234 },
          (_, i) =>
            alertOf({
              labels: { comm: `worker${i}`, dev: "veth" },
              annotations: { summary: name },
            }),
        );
        await sink.notify(notificationOf(alerts), context);
        expect(received()).toHaveLength(1);
        expect(received()[0]).toMatch(/SocketFilterDrops/);
        expect(received()[0]).toMatch(/1,?234/);
      }));

    if (read === undefined) return;

    test("tells the alert in the one shape that it has everywhere", () =>
      using(async ({ sink, received }) => {
        const alerts = [
          alertOf(),
          alertOf({ endsAt: resolvedAt }),
          ...hostileNames.map((comm) => alertOf({ labels: { comm } })),
        ];
        for (const alert of alerts) await give(sink, alert, context);
        expect(received().map(read)).toEqual(
          alerts.map((alert) => JSON.parse(JSON.stringify(alert))),
        );
      }));
  });
}

export interface HttpSinkContract {
  /** A sink that posts to a URL. */
  make(url: string): Sink;
  /** Reads a body as the alert that it tells; left out for a sink that writes for people. */
  readonly read?: (text: string) => AlertMessage;
  /** What the receiver answers when it has taken a message; `200 ok` without it. */
  readonly accepted?: string;
  /** Which answers are not worth another try, where they are others than usual. */
  readonly final?: readonly number[];
  readonly again?: readonly number[];
  /** What of the answer must have come before a message is delivered; nothing without it. */
  readonly readsAnswer?: boolean;
  /** What the sink adds to the path of its URL: `/api/v2/alerts`. */
  readonly adds?: string;
  /** What a body tells, for a receiver that reads more out of it than its words. */
  readonly show?: (body: string) => string;
  /** How the URL is called; POST without it. */
  readonly method?: string;
}

async function openReceiver(accepted: string): Promise<Receiver> {
  const receiver = new Receiver();
  receiver.answers(200, {}, accepted);
  await receiver.open();
  return receiver;
}

/** Declares the tests of what a sink promises that posts alerts to a URL. */
export function httpSinkContract(name: string, contract: HttpSinkContract): void {
  const { make, read, accepted = "ok", show = (body) => body } = contract;
  sinkContract(name, {
    async setUp() {
      const receiver = await openReceiver(accepted);
      return {
        sink: make(receiver.url()),
        received: () => receiver.received.map(({ body }) => show(body)),
        close: () => receiver.close(),
      };
    },
    ...(read === undefined ? {} : { read }),
  });
  urlContract(name, contract);
}

/** Declares the tests of what a sink promises that calls a URL as long as all is well. */
export function heartbeatContract(
  name: string,
  { make }: { readonly make: (url: string) => HeartbeatSink },
): void {
  const again = [400, 401, 403, 404, 408, 410, 413, 425, 429, 500, 502, 503, 504];
  urlContract(name, { make, method: "GET", again, final: [] });

  describe(`${name}, as every heartbeat`, () => {
    test("has a name for the log, and says how often it is to be called", () => {
      const sink = make("http://127.0.0.1:1/s3cret");
      expect(sink.name).toMatch(/^[a-z][a-z0-9_-]*$/);
      expect(sink.every).toBeGreaterThanOrEqual(1000);
    });

    test("calls once a beat, and takes no message", async () => {
      const receiver = await openReceiver("ok");
      try {
        const sink = make(receiver.url());
        await sink.beat(context);
        await sink.beat(context);
        expect(receiver.received.map(({ method, body }) => [method, body]))
          .toEqual([["GET", ""], ["GET", ""]]);
        expect(["send", "notify", "mirror"].filter((each) => each in sink)).toEqual([]);
        await sink.close?.();
      } finally {
        await receiver.close();
      }
    });
  });
}

function urlContract(name: string, contract: Omit<HttpSinkContract, "read" | "show">): void {
  const { make, accepted = "ok", readsAnswer = false, adds = "", method = "POST" } = contract;
  const again = contract.again ?? [408, 425, 429, 500, 502, 503, 504];
  const final = contract.final ?? [400, 401, 403, 404, 410, 413];
  const isFinal = (status: number): boolean => final.includes(status);

  describe(`${name}, as every sink that posts to a URL`, () => {
    let receiver: Receiver;

    beforeEach(async () => {
      receiver = await openReceiver(accepted);
    });

    afterEach(() => receiver.close());

    /** How an attempt failed. */
    const failure = async (
      url: string = receiver.url(),
      signal: AbortSignal = context.signal,
    ): Promise<DeliveryError> => {
      try {
        await give(make(url), alertOf(), { ...context, signal });
      } catch (thrown) {
        return thrown as DeliveryError;
      }
      throw new Error("it was delivered");
    };

    test.each(readsAnswer ? [200] : [200, 201, 202, 204])(
      "takes %d as delivered",
      async (status) => {
        receiver.answers(status, {}, status === 204 ? "" : accepted);
        await give(make(receiver.url()), alertOf(), context);
        expect(receiver.received).toHaveLength(1);
      },
    );

    test.each(again)("takes %d as: try again", async (status) => {
      receiver.answers(status);
      const error = await failure();
      expect([error.name, error.final, error.gone]).toEqual(["DeliveryError", false, false]);
      expect(error.message).toBe(`answered ${status}`);
    });

    test.each(final)("takes %d as: never again", async (status) => {
      receiver.answers(status);
      const error = await failure();
      expect([error.final, error.gone]).toEqual([true, status === 410]);
    });

    test.each([301, 302, 303, 307, 308])("never follows %d, as a failure", async (status) => {
      receiver.answers(status, { location: receiver.url("/elsewhere") });
      // Where anything is worth another try, this is too.
      expect((await failure()).final).toBe(final.length > 0);
      const paths = receiver.received.map(({ path }) => adds === "" ? path?.split("?")[0] : path);
      expect(paths).toEqual([`/hook${adds}`]);
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

    test("tells an answer by its beginning, safe to print", async () => {
      receiver.answers(500, {}, `\x1b[2J bad\nthings ${"x".repeat(5000)}`);
      const { message } = await failure();
      expect(message).toMatch(/^answered 500: \\x1b\[2J bad\\x0athings x+$/);
      expect(message.length).toBeLessThan(300);
    });

    test.each(readsAnswer ? [400, 503] : [200, 400, 503])(
      "doesn't read an answer %d that never ends",
      async (status) => {
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
        const sending = give(make(receiver.url()), alertOf(), context);
        if (status === 200) await sending;
        else {
          const error = await sending.catch((thrown) => thrown as DeliveryError) as DeliveryError;
          expect(error.final).toBe(isFinal(status));
        }
        await closed;
        expect(written).toBeLessThan(32 * 1024 * 1024);
      },
    );

    test.each([400, 503])("knows what %d means though the rest never comes", async (status) => {
      receiver.answer = (_, response) => void response.writeHead(status).write("because");
      const error = await failure(receiver.url(), AbortSignal.timeout(200));
      expect([error.name, error.final]).toEqual(["DeliveryError", isFinal(status)]);
      expect(error.message).toContain(`answered ${status}`);
    });

    if (!readsAnswer) {
      test("has delivered what was answered 200, though the rest never comes", async () => {
        receiver.answer = (_, response) => void response.writeHead(200).write("o");
        await give(make(receiver.url()), alertOf(), {
          ...context,
          signal: AbortSignal.timeout(2000),
        });
        expect(receiver.received).toHaveLength(1);
      });
    }

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
            `Cannot ${request.method} ${request.url} at ${receiver.url(request.url)}`,
          );
        const { message } = await failure(receiver.url(paths[0]));
        expect(message).toContain(`answered 404: Cannot ${method} `);
        expect(message).not.toMatch(token);
      });

      test("and the answer stands in one line, without its end of line", async () => {
        receiver.answers(404, {}, "page not found\n");
        expect((await failure(receiver.url(paths[0]))).message)
          .toBe("answered 404: page not found");
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

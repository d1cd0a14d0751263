import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createServer } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { alertOf } from "../../test/alert.ts";
import { sinkContract } from "../../test/contract/sink.ts";
import { makeQueue } from "../../core/alert/queue.ts";
import type { DeliveryError } from "../../core/alert/sink.ts";
import { retryAfter, signWith, webhookSink } from "./webhook.ts";

interface Received {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A receiver on this machine, which answers 204 unless it is told otherwise. */
class Receiver {
  readonly received: Received[] = [];
  answer: (request: IncomingMessage, response: ServerResponse) => void = (_, response) =>
    void response.writeHead(204).end();
  readonly #server: Server;

  constructor() {
    this.#server = createServer(async (request, response) => {
      const parts: Uint8Array[] = [];
      for await (const part of request) parts.push(part);
      const { method, url: path, headers } = request;
      this.received.push({ method, path, headers, body: Buffer.concat(parts).toString() });
      this.answer(request, response);
    });
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  url(path = "/hook"): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  /** Answers with a status, headers and a text. */
  answers(status: number, headers: Record<string, string> = {}, text = ""): void {
    this.answer = (_, response) => void response.writeHead(status, headers).end(text);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

let receiver: Receiver;

beforeEach(async () => {
  receiver = new Receiver();
  await receiver.open();
});

afterEach(() => receiver.close());

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const context = { id: "msg_7", signal: new AbortController().signal };

/** How an attempt failed. */
async function failure(url: string, signal: AbortSignal = context.signal): Promise<DeliveryError> {
  try {
    await webhookSink({ url }).send(alertOf(), { ...context, signal });
  } catch (thrown) {
    return thrown as DeliveryError;
  }
  throw new Error("it was delivered");
}

sinkContract("webhook", {
  async setUp() {
    const own = new Receiver();
    await own.open();
    return {
      sink: webhookSink({ url: own.url(), secret }),
      received: () => own.received.map(({ body }) => body),
      close: () => own.close(),
    };
  },
  read: (text) => JSON.parse(text),
});

describe("a request", () => {
  test("is a POST of JSON to the URL as it was given", async () => {
    await webhookSink({ url: receiver.url("/a/b?token=1%202") }).send(alertOf(), context);
    const [{ method, path, headers, body }] = receiver.received as [Received];
    expect([method, path]).toEqual(["POST", "/a/b?token=1%202"]);
    expect(headers["content-type"]).toBe("application/json");
    expect(headers["user-agent"]).toBe("dropwatch");
    expect(JSON.parse(body).type).toBe("alert.firing");
  });

  test("has the headers of Standard Webhooks: an id, and the seconds of the attempt", async () => {
    await webhookSink({ url: receiver.url(), now: () => 1_614_265_330_999 }).send(
      alertOf(),
      context,
    );
    const { headers } = receiver.received[0]!;
    expect(headers["webhook-id"]).toBe("msg_7");
    expect(headers["webhook-timestamp"]).toBe("1614265330");
    expect(headers["webhook-signature"]).toBeUndefined();
  });

  test("is signed where there is a secret, over what was sent", async () => {
    await webhookSink({ url: receiver.url(), secret }).send(alertOf(), context);
    const { headers, body } = receiver.received[0]!;
    const at = Number(headers["webhook-timestamp"]);
    expect(headers["webhook-signature"]).toBe(signWith(secret, "msg_7", at, body));
  });

  test("is signed with each of several secrets, while one is replaced by the other", async () => {
    const other = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
    await webhookSink({ url: receiver.url(), secret: [secret, other] }).send(alertOf(), context);
    const { headers, body } = receiver.received[0]!;
    const at = Number(headers["webhook-timestamp"]);
    expect(headers["webhook-signature"]).toBe(
      `${signWith(secret, "msg_7", at, body)} ${signWith(other, "msg_7", at, body)}`,
    );
  });

  test("keeps its id over attempts, and tells the time of each", async () => {
    let clock = 1_000_000;
    receiver.answer = (_, response) =>
      void response.writeHead(receiver.received.length < 3 ? 503 : 204).end();
    const queue = makeQueue(
      webhookSink({ url: receiver.url(), secret, now: () => clock += 1000 }),
      {
        log: () => {},
        random: () => 0,
      },
    );
    queue.push(alertOf());
    expect(await queue.drain(10_000)).toBe(0);
    const of = (name: string): Set<unknown> =>
      new Set(receiver.received.map(({ headers }) => headers[name]));
    expect(receiver.received).toHaveLength(3);
    expect(of("webhook-id").size).toBe(1);
    expect([...of("webhook-timestamp")]).toEqual(["1001", "1002", "1003"]);
    expect(of("webhook-signature").size).toBe(3);
    expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
  });

  test("is under 20 KB: evidence and long texts are cut, the alert itself is not", async () => {
    const long = "long ".repeat(10_000);
    const alert = alertOf({
      annotations: { summary: `ü${long}`, description: long, runbook: "https://x.example/" },
      evidence: { samples: Array(1000).fill({ dev: "eth0", stack: long.slice(0, 100) }) },
    });
    await webhookSink({ url: receiver.url() }).send(alert, context);
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
    await webhookSink({ url: receiver.url() })
      .send(alertOf({ labels: { stack, team: "ü".repeat(9000) } }), context);
    const { body } = receiver.received[0]!;
    expect(Buffer.byteLength(body)).toBeLessThan(20_000);
    const { labels } = JSON.parse(body).data;
    expect(labels.alertname).toBe("SocketFilterDrops");
    expect(labels.stack).toMatch(/^some_function_of_the_kernel;.*…$/);
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
      expect(webhookSink({ url: "http://x.example/", secret: secretOf(bytes) }).name).toBe(
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
        `${secret} `,
      ]
    ) {
      expect(() => webhookSink({ url: "http://x.example/", secret: wrong }))
        .toThrow('its secret must be "whsec_" and base64 of 24 to 64 bytes');
    }
  });
});

describe("an answer", () => {
  test.each([200, 201, 202, 204])("of %d means that it was delivered", async (status) => {
    receiver.answers(status, {}, status === 204 ? "" : "ok");
    await webhookSink({ url: receiver.url() }).send(alertOf(), context);
    expect(receiver.received).toHaveLength(1);
  });

  test.each([408, 425, 429, 500, 502, 503, 504])("of %d means: try again", async (status) => {
    receiver.answers(status);
    const error = await failure(receiver.url());
    expect([error.name, error.final]).toEqual(["DeliveryError", false]);
    expect(error.message).toBe(`answered ${status}`);
  });

  test.each([400, 401, 403, 404, 410, 413])("of %d means: never again", async (status) => {
    receiver.answers(status);
    expect((await failure(receiver.url())).final).toBe(true);
  });

  test.each([301, 302, 303, 307, 308])("of %d is never followed, and final", async (status) => {
    receiver.answers(status, { location: receiver.url("/elsewhere") });
    const error = await failure(receiver.url());
    expect(error.final).toBe(true);
    expect(receiver.received.map(({ path }) => path)).toEqual(["/hook"]);
  });

  test("that names a time to wait is obeyed", async () => {
    receiver.answers(429, { "retry-after": "7" });
    expect((await failure(receiver.url())).retryAfter).toBe(7000);
    receiver.answers(503);
    expect((await failure(receiver.url())).retryAfter).toBeUndefined();
  });

  test("is told by its beginning, safe to print", async () => {
    receiver.answers(500, {}, "\x1b[2J bad\nthings " + "x".repeat(5000));
    const { message } = await failure(receiver.url());
    expect(message).toMatch(/^answered 500: \\x1b\[2J bad\\x0athings x+$/);
    expect(message.length).toBeLessThan(300);
  });

  test("that never ends is not read to its end", async () => {
    for (const status of [500, 200]) {
      let closed: Promise<unknown> | undefined;
      receiver.answer = (_, response) => {
        response.writeHead(status);
        const more = (): void => {
          while (!response.destroyed && response.write("x".repeat(65_536)));
        };
        closed = new Promise((resolve) => response.on("close", resolve));
        response.on("drain", more);
        response.on("error", () => {});
        more();
      };
      const sending = webhookSink({ url: receiver.url() }).send(alertOf(), context);
      if (status === 200) await sending;
      else expect((await sending.catch((error: unknown) => error)) as Error).toBeInstanceOf(Error);
      await closed;
    }
    expect(receiver.received).toHaveLength(2);
  });
});

describe("where nobody answers", () => {
  test("it is worth another try", async () => {
    const url = receiver.url();
    await receiver.close();
    const error = await failure(url);
    expect([error.name, error.final, error.retryAfter]).toEqual([
      "DeliveryError",
      false,
      undefined,
    ]);
    expect(error.message).toMatch(/^no answer \(/);
    await receiver.open();
  });

  test("the attempt ends when its time is over", async () => {
    const ending = new AbortController();
    receiver.answer = () => ending.abort(new Error("too late"));
    const error = await failure(receiver.url(), ending.signal);
    expect([error.name, error.final]).toEqual(["DeliveryError", false]);
  });
});

describe("an error never tells the URL, which may hold a token", () => {
  const secrets = /hook|s3cret|127\.0\.0\.1:\d+\//;

  test("where nobody answers", async () => {
    const urls = ["/hook/s3cret?key=s3cret", "/hook/S%33cret s3cret"].map((path) =>
      receiver.url(path)
    );
    await receiver.close();
    for (const url of [...urls, urls[0]!.replace("http:", "HTTP:")]) {
      expect((await failure(url)).message).not.toMatch(secrets);
    }
    await receiver.open();
  });

  test("where the answer repeats it", async () => {
    receiver.answer = (request, response) =>
      void response.writeHead(404).end(
        `Cannot POST ${request.url} at ${receiver.url(request.url)}`,
      );
    const { message } = await failure(receiver.url("/hook/s3cret?key=s3cret"));
    expect(message).toMatch(/^answered 404: Cannot POST /);
    expect(message).not.toMatch(secrets);
  });

  test("and a URL that is none is told without itself", () => {
    for (const url of ["", "hook/s3cret", "ftp://127.0.0.1/s3cret", "file:///etc/s3cret"]) {
      expect(() => webhookSink({ url })).toThrow("its URL must begin with http:// or https://");
      try {
        webhookSink({ url });
      } catch (thrown) {
        expect((thrown as Error).message).not.toContain("s3cret");
      }
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

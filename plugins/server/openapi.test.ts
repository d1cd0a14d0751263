// The document and the server are of one table: what the one says the other does.
import { Validator } from "@cfworker/json-schema";
import type { Schema } from "@cfworker/json-schema";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { DeliveryError } from "../../core/alert/sink.ts";
import { readEvents, serve } from "../../test/server.ts";
import type { Served } from "../../test/server.ts";
import { closed, ruleText, until } from "../../test/run.ts";
import { metricsFor } from "../metrics/openmetrics.ts";
import { honoPath } from "./app.ts";
import { defaultLimits } from "./limit.ts";
import { openApiDocument } from "./openapi.ts";
import { serverApp } from "./server.ts";
import type { ServerOptions } from "./server.ts";

type Json = Record<string, unknown>;

interface Operation {
  readonly operationId: string;
  readonly security?: readonly unknown[];
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: Json }> };
  readonly responses: Record<string, {
    readonly description: string;
    readonly content?: Record<string, { readonly schema?: Json }>;
  }>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: Json;
}

const token = "0123456789abcdef-token";
const page = { body: new TextEncoder().encode("<p>page"), type: "text/html; charset=utf-8" };
const options: ServerOptions = {
  address: "127.0.0.1:0",
  token,
  log: () => {},
  files: () => Promise.resolve(new Map([["/", page], ["/assets/app-0123456789ab.js", page]])),
  metrics: metricsFor,
};

const plenty = { perSecond: 10_000, burst: 10_000 };
let served: Served;
let document: Document;

beforeEach(async () => {
  served = await serve({
    ...options,
    limits: { reads: plenty, writes: plenty, work: plenty },
    run: {
      files: { "closed.ts": ruleText("Closed"), "broken.ts": "export default 1;" },
      sinks: [{ name: "down", send: () => Promise.reject(new DeliveryError("it is down")) }],
    },
  });
  document = await served.json("/api/v1/openapi.json") as Document;
});
afterEach(() => served.stop());

const operations = (): [path: string, method: string, operation: Operation][] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, string, Operation] => [
      path,
      method.toUpperCase(),
      operation,
    ])
  );

/** What doesn't fit the schema that the document has for an answer. */
function misfits(schema: Json, value: unknown): string[] {
  const whole = { ...schema, components: document.components } as unknown as Schema;
  return new Validator(whole, "2020-12", false).validate(value).errors
    .map(({ instanceLocation, error }) => `${instanceLocation}: ${error}`);
}

/** Asks as an operation says, and holds the answer to what it says. */
async function call(
  path: string,
  method: string,
  { url, body, headers = {} }: { url?: string; body?: unknown; headers?: Record<string, string> } =
    {},
): Promise<{ status: number; value: unknown }> {
  const operation = document.paths[path]![method.toLowerCase()]!;
  const answer = await served.ask(url ?? path, {
    method,
    ...(body === undefined ? { headers } : {
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    }),
  });
  const said = operation.responses[answer.status];
  if (said === undefined) {
    throw new Error(`${method} ${path} answers ${answer.status}: ${await answer.text()}`);
  }
  const [entry] = Object.entries(said.content ?? {});
  const type = answer.headers.get("content-type") ?? "";
  if (entry === undefined) {
    expect(await answer.text()).toBe("");
    return { status: answer.status, value: undefined };
  }
  const [wanted, { schema }] = entry;
  if (wanted !== "*/*") expect([path, type.startsWith(wanted)]).toEqual([path, true]);
  if (wanted === "text/event-stream") {
    const events = readEvents(answer);
    const first = await events.next();
    await events.close();
    expect(misfits(schema!, first?.data)).toEqual([]);
    return { status: answer.status, value: first };
  }
  const text = await answer.text();
  if (schema === undefined) return { status: answer.status, value: text };
  const value = JSON.parse(text);
  expect([path, answer.status, misfits(schema, value)]).toEqual([path, answer.status, []]);
  return { status: answer.status, value };
}

describe("the document", () => {
  test("is of every operation: each answers as it says, on a run with something of everything", async () => {
    for (let i = 0; i < 5; i++) await served.run.second(closed(30));
    await until(() => served.run.view.outbox().length > 0);
    const { fingerprint } = served.run.view.alerts()[0]!;
    const made = await call("/api/v1/silences", "POST", {
      body: { matchers: ['alertname="Closed"'], duration: "2h", comment: "a test" },
    });
    expect(made.status).toBe(201);
    await served.run.second(closed(30));
    const message = served.run.view.outbox()[0]!.id;
    const urls: Record<string, string> = {
      "GET /api/v1/drops": "/api/v1/drops?by=reason,dev&window=1m&step=1000&where.reason=NO_SOCKET",
      "GET /api/v1/alerts/{fingerprint}": `/api/v1/alerts/${fingerprint}`,
      "GET /api/v1/reasons/{name}": "/api/v1/reasons/NO_SOCKET",
      "DELETE /api/v1/silences/{id}": `/api/v1/silences/${(made.value as { id: string }).id}`,
      "POST /api/v1/outbox/{id}/retry": `/api/v1/outbox/${message}/retry`,
      "DELETE /api/v1/outbox/{id}": `/api/v1/outbox/${message}`,
      "GET /assets/{file}": "/assets/app-0123456789ab.js",
    };
    const bodies: Record<string, unknown> = {
      "POST /api/v1/silences": { matchers: ['dev=~"eth.*"'], duration: 60_000, createdBy: "me" },
      "POST /login": { token },
    };
    const values = new Map<string, unknown>();
    for (const [path, method] of operations()) {
      const key = `${method} ${path}`;
      const { status, value } = await call(path, method, {
        url: urls[key]!,
        body: bodies[key],
        ...(path === "/metrics" ? { headers: { accept: "application/openmetrics-text" } } : {}),
      });
      expect([key, status < 300]).toEqual([key, true]);
      values.set(key, value);
    }
    // Something of everything was there to be held against its schema.
    const filled = (key: string, name: string): number =>
      ((values.get(key) as Json)[name] as unknown[]).length;
    for (
      const [key, name] of [
        ["GET /api/v1/alerts", "alerts"],
        ["GET /api/v1/alerts/{fingerprint}", "timeline"],
        ["GET /api/v1/drops", "series"],
        ["GET /api/v1/rules", "rules"],
        ["GET /api/v1/rules", "errors"],
        ["GET /api/v1/reasons", "reasons"],
        ["GET /api/v1/silences", "silences"],
        ["GET /api/v1/outbox", "messages"],
      ] as const
    ) expect([key, filled(key, name) > 0]).toEqual([key, true]);
  });

  test("tells what an operation answers where nothing is found, or what was asked is no good", async () => {
    for (const [path, method, operation] of operations()) {
      const bare = path.replace(/\{\w+\}/g, path.includes("fingerprint") ? "0".repeat(16) : "none");
      const body = operation.requestBody === undefined ? undefined : {};
      if (path.includes("{")) {
        expect([path, (await call(path, method, { url: bare })).status]).toEqual([path, 404]);
      }
      const unknown = await call(path, method, { url: `${bare}?colour=red`, body });
      // The page reads its own.
      expect([path, unknown.status])
        .toEqual([path, path === "/" ? 200 : path.startsWith("/assets") ? 404 : 400]);
      if (body !== undefined) {
        expect((await call(path, method, { body: { nothing: 1 } })).status).toBe(400);
        expect(
          (await call(path, method, { body, headers: { "content-type": "text/plain" } })).status,
        )
          .toBe(415);
      }
    }
  });

  test("tells what needs the token: all the rest is open", async () => {
    const open: string[] = [];
    for (const [path, method, { security, requestBody }] of operations()) {
      const url = served.server.url + path.replace(/\{\w+\}/g, "none");
      const answer = await fetch(url, {
        method,
        ...(requestBody === undefined ? {} : {
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ token: "wrong" }),
        }),
      });
      await answer.text();
      if (security === undefined) expect([path, answer.status]).toEqual([path, 401]);
      else open.push(`${method} ${path}`);
    }
    expect(open.sort()).toEqual([
      "GET /",
      "GET /assets/{file}",
      "GET /healthz",
      "GET /readyz",
      "POST /login",
      "POST /logout",
    ]);
  });

  test("has every route of the application, and no other", () => {
    const { app, routes } = serverApp(options, {
      port: 1,
      limits: defaultLimits,
      notices: { say: () => {} },
      shown: { view: () => undefined, hub: () => undefined },
    });
    const inDocument = Object.entries(openApiDocument(routes)["paths"] as Document["paths"])
      .flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${honoPath(path)}`)
      );
    // What is for all methods answers with 405, or guards.
    const inApp = app.routes.filter(({ method }) => method !== "ALL")
      .map(({ method, path }) => `${method} ${path}`);
    expect([...new Set(inApp)].sort()).toEqual(inDocument.sort());
    const forAll = app.routes.filter(({ method }) => method === "ALL").map(({ path }) => path);
    const paths = new Set(inDocument.map((each) => each.split(" ")[1]!));
    expect(forAll.filter((path) => !path.endsWith("/*") && !paths.has(path))).toEqual([]);
  });

  test("says of every parameter and body what fits: a schema of JSON that takes what the server takes", async () => {
    expect(document.openapi).toBe("3.1.0");
    const ids = operations().map(([, , { operationId }]) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    const body = document.paths["/api/v1/silences"]!["post"]!.requestBody!
      .content["application/json"]!.schema;
    const tries: readonly (readonly [unknown, boolean])[] = [
      [{ matchers: ['a="b"'], duration: "1h30m" }, true],
      [{ matchers: ['a="b"'], duration: 5000, createdBy: "x", comment: "y" }, true],
      [{ matchers: [], duration: "1h" }, false],
      [{ matchers: ['a="b"'], duration: "long" }, false],
      [{ matchers: ['a="b"'], duration: -1 }, false],
      [{ matchers: ['a="b"'] }, false],
      [{ matchers: ['a="b"'], duration: "1h", more: 1 }, false],
    ];
    for (const [given, fits] of tries) {
      const { status } = await call("/api/v1/silences", "POST", { body: given });
      expect([given, misfits(body, given).length === 0, status === 201])
        .toEqual([given, fits, fits]);
    }
  });
});

// The application: guards that every request passes, then the routes of the table, and nothing else.
import { Hono } from "hono";
import type { Context, MiddlewareHandler } from "hono";
import { compress } from "hono/compress";
import * as v from "valibot";
import {
  badBody,
  methodNotAllowed,
  notFound,
  notJson,
  notReady,
  tooManyRequests,
} from "../../core/error.ts";
import { nearest } from "../../core/nearest.ts";
import type { View } from "../../core/view/view.ts";
import type { Asking } from "./asking.ts";
import type { Buckets } from "./guard/bucket.ts";
import { needToken } from "./guard/token.ts";
import type { Gate } from "./guard/token.ts";
import { filters, problemsOf, readParameters, whereOf } from "./parameter.ts";
import { problemOf } from "./problem.ts";
import type { Route } from "./route.ts";
import type { Body } from "./schema.ts";

/** Makes the application of a table of routes. `guards` are in the order in which a request passes them. */
export function makeApp(
  routes: readonly Route[],
  { guards, gate, work, view, log }: {
    readonly guards: readonly MiddlewareHandler<Asking>[];
    readonly gate: Gate;
    /** Milliseconds of work, by client. */
    readonly work: Buckets;
    readonly view: () => View | undefined;
    readonly log: (message: string) => void;
  },
): Hono<Asking> {
  const app = new Hono<Asking>();
  app.onError((thrown) => {
    const { status, headers, body } = problemOf(thrown, log);
    return new Response(body, { status, headers });
  });
  const paths = [...new Set(routes.map(({ path }) => path))];
  app.notFound((c) => {
    throw notFound("the path", c.req.path, nearest(c.req.path, paths));
  });
  for (const guard of guards) app.use(guard);
  // A page that begins reads some hundred kilobytes of JSON, maybe over a phone's network. The stream
  // of events asks to be left as it is. Nothing secret is in an answer that others have a hand in.
  app.use("/api/*", compress());
  const token = needToken(gate);
  for (const route of routes) {
    const handle = (c: Context<Asking>): Promise<Response> => answer(route, c, { view, work });
    if (route.access === "token") app.on(route.method, honoPath(route.path), token, handle);
    else app.on(route.method, honoPath(route.path), handle);
  }
  for (const path of paths) {
    const allowed = routes.filter((route) => route.path === path).map(({ method }) => method)
      .flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]);
    app.all(honoPath(path), (c) => {
      if (c.req.method !== "OPTIONS") throw methodNotAllowed(c.req.method, allowed);
      // Without a word of CORS: no other page may ask.
      return new Response(null, { status: 204, headers: { allow: allowed.join(", ") } });
    });
  }
  return app;
}

/** A path as hono writes it. */
export const honoPath = (path: string): string => path.replace(/\{(\w+)\}/g, ":$1");

async function answer(
  route: Route,
  context: Context<Asking>,
  { view: viewNow, work }: { readonly view: () => View | undefined; readonly work: Buckets },
): Promise<Response> {
  const { req, env: { client } } = context;
  const view = viewNow();
  if (route.needsView && view === undefined) throw notReady();
  const parameters = route.filtered ? { ...route.parameters, ...filters } : route.parameters;
  const query = route.lenient ? new URLSearchParams() : new URL(req.url).searchParams;
  const values = readParameters(parameters, req.param(), query);
  const where = route.filtered ? whereOf(values) : {};
  const body = route.body === undefined ? undefined : await readBody(route.body, req.raw);
  const wait = route.needsView ? work.wait(client) : 0;
  if (wait > 0) throw tooManyRequests(wait);
  const start = performance.now();
  try {
    // What holds up ticks is done when this returns; what is awaited then isn't counted.
    return route.handle({ values, where, body, view: view as View, context });
  } finally {
    if (route.needsView) work.charge(client, performance.now() - start);
  }
}

/** What was sent, by its schema. */
async function readBody(schema: Body<unknown>, request: Request): Promise<unknown> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) throw notJson(type);
  let value: unknown;
  try {
    value = await request.json();
  } catch {
    throw badBody("it is no JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badBody("it is no object");
  }
  const known = Object.keys(schema.entries);
  const unknown = Object.keys(value).find((key) => !Object.hasOwn(schema.entries, key));
  if (unknown !== undefined) {
    const near = nearest(unknown, known);
    throw badBody(
      `there is no ${JSON.stringify(unknown.slice(0, 80))}; ` +
        (near.length > 0 ? `nearest: ${near.join(", ")}` : `expected ${known.join(", ")}`),
    );
  }
  const read = v.safeParse(schema, value);
  if (!read.success) throw badBody(problemsOf(read.issues));
  return read.output;
}

// A guard by itself, in front of an application that says yes to everything.
import { Hono } from "hono";
import type { MiddlewareHandler } from "hono";
import type { Asking } from "../plugins/server/asking.ts";
import { problemOf } from "../plugins/server/problem.ts";

/** Asks through a guard; what it let through is answered with 200 and "yes". */
export function through(
  guard: MiddlewareHandler<Asking>,
): (
  init?: RequestInit & { readonly path?: string; readonly client?: string },
) => Promise<Response> {
  const app = new Hono<Asking>();
  app.onError((thrown) => {
    const { status, headers, body } = problemOf(thrown, (message) => {
      throw new Error(message);
    });
    return new Response(body, { status, headers });
  });
  app.use(guard);
  app.all("/*", (c) => c.text("yes"));
  return async ({ path = "/api/v1/status", client = "192.0.2.1", ...init } = {}) =>
    await app.fetch(new Request(`http://server${path}`, init), { client });
}

// The routes beside the API: whether it lives, metrics, the stream of events, logging in, the dashboard.
import { getCookie } from "hono/cookie";
import * as v from "valibot";
import { notFound, notReady, tooManyRequests, unauthorized } from "../../core/error.ts";
import type { View } from "../../core/view/view.ts";
import type { Assets } from "./asset.ts";
import type { EventHub } from "./event_stream.ts";
import { rightOf } from "./guard/token.ts";
import type { Gate } from "./guard/token.ts";
import { jsonAnswer } from "./route.ts";
import type { Asked, Method, Route } from "./route.ts";
import {
  AlertSchema,
  ChangedSchema,
  HelloSchema,
  LoginSchema,
  ReadySchema,
  ResetSchema,
  TickSchema,
} from "./schema.ts";
import type { Body } from "./schema.ts";
import type { Parameters } from "./parameter.ts";

/** The metrics in the format that fits an Accept header. */
export type MetricsAnswer = (
  accept: string,
  view: View,
) => { readonly body: string; readonly type: string };

/** What these routes need of a server. */
export interface Service {
  /** Undefined until something is watched. */
  readonly view: () => View | undefined;
  readonly hub: () => EventHub | undefined;
  readonly gate: Gate;
  readonly assets: Assets | undefined;
  readonly metrics: MetricsAnswer | undefined;
  /** The document of the API. */
  readonly document: () => unknown;
}

const json = "application/json";
const plain = "text/plain; charset=utf-8";

interface RawRoute<P extends Parameters, B> {
  readonly parameters?: P;
  readonly body?: Body<B>;
  readonly access?: "open" | "token";
  readonly needsView?: true;
  readonly lenient?: true;
  readonly handle: (asked: Asked<P, B>) => Response | Promise<Response>;
}

/** A route that makes its answer itself. */
function rawRoute<const P extends Parameters, B>(
  method: Method,
  path: string,
  id: string,
  summary: string,
  answers: Route["answers"],
  route: RawRoute<P, B>,
): Route {
  const { parameters, body, access = "open", needsView = false, lenient = false, handle } = route;
  return {
    method,
    path,
    id,
    summary,
    access,
    needsView,
    parameters: parameters ?? {},
    filtered: false,
    lenient,
    body: body as Body<unknown> | undefined,
    answers,
    handle: handle as unknown as Route["handle"],
  };
}

/** The routes beside the API. */
export function serviceRoutes(service: Service): readonly Route[] {
  const { gate, assets, metrics } = service;
  return [
    rawRoute("GET", "/healthz", "getHealth", "Whether the process lives", {
      200: { doc: "It does", type: plain },
    }, { handle: () => new Response("ok\n", { headers: { "content-type": plain } }) }),
    rawRoute("GET", "/readyz", "getReady", "Whether drops are counted; why not, with the token", {
      200: { doc: "They are", type: json, schema: ReadySchema },
      503: { doc: "They aren't", type: json, schema: ReadySchema },
    }, {
      handle({ context: { req }, context }) {
        const { state, trouble } = service.view()?.readiness() ??
          { state: "starting" as const, trouble: "rules are being loaded" };
        const ready = state === "watching" && trouble === "";
        const cookie = getCookie(context, gate.sessions.cookie);
        const { may } = rightOf(req.header("authorization"), cookie, gate);
        return jsonAnswer(may ? { ready, state, trouble } : { ready }, ready ? 200 : 503);
      },
    }),
    ...(metrics === undefined ? [] : [
      rawRoute("GET", "/metrics", "getMetrics", "Metrics, as Prometheus reads them", {
        200: {
          doc: "OpenMetrics, or Prometheus's own text to whoever asks for that",
          type: "application/openmetrics-text",
        },
      }, {
        access: "token",
        needsView: true,
        handle({ view, context: { req } }) {
          const { body, type } = metrics(req.header("accept") ?? "", view);
          return new Response(body, { headers: { "content-type": type, vary: "accept" } });
        },
      }),
    ]),
    rawRoute("GET", "/api/v1/events", "getEvents", "What happens, as server-sent events", {
      200: {
        doc: "The data of each event is JSON: `hello` first, then `tick`, `alert`, `changed`; " +
          "`reset` says that something was missed and all is to be read again",
        type: "text/event-stream",
        schema: v.union([HelloSchema, TickSchema, AlertSchema, ChangedSchema, ResetSchema]),
      },
      503: { doc: "There are as many streams as there is room for" },
    }, {
      access: "token",
      needsView: true,
      parameters: {
        lastEventId: {
          in: "query",
          form: "text",
          doc: "The last id that was received, for those who can't send the header Last-Event-ID",
          schema: v.optional(v.pipe(v.string(), v.maxLength(100))),
        },
      },
      handle({ values, context: { req, env, var: { allowed } } }) {
        const hub = service.hub();
        if (hub === undefined) throw notReady();
        const headers = {
          "content-type": "text/event-stream",
          "cache-control": "no-store, no-transform",
          // nginx would hold events back.
          "x-accel-buffering": "no",
        };
        // Nobody would read a stream that only its headers were asked for.
        if (req.method === "HEAD") return new Response(null, { headers });
        const lastEventId = req.header("last-event-id") ?? values.lastEventId;
        return new Response(hub.open({ client: env.client, lastEventId, allowed }), { headers });
      },
    }),
    rawRoute("GET", "/api/v1/openapi.json", "getDocument", "This document", {
      200: { doc: "OpenAPI 3.1", type: json, schema: v.looseObject({ openapi: v.string() }) },
    }, { access: "token", handle: () => jsonAnswer(service.document()) }),
    rawRoute(
      "POST",
      "/login",
      "logIn",
      "Begins a session, for browsers: its cookie is the token's equal",
      {
        204: { doc: "The session's cookie; where no token is needed there is none" },
        429: { doc: "Too many wrong tokens came from that address" },
      },
      {
        body: LoginSchema,
        handle({ body: { token }, context: { req, env } }) {
          if (gate.isToken === null) return new Response(null, { status: 204 });
          // A right one is let in whoever else tries wrong ones from the same address.
          if (!gate.isToken(token)) {
            const wait = gate.failures.take(env.client);
            if (wait > 0) throw tooManyRequests(wait);
            throw unauthorized("that is another one");
          }
          const { cookie, seconds } = gate.sessions;
          return cookieAnswer(req.header("origin"), cookie, gate.sessions.begin(), seconds);
        },
      },
    ),
    rawRoute("POST", "/logout", "logOut", "Ends the session", {
      204: { doc: "There is none any more" },
    }, {
      handle({ context, context: { req } }) {
        const { cookie, end } = gate.sessions;
        const value = getCookie(context, cookie);
        if (value !== undefined) end(value);
        return cookieAnswer(req.header("origin"), cookie, "", 0);
      },
    }),
    rawRoute("GET", "/", "getDashboard", "The dashboard", {
      200: { doc: "A page, or where there is none a text", type: "text/html; charset=utf-8" },
    }, {
      lenient: true,
      handle: async ({ context: { req } }) =>
        await assets?.("/", req.raw.headers) ??
          new Response(
            "dropwatch. There is no dashboard here; the API is under /api/v1, described by " +
              "/api/v1/openapi.json.\n",
            { headers: { "content-type": plain } },
          ),
    }),
    rawRoute("GET", "/assets/{file}", "getAsset", "What the dashboard is made of", {
      200: { doc: "A file", type: "*/*" },
      404: { doc: "There is no such file" },
    }, {
      lenient: true,
      parameters: {
        file: {
          in: "path",
          form: "text",
          doc: "Its name",
          schema: v.pipe(v.string(), v.maxLength(200)),
        },
      },
      async handle({ values: { file }, context: { req } }) {
        const found = await assets?.(`/assets/${file}`, req.raw.headers);
        if (found === undefined) throw notFound("the file", file, []);
        return found;
      },
    }),
  ];
}

/** An answer with the session's cookie; over TLS, which a proxy speaks, it is for TLS only. */
function cookieAnswer(
  origin: string | undefined,
  name: string,
  value: string,
  seconds: number,
): Response {
  const secure = origin?.startsWith("https://") === true ? "; Secure" : "";
  return new Response(null, {
    status: 204,
    headers: {
      "set-cookie":
        `${name}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`,
    },
  });
}

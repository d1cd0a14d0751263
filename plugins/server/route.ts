// What a route is: what it takes, what it answers, and who may ask. The server's handlers and its
// OpenAPI document are both made from these.
import type { Context } from "hono";
import type { View } from "../../core/view/view.ts";
import type { Asking } from "./asking.ts";

import type { Parameters, Values } from "./parameter.ts";
import type { Body, Schema } from "./schema.ts";
import type { HistoryLabel } from "../../core/view/view.ts";

export type Method = "GET" | "POST" | "DELETE";

/** What an answer of a status holds. */
export interface Content {
  readonly doc: string;
  /** Absent where there is nothing in it. */
  readonly type?: string;
  /** Of JSON, or of the data of each event. */
  readonly schema?: Schema;
}

/** A route, as the server and the document see it. */
export interface Route {
  readonly method: Method;
  /** As OpenAPI writes it: `/api/v1/alerts/{fingerprint}`. */
  readonly path: string;
  /** Its name in the document. */
  readonly id: string;
  readonly summary: string;
  /** `open` needs no token. */
  readonly access: "open" | "token";
  /** Whether it answers 503 until something is watched. */
  readonly needsView: boolean;
  readonly parameters: Parameters;
  /** Whether it takes `where.FIELD` and `null.FIELD`. */
  readonly filtered: boolean;
  /** Whether other parameters are let through: the dashboard's script reads those of its page. */
  readonly lenient: boolean;
  readonly body: Body<unknown> | undefined;
  readonly answers: Readonly<Record<number, Content>>;
  readonly handle: (asked: Asked<Parameters, unknown>) => Response | Promise<Response>;
}

/** What a handler gets. */
export interface Asked<P extends Parameters, B> {
  readonly values: Values<P>;
  readonly where: Readonly<Record<string, readonly HistoryLabel[]>>;
  readonly body: B;
  /** There where the route needs it. */
  readonly view: View;
  readonly context: Context<Asking>;
}

/** A route that answers JSON of one status. */
export function jsonRoute<const P extends Parameters, B, T>(
  route: {
    readonly method: Method;
    readonly path: string;
    readonly id: string;
    readonly summary: string;
    readonly parameters?: P;
    readonly filtered?: true;
    readonly body?: Body<B>;
    readonly status?: number;
    readonly doc: string;
    readonly schema: Schema<T>;
    readonly refusals?: Readonly<Record<number, string>>;
    readonly answer: (asked: Asked<P, B>) => T;
  },
): Route {
  const { parameters, filtered = false, body, status = 200, doc, schema, refusals = {} } = route;
  const { method, path, id, summary, answer } = route;
  return {
    method,
    path,
    id,
    summary,
    access: "token",
    needsView: true,
    parameters: parameters ?? {},
    filtered,
    lenient: false,
    body: body as Body<unknown> | undefined,
    answers: {
      [status]: { doc, type: "application/json", schema },
      ...Object.fromEntries(Object.entries(refusals).map(([code, why]) => [code, { doc: why }])),
    },
    handle: (asked) => jsonAnswer(answer(asked as unknown as Asked<P, B>), status),
  };
}

/** JSON with a line break at its end, for those who look at it in a terminal. */
export function jsonAnswer(value: unknown, status = 200): Response {
  return new Response(`${JSON.stringify(value)}\n`, {
    status,
    headers: { "content-type": "application/json" },
  });
}

// The routes of /api/v1, as a table.
import * as v from "valibot";
import { badParameter, notFound } from "../../core/error.ts";
import { fieldNames } from "../../core/drop/field.ts";
import type { FieldName } from "../../core/drop/field.ts";
import { nearest } from "../../core/nearest.ts";
import { isDuration, milliseconds } from "../../core/rule/duration.ts";
import type { View } from "../../core/view/view.ts";
import type { Parameter } from "./parameter.ts";
import { jsonRoute } from "./route.ts";
import type { Route } from "./route.ts";
import {
  AlertsSchema,
  AlertStorySchema,
  DoneSchema,
  DropsSchema,
  NewSilenceSchema,
  OutboxSchema,
  ReasonSchema,
  ReasonsSchema,
  RulesSchema,
  SilenceSchema,
  SilencesSchema,
  StacksSchema,
  StatusSchema,
} from "./schema.ts";
import type { Schema } from "./schema.ts";

// --- parameters ---

const query = <T>(
  form: Parameter["form"],
  doc: string,
  schema: Schema<T>,
): Parameter<T> => ({ in: "query", form, doc, schema });

const path = <T>(doc: string, schema: Schema<T>): Parameter<T> => ({
  in: "path",
  form: "text",
  doc,
  schema,
});

/** What a date can be, in milliseconds. */
const moment = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(8.64e15));

const span = {
  from: query("number", "Milliseconds since 1970", v.optional(moment)),
  to: query("number", "Milliseconds since 1970; the last tick without it", v.optional(moment)),
  window: query(
    "text",
    "In place of `from`: how long before `to`, as `90s`, `1h`, `7d`",
    v.optional(
      v.pipe(v.string(), v.maxLength(100), v.check(isDuration, 'expected a duration, as "1h"')),
      "1h",
    ),
  ),
};

const identity = v.pipe(v.string(), v.minLength(1), v.maxLength(200));

/** From when to when is asked for, in milliseconds. Without `to`: up to the last tick. */
function spanOf(
  { from, to, window }: {
    readonly from: number | undefined;
    readonly to: number | undefined;
    readonly window: string;
  },
  asked: URLSearchParams,
  view: View,
  now: () => number,
): { readonly from: number; readonly to: number } {
  if (from !== undefined && asked.has("window")) {
    throw badParameter("window", window, "there is from already");
  }
  const { lastTickAt } = view.readiness();
  const end = to ?? (lastTickAt === null ? now() : Date.parse(lastTickAt));
  return { from: from ?? Math.max(0, end - milliseconds(window)), to: end };
}

// --- the table ---

/** The routes of the API. */
export function apiRoutes(now: () => number): readonly Route[] {
  return [
    jsonRoute({
      method: "GET",
      path: "/api/v1/status",
      id: "getStatus",
      summary: "How it is going: what was counted and lost, and what it costs",
      doc: "The status",
      schema: StatusSchema,
      answer: ({ view }) => view.status(),
    }),
    jsonRoute({
      method: "GET",
      path: "/api/v1/drops",
      id: "getDrops",
      summary: "The drops of a time, by labels",
      parameters: {
        by: query(
          "list",
          "Fields, with commas between them; see `history.fields` of the status",
          v.optional(
            v.pipe(
              v.array(v.picklist(fieldNames)),
              v.maxLength(fieldNames.length),
            ) as unknown as Schema<readonly FieldName[]>,
            [],
          ),
        ),
        ...span,
        step: query(
          "number",
          "Milliseconds of one value; some 600 values come without it",
          v.optional(v.pipe(v.number(), v.integer(), v.minValue(1000))),
        ),
        limit: query(
          "number",
          "How many series; what else there is, is in `rest`",
          v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(200)), 20),
        ),
      },
      filtered: true,
      doc: "The drops",
      schema: DropsSchema,
      answer: ({ values, where, view, context }) =>
        view.drops({
          by: values.by,
          where,
          ...spanOf(values, new URL(context.req.url).searchParams, view, now),
          ...(values.step === undefined ? {} : { step: values.step }),
          limit: values.limit,
        }),
    }),
    jsonRoute({
      method: "GET",
      path: "/api/v1/stacks",
      id: "getStacks",
      summary: "The kernel's stacks of the drops of a time",
      parameters: span,
      filtered: true,
      doc: "The stacks",
      schema: StacksSchema,
      answer: ({ values, where, view, context }) =>
        view.stacks({
          where,
          ...spanOf(values, new URL(context.req.url).searchParams, view, now),
        }),
    }),
    jsonRoute({
      method: "GET",
      path: "/api/v1/alerts",
      id: "getAlerts",
      summary: "Alerts that are pending or fire, the worst first, and the last that are over",
      doc: "The alerts",
      schema: AlertsSchema,
      answer: ({ view }) => ({ alerts: view.alerts() }),
    }),
    jsonRoute({
      method: "GET",
      path: "/api/v1/alerts/{fingerprint}",
      id: "getAlert",
      summary: "An alert, and what became of it: who was told, who wasn't, and why",
      parameters: {
        fingerprint: path(
          "The alert's fingerprint",
          v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/, "expected 16 hex digits")),
        ),
      },
      doc: "The alert",
      schema: AlertStorySchema,
      refusals: { 404: "Nothing is known of such an alert" },
      answer: ({ values: { fingerprint }, view }) => {
        const alert = view.alert(fingerprint) ?? null;
        const timeline = view.timeline(fingerprint);
        if (alert === null && timeline.length === 0) throw notFound("the alert", fingerprint, []);
        return { alert, timeline };
      },
    }),
    jsonRoute({
      method: "GET",
      path: "/api/v1/rules",
      id: "getRules",
      summary: "The rules that are watched, and the files that can't be loaded",
      doc: "The rules",
      schema: RulesSchema,
      answer: ({ view }) => view.rules(),
    }),
    jsonRoute({
      method: "GET",
      path: "/api/v1/reasons",
      id: "getReasons",
      summary: "The drop reasons of this kernel, and what they mean",
      doc: "The reasons",
      schema: ReasonsSchema,
      answer: ({ view }) => ({ reasons: view.reasons() }),
    }),
    jsonRoute({
      method: "GET",
      path: "/api/v1/reasons/{name}",
      id: "getReason",
      summary: "What a drop reason means, its usual causes, and what to do",
      parameters: { name: path("The reason's name, as `NO_SOCKET`", identity) },
      doc: "The reason",
      schema: ReasonSchema,
      refusals: { 404: "This kernel has no such reason" },
      answer: ({ values: { name }, view }) => {
        const reasons = view.reasons();
        const found = reasons.find(({ reason }) => reason === name);
        if (found !== undefined) return found;
        throw notFound("the reason", name, nearest(name, reasons.map(({ reason }) => reason)));
      },
    }),
    jsonRoute({
      method: "GET",
      path: "/api/v1/silences",
      id: "getSilences",
      summary: "Silences: those that are over for long are left out",
      doc: "The silences",
      schema: SilencesSchema,
      answer: ({ view }) => ({ silences: view.silences() }),
    }),
    jsonRoute({
      method: "POST",
      path: "/api/v1/silences",
      id: "addSilence",
      summary: "Keeps alerts quiet from now on, for a time",
      body: NewSilenceSchema,
      status: 201,
      doc: "The silence",
      schema: SilenceSchema,
      answer: ({ body, view }) => view.addSilence(body),
    }),
    jsonRoute({
      method: "DELETE",
      path: "/api/v1/silences/{id}",
      id: "expireSilence",
      summary: "Ends a silence now",
      parameters: { id: path("The silence's id", identity) },
      doc: "The silence, as it is now",
      schema: SilenceSchema,
      refusals: { 404: "There is no such silence" },
      answer: ({ values: { id }, view }) => {
        const silence = view.expireSilence(id);
        if (silence === undefined) throw notFound("the silence", id, []);
        return silence;
      },
    }),
    jsonRoute({
      method: "GET",
      path: "/api/v1/outbox",
      id: "getOutbox",
      summary: "Messages that aren't delivered yet, or were given up",
      doc: "The messages",
      schema: OutboxSchema,
      answer: ({ view }) => ({ messages: view.outbox() }),
    }),
    jsonRoute({
      method: "POST",
      path: "/api/v1/outbox/{id}/retry",
      id: "retryMessage",
      summary: "Sends a message once more",
      parameters: { id: path("The message's id", identity) },
      doc: "It is sent again",
      schema: DoneSchema,
      refusals: { 404: "There is no such message" },
      answer: ({ values: { id }, view }) => {
        if (!view.retryMessage(id)) throw notFound("the message", id, []);
        return { id };
      },
    }),
    jsonRoute({
      method: "DELETE",
      path: "/api/v1/outbox/{id}",
      id: "dropMessage",
      summary: "Forgets a message",
      parameters: { id: path("The message's id", identity) },
      doc: "It is forgotten",
      schema: DoneSchema,
      refusals: { 404: "There is no such message" },
      answer: ({ values: { id }, view }) => {
        if (!view.dropMessage(id)) throw notFound("the message", id, []);
        return { id };
      },
    }),
  ];
}

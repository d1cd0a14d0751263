// Alerts as log records of OpenTelemetry: OTLP 1.x over HTTP, in its JSON. Names of fields and the
// meaning of answers are those of https://opentelemetry.io/docs/specs/otlp/.
import { hostname } from "node:os";
import * as v from "valibot";
import type { AlertMessage } from "../../core/alert/alert.ts";
import { evidenceLines } from "../../core/alert/evidence_text.ts";
import { shorten } from "../../core/alert/shorten.ts";
import { DeliveryError } from "../../core/alert/sink.ts";
import type { AlertSink } from "../../core/alert/sink.ts";
import { badSinkOption, jsonLine, printable, quote } from "../../core/error.ts";
import { plural, showNumber } from "../../core/number.ts";
import { version } from "../../core/version.ts";
import { receiverUrl, request } from "./http.ts";
import { SecretSchema, secretWord, sinkKind } from "./kind.ts";
import type { Secret, SinkContext, SinkMaker } from "./kind.ts";

export interface OtlpOptions {
  /** `http://host:4318`, or with a path where it isn't `/v1/logs`. */
  readonly url: Secret;
  /** Further headers: what lets us in. */
  readonly headers?: Readonly<Record<string, Secret>>;
  /** Further attributes of the resource: `{ "deployment.environment.name": "prod" }`. */
  readonly resource?: Readonly<Record<string, string>>;
}

/** Sends alerts to an OpenTelemetry collector. */
export const otlp: SinkMaker<OtlpOptions> = sinkKind<OtlpOptions>({
  name: "otlp",
  sort: "changes",
  doc: "sends alerts as logs to an OpenTelemetry collector",
  value: "URL",
  options: {
    url: SecretSchema,
    headers: v.optional(v.record(v.string("a name"), SecretSchema, "{ name: secret }")),
    resource: v.optional(v.record(v.string("a name"), v.string("a text"), "{ name: text }")),
  },
  fromWord: (value) => ({ url: secretWord(value) }),
  make: otlpSink,
});

/** An AnyValue of OTLP: integers of 64 bits are texts in its JSON, and so is what JSON has no number for. */
type Value =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  | { readonly intValue: string }
  | { readonly doubleValue: number }
  | { readonly arrayValue: { readonly values: readonly Value[] } };

interface Attribute {
  readonly key: string;
  readonly value: Value;
}

/** As the SDKs limit a record by default; the length they don't, but a receiver may. */
const most = { attributes: 128, text: 8192 };

/**
 * How bad it is, as the appendix of the logs' data model maps syslog's severities: critical is
 * ERROR2. That an alert is over is no trouble, whatever it was.
 */
const severities = {
  critical: [18, "ERROR2"],
  warning: [13, "WARN"],
  info: [9, "INFO"],
} as const;

/** A sink that posts log records. */
export function otlpSink(options: OtlpOptions, context: SinkContext): AlertSink {
  const url = receiverUrl("otlp", options.url, "/v1/logs", context);
  const headers = {
    ...readHeaders("otlp", options.headers ?? {}, context),
    "content-type": "application/json",
  };
  const resource = Object.entries({
    "service.name": "dropwatch",
    "service.version": version,
    "host.name": hostname(),
    ...options.resource,
  }).map(([key, text]) => attribute(key, text));
  return {
    name: context.name,
    async send(alert, { id, signal }) {
      const record = recordOf(alert, id, context.now());
      const body = jsonLine({
        resourceLogs: [{
          resource: { attributes: resource },
          scopeLogs: [{ scope: { name: "dropwatch", version }, logRecords: [record] }],
        }],
      });
      const { status, text } = await request({
        url,
        headers,
        body,
        signal,
        wantsText: true,
        again: (status) => [429, 502, 503, 504].includes(status),
      }, context);
      const refused = refusal(text);
      if (refused !== undefined) {
        throw new DeliveryError(`refused: ${context.hide(refused)}`, { final: true });
      }
      return { answer: String(status) };
    },
  };
}

/** A header's name (RFC 9110), and what undici, Bun and Deno take as its value. */
const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * Headers of a config. A text is a secret where its name says so: `authorization`, `x-api-key`.
 *
 * @throws DropwatchError BAD_SINK_OPTION for what can't be a header.
 */
function readHeaders(
  kind: string,
  headers: Readonly<Record<string, Secret>>,
  context: SinkContext,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, given]) => {
      if (!headerName.test(name)) throw badSinkOption(kind, `${quote(name)} can't be a header`);
      const open = typeof given === "string" && !/auth|cookie|key|secret|token/i.test(name);
      const value = open ? given.trim() : context.secret(`header ${name}`, given);
      if (!headerValue.test(value)) {
        throw badSinkOption(kind, `its header ${quote(name)} has characters that no header has`);
      }
      return [name.toLowerCase(), value];
    }),
  );
}

function recordOf(alert: AlertMessage, id: string, now: number): Record<string, unknown> {
  const { data } = alert;
  const [severityNumber, severityText] =
    severities[data.status === "firing" ? data.severity : "info"];
  const all = attributesOf(alert, id);
  return {
    timeUnixNano: nanoseconds(Date.parse(alert.timestamp)),
    observedTimeUnixNano: nanoseconds(now),
    severityNumber,
    severityText,
    // Events have a name: those of one name are alike (proto/logs/v1, field 12).
    eventName: "dropwatch.alert",
    body: { stringValue: bodyOf(alert) },
    attributes: all.slice(0, most.attributes),
    droppedAttributesCount: Math.max(0, all.length - most.attributes),
  };
}

function bodyOf({ data }: AlertMessage): string {
  const text = printable(data.annotations.summary ?? data.alert).toWellFormed();
  const summary = shorten(text, most.text);
  if (data.exact) return summary;
  const lost = data.lost > 0 ? `, ${showNumber(data.lost)} lost` : "";
  const total = plural(data.total, data.of === "health" ? "time" : "drop");
  return `${summary} (at least ${total}${lost})`;
}

function attributesOf({ data }: AlertMessage, id: string): Attribute[] {
  const { labels, annotations } = data;
  const evidence = evidenceLines(data.evidence);
  const of = {
    "dropwatch.message.id": id,
    "dropwatch.alert.name": data.alert,
    "dropwatch.alert.status": data.status,
    "dropwatch.alert.severity": data.severity,
    "dropwatch.alert.fingerprint": data.fingerprint,
    "dropwatch.alert.starts_at": data.startsAt,
    ...(data.endsAt === null ? {} : { "dropwatch.alert.ends_at": data.endsAt }),
    "dropwatch.alert.value": data.value,
    "dropwatch.alert.peak": data.peak,
    "dropwatch.alert.total": data.total,
    "dropwatch.alert.exact": data.exact,
    "dropwatch.alert.lost": data.lost,
    ...(evidence.length === 0 ? {} : { "dropwatch.alert.evidence": evidence }),
  };
  const prefixed = (prefix: string, texts: Readonly<Record<string, string>>): Attribute[] =>
    Object.entries(texts).map(([name, text]) => attribute(`${prefix}.${name}`, text));
  const { summary: _, ...others } = annotations;
  return [
    ...Object.entries(of).map(([key, value]) => attribute(key, value)),
    ...prefixed("dropwatch.label", labels),
    ...prefixed("dropwatch.annotation", others),
  ];
}

function attribute(key: string, value: string | number | boolean | readonly string[]): Attribute {
  return { key: shorten(key.toWellFormed(), 256), value: valueOf(value) };
}

function valueOf(value: string | number | boolean | readonly string[]): Value {
  if (typeof value === "string") return { stringValue: shorten(value.toWellFormed(), most.text) };
  if (typeof value === "boolean") return { boolValue: value };
  if (typeof value !== "number") return { arrayValue: { values: value.map(valueOf) } };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

const nanoseconds = (ms: number): string => `${BigInt(Math.round(ms)) * 1_000_000n}`;

/** Why the receiver took the request but not the record; undefined where it took it. */
function refusal(answer: string): string | undefined {
  let partial: { rejectedLogRecords?: unknown; errorMessage?: unknown } | null | undefined;
  try {
    partial = JSON.parse(answer)?.partialSuccess;
  } catch {
    return undefined; // 200 is what counts; some answer without a body.
  }
  if (!(Number(partial?.rejectedLogRecords ?? 0) > 0)) return undefined;
  const why = partial?.errorMessage;
  return typeof why === "string" && why !== "" ? printable(why.slice(0, 200)) : "no reason given";
}

// Alerts as log records of OpenTelemetry: OTLP 1.x over HTTP, in its JSON. Names of fields and the
// meaning of answers are those of https://opentelemetry.io/docs/specs/otlp/.
import type { AlertMessage } from "../../core/alert/alert.ts";
import { evidenceLines } from "../../core/alert/evidence_text.ts";
import { shorten } from "../../core/alert/shorten.ts";
import type { AlertSink } from "../../core/alert/sink.ts";
import { printable } from "../../core/error.ts";
import { plural, showNumber } from "../../core/number.ts";
import { version } from "../../core/version.ts";
import { attribute, longestText, nanoseconds, otlpEntries, otlpPost, resourceOf } from "../otlp.ts";
import type { Attribute, OtlpOptions } from "../otlp.ts";
import { secretWord } from "../secret.ts";
import { sinkKind } from "./kind.ts";
import type { SinkContext, SinkMaker } from "./kind.ts";
export type { OtlpOptions };

/** As the SDKs limit a record by default. */
const mostAttributes = 128;

/** Sends alerts to an OpenTelemetry collector. */
export const otlp: SinkMaker<OtlpOptions> = sinkKind<OtlpOptions>({
  name: "otlp",
  sort: "changes",
  doc: "sends alerts as logs to an OpenTelemetry collector",
  value: "URL",
  options: otlpEntries,
  fromWord: (value) => ({ url: secretWord(value) }),
  make: otlpSink,
});

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
  const post = otlpPost(options, { path: "/v1/logs", rejected: "rejectedLogRecords" }, context);
  const resource = resourceOf(options.resource);
  return {
    name: context.name,
    async send(alert, { id, signal }) {
      const record = recordOf(alert, id, context.now());
      const body = {
        resourceLogs: [{
          resource,
          scopeLogs: [{ scope: { name: "dropwatch", version }, logRecords: [record] }],
        }],
      };
      return { answer: String(await post(body, signal)) };
    },
  };
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
    attributes: all.slice(0, mostAttributes),
    droppedAttributesCount: Math.max(0, all.length - mostAttributes),
  };
}

function bodyOf({ data }: AlertMessage): string {
  const text = printable(data.annotations.summary ?? data.alert).toWellFormed();
  const summary = shorten(text, longestText);
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

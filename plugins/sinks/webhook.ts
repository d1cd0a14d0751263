// Alerts to a URL, as Standard Webhooks 1.0 has it: an id that stays over retries, a time, and a
// signature where there is a secret.
import { createHmac } from "node:crypto";
import { hostname } from "node:os";
import * as v from "valibot";
import type { AlertData, AlertMessage } from "../../core/alert/alert.ts";
import { inCommon } from "../../core/alert/notification.ts";
import type { Notification } from "../../core/alert/notification.ts";
import { shorten } from "../../core/alert/shorten.ts";
import type { GroupSink } from "../../core/alert/sink.ts";
import { badSinkOption, jsonLine, printable } from "../../core/error.ts";
import { alertmanagerAlert } from "./alertmanager_alert.ts";
import { addressOf, request } from "../http.ts";
import { SecretSchema } from "../../core/secret.ts";
import { secretWord } from "../secret.ts";
import { sinkKind } from "./kind.ts";
import type { Secret } from "../../core/secret.ts";
import type { SinkContext, SinkMaker } from "./kind.ts";

export interface WebhookOptions {
  readonly url: Secret;
  /** `whsec_` and base64 of 24 to 64 bytes; several while a key is being replaced. */
  readonly secret?: Secret | readonly Secret[];
  /** `native` without it. */
  readonly format?: WebhookFormat;
}

/** Our own shape of an alert, Alertmanager's webhook v4, or an event of CloudEvents 1.0. */
export type WebhookFormat = "native" | "alertmanager" | "cloudevents";

const contentTypes: Readonly<Record<WebhookFormat, string>> = {
  native: "application/json",
  alertmanager: "application/json",
  cloudevents: "application/cloudevents+json; charset=utf-8",
};

/** Standard Webhooks asks for less than 20 KB. */
const maxBody = 20_000;

/** Posts to a URL, in the form of Standard Webhooks. */
export const webhook: SinkMaker<WebhookOptions> = sinkKind({
  name: "webhook",
  doc: "posts alerts to a URL as JSON, signed as Standard Webhooks has it",
  sort: "groups",
  value: "URL",
  options: {
    url: SecretSchema,
    secret: v.optional(
      v.union([SecretSchema, v.array(SecretSchema)], "a secret, or a list of them"),
    ),
    format: v.optional(
      v.picklist(["native", "alertmanager", "cloudevents"], "native, alertmanager or cloudevents"),
    ),
  },
  fromWord: (value, env) => ({
    url: secretWord(value),
    ...(env["DROPWATCH_WEBHOOK_SECRET"] === undefined
      ? {}
      : { secret: { env: "DROPWATCH_WEBHOOK_SECRET" } }),
  }),
  make: webhookSink,
});

/**
 * A sink that posts notifications to a URL.
 *
 * @throws DropwatchError BAD_SINK_OPTION for what is no http(s) URL, or a secret of another form.
 */
export function webhookSink(options: WebhookOptions, context: SinkContext): GroupSink {
  const url = addressOf("webhook", options.url, context);
  const { format = "native" } = options;
  const secrets = [options.secret ?? []].flat() as Secret[];
  const keys = secrets.map((secret) => webhookKey(context.secret("secret", secret)));
  return {
    name: context.name,
    async notify(notification, { id, signal }) {
      const body = bodyIn(format, notification, id);
      const timestamp = Math.floor(context.now() / 1000);
      const headers: { [name: string]: string } = {
        "content-type": contentTypes[format],
        "webhook-id": id,
        "webhook-timestamp": String(timestamp),
      };
      if (keys.length > 0) {
        headers["webhook-signature"] = keys
          .map((key) => `v1,${sign(key, id, timestamp, body)}`).join(" ");
      }
      const { status } = await request({ url, headers, body, signal }, context);
      return { answer: String(status) };
    },
  };
}

/** The bytes of a secret. */
function webhookKey(secret: string): Uint8Array {
  const match = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret);
  const key = Buffer.from(match?.[1] ?? "", "base64");
  if (key.length < 24 || key.length > 64) {
    throw badSinkOption("webhook", `its secret must be "whsec_" and base64 of 24 to 64 bytes`);
  }
  return key;
}

/** The signature of a message: base64 of HMAC-SHA256 over `id.timestamp.body`. */
export function sign(key: Uint8Array, id: string, timestamp: number, body: string): string {
  return createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
}

/** The signature of a message under a secret as it is written in a config. */
export function signWith(secret: string, id: string, timestamp: number, body: string): string {
  return `v1,${sign(webhookKey(secret), id, timestamp, body)}`;
}

/** What the receiver is sent, in its format. */
function bodyIn(format: WebhookFormat, notification: Notification, id: string): string {
  if (format === "alertmanager") return alertmanagerBody(notification);
  if (format === "cloudevents") return cloudEventBody(notification, id, hostname());
  return nativeBody(notification);
}

/**
 * The worst alert of the group in the one shape that an alert has everywhere. Where the notification is
 * about several, `data.group` has the others, and how many there are. What would be too long goes step by
 * step: evidence, the ends of texts, the last of the others.
 */
export function nativeBody(notification: Notification, most: number = maxBody): string {
  const { status, timestamp } = notification;
  return fitting(
    notification,
    (alerts) => {
      const data = nativeData(notification, alerts);
      return { type: `alert.${status}`, timestamp, data } satisfies AlertMessage;
    },
    undefined,
    most,
  );
}

/**
 * The same as an event of CloudEvents 1.0, in structured mode (cloudevents/spec.md and
 * formats/json-format.md of the CNCF). `source` and `id` name it over retries; the host's name is part of
 * the source, since two machines number their messages each for itself.
 */
export function cloudEventBody(notification: Notification, id: string, host: string): string {
  const { status, timestamp, alerts: [worst] } = notification;
  return fitting(
    notification,
    (alerts) => nativeData(notification, alerts),
    (data) => ({
      specversion: "1.0",
      id,
      source: `//${host.replace(/[^A-Za-z0-9.-]/g, "-")}/dropwatch`,
      type: `dropwatch.alert.${status}`,
      time: timestamp,
      // A String of CloudEvents has no control characters and no half ones.
      subject: `${shorten(printable(worst!.alert).toWellFormed(), 200)}/${worst!.fingerprint}`,
      datacontenttype: "application/json",
      data,
    }),
  );
}

function nativeData(
  { groupKey: key, groupLabels: labels, reason, firing, resolved }: Notification,
  [worst, ...others]: readonly AlertData[],
): AlertData {
  if (firing + resolved <= 1) return worst!;
  const truncatedAlerts = firing + resolved - 1 - others.length;
  const group = { key, reason, labels, firing, resolved, alerts: others, truncatedAlerts };
  return { ...worst!, group } as AlertData;
}

/**
 * Alertmanager's webhook, version 4: what its receivers take (`webhook_config` in its documents,
 * notify/webhook/webhook.go and template/template.go in its source).
 */
export function alertmanagerBody(notification: Notification): string {
  const { status, receiver, groupKey, groupLabels, externalURL, firing, resolved } = notification;
  return fitting(notification, (given) => {
    const alerts = given.map((data) => ({
      status: data.status,
      ...alertmanagerAlert(data),
      endsAt: data.endsAt ?? stillFiring,
    }));
    return {
      receiver,
      status,
      alerts,
      groupLabels: withoutEmpty(groupLabels),
      commonLabels: inCommon(alerts.map(({ labels }) => labels)),
      commonAnnotations: inCommon(alerts.map(({ annotations }) => annotations)),
      externalURL,
      version: "4",
      groupKey,
      truncatedAlerts: firing + resolved - alerts.length,
    };
  });
}

/** Alertmanager knows no label without a value. */
function withoutEmpty(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ""));
}

/** Go's time of zero. */
const stillFiring = "0001-01-01T00:00:00Z";

/**
 * What `make` makes of the alerts of a notification as JSON of less than 20 KB, or `most` bytes, with as much as has room:
 * all of it; the worst alert whole and the others without evidence and in short; fewer of the others; and
 * at last, of one, short texts and few of them. What `around` puts around that is never cut.
 */
function fitting(
  { alerts: [worst, ...others] }: Notification,
  make: (alerts: readonly AlertData[]) => unknown,
  around: (made: unknown) => unknown = (made) => made,
  most = maxBody,
): string {
  /** Undefined where it would be too long; what is far too long isn't made into JSON to find that out. */
  const tried = (made: unknown): string | undefined => {
    if (lengthOf(made) >= most) return undefined;
    const text = jsonLine(around(made));
    return Buffer.byteLength(text) < most ? text : undefined;
  };
  const short = (alert: AlertData): AlertData => ({
    ...alert,
    annotations: cutTexts(alert.annotations, 500) as AlertData["annotations"],
    evidence: {},
  });
  const inShort = others.map(short);
  const whole = tried(make([worst!, ...others])) ?? tried(make([worst!, ...inShort]));
  if (whole !== undefined) return whole;
  let best: string | undefined;
  for (let least = 0, last = others.length; least <= last;) {
    const kept = (least + last) >> 1;
    const text = tried(make([short(worst!), ...inShort.slice(0, kept)]));
    if (text === undefined) last = kept - 1;
    else {
      best = text;
      least = kept + 1;
    }
  }
  if (best !== undefined) return best;
  const alone = make([short(worst!)]);
  for (const [length, entries] of shortest) {
    const text = tried(cutTexts(alone, length, entries));
    if (text !== undefined) return text;
  }
  // Eight texts in each of five sets, of 40 characters that take six bytes each at most.
  return jsonLine(around(cutTexts(alone, 40, 8)));
}

/** How many characters its texts have: fewer than its JSON. */
function lengthOf(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 1;
  return Object.entries(value)
    .reduce((sum, [name, each]) => sum + name.length + lengthOf(each), 0);
}

/** Characters of a text, and texts of a set. 40 is more than a time, a fingerprint, or most alerts' names. */
const shortest = [[200, Infinity], [80, Infinity], [40, 20]] as const;

/** The same with texts, and names of texts, of so many characters; of sets of texts so many at most. */
function cutTexts(value: unknown, most: number, entries = Infinity): unknown {
  if (typeof value === "string") return shorten(value, most);
  if (Array.isArray(value)) return value.map((each) => cutTexts(each, most, entries));
  if (typeof value !== "object" || value === null) return value;
  const all = Object.entries(value);
  const isSet = all.every(([, each]) => typeof each === "string");
  return Object.fromEntries(
    all.slice(0, isSet ? entries : Infinity)
      .map(([name, each]) => [shorten(name, most), cutTexts(each, most, entries)]),
  );
}

// Alerts to a URL, as Standard Webhooks 1.0 has it: an id that stays over retries, a time, and a
// signature where there is a secret.
import { createHmac } from "node:crypto";
import * as v from "valibot";
import type { AlertData, AlertMessage } from "../../core/alert/alert.ts";
import type { Notification } from "../../core/alert/notification.ts";
import type { GroupSink } from "../../core/alert/sink.ts";
import { badSinkOption, jsonLine } from "../../core/error.ts";
import { isHttpUrl, request } from "./http.ts";
import { SecretSchema, secretWord, sinkKind } from "./kind.ts";
import type { Secret, SinkContext, SinkMaker } from "./kind.ts";

export interface WebhookOptions {
  readonly url: Secret;
  /** `whsec_` and base64 of 24 to 64 bytes; several while a key is being replaced. */
  readonly secret?: Secret | readonly Secret[];
}

/** Standard Webhooks asks for less than 20 KB. */
const maxBody = 20_000;

/** Posts to a URL, in the form of Standard Webhooks. */
export const webhook: SinkMaker<WebhookOptions> = sinkKind({
  name: "webhook",
  doc: "posts alerts to a URL as JSON, signed as Standard Webhooks has it",
  value: "URL",
  options: {
    url: SecretSchema,
    secret: v.optional(
      v.union([SecretSchema, v.array(SecretSchema)], "a secret, or a list of them"),
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
  // An address alone is no secret; where it is one, it belongs into the environment or a file.
  const url = typeof options.url === "string" ? options.url : context.secret("url", options.url);
  if (!isHttpUrl(url)) {
    throw badSinkOption("webhook", "its URL must begin with http:// or https://");
  }
  const secrets = [options.secret ?? []].flat() as Secret[];
  const keys = secrets.map((secret) => webhookKey(context.secret("secret", secret)));
  return {
    name: context.name,
    async notify(notification, { id, signal }) {
      const body = nativeBody(notification);
      const timestamp = Math.floor(context.now() / 1000);
      const headers: { [name: string]: string } = {
        "content-type": "application/json",
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

/**
 * The worst alert of the group in the one shape that an alert has everywhere. Where the notification is
 * about several, `data.group` has the others, and how many there are. What would be too long goes step by
 * step, until it is shorter than `most` bytes: evidence, the ends of texts, the last of the others.
 */
export function nativeBody(notification: Notification, most: number = maxBody): string {
  const { status, timestamp, alerts: [worst], firing, resolved } = notification;
  const several = firing + resolved > 1;
  const body = (alert: AlertData, others: readonly AlertData[]): string => {
    const left = firing + resolved - 1 - others.length;
    const { groupKey: key, groupLabels: labels, reason } = notification;
    const group = { key, reason, labels, firing, resolved, alerts: others, truncatedAlerts: left };
    const data = several ? { ...alert, group } : alert;
    return jsonLine({ type: `alert.${status}`, timestamp, data } satisfies AlertMessage);
  };
  const fits = (text: string): boolean => Buffer.byteLength(text) < most;
  const others = notification.alerts.slice(1);
  const whole = body(worst!, others);
  if (fits(whole)) return whole;
  const short = (alert: AlertData): AlertData => ({
    ...alert,
    annotations: cutTexts(alert.annotations, 500),
    evidence: {},
  });
  const withEvidence = body(worst!, others.map(short));
  if (fits(withEvidence)) return withEvidence;
  // As many of the others as there is room for; to try each number would take seconds for long names.
  const start = body(short(worst!), []);
  if (fits(start)) {
    let room = most - Buffer.byteLength(start) - 1;
    const kept = others.map(short).filter((alert) => {
      room -= room < 0 ? 0 : Buffer.byteLength(jsonLine(alert)) + 1;
      return room >= 0;
    });
    return body(short(worst!), kept);
  }
  const data = short(worst!);
  return body({ ...data, labels: cutTexts(data.labels, 200) }, []);
}

function cutTexts(texts: Readonly<Record<string, string>>, most: number): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [
      name,
      text.length > most ? `${text.slice(0, most - 1)}…` : text,
    ]),
  );
}

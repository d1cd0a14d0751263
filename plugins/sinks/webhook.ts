// Alerts to a URL, as Standard Webhooks 1.0 has it: an id that stays over retries, a time, and a
// signature where there is a secret.
import { createHmac } from "node:crypto";
import { DeliveryError } from "../../core/alert/sink.ts";
import type { Sink } from "../../core/alert/sink.ts";
import { badSinkOption, jsonLine, printable, reasonOf } from "../../core/error.ts";
import type { SinkKind } from "./registry.ts";

export interface WebhookOptions {
  readonly url: string;
  /** `whsec_` and base64 of 24 to 64 bytes; several while a key is being replaced. */
  readonly secret?: string | readonly string[];
  readonly now?: () => number;
}

/** Standard Webhooks asks for less than 20 KB. */
const maxBody = 20_000;
const maxAnswer = 2000;

/**
 * A sink that posts alerts to a URL.
 *
 * @throws DropwatchError BAD_SINK_OPTION for what is no http(s) URL, or a secret of another form.
 */
export function webhookSink(options: WebhookOptions): Sink {
  const { url, now = Date.now } = options;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw badSinkOption("webhook", "its URL must begin with http:// or https://");
  }
  const secrets = [options.secret ?? []].flat();
  const keys = secrets.map(webhookKey);
  return {
    name: "webhook",
    async send(alert, { id, signal }) {
      const body = shorten(alert);
      const timestamp = Math.floor(now() / 1000);
      const headers: { [name: string]: string } = {
        "content-type": "application/json",
        "user-agent": "dropwatch",
        "webhook-id": id,
        "webhook-timestamp": String(timestamp),
      };
      if (keys.length > 0) {
        headers["webhook-signature"] = keys
          .map((key) => `v1,${sign(key, id, timestamp, body)}`).join(" ");
      }
      let response: Response;
      try {
        response = await fetch(url, { method: "POST", headers, body, signal, redirect: "manual" });
      } catch (thrown) {
        throw new DeliveryError(`no answer (${withoutUrl(reasonOf(thrown), url)})`);
      }
      await readAnswer(response, url);
    },
  };
}

/** `--sink webhook=URL`; the secret that signs is in DROPWATCH_WEBHOOK_SECRET. */
export const webhook: SinkKind = {
  name: "webhook",
  value: "URL",
  make(url, { env }) {
    const secret = env["DROPWATCH_WEBHOOK_SECRET"];
    return webhookSink({ url, ...(secret === undefined ? {} : { secret }) });
  },
};

/**
 * A text without the URL, as it was written or as it was sent, and without its path, which a
 * receiver likes to repeat: they may hold a token, and stay out of the log.
 */
function withoutUrl(text: string, url: string): string {
  const { href, pathname, search } = new URL(url);
  return [url, href, `${pathname}${search}`, pathname].filter((part) => part.length > 1)
    .reduce((rest, part) => rest.replaceAll(part, "URL"), text);
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

/** The alert as JSON; where it would be too long, without evidence, then with its labels cut too. */
function shorten(alert: Parameters<Sink["send"]>[0]): string {
  const whole = jsonLine(alert);
  if (Buffer.byteLength(whole) < maxBody) return whole;
  const annotations = cutTexts(alert.data.annotations, 500);
  const data = { ...alert.data, annotations, evidence: {} };
  const body = jsonLine({ ...alert, data });
  if (Buffer.byteLength(body) < maxBody) return body;
  return jsonLine({ ...alert, data: { ...data, labels: cutTexts(data.labels, 200) } });
}

function cutTexts(texts: Readonly<Record<string, string>>, most: number): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [
      name,
      text.length > most ? `${text.slice(0, most - 1)}…` : text,
    ]),
  );
}

/** Success, or an error that says whether to try again. */
async function readAnswer(response: Response, url: string): Promise<void> {
  const { status } = response;
  if (response.ok) {
    await response.body?.cancel();
    return;
  }
  const text = printable(withoutUrl(await firstBytes(response), url).slice(0, 200));
  const message = `answered ${status}${text === "" ? "" : `: ${text}`}`;
  const again = status === 408 || status === 425 || status === 429 || status >= 500;
  const wait = retryAfter(response.headers.get("retry-after"));
  throw new DeliveryError(message, {
    final: !again,
    ...(wait === undefined ? {} : { retryAfter: wait }),
  });
}

/** The beginning of an answer, however long it is, or as much of it as came. */
async function firstBytes(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return "";
  const decoder = new TextDecoder();
  let text = "";
  try {
    while (text.length < maxAnswer) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
    }
    await reader.cancel();
  } catch {
    // It broke off, or took too long: the status has come, and that is what counts.
  }
  return text;
}

const longestWait = 3_600_000;

/** Milliseconds of a Retry-After: seconds, or an HTTP date; undefined for anything else. */
export function retryAfter(value: string | null, now: number = Date.now()): number | undefined {
  const text = value?.trim() ?? "";
  // Date.parse takes nearly everything for a date: RFC 9110 has only those that end in GMT.
  const wait = /^\d+$/.test(text)
    ? Number(text) * 1000
    : text.endsWith("GMT")
    ? Date.parse(text) - now
    : NaN;
  return Number.isNaN(wait) ? undefined : Math.min(longestWait, Math.max(0, wait));
}

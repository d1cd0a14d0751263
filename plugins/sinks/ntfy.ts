// Push messages through ntfy (docs.ntfy.sh/publish, "publish as JSON"), the public server or one's own.
// Its messages are plain text: there is no markup that a name could become.
import * as v from "valibot";
import { shorten, shortenBytes } from "../../core/alert/shorten.ts";
import type { GroupSink } from "../../core/alert/sink.ts";
import type { AlertText, Link, NotificationText } from "../../core/alert/text.ts";
import { badSinkOption, jsonLine } from "../../core/error.ts";
import { plural } from "../../core/number.ts";
import { addressOf, request } from "../http.ts";
import { SecretSchema } from "../../core/secret.ts";
import { secretWord } from "../secret.ts";
import { sinkKind } from "./kind.ts";
import type { Secret } from "../../core/secret.ts";
import type { SinkContext, SinkMaker } from "./kind.ts";

export interface NtfyOptions {
  /** Who knows it can read along and write: it is a secret. Letters, digits, `_` and `-`, at most 64. */
  readonly topic: Secret;
  /** The server; https://ntfy.sh without it. */
  readonly url?: Secret;
  /** An access token of the server: `tk_…`. */
  readonly token?: Secret;
}

/**
 * 4096 bytes are a message that fits exactly, which a server already takes for an attachment, and
 * refuses where it keeps none. The JSON around it may have twice the message's limit (`transformBodyJSON`
 * in server/server.go), and an escape has two bytes.
 */
const maxMessage = 4000;
const maxTitle = 240;
const maxBody = 8000;
const maxUrl = 500;
/** More buttons are refused (server/actions.go). */
const maxActions = 3;

const priorities = { critical: 5, warning: 4, info: 3 } as const;
/** Without sound: what is over wakes nobody. */
const resolvedPriority = 2;
/** Names of emojis, which the apps put before the title. */
const tags = {
  critical: "rotating_light",
  warning: "warning",
  info: "information_source",
} as const;
const resolvedTag = "white_check_mark";

/** Pushes to phones. */
export const ntfy: SinkMaker<NtfyOptions> = sinkKind({
  name: "ntfy",
  doc: "pushes alerts to phones through ntfy.sh or a server of one's own",
  sort: "groups",
  value: "TOPIC",
  options: {
    topic: SecretSchema,
    url: v.optional(SecretSchema),
    token: v.optional(SecretSchema),
  },
  // ntfy.sh takes 60 requests at once and then one every five seconds (docs.ntfy.sh, limitations).
  rate: { perSecond: 0.2, burst: 60 },
  fromWord: (value, env) => ({
    topic: secretWord(value),
    ...(env["DROPWATCH_NTFY_URL"] === undefined ? {} : { url: { env: "DROPWATCH_NTFY_URL" } }),
    ...(env["DROPWATCH_NTFY_TOKEN"] === undefined
      ? {}
      : { token: { env: "DROPWATCH_NTFY_TOKEN" } }),
  }),
  make: ntfySink,
});

/**
 * A sink that pushes notifications to a topic.
 *
 * @throws DropwatchError BAD_SINK_OPTION for what is no topic, no token or no http(s) URL.
 */
export function ntfySink(options: NtfyOptions, context: SinkContext): GroupSink {
  const topic = context.secret("topic", options.topic);
  if (!/^[-_A-Za-z0-9]{1,64}$/.test(topic)) {
    throw badSinkOption("ntfy", "its topic must be 1 to 64 letters, digits, _ and -");
  }
  const url = addressOf("ntfy", options.url ?? "https://ntfy.sh", context);
  const token = options.token === undefined ? undefined : context.secret("token", options.token);
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw badSinkOption("ntfy", "its token must be ASCII without white space");
  }
  const headers = {
    "content-type": "application/json",
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  return {
    name: context.name,
    async notify(notification, { signal }) {
      const body = ntfyMessage(topic, context.text(notification), notification.truncatedAlerts);
      const { status } = await request({ url, headers, body, signal }, context);
      return { answer: String(status) };
    },
  };
}

/** The message of a text; `truncated` are the alerts that it already leaves out. */
export function ntfyMessage(topic: string, text: NotificationText, truncated: number): string {
  const over = text.status === "resolved";
  const links = linksOf(text);
  const blocks = text.alerts.map((alert) => blockOf(alert, text.title));
  const body = (most: number): string =>
    jsonLine({
      topic,
      title: shortenBytes(plain(shorten(text.title, maxTitle)), maxTitle),
      message: messageOf(text, blocks, truncated, most),
      priority: over ? resolvedPriority : priorities[text.severity],
      tags: [over ? resolvedTag : tags[text.severity]],
      ...(links.length === 0 ? {} : {
        click: links[0]!.url,
        actions: links.map(({ text: label, url }) => ({ action: "view", label, url })),
      }),
    });
  for (let most = maxMessage; most > 500; most -= 500) {
    const json = body(most);
    if (Buffer.byteLength(json) <= maxBody) return json;
  }
  return body(500);
}

/** The dashboard first: it is where a tap on the message leads. */
function linksOf({ links, alerts: [worst] }: NotificationText): Link[] {
  return [...links, ...(worst?.links ?? [])].filter(({ url }) => url.length <= maxUrl)
    .slice(0, maxActions);
}

/** An alert as lines; its title isn't among them where it is shown above. */
function blockOf({ title, facts, body }: AlertText, above: string): string {
  return [
    ...(title === "" || above.endsWith(title) ? [] : [title]),
    ...(facts.length === 0 ? [] : [facts.map(([name, value]) => `${name} ${value}`).join(", ")]),
    ...body,
  ].map((line) => plain(shorten(line, maxMessage))).join("\n");
}

/** The alerts, the worst first, as many as have room in so many bytes. */
function messageOf(
  text: NotificationText,
  blocks: readonly string[],
  truncated: number,
  most: number,
): string {
  const [first = "", ...others] = blocks;
  const end = 40;
  // The others get a quarter of the room where the worst one could fill it.
  let message = shortenBytes(first, others.length === 0 ? most - end : most - most / 4);
  let told = 1;
  for (const block of others) {
    if (Buffer.byteLength(message) + Buffer.byteLength(block) + 2 > most - end) break;
    message += `\n\n${block}`;
    told++;
  }
  const left = blocks.length - told + (text.more === "" ? 0 : truncated);
  if (left > 0) message += `\n\nand ${plural(left, "more alert")}`;
  // An empty message would read "triggered".
  return message === "" ? shortenBytes(plain(shorten(text.title, most)), most) : message;
}

/**
 * The apps make a link of what begins with a scheme, and a process may be called so. An invisible word
 * joiner keeps them from it; our own links are buttons.
 */
function plain(line: string): string {
  return line.toWellFormed().replaceAll("://", ":\u2060//");
}

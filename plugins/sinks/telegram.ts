// Messages of a Telegram bot (core.telegram.org/bots/api, sendMessage). Form is given by entities, which
// lie beside the text, not by markup in it. But Telegram also looks for mentions, links, hashtags and
// commands in whatever lies in no `code` or `pre`: so all that a stranger may have chosen lies in one.
import * as v from "valibot";
import { shorten } from "../../core/alert/shorten.ts";
import { DeliveryError } from "../../core/alert/sink.ts";
import type { GroupSink } from "../../core/alert/sink.ts";
import type { AlertText, NotificationText } from "../../core/alert/text.ts";
import { badSinkOption, jsonLine, printable } from "../../core/error.ts";
import { plural } from "../../core/number.ts";
import { addressOf, request } from "../http.ts";
import { SecretSchema } from "../../core/secret.ts";
import { sinkKind } from "./kind.ts";
import type { Secret } from "../../core/secret.ts";
import type { SinkContext, SinkMaker } from "./kind.ts";

export interface TelegramOptions {
  /** The bot's token, as @BotFather gives it: `123456:ABC…`. */
  readonly token: Secret;
  /** The number of a chat (those of groups are negative), or `@name` of a channel or group. */
  readonly chat: string | number;
  /** The number of a topic in a group that has topics. */
  readonly thread?: number;
  /** The server; https://api.telegram.org without it. */
  readonly url?: Secret;
}

/** A part of the text with a form; offset and length in UTF-16 units. */
export interface Entity {
  readonly type: "bold" | "code" | "pre" | "text_link";
  readonly offset: number;
  readonly length: number;
  readonly url?: string;
}

/** UTF-16 units. */
const maxText = 4096;
const maxTitle = 400;
/** What an alert may take, so that others have room: the worst one, and each other. */
const maxWorst = 2200;
const maxOther = 700;
const maxUrl = 1000;
/** Telegram passes over what is more than a hundred, and what lay in those would lie open. */
const maxEntities = 90;

const marks = { critical: "🔴", warning: "🟠", info: "🔵" } as const;

const aChat = "a chat's number, or @name";

/** Writes to a chat. */
export const telegram: SinkMaker<TelegramOptions> = sinkKind({
  name: "telegram",
  doc: "writes to a Telegram chat as a bot",
  sort: "groups",
  value: "CHAT",
  options: {
    token: SecretSchema,
    chat: v.union([
      v.pipe(v.number(), v.safeInteger(aChat)),
      v.pipe(v.string(), v.regex(/^(-?\d{1,20}|@\w{1,64})$/, aChat)),
    ], aChat),
    thread: v.optional(v.pipe(v.number("a number"), v.integer("a whole number"))),
    url: v.optional(SecretSchema),
  },
  // A group takes 20 messages a minute, a chat one a second (core.telegram.org/bots/faq).
  rate: { perSecond: 0.33, burst: 5 },
  fromWord: (value) => ({ token: { env: "DROPWATCH_TELEGRAM_TOKEN" }, chat: value }),
  make: telegramSink,
});

/**
 * A sink that writes to a chat. What follows to a group of alerts is a reply to its first message.
 *
 * @throws DropwatchError BAD_SINK_OPTION for what is no token or no http(s) URL.
 */
export function telegramSink(options: TelegramOptions, context: SinkContext): GroupSink {
  const { chat, thread, url: given = "https://api.telegram.org" } = options;
  const token = context.secret("token", options.token);
  if (!/^\d{1,20}:[\w-]{1,100}$/.test(token)) {
    throw badSinkOption("telegram", "its token must be as @BotFather gives it: 123456:ABC…");
  }
  // The part behind the colon is the secret one, and a server may tell it alone.
  context.keepSecret(token.slice(token.indexOf(":") + 1));
  const url = new URL(addressOf("telegram", given, context));
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/bot${token}/sendMessage`;
  return {
    name: context.name,
    async notify(notification, { memo, signal }) {
      const message = telegramMessage(context.text(notification), notification.truncatedAlerts);
      const first = /^\d{1,16}$/.test(memo ?? "") ? Number(memo) : undefined;
      const { text } = await request({
        url: url.href,
        headers: { "content-type": "application/json" },
        body: jsonLine({
          chat_id: chat,
          ...(thread === undefined ? {} : { message_thread_id: thread }),
          ...message,
          // A preview would fetch what a link leads to.
          link_preview_options: { is_disabled: true },
          ...(first === undefined ? {} : {
            reply_parameters: { message_id: first, allow_sending_without_reply: true },
          }),
        }),
        signal,
        wantsText: true,
        waitIn: retryAfterIn,
      }, context);
      const sent = messageIdIn(text);
      // A group that is over begins anew: its next message is a first one.
      const kept = notification.status === "resolved" ? undefined : String(first ?? sent);
      return { answer: `message ${sent}`, ...(kept === undefined ? {} : { memo: kept }) };
    },
  };
}

const Refused = v.object({ parameters: v.object({ retry_after: v.number() }) });
const Sent = v.object({ ok: v.literal(true), result: v.object({ message_id: v.number() }) });

/** Milliseconds of `parameters.retry_after`, which is in seconds. */
function retryAfterIn(text: string): number | undefined {
  const { success, output } = v.safeParse(Refused, parsed(text));
  return success ? output.parameters.retry_after * 1000 : undefined;
}

/**
 * The number of the message that was sent.
 *
 * @throws DeliveryError where the answer is no `ok`: it was somebody else who answered, a proxy.
 */
function messageIdIn(text: string): number {
  const { success, output } = v.safeParse(Sent, parsed(text));
  if (success) return output.result.message_id;
  throw new DeliveryError(`answered 200, but not ok: ${printable(text.slice(0, 200))}`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The text, and the form of its parts; `truncated` are the alerts that it already leaves out. */
export function telegramMessage(
  shown: NotificationText,
  truncated: number,
): { readonly text: string; readonly entities: readonly Entity[] } {
  let text = "";
  const entities: Entity[] = [];
  const add = (part: string, type?: Entity["type"], url?: string): void => {
    if (part === "") return;
    if (type !== undefined) {
      const place = { type, offset: text.length, length: part.length };
      entities.push(url === undefined ? place : { ...place, url });
    }
    text += part;
  };
  const over = shown.status === "resolved";
  add(over ? "✅ " : `${marks[shown.severity]} `);
  add(over ? "resolved" : shown.severity, "bold");
  const title = shorten(shown.title.toWellFormed(), maxTitle).trim();
  if (title !== "") add("\n");
  add(title, "code");
  let told = 0;
  for (const alert of shown.alerts) {
    const block = blockOf(alert, shown.title, told === 0 ? maxWorst : maxOther);
    const links = alert.links.filter(({ url }) => url.length <= maxUrl);
    // The labels of links are ours, and short. Behind the last block come two lines of ours.
    const length = block.length + 100;
    if (entities.length + links.length + 3 > maxEntities || text.length + length > maxText - 200) {
      break;
    }
    told++;
    if (block !== "") add("\n\n");
    add(block, "pre");
    for (const [i, { text: label, url }] of links.entries()) {
      add(i === 0 ? "\n" : " · ");
      add(label, "text_link", url);
    }
  }
  const left = shown.alerts.length - told + (shown.more === "" ? 0 : truncated);
  if (left > 0) add(`\n\nand ${plural(left, "more alert")}`);
  for (const { text: label, url } of shown.links.slice(0, 2)) {
    if (url.length > maxUrl) continue;
    add("\n");
    add(label, "text_link", url);
  }
  return { text, entities };
}

function blockOf({ title, facts, body }: AlertText, above: string, most: number): string {
  const lines = [
    ...(title === "" || above.endsWith(title) ? [] : [title]),
    ...facts.map(([name, value]) => `${name} ${value}`),
    ...body,
  ];
  // Telegram passes over an entity that is all white space, and takes it from a text's end.
  return shorten(lines.join("\n").toWellFormed(), most).trim();
}

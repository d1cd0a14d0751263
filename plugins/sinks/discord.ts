// Alerts in a channel of Discord, through a webhook.
import type { Notification } from "../../core/alert/notification.ts";
import type { GroupSink } from "../../core/alert/sink.ts";
import type { AlertText, Link, NotificationText } from "../../core/alert/text.ts";
import { jsonLine } from "../../core/error.ts";
import {
  colourOf,
  factsLine,
  firstThatFits,
  fitted,
  leftOut,
  nameOf,
  numbersFirst,
} from "./chat.ts";
import type { Form } from "./chat.ts";
import { httpUrl, request } from "../http.ts";
import { SecretSchema } from "../../core/secret.ts";
import { secretWord } from "../secret.ts";
import { sinkKind } from "./kind.ts";
import type { Secret } from "../../core/secret.ts";
import type { SinkContext, SinkMaker } from "./kind.ts";

export interface DiscordOptions {
  /** The URL of a channel's webhook. Whoever knows it can post. */
  readonly url: Secret;
}

/** Posts to a channel of Discord. */
export const discord: SinkMaker<DiscordOptions> = sinkKind({
  name: "discord",
  sort: "groups",
  doc: "posts alerts to a channel of Discord, by a webhook",
  value: "URL",
  options: { url: SecretSchema },
  // A channel takes some thirty messages of webhooks a minute, and five at once
  // (discord/discord-api-docs#1454).
  rate: { perSecond: 0.5, burst: 5 },
  fromWord: (value) => ({ url: secretWord(value) }),
  make: discordSink,
});

/**
 * A sink that posts to Discord.
 *
 * @throws DropwatchError BAD_SINK_OPTION for what is no http(s) URL.
 */
export function discordSink({ url }: DiscordOptions, context: SinkContext): GroupSink {
  const to = new URL(httpUrl("discord", context.secret("url", url)));
  // Without it Discord answers before it knows whether it takes the message.
  // https://discord.com/developers/docs/resources/webhook#execute-webhook
  to.searchParams.set("wait", "true");
  context.keepSecret(to.href);
  context.keepSecret(to.pathname);
  return {
    name: context.name,
    async notify(notification, { signal }) {
      const { status } = await request({
        url: to.href,
        headers: { "content-type": "application/json" },
        body: jsonLine(messageOf(notification, context.text(notification))),
        signal,
        waitIn: waitOf,
      }, context);
      return { answer: String(status) };
    },
  };
}

/** Milliseconds that a 429 asks to wait. https://discord.com/developers/docs/topics/rate-limits#exceeding-a-rate-limit */
function waitOf(text: string): number | undefined {
  try {
    const seconds: unknown = JSON.parse(text)?.retry_after;
    return typeof seconds === "number" && seconds >= 0 && seconds <= 3600
      ? Math.ceil(seconds * 1000)
      : undefined;
  } catch {
    return undefined;
  }
}

interface Embed {
  readonly color: number;
  readonly title?: string;
  readonly description?: string;
  readonly fields?: readonly { readonly name: string; readonly value: string; inline: boolean }[];
  readonly footer?: { readonly text: string };
}

interface Message {
  readonly content: string;
  readonly embeds: readonly Embed[];
  /** Nobody is called by what stands in a text. */
  readonly allowed_mentions: { readonly parse: readonly [] };
}

// https://discord.com/developers/docs/resources/message#embed-object-embed-limits
const mostContent = 500;
const mostTitle = 256;
const mostDescription = 4096;
const mostName = 256;
const mostValue = 1024;
const mostInAll = 6000;

/**
 * Text as Discord's Markdown shows it as it is: a backslash before every character that may begin a
 * style, a quote, a heading, a list, a link, a mention, a time or an emoji. Discord takes one before
 * whatever is neither a letter, a digit nor white space.
 */
function escaped(text: string): string {
  return text.replace(/[\\`*_~|<>[\](){}#+\-.!@:]/g, "\\$&");
}

/** A notification as a message, however large it is. */
function messageOf(notification: Notification, text: NotificationText): Message {
  const [worst, ...others] = text.alerts;
  const make = (form: Form): Message => {
    const shown = others.slice(0, form.others);
    const more = leftOut(notification, text, shown.length + 1);
    const embeds = [
      worstEmbed(text, worst, form),
      ...shown.map((alert): Embed => ({
        color: colourOf(alert),
        title: fitted(nameOf(alert), mostTitle, escaped),
        description: fitted(factsLine(alert.facts, form), 400, escaped),
      })),
    ];
    const last = embeds.length - 1;
    // A footer has no Markdown.
    if (more !== "") embeds[last] = { ...embeds[last]!, footer: { text: fitted(more, 200) } };
    return {
      content: fitted(text.title, mostContent, escaped),
      embeds,
      allowed_mentions: { parse: [] },
    };
  };
  return firstThatFits(make, ({ embeds }) => embeds.reduce(lengthsOf, 0) <= mostInAll);
}

function worstEmbed(text: NotificationText, worst: AlertText | undefined, form: Form): Embed {
  const { title = "", facts = [], body = [], links = [] } = worst ?? {};
  const fields = numbersFirst(facts).slice(0, form.facts).map(([name, value]) => ({
    name: fitted(name, Math.min(form.value, mostName), escaped),
    value: fitted(value, Math.min(form.value, mostValue), escaped),
    inline: true,
  }));
  const lines = [
    ...(body.length === 0 ? [] : [fitted(body.join("\n"), form.body, escaped)]),
    ...linkLines([...links, ...text.links], form),
  ];
  // Links are whole or not there: their lines are as long as they are.
  const description = lines.filter((_, i) =>
    lines.slice(0, i + 1).join("\n").length <= mostDescription
  ).join("\n");
  return {
    color: colourOf(text),
    ...(title === "" || text.title.length <= mostContent && text.title.endsWith(title)
      ? {}
      : { title: fitted(title, mostTitle, escaped) }),
    // An embed needs more than a colour.
    ...(description === "" && fields.length === 0
      ? { description: `${text.status}, ${text.severity}` }
      : description === ""
      ? {}
      : { description }),
    ...(fields.length === 0 ? {} : { fields }),
  };
}

/** Links, a line each. */
function linkLines(links: readonly Link[], form: Form): string[] {
  const shown = links.map(({ text, url }) => ({
    text,
    url: url.replace(/[()<>\\]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`),
  })).filter(({ url }) => url.length <= form.url);
  return shown.map(({ text, url }) => `[${escaped(text)}](${url})`);
}

/** Characters that count against what all embeds of a message may have. */
function lengthsOf(
  sum: number,
  { title = "", description = "", fields = [], footer }: Embed,
): number {
  return sum + title.length + description.length + (footer?.text.length ?? 0) +
    fields.reduce((all, { name, value }) => all + name.length + value.length, 0);
}

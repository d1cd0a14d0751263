// Alerts in a channel of Slack: through an incoming webhook, or with a bot's token, which can also turn a
// message green that was red, answer in its thread, and show a picture there.
import * as v from "valibot";
import type { Notification } from "../../core/alert/notification.ts";
import { altOf, pngOf } from "../../core/alert/picture.ts";
import { DeliveryError } from "../../core/alert/sink.ts";
import type { Delivered, GroupSink } from "../../core/alert/sink.ts";
import type { AlertText, Link, NotificationText } from "../../core/alert/text.ts";
import { badSinkOption, jsonLine, printable, reasonOf } from "../../core/error.ts";
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
import { httpUrl, isHttpUrl, request } from "../http.ts";
import { SecretSchema } from "../../core/secret.ts";
import { secretWord } from "../secret.ts";
import { sinkKind } from "./kind.ts";
import type { Secret } from "../../core/secret.ts";
import type { SinkContext, SinkMaker } from "./kind.ts";

/** Either `url`, or `token` and `channel`. */
export interface SlackOptions {
  /** The URL of an incoming webhook. Whoever knows it can post. */
  readonly url?: Secret;
  /** A bot's token: `xoxb-…`. */
  readonly token?: Secret;
  /** Where the bot posts: a channel's ID (`C0123456789`) or its name (`#drops`). */
  readonly channel?: string;
  /** Whether a picture of the rate is put into the thread; true without it. Only with a token. */
  readonly picture?: boolean;
  /** Where the API is; `https://slack.com/api/` without it. */
  readonly api?: string;
}

/** Posts to a channel of Slack. */
export const slack: SinkMaker<SlackOptions> = sinkKind({
  name: "slack",
  sort: "groups",
  doc: "posts alerts to a channel of Slack, by an incoming webhook or as a bot",
  value: "URL|CHANNEL",
  options: {
    url: v.optional(SecretSchema),
    token: v.optional(SecretSchema),
    channel: v.optional(
      v.pipe(v.string("a channel"), v.regex(/^#?[^\s#@]{1,80}$/, "a channel's ID or name")),
    ),
    picture: v.optional(v.boolean("true or false")),
    api: v.optional(v.string("a URL")),
  },
  // Of posts to one channel Slack takes one a second, and short bursts.
  // https://docs.slack.dev/apis/web-api/rate-limits
  rate: { perSecond: 1, burst: 1 },
  fromWord: (value) =>
    /^#|^[CGD][A-Z0-9]{8,}$/.test(value)
      ? { channel: value, token: { env: "DROPWATCH_SLACK_TOKEN" } }
      : { url: secretWord(value) },
  make: slackSink,
});

/**
 * A sink that posts to Slack.
 *
 * @throws DropwatchError BAD_SINK_OPTION where there is neither a URL nor a token with a channel.
 */
export function slackSink(options: SlackOptions, context: SinkContext): GroupSink {
  const { url, token, channel } = options;
  if (url !== undefined && token === undefined && channel === undefined) {
    return webhookSink(context.secret("url", url), context);
  }
  if (url === undefined && token !== undefined && channel !== undefined) {
    return botSink(context.secret("token", token), channel, options, context);
  }
  throw badSinkOption("slack", "it needs either a url, or a token and a channel");
}

const json = "application/json; charset=utf-8";

/** Through an incoming webhook, which answers `ok` and can't change what it has posted. */
function webhookSink(given: string, context: SinkContext): GroupSink {
  const url = httpUrl("slack", given);
  return {
    name: context.name,
    async notify(notification, { signal }) {
      const { status, text } = await request({
        url,
        headers: { "content-type": json },
        body: jsonLine(messageOf(notification, context.text(notification))),
        signal,
        wantsText: true,
      }, context);
      if (text.trim() === "ok") return { answer: `${status} ok` };
      // Who answers so isn't Slack: a proxy, or a page that asks to log in.
      const said = printable(context.hide(text.trim()).slice(0, 200));
      throw new DeliveryError(`answered ${status}, but not "ok": ${said}`);
    },
  };
}

// --- as a bot -----------------------------------------------------------------------------------

/** What is kept of a group: its message, and what is known of it. */
interface Memo {
  /** The channel as the config had it. */
  readonly to: string;
  /** The channel's ID. Only that can be updated. */
  readonly channel: string;
  readonly ts: string;
  /** Whether it says that all is over: what fires after that is another story. */
  readonly over: boolean;
}

const MemoSchema = v.object({
  to: v.string(),
  channel: v.string(),
  ts: v.string(),
  over: v.boolean(),
});

function readMemo(text: string | undefined): Memo | undefined {
  try {
    const read = v.safeParse(MemoSchema, JSON.parse(text ?? "null"));
    return read.success ? read.output : undefined;
  } catch {
    return undefined;
  }
}

/**
 * What people hear of a change besides the message that changes. An update alone makes no phone ring: what
 * begins to fire, or fires still, is told in the thread and to the whole channel, what is over in the
 * thread only.
 */
const replies: { readonly [reason in Notification["reason"]]?: "everyone" | "thread" } = {
  "new alerts in group": "everyone",
  "repeat interval elapsed": "everyone",
  "alert is flapping": "everyone",
  "alert is steady": "thread",
  "new resolved alerts": "thread",
  "all alerts resolved": "thread",
};

/** Of chat.update: the message can't be changed any more. https://docs.slack.dev/reference/methods/chat.update */
const lost = new Set([
  "message_not_found",
  "cant_update_message",
  "edit_window_closed",
  "channel_not_found",
  "is_archived",
  "block_mismatch",
]);

/** Errors of Slack's own that go by; all others stay what they are. https://docs.slack.dev/reference/methods/chat.postMessage */
const passing = new Set([
  "ratelimited",
  "rate_limited",
  "message_limit_exceeded",
  "internal_error",
  "fatal_error",
  "service_unavailable",
  "request_timeout",
  "team_added_to_org",
]);

/** What whoever set it up can do. */
const hints: Readonly<Record<string, string>> = {
  not_in_channel: "invite the bot to the channel: /invite @its-name",
  channel_not_found: "there is no such channel, or the bot isn't in it",
  is_archived: "the channel is archived",
  missing_scope: "the app lacks a scope: add it and install the app again",
  invalid_auth: "the token is none, or of another workspace",
  token_revoked: "the token was revoked",
  account_inactive: "the bot was removed",
};

/** What Slack said: what it returns, or what is wrong. */
type Said =
  | { readonly ok: true; readonly body: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly error: string; readonly failure: DeliveryError };

/** How long a picture may take: the message has arrived before. */
const pictureTime = 10_000;

function botSink(
  token: string,
  channel: string,
  { picture = true, api = "https://slack.com/api/" }: SlackOptions,
  context: SinkContext,
): GroupSink {
  const base = httpUrl("slack", api.endsWith("/") ? api : `${api}/`, "api");

  const call = async (
    method: string,
    body: object | URLSearchParams,
    signal: AbortSignal,
  ): Promise<Said> => {
    const form = body instanceof URLSearchParams;
    const { text, retryAfter } = await request({
      url: `${base}${method}`,
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": form ? "application/x-www-form-urlencoded" : json,
      },
      body: form ? body.toString() : jsonLine(body),
      signal,
      wantsText: true,
    }, context);
    return said(method, text, retryAfter, context);
  };
  const mustCall = async (...of: Parameters<typeof call>): Promise<Record<string, unknown>> => {
    const answer = await call(...of);
    if (!answer.ok) throw answer.failure;
    return answer.body;
  };

  /** Posts a message, or a reply to one. */
  const post = async (
    message: object,
    signal: AbortSignal,
  ): Promise<{ channel: string; ts: string }> => {
    const body = await mustCall("chat.postMessage", { channel, ...quiet, ...message }, signal);
    return { channel: String(body["channel"]), ts: String(body["ts"]) };
  };

  const postAnew = async (
    notification: Notification,
    message: Message,
    signal: AbortSignal,
  ): Promise<Delivered> => {
    const at = await post(message, signal);
    await showPicture(notification, at, signal);
    return { answer: "posted", memo: memoOf(at, notification) };
  };

  const memoOf = (at: { channel: string; ts: string }, { status }: Notification): string =>
    JSON.stringify({ to: channel, ...at, over: status === "resolved" } satisfies Memo);

  /** Puts a picture into a thread. That it fails is told in the log: the message itself has arrived. */
  const showPicture = async (
    { rates, alerts: [worst] }: Notification,
    at: { channel: string; ts: string },
    ending: AbortSignal,
  ): Promise<void> => {
    if (!picture || rates === undefined || worst === undefined) return;
    const signal = AbortSignal.any([ending, AbortSignal.timeout(pictureTime)]);
    try {
      const { startsAt, endsAt } = worst;
      const png = pngOf(rates, {
        startsAt: Date.parse(startsAt),
        endsAt: endsAt === null ? null : Date.parse(endsAt),
      });
      // https://docs.slack.dev/reference/methods/files.getUploadURLExternal
      const place = await mustCall(
        "files.getUploadURLExternal",
        new URLSearchParams({
          filename: "drops.png",
          length: String(png.length),
          alt_txt: fitted(altOf(rates), 1000),
        }),
        signal,
      );
      const { upload_url: url, file_id: id } = place;
      if (typeof url !== "string" || !isHttpUrl(url)) throw new DeliveryError("there is no URL");
      await request({ url, headers: { "content-type": "image/png" }, body: png, signal }, context);
      const files = [{ id, title: fitted(printable(rates.of), 200) }];
      await mustCall(
        "files.completeUploadExternal",
        { files, channel_id: at.channel, thread_ts: at.ts },
        signal,
      );
    } catch (thrown) {
      context.log(`${context.name}: a picture was left out: ${reasonOf(thrown)}`);
    }
  };

  return {
    name: context.name,
    async notify(notification, { signal, memo }) {
      const text = context.text(notification);
      const message = messageOf(notification, text);
      const before = readMemo(memo);
      const reply = replies[notification.reason];
      const goesOn = before !== undefined && before.to === channel && reply !== undefined &&
        (!before.over || notification.status === "resolved");
      if (!goesOn) return await postAnew(notification, message, signal);

      // The update first: where the reply fails, both are done again, and an update may be.
      const at = { channel: before.channel, ts: before.ts };
      const updated = await call("chat.update", { ...at, ...message }, signal);
      if (!updated.ok) {
        if (!lost.has(updated.error)) throw updated.failure;
        return await postAnew(notification, message, signal);
      }
      const everyone = reply === "everyone";
      const thread = { channel: at.channel, thread_ts: at.ts };
      const short = replyOf(text);
      const replied = await call(
        "chat.postMessage",
        { ...quiet, ...thread, ...short, ...(everyone ? { reply_broadcast: true } : {}) },
        signal,
      );
      if (!replied.ok) {
        if (!replied.failure.final) throw replied.failure;
        // A thread that nobody may write to keeps no alert from being heard.
        if (everyone) return await postAnew(notification, message, signal);
        context.log(`${context.name}: a reply was left out: ${replied.failure.message}`);
      }
      await showPicture(notification, at, signal);
      return { answer: "updated", memo: memoOf(at, notification) };
    },
  };
}

/** No previews of links below a message. */
const quiet = { unfurl_links: false, unfurl_media: false } as const;

/** Reads an answer of the API, which says with 200 that it took nothing. */
function said(
  method: string,
  text: string,
  retryAfter: number | undefined,
  { hide }: SinkContext,
): Said {
  let body: Record<string, unknown> | null = null;
  try {
    body = JSON.parse(text);
  } catch {
    // What isn't JSON isn't from Slack.
  }
  if (body?.["ok"] === true) return { ok: true, body };
  const error = typeof body?.["error"] === "string" ? body["error"] : "";
  const shown = printable(hide(error === "" ? text.trim() : error).slice(0, 200));
  const hint = Object.hasOwn(hints, error) ? ` (${hints[error]})` : "";
  const needed = typeof body?.["needed"] === "string"
    ? `, needed: ${printable(body["needed"].slice(0, 100))}`
    : "";
  const failure = new DeliveryError(`${method} answered ${shown}${needed}${hint}`, {
    final: error !== "" && !passing.has(error),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
  return { ok: false, error, failure };
}

// --- the message --------------------------------------------------------------------------------

type Block = Readonly<Record<string, unknown>>;

/** What both ways of posting take. */
interface Message {
  /** What a phone shows before the message is opened. */
  readonly text: string;
  readonly blocks: readonly Block[];
  /** They alone have a bar of colour. */
  readonly attachments: readonly { readonly color: string; readonly blocks: readonly Block[] }[];
}

// https://docs.slack.dev/reference/block-kit/blocks
const mostBlocks = 50;
const mostHeader = 150;
const mostSection = 3000;
const mostFields = 10;
/**
 * Characters of a message's blocks as JSON. Slack's limit is in no document; from some 13,200 on it
 * answers msg_blocks_too_long (slackapi/bolt-js#2509).
 */
const mostJson = 12_000;

/** Plain text: nothing in it is markup, an emoji, a mention or a link. */
function plain(text: string, most: number): Block {
  return { type: "plain_text", text: fitted(text, most), emoji: false };
}

/** The three characters that Slack's markup is made of, and no others. https://docs.slack.dev/messaging/formatting-message-text */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Links, as words: a button would send its app what was pressed, and one without a server shows an error. */
function linkBlocks(links: readonly Link[], form: Form): Block[] {
  const shown = links.filter(({ url }) => url.length <= form.url)
    .map(({ text, url }) => `<${escaped(url.replaceAll("|", "%7C"))}|${escaped(text)}>`)
    .filter((link) => link.length <= mostSection);
  if (shown.length === 0) return [];
  const line = shown.join("   ");
  return (line.length <= mostSection ? [line] : shown)
    .map((text) => ({ type: "section", text: { type: "mrkdwn", text, verbatim: true } }));
}

function fieldBlocks(facts: AlertText["facts"], form: Form): Block[] {
  const fields = numbersFirst(facts).slice(0, form.facts).map(([name, value]) =>
    plain(`${fitted(name, form.value)}\n${fitted(value, form.value)}`, 2 * form.value + 1)
  );
  const blocks: Block[] = [];
  for (let i = 0; i < fields.length; i += mostFields) {
    blocks.push({ type: "section", fields: fields.slice(i, i + mostFields) });
  }
  return blocks;
}

/** The worst alert, whole. */
function worstBlocks(alert: AlertText, header: string, form: Form): Block[] {
  const body = alert.body.join("\n");
  return [
    ...(alert.title === "" || header.endsWith(alert.title)
      ? []
      : [{ type: "section", text: plain(alert.title, form.body) }]),
    ...fieldBlocks(alert.facts, form),
    ...(body === "" ? [] : [{ type: "section", text: plain(body, form.body) }]),
    ...linkBlocks(alert.links, form),
  ];
}

function otherBlock(alert: AlertText, form: Form): Block {
  const text = `${fitted(nameOf(alert), form.value)}\n${factsLine(alert.facts, form)}`;
  return { type: "section", text: plain(text, 600) };
}

/** A notification as a message, however large it is. */
export function messageOf(notification: Notification, text: NotificationText): Message {
  const header = fitted(text.title, mostHeader);
  const [worst, ...others] = text.alerts;
  const make = (form: Form): Message => {
    const shown = others.slice(0, form.others);
    const more = leftOut(notification, text, shown.length + 1);
    const blocks: Block[] = [
      ...(worst === undefined ? [] : worstBlocks(worst, header, form)),
      ...shown.map((alert) => otherBlock(alert, form)),
      ...(more === "" ? [] : [{ type: "context", elements: [plain(more, 200)] }]),
      ...linkBlocks(text.links, form),
    ];
    // The bar of colour stands beside blocks, so there is one.
    const none = { type: "context", elements: [plain(`${text.status}, ${text.severity}`, 50)] };
    return {
      text: escaped(fitted(text.title, 500)),
      blocks: [{ type: "header", text: plain(header, mostHeader) }],
      attachments: [{
        color: `#${colourOf(text).toString(16).padStart(6, "0")}`,
        blocks: blocks.length === 0 ? [none] : blocks,
      }],
    };
  };
  return firstThatFits(
    make,
    ({ attachments: [{ blocks } = { blocks: [] }] }) =>
      blocks.length < mostBlocks && JSON.stringify(blocks).length <= mostJson,
  );
}

/** What stands in the thread: a title, and what the alerts are called. */
function replyOf(text: NotificationText): Pick<Message, "text" | "blocks"> {
  const [first] = text.alerts;
  const lines = text.alerts.length === 1
    ? [numbersFirst(first!.facts).slice(0, 5).map((fact) => fact.join(" ")).join(", ")]
    : text.alerts.slice(0, 5).map((alert) => fitted(nameOf(alert), 200));
  const whole = [fitted(text.title, 500), ...lines].filter((line) => line !== "").join("\n");
  return {
    text: escaped(fitted(text.title, 500)),
    blocks: [{ type: "section", text: plain(whole, mostSection) }],
  };
}

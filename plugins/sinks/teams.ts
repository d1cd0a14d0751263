// Alerts in a channel or chat of Microsoft Teams: an adaptive card for a workflow that posts it.
import type { Notification } from "../../core/alert/notification.ts";
import type { GroupSink } from "../../core/alert/sink.ts";
import type { AlertText, Link, NotificationText } from "../../core/alert/text.ts";
import { jsonLine } from "../../core/error.ts";
import { factsLine, firstThatFits, fitted, leftOut, nameOf, numbersFirst } from "./chat.ts";
import type { Form } from "./chat.ts";
import { httpUrl, request } from "../http.ts";
import { SecretSchema } from "../../core/secret.ts";
import { secretWord } from "../secret.ts";
import { sinkKind } from "./kind.ts";
import type { Secret } from "../../core/secret.ts";
import type { SinkContext, SinkMaker } from "./kind.ts";

export interface TeamsOptions {
  /** The URL of a workflow that is started by a webhook. Whoever knows it can post. */
  readonly url: Secret;
}

/** Posts to a channel or chat of Microsoft Teams. */
export const teams: SinkMaker<TeamsOptions> = sinkKind({
  name: "teams",
  sort: "groups",
  doc: "posts alerts to a channel or chat of Microsoft Teams, by a workflow",
  value: "URL",
  options: { url: SecretSchema },
  // Teams holds back who posts more than four times a second.
  // https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook
  rate: { perSecond: 1, burst: 4 },
  fromWord: (value) => ({ url: secretWord(value) }),
  make: teamsSink,
});

/**
 * A sink that posts to Teams.
 *
 * @throws DropwatchError BAD_SINK_OPTION for what is no http(s) URL.
 */
export function teamsSink(options: TeamsOptions, context: SinkContext): GroupSink {
  const url = httpUrl("teams", context.secret("url", options.url));
  return {
    name: context.name,
    async notify(notification, { signal }) {
      const { status } = await request({
        url,
        headers: { "content-type": "application/json" },
        body: bodyOf(notification, context.text(notification)),
        signal,
      }, context);
      return { answer: String(status) };
    },
  };
}

type Element = Readonly<Record<string, unknown>>;

/**
 * Bytes of a message. Teams says 28 KB, and refuses some that are smaller: what counts is what the card
 * becomes on the way. Others had none refused below 21,000.
 */
const mostBytes = 20_000;
/** Teams shows no more buttons. */
const mostActions = 6;
const styles = { critical: "attention", warning: "warning", info: "accent" } as const;

/** Text as it is: in it `{{` would begin a function of cards, as `{{DATE(…)}}`. */
function plain(text: string, most: number): string {
  return fitted(text.slice(0, most + 1).replace(/\{(?=\{)/g, "{\u200b"), most);
}

/**
 * A paragraph. It is made of runs, which have no Markdown: the text blocks of cards do, and show the
 * backslashes of what is escaped in it on phones (MicrosoftDocs/msteams-docs#5793).
 */
function paragraph(
  runs: readonly (Element & { readonly text: string })[],
  style: Element = {},
): Element {
  const inlines = runs.map((run) => ({ type: "TextRun", ...run }));
  return { type: "RichTextBlock", inlines, ...style };
}

const close = { spacing: "Small" };

/** The body of the request, however large the notification is. */
export function bodyOf(notification: Notification, text: NotificationText): string {
  const [worst, ...others] = text.alerts;
  const make = (form: Form): string => {
    const shown = others.slice(0, form.others);
    const more = leftOut(notification, text, shown.length + 1);
    const links = [...(worst?.links ?? []), ...text.links];
    const title = plain(text.title, 300);
    const body: Element[] = [
      {
        type: "Container",
        style: text.status === "resolved" ? "good" : styles[text.severity],
        bleed: true,
        items: [paragraph([{ text: title, weight: "Bolder", size: "Medium" }])],
      },
      ...(worst === undefined ? [] : worstOf(worst, title, form)),
      ...shown.map((alert) =>
        paragraph([
          { text: `${plain(nameOf(alert), 200)}  `, weight: "Bolder" },
          { text: plain(factsLine(alert.facts, form), 400) },
        ])
      ),
      ...(more === "" ? [] : [paragraph([{ text: plain(more, 200), isSubtle: true }])]),
    ];
    const card = {
      $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
      type: "AdaptiveCard",
      // What phones know too.
      version: "1.2",
      msteams: { width: "Full" },
      body,
      actions: actionsOf(links, form),
    };
    const contentType = "application/vnd.microsoft.card.adaptive";
    return jsonLine({ type: "message", attachments: [{ contentType, content: card }] });
  };
  return firstThatFits(make, (made) => Buffer.byteLength(made) <= mostBytes);
}

function worstOf(alert: AlertText, title: string, form: Form): Element[] {
  let left = form.body;
  const lines = alert.body.flatMap((line) => {
    if (left <= 0) return [];
    const short = plain(line, left);
    left -= short.length;
    return [short];
  });
  return [
    ...(alert.title === "" || title.endsWith(alert.title)
      ? []
      : [paragraph([{ text: plain(alert.title, form.body) }])]),
    ...numbersFirst(alert.facts).slice(0, form.facts).map(([name, value]) =>
      paragraph([
        { text: `${plain(name, form.value)}  `, weight: "Bolder" },
        { text: plain(value, form.value) },
      ], close)
    ),
    ...lines.map((text) => paragraph([{ text }], close)),
  ];
}

function actionsOf(links: readonly Link[], form: Form): Element[] {
  return links.filter(({ url }) => url.length <= form.url).slice(0, mostActions)
    .map(({ text, url }) => ({ type: "Action.OpenUrl", title: text, url }));
}

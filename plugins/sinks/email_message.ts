// The letter of a notification: its headers, a text, and the same in HTML. In both, names of strangers
// are text and nothing else.
import { createHash } from "node:crypto";
import type { Notification } from "../../core/alert/notification.ts";
import { altOf, pngOf } from "../../core/alert/picture.ts";
import { shorten } from "../../core/alert/shorten.ts";
import { plainText } from "../../core/alert/text.ts";
import type { AlertText, Link, NotificationText } from "../../core/alert/text.ts";
import { plural } from "../../core/number.ts";

export interface Address {
  /** Empty where there is none. */
  readonly name: string;
  readonly address: string;
}

export interface LetterSetting {
  /** The same over all attempts. */
  readonly id: string;
  readonly from: Address;
  readonly to: readonly Address[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** What a composer of MIME makes of it (nodemailer's). */
export interface LetterOptions {
  from: Address;
  to: Address[];
  subject: string;
  messageId: string;
  inReplyTo: string;
  references: string;
  date: Date;
  text: string;
  html: string;
  headers: Record<string, string>;
  attachments: {
    cid: string;
    filename: string;
    content: Buffer;
    contentType: string;
    contentDisposition: "inline";
  }[];
}

/** Clients cut HTML at some 100 KB (Gmail at 102). */
const most = {
  subject: 200,
  title: 500,
  name: 100,
  value: 500,
  paragraph: 1000,
  url: 2000,
  all: 60_000,
};

/** Makes the letter. */
export function letterOf(
  notification: Notification,
  text: NotificationText,
  { id, from, to, now }: LetterSetting,
): { readonly options: LetterOptions } {
  const domain = from.address.slice(from.address.lastIndexOf("@") + 1);
  const shown = fitted(text);
  const picture = pictureOf(notification);
  // Clients put letters together that refer to the same one, though nobody ever got that.
  const thread = `<${digest(notification.groupKey)}.group@${domain}>`;
  return {
    options: {
      from,
      to: [...to],
      subject: shorten(text.title.toWellFormed(), most.subject),
      messageId: `<${digest(id)}@${domain}>`,
      inReplyTo: thread,
      references: thread,
      date: new Date(now),
      text: plainText(shown),
      html: htmlOf(shown, picture),
      headers: {
        // No answer by machines, please: RFC 3834, and Exchange's own.
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "X-Mailer": "dropwatch",
        "X-Dropwatch-Status": text.status,
        "X-Dropwatch-Severity": text.severity,
        ...(text.status === "firing" && text.severity === "critical"
          ? { "Importance": "high", "X-Priority": "1" }
          : {}),
      },
      attachments: picture === undefined ? [] : [{
        cid: picture.cid,
        filename: "rate.png",
        content: Buffer.from(picture.png),
        contentType: "image/png",
        contentDisposition: "inline",
      }],
    },
  };
}

const digest = (text: string): string =>
  createHash("sha256").update(text).digest("hex").slice(0, 32);

interface Picture {
  readonly cid: string;
  readonly png: Uint8Array;
  readonly alt: string;
}

/** The rate of the worst alert's drops, where it is known. */
function pictureOf({ rates, alerts: [worst] }: Notification): Picture | undefined {
  if (rates === undefined || worst === undefined) return undefined;
  const startsAt = Date.parse(worst.startsAt);
  const endsAt = worst.endsAt === null ? null : Date.parse(worst.endsAt);
  const png = pngOf(rates, { startsAt, endsAt });
  return { cid: "rate@dropwatch", png, alt: altOf(rates) };
}

/** As many alerts as a letter has room for, and each of them of a length that can be read. */
function fitted(text: NotificationText): NotificationText {
  let room = most.all;
  const alerts: AlertText[] = [];
  for (const alert of text.alerts) {
    const one: AlertText = {
      ...alert,
      // What the head says isn't said twice.
      title: text.title.endsWith(alert.title) ? "" : unlinked(alert.title, most.title),
      facts: alert.facts.slice(0, 50).map(([name, value]) => [
        unlinked(name, most.name),
        unlinked(value, most.value),
      ]),
      // A text of the config's own has no facts, and its URLs are there to be followed.
      body: alert.body.slice(0, 50).map((line) =>
        alert.facts.length > 0
          ? unlinked(line, most.paragraph)
          : shorten(line.toWellFormed(), most.paragraph)
      ),
      links: alert.links.filter(({ url }) => url.length <= most.url),
    };
    room -= JSON.stringify(one).length;
    if (room < 0 && alerts.length > 0) break;
    alerts.push(one);
  }
  const left = text.alerts.length - alerts.length;
  return {
    ...text,
    title: unlinked(text.title, most.title),
    alerts,
    more: [
      ...(left === 0 ? [] : [`${plural(left, "more alert")} had no room here`]),
      ...(text.more === "" ? [] : [text.more]),
    ].join("; "),
    links: text.links.filter(({ url }) => url.length <= most.url),
  };
}

/**
 * A name of a stranger that looks like an address of the web: clients make links of such text by
 * themselves. A word joiner, which nobody sees, keeps them from it.
 */
function unlinked(text: string, length: number): string {
  return shorten(text.toWellFormed(), length)
    .replace(/:(?=\/\/)/g, ":\u2060").replace(/\bwww\.(?=\S)/gi, "$&\u2060");
}

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

const escaped = (text: string): string => text.replace(/[&<>"']/g, (c) => escapes[c]!);

const colours = { critical: "#c8372d", warning: "#c77700", info: "#4a7ebb", resolved: "#2e8540" };

/**
 * No colour of text or ground but the client's own, so that it can be read in light and dark ones; styles
 * stand at each element, since some clients drop all others.
 */
function htmlOf(text: NotificationText, picture: Picture | undefined): string {
  const image = picture === undefined
    ? ""
    : `<p><img src="cid:${picture.cid}" width="600" alt="${
      escaped(picture.alt)
    }" style="max-width:100%;height:auto;border:0"></p>`;
  const [first = "", ...others] = text.alerts.map(alertHtml);
  return [
    `<!doctype html>`,
    `<html lang="en"><head><meta charset="utf-8">`,
    `<meta name="viewport" content="width=device-width, initial-scale=1">`,
    `<meta name="color-scheme" content="light dark">`,
    `<meta name="supported-color-schemes" content="light dark"></head>`,
    `<body style="margin:0;padding:12px;font:16px/1.4 sans-serif">`,
    `<h1 style="font-size:18px;margin:0 0 12px;overflow-wrap:anywhere">${escaped(text.title)}</h1>`,
    first,
    image,
    ...others,
    ...(text.more === "" ? [] : [`<p>${escaped(text.more)}</p>`]),
    linksHtml(text.links),
    `</body></html>`,
  ].filter((line) => line !== "").join("\n");
}

function alertHtml({ title, status, severity, facts, body, links }: AlertText): string {
  const colour = colours[status === "resolved" ? "resolved" : severity];
  const cell = "padding:1px 12px 1px 0;vertical-align:top;font-size:14px";
  const rows = facts.map(([name, value]) =>
    `<tr><td style="${cell};opacity:.7">${escaped(name)}</td>` +
    `<td style="${cell};overflow-wrap:anywhere">${escaped(value)}</td></tr>`
  );
  return [
    `<div style="border-left:4px solid ${colour};padding:0 0 0 12px;margin:0 0 16px">`,
    title === ""
      ? ""
      : `<h2 style="font-size:16px;margin:0 0 6px;overflow-wrap:anywhere">${escaped(title)}</h2>`,
    rows.length === 0 ? "" : `<table role="presentation" cellspacing="0" cellpadding="0">`,
    ...rows,
    rows.length === 0 ? "" : `</table>`,
    ...body.map((line) => `<p style="margin:8px 0;overflow-wrap:anywhere">${escaped(line)}</p>`),
    linksHtml(links),
    `</div>`,
  ].filter((line) => line !== "").join("\n");
}

function linksHtml(links: readonly Link[]): string {
  if (links.length === 0) return "";
  const all = links.map(({ text, url }) => `<a href="${escaped(url)}">${escaped(text)}</a>`);
  return `<p style="margin:8px 0">${all.join(" &middot; ")}</p>`;
}

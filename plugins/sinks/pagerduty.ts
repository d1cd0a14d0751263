// Incidents at PagerDuty, through its Events API v2 (docs/events-API-v2 in PagerDuty/developer-docs):
// an alert there for each group, which opens, gets news, and resolves by its deduplication key.
import { createHash } from "node:crypto";
import { hostname } from "node:os";
import * as v from "valibot";
import type { Notification } from "../../core/alert/notification.ts";
import { shorten } from "../../core/alert/shorten.ts";
import type { GroupSink } from "../../core/alert/sink.ts";
import type { Link, NotificationText } from "../../core/alert/text.ts";
import { badSinkOption, jsonLine, printable } from "../../core/error.ts";
import { plural } from "../../core/number.ts";
import { addressOf, isHttpUrl, request } from "../http.ts";
import { SecretSchema } from "../../core/secret.ts";
import { secretWord } from "../secret.ts";
import { sinkKind } from "./kind.ts";
import type { Secret } from "../../core/secret.ts";
import type { SinkContext, SinkMaker } from "./kind.ts";

export interface PagerdutyOptions {
  /** The integration key of an Events API v2 integration: 32 letters and digits. */
  readonly routingKey: Secret;
  /** What is affected, as PagerDuty shows it; this machine's name without it. */
  readonly source?: string;
  /** Where events go; `https://events.eu.pagerduty.com/v2/enqueue` for the service region EU. */
  readonly url?: Secret;
}

const defaultUrl = "https://events.pagerduty.com/v2/enqueue";
const maxSummary = 1024;
/** Beyond 512 KB the event is refused; whether that is 512,000 or 524,288 bytes isn't said. */
const maxBody = 512_000;
/** Not limited by what PagerDuty writes; nobody looks at more. */
const maxField = 255;
const maxLinks = 10;
const maxUrl = 2000;
const maxOthers = 20;

/** Opens and resolves incidents. */
export const pagerduty: SinkMaker<PagerdutyOptions> = sinkKind<PagerdutyOptions>({
  name: "pagerduty",
  doc: "opens and resolves incidents at PagerDuty (Events API v2)",
  sort: "groups",
  value: "env:NAME",
  options: {
    routingKey: SecretSchema,
    source: v.optional(v.pipe(v.string("a text"), v.minLength(1, "a text"))),
    url: v.optional(SecretSchema),
  },
  fromWord: (value) => ({ routingKey: secretWord(value) }),
  make: pagerdutySink,
});

/**
 * A sink that opens an incident for a group of alerts, and resolves it with the last of them.
 *
 * @throws DropwatchError BAD_SINK_OPTION for what is no routing key or no http(s) URL.
 */
export function pagerdutySink(options: PagerdutyOptions, context: SinkContext): GroupSink {
  const { url: given = defaultUrl, source = hostname() } = options;
  const routingKey = context.secret("routingKey", options.routingKey);
  if (!/^[A-Za-z0-9]{32}$/.test(routingKey)) {
    throw badSinkOption("pagerduty", "its routingKey must be 32 letters and digits");
  }
  const url = addressOf("pagerduty", given, context);
  const headers = { "content-type": "application/json" };
  return {
    name: context.name,
    async notify(notification, { signal }) {
      const event = pagerdutyEvent(notification, context.text(notification), {
        routingKey,
        source,
      });
      const { status } = await request({ url, headers, body: event, signal }, context);
      return { answer: String(status) };
    },
  };
}

/** The event of a notification. PagerDuty shows texts as they are, without any markup. */
export function pagerdutyEvent(
  notification: Notification,
  text: NotificationText,
  { routingKey, source }: { readonly routingKey: string; readonly source: string },
): string {
  const { status, groupKey, groupLabels, externalURL, timestamp, alerts: [worst] } = notification;
  const field = (value: string): string => shorten(printable(value).toWellFormed(), maxField);
  const component = ["owner", "unit", "container", "comm", "dev"]
    .map((name) => worst?.labels[name] ?? "").find((value) => value !== "");
  const group = Object.entries(groupLabels).filter(([name]) => name !== "alertname")
    .map(([name, value]) => `${name}=${value}`).join(" ");
  const links = [...(text.alerts[0]?.links ?? []), ...text.links];
  const event = (details: object): string =>
    jsonLine({
      routing_key: routingKey,
      event_action: status === "firing" ? "trigger" : "resolve",
      // Stays the same, and within 255 characters, whatever the group's labels are. Another machine's
      // group of the same key is another incident: its end must not be the end of this one.
      dedup_key: createHash("sha256").update(`${source}\n${groupKey}`).digest("hex"),
      payload: {
        summary: shorten(text.title.trim().toWellFormed(), maxSummary) || "no alert",
        source: field(source),
        severity: text.severity,
        timestamp,
        ...(component === undefined ? {} : { component: field(component) }),
        ...(group === "" ? {} : { group: field(group) }),
        ...(worst === undefined ? {} : { class: field(worst.alert) }),
        custom_details: details,
      },
      links: linksOf(links),
      client: "dropwatch",
      ...(isHttpUrl(externalURL) && externalURL.length <= maxUrl
        ? { client_url: new URL(externalURL).href }
        : {}),
    });
  const whole = event(detailsOf(notification, text));
  if (Buffer.byteLength(whole) <= maxBody) return whole;
  return event({ note: `the details were left out: more than ${maxBody / 1000} KB` });
}

/**
 * A table of names and values: the worst alert's labels and numbers, what to do, and what else there is.
 * Labels have no spaces in their names, so that none takes the place of ours.
 */
function detailsOf(
  { firing, resolved, truncatedAlerts }: Notification,
  text: NotificationText,
): object {
  const [first, ...others] = text.alerts;
  const shown = others.slice(0, maxOthers).map(({ status, title, facts }) =>
    `${status}: ${title} (${facts.map(([name, value]) => `${name} ${value}`).join(", ")})`
  );
  const truncated = text.more === "" ? 0 : truncatedAlerts;
  const left = others.length - shown.length + truncated;
  return {
    ...Object.fromEntries(first?.facts ?? []),
    ...(first === undefined || first.body.length === 0
      ? {}
      : { "more about it": first.body.join("\n") }),
    ...(firing + resolved <= 1 ? {} : {
      "alerts in all": `${firing} firing, ${resolved} resolved`,
      "other alerts": left > 0 ? [...shown, `and ${plural(left, "more alert")}`] : shown,
    }),
  };
}

function linksOf(links: readonly Link[]): { readonly href: string; readonly text: string }[] {
  const byUrl = new Map(
    links.filter(({ url }) => url.length <= maxUrl).map((
      { url, text },
    ) => [url, { href: url, text }]),
  );
  return [...byUrl.values()].slice(0, maxLinks);
}

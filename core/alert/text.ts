// What people read of a notification, before a sink gives it its own form: a title, and for each alert
// its summary, its numbers, its evidence and its links. All of it is plain text that is safe to print,
// and nothing in it is escaped for a markup: that is the sink's to do.
import { printable } from "../error.ts";
import { plural, showNumber } from "../number.ts";
import { showDuration } from "../rule/duration.ts";
import type { Severity } from "../rule/rule.ts";
import type { AlertData } from "./alert.ts";
import { evidenceLines } from "./evidence_text.ts";
import type { Notification } from "./notification.ts";

/** A link; its URL begins with http:// or https://. */
export interface Link {
  readonly text: string;
  readonly url: string;
}

/** An alert as people read it. */
export interface AlertText {
  /** One line: what is going on. */
  readonly title: string;
  readonly status: "firing" | "resolved";
  readonly severity: Severity;
  /** Labels and numbers, by their names. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** Paragraphs: what to do, and where the drops are. */
  readonly body: readonly string[];
  readonly links: readonly Link[];
}

/** A notification as people read it. */
export interface NotificationText {
  /** One line. */
  readonly title: string;
  readonly status: "firing" | "resolved";
  /** That of its worst alert. */
  readonly severity: Severity;
  readonly alerts: readonly AlertText[];
  /** What was left out: `and 37 more alerts`; empty where nothing was. */
  readonly more: string;
  /** Of the notification as a whole: the dashboard. */
  readonly links: readonly Link[];
}

/** What a function of the config makes of a notification: plain text, which the sink escapes. */
export type OwnText = string | { readonly title: string; readonly body?: string };

/** The default text of a notification; with `host`, the machine that it is about is in the title. */
export function textOf(notification: Notification, host: string = ""): NotificationText {
  const { alerts, firing, resolved, truncatedAlerts, status, externalURL } = notification;
  const [worst] = alerts;
  return {
    title: printable(titleOf(notification, host)),
    status,
    severity: worst?.severity ?? "info",
    alerts: alerts.map(alertText),
    more: truncatedAlerts === 0
      ? ""
      : `and ${plural(truncatedAlerts, "more alert")}: ${showNumber(firing)} firing, ${
        showNumber(resolved)
      } resolved in all`,
    links: linksOf([["dashboard", externalURL]]),
  };
}

/** The text that a function of the config has made in its place. */
export function ownText(notification: Notification, own: OwnText): NotificationText {
  const [first = "", ...rest] = typeof own === "string" ? own.split("\n") : [own.title];
  const body = typeof own === "string" ? rest : (own.body ?? "").split("\n");
  const { status, alerts } = notification;
  const severity = alerts[0]?.severity ?? "info";
  const lines = body.map(printable).filter((line) => line.trim() !== "");
  return {
    title: printable(first),
    status,
    severity,
    alerts: lines.length === 0
      ? []
      : [{ title: "", status, severity, facts: [], body: lines, links: [] }],
    more: "",
    links: [],
  };
}

/** As a text of lines, for what shows nothing else. */
export function plainText(text: NotificationText): string {
  const lines = text.alerts.flatMap(({ title, facts, body, links }) => [
    ...(title === "" || text.title.endsWith(title) ? [] : [title]),
    ...(facts.length === 0 ? [] : [facts.map(([name, value]) => `${name} ${value}`).join(", ")]),
    ...body,
    ...links.map((link) => `${link.text}: ${link.url}`),
  ]);
  const end = text.more === "" ? [] : [text.more];
  return [
    text.title,
    ...lines,
    ...end,
    ...text.links.map((link) => `${link.text}: ${link.url}`),
  ].join("\n");
}

function titleOf(
  { status, reason, alerts, firing, resolved }: Notification,
  host: string,
): string {
  const [worst] = alerts;
  if (worst === undefined) return "no alert";
  const head = status === "firing" ? "FIRING" : "RESOLVED";
  const test = reason === "test" ? "TEST " : "";
  const flapping = reason === "alert is flapping" ? "FLAPPING " : "";
  // Early: a phone that is locked shows the beginning alone.
  const on = host === "" ? "" : ` on ${host}`;
  if (firing + resolved === 1) {
    return `${test}${flapping}${head} ${worst.alert}${on}: ${summaryOf(worst)}`;
  }
  const names = [...new Set(alerts.map(({ alert }) => alert))];
  const few = names.length <= 3
    ? names.join(", ")
    : `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`;
  const counts = status === "firing"
    ? `${showNumber(firing)}${resolved > 0 ? `, ${showNumber(resolved)} resolved` : ""}`
    : showNumber(resolved);
  return `${test}${flapping}${head} (${counts}) ${few}${on}: ${summaryOf(worst)}`;
}

function summaryOf(alert: AlertData): string {
  return alert.annotations.summary ?? alert.alert;
}

function alertText(alert: AlertData): AlertText {
  const { annotations, labels, value, peak, total, startsAt, endsAt, exact, lost } = alert;
  const atLeast = exact ? "" : "at least ";
  const facts: [string, string][] = Object.entries(labels)
    .filter(([name]) => name !== "alertname" && name !== "severity")
    .map(([name, text]) => [printable(name), text === "" ? "unknown" : printable(text)]);
  facts.push(["value", `${atLeast}${showNumber(value)}`], ["peak", showNumber(peak)]);
  facts.push([alert.of === "health" ? "times" : "drops", `${atLeast}${showNumber(total)}`]);
  facts.push(["since", showMoment(startsAt)]);
  if (endsAt !== null) {
    facts.push(["lasted", showDuration(Date.parse(endsAt) - Date.parse(startsAt))]);
  }
  if (lost > 0) facts.push(["lost", showNumber(lost)]);
  const { summary: _, description, runbook, ...others } = annotations;
  const firing = alert.status === "firing";
  const source = linksOf([["kernel source", alert.evidence.source]]);
  return {
    title: printable(summaryOf(alert)),
    status: alert.status,
    severity: alert.severity,
    facts,
    body: firing
      ? [
        ...(description === undefined ? [] : [printable(description)]),
        ...Object.entries(others).map(([name, text]) => `${printable(name)}: ${printable(text)}`),
        // Where it is a link its URL is noise on a phone.
        ...evidenceLines(source.length === 0 ? alert.evidence : { ...alert.evidence, source: "" }),
      ]
      : [],
    links: firing ? [...linksOf([["runbook", runbook]]), ...source] : [],
  };
}

/** A time as people read it: `2026-01-02 03:04:05 UTC`. */
function showMoment(iso: string): string {
  return `${iso.slice(0, 19).replace("T", " ")} UTC`;
}

/** Links of what is a URL. */
function linksOf(named: readonly (readonly [string, string | undefined])[]): Link[] {
  return named.flatMap(([text, url = ""]) =>
    URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)
      ? [{ text, url: new URL(url).href }]
      : []
  );
}

// The form of a message: RFC 5424's, and the one of syslog(3), which is what local sockets are read for.
import { hostname } from "node:os";
import process from "node:process";
import type { AlertData, AlertMessage } from "../../core/alert/alert.ts";
import { shortenBytes } from "../../core/alert/shorten.ts";
import { printable } from "../../core/error.ts";
import { plural, showNumber } from "../../core/number.ts";
import { showDuration } from "../../core/rule/duration.ts";

/** RFC 5424, table 1, by their number. */
export const facilities = [
  "kern",
  "user",
  "mail",
  "daemon",
  "auth",
  "syslog",
  "lpr",
  "news",
  "uucp",
  "cron",
  "authpriv",
  "ftp",
  "ntp",
  "audit",
  "alert",
  "clock",
  "local0",
  "local1",
  "local2",
  "local3",
  "local4",
  "local5",
  "local6",
  "local7",
] as const;

export type Facility = (typeof facilities)[number];

export interface MessageSetting {
  readonly facility: Facility;
  /** 480 or more. */
  readonly maxBytes: number;
}

/** RFC 5424, table 2. That an alert is over is a notice, whatever it was. */
const severities = { critical: 2, warning: 4, info: 6, resolved: 5 } as const;

function priority({ status, severity }: AlertData, facility: Facility): string {
  const level = severities[status === "firing" ? severity : "resolved"];
  return `<${facilities.indexOf(facility) * 8 + level}>`;
}

const appName = "dropwatch";

/**
 * The ids of our elements: 32473 is the enterprise number of examples (RFC 5612), as there is none of
 * dropwatch's.
 */
const ids = { alert: "dropwatch@32473", labels: "labels@32473" };

/** How long a value may be, and which elements are there, the less room there is. */
const steps = [[4096, 2], [256, 2], [64, 2], [64, 1], [0, 0]] as const;

/** What the text has for itself at least. */
const leastText = 200;

const byteOrderMark = "\ufeff";

/** A message as RFC 5424 has it, of at most so many bytes. */
export function message(alert: AlertMessage, { facility, maxBytes }: MessageSetting): Buffer {
  const { data, timestamp } = alert;
  const head = [
    `${priority(data, facility)}1`,
    new Date(timestamp).toISOString(),
    headerField(hostname(), 255),
    appName,
    String(process.pid),
    data.status === "firing" ? "FIRING" : "RESOLVED",
  ].join(" ");
  const text = textOf(data);
  let start = "";
  for (const [most, elements] of steps) {
    start = `${head} ${structured(data, most, elements)} ${byteOrderMark}`;
    if (Buffer.byteLength(start) + leastText <= maxBytes) break;
  }
  return Buffer.from(start + shortenBytes(text, maxBytes - Buffer.byteLength(start)));
}

const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/**
 * A message as the C library's syslog(3) writes it, in local time and without a host: journald and
 * rsyslog take nothing else for more than text on a local socket.
 */
export function localMessage(alert: AlertMessage, { facility, maxBytes }: MessageSetting): Buffer {
  const at = new Date(alert.timestamp);
  const two = (n: number): string => String(n).padStart(2, "0");
  const time = `${months[at.getMonth()]} ${String(at.getDate()).padStart(2)} ` +
    `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const start = `${priority(alert.data, facility)}${time} ${appName}[${process.pid}]: `;
  const text = textOf(alert.data);
  return Buffer.from(start + shortenBytes(text, maxBytes - Buffer.byteLength(start)));
}

/** A field of the header: printable ASCII without spaces, `-` where nothing is left. */
function headerField(text: string, most: number): string {
  return text.replace(/[^\x21-\x7e]/g, "").slice(0, most) || "-";
}

/** What an alert is in one line, the worst first: names of strangers are made safe to print. */
function textOf(data: AlertData): string {
  const { labels, annotations, status, endsAt, startsAt, lost, total } = data;
  const atLeast = data.exact ? "" : "at least ";
  const named = Object.entries(labels)
    .filter(([name]) => name !== "alertname" && name !== "severity")
    .map(([name, value]) => `${short(name)}=${value === "" ? '""' : short(value)}`);
  const numbers = [
    `value ${atLeast}${showNumber(data.value)}`,
    `peak ${showNumber(data.peak)}`,
    `${atLeast}${plural(total, data.of === "health" ? "time" : "drop")}`,
    ...(endsAt === null
      ? []
      : [`after ${showDuration(Date.parse(endsAt) - Date.parse(startsAt))}`]),
    ...(lost > 0 ? [`${showNumber(lost)} lost`] : []),
  ];
  const head = `${status === "firing" ? "FIRING" : "RESOLVED"} ${short(data.alert)}`;
  return `${head} ${data.severity}: ${short(annotations.summary ?? data.alert)}; ${
    [...named, ...numbers].join(" ")
  }`.toWellFormed();
}

/** A name may not push the numbers out of the message. */
const short = (text: string): string => shortenBytes(printable(text.slice(0, 1000)), 400);

/** SD-NAME: 1 to 32 characters of printable ASCII but `=`, space, `]` and `"`. */
function parameterName(name: string): string {
  return name.replace(/[^\x21-\x7e]|[="\]]/g, "_").slice(0, 32) || "_";
}

/** PARAM-VALUE: UTF-8, with `"`, `\` and `]` behind a backslash. */
function parameterValue(value: string, most: number): string {
  const text = shortenBytes(printable(value.slice(0, most + 1)).toWellFormed(), most);
  return text.replace(/["\\\]]/g, "\\$&");
}

/** RFC 5424, 6.3: an element for the alert, and one for its labels; `-` for none. */
function structured(data: AlertData, most: number, elements: number): string {
  const { alertname: _, severity: __, ...labels } = data.labels;
  const of = {
    alert: data.alert,
    status: data.status,
    severity: data.severity,
    value: String(data.value),
    peak: String(data.peak),
    total: String(data.total),
    exact: String(data.exact),
    lost: String(data.lost),
    fingerprint: data.fingerprint,
    startsAt: data.startsAt,
    ...(data.endsAt === null ? {} : { endsAt: data.endsAt }),
  };
  const all = Object.keys(labels).length === 0
    ? [element(ids.alert, of, most)]
    : [element(ids.alert, of, most), element(ids.labels, labels, most)];
  return all.slice(0, elements).join("") || "-";
}

function element(id: string, values: Readonly<Record<string, string>>, most: number): string {
  const parameters = Object.entries(values)
    .map(([name, value]) => ` ${parameterName(name)}="${parameterValue(value, most)}"`);
  return `[${id}${parameters.join("")}]`;
}

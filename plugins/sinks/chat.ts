// What sinks that write into chats have in common: colours, what of a text comes first, and how a
// notification of any size is made to fit.
import type { Notification } from "../../core/alert/notification.ts";
import { shorten } from "../../core/alert/shorten.ts";
import type { AlertText, NotificationText } from "../../core/alert/text.ts";
import { plural, showNumber } from "../../core/number.ts";

const colours = { critical: 0xd32f2f, warning: 0xf2a900, info: 0x2f7ed8 } as const;
const over = 0x2eb67d;

/** 0xrrggbb: of the severity while it fires, green when it is over. */
export function colourOf({ status, severity }: Pick<AlertText, "status" | "severity">): number {
  return status === "resolved" ? over : colours[severity];
}

/** How much of a notification is told. Lengths are in UTF-16 units. */
export interface Form {
  /** How many facts of the worst alert. */
  readonly facts: number;
  /** How long the name or the value of a fact may be. */
  readonly value: number;
  /** How long what is said besides of the worst alert may be. */
  readonly body: number;
  /** How long a URL may be: a longer one is left out, since a part of it leads nowhere. */
  readonly url: number;
  /** How many of the other alerts are told, in a few words each. */
  readonly others: number;
}

/** From all that is good to read on a phone to what fits everywhere. */
const forms: readonly Form[] = [
  { facts: 20, value: 300, body: 2500, url: 3000, others: 9 },
  { facts: 20, value: 200, body: 1500, url: 2000, others: 5 },
  { facts: 10, value: 100, body: 600, url: 700, others: 3 },
  { facts: 10, value: 50, body: 200, url: 200, others: 0 },
];

/** What `make` makes of the first form that fits, or of the last one. */
export function firstThatFits<T>(make: (form: Form) => T, fits: (made: T) => boolean): T {
  for (const form of forms.slice(0, -1)) {
    const made = make(form);
    if (fits(made)) return made;
  }
  return make(forms.at(-1)!);
}

/** A text as the service may have it: at most `most` long with what escapes it, and never blank. */
export function fitted(
  text: string,
  most: number,
  escape: (text: string) => string = (same) => same,
): string {
  // Half a character can't be sent as UTF-8, and what is blank counts as missing.
  const short = shorten(text.slice(0, most + 1).toWellFormed(), most);
  const shown = short.trim() === "" ? "(blank)" : short;
  const escaped = escape(shown);
  if (escaped.length <= most) return escaped;
  let kept = "";
  for (const char of shown) {
    const next = escape(char);
    if (kept.length + next.length > most - 1) break;
    kept += next;
  }
  return `${kept}…`;
}

/** Facts with the numbers before the labels: what is asked first at night. */
export function numbersFirst(facts: AlertText["facts"]): AlertText["facts"] {
  // The numbers come last in the text, and a label may have their names.
  const value = facts.findLastIndex(([name]) => name === "value");
  return value === -1 ? facts : [...facts.slice(value), ...facts.slice(0, value)];
}

/** The facts of an alert in one line. */
export function factsLine(facts: AlertText["facts"], form: Form): string {
  return numbersFirst(facts).slice(0, form.facts)
    .map(([name, value]) => `${fitted(name, form.value)} ${fitted(value, form.value)}`).join(", ");
}

/** What an alert is called beside others: `critical: a socket refuses packets`. */
export function nameOf({ status, severity, title }: AlertText): string {
  return `${status === "resolved" ? "RESOLVED" : severity}: ${title}`;
}

/** What is left out where only the first `shown` alerts of a text are told; empty where nothing is. */
export function leftOut(
  { firing, resolved }: Notification,
  text: NotificationText,
  shown: number,
): string {
  if (shown >= text.alerts.length) return text.more;
  const left = firing + resolved - shown;
  return `and ${plural(left, "more alert")}: ${showNumber(firing)} firing, ${
    showNumber(resolved)
  } resolved in all`;
}

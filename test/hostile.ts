// Texts that try to be more than text in the markup of chats.
import type { AlertMessage } from "../core/alert/alert.ts";
import { alertOf, hostileNames } from "./alert.ts";
import type { Random } from "./random.ts";

const parts = [
  ...hostileNames,
  ..."*_~`|><#@!:&\"'()[]{}\\+-.= \n",
  "<!channel>",
  "<@U012>",
  "<#C012|x>",
  "<https://evil.example|click>",
  "[click](https://evil.example)",
  "&lt;!here&gt;",
  ":bomb:",
  "https://evil.example/",
  "@everyone",
  "<at>all</at>",
  "{{DATE(2017-02-14T06:08:39Z,SHORT)}}",
  "\n# head\n- item\n1. first\n> quote\n-# small",
  "||spoiler|| **bold** __under__ ~~gone~~ ```code```",
  "\u{1f600}",
  "\ud83d",
  "word",
  "x".repeat(300),
  "\u4e16".repeat(400),
];

/** A text that a stranger might choose. */
export function hostileText(random: Random): string {
  return Array.from({ length: random.int(0, 8) }, () => random.pick(parts)).join("");
}

/** Alerts whose names, labels and annotations a stranger chose. */
export function hostileAlerts(random: Random): AlertMessage[] {
  return Array.from({ length: random.int(1, 12) }, () =>
    alertOf({
      labels: Object.fromEntries(
        Array.from(
          { length: random.int(0, 30) },
          (_, i) => [`${hostileText(random)}${i}`, hostileText(random)],
        ),
      ),
      annotations: {
        summary: hostileText(random),
        description: hostileText(random),
        // A rule's author chose it; what is no URL is no link.
        runbook: random.pick([`no ${hostileText(random)}`, "https://runbooks.example/<a>|(b)"]),
        [`other${hostileText(random)}`]: hostileText(random),
      },
      ...(random.chance(0.3) ? { endsAt: "2026-01-02T03:09:05.000Z" } : {}),
    }));
}

/** 1,234 alerts in which texts are 100,000 characters long, with thirty labels more. */
export function longAlerts(char: string): AlertMessage[] {
  const long = char.repeat(100_000 / char.length);
  const { type, timestamp, data } = alertOf();
  const many = Object.fromEntries(
    Array.from({ length: 30 }, (_, i) => [`${i}${long.slice(0, 1000)}`, long.slice(0, 1000)]),
  );
  const labels = { [long]: long, alertname: long, comm: long, ...many };
  const runbook = `https://x.example/${long}`;
  const annotations = { summary: long, description: long, runbook };
  // The one shape of them all: computing the fingerprint of such labels takes long.
  const alert = { type, timestamp, data: { ...data, alert: long, labels, annotations } };
  return Array<AlertMessage>(1234).fill(alert);
}

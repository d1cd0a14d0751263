// An alert as JSON in so many bytes: what a receiver would refuse as too large goes step by step, the
// evidence first, then the ends of texts, then the last of the labels. The alert itself stays.
import { jsonLine } from "../error.ts";
import type { AlertMessage } from "./alert.ts";
import { shorten } from "./shorten.ts";

/** How long the texts of an alert may be, and how many labels it has, the more the less room there is. */
const steps = [[2000, 100], [500, 100], [100, 50], [30, 20]] as const;

/** An alert as a line of JSON of at most `most` bytes; 16 KiB is enough for any. */
export function fitLine(alert: AlertMessage, most: number): string {
  const { data } = alert;
  // Texts that are too long by themselves aren't made into JSON for nothing.
  const texts = [data.labels, data.annotations].flatMap(Object.entries).flat();
  if (texts.reduce((sum, text) => sum + text.length, 0) <= most) {
    for (const each of [alert, { ...alert, data: { ...data, evidence: {} } }]) {
      const line = jsonLine(each);
      if (Buffer.byteLength(line) <= most) return line;
    }
  }
  let line = "";
  for (const [length, count] of steps) {
    line = jsonLine({
      ...alert,
      data: {
        ...data,
        alert: shorten(data.alert, length),
        labels: cut(data.labels, length, count),
        annotations: cut(data.annotations, length, count),
        evidence: {},
      },
    });
    if (Buffer.byteLength(line) <= most) break;
  }
  return line;
}

function cut(
  texts: Readonly<Record<string, string>>,
  length: number,
  count: number,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).slice(0, count)
      .map(([name, text]) => [shorten(name, length), shorten(text, length)]),
  );
}

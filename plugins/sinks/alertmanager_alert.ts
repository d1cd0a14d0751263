// An alert as Prometheus, Alertmanager and whoever listens to its webhook know one: labels without empty
// values, annotations that are texts, and a fingerprint of just those labels.
import { fingerprint } from "../../core/alert/alert.ts";
import type { AlertData } from "../../core/alert/alert.ts";
import { shorten } from "../../core/alert/shorten.ts";
import { showNumber } from "../../core/number.ts";
import { isHttpUrl } from "../http.ts";

/** An alert's part that is the same in Alertmanager's API and in its webhook. */
export interface AlertmanagerAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** ISO 8601. */
  readonly startsAt: string;
  /** Where to read on: the kernel's source of the function that drops; empty where it isn't known. */
  readonly generatorURL: string;
  /** That of `labels`, as Alertmanager reckons it. */
  readonly fingerprint: string;
}

/** A kernel's name has 15 bytes and a stack some thousand: what is longer is nobody's name. */
const maxLabel = 8192;
const maxAnnotation = 8192;

/** An alert with what Alertmanager takes. */
export function alertmanagerAlert(alert: AlertData): AlertmanagerAlert {
  const labels = labelsOf(alert);
  const { source = "" } = alert.evidence;
  return {
    labels,
    annotations: annotationsOf(alert),
    startsAt: alert.startsAt,
    generatorURL: isHttpUrl(source) ? new URL(source).href : "",
    fingerprint: fingerprint(labels),
  };
}

/**
 * Alertmanager takes a label without a value for one that isn't there, and text as UTF-8, where half a
 * character is U+FFFD. A value that has to be cut ends in the alert's fingerprint: two alerts stay two.
 */
function labelsOf({ labels, fingerprint }: AlertData): Record<string, string> {
  return named(
    Object.entries(labels).filter(([, value]) => value !== "").map(([name, value]) => [
      name,
      value.length > maxLabel ? `${shorten(value, maxLabel)} ${fingerprint}` : value,
    ]),
  );
}

function annotationsOf(alert: AlertData): Record<string, string> {
  const { annotations, value, peak, total, lost, exact, evidence } = alert;
  const atLeast = exact ? "" : "at least ";
  const site = evidence.at || evidence.site || "";
  return named([
    ...Object.entries(annotations).map(([name, text]) =>
      [name, shorten(text, maxAnnotation)] as const
    ),
    ["value", `${atLeast}${showNumber(value)}`],
    ["peak", showNumber(peak)],
    [alert.of === "health" ? "times" : "drops", `${atLeast}${showNumber(total)}`],
    ...(lost > 0 ? [["lost", showNumber(lost)] as const] : []),
    ...(site === "" ? [] : [["site", site] as const]),
  ]);
}

/**
 * A set under names as Alertmanager takes them, `[a-zA-Z_][a-zA-Z0-9_]*`: one that is another refuses
 * the whole alert. Of two that become the same the second gets an underscore, and so do the numbers where
 * a rule has an annotation of that name: what the rule says stays.
 */
function named(entries: readonly (readonly [string, string])[]): Record<string, string> {
  const set = new Map<string, string>();
  for (const [given, value] of entries) {
    let name = given.replace(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=\d|$)/, "_");
    while (set.has(name)) name += "_";
    set.set(name, value.toWellFormed());
  }
  return Object.fromEntries(set);
}

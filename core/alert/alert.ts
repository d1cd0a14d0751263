// An alert in the one shape that it has everywhere: on stdout, in a webhook, in the API.
import { quote } from "../error.ts";
import type { Severity } from "../rule/rule.ts";
import type { AlertEvidence } from "../watch/evidence.ts";

/** What it is made of (see AlertEvidence in core/watch/evidence.ts); empty where nothing was kept. */
export type Evidence = Partial<AlertEvidence>;

/** The alert itself. Times are ISO 8601 in UTC; `endsAt` is null while it fires. */
export interface AlertData {
  readonly alert: string;
  readonly status: "firing" | "resolved";
  readonly severity: Severity;
  /** The alert's name, the fields of `by`, and the rule's own labels. */
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** The condition's value now. */
  readonly value: number;
  /** Its largest value since it began. */
  readonly peak: number;
  /** How many drops matched since it began. */
  readonly total: number;
  /** Where it isn't about drops, but about dropwatch itself: `total` is how often that happened. */
  readonly of?: "health";
  readonly startsAt: string;
  readonly endsAt: string | null;
  /** The identity of the alert, as Alertmanager computes it from the labels. */
  readonly fingerprint: string;
  /** False where the numbers are "at least". */
  readonly exact: boolean;
  /** How many drops of the window are known to be missing from the numbers. */
  readonly lost: number;
  readonly evidence: Evidence;
}

/** What a sink gets. */
export interface AlertMessage {
  readonly type: "alert.firing" | "alert.resolved";
  readonly timestamp: string;
  readonly data: AlertData;
}

const prime = 0x100000001b3n;
const offset = 0xcbf29ce484222325n;

/**
 * The identity of a set of labels: FNV-1a of 64 bits over `name 0xFF value 0xFF …` in the order of
 * the names, as 16 hex digits. The same as Prometheus's and Alertmanager's (common/model).
 */
export function fingerprint(labels: Readonly<Record<string, string>>): string {
  const encoder = new TextEncoder();
  let hash = offset;
  const add = (byte: number): void => {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * prime);
  };
  for (const name of Object.keys(labels).sort()) {
    encoder.encode(name).forEach(add);
    add(0xff);
    encoder.encode(labels[name]!).forEach(add);
    add(0xff);
  }
  return hash.toString(16).padStart(16, "0");
}

/** A text for an alert whose rule has none, or whose own failed. */
export function plainSummary(alert: string, labels: Readonly<Record<string, string>>): string {
  const shown = Object.entries(labels).filter(([name]) =>
    name !== "alertname" && name !== "severity"
  );
  return `${alert}${shown.length === 0 ? "" : ": "}${
    shown.map(([name, value]) => `${name}=${quote(value)}`).join(" ")
  }`;
}

// What people are told: the newest state of a group of alerts, and why they are told now.
import type { AlertData } from "./alert.ts";

export type Labels = Readonly<Record<string, string>>;

/**
 * Why a notification is sent, in Alertmanager's words; `alert is flapping` and `alert is steady` are
 * ours.
 */
export type NotificationReason =
  | "first notification"
  | "new alerts in group"
  | "all alerts resolved"
  | "new resolved alerts"
  | "repeat interval elapsed"
  | "alert is flapping"
  | "alert is steady"
  | "test";

/** The rate of an alert's drops over time, for a picture: those of its reasons, on the whole machine. */
export interface Rates {
  /** Milliseconds since 1970 at which the first value begins. */
  readonly from: number;
  /** Milliseconds that each value is about. */
  readonly step: number;
  /** Drops a second. */
  readonly values: readonly number[];
  /** Whose rate it is: `SOCKET_FILTER, SOCKET_RCVBUFF`. */
  readonly of: string;
}

/** What a sink for people gets. Times are ISO 8601 in UTC. */
export interface Notification {
  /** The name of the sink. */
  readonly receiver: string;
  /** `firing` as long as one of the alerts fires. */
  readonly status: "firing" | "resolved";
  readonly reason: NotificationReason;
  /** When that came about: the last of what is new, or the moment of a reminder. */
  readonly timestamp: string;
  /** Alertmanager's: `{}/{severity="critical"}:{alertname="X"}`. */
  readonly groupKey: string;
  /** What `groupBy` asks for. */
  readonly groupLabels: Labels;
  /** What all alerts of the group have in common. */
  readonly commonLabels: Labels;
  readonly commonAnnotations: Labels;
  /** Those that fire before those that are over, the worst and then the oldest first. */
  readonly alerts: readonly AlertData[];
  /** How many alerts of the group fire, and how many are over, those that `alerts` leaves out too. */
  readonly firing: number;
  readonly resolved: number;
  /** How many `alerts` leaves out. */
  readonly truncatedAlerts: number;
  /** Where people can look: the dashboard, where there is one. */
  readonly externalURL: string;
  readonly rates?: Rates | undefined;
}

/** How many alerts a notification holds at most. */
export const mostAlerts = 50;
/** How many of them with what they are made of: it is by far the largest part, and nobody reads it of more. */
const mostWithEvidence = 10;

const order = { critical: 0, warning: 1, info: 2 } as const;

/** Those that fire first, the worst first, the oldest first. */
export function worstFirst(a: AlertData, b: AlertData): number {
  return Number(a.status === "resolved") - Number(b.status === "resolved") ||
    order[a.severity] - order[b.severity] ||
    (a.startsAt < b.startsAt ? -1 : a.startsAt > b.startsAt ? 1 : 0) ||
    (a.fingerprint < b.fingerprint ? -1 : 1);
}

/** What all of some sets of labels have in common. */
export function inCommon(sets: readonly Labels[]): Record<string, string> {
  const [first = {}, ...rest] = sets;
  return Object.fromEntries(
    Object.entries(first).filter(([name, value]) =>
      rest.every((other) => Object.hasOwn(other, name) && other[name] === value)
    ),
  );
}

/** Makes a notification of the alerts of a group; `firing` and `resolved` are of all of them. */
export function makeNotification(
  about:
    & Pick<
      Notification,
      "receiver" | "reason" | "timestamp" | "groupKey" | "groupLabels" | "externalURL"
    >
    & { readonly rates?: Rates | undefined },
  alerts: readonly AlertData[],
): Notification {
  const sorted = [...alerts].sort(worstFirst);
  const firing = sorted.filter(({ status }) => status === "firing").length;
  const { rates, ...rest } = about;
  return {
    ...rest,
    status: firing > 0 ? "firing" : "resolved",
    commonLabels: inCommon(sorted.map(({ labels }) => labels)),
    commonAnnotations: inCommon(sorted.map(({ annotations }) => annotations)),
    alerts: sorted.slice(0, mostAlerts)
      .map((alert, i) => i < mostWithEvidence ? alert : { ...alert, evidence: {} }),
    firing,
    resolved: sorted.length - firing,
    truncatedAlerts: Math.max(0, sorted.length - mostAlerts),
    ...(rates === undefined ? {} : { rates }),
  };
}

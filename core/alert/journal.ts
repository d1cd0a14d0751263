// What became of an alert, and why: fired, grouped, silenced, sent, answered. It is kept beside the
// alerts, so that whoever was, or wasn't, told can look it up.

/** What can become of an alert, or of a message that tells of it. */
export type EventKind =
  | "fired"
  | "resolved"
  | "grouped"
  | "inhibited"
  | "silenced"
  | "muted"
  | "told again"
  | "flapping"
  | "steady"
  | "queued"
  | "replaced"
  | "failed"
  | "delivered"
  | "dead"
  | "dropped";

export interface AlertEvent {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly kind: EventKind;
  /** Of the alert that it is about; empty where it is about a message. */
  readonly fingerprint: string;
  /** The id of the message that it is about; empty where there is none. */
  readonly message: string;
  readonly sink: string;
  /** What and why, in words. */
  readonly text: string;
}

/** How many events wait at most for being kept: while the state can't be saved the oldest are let go. */
const mostWaiting = 50_000;

export interface Journal {
  note(event: Partial<AlertEvent> & Pick<AlertEvent, "at" | "kind">): void;
  /** What is still to be kept. */
  readonly waiting: readonly AlertEvent[];
  /** The first so many of what waits are kept. */
  kept(count: number): void;
}

export function makeJournal(): Journal {
  let waiting: AlertEvent[] = [];
  return {
    note(event) {
      waiting.push({ fingerprint: "", message: "", sink: "", text: "", ...event });
      if (waiting.length > mostWaiting) waiting = waiting.slice(-mostWaiting / 2);
    },
    get waiting() {
      return waiting;
    },
    kept: (count) => void (waiting = waiting.slice(count)),
  };
}

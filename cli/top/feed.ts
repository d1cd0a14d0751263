// Where the screen gets what it shows from: a watch in this process, or one that runs elsewhere.
import type {
  Drops,
  HistoryLabel,
  Stacks,
  View,
  ViewAlert,
  ViewEvent,
  ViewReason,
  ViewStatus,
} from "../../core/view/view.ts";

/** Only drops that have one of these labels, for each field. */
export type Where = Readonly<Record<string, readonly HistoryLabel[]>>;

/**
 * What comes by itself; `cut`: nothing comes any more, and why; `joined`: it does again; `missed`: what
 * came meanwhile is gone, and only asking for all of it again tells what it was.
 */
export type FeedEvent =
  | ViewEvent
  | { readonly event: "cut"; readonly data: { readonly why: string } }
  | { readonly event: "joined" }
  | { readonly event: "missed" };

/** The little that the screen asks. What goes wrong is thrown as an error with a code. */
export interface Feed {
  status(): Promise<ViewStatus>;
  /** The drops of the last minute by all fields and second; undefined where none was counted before. */
  past(): Promise<Drops | undefined>;
  /** The stacks of the last minute. */
  stacks(where: Where): Promise<Stacks>;
  alerts(): Promise<readonly ViewAlert[]>;
  /** Undefined where the kernel has no such reason. */
  reason(name: string): Promise<ViewReason | undefined>;
  /** Calls with what happens from now on; returns what ends that. */
  subscribe(listener: (event: FeedEvent) => void): () => void;
}

/** A watch in this process. `now`: milliseconds since 1970. */
export function feedOf(view: View, now: () => number = Date.now): Feed {
  return {
    // Functions that throw become promises that are rejected, as from afar.
    status: () => Promise.try(() => view.status()),
    past: () => Promise.resolve(undefined),
    stacks: (where) =>
      Promise.try(() => {
        const to = now();
        return view.stacks({ where, from: to - 60_000, to });
      }),
    alerts: () => Promise.try(() => view.alerts()),
    reason: (name) => Promise.try(() => view.reasons().find(({ reason }) => reason === name)),
    subscribe: (listener) => view.subscribe(listener),
  };
}

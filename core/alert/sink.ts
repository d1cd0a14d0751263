// Where alerts go.
import type { AlertMessage } from "./alert.ts";

/** What a sink is told besides the alert. */
export interface SendContext {
  /** The same over every attempt to deliver this alert: receivers use it to drop duplicates. */
  readonly id: string;
  /** Aborted when the attempt has taken too long, or when dropwatch ends. */
  readonly signal: AbortSignal;
}

/**
 * A place that alerts are sent to. `send` settles when it was delivered; it throws to have it tried
 * again later, or an error with `final: true` where that would be useless.
 */
export interface Sink {
  readonly name: string;
  send(alert: AlertMessage, context: SendContext): Promise<void>;
  /** Called once at the end, after the last alert. */
  close?(): Promise<void>;
}

/** How an attempt failed, for the queue that decides what to do next. */
export class DeliveryError extends Error {
  override readonly name = "DeliveryError";
  /** Trying again would be useless. */
  readonly final: boolean;
  /** Milliseconds that the receiver asked us to wait. */
  readonly retryAfter: number | undefined;

  constructor(message: string, options: { final?: boolean; retryAfter?: number } = {}) {
    super(message);
    this.final = options.final ?? false;
    this.retryAfter = options.retryAfter;
  }
}

/**
 * Makes a sink public: give it to a config's `sinks`.
 *
 * @example
 * ```ts
 * import { defineConfig, defineSink } from "dropwatch";
 *
 * export default defineConfig({
 *   sinks: [defineSink({
 *     name: "mine",
 *     send: async (alert) => console.error(alert.data.alert),
 *   })],
 * });
 * ```
 */
export function defineSink(sink: Sink): Sink {
  return sink;
}

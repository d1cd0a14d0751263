// Where alerts go, and how an attempt to get them there can end.
import { showDuration } from "../rule/duration.ts";
import type { AlertMessage } from "./alert.ts";
import type { Notification } from "./notification.ts";

/** What a sink is told besides what it is to send. */
export interface SendContext {
  /** The same over every attempt at this message, and over restarts: receivers drop duplicates by it. */
  readonly id: string;
  /** Aborted when the attempt has taken too long, or when dropwatch ends. */
  readonly signal: AbortSignal;
  /** What the sink itself asked to be kept for this group when it delivered the message before. */
  readonly memo?: string | undefined;
}

/** What a sink may say of a delivery. */
export interface Delivered {
  /** What the receiver answered, in a few words, for the alert's timeline: `200 ok`. */
  readonly answer?: string | undefined;
  /** Is handed back with the next message of the same group: the id of a message to be updated. */
  readonly memo?: string | undefined;
}

/** How much a receiver takes: a bucket of `burst` messages, refilled at `perSecond`. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

interface AnySink {
  /** Letters, digits, `_` and `-`; routes call it by this name. */
  readonly name: string;
  /** What the receiver takes; without it as much as there is. */
  readonly rate?: Rate | undefined;
  /** Milliseconds that an attempt may take; 20 s without it. */
  readonly timeout?: number | undefined;
  /** Called once at the end, after the last message. */
  close?(): Promise<void>;
}

/**
 * A sink that writes down what happens: it gets every change of every alert, one at a time and in
 * their order. `send` settles when it was delivered; it throws to have it tried again later, and a
 * {@linkcode DeliveryError} to say more.
 */
export interface AlertSink extends AnySink {
  send(alert: AlertMessage, context: SendContext): Promise<Delivered | void>;
}

/** A sink that tells people: it gets the newest state of a group of alerts. */
export interface GroupSink extends AnySink {
  notify(notification: Notification, context: SendContext): Promise<Delivered | void>;
  /** Whether it is told of alerts that are over while others of the group fire; true without it. */
  readonly sendResolved?: boolean | undefined;
}

/**
 * A sink that keeps a picture of all alerts elsewhere, as Alertmanager does: it gets all that fire, and
 * those that were resolved within the last `keepResolved`, at each change and every `every`.
 */
export interface MirrorSink extends AnySink {
  mirror(alerts: readonly AlertMessage[], context: SendContext): Promise<Delivered | void>;
  /** Milliseconds. */
  readonly every: number;
  /** Milliseconds. */
  readonly keepResolved: number;
}

/** A sink that is told again and again that all is well: a dead man's switch. */
export interface HeartbeatSink extends AnySink {
  beat(context: SendContext): Promise<Delivered | void>;
  /** Milliseconds. */
  readonly every: number;
}

/** A sink as a config has it: what there is of it is made when the config is used. */
export interface SinkSpec {
  readonly kind: string;
  readonly options: object;
}

/** A place that alerts are sent to. */
export type Sink = AlertSink | GroupSink | MirrorSink | HeartbeatSink;

/** Milliseconds. */
const longestAsked = 3_600_000;

/** The id of a message: `msg_` and 32 hex digits. */
export function newMessageId(): string {
  return `msg_${crypto.randomUUID().replaceAll("-", "")}`;
}

/** Milliseconds that an attempt of a sink may take. */
export function timeoutOf({ timeout = 20_000 }: Pick<Sink, "timeout">): number {
  return timeout;
}

/** How an attempt failed, for the outbox that decides what to do next. */
export class DeliveryError extends Error {
  override readonly name = "DeliveryError";
  /** Trying again would be useless: the message goes to the dead letters. */
  readonly final: boolean;
  /** The receiver is gone for good: nothing more is sent there. */
  readonly gone: boolean;
  /** Milliseconds that the receiver asked us to wait, an hour at most; undefined where it didn't. */
  readonly retryAfter: number | undefined;

  constructor(
    message: string,
    options: { final?: boolean; gone?: boolean; retryAfter?: number } = {},
  ) {
    super(message);
    this.gone = options.gone ?? false;
    this.final = options.final ?? this.gone;
    // Who reads it from a header may have got what is no number.
    const asked = Number(options.retryAfter);
    this.retryAfter = Number.isNaN(asked) ? undefined : Math.min(longestAsked, Math.max(0, asked));
  }
}

/** Waits for a sink that may not look at the signal itself; rejects with its reason when it is aborted. */
export async function untilAborted<T>(sending: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  try {
    return await Promise.race([sending, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** What a sink said in a few words; a sink of the config may say a number, or anything. */
export function inWords(said: unknown): string | undefined {
  return typeof said === "string" ? said : typeof said === "number" ? String(said) : undefined;
}

/** Milliseconds that a sink has to close what it opened. */
const closePatience = 5000;

/**
 * Closes a sink. It rejects where that fails, or isn't done in time: whoever ends, ends all the same.
 *
 * @throws Whatever the sink throws.
 */
export async function closeSink(
  sink: Pick<Sink, "close">,
  patience: number = closePatience,
): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`it isn't done within ${showDuration(patience)}`)),
    patience,
  );
  try {
    await Promise.race([sink.close?.(), late.promise]);
  } finally {
    clearTimeout(timer);
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
export function defineSink<S extends Sink>(sink: S): S {
  return sink;
}

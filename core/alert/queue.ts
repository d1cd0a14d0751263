// The queue in front of a sink: one alert at a time, in their order, tried again when it fails. A
// slow sink delays nobody else. It lives in memory, is bounded, and says what it had to give up.
import { setTimeout } from "node:timers/promises";
import { reasonOf } from "../error.ts";
import type { AlertMessage } from "./alert.ts";
import { makeNotification } from "./notification.ts";
import { DeliveryError } from "./sink.ts";
import type { Sink } from "./sink.ts";

export interface QueueOptions {
  readonly log: (message: string) => void;
  /** 0 to 1, for the jitter of retries. */
  readonly random?: () => number;
  /** How many alerts may wait. */
  readonly limit?: number;
  /** Milliseconds that an attempt may take. */
  readonly timeout?: number;
  /** Waits; rejects when the signal is aborted. */
  readonly sleep?: (milliseconds: number, signal: AbortSignal) => Promise<unknown>;
}

export interface Queue {
  readonly sink: Sink;
  push(alert: AlertMessage): void;
  /** Delivers what waits, for at most so many milliseconds; returns how many alerts remain. */
  drain(patience: number): Promise<number>;
  readonly delivered: number;
  readonly dropped: number;
}

const firstRetry = 1000;
const longestRetry = 300_000;
const maxAttempts = 10;

/** Waits for a sink that may not look at the signal itself. */
async function settled(sending: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  try {
    await Promise.race([sending, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Puts a queue in front of a sink. */
export function makeQueue(sink: Sink, options: QueueOptions): Queue {
  const { log, random = Math.random, limit = 10_000, timeout = 20_000 } = options;
  const sleep = options.sleep ?? ((pause, signal) => setTimeout(pause, undefined, { signal }));
  const waiting: { alert: AlertMessage; id: string }[] = [];
  const closing = new AbortController();
  let delivered = 0;
  let dropped = 0;
  let running: Promise<void> | undefined;

  const work = async (): Promise<void> => {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      if (!await deliver(next)) return;
      waiting.shift();
    }
  };

  const start = (): void => {
    // Not at once: `running` must be set before the first alert is sent.
    running ??= Promise.resolve().then(work).finally(() => {
      running = undefined;
      // What came while the last one was being finished.
      if (waiting.length > 0 && !closing.signal.aborted) start();
    });
  };

  /** False where it was given up because the program ends. */
  const deliver = async (item: { alert: AlertMessage; id: string }): Promise<boolean> => {
    for (let attempt = 1; !closing.signal.aborted; attempt++) {
      try {
        const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(timeout)]);
        const context = { id: item.id, signal };
        const about = {
          receiver: sink.name,
          reason: "first notification" as const,
          timestamp: item.alert.timestamp,
          groupKey: item.alert.data.fingerprint,
          groupLabels: {},
          externalURL: "",
        };
        const sending = "send" in sink
          ? sink.send(item.alert, context)
          : "notify" in sink
          ? sink.notify(makeNotification(about, [item.alert.data]), context)
          : Promise.resolve();
        await settled(sending, signal);
        delivered++;
        return true;
      } catch (thrown) {
        if (closing.signal.aborted) return false;
        const final = thrown instanceof DeliveryError && thrown.final;
        const name = `${item.alert.data.alert} (${item.alert.data.status})`;
        if (final || attempt === maxAttempts) {
          dropped++;
          log(`${sink.name}: ${name} was not delivered: ${reasonOf(thrown)}`);
          return true;
        }
        // A receiver may ask for more time, not for less: its clock may be wrong, or its zero a habit.
        const asked = thrown instanceof DeliveryError ? thrown.retryAfter ?? 0 : 0;
        const most = Math.min(longestRetry, firstRetry * 2 ** attempt);
        const usual = Math.max(firstRetry, random() * most);
        const pause = Math.max(asked, usual);
        log(
          `${sink.name}: ${name}: ${reasonOf(thrown)}; next attempt in ${
            (pause / 1000).toFixed(1)
          } s`,
        );
        await sleep(pause, closing.signal).catch(() => {});
      }
    }
    return false;
  };

  return {
    sink,
    push(alert) {
      if (waiting.length >= limit) {
        // What is under way stays at the head; the oldest that waits is the least true.
        const [old] = waiting.splice(1, 1);
        dropped++;
        log(`${sink.name}: the queue is full; ${old?.alert.data.alert} was not delivered`);
      }
      waiting.push({ alert, id: `msg_${crypto.randomUUID().replaceAll("-", "")}` });
      start();
    },
    async drain(patience) {
      if (running !== undefined) {
        const timer = new AbortController();
        const enough = sleep(patience, timer.signal).catch(() => {});
        await Promise.race([running, enough]);
        timer.abort();
      }
      closing.abort();
      await running;
      try {
        await sink.close?.();
      } catch (thrown) {
        log(`${sink.name}: cannot be closed: ${reasonOf(thrown)}`);
      }
      return waiting.length;
    },
    get delivered() {
      return delivered;
    },
    get dropped() {
      return dropped;
    },
  };
}

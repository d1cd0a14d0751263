// A sign of life, again and again, as long as all is well: whoever waits for it learns that dropwatch can't
// tell of anything any more.
import { reasonOf } from "../error.ts";
import { showDuration } from "../rule/duration.ts";
import type { Clock } from "./clock.ts";
import { DeliveryError, newMessageId, timeoutOf, untilAborted } from "./sink.ts";
import type { HeartbeatSink } from "./sink.ts";

export interface HeartbeatOptions {
  readonly sinks: readonly HeartbeatSink[];
  readonly clock: Clock;
  readonly log: (message: string) => void;
  /** Why all isn't well; undefined where it is. */
  readonly trouble: () => string | undefined;
}

export interface Heartbeats {
  begin(): void;
  end(): Promise<void>;
}

/** Whether a source still ticks: one that hangs tells nobody, and an alert would need a tick. */
export interface Pulse {
  ticked(): void;
  /** Undefined where it does. */
  trouble(): string | undefined;
}

/** `interval` is that of ticks; `now` a time that nobody sets. Milliseconds. */
export function makePulse(
  interval: number,
  now: () => number = () => performance.now(),
): Pulse {
  let last = now();
  return {
    ticked: () => void (last = now()),
    trouble: () =>
      now() - last > mostMissed * interval + mostSilence ? "the source doesn't tick" : undefined,
  };
}

/** A tick that waits for rules comes late, and so does one of a machine that has much to do. */
const mostMissed = 3;
const mostSilence = 10_000;
const firstRetry = 5000;

export function makeHeartbeats({ sinks, clock, log, trouble }: HeartbeatOptions): Heartbeats {
  const ending = new AbortController();
  const cancels = new Map<HeartbeatSink, () => void>();
  const beating = new Map<HeartbeatSink, Promise<void>>();
  const after = (sink: HeartbeatSink, wait: number): void => {
    if (ending.signal.aborted) return;
    cancels.set(sink, clock.after(wait, () => beating.set(sink, beat(sink))));
  };
  const said = new Map<HeartbeatSink, string>();
  /** Says a thing once, and its end. */
  const say = (sink: HeartbeatSink, what: string): void => {
    const before = said.get(sink) ?? "";
    if (before === what) return;
    said.set(sink, what);
    if (what !== "") log(`${sink.name}: no sign of life: ${what}`);
    else log(`${sink.name}: gives a sign of life every ${showDuration(sink.every)} again`);
  };
  const looked = new Set<HeartbeatSink>();
  const beat = async (sink: HeartbeatSink): Promise<void> => {
    const why = trouble();
    // At the first look nothing is counted yet on most machines: that is a start, and no trouble.
    const starts = !looked.has(sink);
    looked.add(sink);
    if (why !== undefined) {
      if (!starts) say(sink, why);
      return after(sink, Math.min(sink.every, firstRetry));
    }
    const attempt = new AbortController();
    const timeout = timeoutOf(sink);
    const cancel = clock.after(
      timeout,
      () => attempt.abort(new DeliveryError(`no answer within ${showDuration(timeout)}`)),
    );
    const signal = AbortSignal.any([ending.signal, attempt.signal]);
    let wait = sink.every;
    try {
      await untilAborted(sink.beat({ id: newMessageId(), signal }), signal);
      say(sink, "");
    } catch (thrown) {
      if (!ending.signal.aborted) say(sink, reasonOf(thrown));
      // What refuses it for good is asked no sooner than usual, what asks for time gets it.
      const { final = false, retryAfter = 0 } = thrown instanceof DeliveryError ? thrown : {};
      wait = Math.max(retryAfter, final ? sink.every : Math.min(sink.every, firstRetry));
    }
    cancel();
    after(sink, wait);
  };
  return {
    begin() {
      for (const sink of sinks) {
        said.set(sink, "");
        after(sink, 0);
      }
    },
    async end() {
      ending.abort(new DeliveryError("dropwatch ends"));
      for (const cancel of cancels.values()) cancel();
      await Promise.all(beating.values());
    },
  };
}

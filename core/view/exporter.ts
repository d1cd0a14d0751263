// Metrics that are pushed: what an exporter is, and when it is called.
import type { Clock } from "../alert/clock.ts";
import { closeSink, DeliveryError, untilAborted } from "../alert/sink.ts";
import { reasonOf } from "../error.ts";
import { showDuration } from "../rule/duration.ts";
import { metricFamilies } from "./metrics.ts";
import type { MetricFamily, MetricsView } from "./metrics.ts";

/** All metrics at a moment. Times are milliseconds since 1970. */
export interface MetricsReport {
  readonly at: number;
  /** Since when counters count. */
  readonly startedAt: number;
  /** Another one after each start of dropwatch. */
  readonly instance: string;
  readonly host: string;
  readonly families: readonly MetricFamily[];
}

/** A place that metrics are pushed to. */
export interface MetricsExporter {
  /** By what the log calls it. */
  readonly name: string;
  /** Milliseconds between two pushes. */
  readonly interval: number;
  /**
   * Pushes once, and settles when the metrics have arrived. It is never called while it is at work. It throws
   * to have newer ones pushed soon, and a {@linkcode DeliveryError} to say more: not before the next time
   * (`final`), or after how long (`retryAfter`).
   */
  push(report: MetricsReport, signal: AbortSignal): Promise<void>;
  /** Called once at the end, after the last push. */
  close?(): Promise<void>;
}

/** An exporter as a config has it: what there is of it is made when the config is used. */
export interface ExporterSpec {
  readonly exporter: string;
  readonly options: object;
}

export interface ExportOptions {
  readonly exporters: readonly MetricsExporter[];
  /** The view as it is then: a run that begins anew has another one. */
  readonly view: () => MetricsView;
  readonly clock: Clock;
  readonly log: (message: string) => void;
}

export interface Exports {
  /** Pushes once more, so that the last numbers arrive too, and closes the exporters. */
  stop(): Promise<void>;
}

/** Milliseconds that a push may take, where its interval isn't shorter. */
const longestPush = 10_000;
/** How soon newer metrics are pushed after a failure; twice as late after each further one. */
const firstRetry = 1000;
/** Milliseconds that all of the end may take, but for closing. */
const patience = 5000;

/** Calls exporters, each at its interval, until it is stopped. A failure is said once, and its end. */
export function startExporters({ exporters, view, clock, log }: ExportOptions): Exports {
  const running = exporters.map((exporter) => runExporter(exporter, view, clock, log));
  return {
    async stop() {
      await Promise.all(running.map((one) => one.stop()));
    },
  };
}

function runExporter(
  exporter: MetricsExporter,
  view: () => MetricsView,
  clock: Clock,
  log: (message: string) => void,
): Exports {
  const { name, interval } = exporter;
  const ending = new AbortController();
  let stopping = false;
  let cancelNext = (): void => {};
  /** The work of the timer; it never rejects. */
  let pushing: Promise<void> = Promise.resolve();
  /** Whether the exporter is at work, also where nobody waits for it any more. */
  let busy = false;
  let failures = 0;

  const call = async (signal: AbortSignal): Promise<void> => {
    if (busy) throw new DeliveryError("the push before isn't done");
    busy = true;
    try {
      await exporter.push(reportOf(view(), clock.now()), signal);
    } finally {
      busy = false;
    }
  };
  /** Pushes once, within so many milliseconds, and says what is new about how that goes. */
  const attempt = async (timeout: number): Promise<void> => {
    const late = new AbortController();
    const cancel = clock.after(
      timeout,
      () => late.abort(new DeliveryError(`no answer within ${showDuration(timeout)}`)),
    );
    const signal = AbortSignal.any([ending.signal, late.signal]);
    try {
      await untilAborted(call(signal), signal);
      if (failures > 0) log(`${name}: metrics are delivered again`);
      failures = 0;
    } catch (thrown) {
      if (failures === 0) log(`${name}: metrics aren't delivered: ${reasonOf(thrown)}`);
      failures++;
      throw thrown;
    } finally {
      cancel();
    }
  };
  const push = async (): Promise<void> => {
    const began = clock.now();
    let wait = 0;
    try {
      await attempt(Math.min(interval, longestPush));
      // A clock that was set meanwhile must not make it wait for longer than usual.
      wait = Math.min(interval, Math.max(0, began + interval - clock.now()));
    } catch (thrown) {
      const { final = false, retryAfter = 0 } = thrown instanceof DeliveryError ? thrown : {};
      const soon = final ? interval : Math.min(interval, firstRetry * 2 ** (failures - 1));
      wait = Math.max(soon, retryAfter);
    }
    if (!stopping) after(wait);
  };
  const after = (wait: number): void => {
    cancelNext = clock.after(wait, () => void (pushing = push()));
  };
  after(interval);
  return {
    async stop() {
      if (stopping) return;
      stopping = true;
      cancelNext();
      const cancel = clock.after(patience, () => ending.abort(new DeliveryError("dropwatch ends")));
      await pushing;
      // How that went is said there.
      if (!ending.signal.aborted) await attempt(patience).catch(() => {});
      cancel();
      try {
        await closeSink(exporter);
      } catch (thrown) {
        log(`${name}: it can't be closed: ${reasonOf(thrown)}`);
      }
    },
  };
}

function reportOf(view: MetricsView, at: number): MetricsReport {
  const { startedAt, instance, host } = view.status();
  return { at, startedAt: Date.parse(startedAt), instance, host, families: metricFamilies(view) };
}

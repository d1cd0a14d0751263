// When metrics are pushed, and what is said where they don't arrive: on a time of the test's own.
import { beforeEach, describe, expect, test } from "bun:test";
import { viewOf } from "../../test/view.ts";
import { DeliveryError } from "../alert/sink.ts";
import { virtualClock } from "../testing/virtual_clock.ts";
import type { VirtualClock } from "../testing/virtual_clock.ts";
import { startExporters } from "./exporter.ts";
import type { Exports, MetricsExporter, MetricsReport } from "./exporter.ts";
import type { MetricsView } from "./metrics.ts";

const start = Date.parse("2026-01-02T03:04:05.000Z");
let clock: VirtualClock;
let said: string[];
/** Seconds since the start at which something was pushed. */
let pushed: number[];
beforeEach(() => {
  clock = virtualClock(start);
  said = [];
  pushed = [];
});

/** An exporter that fails with what `answer` throws. */
function exporterOf(
  answer: (report: MetricsReport, signal: AbortSignal) => Promise<void> | void = () => {},
  parts: Partial<MetricsExporter> = {},
): MetricsExporter {
  return {
    name: "otlp",
    interval: 15_000,
    async push(report, signal) {
      pushed.push((report.at - start) / 1000);
      await answer(report, signal);
    },
    ...parts,
  };
}

const run = (exporter: MetricsExporter, view: MetricsView = viewOf()): Exports =>
  startExporters({
    exporters: [exporter],
    view: () => view,
    clock,
    log: (line) => said.push(line),
  });

/** Ends, with the time that this takes. */
async function stop(exports: Exports): Promise<void> {
  let done = false;
  const ended = exports.stop().then(() => void (done = true));
  while (!done) await clock.advance(1000);
  await ended;
}

const failing = (times: number, error: unknown) => (): void => {
  if (pushed.length <= times) throw error;
};

describe("metrics are pushed", () => {
  test("at each interval, all of them, with the time and whose they are", async () => {
    const reports: MetricsReport[] = [];
    const exports = run(exporterOf((report) => void reports.push(report)));
    await clock.advance(45_000);
    expect(pushed).toEqual([15, 30, 45]);
    expect(reports[0]).toMatchObject({
      at: start + 15_000,
      startedAt: Date.parse("2026-01-02T03:00:00.000Z"),
      instance: "0123456789abcdef",
      host: "web-3",
    });
    expect(reports[0]!.families.map(({ name }) => name)).toContain("dropwatch_drops_seen");
    expect(said).toEqual([]);
    await stop(exports);
  });

  test("at the same pace however long a push takes, and never two at once", async () => {
    let atOnce = 0;
    let most = 0;
    const exports = run(exporterOf(async () => {
      most = Math.max(most, ++atOnce);
      await new Promise<void>((resolve) => clock.after(4000, resolve));
      atOnce--;
    }));
    await clock.advance(64_000);
    expect([pushed, most]).toEqual([[15, 30, 45, 60], 1]);
    await stop(exports);
  });

  test("once more at the end, and then the exporter is closed", async () => {
    const done: string[] = [];
    const exports = run(exporterOf(() => void done.push("push"), {
      close: () => Promise.resolve(void done.push("close")),
    }));
    await clock.advance(16_000);
    await stop(exports);
    await exports.stop();
    await clock.advance(60_000);
    expect(pushed).toEqual([15, 16]);
    expect(done).toEqual(["push", "push", "close"]);
  });

  test("by each exporter at its own interval, whatever others do", async () => {
    const other: number[] = [];
    const exports = startExporters({
      exporters: [
        exporterOf(() => Promise.reject(new DeliveryError("gone", { final: true }))),
        {
          name: "b",
          interval: 20_000,
          push: ({ at }) => Promise.resolve(void other.push((at - start) / 1000)),
        },
      ],
      view: () => viewOf(),
      clock,
      log: (line) => said.push(line),
    });
    await clock.advance(60_000);
    expect([pushed, other]).toEqual([[15, 30, 45, 60], [20, 40, 60]]);
    await stop(exports);
  });

  test("also after the clock was set back", async () => {
    const exports = run(exporterOf(async () => {
      clock.set(start - 3_600_000);
      await Promise.resolve();
    }));
    await clock.advance(15_000);
    await clock.advance(30_000);
    expect(pushed).toHaveLength(3);
    await stop(exports);
  });
});

describe("a push that fails", () => {
  test("is followed by another one soon, and ever later, with newer numbers", async () => {
    const exports = run(exporterOf(failing(6, new DeliveryError("answered 503"))));
    await clock.advance(75_000);
    expect(pushed).toEqual([15, 16, 18, 22, 30, 45, 60, 75]);
    await stop(exports);
  });

  test("waits for as long as the receiver asks", async () => {
    const exports = run(
      exporterOf(failing(1, new DeliveryError("answered 429", { retryAfter: 40_000 }))),
    );
    await clock.advance(70_000);
    expect(pushed).toEqual([15, 55, 70]);
    await stop(exports);
  });

  test("is not tried again before its time where that is useless", async () => {
    const exports = run(exporterOf(failing(2, new DeliveryError("answered 400", { final: true }))));
    await clock.advance(45_000);
    expect(pushed).toEqual([15, 30, 45]);
    await stop(exports);
  });

  test("is told once, and so is that it works again", async () => {
    let n = 0;
    const exports = run(exporterOf(() => {
      n++;
      if (n < 5 || n === 7) throw new DeliveryError(`answered 503: no. ${n}\x1b[2J`);
    }));
    await clock.advance(120_000);
    expect(said).toEqual([
      "otlp: metrics aren't delivered: answered 503: no. 1\\x1b[2J",
      "otlp: metrics are delivered again",
      "otlp: metrics aren't delivered: answered 503: no. 7\\x1b[2J",
      "otlp: metrics are delivered again",
    ]);
    await stop(exports);
  });

  test("because there is no answer ends after ten seconds, or after the interval", async () => {
    const hangs = (_: MetricsReport, signal: AbortSignal): Promise<void> =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const exports = run(exporterOf(hangs));
    await clock.advance(25_000);
    expect(said).toEqual(["otlp: metrics aren't delivered: no answer within 10s"]);
    await clock.advance(1000);
    expect(pushed).toEqual([15, 26]);
    await stop(exports);
    const quick = run(exporterOf(hangs, { name: "quick", interval: 2000 }));
    await clock.advance(4000);
    expect(said.at(-1)).toBe("quick: metrics aren't delivered: no answer within 2s");
    await stop(quick);
  });

  test("and never ends is the only one, until it does", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const exports = run(exporterOf(() => promise));
    await clock.advance(120_000);
    expect(pushed).toEqual([15]);
    resolve();
    await clock.advance(30_000);
    expect(pushed.length).toBeGreaterThan(1);
    expect(said.at(-1)).toBe("otlp: metrics are delivered again");
    await stop(exports);
  });

  test("because the numbers can't be read is told like any other", async () => {
    let broken = true;
    const view: MetricsView = {
      ...viewOf(),
      totals: () => {
        if (broken) throw new Error("no totals");
        return [];
      },
    };
    const exports = run(exporterOf(), view);
    await clock.advance(15_000);
    broken = false;
    await clock.advance(1000);
    expect(said).toEqual([
      "otlp: metrics aren't delivered: no totals",
      "otlp: metrics are delivered again",
    ]);
    await stop(exports);
  });

  test("at the end holds nobody up for longer than five seconds", async () => {
    const exports = run(exporterOf(() => new Promise<void>(() => {})));
    await clock.advance(15_000);
    const before = clock.now();
    await stop(exports);
    expect(clock.now() - before).toBeLessThanOrEqual(6000);
    expect(said).toEqual(["otlp: metrics aren't delivered: dropwatch ends"]);
  });

  test("to close is told", async () => {
    const exports = run(
      exporterOf(undefined, { close: () => Promise.reject(new Error("busy\n")) }),
    );
    await stop(exports);
    expect(said).toEqual(["otlp: it can't be closed: busy\\x0a"]);
  });
});

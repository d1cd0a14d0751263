// Metrics in a collector: a strict one takes every request, and the numbers arrive as they are.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { DeliveryError } from "../../core/alert/sink.ts";
import type { MetricsExporter, MetricsReport } from "../../core/view/exporter.ts";
import { startExporters } from "../../core/view/exporter.ts";
import { metricFamilies, metrics } from "../../core/view/metrics.ts";
import type { MetricsView } from "../../core/view/metrics.ts";
import { machineClock } from "../../core/alert/clock.ts";
import type { ViewRule } from "../../core/view/view.ts";
import { version } from "../../core/version.ts";
import { hostileNames } from "../../test/alert.ts";
import { Receiver } from "../../test/receiver.ts";
import { closed, ruleText, startRun, until } from "../../test/run.ts";
import { pointsOf, standForCollector } from "../../test/services/otlp.ts";
import type { MetricPoint } from "../../test/services/otlp.ts";
import { viewOf } from "../../test/view.ts";
import { sampleName } from "./openmetrics.ts";
import { otlpMetrics, otlpName } from "./otlp.ts";
import { makeExporter } from "./registry.ts";
import type { ExporterSetting } from "./registry.ts";

let receiver: Receiver;
let refused: readonly string[] = [];
beforeEach(async () => {
  receiver = new Receiver();
  await receiver.open();
  refused = standForCollector(receiver, pointsOf);
});
afterEach(async () => {
  await receiver.close();
  expect(refused).toEqual([]);
});

type Options = Partial<Parameters<typeof otlpMetrics>[0]>;

const exporterTo = (options: Options = {}, setting: Partial<ExporterSetting> = {}) =>
  makeExporter(otlpMetrics({ url: receiver.url("/"), ...options }), { env: {}, ...setting });

const rule: Omit<ViewRule, "alert" | "total"> = {
  file: "a.ts",
  line: 1,
  severity: "warning",
  by: [],
  state: "inactive",
  pending: 0,
  firing: 0,
  shadow: false,
  plan: [],
  why: "",
};

const signal = new AbortController().signal;
const at = Date.parse("2026-01-02T03:04:05.678Z");
const startedAt = Date.parse("2026-01-02T03:00:00.000Z");

const reportOf = (view: MetricsView = viewOf()): MetricsReport => ({
  at,
  startedAt,
  instance: "0123456789abcdef",
  host: "web-3",
  families: metricFamilies(view),
});

/** The points that arrive of a view. */
async function sent(view?: MetricsView, exporter = exporterTo()): Promise<MetricPoint[]> {
  await exporter.push(reportOf(view), signal);
  return pointsOf(receiver.received.at(-1)!);
}

const failure = async (exporter: MetricsExporter): Promise<DeliveryError> =>
  await exporter.push(reportOf(), signal).then(
    () => Promise.reject(new Error("it was delivered")),
    (thrown) => thrown as DeliveryError,
  );

describe("a request", () => {
  test("tells who counts, and all that is counted", async () => {
    const view = viewOf({
      totals: [{ reason: "NO_SOCKET", dev: "eth0", class: "normal", drops: 12 }],
    });
    const points = await sent(view);
    for (const { resource, scope } of points) {
      expect(resource).toEqual({
        "service.name": "dropwatch",
        "service.version": version,
        "service.instance.id": "0123456789abcdef",
        "host.name": "web-3",
      });
      expect(scope).toBe("dropwatch");
    }
    const drops = points.filter(({ name }) => name === "dropwatch.drops");
    expect(drops).toEqual([{
      resource: points[0]!.resource,
      scope: "dropwatch",
      name: "dropwatch.drops",
      description: metrics.find(({ name }) => name === "dropwatch_drops")!.help,
      unit: "",
      kind: "sum",
      attributes: { reason: "NO_SOCKET", dev: "eth0", class: "normal" },
      start: BigInt(startedAt) * 1_000_000n,
      at: BigInt(at) * 1_000_000n,
      as: "int",
      value: 12,
    }]);
    const count = metricFamilies(view).reduce((sum, { rows }) => sum + rows.length, 0);
    expect(points).toHaveLength(count);
  });

  test("has whole numbers whole, seconds always as doubles, and no start for a gauge", async () => {
    const points = await sent(viewOf({
      status: { sums: { seconds: 3, seen: 2 ** 53 - 1, counted: 0, other: 0, lost: 0 } },
    }));
    const of = (name: string): unknown[] => {
      const { as, value, kind, unit, start } = points.find((point) => point.name === name)!;
      return [as, value, kind, unit, start !== undefined];
    };
    expect(of("dropwatch.drops_seen")).toEqual(["int", 2 ** 53 - 1, "sum", "", true]);
    expect(of("dropwatch.counted")).toEqual(["double", 3, "sum", "s", true]);
    expect(of("dropwatch.process_resident_memory"))
      .toEqual(["int", 100_000_000, "gauge", "By", false]);
    expect(of("dropwatch.tick_interval")).toEqual(["double", 1, "gauge", "s", false]);
  });

  test("has a new start for a sum that began again, and for that one alone", async () => {
    const exporter = exporterTo();
    const starts: unknown[] = [];
    for (const [i, [a, b]] of [[10, 10], [3, 11], [4, 12]].entries()) {
      const rules = [["A", a!], ["B", b!]].map(([alert, total]) => ({ ...rule, alert, total }));
      const report = { ...reportOf(viewOf({ rules: rules as ViewRule[] })), at: at + i * 15_000 };
      await exporter.push(report, signal);
      starts.push(
        pointsOf(receiver.received.at(-1)!).filter(({ name }) => name === "dropwatch.rule_matched")
          .map(({ start }) => Number(start! / 1_000_000n)),
      );
    }
    expect(starts).toEqual([[startedAt, startedAt], [at, startedAt], [at, startedAt]]);
  });

  test("has names of which Prometheus makes the same again", () => {
    const units: Record<string, string> = { seconds: "_seconds", bytes: "_bytes" };
    for (const metric of metrics) {
      const own = otlpName(metric).replaceAll(/\W/g, "_") + (units[metric.unit] ?? "") +
        (metric.type === "counter" ? "_total" : "");
      expect(own).toBe(sampleName(metric));
    }
    expect(new Set(metrics.map(otlpName)).size).toBe(metrics.length);
  });

  test("holds whatever a stranger chose as text", async () => {
    const names = [...hostileNames, '"},{"', "x".repeat(100_000)];
    const points = await sent(viewOf({
      totals: names.map((dev) => ({ reason: "NO_SOCKET", dev, class: "normal", drops: 1 })),
    }));
    const drops = points.filter(({ name }) => name === "dropwatch.drops");
    expect(drops).toHaveLength(names.length);
    expect(drops.map(({ attributes }) => attributes["dev"])).toContain('"},{"');
  });

  test("goes to /v1/metrics where the URL has no path, with headers, and tells no secret", async () => {
    const exporter = exporterTo({
      headers: { Authorization: { env: "TOKEN" } },
      resource: { "deployment.environment.name": "prod", "service.name": "drops" },
    }, { env: { TOKEN: "Bearer s3cret" } });
    const [{ resource } = { resource: {} }] = await sent(undefined, exporter);
    expect(resource).toMatchObject({
      "deployment.environment.name": "prod",
      "service.name": "drops",
      "host.name": "web-3",
    });
    const [{ path, headers }] = receiver.received as [(typeof receiver.received)[0]];
    expect([path, headers.authorization]).toEqual(["/v1/metrics", "Bearer s3cret"]);
    receiver.answers(401, {}, "no such token: Bearer s3cret");
    expect((await failure(exporter)).message).toBe("answered 401: no such token: •••");
    await sent(undefined, exporterTo({ url: receiver.url("/otlp/v1/metrics") })).catch(() => {});
    expect(receiver.received.at(-1)!.path).toBe("/otlp/v1/metrics");
  });
});

describe("an answer", () => {
  test("of 429, 502, 503 and 504 means: again, after the time that it asks for", async () => {
    for (const status of [429, 502, 503, 504]) {
      receiver.answers(status, { "retry-after": "7" }, "later");
      const { final, retryAfter } = await failure(exporterTo());
      expect([status, final, retryAfter]).toEqual([status, false, 7000]);
    }
  });

  test("of any other status is final", async () => {
    for (const status of [301, 400, 401, 403, 404, 408, 413, 500, 501]) {
      receiver.answers(status, { "retry-after": "7" });
      const { final } = await failure(exporterTo());
      expect([status, final]).toEqual([status, true]);
    }
  });

  test("that some points were refused says why", async () => {
    const partialSuccess = { rejectedDataPoints: "3", errorMessage: "too old\x1b[2J" };
    receiver.answers(200, {}, JSON.stringify({ partialSuccess }));
    const { final, message } = await failure(exporterTo());
    expect([final, message]).toEqual([true, "refused: too old\\x1b[2J"]);
    receiver.answers(
      200,
      {},
      `{"partialSuccess":{"rejectedDataPoints":0,"errorMessage":"use gRPC"}}`,
    );
    await exporterTo().push(reportOf(), signal);
  });

  test("that never comes ends with the signal", async () => {
    receiver.answer = () => {};
    const push = exporterTo().push(reportOf(), AbortSignal.timeout(50));
    expect(((await push.catch((thrown) => thrown)) as Error).message).toMatch(/^no answer /);
  });
});

describe("a run", () => {
  test("is told to a collector again and again, in sums that only grow, to the last", async () => {
    const run = await startRun({ view: true, files: { "a.ts": ruleText("A") } });
    const said: string[] = [];
    const exports = startExporters({
      exporters: [exporterTo({ interval: "1s" })],
      view: () => run.view,
      clock: machineClock,
      log: (line) => said.push(line),
    });
    const seen = (): (MetricPoint | undefined)[] =>
      receiver.received.map((received) =>
        pointsOf(received).find(({ name }) => name === "dropwatch.drops_seen")
      );
    const arrived = (n: number): boolean => seen().some((point) => point?.value === n);
    try {
      await run.second(closed(20));
      await until(() => arrived(20));
      await run.second(closed(5));
      await until(() => arrived(25));
      await run.second(closed(3));
    } finally {
      await exports.stop();
      await run.stop();
    }
    expect(seen().at(-1)?.value).toBe(28);
    const all = receiver.received.map(pointsOf);
    const matched = all.at(-1)!.find(({ name, attributes }) =>
      name === "dropwatch.rule_matched" && attributes["alert"] === "A"
    );
    expect(matched!.value).toBe(28);
    expect(matched!.resource["host.name"]).toBe(run.view.status().host);
    const last = new Map<string, MetricPoint>();
    for (const point of all.flat()) {
      const key = JSON.stringify([point.name, point.attributes]);
      const before = last.get(key);
      last.set(key, point);
      if (before === undefined) continue;
      expect(point.at).toBeGreaterThan(before.at);
      if (point.kind === "sum") expect(point.value).toBeGreaterThanOrEqual(before.value);
      expect([point.as, point.start]).toEqual([before.as, before.start]);
    }
    expect(said).toEqual([]);
  });
});

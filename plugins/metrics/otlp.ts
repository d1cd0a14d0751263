// Metrics pushed to an OpenTelemetry collector: OTLP 1.x over HTTP, in its JSON. Fields are those of
// opentelemetry-proto, metrics/v1/metrics.proto.
import type { MetricsExporter, MetricsReport } from "../../core/view/exporter.ts";
import type { MetricDescription, MetricFamily, MetricRow } from "../../core/view/metrics.ts";
import { version } from "../../core/version.ts";
import { attribute, nanoseconds, otlpEntries, otlpPost, resourceOf } from "../otlp.ts";
import type { OtlpOptions } from "../otlp.ts";
import { secretWord } from "../secret.ts";
import { exporterKind } from "./kind.ts";
import type { ExporterContext, ExporterMaker } from "./kind.ts";

/** Pushes metrics to an OpenTelemetry collector. */
export const otlpMetrics: ExporterMaker<OtlpOptions> = exporterKind<OtlpOptions>({
  name: "otlp",
  doc: "pushes metrics to an OpenTelemetry collector",
  value: "URL",
  options: otlpEntries,
  fromWord: (value) => ({ url: secretWord(value) }),
  make: otlpExporter,
});

/** AGGREGATION_TEMPORALITY_CUMULATIVE: JSON has the numbers of enums. */
const cumulative = 2;

/** UCUM, as OpenTelemetry has its units. */
const units = { "": "", seconds: "s", bytes: "By" } as const;

/**
 * An exporter that posts metrics.
 *
 * @throws DropwatchError BAD_SINK_OPTION.
 */
export function otlpExporter(options: OtlpOptions, context: ExporterContext): MetricsExporter {
  const post = otlpPost(
    options,
    { path: "/v1/metrics", rejected: "rejectedDataPoints" },
    context,
  );
  let sums: Sums = { at: 0, series: new Map() };
  return {
    name: context.name,
    interval: context.interval,
    async push(report, signal) {
      const { instance, host, families } = report;
      const before = sums;
      sums = { at: report.at, series: new Map() };
      const resource = resourceOf(
        { "service.instance.id": instance, "host.name": host },
        options.resource,
      );
      const scope = { name: "dropwatch", version };
      const metrics = families.map((family) => metricOf(family, report, before, sums));
      await post({ resourceMetrics: [{ resource, scopeMetrics: [{ scope, metrics }] }] }, signal);
    },
  };
}

/**
 * The name in OpenTelemetry: its units stand beside it. A receiver that makes Prometheus's names of it, with
 * the unit and `_total` at their ends, comes to ours again.
 */
export function otlpName(
  { name, type, unit }: Pick<MetricDescription, "name" | "type" | "unit">,
): string {
  const own = unit !== "" && name.endsWith(`_${unit}`) ? name.slice(0, -unit.length - 1) : name;
  return `${own.replace("dropwatch_", "dropwatch.")}${type === "info" ? "_info" : ""}`;
}

/** The sums of a push, to see which of them began again before the next one. */
interface Sums {
  readonly at: number;
  readonly series: Map<string, { readonly value: number; readonly start: number }>;
}

/**
 * Since when a sum counts: the start, or the last push where it has become smaller since. A rule that is
 * loaded anew counts anew.
 */
function startOf(key: string, value: number, startedAt: number, { at, series }: Sums): number {
  const known = series.get(key);
  if (known === undefined) return startedAt;
  return value < known.value ? at : known.start;
}

function metricOf(family: MetricFamily, report: MetricsReport, before: Sums, now: Sums): object {
  const { type, unit, help, labels, rows } = family;
  const { at, startedAt } = report;
  const startNano = (values: readonly string[], value: number): string => {
    const key = JSON.stringify([family.name, values]);
    const start = startOf(key, value, startedAt, before);
    now.series.set(key, { value, start });
    return nanoseconds(start);
  };
  const dataPoints = rows.map(([values, value]: MetricRow) => ({
    attributes: labels.flatMap((label, i) =>
      values[i] === "" ? [] : [attribute(label, values[i]!)]
    ),
    ...(type === "counter" ? { startTimeUnixNano: startNano(values, value) } : {}),
    timeUnixNano: nanoseconds(at),
    // What is measured in seconds is a double always: a series of both kinds confuses receivers.
    ...(unit !== "seconds" && Number.isSafeInteger(value)
      ? { asInt: String(value) }
      : { asDouble: value }),
  }));
  return {
    name: otlpName(family),
    description: help,
    unit: units[unit],
    ...(type === "counter"
      ? { sum: { aggregationTemporality: cumulative, isMonotonic: true, dataPoints } }
      : { gauge: { dataPoints } }),
  };
}

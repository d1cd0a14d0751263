// Metrics as text that is scraped: OpenMetrics 1.0
// (https://prometheus.io/docs/specs/om/open_metrics_spec/), and the older format of Prometheus, 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/), for whoever doesn't ask for it.
//
// There are no `_created` samples: all counters begin at dropwatch_start_time_seconds, and Prometheus would
// keep each of them as a series.
import { parseAccept } from "hono/utils/accept";
import type { Accept } from "hono/utils/accept";
import { metricFamilies } from "../../core/view/metrics.ts";
import type { MetricDescription, MetricFamily, MetricsView } from "../../core/view/metrics.ts";

export const openMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8";
export const prometheusType = "text/plain; version=0.0.4; charset=utf-8";

/** What the samples of a metric are called. */
export function sampleName({ name, type }: Pick<MetricDescription, "name" | "type">): string {
  return name + { counter: "_total", gauge: "", info: "_info" }[type];
}

/** The metrics as they are now, as OpenMetrics. */
export function openMetrics(view: MetricsView): string {
  const lines = metricFamilies(view).flatMap((family) => [
    `# TYPE ${family.name} ${family.type}`,
    ...(family.unit === "" ? [] : [`# UNIT ${family.name} ${family.unit}`]),
    `# HELP ${family.name} ${quoted(family.help)}`,
    ...samples(family),
  ]);
  return `${[...lines, "# EOF"].join("\n")}\n`;
}

/** The metrics as they are now, in Prometheus's own format. */
export function prometheusText(view: MetricsView): string {
  const lines = metricFamilies(view).flatMap((family) => [
    // Quotes of a help aren't escaped here, and there are no infos.
    `# HELP ${sampleName(family)} ${escaped(family.help)}`,
    `# TYPE ${sampleName(family)} ${family.type === "info" ? "gauge" : family.type}`,
    ...samples(family),
  ]);
  return `${lines.join("\n")}\n`;
}

/**
 * The metrics in the format that a scraper likes best, by its Accept header: OpenMetrics where it names it,
 * else Prometheus's own, which browsers show.
 */
export function metricsFor(
  accept: string,
  view: MetricsView,
): { readonly body: string; readonly type: string } {
  const accepted = parseAccept(accept);
  const open = qualityOf(accepted, "application/openmetrics-text", "1.0.0");
  const plain = qualityOf(accepted, "text/plain", "0.0.4");
  return open.named && open.q > 0 && open.q >= plain.q
    ? { body: openMetrics(view), type: openMetricsType }
    : { body: prometheusText(view), type: prometheusType };
}

/** How much of 1 a type is wanted, as the most exact of what is accepted says; RFC 9110, 12.5.1. */
function qualityOf(
  accepted: readonly Accept[],
  type: string,
  version: string,
): { readonly q: number; readonly named: boolean } {
  const ranges = [type, `${type.split("/")[0]}/*`, "*/*"];
  for (const range of ranges) {
    const fitting = accepted.filter((each) =>
      each.type.toLowerCase() === range && (each.params.version ?? version) === version
    );
    const exact = fitting.find((each) => each.params.version !== undefined) ?? fitting[0];
    if (exact !== undefined) return { q: exact.q, named: range === type };
  }
  return { q: 0, named: false };
}

function samples(family: MetricFamily): string[] {
  const name = sampleName(family);
  return family.rows.map(([values, value]) => {
    // An empty label is none.
    const labels = family.labels.flatMap((label, i) =>
      values[i] === "" ? [] : [`${label}="${quoted(values[i]!)}"`]
    );
    return `${name}${labels.length === 0 ? "" : `{${labels.join(",")}}`} ${value}`;
  });
}

/** A text in one line. */
function escaped(text: string): string {
  return text.toWellFormed().replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

/** A text between quotes. */
const quoted = (text: string): string => escaped(text).replaceAll('"', '\\"');

// What monitoring systems are told, as one table. Formats are written from it, and so is the table of
// docs/metrics.md. Names follow Prometheus: base units, counters that only grow since the start.
//
// What isn't known is left out: a 0 would say that it is known.
import { shorten } from "../alert/shorten.ts";
import { printable } from "../error.ts";
import type { Severity } from "../rule/rule.ts";
import type { View } from "./view.ts";

/** What a metric says of itself. */
export interface MetricDescription {
  /**
   * As OpenMetrics names a family: with its unit, and without what the type adds to its samples (`_total`
   * of a counter, `_info` of an info).
   */
  readonly name: string;
  readonly type: "counter" | "gauge" | "info";
  /** Empty for what is counted in pieces. */
  readonly unit: "" | "seconds" | "bytes";
  /** A sentence. */
  readonly help: string;
  /** The names of its labels. */
  readonly labels: readonly string[];
}

/** A sample: the values of the labels, in their order, and its own. */
export type MetricRow = readonly [values: readonly string[], value: number];

/** A metric as it is now. No two rows have the same labels. */
export interface MetricFamily extends MetricDescription {
  readonly rows: readonly MetricRow[];
}

/** What metrics read of the view. */
export type MetricsView = Pick<View, "status" | "rules" | "totals" | "outbox">;

/** A metric, and how it is read. */
export interface Metric extends MetricDescription {
  /** None where nothing is known. */
  read(view: MetricsView): readonly MetricRow[];
}

/**
 * The label in place of those that are too many to be told apart. Nothing else has such a value: it has more
 * characters than the name of a device can have, and a space, which is in no name of a device, a reason, an
 * alert or a sink.
 */
export const others = {
  reason: "all other reasons",
  dev: "all other devices",
  alert: "all other alerts",
  sink: "all other sinks",
} as const;

/** How many rules and sinks have a sample of their own. */
const most = { alert: 1000, sink: 100 };
/** How long a value of a label may be, in UTF-16 units. */
const longest = 200;

const one = (value: number | null): readonly MetricRow[] => value === null ? [] : [[[], value]];

/** `rows` by their first label: what is behind the first `count` is one row. */
function bounded(
  rows: readonly MetricRow[],
  count: number,
  other: string,
): readonly MetricRow[] {
  const own = new Set<string>();
  return rows.map(([[name = "", ...rest], value]) => {
    if (own.size < count) own.add(name);
    return [[own.has(name) ? name : other, ...rest], value];
  });
}

const seconds = (iso: string): number => Date.parse(iso) / 1000;

const severities: readonly Severity[] = ["critical", "warning", "info"];

/** All metrics, in the order in which they are shown. */
export const metrics: readonly Metric[] = [
  {
    name: "dropwatch_drops",
    type: "counter",
    unit: "",
    help: "Drops by the kernel's reason, the device (empty where there is none), and what the " +
      "reason means: fault, policy, teardown, normal or unknown.",
    labels: ["reason", "dev", "class"],
    read: (view) =>
      view.totals().map(({ reason, dev, class: of, drops }) => [
        [reason ?? others.reason, dev ?? others.dev, of],
        drops,
      ]),
  },
  {
    name: "dropwatch_drops_seen",
    type: "counter",
    unit: "",
    help: "Drops that the kernel had while somebody counted: counted, other and lost together.",
    labels: [],
    read: (view) => one(view.status().sums.seen),
  },
  {
    name: "dropwatch_drops_counted",
    type: "counter",
    unit: "",
    help: "Drops that were counted under the right key for every rule that asks.",
    labels: [],
    read: (view) => one(view.status().sums.counted),
  },
  {
    name: "dropwatch_drops_other",
    type: "counter",
    unit: "",
    help: "Drops that belong in a map of the kernel that had no room for their key.",
    labels: [],
    read: (view) => one(view.status().sums.other),
  },
  {
    name: "dropwatch_drops_lost",
    type: "counter",
    unit: "",
    help: "Drops that the probe wasn't run for, and those whose count never arrived.",
    labels: [],
    read: (view) => one(view.status().sums.lost),
  },
  {
    name: "dropwatch_lost",
    type: "counter",
    unit: "",
    help:
      "Drops that are missing from some number, by where they went missing: probe (not run), map " +
      "(no room in the kernel), output (never arrived), window (no room in a rule's window).",
    labels: ["stage"],
    read: (view) => {
      const { probe, map, output, window } = view.status().lost;
      return Object.entries({ probe, map, output, window }).map(([stage, n]) => [[stage], n]);
    },
  },
  {
    name: "dropwatch_unreadable_lines",
    type: "counter",
    unit: "",
    help: "Lines of the source's output that couldn't be read.",
    labels: [],
    read: (view) => one(view.status().lost.unreadable),
  },
  {
    name: "dropwatch_counted_seconds",
    type: "counter",
    unit: "seconds",
    help: "How long drops were counted.",
    labels: [],
    read: (view) => one(view.status().sums.seconds),
  },
  {
    name: "dropwatch_gap_seconds",
    type: "counter",
    unit: "seconds",
    help: "How long nobody counted: what was dropped then is in no number.",
    labels: [],
    read: (view) => one(view.status().lost.gapSeconds),
  },
  {
    name: "dropwatch_rules",
    type: "gauge",
    unit: "",
    help:
      "Rules by state (inactive, pending, firing, disabled), without those that dropwatch has of its own.",
    labels: ["state"],
    read: (view) => {
      const rules = view.rules().rules.filter(({ file }) => file !== "");
      return (["inactive", "pending", "firing", "disabled"] as const)
        .map((state) => [[state], rules.filter((rule) => rule.state === state).length]);
    },
  },
  {
    name: "dropwatch_broken_rule_files",
    type: "gauge",
    unit: "",
    help: "Rule files that can't be loaded as they are now; what they were before goes on.",
    labels: [],
    read: (view) => one(view.status().rules.broken),
  },
  {
    name: "dropwatch_rule_matched",
    type: "counter",
    unit: "",
    help: "Drops that matched a rule; for a rule about dropwatch itself, what happened to it.",
    labels: ["alert"],
    read: (view) =>
      bounded(
        view.rules().rules.map(({ alert, total }) => [[alert], total]),
        most.alert,
        others.alert,
      ),
  },
  {
    name: "dropwatch_rule_firing_alerts",
    type: "gauge",
    unit: "",
    help: "Alerts of a rule that fire; nobody is told of those of mode shadow.",
    labels: ["alert", "severity", "mode"],
    read: (view) =>
      bounded(
        view.rules().rules.map(({ alert, severity, shadow, firing }) => [
          [alert, severity, shadow ? "shadow" : "alert"],
          firing,
        ]),
        most.alert,
        others.alert,
      ),
  },
  {
    name: "dropwatch_alerts",
    type: "gauge",
    unit: "",
    help: "Alerts by state (pending, firing) and severity, without those of mode shadow.",
    labels: ["state", "severity"],
    read: (view) => {
      const rules = view.rules().rules.filter(({ shadow }) => !shadow);
      const count = (state: "pending" | "firing", severity: Severity): number =>
        rules.filter((rule) => rule.severity === severity)
          .reduce((sum, rule) => sum + rule[state], 0);
      return (["pending", "firing"] as const).flatMap((state) =>
        severities.map((severity): MetricRow => [[state, severity], count(state, severity)])
      );
    },
  },
  {
    name: "dropwatch_alerts_suppressed",
    type: "gauge",
    unit: "",
    help: "Alerts that fire and are kept quiet, by a silence or by another alert.",
    labels: [],
    read: (view) => one(view.status().alerts.suppressed),
  },
  {
    name: "dropwatch_outbox_messages",
    type: "gauge",
    unit: "",
    help:
      "Messages that aren't delivered, by sink and state: pending (tried again) or dead (given up).",
    labels: ["sink", "state"],
    read: (view) => {
      const { sinks, outbox } = view.status();
      const listed = view.outbox();
      const all = [...new Set([...sinks, ...listed.map(({ sink }) => sink)])];
      const rows = all.flatMap((sink) =>
        (["pending", "dead"] as const).map((state): MetricRow => [
          [sink, state],
          listed.filter((message) => message.sink === sink && message.state === state).length,
        ])
      );
      // The list has an end, the counts don't.
      const rest = (["pending", "dead"] as const).flatMap((state): readonly MetricRow[] => {
        const more = outbox[state] - listed.filter((message) => message.state === state).length;
        return more > 0 ? [[[others.sink, state], more]] : [];
      });
      return [...bounded(rows, most.sink, others.sink), ...rest];
    },
  },
  {
    name: "dropwatch_process_cpu_seconds",
    type: "counter",
    unit: "seconds",
    help:
      "CPU time of dropwatch's own processes: dropwatch, the source's, and those that run rules.",
    labels: ["process"],
    read: (view) =>
      view.status().cost.processes.map(({ name, cpuSeconds }) => [[name], cpuSeconds]),
  },
  {
    name: "dropwatch_process_resident_memory_bytes",
    type: "gauge",
    unit: "bytes",
    help: "Resident memory of dropwatch's own processes.",
    labels: ["process"],
    read: (view) =>
      view.status().cost.processes.map(({ name, memoryBytes }) => [[name], memoryBytes]),
  },
  {
    name: "dropwatch_processes",
    type: "gauge",
    unit: "",
    help: "How many processes of its own dropwatch runs.",
    labels: ["process"],
    read: (view) => view.status().cost.processes.map(({ name, processes }) => [[name], processes]),
  },
  {
    name: "dropwatch_probe_runs",
    type: "counter",
    unit: "",
    help:
      "Runs of the probe in the kernel, where the kernel counts them (kernel.bpf_stats_enabled).",
    labels: [],
    read: (view) => one(view.status().cost.probe?.runs ?? null),
  },
  {
    name: "dropwatch_probe_seconds",
    type: "counter",
    unit: "seconds",
    help: "Time in the probe, on the way of packets, where the kernel keeps count of it.",
    labels: [],
    read: (view) => {
      const { probe } = view.status().cost;
      return one(probe === null ? null : probe.nanoseconds / 1e9);
    },
  },
  {
    name: "dropwatch_source_up",
    type: "gauge",
    unit: "",
    help: "1 where drops are counted now, 0 where they aren't.",
    labels: ["source"],
    read: (view) => {
      const { source, state } = view.status();
      return [[[source.name], state === "watching" ? 1 : 0]];
    },
  },
  {
    name: "dropwatch_source_restarts",
    type: "counter",
    unit: "",
    help: "How often the source was started again.",
    labels: ["source"],
    read: (view) => {
      const { source, restarts } = view.status();
      return [[[source.name], restarts]];
    },
  },
  {
    name: "dropwatch_last_tick_timestamp_seconds",
    type: "gauge",
    unit: "seconds",
    help: "When the last counts came, in seconds since 1970.",
    labels: [],
    read: (view) => {
      const { lastTickAt } = view.status();
      return one(lastTickAt === null ? null : seconds(lastTickAt));
    },
  },
  {
    name: "dropwatch_tick_interval_seconds",
    type: "gauge",
    unit: "seconds",
    help: "The time between two ticks, as it is set.",
    labels: [],
    read: (view) => one(view.status().interval / 1000),
  },
  {
    name: "dropwatch_start_time_seconds",
    type: "gauge",
    unit: "seconds",
    help: "When dropwatch was started, in seconds since 1970: counters count from then on.",
    labels: [],
    read: (view) => one(seconds(view.status().startedAt)),
  },
  {
    name: "dropwatch_build",
    type: "info",
    unit: "",
    help: "The version of dropwatch.",
    labels: ["version"],
    read: (view) => [[[view.status().version], 1]],
  },
];

/** The metrics as they are now, those that are known. All numbers are of one moment. */
export function metricFamilies(view: MetricsView): readonly MetricFamily[] {
  const now = readOnce(view);
  return metrics.map(({ read, ...description }) => ({
    ...description,
    rows: merged(read(now).filter(([, value]) => Number.isFinite(value))),
  })).filter(({ rows }) => rows.length > 0);
}

/** The same view, of which each part is read at most once. */
function readOnce(view: MetricsView): MetricsView {
  const once = <T>(read: () => T): () => T => {
    let had: { readonly value: T } | undefined;
    return () => (had ??= { value: read() }).value;
  };
  return {
    status: once(() => view.status()),
    rules: once(() => view.rules()),
    totals: once(() => view.totals()),
    outbox: once(() => view.outbox()),
  };
}

/**
 * Rows whose labels are fit to be shown. Two that are the same then are one: a scraper refuses everything
 * where it finds the same labels twice.
 */
function merged(rows: readonly MetricRow[]): readonly MetricRow[] {
  const byLabels = new Map<string, MetricRow>();
  for (const [values, value] of rows) {
    const shown = values.map((text) => shorten(printable(text.toWellFormed()), longest));
    const key = JSON.stringify(shown);
    byLabels.set(key, [shown, (byLabels.get(key)?.[1] ?? 0) + value]);
  }
  return [...byLabels.values()];
}

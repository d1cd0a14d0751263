// What a view shows, where a test is about how it is shown and not about a run.
import type { MetricsView } from "../core/view/metrics.ts";
import type { ViewMessage, ViewRule, ViewStatus, ViewTotal } from "../core/view/view.ts";
import { version } from "../core/version.ts";

/** A status of a run that has just begun to watch. */
export function statusOf(parts: Partial<ViewStatus>): ViewStatus {
  const sums = { seconds: 0, seen: 0, counted: 0, other: 0, lost: 0 };
  return {
    version,
    instance: "0123456789abcdef",
    host: "web-3",
    startedAt: "2026-01-02T03:00:00.000Z",
    source: { name: "bpftrace", title: "Linux 6.18" },
    state: "watching",
    trouble: "",
    interval: 1000,
    lastTickAt: "2026-01-02T03:04:05.000Z",
    restarts: 0,
    sums,
    recent: sums,
    lost: { probe: 0, map: 0, output: 0, window: 0, unreadable: 0, gapSeconds: 0 },
    cost: {
      processes: [
        { name: "dropwatch", processes: 1, cpuSeconds: 1.25, cpu: 0.01, memoryBytes: 100_000_000 },
      ],
      probe: { runs: 1000, nanoseconds: 250_000 },
    },
    rules: { loaded: 0, disabled: 0, broken: 0 },
    alerts: { firing: 0, pending: 0, suppressed: 0 },
    outbox: { pending: 0, dead: 0 },
    sinks: ["stdout"],
    history: { fields: ["reason", "dev"], secondsFrom: null, minutesFrom: null, kept: false },
    ...parts,
  };
}

/** What metrics read. */
export function viewOf(
  parts: {
    readonly status?: Partial<ViewStatus>;
    readonly totals?: readonly ViewTotal[];
    readonly rules?: readonly ViewRule[];
    readonly outbox?: readonly ViewMessage[];
  } = {},
): MetricsView {
  const { status = {}, totals = [], rules = [], outbox = [] } = parts;
  return {
    status: () => statusOf(status),
    totals: () => totals,
    rules: () => ({ rules, errors: [], loadedAt: "2026-01-02T03:00:00.000Z", cost: "" }),
    outbox: () => outbox,
  };
}

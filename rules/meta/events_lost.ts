// Finds: drops that were seen and never counted: the kernel skipped the probe, or counts didn't arrive.
// Matters: numbers of other alerts are too low ("at least"), and small ones may be missing.
// Misleads: at a flood a few are lost; only the numbers are in doubt then, not the alerts.
import { health, rule } from "dropwatch";

export default rule({
  alert: "EventsLost",
  when: health.where({ event: "lost" }).count("1m").above(0),
  keepFiringFor: "5m",
  severity: "warning",
  summary: ({ value, total }) =>
    `${value.toFixed(0)} drops of the last minute are in no number (${total} since it began)`,
  description:
    "`top` shows whether dropwatch and bpftrace get CPU time: give them more, or a longer " +
    "--interval. `dropwatch explain` says what the rules cost for each drop; stop other tracing of " +
    "skb:kfree_skb (`bpftool perf`).",
});

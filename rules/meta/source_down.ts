// Finds: times in which nobody counts: bpftrace is gone and doesn't come back, or goes again and again.
// Matters: no other alert can fire then. Silence must not look like health.
// Misleads: a single restart, some seconds, is no alert. While rules are read again nothing is down.
import { health, rule } from "dropwatch";

const down = health.where({ event: "down" });

export default [
  rule({
    alert: "SourceDown",
    // A restart of two or three seconds is in this window for less than 15.
    when: down.count("10s").above(0),
    for: "15s",
    keepFiringFor: "10s",
    severity: "critical",
    summary: "drops aren't counted: the source is down",
    description: "The log of dropwatch says why (`journalctl -u dropwatch`); `dmesg | grep -i -E " +
      "'oom|bpf'` whether bpftrace was killed. `bpftrace -e 'tracepoint:skb:kfree_skb { @ = " +
      "count(); }'` as the same user shows whether it can run at all.",
  }),
  rule({
    alert: "SourceUnstable",
    when: down.count("15m").above(20),
    keepFiringFor: "5m",
    severity: "warning",
    summary: ({ value }) =>
      `drops weren't counted in ${value.toFixed(0)} ticks of the last quarter of an hour`,
    description: "The log of dropwatch says how often bpftrace ended, and why (`journalctl -u " +
      "dropwatch`); `dmesg | grep -i oom` whether memory is short.",
  }),
];

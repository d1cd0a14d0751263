// Finds: packets thrown away because a CPU's input queue (net.core.netdev_max_backlog) is full.
// Matters: one CPU can't keep up, and everything that it receives suffers, whatever program it is for.
// Misleads: little. Loopback and veth go through this queue too, so a local load test shows up here.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "CpuBacklogFull",
  when: drops.where({ reason: "CPU_BACKLOG" }).by("cpu").rate("10s").above(1),
  for: "5s",
  keepFiringFor: "1m",
  severity: "critical",
  summary: ({ value, labels }) =>
    `CPU ${labels.cpu} throws away ${value.toFixed(0)} packets/s: its backlog is full`,
  description: "Compare the second column of /proc/net/softnet_stat. Spread the load over CPUs " +
    "(RSS, RPS), or raise net.core.netdev_max_backlog.",
});

// Finds: an address that sends to many neighbours which don't exist.
// Matters: somebody sweeps the subnets behind this machine: a worm, an intruder, or a device with a
//   wrong netmask. On a router it also fills the neighbour table, which everybody needs.
// Misleads: inventory and monitoring do the same, this machine's own too. When a switch fails, all
//   neighbours are gone at once: then many senders are named, not one. IPv4 only: IPv6 gives no reason.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "AddressSweep",
  when: drops.where({ reason: "NEIGH_FAILED" }).by("saddr").distinct("daddr", "1m")
    .above(50, { recovery: 10 }),
  keepFiringFor: "10m",
  severity: "info",
  summary: ({ peak, labels }) =>
    `${labels.saddr || "somebody"} sent to ${
      peak.toFixed(0)
    } neighbours in a minute that don't answer`,
  description: ({ labels }) =>
    `\`ip neigh show to ${
      labels.saddr || "ADDRESS"
    }\` gives the sender's MAC, \`ip -s neigh show nud ` +
    "failed | wc -l` how full the table is (net.ipv4.neigh.default.gc_thresh3 is its limit). Rate " +
    "limit or blackhole unused addresses.",
});

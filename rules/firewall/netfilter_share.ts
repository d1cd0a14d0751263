// Finds: a firewall that makes most of this machine's drops.
// Matters: after a change of rules that is the sign that real traffic is being refused.
// Misleads: on a host that faces the internet the firewall refuses scans all day; then this is its
//   normal state, and the share of a quieter time is the threshold to take.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "NetfilterDropShare",
  when: drops.where({ reason: "NETFILTER_DROP" }).count("1m")
    .over(drops.where({ class: { not: ["teardown", "normal"] } }).count("1m"), { min: 500 })
    .above(0.8, { recovery: 0.5 }),
  for: "1m",
  keepFiringFor: "5m",
  severity: "info",
  summary: ({ value }) => `the firewall makes ${(value * 100).toFixed(0)} % of all drops`,
  description: "`nft list ruleset` shows the counters of its rules; a verdict of drop names no " +
    "rule, so add `counter` or `log` to those in question.",
});

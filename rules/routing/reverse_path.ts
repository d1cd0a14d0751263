// Finds: packets that the reverse path filter (rp_filter) refuses, many and for minutes.
// Matters: with asymmetric routes or two uplinks it throws away real traffic, and the sender sees only
//   that nothing answers.
// Misleads: forged sources are what the filter is for: a few a minute on the internet are usual. IPv6
//   has no such filter; a firewall's `fib` rule is counted as NETFILTER_DROP.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "ReversePathRefused",
  when: drops.where({ reason: "IP_RPFILTER" }).by("dev").count("5m")
    .above(300, { recovery: 60 }),
  keepFiringFor: "5m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `${value.toFixed(0)} packets in five minutes came in on ${labels.dev || "a device"} from ` +
    "sources that aren't routed there",
  description:
    "`ip route get SOURCE`, with a source from the flows of the alert, says where this " +
    "machine would answer; `ip rule` shows routing by policy. Add the route that is missing, or set " +
    "net.ipv4.conf.DEV.rp_filter=2 where two ways are meant (the larger of all and DEV counts).",
});

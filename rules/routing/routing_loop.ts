// Finds: many packets whose TTL ran out here, or whose IP header can't be used.
// Matters: on a router it is nearly always a loop: each packet is forwarded dozens of times, and the
//   links fill.
// Misleads: traceroute is a few. Broken headers have the same reason: `nstat -az IcmpOutTimeExcds
//   Icmp6OutTimeExcds IpInHdrErrors` tells the two apart.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "RoutingLoop",
  when: drops.where({ reason: "IP_INHDR" }).by("dev").rate("30s").above(20, { recovery: 5 }),
  for: "30s",
  keepFiringFor: "2m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `${value.toFixed(0)} packets/s from ${
      labels.dev || "a device"
    } end here with no hops left, or ` +
    "a bad header",
  description:
    "`traceroute -n ADDRESS`, with a destination from the flows of the alert, shows two " +
    "routers in turn where it is a loop; `ip route get ADDRESS` whether it goes back where it came " +
    "from. A blackhole route for the prefix that is announced here ends it at once.",
});

// Finds: packets for which there is no route: those of this machine's programs, and those that it
//   should forward.
// Matters: a route, an address or an interface went away under connections that still exist, or was
//   never there.
// Misleads: programs that try IPv6 without having it get an error and drop nothing. On a router, scans
//   into unused addresses have no route either: a blackhole route ends that.
import { drops, rule } from "dropwatch";

export default [
  rule({
    alert: "NoRouteOut",
    when: drops.where({ reason: "IP_OUTNOROUTES" }).by("owner").count("1m")
      .above(30, { recovery: 0 }),
    for: "10s",
    keepFiringFor: "2m",
    severity: "critical",
    summary: ({ value, labels }) =>
      `${value.toFixed(0)} packets of ${
        labels.owner || "unknown programs"
      } in a minute had no route`,
    description:
      "`ip route get ADDRESS`, with a destination from the flows of the alert, says which " +
      "route is missing; `ip route`, `ip rule` and `ip -br addr` what there is, `ip monitor` and " +
      "`journalctl -u systemd-networkd -u NetworkManager` what took it away.",
  }),
  rule({
    alert: "NoRouteToForward",
    when: drops.where({ reason: "IP_INNOROUTES" }).by("dev").count("5m")
      .above(600, { recovery: 60 }),
    keepFiringFor: "5m",
    severity: "warning",
    summary: ({ value, labels }) =>
      `${value.toFixed(0)} packets from ${labels.dev || "a device"} in five minutes were to be ` +
      "forwarded, and had no route",
    description:
      "`ip route get ADDRESS from SOURCE iif DEV`, with a flow of the alert, repeats the " +
      "look-up; `birdc show route` or `vtysh -c 'show ip route'` says whether it was withdrawn. For " +
      "addresses that nobody has, add a blackhole route; else fix the neighbour that sends them.",
  }),
];

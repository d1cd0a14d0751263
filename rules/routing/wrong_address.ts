// Finds: packets that reach this machine's MAC with an IP address that it doesn't have, while it
//   doesn't forward.
// Matters: a virtual address has moved and its neighbours haven't been told, or a machine that should
//   route has forwarding off (after an update, in a new network namespace).
// Misleads: a neighbour whose wrong default route leads here does it alone: then only it must be
//   mended. A few after a failover are normal.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "AddressNotHere",
  when: drops.where({ reason: "IP_INADDRERRORS" }).by("dev").count("1m")
    .above(120, { recovery: 20 }),
  for: "1m",
  keepFiringFor: "5m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `${value.toFixed(0)} packets in a minute came in on ${
      labels.dev || "a device"
    } for addresses ` +
    "that this machine hasn't got",
  description: "The flows of the alert name the addresses. `ip -br addr` shows this machine's; " +
    "`journalctl -u keepalived` says where a virtual one went: `arping -U -I DEV ADDRESS` there " +
    "tells the neighbours. If this machine should route: `sysctl net.ipv4.ip_forward`.",
});

// Finds: packets that were given up because nobody answered ARP or neighbour discovery.
// Matters: a next hop or a neighbour is gone, or in another VLAN; traffic to it goes nowhere.
// Misleads: a scan of a subnet by this machine itself (discovery, monitoring of hosts that are off)
//   does the same.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "NeighbourFailures",
  when: drops.where({ reason: ["NEIGH_FAILED", "NEIGH_QUEUEFULL", "NEIGH_CREATEFAIL"] })
    .by("daddr").count("1m").above(20),
  for: "10s",
  keepFiringFor: "2m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `${value.toFixed(0)} packets to ${labels.daddr === "" ? "a neighbour" : labels.daddr} in a ` +
    `minute were given up: nobody answers for it`,
  description:
    "`ip neigh` shows FAILED and INCOMPLETE entries, `ip route get ADDRESS` the next hop.",
});

// Finds: sockets whose own filter (SO_ATTACH_FILTER, SO_ATTACH_BPF) refuses packets.
// Matters: the sender believes the packet arrived; a filter with a bug, or one that is too strict,
//   looks like packet loss to everyone else.
// Misleads: some programs filter on purpose (DHCP clients, LLDP daemons, mDNS): for them it is the
//   normal state. Exclude them by name: owner: { not: ["dhclient", "lldpd"] }.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "SocketFilterDrops",
  when: drops.where({ reason: "SOCKET_FILTER", owner: { not: "syncthing" } })
    .by("owner", "ownerPort").rate("10s").above(100, { recovery: 50 }),
  for: "10s",
  keepFiringFor: "1m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `${labels.owner || "a process that is gone"} refuses ${value.toFixed(0)} packets/s on port ${
      labels.ownerPort || "unknown"
    }`,
  description: "A filter that the program attached to its own socket refuses packets: " +
    "`ss -a --bpf -p` shows the filter and who holds the socket.",
});

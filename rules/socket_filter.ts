// Finds: sockets whose own filter (SO_ATTACH_FILTER, SO_ATTACH_BPF) refuses packets.
// Matters: the sender believes the packet arrived; a filter with a bug, or one that is too strict,
//   looks like packet loss to everyone else.
// Misleads: some programs filter on purpose (DHCP clients, LLDP daemons, mDNS): for them it is the
//   normal state. Find the process of the inode with `ss -aep | grep ino:N`, then raise the
//   threshold or exclude its socket.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "SocketFilterDrops",
  when: drops.where({ reason: "SOCKET_FILTER" }).by("ownerInode").rate("10s")
    .above(100, { recovery: 50 }),
  for: "10s",
  keepFiringFor: "1m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `the filter of socket:[${labels.ownerInode}] refuses ${value.toFixed(0)} packets/s`,
  description: "A filter that a program attached to its own socket refuses packets. " +
    "`ss -aep` shows which process has the socket with this inode.",
});

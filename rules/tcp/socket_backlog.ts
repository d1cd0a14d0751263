// Finds: connections whose backlog is full: packets come while the program is in a system call on the
//   socket, and the list in which they wait has no room left.
// Matters: the peer must send again, so one fast connection becomes slow.
// Misleads: little. A small SO_RCVBUF, set long ago for other speeds, is the usual cause; the program
//   isn't to blame then.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "SocketBacklogFull",
  when: drops.where({ reason: "SOCKET_BACKLOG" }).by("owner", "ownerPort").rate("10s")
    .above(10, { recovery: 1 }),
  for: "20s",
  keepFiringFor: "1m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `${labels.owner || "a process that is gone"} loses ${value.toFixed(0)} packets/s on port ${
      labels.ownerPort || "unknown"
    }: they come faster than it lets go of the socket`,
  description:
    "`ss -tmnp` shows bl (the backlog) and d (drops) in skmem. Give the program more CPU, " +
    "let it not set SO_RCVBUF, or raise the maximum in net.ipv4.tcp_rmem.",
});

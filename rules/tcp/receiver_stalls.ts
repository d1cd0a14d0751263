// Finds: programs that don't read their TCP connections: data comes for a window that is closed, or
//   beyond its end, or what came out of order is thrown away to make room.
// Matters: the peer waits and sends again; the program hangs, or is short of CPU.
// Misleads: peers probe a closed window with a byte, which is a drop each time: a few a minute and
//   connection. A middlebox that changes window scales gives TCP_OVERWINDOW for programs that read.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "TcpReceiverStalls",
  when: drops.where({ reason: ["TCP_ZEROWINDOW", "TCP_OVERWINDOW", "TCP_OFO_QUEUE_PRUNE"] })
    .by("owner", "ownerPort").count("1m").above(120, { recovery: 30 }),
  for: "30s",
  keepFiringFor: "2m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `${labels.owner || "a process that is gone"} doesn't read its connections on port ${
      labels.ownerPort || "unknown"
    }: ${value.toFixed(0)} packets thrown away in a minute`,
  description: "`ss -tmnp` shows the connections with a large Recv-Q. `cat /proc/PID/stack` and " +
    "`top -H -p PID` tell whether the program hangs or lacks CPU; if it reads in bursts, raise the " +
    "maximum in net.ipv4.tcp_rmem.",
});

// Finds: TCP listeners whose accept queue is full, so that finished handshakes are thrown away.
// Matters: clients see connections that hang for a second or more, then time out: the program does
//   not accept() fast enough, or its backlog is too small.
// Misleads: only the last packet of a handshake is seen here; SYNs that are refused because the
//   queue is full are not drops with this reason (nstat -az TcpExtListenOverflows counts both).
// It needs Linux 6.15: kernels before it drop such packets without a reason, and refuse the rule.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "TcpListenOverflow",
  when: drops.where({ reason: "TCP_LISTEN_OVERFLOW" }).by("owner", "dport").count("1m").above(5),
  keepFiringFor: "5m",
  severity: "critical",
  summary: ({ value, labels }) =>
    `${labels.owner || "a listener"} turned away ${
      value.toFixed(0)
    } connections to port ${labels.dport} in a minute: its accept queue is full`,
  description: "`ss -ltn` shows Recv-Q (waiting) against Send-Q (the backlog) of the listener. " +
    "Accept faster, or raise the backlog of listen() and net.core.somaxconn.",
});

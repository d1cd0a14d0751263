// Finds: received data thrown away because memory for it is used up: all of a protocol's (tcp_mem,
//   udp_mem), a cgroup's, or what one TCP connection may hold.
// Matters: it hits programs that did nothing wrong as well, and TCP connections crawl.
// Misleads: a TCP program that stops reading while many tiny segments come gives the same reason for
//   its own connection; then only one owner is named, and /proc/net/sockstat is far from the limit.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "ProtocolMemoryExhausted",
  when: drops.where({ reason: "PROTO_MEM" }).by("owner", "ownerPort").count("1m")
    .above(30, { recovery: 0 }),
  keepFiringFor: "2m",
  severity: "critical",
  summary: ({ value, labels }) =>
    `${value.toFixed(0)} packets for ${labels.owner || "a process that is gone"} on port ${
      labels.ownerPort || "unknown"
    } found no memory in the last minute`,
  description: "`cat /proc/net/sockstat` and `sysctl net.ipv4.tcp_mem net.ipv4.udp_mem` are in " +
    "pages: compare mem with the third number. `ss -tuamp` shows who holds it: a large Recv-Q is a " +
    "program that doesn't read. In a container, `memory.events` of its cgroup tells of its limit.",
});

// Finds: drops without a reason that TCP connections of this machine felt: the kernel lost a packet and
//   names no cause, and TCP sent on that flow again within three seconds.
// Matters: drivers, tunnels and bridges give no reasons. Most such drops mean nothing; these cost a
//   connection 0.2 seconds or more each.
// Misleads: only senders on this machine are seen. A connection that loses packets elsewhere as well
//   sends again anyway.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "UnexplainedTcpLoss",
  when: drops.where({ reason: "NOT_SPECIFIED", l4: "TCP", retransmitted: "yes" })
    .by("dev").count("1m").above(60, { recovery: 10 }),
  for: "30s",
  keepFiringFor: "2m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `TCP had to send again after ${value.toFixed(0)} drops in a minute${
      labels.dev === "" ? "" : ` on ${labels.dev}`
    } that have no reason`,
  description:
    "`dropwatch stacks --reason NOT_SPECIFIED --duration 30s` shows where in the kernel " +
    "they are: the site decides. The flows of the alert name the connections, `ss -tin` shows their " +
    "retrans and rto, `ip -s -s link` and `ethtool -S DEV` what the device counts.",
});

// Finds: an address that asks for many different closed TCP ports.
// Matters: somebody looks for what is open here. From the internet that is weather; from inside it is
//   a compromised machine, or an inventory that nobody told of.
// Misleads: monitoring and security scanners of one's own: exclude them with saddr: { not: … }. A
//   firewall that drops hides scans from this rule; a scan with forged addresses is many small ones.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "PortScan",
  when: drops.where({ reason: "NO_SOCKET", l4: "TCP", tcpFlags: ["SYN", "SYN|ECE|CWR"] })
    .by("saddr").distinct("dport", "1m").above(100, { recovery: 10 }),
  keepFiringFor: "10m",
  severity: "info",
  summary: ({ peak, labels }) =>
    `${labels.saddr} tried ${peak.toFixed(0)} closed TCP ports in a minute`,
  description: "`ss -lntp` is what it can have found. `ss -tn src ADDRESS or dst ADDRESS` shows " +
    "whether it stayed; from inside, find the machine: `ip neigh show to ADDRESS`.",
});

// Finds: a port at which nobody listens and that gets five times what it usually does, for minutes.
// Matters: a service has stopped, or moved, and its clients still come: this is seen before they call.
// Misleads: a port that a botnet discovers rises too; then the senders are strangers. A restart is too
//   short for it. Ports from 32768 on are those of clients, whose late answers mean nothing.
// After half an hour so many are the usual, and the alert ends.
// Clients' ports are left out by a filter, not in the kernel: so it counts once for NoSocketFlood and for this.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "ClosedPortRise",
  when: drops.where({ reason: "NO_SOCKET" })
    .filter(["dport"], ({ dport }) => dport !== "" && Number(dport) < 32768)
    .by("l4", "dport").count("1m")
    .spike({ over: "3h", factor: 5, min: 300 }),
  for: "2m",
  keepFiringFor: "5m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `${value.toFixed(0)} packets in a minute for ${labels.l4} port ${labels.dport}, where nobody ` +
    `listens: at least five times the usual`,
  description: "`ss -lntup` shows who listens, and on which address. The alert names who had the " +
    "port within the last ten minutes: `systemctl status` and `journalctl -u` of it say why it is " +
    "gone. `dropwatch tail --reason NO_SOCKET` shows who sends.",
});

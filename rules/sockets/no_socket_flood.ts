// Finds: many packets for a port at which nobody listens.
// Matters: either a program of this machine is down and its clients go on sending, or somebody
//   scans or floods it.
// Misleads: replies that come after their client has closed its socket (DNS resolvers, health
//   checks) look the same; they spread over high ports and stay below the threshold for one.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "NoSocketFlood",
  when: drops.where({ reason: "NO_SOCKET" }).by("l4", "dport").rate("30s")
    .above(200, { recovery: 100 }),
  for: "30s",
  keepFiringFor: "2m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `${value.toFixed(0)} packets/s for ${labels.l4} port ${labels.dport}, where nobody listens`,
  description: "`ss -lnp` shows who listens. If a program should have this port, start it; if " +
    "not, find the senders with `dropwatch tail --reason NO_SOCKET`.",
});

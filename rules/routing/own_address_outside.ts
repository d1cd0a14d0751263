// Finds: packets from outside that carry one of this machine's own addresses as their source.
// Matters: another machine has the same address, so each of them loses half of its connections; or
//   packets go round in a loop of bridges or tunnels.
// Misleads: forged sources, a few at a time; mirror ports, which show what was sent from here.
// The reason is tested by its name, since kernels before 6.13 haven't got it: there the rule is quiet.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "OwnAddressFromOutside",
  when: drops.where({ class: "fault" })
    .filter(["reason"], ({ reason }) => reason === "IP_LOCAL_SOURCE")
    .by("dev").count("5m").above(50, { recovery: 5 }),
  keepFiringFor: "5m",
  severity: "critical",
  summary: ({ value, labels }) =>
    `${value.toFixed(0)} packets in five minutes came in on ${
      labels.dev || "a device"
    } from one of ` +
    "this machine's own addresses",
  description:
    "The flows of the alert name the address. `arping -D -c 3 -I DEV ADDRESS` asks whether " +
    "somebody else has it, `tcpdump -Q in -c 5 -en -i DEV src host ADDRESS` shows the MAC. If the " +
    "MAC is this machine's, look for a loop: `bridge link`, `ip -d link`.",
});

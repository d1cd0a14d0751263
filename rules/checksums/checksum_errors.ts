// Finds: packets whose checksum is wrong.
// Matters: something on the way corrupts data: a cable, a transceiver, memory, a switch, an
//   offload of a network card or of a virtual one. What is not caught here is delivered.
// Misleads: on a machine that captures its own packets, offloaded checksums look wrong in the
//   capture and are right on the wire; those are not dropped and not counted here.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "ChecksumErrors",
  when: drops.where({ reason: ["IP_CSUM", "TCP_CSUM", "UDP_CSUM", "ICMP_CSUM", "SKB_CSUM"] })
    .by("reason", "dev").count("5m").above(10),
  keepFiringFor: "5m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `${value.toFixed(0)} packets with a wrong checksum (${labels.reason}) in five minutes` +
    (labels.dev === "" ? "" : ` on ${labels.dev}`),
  description: "`ethtool -S DEV | grep -i err` shows errors of the link; switching offloads off " +
    "(`ethtool -K DEV rx off`) tells whether the card is at fault.",
});

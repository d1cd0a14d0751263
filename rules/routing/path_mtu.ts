// Finds: a sender whose packets are too large for the next link, and who goes on sending them.
// Matters: connections open and then hang as soon as much is sent: ICMP doesn't reach the sender, so it
//   never learns to send less.
// Misleads: path MTU discovery loses a packet or two for each new destination, and again after ten
//   minutes; that is how it learns.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "PathMtuIgnored",
  when: drops.where({ reason: "PKT_TOO_BIG" }).by("saddr", "daddr").count("5m")
    .above(30, { recovery: 5 }),
  keepFiringFor: "5m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `${labels.saddr} sent ${
      value.toFixed(0)
    } packets to ${labels.daddr} in five minutes that are ` +
    "too large for the next link",
  description: ({ labels }) =>
    `\`tracepath -n ${labels.daddr}\` shows where the MTU falls, \`ip link\` those here. Let ICMP ` +
    "type 3 code 4 and ICMPv6 type 2 through on the way back, or clamp TCP: `nft add rule inet " +
    "filter forward tcp flags syn tcp option maxseg size set rt mtu`.",
});

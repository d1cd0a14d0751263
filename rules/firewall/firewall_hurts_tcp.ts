// Finds: connections of this machine's programs and containers that the firewall breaks: it drops a
//   packet, and TCP sends again.
// Matters: a program waits for something that is forbidden: seconds for each attempt, without an error.
// Misleads: only senders on this machine are seen, not those from outside. A program that is kept in
//   on purpose (telemetry that is forbidden) tries all day: reject with tcp reset ends its waiting.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "FirewallHurtsTcp",
  when: drops.where({ reason: "NETFILTER_DROP", l4: "TCP", retransmitted: "yes" })
    .by("daddr", "dport").count("1m").above(20, { recovery: 5 }),
  for: "10s",
  keepFiringFor: "5m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `the firewall dropped ${
      value.toFixed(0)
    } packets to ${labels.daddr} port ${labels.dport} in a ` +
    "minute that TCP sent again",
  description: ({ labels }) =>
    `\`ss -tnp state syn-sent dst ${labels.daddr}\` shows who waits. \`nft monitor trace\`, with ` +
    `\`ip daddr ${labels.daddr} meta nftrace set 1\` as a rule, names the rule that drops. Answers ` +
    "that are dropped count too: does `conntrack -L` know the connection?",
});

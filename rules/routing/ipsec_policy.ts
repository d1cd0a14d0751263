// Finds: packets that an IPsec policy refuses: they come in plain where it asks for protection, or no
//   state fits them.
// Matters: the tunnel is down on one side, or the two sides disagree; the other sends, and all is lost.
// Misleads: while keys are renewed a few packets fall between the old state and the new one. Plain
//   packets from strangers to a range that is under a policy count too.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "IpsecPolicyRefuses",
  when: drops.where({ reason: "XFRM_POLICY" }).by("dev").count("1m").above(60, { recovery: 10 }),
  for: "30s",
  keepFiringFor: "5m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `${value.toFixed(0)} packets in a minute${
      labels.dev === "" ? "" : ` on ${labels.dev}`
    } don't fit any IPsec policy`,
  description: "`ip -s xfrm state` and `ip -s xfrm policy` show what is set up; `cat " +
    "/proc/net/xfrm_stat` which check fails; `swanctl --list-sas` or `ipsec status` whether the " +
    "tunnel of the peer (see the flows of the alert) is up. Restart it on both sides.",
});

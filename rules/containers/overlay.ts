// Finds: packets of an overlay network (VXLAN) that find no device, no remote end, or a bad header.
// Matters: pods or machines on different hosts can't reach each other, although the hosts can.
// Misleads: while nodes come and go, forwarding tables are wrong for seconds.
// The reasons are tested by their names, since kernels before 6.13 haven't got them: there the rule is
// quiet.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "OverlayDrops",
  when: drops.where({ class: "fault" })
    .filter(["reason"], ({ reason }) => /^(VXLAN_|IP_TUNNEL_ECN$)/.test(reason))
    .by("dev", "reason").count("1m").above(60, { recovery: 5 }),
  for: "1m",
  keepFiringFor: "5m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `${value.toFixed(0)} packets of an overlay network were lost in a minute${
      labels.dev === "" ? "" : ` on ${labels.dev}`
    }: ${labels.reason}`,
  description: ({ labels }) =>
    "`ip -d link show type vxlan` shows VNIs and ports, `bridge fdb show` the remote ends: are there " +
    "nodes that are gone? The logs of the network agent (flannel, calico, cilium) on both hosts say " +
    `who writes them. \`dropwatch reason ${labels.reason}\` says more.`,
});

// Finds: TCP segments whose signature (TCP-MD5, TCP-AO) is missing, unexpected or wrong.
// Matters: BGP and LDP sessions that are signed go down, or never come up, and only one side is told.
// Misleads: a router that was just given its key fails until the other side has it as well.
// The reasons are tested by their names, so that kernels before 6.7, which lack those of TCP-AO, take
// the rule too.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "TcpSignatureFailures",
  when: drops.where({ class: "fault" })
    .filter(["reason"], ({ reason }) => /^TCP_(MD5|AO|AUTH_HDR)/.test(reason))
    .by("dev", "reason").count("5m").above(10, { recovery: 0 }),
  keepFiringFor: "5m",
  severity: "critical",
  summary: ({ value, labels }) =>
    `${value.toFixed(0)} TCP segments in five minutes were refused by their signature${
      labels.dev === "" ? "" : ` on ${labels.dev}`
    }: ${labels.reason}`,
  description: ({ labels }) =>
    `\`dropwatch tail --reason ${labels.reason}\` shows the peers. \`nstat -az | grep -E ` +
    "'TCPMD5|TCPAO'` counts them by kind; compare the keys of both sides, and `birdc show " +
    "protocols` or `vtysh -c 'show bgp summary'` for the sessions.",
});

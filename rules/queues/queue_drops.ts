// Finds: a device whose queueing discipline throws packets away: the queue is full.
// Matters: more is sent than the link or the shaper takes; everybody on it waits, and UDP is lost.
// Misleads: one bulk upload fills any queue for some seconds. What CoDel, RED and CAKE drop to slow
//   senders down has reasons of its own and isn't counted. A device without carrier drops all, too.
// The reasons are tested by their names, since kernels before 6.14 have only QDISC_DROP.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "QueueDrops",
  when: drops.where({ class: "fault" })
    .filter(["reason"], ({ reason }) => /^(QDISC|FQ)_|^qdisc\//.test(reason))
    .by("dev", "reason").rate("30s").above(100, { recovery: 20 }),
  for: "1m",
  keepFiringFor: "2m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `${labels.dev || "a device"} throws away ${value.toFixed(0)} packets/s: its queue is full ` +
    `(${labels.reason})`,
  description: ({ labels }) =>
    `\`tc -s qdisc show dev ${
      labels.dev || "DEV"
    }\` shows the queue, its limit and its drops, \`ip ` +
    "-s link` the carrier. Raise the shaper's rate or the limit; fq_codel or cake keeps one flow " +
    "from filling it. The flows of the alert name who sends.",
});

// Finds: a program of this machine that the firewall refuses to send to a port, for the first time.
// Matters: a release that needs what nobody opened, or a process that tries a way out it never took.
// Misleads: on its first day the rule only learns. What the firewall refuses of others has no program
//   and isn't counted; ports from 32768 on are left out, they are clients'.
// Run with --state: without it every start learns anew.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "FirstRefusal",
  when: drops.where({
    reason: "NETFILTER_DROP",
    owner: { not: "" },
    dport: { lt: 32768 },
  }).by("owner", "l4", "dport").first({ learn: "24h" }),
  keepFiringFor: "10m",
  severity: "info",
  summary: ({ labels }) =>
    `${labels.owner} was refused ${labels.l4} port ${labels.dport}, as never before`,
  description: ({ labels }) =>
    `The flows of the alert say where to. \`ss -anp | grep ${labels.owner}\` shows what it holds ` +
    "open, `ps -o pid,ppid,lstart,args -C " + labels.owner +
    "` since when it runs: was it changed " +
    "today? If the way is meant, add it to the output chain; if not, look at the process first.",
});

// Finds: services and containers whose packets a BPF program of their cgroup refuses:
//   IPAddressDeny= of systemd, the policy of a container agent.
// Matters: the program gets "operation not permitted" or just waits, and no firewall rule explains it.
// Misleads: a sandbox that keeps a program in is meant to refuse; a steady rate then says that the
//   program tries all the time.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "CgroupRefusesEgress",
  when: drops.where({ reason: "BPF_CGROUP_EGRESS" }).by("unit", "container").count("5m")
    .above(100, { recovery: 10 }),
  keepFiringFor: "5m",
  severity: "info",
  summary: ({ value, labels }) =>
    `${labels.container || labels.unit || "an unknown cgroup"} was refused ${
      value.toFixed(0)
    } packets in five minutes by a BPF program of its cgroup`,
  description: ({ labels }) =>
    `\`systemctl show -p IPAddressDeny -p IPAddressAllow ${labels.unit || "UNIT"}\` shows what ` +
    "systemd allows, `bpftool cgroup tree` the programs. The flows of the alert name the " +
    "destinations: allow them, or mend the program.",
});

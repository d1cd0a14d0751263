// Finds: a container whose sockets lose packets by a fault: full buffers, no memory, no route.
// Matters: it names the workload, not a port: the team to call, the limit to raise.
// Misleads: what is lost before a socket is known (a veth's queue, netfilter, a closed port) belongs to
//   no container here. Received packets have an owner since Linux 6.11: before, only sent ones count.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "ContainerLosesPackets",
  when: drops.where({ class: "fault", container: { not: "" } })
    .by("container").rate("30s").above(20, { recovery: 2 }),
  for: "30s",
  keepFiringFor: "2m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `container ${labels.container} loses ${
      value.toFixed(0)
    } packets/s that came to its sockets, or left them`,
  description: ({ labels }) =>
    `\`crictl inspect ${labels.container}\`, \`docker inspect\` or \`podman inspect\` names it. ` +
    "The alert names the reasons: `dropwatch reason NAME` says what to change. `docker stats` and " +
    "cpu.stat (nr_throttled) of its cgroup tell whether its CPU limit keeps it from reading.",
});

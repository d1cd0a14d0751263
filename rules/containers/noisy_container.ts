// Finds: a container that has most of the lost packets of a machine that loses many.
// Matters: what looks like a sick host is one workload: move it, or limit it, and the others recover.
// Misleads: drops without a socket are in the whole and belong to nobody, so the share is at least
//   this. A machine with one container has nobody else to blame.
import { drops, rule } from "dropwatch";

const lost = drops.where({ class: "fault" });

export default rule({
  alert: "ContainerHasMostDrops",
  when: lost.where({ container: { not: "" } }).by("container").count("5m")
    .over(lost.count("5m"), { min: 10_000 }).above(0.8, { recovery: 0.5 }),
  for: "1m",
  keepFiringFor: "5m",
  severity: "info",
  summary: ({ value, labels }) =>
    `container ${labels.container} has ${
      (value * 100).toFixed(0)
    } % of the packets this machine lost`,
  description: ({ labels }) =>
    `\`crictl inspect ${labels.container}\`, \`docker inspect\` or \`podman inspect\` names it, the ` +
    "flows of the alert say who sends to it. `docker update --cpus` or the pod's limits give it " +
    "more, `kubectl drain` moves the others.",
});

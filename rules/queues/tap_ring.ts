// Finds: a full ring between the kernel and what reads a tun, tap or macvtap device: a virtual
//   machine, a VPN program.
// Matters: the guest loses packets and has no counter that says so.
// Misleads: a guest that is paused, migrated or at its boot prompt reads nothing: broadcasts fill its
//   ring, at a few a second.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "TapRingFull",
  when: drops.where({ reason: "FULL_RING" }).by("dev").rate("10s").above(50, { recovery: 5 }),
  for: "20s",
  keepFiringFor: "1m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `${value.toFixed(0)} packets/s for ${
      labels.dev || "a tap device"
    } are lost: what reads it is too slow`,
  description: ({ labels }) =>
    `\`ip -s link show ${
      labels.dev || "DEV"
    }\` shows the drops and qlen; \`top -H\` whether vhost, ` +
    "qemu or the VPN program lacks CPU. Give it more, or more queues (multi_queue), or raise " +
    "txqueuelen for bursts.",
});

// Finds: Syncthing refusing packets on its own sockets, by its name.
// Matters: its local discovery (UDP 21027) and QUIC transfers (UDP 22000) stop without an error.
// Misleads: a scan of these ports is refused too; `dropwatch tail --reason SOCKET_FILTER` shows who sends.
// To watch another program, copy this file and change the name: it is the one in /proc/PID/comm.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "SyncthingSocketFilterDrops",
  when: drops.where({ reason: "SOCKET_FILTER", owner: "syncthing" })
    .by("owner", "ownerPort").rate("10s")
    .above(20, { recovery: 10 }),
  for: "10s",
  keepFiringFor: "2m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `syncthing refuses ${value.toFixed(0)} packets/s on port ${labels.ownerPort}`,
  description: "A filter on Syncthing's socket refuses packets: `ss -a --bpf -p` shows it.",
});

// Finds: sockets whose receive buffer is full: the program doesn't read as fast as packets come.
// Matters: it is data loss. UDP has no second try; DNS, metrics, logs and media suffer first.
// Misleads: a short burst after a pause of the program is the buffer doing its work. TCP doesn't
//   report its full buffers under this reason (see PROTO_MEM).
import { drops, rule } from "dropwatch";

export default rule({
  alert: "SocketReceiveBufferFull",
  when: drops.where({ reason: "SOCKET_RCVBUFF" }).by("owner", "ownerPort").rate("10s")
    .above(10, { recovery: 1 }),
  for: "10s",
  keepFiringFor: "1m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `${labels.owner || "a process that is gone"} loses ${value.toFixed(0)} packets/s on port ${
      labels.ownerPort || "unknown"
    }: its buffer is full`,
  description: "The program reads too slowly, or its buffer is too small for the bursts it gets: " +
    "`ss -uamp` shows the queue; SO_RCVBUF and net.core.rmem_max raise the limit.",
});

// Finds: lines from bpftrace, or of a capture, that can't be read.
// Matters: what they said isn't counted; nothing is guessed at. It is a defect, or a version of
//   bpftrace that nobody has tried.
// Misleads: a single line may be what was under way when bpftrace was killed.
import { health, rule } from "dropwatch";

export default rule({
  alert: "SourceUnreadable",
  when: health.where({ event: "unreadable" }).count("5m").above(5, { recovery: 0 }),
  keepFiringFor: "5m",
  severity: "warning",
  summary: ({ value }) =>
    `${value.toFixed(0)} lines of the source couldn't be read in five minutes`,
  description:
    "The log of dropwatch shows one of them. `bpftrace --version` and `dropwatch doctor` " +
    "say whether this version works here; a capture may be cut off or of another version.",
});

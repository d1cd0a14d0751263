// Finds: more combinations of labels than there is room for, in the kernel's maps or in a window.
// Matters: what is beyond isn't told apart: an alert for one address or port may be missing.
// Misleads: a flood from forged addresses does it by itself; it is over when the flood is.
import { health, rule } from "dropwatch";

export default rule({
  alert: "CardinalityLimit",
  when: health.where({ event: ["other", "refused"] }).by("event").count("1m").above(0),
  keepFiringFor: "5m",
  severity: "warning",
  summary: ({ value, labels }) =>
    `${value.toFixed(0)} drops of the last minute weren't told apart: ` +
    (labels.event === "other" ? "the kernel's map is full" : "a window is full"),
  description: ({ labels }) =>
    (labels.event === "other"
      ? "Raise --max-keys, or count by fewer fields: "
      : "Count by fields of fewer values, or over a shorter window: ") +
    "`dropwatch explain` shows by what each rule counts. Addresses and ports of strangers are the " +
    "usual cause: `dropwatch tail` shows whether a flood is under way.",
});

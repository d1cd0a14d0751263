import { ruleTest } from "dropwatch/test";
import rule from "./cardinality.ts";

ruleTest(rule, [
  {
    name: "fires for the kernel's map and for a window, each by itself",
    given: [
      { at: "10s", health: { event: "other" }, count: 900 },
      { at: "20s", health: { event: "refused" }, count: 5 },
    ],
    expect: [
      {
        at: "10s",
        state: "firing",
        labels: { event: "other" },
        value: 900,
        summary: "900 drops of the last minute weren't told apart: the kernel's map is full",
        description: /^Raise --max-keys/,
      },
      {
        at: "20s",
        state: "firing",
        labels: { event: "refused" },
        value: 5,
        summary: "5 drops of the last minute weren't told apart: a window is full",
        description: /^Count by fields of fewer values/,
      },
    ],
  },
  {
    name: "leaves alone what was lost altogether",
    given: [{ at: "20s", lost: 7 }, { at: "30s", health: { event: "lost" }, count: 7 }],
    expect: [{ at: "20s", state: "inactive" }, { at: "30s", state: "inactive" }],
  },
  {
    name: "is resolved five minutes after they left the window",
    given: [{ at: "10s", health: { event: "other" }, count: 1 }],
    expect: [{ at: "6m8s", state: "firing" }, { at: "6m9s", state: "inactive" }],
  },
]);

import { ruleTest } from "dropwatch/test";
import rule from "./events_lost.ts";

ruleTest(rule, [
  {
    name: "fires with the first, and tells how many",
    given: [
      { at: "10s", health: { event: "lost" }, count: 300 },
      { at: "30s", health: { event: "lost" }, count: 41 },
    ],
    expect: [
      { at: "9s", state: "inactive" },
      { at: "10s", state: "firing", value: 300 },
      {
        at: "30s",
        state: "firing",
        value: 341,
        summary: "341 drops of the last minute are in no number (341 since it began)",
      },
    ],
  },
  {
    name: "sees what a tick itself lost",
    given: [{ at: "20s", lost: 7 }],
    expect: [{ at: "19s", state: "inactive" }, { at: "20s", state: "firing", value: 7 }],
  },
  {
    name: "leaves alone what only wasn't told apart",
    given: [{ at: "20s", other: 7 }, { at: "30s", health: { event: "refused" }, count: 7 }],
    expect: [{ at: "20s", state: "inactive" }, { at: "30s", state: "inactive" }],
  },
  {
    name: "is resolved five minutes after they left the window",
    given: [{ at: "10s", health: { event: "lost" }, count: 1 }],
    expect: [{ at: "6m8s", state: "firing" }, { at: "6m9s", state: "inactive" }],
  },
]);

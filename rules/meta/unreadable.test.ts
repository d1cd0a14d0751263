import { ruleTest } from "dropwatch/test";
import rule from "./unreadable.ts";

const health = { event: "unreadable" } as const;

ruleTest(rule, [
  {
    name: "fires with the sixth in five minutes",
    given: [{ at: "10s", health, count: 5 }, { at: "20s", health }],
    expect: [
      { at: "10s", state: "inactive" },
      {
        at: "20s",
        state: "firing",
        value: 6,
        summary: "6 lines of the source couldn't be read in five minutes",
      },
    ],
  },
  {
    name: "leaves the line alone that was cut off with bpftrace",
    given: [{ at: "10s", health }, { at: "3m", health }],
    expect: [{ at: "10s", state: "inactive" }, { at: "4m", state: "inactive" }],
  },
  {
    name: "is resolved five minutes after they left the window",
    given: [{ at: "10s", health, count: 9 }],
    expect: [{ at: "10m8s", state: "firing" }, { at: "10m9s", state: "inactive" }],
  },
]);

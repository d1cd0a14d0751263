import { ruleTest } from "dropwatch/test";
import rule from "./tap_ring.ts";

const drop = { reason: "FULL_RING", dev: "tap7" } as const;

ruleTest(rule, [
  {
    name: "fires for the guest that doesn't read",
    given: [{ from: 0, to: "1m", drop, rate: 100 }],
    expect: [
      { at: "5s", state: "inactive" },
      { at: "6s", state: "pending", value: 60 },
      {
        at: "26s",
        state: "firing",
        labels: { dev: "tap7" },
        value: 100,
        summary: "100 packets/s for tap7 are lost: what reads it is too slow",
        description: /^`ip -s link show tap7` /,
      },
    ],
  },
  {
    name: "leaves broadcasts to a guest alone that is paused, and a burst",
    given: [{ from: 0, to: "1m", drop, rate: 50 }, { at: "2m", drop, count: 5000 }],
    expect: [{ at: "1m", state: "inactive" }, { at: "2m30s", state: "inactive" }],
  },
  {
    name: "is resolved a minute after it fell to five a second",
    given: [{ from: 0, to: "1m", drop, rate: 100 }],
    expect: [{ at: "2m8s", state: "firing" }, { at: "2m9s", state: "inactive" }],
  },
]);

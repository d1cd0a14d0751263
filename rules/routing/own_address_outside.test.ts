import { ruleTest } from "dropwatch/test";
import rule from "./own_address_outside.ts";

const drop = { reason: "IP_LOCAL_SOURCE", dev: "eth0" } as const;

ruleTest(rule, [
  {
    name: "fires with more than fifty in five minutes",
    given: [{ at: "1m", drop, count: 50 }, { at: "2m", drop, count: 1 }],
    expect: [
      { at: "1m", state: "inactive" },
      {
        at: "2m",
        state: "firing",
        labels: { dev: "eth0" },
        value: 51,
        summary:
          "51 packets in five minutes came in on eth0 from one of this machine's own addresses",
      },
    ],
  },
  {
    name: "leaves a few alone, and other faults",
    given: [
      { from: 0, to: "10m", drop, rate: 0.1 },
      { from: 0, to: "10m", drop: { ...drop, reason: "IP_INADDRERRORS" }, rate: 50 },
    ],
    expect: [{ at: "5m", state: "inactive" }, { at: "10m", state: "inactive" }],
  },
  {
    name: "is resolved five minutes after they left the window",
    given: [{ at: "1m", drop, count: 80 }],
    expect: [{ at: "10m58s", state: "firing" }, { at: "10m59s", state: "inactive" }],
  },
]);

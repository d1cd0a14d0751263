import { ruleTest } from "dropwatch/test";
import rule from "./reverse_path.ts";

const drop = { reason: "IP_RPFILTER", dev: "eth1" } as const;

ruleTest(rule, [
  {
    name: "fires with more than 300 in five minutes",
    given: [{ from: 0, to: "10m", drop, rate: 2 }],
    expect: [
      { at: "2m30s", state: "inactive" },
      {
        at: "2m31s",
        state: "firing",
        labels: { dev: "eth1" },
        value: 302,
        summary:
          "302 packets in five minutes came in on eth1 from sources that aren't routed there",
      },
    ],
  },
  {
    name: "leaves a few a minute alone, and one a second",
    given: [
      { from: 0, to: "20m", drop, rate: 0.1 },
      { from: "10m", to: "20m", drop: { ...drop, dev: "eth0" }, rate: 1 },
    ],
    expect: [{ at: "9m", state: "inactive" }, { at: "20m", state: "inactive" }],
  },
  {
    name: "is resolved five minutes after sixty were left in the window",
    given: [{ from: 0, to: "10m", drop, rate: 2 }],
    expect: [{ at: "19m28s", state: "firing" }, { at: "19m29s", state: "inactive" }],
  },
]);

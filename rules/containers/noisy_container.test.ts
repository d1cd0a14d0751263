import { ruleTest } from "dropwatch/test";
import rule from "./noisy_container.ts";

const drop = { reason: "SOCKET_RCVBUFF", container: "4f1d2c3b4a59" } as const;
const others = { reason: "SOCKET_RCVBUFF", container: "" } as const;

ruleTest(rule, [
  {
    name: "fires for the container that has most of many",
    given: [
      { from: 0, to: "10m", drop, rate: 90 },
      { from: 0, to: "10m", drop: others, rate: 10 },
    ],
    expect: [
      { at: "1m39s", state: "inactive" },
      { at: "1m40s", state: "pending", value: 0.9 },
      {
        at: "2m40s",
        state: "firing",
        labels: { container: "4f1d2c3b4a59" },
        value: 0.9,
        summary: "container 4f1d2c3b4a59 has 90 % of the packets this machine lost",
      },
    ],
  },
  {
    name: "leaves a share of 80 % alone, and most of few",
    given: [
      { from: 0, to: "10m", drop, rate: 80 },
      { from: 0, to: "10m", drop: others, rate: 20 },
      { from: "20m", to: "30m", drop, rate: 33 },
    ],
    expect: [{ at: "10m", state: "inactive" }, { at: "30m", state: "inactive" }],
  },
  {
    name: "is resolved five minutes after its share fell to a half",
    given: [
      { from: 0, to: "10m", drop, rate: 100 },
      { from: "10m", to: "30m", drop: others, rate: 100 },
    ],
    expect: [{ at: "17m28s", state: "firing" }, { at: "17m29s", state: "inactive" }],
  },
]);

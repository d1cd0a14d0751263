import { ruleTest } from "dropwatch/test";
import rule from "./neighbour_failures.ts";

const drop = { reason: "NEIGH_FAILED", daddr: "192.0.2.1" } as const;

ruleTest(rule, [
  {
    name: "fires for the neighbour that doesn't answer",
    given: [
      { from: 0, to: "2m", drop, rate: 1 },
      { from: 0, to: "2m", drop: { ...drop, reason: "NEIGH_QUEUEFULL" }, rate: 2 },
    ],
    expect: [
      { at: "6s", state: "inactive" },
      { at: "7s", state: "pending", value: 21 },
      {
        at: "17s",
        state: "firing",
        labels: { daddr: "192.0.2.1" },
        value: 51,
        summary: "51 packets to 192.0.2.1 in a minute were given up: nobody answers for it",
      },
    ],
  },
  {
    name: "leaves twenty a minute alone, and neighbours that are being deleted",
    given: [
      { at: "1m", drop, count: 20 },
      { from: 0, to: "2m", drop: { ...drop, reason: "NEIGH_DEAD" }, rate: 50 },
    ],
    expect: [{ at: "1m", state: "inactive" }, { at: "2m", state: "inactive" }],
  },
  {
    name: "is resolved two minutes after twenty were left in the window",
    given: [{ from: 0, to: "2m", drop, rate: 1 }],
    expect: [{ at: "4m38s", state: "firing" }, { at: "4m39s", state: "inactive" }],
  },
]);

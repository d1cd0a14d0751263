import { ruleTest } from "dropwatch/test";
import rule from "./receiver_stalls.ts";

const drop = { reason: "TCP_ZEROWINDOW", owner: "backup", ownerPort: 873 } as const;

ruleTest(rule, [
  {
    name: "fires for the program that doesn't read, whatever the window says",
    given: [
      { from: 0, to: "2m", drop, rate: 2 },
      { from: 0, to: "2m", drop: { ...drop, reason: "TCP_OVERWINDOW" }, rate: 1 },
      { from: 0, to: "2m", drop: { ...drop, reason: "TCP_OFO_QUEUE_PRUNE" }, rate: 1 },
    ],
    expect: [
      { at: "30s", state: "inactive" },
      { at: "31s", state: "pending", value: 124 },
      {
        at: "1m1s",
        state: "firing",
        labels: { owner: "backup", ownerPort: "873" },
        value: 240,
        summary: "backup doesn't read its connections on port 873: 240 packets thrown away in a " +
          "minute",
      },
    ],
  },
  {
    name: "leaves probes of closed windows alone, and duplicates",
    given: [
      { from: 0, to: "3m", drop, rate: 2 },
      { from: 0, to: "3m", drop: { ...drop, reason: "TCP_OLD_DATA" }, rate: 500 },
    ],
    expect: [{ at: "2m", state: "inactive" }, { at: "3m", state: "inactive" }],
  },
  {
    name: "is resolved two minutes after thirty were left in the window",
    given: [{ from: 0, to: "2m", drop, rate: 5 }],
    expect: [{ at: "4m52s", state: "firing" }, { at: "4m53s", state: "inactive" }],
  },
]);

import { ruleTest } from "dropwatch/test";
import rule from "./socket_rcvbuff.ts";

const drop = { reason: "SOCKET_RCVBUFF", owner: "named", ownerPort: 53 } as const;

ruleTest(rule, [
  {
    name: "fires for the program that reads too slowly",
    given: [{ from: 0, to: "1m", drop, rate: 20 }],
    expect: [
      { at: "5s", state: "inactive" },
      { at: "6s", state: "pending", value: 12 },
      {
        at: "16s",
        state: "firing",
        labels: { owner: "named", ownerPort: "53" },
        value: 20,
        summary: "named loses 20 packets/s on port 53: its buffer is full",
      },
    ],
  },
  {
    name: "leaves ten a second alone, and a burst of any size",
    given: [{ from: 0, to: "1m", drop, rate: 10 }, { at: "2m", drop, count: 5000 }],
    expect: [
      { at: "1m", state: "inactive" },
      { at: "2m9s", state: "pending", value: 500 },
      { at: "2m10s", state: "inactive" },
      { at: "3m", state: "inactive" },
    ],
  },
  {
    name: "is resolved a minute after there was less than one a second",
    given: [{ from: 0, to: "30s", drop, rate: 20 }],
    expect: [{ at: "1m38s", state: "firing" }, { at: "1m39s", state: "inactive" }],
  },
]);

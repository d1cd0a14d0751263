import { ruleTest } from "dropwatch/test";
import rule from "./socket_backlog.ts";

const drop = { reason: "SOCKET_BACKLOG", owner: "rsync", ownerPort: 873 } as const;

ruleTest(rule, [
  {
    name: "fires for the program that holds its socket too long",
    given: [{ from: 0, to: "1m", drop, rate: 20 }],
    expect: [
      { at: "5s", state: "inactive" },
      { at: "6s", state: "pending", value: 12 },
      {
        at: "26s",
        state: "firing",
        labels: { owner: "rsync", ownerPort: "873" },
        value: 20,
        summary: "rsync loses 20 packets/s on port 873: they come faster than it lets go of the " +
          "socket",
      },
    ],
  },
  {
    name: "leaves ten a second alone, and a burst",
    given: [{ from: 0, to: "1m", drop, rate: 10 }, { at: "2m", drop, count: 5000 }],
    expect: [
      { at: "1m", state: "inactive" },
      { at: "2m5s", state: "pending" },
      { at: "2m30s", state: "inactive" },
    ],
  },
  {
    name: "is resolved a minute after there was less than one a second",
    given: [{ from: 0, to: "40s", drop, rate: 20 }],
    expect: [{ at: "1m48s", state: "firing" }, { at: "1m49s", state: "inactive" }],
  },
]);

import { ruleTest } from "dropwatch/test";
import rule from "./wrong_address.ts";

const drop = { reason: "IP_INADDRERRORS", dev: "eth0" } as const;

ruleTest(rule, [
  {
    name: "fires when they go on for a minute",
    given: [{ from: 0, to: "3m", drop, rate: 5 }],
    expect: [
      { at: "24s", state: "inactive" },
      { at: "25s", state: "pending", value: 125 },
      {
        at: "1m25s",
        state: "firing",
        labels: { dev: "eth0" },
        value: 300,
        summary:
          "300 packets in a minute came in on eth0 for addresses that this machine hasn't got",
      },
    ],
  },
  {
    name: "leaves two a second alone, and a failover",
    given: [{ from: 0, to: "3m", drop, rate: 2 }, { at: "5m", drop, count: 2000 }],
    expect: [
      { at: "3m", state: "inactive" },
      { at: "5m30s", state: "pending" },
      { at: "6m", state: "inactive" },
      { at: "7m", state: "inactive" },
    ],
  },
  {
    name: "is resolved five minutes after twenty were left in the window",
    given: [{ from: 0, to: "3m", drop, rate: 5 }],
    expect: [{ at: "8m54s", state: "firing" }, { at: "8m55s", state: "inactive" }],
  },
]);

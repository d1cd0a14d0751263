import { ruleTest } from "dropwatch/test";
import rule from "./unexplained_loss.ts";

const drop = {
  reason: "NOT_SPECIFIED",
  l4: "TCP",
  retransmitted: "yes",
  dev: "eth0",
} as const;

ruleTest(rule, [
  {
    name: "fires when TCP sends again after more than sixty a minute, for half a minute",
    given: [{ from: 0, to: "2m", drop, rate: 2 }],
    expect: [
      { at: "30s", state: "inactive" },
      { at: "31s", state: "pending", value: 62 },
      {
        at: "1m1s",
        state: "firing",
        labels: { dev: "eth0" },
        value: 120,
        summary: "TCP had to send again after 120 drops in a minute on eth0 that have no reason",
      },
    ],
  },
  {
    name: "leaves sixty a minute alone, what nobody missed, and what has a reason",
    given: [
      { from: 0, to: "3m", drop, rate: 1 },
      { from: 0, to: "3m", drop: { ...drop, retransmitted: "no" }, rate: 500 },
      { from: 0, to: "3m", drop: { ...drop, reason: "QDISC_DROP" }, rate: 500 },
    ],
    expect: [{ at: "1m30s", state: "inactive" }, { at: "3m", state: "inactive" }],
  },
  {
    name: "is resolved two minutes after ten were left in the window",
    given: [{ from: 0, to: "2m", drop, rate: 2 }],
    expect: [{ at: "4m53s", state: "firing" }, { at: "4m54s", state: "inactive" }],
  },
]);

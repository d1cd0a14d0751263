import { ruleTest } from "dropwatch/test";
import rule from "./firewall_hurts_tcp.ts";

const drop = {
  reason: "NETFILTER_DROP",
  l4: "TCP",
  retransmitted: "yes",
  daddr: "192.0.2.9",
  dport: 5432,
} as const;

ruleTest(rule, [
  {
    name: "fires when TCP sent again after more than twenty drops of a minute",
    given: [{ from: 0, to: "2m", drop, rate: 1 }],
    expect: [
      { at: "20s", state: "inactive" },
      { at: "21s", state: "pending", value: 21 },
      {
        at: "31s",
        state: "firing",
        labels: { daddr: "192.0.2.9", dport: "5432" },
        value: 31,
        summary: "the firewall dropped 31 packets to 192.0.2.9 port 5432 in a minute that TCP " +
          "sent again",
        description: /^`ss -tnp state syn-sent dst 192\.0\.2\.9` /,
      },
    ],
  },
  {
    name: "leaves twenty a minute alone, and what nobody sent again",
    given: [
      { at: "1m", drop, count: 20 },
      { from: 0, to: "3m", drop: { ...drop, retransmitted: "no" }, rate: 100 },
      { from: 0, to: "3m", drop: { ...drop, l4: "UDP", retransmitted: "" }, rate: 100 },
    ],
    expect: [{ at: "1m", state: "inactive" }, { at: "3m", state: "inactive" }],
  },
  {
    name: "is resolved five minutes after five were left in the window",
    given: [{ from: 0, to: "2m", drop, rate: 1 }],
    expect: [{ at: "7m53s", state: "firing" }, { at: "7m54s", state: "inactive" }],
  },
]);

import { ruleTest } from "dropwatch/test";
import rule from "./netfilter_share.ts";

const refused = { reason: "NETFILTER_DROP" } as const;
const closed = { reason: "NO_SOCKET" } as const;

ruleTest(rule, [
  {
    name: "fires when the firewall makes most of the drops for a minute",
    given: [{ from: 0, to: "3m", drop: refused, rate: 45 }, {
      from: 0,
      to: "3m",
      drop: closed,
      rate: 5,
    }],
    expect: [
      { at: "9s", state: "inactive" },
      { at: "10s", state: "pending", value: 0.9 },
      {
        at: "1m10s",
        state: "firing",
        value: 0.9,
        summary: "the firewall makes 90 % of all drops",
      },
    ],
  },
  {
    name: "leaves a share of 80 % alone, and fewer drops than it can be told from",
    given: [
      { from: 0, to: "3m", drop: refused, rate: 8 },
      { from: 0, to: "1m", drop: closed, rate: 2 },
    ],
    // After the first minute only eight a second are left: 480.
    expect: [{ at: "1m", state: "inactive" }, { at: "3m", state: "inactive" }],
  },
  {
    name: "doesn't count what is torn down, or dropped as protocols do",
    given: [
      { from: 0, to: "3m", drop: refused, rate: 20 },
      { from: 0, to: "3m", drop: { reason: "TCP_OLD_DATA" }, rate: 500 },
      { from: 0, to: "3m", drop: { reason: "QUEUE_PURGE" }, rate: 500 },
    ],
    expect: [{ at: "2m", state: "firing", value: 1 }],
  },
  {
    name: "is resolved five minutes after its share fell to a half",
    given: [
      { from: 0, to: "3m", drop: refused, rate: 50 },
      { from: "3m", to: "20m", drop: refused, rate: 20 },
      { from: "3m", to: "20m", drop: closed, rate: 40 },
    ],
    // At 3m42s it is 50 · 18 + 20 · 42 = 1740 against 40 · 42 = 1680, for the last time.
    expect: [{ at: "8m41s", state: "firing" }, { at: "8m42s", state: "inactive" }],
  },
]);

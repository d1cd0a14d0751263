import { ruleTest } from "dropwatch/test";
import rule from "./late_dns_replies.ts";

const drop = { reason: "NO_SOCKET", l4: "UDP", sport: 53, saddr: "192.0.2.53" } as const;

ruleTest(rule, [
  {
    name: "fires with the 301st in five minutes, of all servers together",
    given: [
      { at: "1m", drop, count: 150 },
      { at: "2m", drop: { ...drop, saddr: "192.0.2.54" }, count: 150 },
      { at: "3m", drop, count: 1 },
    ],
    expect: [
      { at: "2m", state: "inactive" },
      {
        at: "3m",
        state: "firing",
        value: 301,
        summary: "301 DNS answers in five minutes came after nobody waited for them any more",
      },
    ],
  },
  {
    name: "leaves one a second alone, and packets from other ports",
    given: [
      { from: 0, to: "10m", drop, rate: 1 },
      { from: 0, to: "10m", drop: { ...drop, sport: 123 }, rate: 50 },
    ],
    expect: [{ at: "6m", state: "inactive" }, { at: "10m", state: "inactive" }],
  },
  {
    name: "is resolved five minutes after they left the window",
    given: [{ at: "1m", drop, count: 400 }],
    expect: [{ at: "10m58s", state: "firing" }, { at: "10m59s", state: "inactive" }],
  },
]);

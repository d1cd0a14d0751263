import { ruleTest } from "dropwatch/test";
import rule from "./routing_loop.ts";

const drop = { reason: "IP_INHDR", dev: "eth1" } as const;

ruleTest(rule, [
  {
    name: "fires when many packets end here for half a minute",
    given: [{ from: 0, to: "2m", drop, rate: 60 }],
    expect: [
      { at: "10s", state: "inactive" },
      { at: "11s", state: "pending", value: 22 },
      {
        at: "41s",
        state: "firing",
        labels: { dev: "eth1" },
        value: 60,
        summary: "60 packets/s from eth1 end here with no hops left, or a bad header",
      },
    ],
  },
  {
    name: "leaves twenty a second alone, and a traceroute",
    given: [{ from: 0, to: "2m", drop, rate: 20 }, { at: "3m", drop, count: 90 }],
    expect: [{ at: "2m", state: "inactive" }, { at: "3m10s", state: "inactive" }],
  },
  {
    name: "is resolved two minutes after it fell to five a second",
    given: [{ from: 0, to: "2m", drop, rate: 60 }],
    expect: [{ at: "4m26s", state: "firing" }, { at: "4m27s", state: "inactive" }],
  },
]);

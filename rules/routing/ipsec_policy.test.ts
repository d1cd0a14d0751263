import { ruleTest } from "dropwatch/test";
import rule from "./ipsec_policy.ts";

const drop = { reason: "XFRM_POLICY", dev: "eth0" } as const;

ruleTest(rule, [
  {
    name: "fires when they go on for half a minute",
    given: [{ from: 0, to: "2m", drop, rate: 10 }],
    expect: [
      { at: "6s", state: "inactive" },
      { at: "7s", state: "pending", value: 70 },
      {
        at: "37s",
        state: "firing",
        labels: { dev: "eth0" },
        value: 370,
        summary: "370 packets in a minute on eth0 don't fit any IPsec policy",
      },
    ],
  },
  {
    name: "leaves one a second alone, and a new key",
    given: [{ from: 0, to: "2m", drop, rate: 1 }, { at: "3m", drop, count: 60 }],
    expect: [{ at: "2m", state: "inactive" }, { at: "4m", state: "inactive" }],
  },
  {
    name: "is resolved five minutes after ten were left in the window",
    given: [{ from: 0, to: "2m", drop, rate: 10 }],
    expect: [{ at: "7m57s", state: "firing" }, { at: "7m58s", state: "inactive" }],
  },
]);

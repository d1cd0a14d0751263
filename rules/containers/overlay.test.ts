import { ruleTest } from "dropwatch/test";
import rule from "./overlay.ts";

const drop = { reason: "VXLAN_VNI_NOT_FOUND", dev: "eth0" } as const;

ruleTest(rule, [
  {
    name: "fires when they go on for a minute",
    given: [{ from: 0, to: "3m", drop, rate: 4 }],
    expect: [
      { at: "15s", state: "inactive" },
      { at: "16s", state: "pending", value: 64 },
      {
        at: "1m16s",
        state: "firing",
        labels: { dev: "eth0", reason: "VXLAN_VNI_NOT_FOUND" },
        value: 240,
        summary: "240 packets of an overlay network were lost in a minute on eth0: " +
          "VXLAN_VNI_NOT_FOUND",
      },
    ],
  },
  {
    name: "leaves one a second alone, a node that comes, and other faults",
    given: [
      { from: 0, to: "3m", drop, rate: 1 },
      { at: "4m", drop: { ...drop, reason: "VXLAN_NO_REMOTE" }, count: 2000 },
      { from: 0, to: "5m", drop: { ...drop, reason: "TCP_CSUM" }, rate: 100 },
    ],
    expect: [{ at: "3m", state: "inactive" }, { at: "5m", state: "inactive" }],
  },
  {
    name: "is resolved five minutes after five were left in the window",
    given: [{ from: 0, to: "3m", drop, rate: 4 }],
    expect: [{ at: "8m57s", state: "firing" }, { at: "8m58s", state: "inactive" }],
  },
]);

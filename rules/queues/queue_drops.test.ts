import { ruleTest } from "dropwatch/test";
import rule from "./queue_drops.ts";

const drop = { reason: "QDISC_DROP", dev: "eth0" } as const;

ruleTest(rule, [
  {
    name: "fires for the device whose queue is full, whatever the kernel calls it",
    given: [
      { from: 0, to: "2m", drop, rate: 200 },
      { from: 0, to: "2m", drop: { reason: "FQ_FLOW_LIMIT", dev: "eth1" }, rate: 200 },
    ],
    expect: [
      { at: "15s", state: "inactive" },
      { at: "16s", state: "pending", labels: { dev: "eth0" } },
      {
        at: "1m16s",
        state: "firing",
        labels: { dev: "eth0" },
        value: 200,
        summary: "eth0 throws away 200 packets/s: its queue is full (QDISC_DROP)",
        description: /^`tc -s qdisc show dev eth0` /,
      },
      { at: "1m16s", state: "firing", labels: { dev: "eth1", reason: "FQ_FLOW_LIMIT" } },
    ],
  },
  {
    name: "leaves a hundred a second alone, a burst, and what CoDel and CAKE drop",
    given: [
      { from: 0, to: "2m", drop, rate: 100 },
      { from: "2m", to: "2m15s", drop, rate: 400 },
      { from: 0, to: "4m", drop: { ...drop, reason: "QDISC_CONGESTED" }, rate: 500 },
      { from: 0, to: "4m", drop: { ...drop, reason: "CAKE_FLOOD" }, rate: 500 },
      { from: 0, to: "4m", drop: { ...drop, reason: "TCP_ZEROWINDOW" }, rate: 500 },
    ],
    expect: [
      { at: "2m", state: "inactive" },
      { at: "2m15s", state: "pending" },
      { at: "2m50s", state: "inactive" },
      { at: "4m", state: "inactive" },
    ],
  },
  {
    name: "is resolved two minutes after it fell to twenty a second",
    given: [{ from: 0, to: "2m", drop, rate: 200 }],
    expect: [{ at: "4m25s", state: "firing" }, { at: "4m26s", state: "inactive" }],
  },
]);

import { ruleTest } from "dropwatch/test";
import rule from "./cpu_backlog.ts";

const drop = { reason: "CPU_BACKLOG", cpu: 3 } as const;

ruleTest(rule, [
  {
    name: "fires for the CPU that can't keep up",
    given: [{ from: 0, to: "1m", drop, rate: 5 }],
    expect: [
      { at: "2s", state: "inactive" },
      { at: "3s", state: "pending", value: 1.5 },
      {
        at: "8s",
        state: "firing",
        labels: { cpu: "3" },
        value: 4,
        summary: "CPU 3 throws away 4 packets/s: its backlog is full",
      },
    ],
  },
  {
    name: "leaves one a second alone",
    given: [{ from: 0, to: "1m", drop, rate: 1 }],
    expect: [{ at: "1m", state: "inactive" }],
  },
  {
    name: "is resolved a minute after it fell to one a second",
    given: [{ from: 0, to: "1m", drop, rate: 5 }],
    expect: [{ at: "2m6s", state: "firing" }, { at: "2m7s", state: "inactive" }],
  },
]);

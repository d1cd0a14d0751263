import { ruleTest } from "dropwatch/test";
import rule from "./closed_port_rise.ts";

const drop = { reason: "NO_SOCKET", l4: "TCP", dport: 8080 } as const;

ruleTest(rule, [
  {
    name: "fires when a port gets far more than it usually does, for two minutes",
    given: [
      { from: 0, to: "50m", drop, rate: 1 },
      { from: "40m", to: "50m", drop, rate: 19 },
    ],
    expect: [
      { at: "40m", state: "inactive" },
      { at: "40m50s", state: "pending" },
      {
        at: "43m",
        state: "firing",
        labels: { l4: "TCP", dport: "8080" },
        value: 1200,
        summary: "1200 packets in a minute for TCP port 8080, where nobody listens: at least ten " +
          "times the usual",
      },
    ],
  },
  {
    name: "leaves nine times the usual alone, and a restart of ten seconds",
    given: [
      { from: 0, to: "50m", drop, rate: 2 },
      { from: "40m", to: "50m", drop, rate: 16 },
      { from: "40m", to: "40m10s", drop: { ...drop, dport: 443 }, rate: 500 },
    ],
    expect: [
      { at: "40m20s", state: "pending", labels: { dport: "443" } },
      { at: "42m", state: "inactive" },
      { at: "45m", state: "inactive" },
    ],
  },
  {
    name: "leaves fewer than 300 in a minute alone, and the ports of clients",
    given: [
      { from: "40m", to: "50m", drop, rate: 4.9 },
      { from: "40m", to: "50m", drop: { ...drop, dport: 40000 }, rate: 500 },
    ],
    expect: [{ at: "45m", state: "inactive" }],
  },
  {
    name: "says nothing before it knows what is usual",
    given: [{ from: 0, to: "31m", drop, rate: 20 }],
    expect: [{ at: "20m", state: "inactive" }, { at: "31m", state: "inactive" }],
  },
  {
    name: "is resolved two minutes after the service is back",
    given: [{ from: "40m", to: "44m", drop, rate: 20 }],
    // 300 are still in the window 45 seconds later.
    expect: [{ at: "46m44s", state: "firing" }, { at: "46m45s", state: "inactive" }],
  },
]);

import { ruleTest } from "dropwatch/test";
import rule from "./closed_port_rise.ts";

/** Three hours of ticks of a second would take their time. */
const interval = "5s";
const drop = { reason: "NO_SOCKET", l4: "TCP", dport: 8080 } as const;

ruleTest(rule, [
  {
    name: "fires when a port gets far more than it usually does, for two minutes",
    given: [
      { from: 0, to: "3h20m", drop, rate: 1 },
      { from: "3h10m", to: "3h20m", drop, rate: 19 },
    ],
    expect: [
      { at: "3h10m", state: "inactive" },
      { at: "190m50s", state: "pending" },
      {
        at: "3h13m",
        state: "firing",
        labels: { l4: "TCP", dport: "8080" },
        value: 1200,
        summary:
          "1200 packets in a minute for TCP port 8080, where nobody listens: at least five " +
          "times the usual",
      },
    ],
    interval,
  },
  {
    name: "leaves four times the usual alone, and a restart of ten seconds",
    given: [
      { from: 0, to: "3h15m", drop, rate: 5 },
      { from: "3h10m", to: "3h15m", drop, rate: 15 },
      { from: "3h10m", to: "190m10s", drop: { ...drop, dport: 443 }, rate: 500 },
    ],
    expect: [
      { at: "190m20s", state: "pending", labels: { dport: "443" } },
      { at: "3h12m", state: "inactive" },
      { at: "3h15m", state: "inactive" },
    ],
    interval,
  },
  {
    name: "leaves fewer than 300 in a minute alone, and the ports of clients",
    given: [
      { from: "3h10m", to: "3h20m", drop, rate: 4.9 },
      { from: "3h10m", to: "3h20m", drop: { ...drop, dport: 40000 }, rate: 500 },
    ],
    expect: [{ at: "3h12m", state: "inactive" }, { at: "3h20m", state: "inactive" }],
    interval,
  },
  {
    name: "says nothing before it knows what is usual",
    given: [{ from: "1h", to: "1h30m", drop, rate: 20 }],
    expect: [{ at: "1h20m", state: "inactive" }],
    interval,
  },
  {
    name: "is resolved five minutes after the service is back",
    given: [{ from: "3h10m", to: "3h14m", drop, rate: 20 }],
    // 300 are still in the window 45 seconds later.
    expect: [{ at: "199m40s", state: "firing" }, { at: "199m45s", state: "inactive" }],
    interval,
  },
]);

import { ruleTest } from "dropwatch/test";
import rule from "./first_refusal.ts";

const drop = {
  reason: "NETFILTER_DROP",
  owner: "billing",
  l4: "TCP",
  dport: 5432,
} as const;

ruleTest(rule, [
  {
    name: "fires with the first packet to a port, after a day",
    given: [
      { at: "1h", drop, count: 10 },
      { at: "24h10m", drop, count: 10 },
      { at: "24h20m", drop: { ...drop, dport: 6379 }, count: 3 },
    ],
    expect: [
      { at: "1h", state: "inactive" },
      { at: "24h10m", state: "inactive" },
      {
        at: "24h20m",
        state: "firing",
        labels: { owner: "billing", l4: "TCP", dport: "6379" },
        value: 3,
        summary: "billing was refused TCP port 6379, as never before",
      },
      { at: "1469m", state: "firing" },
      { at: "1470m", state: "inactive" },
    ],
    interval: "1m",
  },
  {
    name: "leaves alone what is refused of strangers, and what goes to clients' ports",
    given: [
      { at: "5m", drop, count: 1 },
      { at: "25h", drop: { ...drop, owner: "", dport: 23 }, count: 100 },
      { at: "25h", drop: { ...drop, dport: 40000 }, count: 100 },
      { at: "25h", drop: { ...drop, reason: "NO_SOCKET", dport: 22 }, count: 100 },
    ],
    expect: [{ at: "25h", state: "inactive" }],
    interval: "1m",
  },
  {
    name: "remembers over restarts what it has seen",
    given: [
      { at: "1h", drop, count: 1 },
      { at: "24h", restart: true },
      { at: "25h", drop, count: 1 },
      { at: "25h", drop: { ...drop, dport: 22 }, count: 1 },
    ],
    expect: [{ at: "25h", state: "firing", labels: { dport: "22" } }, {
      at: "25h",
      state: "inactive",
      labels: { dport: "5432" },
    }],
    interval: "1m",
  },
]);

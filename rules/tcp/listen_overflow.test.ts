import { ruleTest } from "dropwatch/test";
import rule from "./listen_overflow.ts";

const drop = { reason: "TCP_LISTEN_OVERFLOW", owner: "nginx", dport: 443 } as const;

ruleTest(rule, [
  {
    name: "fires with the sixth connection of a minute, at once",
    given: [{ at: "10s", drop, count: 5 }, { at: "30s", drop, count: 1 }],
    expect: [
      { at: "10s", state: "inactive" },
      {
        at: "30s",
        state: "firing",
        labels: { owner: "nginx", dport: "443" },
        value: 6,
        summary:
          "nginx turned away 6 connections to port 443 in a minute: its accept queue is full",
      },
    ],
  },
  {
    name: "leaves five a minute alone",
    given: [{ at: "10s", drop, count: 5 }, { at: "1m10s", drop, count: 5 }],
    expect: [{ at: "1m9s", state: "inactive" }, { at: "1m10s", state: "inactive" }],
  },
  {
    name: "is resolved five minutes after they left the window",
    given: [{ at: "10s", drop, count: 10 }],
    expect: [{ at: "6m8s", state: "firing" }, { at: "6m9s", state: "inactive" }],
  },
]);

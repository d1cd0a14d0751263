import { ruleTest } from "dropwatch/test";
import rule from "./socket_filter.ts";

const drop = { reason: "SOCKET_FILTER", owner: "collector", ownerPort: 5514 } as const;

ruleTest(rule, [
  {
    name: "fires for the program that refuses, and says on which port",
    given: [{ from: 0, to: "1m", drop, rate: 110 }],
    expect: [
      { at: "9s", state: "inactive" },
      { at: "10s", state: "pending", labels: { owner: "collector", ownerPort: "5514" } },
      {
        at: "20s",
        state: "firing",
        value: 110,
        summary: "collector refuses 110 packets/s on port 5514",
      },
    ],
  },
  {
    name: "names no one where the process is gone",
    given: [{ from: 0, to: "30s", drop: { reason: "SOCKET_FILTER" }, rate: 200 }],
    expect: [{
      at: "20s",
      state: "firing",
      summary: "a process that is gone refuses 200 packets/s on port unknown",
    }],
  },
  {
    name: "leaves a hundred a second alone, bursts, and what another rule watches",
    given: [
      { from: 0, to: "2m", drop, rate: 100 },
      { at: "3m", drop, count: 2000 },
      { from: 0, to: "3m", drop: { ...drop, owner: "syncthing" }, rate: 500 },
    ],
    expect: [
      { at: "2m", state: "inactive" },
      { at: "3m5s", state: "pending" },
      { at: "3m20s", state: "inactive" },
    ],
  },
  {
    name: "is resolved a minute after it went on for the last time",
    given: [{ from: 0, to: "30s", drop, rate: 110 }],
    expect: [{ at: "1m34s", state: "firing" }, { at: "1m35s", state: "inactive" }],
  },
]);

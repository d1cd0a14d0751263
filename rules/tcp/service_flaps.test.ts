import { ruleTest } from "dropwatch/test";
import type { Given } from "dropwatch/test";
import rule from "./service_flaps.ts";

const drop = { reason: "NO_SOCKET", l4: "TCP", tcpFlags: "SYN", dport: 8080 } as const;

/** Refused for five seconds at each of these minutes. */
const closed = (minutes: readonly number[], rate: number, dport = 8080): Given[] =>
  minutes.map((minute) => (
    { from: `${minute}m`, to: `${minute}m5s`, drop: { ...drop, dport }, rate }
  ));

ruleTest(rule, [
  {
    name: "fires when a port has closed for the fourth time within half an hour",
    given: closed([1, 3, 5, 7], 10),
    expect: [
      { at: "7m1s", state: "inactive" },
      {
        at: "7m2s",
        state: "firing",
        labels: { dport: "8080" },
        value: 4,
        summary: "TCP port 8080 was closed to its clients 4 times in half an hour",
      },
    ],
  },
  {
    name: "leaves a restart alone, one long outage, and three in half an hour",
    given: [
      ...closed([1, 15, 29], 50),
      { from: 0, to: "40m", drop: { ...drop, dport: 9090 }, rate: 30 },
      ...closed([1], 500, 443),
    ],
    expect: [{ at: "30m", state: "inactive" }, { at: "40m", state: "inactive" }],
  },
  {
    name: "leaves strangers alone who try a port, and the ports of clients",
    given: [
      ...closed([1, 3, 5, 7, 9, 11], 3),
      // One every two seconds for a minute, again and again.
      ...[1, 3, 5, 7, 9].map((minute) => (
        {
          from: `${minute}m`,
          to: `${minute + 1}m`,
          drop: { ...drop, dport: 23 },
          rate: 0.5,
        } as const
      )),
      ...closed([1, 3, 5, 7, 9, 11], 50, 40000),
    ],
    expect: [{ at: "8m", state: "inactive" }, { at: "12m", state: "inactive" }],
  },
  {
    name: "is resolved when fewer are left in the half hour, and forgets the port",
    given: closed([1, 3, 5, 7], 10),
    expect: [{ at: "30m59s", state: "firing" }, { at: "31m10s", state: "inactive" }],
  },
  {
    name: "goes on after a restart of dropwatch",
    given: [...closed([1, 3, 5, 7], 10), { at: "6m", restart: true }],
    expect: [{ at: "7m2s", state: "firing", value: 4 }],
  },
]);

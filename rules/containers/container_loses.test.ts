import { ruleTest } from "dropwatch/test";
import rule from "./container_loses.ts";

const drop = { reason: "SOCKET_RCVBUFF", container: "4f1d2c3b4a59" } as const;

ruleTest(rule, [
  {
    name: "fires for the container, whatever the faults are",
    given: [
      { from: 0, to: "2m", drop, rate: 30 },
      { from: 0, to: "2m", drop: { ...drop, reason: "PROTO_MEM" }, rate: 10 },
    ],
    expect: [
      { at: "15s", state: "inactive" },
      { at: "16s", state: "pending" },
      {
        at: "46s",
        state: "firing",
        labels: { container: "4f1d2c3b4a59" },
        value: 40,
        summary: "container 4f1d2c3b4a59 loses 40 packets/s that came to its sockets, or left them",
        description: /^`crictl inspect 4f1d2c3b4a59`/,
      },
    ],
  },
  {
    name: "leaves twenty a second alone, programs outside, and what isn't a fault",
    given: [
      { from: 0, to: "2m", drop, rate: 20 },
      { from: 0, to: "2m", drop: { ...drop, container: "" }, rate: 500 },
      { from: 0, to: "2m", drop: { ...drop, reason: "TCP_OLD_DATA" }, rate: 500 },
    ],
    expect: [{ at: "1m", state: "inactive" }, { at: "2m", state: "inactive" }],
  },
  {
    name: "is resolved two minutes after it fell to two a second",
    given: [{ from: 0, to: "2m", drop, rate: 30 }],
    expect: [{ at: "4m26s", state: "firing" }, { at: "4m27s", state: "inactive" }],
  },
]);

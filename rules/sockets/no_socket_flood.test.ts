import { ruleTest } from "dropwatch/test";
import rule from "./no_socket_flood.ts";

const drop = { reason: "NO_SOCKET", l4: "UDP", dport: 514 } as const;

ruleTest(rule, [
  {
    name: "fires for the port that is flooded",
    given: [{ from: 0, to: "2m", drop, rate: 300 }],
    expect: [
      { at: "20s", state: "inactive" },
      { at: "21s", state: "pending", value: 210 },
      {
        at: "51s",
        state: "firing",
        labels: { l4: "UDP", dport: "514" },
        value: 300,
        summary: "300 packets/s for UDP port 514, where nobody listens",
      },
    ],
  },
  {
    name: "leaves 200 a second alone, and late answers to many ports",
    given: [
      { from: 0, to: "2m", drop, rate: 200 },
      ...[40001, 40002, 40003, 40004].map((dport) => (
        { from: 0, to: "2m", drop: { ...drop, dport }, rate: 150 } as const
      )),
    ],
    expect: [{ at: "1m", state: "inactive" }, { at: "2m", state: "inactive" }],
  },
  {
    name: "is resolved two minutes after it fell to a hundred",
    given: [{ from: 0, to: "1m", drop, rate: 300 }],
    // 100 a second are left in the window twenty seconds after the end.
    expect: [{ at: "3m18s", state: "firing" }, { at: "3m19s", state: "inactive" }],
  },
]);

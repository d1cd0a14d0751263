import { ruleTest } from "dropwatch/test";
import rule from "./protocol_memory.ts";

const drop = { reason: "PROTO_MEM", owner: "postgres", ownerPort: 5432 } as const;

ruleTest(rule, [
  {
    name: "fires with the 31st of a minute",
    given: [{ at: "10s", drop, count: 30 }, { at: "20s", drop, count: 1 }],
    expect: [
      { at: "10s", state: "inactive" },
      {
        at: "20s",
        state: "firing",
        labels: { owner: "postgres", ownerPort: "5432" },
        value: 31,
        summary: "31 packets for postgres on port 5432 found no memory in the last minute",
      },
    ],
  },
  {
    name: "leaves thirty a minute alone",
    given: [{ from: 0, to: "5m", drop, rate: 0.5 }],
    expect: [{ at: "1m30s", state: "inactive" }, { at: "5m", state: "inactive" }],
  },
  {
    name: "is resolved two minutes after the last is out of the window",
    given: [{ at: "10s", drop, count: 100 }],
    expect: [{ at: "3m8s", state: "firing" }, { at: "3m9s", state: "inactive" }],
  },
]);

import { ruleTest } from "dropwatch/test";
import rule from "./syncthing_socket_filter.ts";

const drop = { reason: "SOCKET_FILTER", owner: "syncthing", ownerPort: 22000 } as const;

ruleTest(rule, [
  {
    name: "fires when syncthing refuses for a while, and says on which port",
    given: [{ from: 0, to: "1m", drop, rate: 40 }],
    expect: [
      { at: "5s", state: "inactive" },
      { at: "6s", state: "pending", labels: { owner: "syncthing", ownerPort: "22000" }, value: 24 },
      { at: "15s", state: "pending" },
      {
        at: "16s",
        state: "firing",
        value: 40,
        summary: "syncthing refuses 40 packets/s on port 22000",
      },
    ],
  },
  {
    name: "leaves others alone, and a burst",
    given: [
      { from: 0, to: "1m", drop: { ...drop, owner: "dhclient" }, rate: 500 },
      { at: "20s", drop, count: 250 },
    ],
    expect: [{ at: "25s", state: "pending" }, { at: "1m", state: "inactive" }],
  },
  {
    name: "is resolved two minutes after it went on for the last time",
    given: [{ from: 0, to: "30s", drop, rate: 40 }],
    expect: [{ at: "2m36s", state: "firing" }, { at: "2m38s", state: "inactive" }],
  },
]);

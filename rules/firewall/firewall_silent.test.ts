import { ruleTest } from "dropwatch/test";
import rule from "./firewall_silent.ts";

const drop = { reason: "NETFILTER_DROP" } as const;
const interval = "1m";

ruleTest(rule, [
  {
    name: "fires when nothing is refused for an hour, after thousands in the day",
    given: [{ at: "1h", drop, count: 10_000 }, { at: "5h", drop, count: 1 }],
    expect: [
      { at: "359m", state: "inactive" },
      {
        at: "6h",
        state: "firing",
        value: 3600,
        summary: "the firewall has refused nothing for 60 minutes: are its rules loaded?",
      },
    ],
    interval,
  },
  {
    name: "leaves firewalls alone that refuse little, and machines without one",
    given: [
      { at: "1h", drop, count: 10_000 },
      { from: 0, to: "4h", drop: { reason: "NO_SOCKET" }, rate: 100 },
    ],
    expect: [{ at: "3h30m", state: "inactive" }, { at: "4h", state: "inactive" }],
    interval,
  },
  {
    name: "takes a time in which nobody counted for no silence",
    given: [{ from: 0, to: "5h", drop, rate: 1 }, { at: "5h30m", gap: "20m" }],
    expect: [{ at: "6h40m", state: "inactive" }, { at: "6h50m", state: "firing" }],
    interval,
  },
  {
    name: "is resolved by the next packet that is refused",
    given: [{ from: 0, to: "5h", drop, rate: 1 }, { at: "7h", drop, count: 1 }],
    expect: [{ at: "419m", state: "firing" }, { at: "7h", state: "inactive" }],
    interval,
  },
]);

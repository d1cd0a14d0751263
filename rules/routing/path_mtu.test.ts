import { ruleTest } from "dropwatch/test";
import rule from "./path_mtu.ts";

const drop = { reason: "PKT_TOO_BIG", saddr: "10.0.0.5", daddr: "192.0.2.7" } as const;

ruleTest(rule, [
  {
    name: "fires for the sender that doesn't learn",
    given: [{ from: 0, to: "10m", drop, rate: 0.25 }],
    expect: [
      { at: "2m", state: "inactive" },
      {
        at: "2m4s",
        state: "firing",
        labels: { saddr: "10.0.0.5", daddr: "192.0.2.7" },
        value: 31,
        summary:
          "10.0.0.5 sent 31 packets to 192.0.2.7 in five minutes that are too large for the " +
          "next link",
        description: /^`tracepath -n 192\.0\.2\.7` /,
      },
    ],
  },
  {
    name: "leaves path MTU discovery alone, to however many",
    given: Array.from({ length: 200 }, (_, i) => ({
      at: `${1 + i}s` as const,
      drop: { ...drop, daddr: `192.0.2.${i}` },
      count: 2,
    })),
    expect: [{ at: "3m", state: "inactive" }, { at: "3m20s", state: "inactive" }],
  },
  {
    name: "is resolved five minutes after five were left in the window",
    given: [{ at: "1m", drop, count: 40 }],
    expect: [{ at: "10m58s", state: "firing" }, { at: "10m59s", state: "inactive" }],
  },
]);

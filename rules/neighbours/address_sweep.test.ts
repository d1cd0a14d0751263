import { ruleTest } from "dropwatch/test";
import type { Given } from "dropwatch/test";
import rule from "./address_sweep.ts";

/** Two packets to each of so many neighbours, one neighbour a second. */
const sweep = (neighbours: number, saddr: string): Given[] =>
  Array.from({ length: neighbours }, (_, i) => ({
    at: `${1 + i}s` as const,
    drop: { reason: "NEIGH_FAILED", saddr, daddr: `10.0.0.${i}` },
    count: 2,
  }));

ruleTest(rule, [
  {
    name: "fires with the 51st neighbour of a minute",
    given: sweep(55, "10.0.9.9"),
    expect: [
      { at: "50s", state: "inactive" },
      {
        at: "51s",
        state: "firing",
        labels: { saddr: "10.0.9.9" },
        value: 51,
        summary: "10.0.9.9 sent to 51 neighbours in a minute that don't answer",
        description: /^`ip neigh show to 10\.0\.9\.9` /,
      },
    ],
  },
  {
    name: "leaves fifty alone, and many packets to one that is down",
    given: [
      ...sweep(50, "10.0.9.9"),
      {
        from: 0,
        to: "2m",
        drop: { reason: "NEIGH_FAILED", saddr: "10.0.9.8", daddr: "10.0.0.1" },
        rate: 100,
      },
    ],
    expect: [{ at: "55s", state: "inactive" }, { at: "2m", state: "inactive" }],
  },
  {
    name: "is resolved ten minutes after ten were left in the window",
    given: sweep(55, "10.0.9.9"),
    expect: [{ at: "11m43s", state: "firing" }, { at: "11m44s", state: "inactive" }],
  },
]);

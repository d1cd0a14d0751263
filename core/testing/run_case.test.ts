import { describe, expect, test } from "bun:test";
import { drops } from "../rule/query.ts";
import { rule } from "../rule/rule.ts";
import { runCase } from "./run_case.ts";

describe("a rate of a case", () => {
  const each = rule({
    alert: "Each",
    when: drops.where({ reason: "NO_SOCKET" }).count("1m").above(0),
  });
  const drop = { reason: "NO_SOCKET" } as const;

  for (const way of ["counted", "by event"] as const) {
    test(`brings what it leaves over with a later tick, ${way}`, async () => {
      for (const [rate, value] of [[0.1, 4], [0.5, 20], [4.9, 196], [2, 80]] as const) {
        const { failures } = await runCase([each], {
          name: "forty seconds",
          given: [{ from: "5s", to: "45s", drop, rate }],
          expect: [{ at: "5s", state: "inactive" }, { at: "50s", state: "firing", value }],
        }, way);
        expect(failures).toEqual([]);
      }
    });
  }
});

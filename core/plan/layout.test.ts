import { describe, expect, test } from "bun:test";
import { planOf } from "../../test/world.ts";
import type { FieldName } from "../drop/field.ts";
import { fieldNames } from "../drop/field.ts";
import { homeOf, isKeyed, makeLayout } from "./layout.ts";
import type { Layout } from "./layout.ts";
import type { Plan } from "./plan.ts";

const numbers = fieldNames.filter((name) => !["site", "stack", "retransmitted"].includes(name));
/** Key sets of two fields each, all different. */
const pairs = (n: number): { by: FieldName[] }[] =>
  numbers.flatMap((a, i) => numbers.slice(i + 1).map((b) => ({ by: [a, b] }))).slice(0, n);

/** How many maps a program has for keys and totals, in one copy. */
function mapsOf(plan: Plan, layout: Layout): number {
  const homes = plan.maps.flatMap((map) => {
    const walks = map.by.includes("site") && !map.by.includes("stack");
    return [false, ...(walks ? [true] : [])].map((walked) => homeOf(layout, { map, walked }).name);
  });
  const totals = plan.maps.filter(({ conditional }) => conditional).length;
  return new Set(homes).size + (layout.joinsTotals ? 1 : totals);
}

describe("the layout of a plan's maps", () => {
  test("gives each key set one of its own while the kernel's 64 suffice", () => {
    for (const n of [0, 1, 14, 24]) {
      const plan = planOf(...pairs(n));
      const layout = makeLayout(plan);
      expect([layout.shared, layout.joinsTotals, layout.free]).toEqual([[], false, 24 - n]);
      expect(plan.maps.map((map) => homeOf(layout, { map, walked: false }).name))
        .toEqual(plan.maps.map(({ id }) => `m${id}`));
    }
  });

  test("never has more than fit, whatever is asked for", () => {
    const dear = fieldNames.filter((name) => !["stack", "reason", "subsystem"].includes(name));
    const many = [
      pairs(25),
      pairs(150),
      pairs(40).map((each) => ({ ...each, where: { dport: 53 } })),
      pairs(40).map(({ by }) => ({ by: [...by, "site" as const] })),
      pairs(40).map((each, i) => i % 2 === 0 ? { ...each, sum: "len" as const } : each),
      // Of every width there can be, with sites, stacks and sums.
      dear.flatMap((_, i) => {
        const by = dear.slice(0, i + 1);
        return [{ by }, { by: [...by, "stack" as const] }, {
          by: [...by, "class" as const],
          sum: "len" as const,
        }];
      }),
    ];
    for (const counts of many) {
      const plan = planOf(...counts);
      const layout = makeLayout(plan);
      expect(mapsOf(plan, layout)).toBeLessThanOrEqual(24);
      expect(layout.shared.length).toBeGreaterThan(0);
    }
  });

  test("has as few as can be together, and leaves the rest alone", () => {
    const plan = planOf(...pairs(26));
    const { shared } = makeLayout(plan);
    expect(shared.map(({ sharers }) => sharers.length)).toEqual([2, 2]);
    const most = makeLayout(planOf(...pairs(100))).shared.map(({ sharers }) => sharers.length);
    expect(Math.max(...most)).toBeLessThanOrEqual(6);
  });

  test("brings keys of one shape together, and no sums with counts or stacks with numbers", () => {
    const plan = planOf(
      ...pairs(60),
      ...pairs(12).map((each) => ({ by: [...each.by, "mark" as const], sum: "len" as const })),
      ...numbers.slice(0, 8).map((name) => ({ by: [name, "site" as const] })),
    );
    for (const { sharers } of makeLayout(plan).shared) {
      expect(new Set(sharers.map(({ padding }) => padding))).toEqual(new Set([0]));
      expect(new Set(sharers.map(({ map }) => map.sum)).size).toBe(1);
      expect(new Set(sharers.map(({ walked }) => walked)).size).toBe(1);
    }
  });

  test("numbers the classes of those that share a map one after the other", () => {
    const where = [{ dport: 1 }, { dport: 2 }, { dport: [1, 2] }];
    const plan = planOf(...pairs(40).flatMap((each) => where.map((w) => ({ ...each, where: w }))));
    for (const { sharers } of makeLayout(plan).shared) {
      let after = 0;
      for (const sharer of sharers) {
        expect(sharer.after).toBe(after);
        after += sharer.map.classes.length - 1;
      }
    }
  });

  test("makes a key of what has none, where it shares a map: it is cleared there like others", () => {
    const plan = planOf({ where: { l4: "UDP" } }, ...numbers.map((name) => ({ by: [name] })));
    expect(isKeyed(makeLayout(plan), plan.maps[0]!)).toBe(false);
    const tight = makeLayout(plan, 22);
    expect(homeOf(tight, { map: plan.maps[0]!, walked: false }).sharer).toBeDefined();
    expect(isKeyed(tight, plan.maps[0]!)).toBe(true);
  });
});

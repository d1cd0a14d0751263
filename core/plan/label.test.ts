import { describe, expect, test } from "bun:test";
import { planOf, world } from "../../test/world.ts";
import type { Drop } from "../drop/field.ts";
import { dropCounter } from "./label.ts";
import type { DropCounter } from "./label.ts";
import { separator } from "./key.ts";

/** What was taken of the only map: labels, the counts served, how many, and their sum. */
function entriesOf(counter: DropCounter): unknown[] {
  return counter.take().maps[0]!.entries
    .map(({ key, n, sum }) => [key.labels, key.counts, n, sum]);
}

const udp: Drop = { reason: "NO_SOCKET", l4: "UDP", dport: "53", len: "100" };

describe("drops counted by their labels", () => {
  test("are summed up by their labels until they are taken, and then begin again", () => {
    const counter = dropCounter(planOf({ by: ["reason", "dport"] }), world);
    counter.add(udp, 2);
    counter.add({ ...udp, dport: "80" }, 1);
    counter.add(udp, 3);
    expect(entriesOf(counter)).toEqual([
      [["NO_SOCKET", "53"], [0], 5, 0],
      [["NO_SOCKET", "80"], [0], 1, 0],
    ]);
    expect(counter.take()).toEqual({
      seen: 0,
      reasons: new Map(),
      maps: [{ entries: [], other: 0, lost: 0 }],
    });
    counter.add(udp, 1);
    expect(entriesOf(counter)).toEqual([[["NO_SOCKET", "53"], [0], 1, 0]]);
  });

  test("are counted by reason too, in the numbers of the kernel that dropped them", () => {
    const counter = dropCounter(planOf({}), world);
    counter.add(udp, 2);
    counter.add({ reason: "SOCKET_FILTER" }, 5);
    const { seen, reasons } = counter.take();
    expect(seen).toBe(7);
    expect([...reasons]).toEqual([[3, 2], [5, 5]]);
  });

  test("are summed by bytes where a rule wants that, each of them so often as it was dropped", () => {
    const counter = dropCounter(planOf({ by: ["dport"], sum: "len" }), world);
    counter.add(udp, 2);
    counter.add({ ...udp, len: "50" }, 1);
    expect(entriesOf(counter)).toEqual([[["53"], [0], 3, 250]]);
  });

  test("have the empty label where a field is missing, and are kept apart by all fields", () => {
    const counter = dropCounter(planOf({ by: ["dev", "comm"] }), world);
    counter.add({ reason: "NO_SOCKET", dev: "a" }, 1);
    counter.add({ reason: "NO_SOCKET", comm: "a" }, 1);
    const texts = counter.take().maps[0]!.entries.map(({ key }) => key.text);
    expect(texts).toEqual([`a${separator}`, `${separator}a`]);
  });

  test("that serve other counts are apart, though their labels are the same", () => {
    const plan = planOf(
      { where: { reason: ["NO_SOCKET", "SOCKET_FILTER"] }, by: ["dport"] },
      { where: { reason: "NO_SOCKET" }, by: ["dport"] },
    );
    const counter = dropCounter(plan, world);
    counter.add(udp, 1);
    counter.add({ ...udp, reason: "SOCKET_FILTER" }, 10);
    expect(entriesOf(counter)).toEqual([[["53"], [0, 1], 1, 0], [["53"], [0], 10, 0]]);
  });

  test("with a reason that has only a number belong to its subsystem", () => {
    const plan = planOf({ where: { subsystem: "openvswitch" }, by: ["reason"] });
    const counter = dropCounter(plan, world);
    counter.add({ reason: "openvswitch/0x20003" }, 4);
    counter.add({ reason: "0xc8" }, 1);
    const taken = counter.take();
    expect([...taken.reasons]).toEqual([[0x2_0003, 4], [200, 1]]);
    expect(taken.maps[0]!.entries.map(({ key, n }) => [key.text, n]))
      .toEqual([["openvswitch/0x20003", 4]]);
  });

  test("with reasons that this kernel has never had are kept apart, and are core's", () => {
    const plan = planOf({ where: { subsystem: "core", class: "unknown" }, by: ["reason"] });
    const counter = dropCounter(plan, world);
    for (const reason of ["OF_ANOTHER_KERNEL", "AND_ONE_MORE", "OF_ANOTHER_KERNEL"]) {
      counter.add({ reason }, 1);
    }
    const { reasons, maps } = counter.take();
    expect([...reasons.values()]).toEqual([2, 1]);
    expect(maps[0]!.entries.map(({ key, n }) => [key.text, n]))
      .toEqual([["OF_ANOTHER_KERNEL", 2], ["AND_ONE_MORE", 1]]);
  });
});

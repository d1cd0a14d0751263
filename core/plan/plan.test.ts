import { describe, expect, test } from "bun:test";
import { matches, randomPacket, randomWhere } from "../../test/packet.ts";
import type { Packet, Where } from "../../test/packet.ts";
import { randomFrom } from "../../test/random.ts";
import type { Random } from "../../test/random.ts";
import { planOf, reasons, where, world } from "../../test/world.ts";
import { bytesOf } from "../drop/bytes.ts";
import { fieldNames, fieldOf } from "../drop/field.ts";
import type { FieldName } from "../drop/field.ts";
import { reasonWorld } from "../drop/reason.ts";
import { keyReader, separator } from "./key.ts";
import type { SeriesKey } from "./key.ts";
import { dropCounter } from "./label.ts";
import { hasClass, keyFields, makePlan } from "./plan.ts";
import type { Count, Decision, KeyMap, Plan } from "./plan.ts";
import { fitsMasks, inRanges, readPredicate } from "./predicate.ts";

/** A count, and what it was asked as. */
interface Asked {
  /** All of them must hold, as those of `.where().where()`. */
  readonly wheres: readonly Where[];
  readonly by: readonly FieldName[];
  readonly sum?: "len" | undefined;
}

/** What the kernel does with a decision: it looks at integers only, and at where the site lies. */
function decide(decision: Decision, packet: Packet): number {
  if (typeof decision === "number") return decision;
  const [hi = 0n, lo = 0n] = packet.slots[decision.field];
  if ("cases" in decision) {
    const found = decision.cases.filter(({ ranges: [from, to] }) => hi >= from && hi <= to);
    expect(found).toHaveLength(1);
    return decide(found[0]!.then, packet);
  }
  const yes = "masks" in decision
    ? fitsMasks(
      decision.masks,
      false,
      bytesOf(hi, lo).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n),
    )
    : decision.names.includes(packet.labels.site);
  return decide(yes ? decision.then : decision.otherwise, packet);
}

/** The key under which the kernel counts a packet in a map, as bpftrace prints it. */
function rawKey(map: KeyMap, chosen: number, packet: Packet): string {
  const fields = keyFields(map);
  // What several fields are worked out from stands in the key once.
  const numbers = new Map(
    fields.flatMap((field) =>
      fieldOf(field).slots.map((slot, i) => [slot, packet.slots[field][i]!])
    ),
  );
  numbers.delete("kstack");
  const stack = `\n    ${packet.labels.stack.split(";").reverse().join("+12\n    ")}+0\n`;
  return [
    ...(hasClass(map) ? [chosen] : []),
    ...[...numbers.values()].map((slot) => String(BigInt.asIntN(64, slot))),
    ...(fields.includes("stack") ? [stack] : []),
  ].join(",");
}

/** Counts a packet as the program does: its keys by map, and the counts that they serve. */
function runKernel(
  plan: Plan,
  readers: readonly ((raw: string) => SeriesKey | undefined)[],
  packet: Packet,
): SeriesKey[] {
  const reason = Number(packet.slots.reason[0]);
  const groups = plan.groups.filter(({ ranges }) => inRanges(ranges, reason));
  expect(groups).toHaveLength(1);
  const counted = groups[0]!.counted;
  expect(new Set(counted.map(({ map }) => map)).size).toBe(counted.length);
  return counted.flatMap(({ map: id, decision }) => {
    const map = plan.maps[id]!;
    const chosen = decide(decision, packet);
    if (chosen === 0) return [];
    const key = readers[id]!(rawKey(map, chosen, packet));
    expect(key).toBeDefined();
    return [key!];
  });
}

const readersOf = (plan: Plan): ((raw: string) => SeriesKey | undefined)[] =>
  plan.maps.map((map) => keyReader(plan, map, world.names));

/** The counts that a packet is counted for, and the labels under which. */
function served(plan: Plan, keys: readonly SeriesKey[], packet: Packet): Map<number, string> {
  const found = new Map<number, string>();
  for (const key of keys) {
    for (const count of key.counts) {
      expect(found.has(count)).toBe(false);
      found.set(count, key.text);
    }
  }
  plan.places.forEach((place, count) => {
    if (place.at === "reasons" && inRanges(place.ranges, Number(packet.slots.reason[0]))) {
      found.set(count, "");
    }
  });
  return found;
}

/** The labels of a packet as a series' text, in the catalogue's order. */
const textOf = ({ by }: Asked, packet: Packet): string =>
  fieldNames.filter((field) => by.includes(field)).map((field) => packet.labels[field])
    .join(separator);

const allMatch = ({ wheres }: Asked, packet: Packet): boolean =>
  wheres.every((where) => matches(where, packet));

const expected = (asked: readonly Asked[], packet: Packet): [number, string][] =>
  asked.flatMap((each, i): [number, string][] =>
    allMatch(each, packet) ? [[i, textOf(each, packet)]] : []
  );

const sorted = (found: ReadonlyMap<number, string>): [number, string][] =>
  [...found].sort(([a], [b]) => a - b);

/** Decided by cases, and by the fields in the key. */
const styles = ["decisions", "keys"] as const;

const conditional = fieldNames.filter((name) => name !== "stack");

/** Counts that can be read: a random condition can be an empty range. */
function randomCounts(
  random: Random,
  n: number,
  fields: readonly FieldName[],
  by: () => readonly FieldName[],
): { asked: Asked[]; counts: Count[] } {
  const asked: Asked[] = [];
  const counts: Count[] = [];
  while (asked.length < n) {
    const each: Asked = {
      wheres: random.chance(0.3)
        ? [randomWhere(random, fields, 2), randomWhere(random, fields, 2)]
        : [randomWhere(random, fields, 3)],
      by: by(),
      sum: random.chance(0.2) ? "len" : undefined,
    };
    const { predicate, mistakes } = readPredicate(each.wheres, world);
    if (mistakes.length > 0) continue;
    asked.push(each);
    counts.push({ predicate, by: each.by, sum: each.sum });
  }
  return { asked, counts };
}

/** Sums by count and labels, worked out one packet and one count at a time. */
function naiveSums(
  asked: readonly Asked[],
  packets: readonly { readonly packet: Packet; readonly n: number }[],
): Map<string, { n: number; sum: number }> {
  const sums = new Map<string, { n: number; sum: number }>();
  asked.forEach((each, i) => {
    for (const { packet, n } of packets) {
      if (!allMatch(each, packet)) continue;
      const key = `${i} ${textOf(each, packet)}`;
      const before = sums.get(key) ?? { n: 0, sum: 0 };
      const bytes = each.sum === undefined ? 0 : n * Number(packet.labels.len);
      sums.set(key, { n: before.n + n, sum: before.sum + bytes });
    }
  });
  return sums;
}

/** The same from what `dropCounter` took. */
function countedSums(
  plan: Plan,
  asked: readonly Asked[],
  packets: readonly { readonly packet: Packet; readonly n: number }[],
): Map<string, { n: number; sum: number }> {
  const counter = dropCounter(plan, world);
  for (const { packet, n } of packets) counter.add(packet.labels, n);
  const taken = counter.take();
  expect(taken.seen).toBe(packets.reduce((sum, { n }) => sum + n, 0));
  expect([...taken.reasons.values()].reduce((sum, n) => sum + n, 0)).toBe(taken.seen);
  const sums = new Map<string, { n: number; sum: number }>();
  const add = (count: number, text: string, n: number, sum: number): void => {
    const key = `${count} ${text}`;
    const before = sums.get(key) ?? { n: 0, sum: 0 };
    const bytes = asked[count]!.sum === undefined ? 0 : sum;
    sums.set(key, { n: before.n + n, sum: before.sum + bytes });
  };
  plan.places.forEach((place, count) => {
    if (place.at !== "reasons") return;
    const n = [...taken.reasons].filter(([id]) => inRanges(place.ranges, id))
      .reduce((sum, [, each]) => sum + each, 0);
    if (n > 0) add(count, "", n, 0);
  });
  for (const { entries } of taken.maps) {
    for (const { key, n, sum } of entries) {
      for (const count of key.counts) add(count, key.text, n, sum);
    }
  }
  return sums;
}

const inOrder = <T>(sums: ReadonlyMap<string, T>): [string, T][] =>
  [...sums].sort(([a], [b]) => (a < b ? -1 : 1));

describe("a plan of any counts", () => {
  test("counts a packet for exactly those whose condition holds, under its labels", () => {
    const random = randomFrom(21);
    for (let round = 0; round < 150; round++) {
      const { asked, counts } = randomCounts(
        random,
        random.int(1, 8),
        conditional,
        () => random.shuffle(fieldNames).slice(0, random.int(0, 3)),
      );
      for (const style of styles) {
        const plan = makePlan(counts, undefined, style);
        const readers = readersOf(plan);
        for (let i = 0; i < 30; i++) {
          const packet = randomPacket(random);
          const found = served(plan, runKernel(plan, readers, packet), packet);
          expect([asked, packet.labels, sorted(found)])
            .toEqual([asked, packet.labels, expected(asked, packet)]);
        }
      }
    }
  });

  test("counts the same whether drops are counted by their integers or by their labels", () => {
    const random = randomFrom(22);
    for (let round = 0; round < 100; round++) {
      const { asked, counts } = randomCounts(
        random,
        random.int(1, 8),
        conditional,
        () => random.shuffle(fieldNames).slice(0, random.int(0, 3)),
      );
      const plan = makePlan(counts);
      const packets = Array.from({ length: 60 }, () => ({
        packet: randomPacket(random),
        n: random.int(1, 1000),
      }));
      expect([asked, inOrder(countedSums(plan, asked, packets))])
        .toEqual([asked, inOrder(naiveSums(asked, packets))]);
    }
  });

  test("covers every reason's number once", () => {
    const random = randomFrom(23);
    for (let round = 0; round < 100; round++) {
      const { counts } = randomCounts(random, random.int(0, 6), conditional, () => ["dport"]);
      const { groups } = makePlan(counts);
      const all = groups.flatMap(({ ranges }) => ranges).sort(([a], [b]) => a - b);
      let next = 0;
      for (const [lo, hi] of all) {
        expect(lo).toBe(next);
        next = hi + 1;
      }
      expect(next).toBe(2 ** 32);
    }
  });
});

describe("rules that count by the same fields", () => {
  test("share a map, whatever the order of the fields and however many the rules", () => {
    const plan = makePlan(
      Array.from({ length: 50 }, (_, i) => ({
        predicate: where({ dport: 1000 + 2 * i }),
        by: i % 2 === 0 ? ["saddr", "dport"] : ["dport", "saddr"],
      })),
    );
    expect(plan.maps).toHaveLength(1);
    expect(plan.maps[0]!.by).toEqual(["saddr", "dport"]);
    expect(plan.maps[0]!.raw).toEqual([]);
  });

  test("share a class where they ask for the same", () => {
    const same = { where: { dport: 53 }, by: ["saddr"] } as const;
    const plan = planOf(same, same, same);
    expect(plan.maps[0]!.classes).toEqual([[], [0, 1, 2]]);
    expect(hasClass(plan.maps[0]!)).toBe(false);
  });

  test("but share none with those that wait for what happens later: nobody is held up by others", () => {
    const plan = planOf(
      { by: ["dport"] },
      { by: ["dport"], where: { retransmitted: "yes" } },
      { by: ["dport", "retransmitted"] },
      { by: ["dport"], where: { retransmitted: "no" } },
    );
    expect(plan.maps.map(({ by, raw }) => [by, raw])).toEqual([
      [["dport"], []],
      [["dport"], ["retransmitted"]],
      [["dport", "retransmitted"], []],
    ]);
  });

  test("share a map with those that want a sum", () => {
    const plan = planOf({ where: { dport: 53 }, by: ["dev"] }, { by: ["dev"], sum: "len" });
    expect(plan.maps).toHaveLength(1);
    expect(plan.maps[0]!.sum).toBe("len");
  });

  test("have a map of their own apart from rules that count by other fields", () => {
    const plan = planOf({ by: ["saddr"] }, { by: ["daddr"] }, { by: ["saddr", "daddr"] });
    expect(plan.maps.map(({ by }) => by)).toEqual([["saddr"], ["daddr"], ["saddr", "daddr"]]);
  });
});

describe("a rule that asks for reasons alone", () => {
  test("needs no map where it counts by nothing: drops by reason are always counted", () => {
    const plan = planOf({ where: { reason: "NO_SOCKET" } }, { where: { class: "fault" } }, {});
    expect(plan.maps).toEqual([]);
    expect(plan.places[0]).toEqual({ at: "reasons", ranges: [[3, 3]] });
    expect(plan.places[2]).toEqual({ at: "reasons", ranges: [[0, 2 ** 32 - 1]] });
  });

  test("needs one for a sum, or for a condition on anything else", () => {
    expect(planOf({ where: { reason: "NO_SOCKET" }, sum: "len" }).maps).toHaveLength(1);
    expect(planOf({ where: { reason: "NO_SOCKET", l4: "UDP" } }).maps).toHaveLength(1);
  });

  test("costs other reasons nothing", () => {
    const plan = planOf({ where: { reason: ["NO_SOCKET", "SOCKET_FILTER"] }, by: ["dport"] });
    for (const id of reasons.keys()) {
      const group = plan.groups.find(({ ranges }) => inRanges(ranges, id))!;
      expect(group.counted).toHaveLength(id === 3 || id === 5 ? 1 : 0);
    }
  });

  test("that no drop can have is counted nowhere", () => {
    const plan = makePlan([{
      predicate: where({ reason: "NO_SOCKET" }, { reason: "SOCKET_FILTER" }),
      by: ["dport"],
    }]);
    expect(plan.groups.flatMap(({ counted }) => counted)).toEqual([]);
  });

  test("makes its map unconditional: whether a drop belongs to it follows from the reason", () => {
    expect(planOf({ where: { reason: "NO_SOCKET" }, by: ["dport"] }).maps[0]!.conditional).toBe(
      false,
    );
    expect(planOf({ where: { l4: "UDP" }, by: ["dport"] }).maps[0]!.conditional).toBe(true);
  });
});

describe("conditions with too many cases for a decision", () => {
  const fields: readonly FieldName[] = ["saddr", "dport", "l4", "dev", "site", "tcpFlags"];

  /** Many rules over the same fields: their conditions multiply. */
  function crowd(random: Random, n: number): { asked: Asked[]; counts: Count[] } {
    return randomCounts(random, n, fields, () => ["daddr"]);
  }

  test("go into the key as fields, and are tested on it: what is counted stays the same", () => {
    const random = randomFrom(31);
    const raw = new Set<FieldName>();
    for (let round = 0; round < 8; round++) {
      const { asked, counts } = crowd(random, random.int(20, 60));
      const plan = makePlan(counts);
      expect(plan.maps).toHaveLength(1);
      for (const field of plan.maps[0]!.raw) raw.add(field);
      expect(plan.maps[0]!.by).toEqual(["daddr"]);
      const readers = readersOf(plan);
      for (let i = 0; i < 60; i++) {
        const packet = randomPacket(random);
        const found = served(plan, runKernel(plan, readers, packet), packet);
        expect([packet.labels, sorted(found)]).toEqual([packet.labels, expected(asked, packet)]);
      }
      const packets = Array.from({ length: 40 }, () => ({ packet: randomPacket(random), n: 2 }));
      expect(inOrder(countedSums(plan, asked, packets))).toEqual(
        inOrder(naiveSums(asked, packets)),
      );
    }
    // Every kind of condition had its turn, the site's names too.
    expect([...raw].sort()).toEqual([...fields].sort());
  });

  test("leave the decision small", () => {
    const leaves = (decision: Decision): number => {
      if (typeof decision === "number") return 1;
      return "cases" in decision
        ? decision.cases.reduce((sum, { then }) => sum + leaves(then), 0)
        : leaves(decision.then) + leaves(decision.otherwise);
    };
    const { counts } = crowd(randomFrom(32), 80);
    const { groups } = makePlan(counts);
    const all = new Set(groups.flatMap(({ counted }) => counted.map(({ decision }) => decision)));
    expect([...all].map(leaves).reduce((sum, n) => sum + n, 0)).toBeLessThan(1000);
  });

  test("leave it small too where lists of numbers are asked together", () => {
    const list = (from: number): number[] => Array.from({ length: 20 }, (_, i) => from + 3 * i);
    const plan = planOf(...Array.from({ length: 12 }, (_, i) => ({
      where: {
        reason: "SOCKET_FILTER",
        dport: list(1000 * i),
        sport: { not: list(1000 * i) },
        len: { gte: i },
      },
      by: ["mark" as const],
    })));
    const text = JSON.stringify(
      plan.groups,
      (_, value) => typeof value === "bigint" ? String(value) : value,
    );
    expect(text.length).toBeLessThan(50_000);
  });

  test("are no problem where it is the reasons that are many", () => {
    const ids = Array.from({ length: 400 }, (_, i) => i + 2);
    const many = reasonWorld(
      new Map(ids.map((id) => [id, `REASON_${id}`])),
      new Map([[0, "core"]]),
    );
    const plan = makePlan(ids.map((id) => ({
      predicate: readPredicate([{ reason: `REASON_${id}`, l4: "UDP" }], many).predicate,
      by: ["dport"],
    })));
    const counter = dropCounter(plan, many);
    for (const id of ids) counter.add({ reason: `REASON_${id}`, l4: "UDP", dport: "53" }, 1);
    const entries = counter.take().maps[0]!.entries;
    expect(entries.flatMap(({ key }) => key.counts).sort((a, b) => a - b))
      .toEqual(ids.map((_, i) => i));
  });
});

describe("a count by a stack", () => {
  test("has the stack last in its key, since it is text", () => {
    const plan = planOf({ by: ["stack", "reason", "pid"] });
    expect(keyFields(plan.maps[0]!)).toEqual(["reason", "pid", "stack"]);
  });
});

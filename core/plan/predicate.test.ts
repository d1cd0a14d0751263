import { describe, expect, test } from "bun:test";
import { matches, randomPacket, randomWhere } from "../../test/packet.ts";
import type { Packet } from "../../test/packet.ts";
import { randomFrom } from "../../test/random.ts";
import type { Random } from "../../test/random.ts";
import { world } from "../../test/world.ts";
import { bytesOf } from "../drop/bytes.ts";
import { fieldNames, fieldOf } from "../drop/field.ts";
import type { FieldName } from "../drop/field.ts";
import { complement, fitsMasks, inRanges, joinRanges, readPredicate } from "./predicate.ts";
import type { Mistake, Range, Test } from "./predicate.ts";

/** Evaluates a test on what the kernel reads. */
function holds(asked: Test, { slots, labels }: Packet): boolean {
  const [hi = 0n, lo = 0n] = slots[asked.field];
  if ("names" in asked) return asked.names.includes(labels[asked.field]) !== asked.not;
  if ("masks" in asked) {
    const value = bytesOf(hi, lo).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    return fitsMasks(asked.masks, asked.not, value);
  }
  const { kind, unknown = 0 } = fieldOf(asked.field);
  if (kind === "lookup") {
    const label = labels[asked.field];
    return inRanges(asked.ranges, label === "" ? unknown : Number(label));
  }
  const isReason = kind === "reason";
  return inRanges(asked.ranges, Number(isReason ? slots.reason[0] : hi));
}

/** The tests of a `where` that is right. */
function read(...wheres: Readonly<Record<string, unknown>>[]): Test[] {
  const { predicate, mistakes } = readPredicate(wheres, world);
  expect(mistakes).toEqual([]);
  return predicate;
}

/** The one mistake of a `where`. */
function mistakeIn(where: Readonly<Record<string, unknown>>): Mistake {
  const { predicate, mistakes } = readPredicate([where], world);
  expect(predicate).toEqual([]);
  expect(mistakes).toHaveLength(1);
  return mistakes[0]!;
}

const packet = (random: Random, labels: Partial<Packet["labels"]>): Packet => {
  for (;;) {
    const made = randomPacket(random);
    const fits = Object.entries(labels).every(([field, label]) =>
      made.labels[field as FieldName] === label
    );
    if (fits) return made;
  }
};

/** Whether packets with these labels are what is asked for. */
function accepts(
  where: Readonly<Record<string, unknown>>,
  labels: Partial<Packet["labels"]>,
): boolean {
  const one = packet(randomFrom(5), labels);
  return read(where).every((each) => holds(each, one));
}

describe("a condition", () => {
  // One seed a field: a field that fails is named.
  test.each(fieldNames.filter((name) => name !== "stack").map((name, i) => [name, i] as const))(
    "on %s means on what the kernel reads what it says about the label",
    (field, seed) => {
      const random = randomFrom(100 + seed);
      let right = 0;
      const seen = new Set<boolean>();
      for (let i = 0; i < 400; i++) {
        const asked = randomWhere(random, [field], 1);
        const { predicate, mistakes } = readPredicate([asked], world);
        // Some ranges are empty, and said to be.
        if (mistakes.length > 0) {
          expect(mistakes[0]!.expected).toBe("nothing lies in this range");
          continue;
        }
        right++;
        for (let n = 0; n < 5; n++) {
          const one = randomPacket(random);
          const wanted = matches(asked, one);
          seen.add(wanted);
          expect([asked, one.labels[field], predicate.every((each) => holds(each, one))])
            .toEqual([asked, one.labels[field], wanted]);
        }
      }
      expect(right).toBeGreaterThan(200);
      expect(seen.size).toBe(2);
    },
  );

  test("of several fields must hold for each of them", () => {
    const random = randomFrom(6);
    const fields = fieldNames.filter((name) => name !== "stack");
    for (let i = 0; i < 3000; i++) {
      const asked = [randomWhere(random, fields, 3), randomWhere(random, fields, 2)];
      const { predicate, mistakes } = readPredicate(asked, world);
      if (mistakes.length > 0) continue;
      const one = randomPacket(random);
      expect([asked, one.labels, predicate.every((each) => holds(each, one))])
        .toEqual([asked, one.labels, asked.every((each) => matches(each, one))]);
    }
  });

  test("that asks for nothing holds for everything", () => {
    expect(read()).toEqual([]);
    expect(read({})).toEqual([]);
  });
});

describe("a packet that doesn't tell a field's value", () => {
  const asked: readonly (readonly [FieldName, unknown])[] = [
    ["ownerPort", { lte: 1023 }],
    ["ownerPort", { gte: 0 }],
    ["ownerInode", { lt: 10_000 }],
    ["ifindex", { lte: 5 }],
    ["dport", { gte: 0 }],
    ["dport", 53],
    ["dport", [53, 80]],
    ["l4", "UDP"],
    ["protocol", ["IPv4", "IPv6"]],
    ["saddr", "10.0.0.0/8"],
    ["saddr", "0.0.0.0/0"],
    ["daddr", "ff00::/8"],
    ["daddr", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["dev", "eth0"],
    ["dev", { prefix: "e" }],
    ["site", "tcp_v4_rcv"],
  ];

  test.each(asked)("equals nothing: %s %j", (field, value) => {
    expect(accepts({ [field]: value }, { [field]: "" })).toBe(false);
  });

  test.each(asked.filter(([, value]) => typeof value !== "object" || Array.isArray(value)))(
    "is what `not` takes: %s not %j",
    (field, value) => {
      expect(accepts({ [field]: { not: value } }, { [field]: "" })).toBe(true);
    },
  );

  test("can be asked for, where the empty text is a value", () => {
    expect(accepts({ saddr: "" }, { saddr: "" })).toBe(true);
    expect(accepts({ saddr: "" }, { saddr: "10.0.0.1" })).toBe(false);
    expect(accepts({ dev: "" }, { dev: "" })).toBe(true);
    expect(accepts({ dev: { not: "" } }, { dev: "" })).toBe(false);
    expect(accepts({ dev: { not: "" } }, { dev: "eth0" })).toBe(true);
  });
});

describe("a class", () => {
  test("takes in the reasons that have no name, as their label says", () => {
    for (
      const [id, kind] of [[0x1_000b, "normal"], [0x2_0003, "policy"], [200, "unknown"]] as const
    ) {
      expect(world.names.classOf(id)).toBe(kind);
      for (const asked of ["fault", "policy", "teardown", "normal", "unknown"]) {
        const [only] = read({ class: asked });
        const [not] = read({ class: { not: asked } });
        const within = (tested: Test | undefined): boolean =>
          tested !== undefined && "ranges" in tested && inRanges(tested.ranges, id);
        expect([id, asked, within(only), within(not)])
          .toEqual([id, asked, asked === kind, asked !== kind]);
      }
    }
  });

  test("together with all others covers every number there is, and none twice", () => {
    const all = ["fault", "policy", "teardown", "normal", "unknown"].flatMap((kind) => {
      const [asked] = read({ class: kind });
      return asked !== undefined && "ranges" in asked ? asked.ranges : [];
    });
    expect(all.reduce((sum, [lo, hi]) => sum + hi - lo + 1, 0)).toBe(2 ** 32);
    expect(joinRanges(all)).toEqual([[0, 2 ** 32 - 1]]);
  });
});

describe("what can be written", () => {
  test("for a number with names: the name, or the number as text", () => {
    expect(read({ l4: "UDP" })).toEqual([{ field: "l4", ranges: [[17, 17]] }]);
    expect(read({ l4: "253" })).toEqual([{ field: "l4", ranges: [[253, 253]] }]);
    expect(read({ protocol: "0x88b5" })).toEqual([{
      field: "protocol",
      ranges: [[0x88b5, 0x88b5]],
    }]);
    expect(read({ tcpFlags: "SYN|ACK" })).toEqual([{ field: "tcpFlags", ranges: [[18, 18]] }]);
  });

  test("for a name: up to 15 bytes of UTF-8, equal to the end", () => {
    expect(accepts({ dev: "eth1" }, { dev: "eth1" })).toBe(true);
    expect(accepts({ dev: "eth1" }, { dev: "eth10" })).toBe(false);
    expect(accepts({ dev: "eth10" }, { dev: "eth1" })).toBe(false);
    expect(read({ comm: "fünfzehn-bytes" })).toHaveLength(1);
    expect(mistakeIn({ comm: "fünfzehn--bytes" }).expected).toContain("at most 15 bytes");
  });

  test("for a number: a range with one end or two, in or out", () => {
    expect(read({ dport: { gte: 10, lt: 20 } })).toEqual([{ field: "dport", ranges: [[10, 19]] }]);
    expect(read({ dport: { gt: 10 } })).toEqual([{ field: "dport", ranges: [[11, 65_535]] }]);
    expect(read({ len: { lte: 100 } })).toEqual([{ field: "len", ranges: [[0, 100]] }]);
    expect(read({ dport: { gt: 5, gte: 4, lt: 9, lte: 9 } }))
      .toEqual([{ field: "dport", ranges: [[6, 8]] }]);
  });

  test("for a list of neighbours becomes one range", () => {
    expect(read({ dport: [82, 80, 81, 80] })).toEqual([{ field: "dport", ranges: [[80, 82]] }]);
  });
});

describe("a mistake", () => {
  test.each(
    [
      ["unknown field", { sorce: 1 }, "sorce", "no such field", []],
      ["unknown field", { dprt: 53 }, "dprt", "no such field", ["dport", "sport"]],
      ["bad reason", { reason: "SOCKET_FILTR" }, "SOCKET_FILTR", "no such drop reason", [
        "SOCKET_FILTER",
      ]],
      ["bad reason", { reason: ["NO_SOCKET", "NETFILTER_DORP"] }, "NETFILTER_DORP", "no such", [
        "NETFILTER_DROP",
      ]],
      [
        "bad reason",
        { reason: "SKB_DROP_REASON_NO_SOCKET" },
        "SKB_DROP_REASON_NO_SOCKET",
        "no such drop reason",
        ["NO_SOCKET"],
      ],
      ["bad subsystem", { subsystem: "openvswich" }, "openvswich", "no such subsystem", [
        "openvswitch",
      ]],
      ["bad class", { class: "faults" }, "faults", "fault, policy, teardown", ["fault"]],
      ["bad protocol", { protocol: "IPv5" }, "IPv5", "no such name", ["IPv4", "IPv6"]],
      ["bad l4", { l4: "TPC" }, "TPC", "no such name", ["TCP"]],
      ["bad l4", { l4: "256" }, "256", "no such name", []],
      ["bad tcpFlags", { tcpFlags: "ACK|SYN" }, "ACK|SYN", "no such name", ["SYN|ACK"]],
      ["bad l4", { l4: 300 }, 300, "expected a name", []],
      ["bad l4", { l4: { gte: 6 } }, { gte: 6 }, "expected a name, a list", []],
      ["bad dport", { dport: 65_536 }, 65_536, "whole number from 0 to 65535", []],
      ["bad dport", { dport: -1 }, -1, "whole number", []],
      ["bad dport", { dport: 1.5 }, 1.5, "whole number", []],
      ["bad dport", { dport: "53" }, "53", "whole number", []],
      ["bad dport", { dport: { gte: 10, lte: 5 } }, '{"gte":10,"lte":5}', "nothing lies in", []],
      ["bad dport", { dport: { gt: 65_535 } }, '{"gt":65535}', "nothing lies in", []],
      ["bad ownerPort", { ownerPort: { lt: 1 } }, '{"lt":1}', "nothing lies in", []],
      ["bad dport", { dport: { gte: 1, max: 5 } }, "max", "gte, gt, lte or lt", []],
      ["bad dport", { dport: { gtr: 1 } }, "gtr", "gte, gt, lte or lt", ["gt", "gte"]],
      ["bad dport", { dport: { gte: "1" } }, "1", "whole number", []],
      ["bad dport", { dport: {} }, {}, "the range is empty", []],
      ["bad dport", { dport: [] }, [], "expected a number, a list", []],
      ["bad dport", { dport: null }, null, "expected a number, a list", []],
      ["bad dport", { dport: { not: { not: 5 } } }, "not", "gte, gt, lte or lt", []],
      ["bad dport", { dport: true }, true, "expected a number, a list", []],
      ["bad saddr", { saddr: "10.0.0.0/33" }, "10.0.0.0/33", "a CIDR such as", []],
      ["bad saddr", { saddr: "10.0.0/8" }, "10.0.0/8", "expected an address", []],
      ["bad saddr", { saddr: "10.0.0.1/" }, "10.0.0.1/", "expected an address", []],
      ["bad saddr", { saddr: "10.0.0.1/8/9" }, "10.0.0.1/8/9", "expected an address", []],
      ["bad saddr", { saddr: "example.org" }, "example.org", "expected an address", []],
      ["bad saddr", { saddr: 10 }, 10, "expected an address", []],
      ["bad saddr", { saddr: "::/0" }, "::/0", 'ask { protocol: "IPv6" }', []],
      ["bad saddr", { saddr: { not: ["10.0.0.0/8", "::/64"] } }, "::/64", "IPv4 addresses too", []],
      ["bad dev", { dev: { prefix: "" } }, "", "a prefix of 1 to 15 bytes", []],
      ["bad dev", { dev: "sixteen-letters!" }, "sixteen-letters!", "at most 15 bytes", []],
      ["bad dev", { dev: "a\0b" }, "a\0b", "at most 15 bytes", []],
      ["bad dev", { dev: 5 }, 5, "at most 15 bytes", []],
      ["bad saddr", { saddr: { prefix: "10." } }, { prefix: "10." }, "expected an address", []],
      ["bad site", { site: 'x"; system("id")' }, 'x"; system("id")', "kernel function", []],
      ["bad site", { site: 5 }, 5, "kernel function", []],
      ["bad stack", { stack: "a;b" }, "a;b", "not in where()", []],
      ["bad reason", { reason: {} }, {}, "expected a name, a list", []],
    ] as const,
  )("%s in %j is told with its value, what would be right, and the nearest", (...row) => {
    const [what, where, value, expected, nearest] = row;
    const found = mistakeIn(where);
    expect(found.what).toBe(what);
    expect(found.value).toEqual(value);
    expect(found.expected).toContain(expected);
    for (const name of nearest) expect(found.nearest).toContain(name);
  });

  test("isn't made by a list with a reason of other kernels, beside one of this kernel", () => {
    const reads = (reason: unknown) => readPredicate([{ reason }], world);
    const found = reads(["TCP_LISTEN_OVERFLOW", "NO_SOCKET", "UDP_CSUM"]);
    expect(found).toEqual({
      predicate: [{ field: "reason", ranges: [[3, 3]] }],
      mistakes: [],
      missing: ["TCP_LISTEN_OVERFLOW", "UDP_CSUM"],
    });
    const not = reads({ not: ["NO_SOCKET", "TCP_LISTEN_OVERFLOW"] });
    expect([not.predicate, not.missing])
      .toEqual([[{ field: "reason", ranges: [[0, 2], [4, 0xffff_ffff]] }], [
        "TCP_LISTEN_OVERFLOW",
      ]]);
    // Nothing is left of these, and nobody knows the last one.
    for (
      const [reason, value] of [
        ["TCP_LISTEN_OVERFLOW", "TCP_LISTEN_OVERFLOW"],
        [["TCP_LISTEN_OVERFLOW", "UDP_CSUM"], "TCP_LISTEN_OVERFLOW"],
        [{ not: "TCP_LISTEN_OVERFLOW" }, "TCP_LISTEN_OVERFLOW"],
        [["NO_SOCKET", "UDP_CSUM", "NO_SOCKETS"], "NO_SOCKETS"],
      ]
    ) {
      const { mistakes, missing } = reads(reason);
      expect([mistakes.map((each) => each.value), missing]).toEqual([[value], []]);
    }
  });

  test("in one condition leaves the others, and each is told", () => {
    const { predicate, mistakes } = readPredicate(
      [{ reason: "NO_SOCKETT", dport: 53 }, { nothing: 1, l4: "UPD" }],
      world,
    );
    expect(predicate).toEqual([{ field: "dport", ranges: [[53, 53]] }]);
    expect(mistakes.map(({ value }) => value)).toEqual(["NO_SOCKETT", "nothing", "UPD"]);
  });
});

describe("ranges", () => {
  const limit = 30;
  const some = (random: Random): Range[] =>
    Array.from({ length: random.int(0, 6) }, (): Range => {
      const lo = random.int(0, limit);
      return [lo, random.int(lo, limit)];
    });
  const members = (ranges: readonly Range[]): number[] =>
    Array.from({ length: limit + 1 }, (_, n) => n).filter((n) =>
      ranges.some(([lo, hi]) => lo <= n && n <= hi)
    );

  test("joined hold the same numbers, in order, and none of them touch", () => {
    const random = randomFrom(11);
    for (let i = 0; i < 2000; i++) {
      const ranges = some(random);
      const joined = joinRanges(ranges);
      expect(members(joined)).toEqual(members(ranges));
      for (const [at, [lo, hi]] of joined.entries()) {
        expect(lo).toBeLessThanOrEqual(hi);
        if (at > 0) expect(lo).toBeGreaterThan(joined[at - 1]![1] + 1);
      }
    }
  });

  test("and their complement share nothing and miss nothing", () => {
    const random = randomFrom(12);
    for (let i = 0; i < 2000; i++) {
      const ranges = joinRanges(some(random));
      const rest = complement(ranges, 0, limit);
      for (let n = 0; n <= limit; n++) expect(inRanges(rest, n)).toBe(!inRanges(ranges, n));
      expect(complement(rest, 0, limit)).toEqual(ranges);
      expect(joinRanges(rest)).toEqual(rest);
    }
  });

  test("stay as they were given: joining changes a copy", () => {
    const ranges: Range[] = [[5, 6], [1, 2], [2, 4]];
    joinRanges(ranges);
    expect(ranges).toEqual([[5, 6], [1, 2], [2, 4]]);
  });
});

describe("masks", () => {
  const ten = { mask: 0xf0n, value: 0x10n };
  const twenty = { mask: 0xf0n, value: 0x20n };

  test("fit where one of them does, and with `not` where none does", () => {
    expect(fitsMasks([ten, twenty], false, 0x2fn)).toBe(true);
    expect(fitsMasks([ten, twenty], false, 0x3fn)).toBe(false);
    expect(fitsMasks([ten, twenty], true, 0x2fn)).toBe(false);
    expect(fitsMasks([ten, twenty], true, 0x3fn)).toBe(true);
  });
});

import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { enumValues, findMembers, parseBtf } from "./btf.ts";

/** Writes BTF, as Documentation/bpf/btf.rst has it. */
class Blob {
  readonly #strings: string[];
  readonly #base: Blob | undefined;
  readonly #types: number[] = [];
  #next: number;

  /** A module's blob is split: its strings and types go on where those of `base` end. */
  constructor(base?: Blob) {
    this.#base = base;
    this.#strings = base === undefined ? [""] : [];
    this.#next = base === undefined ? 1 : base.#next;
  }

  get #length(): number {
    return this.#strings.reduce((sum, name) => sum + name.length + 1, 0);
  }

  /** Where a name lies; one that the base has isn't repeated. */
  #name(name: string): number {
    const before = this.#base === undefined ? 0 : this.#base.#length;
    const of = (strings: readonly string[]): number => {
      const at = strings.indexOf(name);
      return at === -1 ? -1 : strings.slice(0, at).reduce((sum, each) => sum + each.length + 1, 0);
    };
    const inBase = this.#base === undefined ? -1 : of(this.#base.#strings);
    if (inBase !== -1) return inBase;
    if (of(this.#strings) === -1) this.#strings.push(name);
    return before + of(this.#strings);
  }

  #add(
    name: string,
    kind: number,
    vlen: number,
    sizeOrType: number,
    rest: readonly number[],
    flag = false,
  ): number {
    const info = ((flag ? 2 ** 31 : 0) + kind * 2 ** 24 + vlen) >>> 0;
    this.#types.push(this.#name(name), info, sizeOrType, ...rest);
    return this.#next++;
  }

  int(name: string, size: number): number {
    return this.#add(name, 1, 0, size, [size * 8]);
  }

  pointer(to: number): number {
    return this.#add("", 2, 0, to, []);
  }

  array(of: number, length: number): number {
    return this.#add("", 3, 0, 0, [of, 0, length]);
  }

  /** Members are [name, type, offset in bits], and a bit field's width. */
  struct(
    name: string,
    size: number,
    members: readonly (readonly [string, number, number, number?])[],
    kind: 4 | 5 = 4,
  ): number {
    const hasBits = members.some(([, , , width]) => width !== undefined);
    const rest = members.flatMap(([member, type, offset, width = 0]) => [
      this.#name(member),
      type,
      width * 2 ** 24 + offset,
    ]);
    return this.#add(name, kind, members.length, size, rest, hasBits);
  }

  union(
    name: string,
    size: number,
    members: readonly (readonly [string, number, number])[],
  ): number {
    return this.struct(name, size, members, 5);
  }

  typedef(name: string, of: number): number {
    return this.#add(name, 8, 0, of, []);
  }

  const(of: number): number {
    return this.#add("", 10, 0, of, []);
  }

  enum(name: string, values: Readonly<Record<string, number>>): number {
    const rest = Object.entries(values).flatMap(([each, value]) => [this.#name(each), value >>> 0]);
    return this.#add(name, 6, rest.length / 2, 4, rest);
  }

  enum64(name: string, values: Readonly<Record<string, number>>): number {
    const rest = Object.entries(values).flatMap(([each, value]) => [this.#name(each), value, 0]);
    return this.#add(name, 19, rest.length / 3, 8, rest);
  }

  function(name: string): number {
    const proto = this.#add("", 13, 1, 0, [this.#name("arg"), 0]);
    return this.#add(name, 12, 0, proto, []);
  }

  bytes(): Uint8Array {
    const types = this.#types.length * 4;
    const strings = new TextEncoder().encode(this.#strings.map((each) => `${each}\0`).join(""));
    const blob = new Uint8Array(24 + types + strings.length);
    const view = new DataView(blob.buffer);
    view.setUint16(0, 0xeb9f, true);
    view.setUint8(2, 1);
    [24, 0, types, types, strings.length].forEach((n, i) => view.setUint32(4 + 4 * i, n, true));
    this.#types.forEach((n, i) => view.setUint32(24 + 4 * i, n, true));
    blob.set(strings, 24 + types);
    return blob;
  }
}

/** A kernel's types, with all kinds between those that are looked for. */
function kernel(): Blob {
  const blob = new Blob();
  const u32 = blob.int("unsigned int", 4);
  const u8 = blob.int("unsigned char", 1);
  blob.function("kfree_skb");
  blob.enum("skb_drop_reason", {
    SKB_NOT_DROPPED_YET: 0,
    SKB_DROP_REASON_NO_SOCKET: 3,
    SKB_DROP_REASON_SUBSYS_MASK: 0xffff_0000,
  });
  blob.enum("other", { SKB_DROP_REASON_OTHER: 9 });
  blob.enum64("wide", { ONE: 1, BIG: 0xffff_fff0 });
  const name = blob.array(blob.const(u8), 16);
  const common = blob.struct("sock_common", 16, [
    ["skc_hash", u32, 0],
    ["skc_state", blob.const(blob.typedef("__u8", u8)), 64],
    ["skc_flags", u8, 72, 4],
    ["skc_num", u8, 80],
  ]);
  const either = blob.union("", 8, [["first", u32, 0], ["second", blob.pointer(common), 0]]);
  const inside = blob.struct("", 16, [["", either, 0], ["third", u32, 64]]);
  blob.struct("sock", 64, [["__sk_common", common, 0], ["", inside, 128], ["sk_name", name, 256]]);
  blob.struct("empty", 0, []);
  return blob;
}

const members = (...names: string[]): [string, { offset: number; size: number }][] => [
  ...findMembers(parseBtf(kernel().bytes()), names),
];

describe("an enum of BTF", () => {
  test("is read with all its values, as unsigned numbers", () => {
    expect([...enumValues(parseBtf(kernel().bytes()), "skb_drop_reason")]).toEqual([
      ["SKB_NOT_DROPPED_YET", 0],
      ["SKB_DROP_REASON_NO_SOCKET", 3],
      ["SKB_DROP_REASON_SUBSYS_MASK", 0xffff_0000],
    ]);
  });

  test("may be of 64 bits", () => {
    expect([...enumValues(parseBtf(kernel().bytes()), "wide")])
      .toEqual([["ONE", 1], ["BIG", 0xffff_fff0]]);
  });

  test("that isn't there, or isn't an enum, has no values", () => {
    const btf = parseBtf(kernel().bytes());
    for (const name of ["drop_reason", "skb_drop", "sock", "unsigned int", "nothing"]) {
      expect([name, enumValues(btf, name).size]).toEqual([name, 0]);
    }
  });
});

describe("a member of a struct", () => {
  test("lies where BTF says, in bytes, with its size", () => {
    expect(members("sock.sk_name", "sock_common.skc_num")).toEqual([
      ["sock.sk_name", { offset: 32, size: 16 }],
      ["sock_common.skc_num", { offset: 10, size: 1 }],
    ]);
  });

  test("of a member is found by its path, through const and typedef", () => {
    expect(members("sock.__sk_common.skc_state"))
      .toEqual([["sock.__sk_common.skc_state", { offset: 8, size: 1 }]]);
  });

  test("of an anonymous struct or union belongs to the one around it", () => {
    expect(members("sock.first", "sock.second", "sock.third")).toEqual([
      ["sock.first", { offset: 16, size: 4 }],
      ["sock.second", { offset: 16, size: 8 }],
      ["sock.third", { offset: 24, size: 4 }],
    ]);
  });

  test("is left out where it isn't there, is a bit field, or lies behind a pointer", () => {
    expect(
      members(
        "sock.nothing",
        "nothing.first",
        "sock_common.skc_flags",
        "sock.second.skc_num",
        "sock.first.skc_num",
        "empty.first",
        "sock",
      ),
    ).toEqual([]);
  });
});

describe("a module's BTF", () => {
  const base = kernel();
  const module = new Blob(base);
  // The first string of a module's stands at the very beginning; one name is vmlinux's already.
  module.enum("ovs_drop_reason", { OVS_DROP_METER: 0x2_0003, SKB_DROP_REASON_OTHER: 0x2_0004 });
  module.enum("unsigned int", { LAST: 5 });
  const vmlinux = parseBtf(base.bytes());
  const btf = parseBtf(module.bytes(), vmlinux);

  test("is read with the strings that vmlinux has", () => {
    expect([...enumValues(btf, "ovs_drop_reason")])
      .toEqual([["OVS_DROP_METER", 0x2_0003], ["SKB_DROP_REASON_OTHER", 0x2_0004]]);
  });

  test("is found by a name that vmlinux has a string for", () => {
    expect([...enumValues(btf, "unsigned int")]).toEqual([["LAST", 5]]);
  });

  test("has its own types only", () => {
    expect(enumValues(btf, "skb_drop_reason").size).toBe(0);
    expect(enumValues(vmlinux, "ovs_drop_reason").size).toBe(0);
  });
});

describe("what is no BTF", () => {
  test("is refused", () => {
    expect(() => parseBtf(new Uint8Array(0))).toThrow(RangeError);
    expect(() => parseBtf(new Uint8Array(100))).toThrow("magic number");
    expect(() => parseBtf(kernel().bytes().subarray(0, 23))).toThrow(RangeError);
  });

  test("is told where a kind of type is unknown, and not guessed at", () => {
    const bytes = kernel().bytes();
    bytes[24 + 7] = 31;
    expect(() => enumValues(parseBtf(bytes), "skb_drop_reason")).toThrow("kind");
    expect(() => findMembers(parseBtf(bytes), ["sock.first"])).toThrow("kind");
  });

  test("but a part of a larger buffer is read as well as a whole one", () => {
    const bytes = kernel().bytes();
    const larger = new Uint8Array(bytes.length + 7);
    larger.set(bytes, 7);
    expect(enumValues(parseBtf(larger.subarray(7)), "wide").size).toBe(2);
  });
});

const vmlinux = "/sys/kernel/btf/vmlinux";

describe("the running kernel's BTF", () => {
  test.skipIf(!existsSync(vmlinux))("has the drop reasons, and where a packet's fields lie", () => {
    const btf = parseBtf(readFileSync(vmlinux));
    const reasons = enumValues(btf, "skb_drop_reason");
    expect(reasons.get("SKB_NOT_DROPPED_YET")).toBe(0);
    expect(reasons.size).toBeGreaterThan(10);
    expect(reasons.has("SKB_DROP_REASON_NO_SOCKET")).toBe(true);
    const found = findMembers(btf, [
      "sk_buff.len",
      "sock.__sk_common.skc_state",
      "sk_buff.nothing",
    ]);
    expect(found.get("sk_buff.len")?.size).toBe(4);
    expect(found.get("sock.__sk_common.skc_state")).toEqual({ offset: 18, size: 1 });
    expect(found.has("sk_buff.nothing")).toBe(false);
  });
});

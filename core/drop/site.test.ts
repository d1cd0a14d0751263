import { describe, expect, test } from "bun:test";
import { bareFunction, plumbing, symbolTable } from "./site.ts";

// As /proc/kallsyms has them: not sorted, data among functions, aliases, modules behind a tab.
const kallsyms = `\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000100 t tcp_v4_rcv
ffffffff81000200 T __do_sys_getpid
ffffffff81000200 T __x64_sys_getpid
ffffffff81000300 t ip_rcv_finish_core.isra.0
ffffffff81000400 D some_data
ffffffff81000480 W weak_function
ffffffff81000500 t ip_rcv_finish_core
ffffffffc0000000 t ovs_vport_receive\t[openvswitch]
ffffffffc0000080 t ovs_dp_process_packet\t[openvswitch]
ffffffff81000600 t tcp_v4_rcv.cold
ffffffff81000680 t udp_rcv.constprop.0.isra.2
ffffffffc0000100 t the_last_function\t[openvswitch]
`;

const table = symbolTable(kallsyms);
const at = (hex: string): string => table.nameAt(BigInt(`0x${hex}`));
const signed = (hex: string): number => Number(BigInt.asIntN(64, BigInt(`0x${hex}`)));

describe("the function at an address", () => {
  test("is the one whose beginning is nearest below", () => {
    expect(at("ffffffff81000100")).toBe("tcp_v4_rcv");
    expect(at("ffffffff810001ff")).toBe("tcp_v4_rcv");
    expect(at("ffffffff81000150")).toBe("tcp_v4_rcv");
    expect(at("ffffffff81000480")).toBe("weak_function");
  });

  test("is the same for the signed integer that bpftrace prints", () => {
    expect(table.nameAt(BigInt(signed("ffffffff81000150")))).toBe("tcp_v4_rcv");
  });

  test("is the first of several names, as in the kernel's own stacks", () => {
    expect(at("ffffffff81000200")).toBe("__do_sys_getpid");
    expect(at("ffffffff810002ff")).toBe("__do_sys_getpid");
  });

  test("has no suffix of the compiler's", () => {
    expect(at("ffffffff81000300")).toBe("ip_rcv_finish_core");
    expect(at("ffffffff81000600")).toBe("tcp_v4_rcv");
    expect(at("ffffffff81000680")).toBe("udp_rcv");
  });

  test("has no module's name behind it", () => {
    expect(at("ffffffffc0000010")).toBe("ovs_vport_receive");
  });

  test("is never data, which a function doesn't end before", () => {
    expect(at("ffffffff81000410")).toBe("ip_rcv_finish_core");
  });

  test("is nothing below the first function, and from the last on, whose end nobody knows", () => {
    expect(at("ffffffff80ffffff")).toBe("");
    expect(at("ffffffffc0000100")).toBe("");
    expect(at("ffffffffffffffff")).toBe("");
    expect(at("0")).toBe("");
    expect(at("7fffffffffffffff")).toBe("");
  });
});

describe("where functions lie", () => {
  test("is from their first address to the one before the next", () => {
    expect(table.rangesOf(["weak_function"]))
      .toEqual([[signed("ffffffff81000480"), signed("ffffffff810004ff")]]);
  });

  test("takes in the parts that the compiler cut off", () => {
    expect(table.rangesOf(["tcp_v4_rcv"])).toEqual([
      [signed("ffffffff81000100"), signed("ffffffff810001ff")],
      [signed("ffffffff81000600"), signed("ffffffff8100067f")],
    ]);
    expect(table.rangesOf(["ip_rcv_finish_core"])).toEqual([
      [signed("ffffffff81000300"), signed("ffffffff8100047f")],
      [signed("ffffffff81000500"), signed("ffffffff810005ff")],
    ]);
  });

  test("is the same under each of several names", () => {
    const range: [number, number][] = [[signed("ffffffff81000200"), signed("ffffffff810002ff")]];
    expect(table.rangesOf(["__do_sys_getpid"])).toEqual(range);
    expect(table.rangesOf(["__x64_sys_getpid"])).toEqual(range);
    expect(table.rangesOf(["__x64_sys_getpid", "__do_sys_getpid"])).toEqual(range);
  });

  test("is joined where functions are neighbours, and sorted", () => {
    expect(table.rangesOf(["weak_function", "_stext", "tcp_v4_rcv"])).toEqual([
      [signed("ffffffff81000000"), signed("ffffffff810001ff")],
      [signed("ffffffff81000480"), signed("ffffffff810004ff")],
      [signed("ffffffff81000600"), signed("ffffffff8100067f")],
    ]);
  });

  test("is nowhere for the last function, for data and for names that aren't there", () => {
    expect(table.rangesOf(["the_last_function", "some_data", "nothing_like_it"])).toEqual([]);
  });

  test("agrees with the function at each address", () => {
    for (const name of ["tcp_v4_rcv", "ip_rcv_finish_core", "udp_rcv", "ovs_vport_receive"]) {
      for (const [lo, hi] of table.rangesOf([name])) {
        for (const address of [lo, hi]) expect(table.nameAt(BigInt(address))).toBe(name);
        for (const address of [lo - 1, hi + 1]) {
          expect(table.nameAt(BigInt(address))).not.toBe(name);
        }
      }
    }
  });
});

describe("a kernel that hides its addresses", () => {
  const hidden = symbolTable(kallsyms.replaceAll(/^[0-9a-f]{16}/gm, "0000000000000000"));

  test("has no functions, and says nothing about any address", () => {
    expect(hidden.size).toBe(0);
    expect(hidden.nameAt(0n)).toBe("");
    expect(hidden.nameAt(BigInt(signed("ffffffff81000150")))).toBe("");
    expect(hidden.rangesOf(["tcp_v4_rcv"])).toEqual([]);
  });

  test("is told by its size, which counts functions", () => {
    expect(table.size).toBe(12);
    expect(symbolTable("").size).toBe(0);
  });
});

test("the compiler's suffixes are taken off, however many, and no others", () => {
  expect(bareFunction("f.isra.0")).toBe("f");
  expect(bareFunction("f.constprop.12.isra.0.cold")).toBe("f");
  expect(bareFunction("f.part.3")).toBe("f");
  expect(bareFunction("f.llvm.1234567890")).toBe("f");
  expect(bareFunction("f.cold")).toBe("f");
  expect(bareFunction("f_isra")).toBe("f_isra");
  expect(bareFunction("f.isra.0.other")).toBe("f.isra.0.other");
});

test("plumbing is written without suffixes, as it is compared", () => {
  for (const name of plumbing) expect(bareFunction(name)).toBe(name);
});

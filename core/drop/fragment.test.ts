import { describe, expect, test } from "bun:test";
import { fragments, unavailable, withDependencies } from "./fragment.ts";
import type { FragmentName, KernelFacts } from "./fragment.ts";

const names = Object.keys(fragments) as FragmentName[];
const all = new Set(["skbaddr", "location", "rx_sk", "protocol", "reason"]);
const kernel: KernelFacts = { release: "6.18.0", args: all, btf: true, skIno: true };
const withoutBtf: KernelFacts = { ...kernel, btf: false };
const older: KernelFacts = {
  release: "6.1.0",
  args: new Set(["skbaddr", "location", "protocol", "reason"]),
  btf: true,
  skIno: false,
};

const codeOf = (name: FragmentName, on: KernelFacts): string => fragments[name].code(on);

describe("the fragments of a probe", () => {
  test.each(names.map((name) => [name] as const))(
    "%s reads only variables that it, or one it comes after, has set",
    (name) => {
      for (const on of [kernel, older]) {
        const before = withDependencies([name]).map((each) => codeOf(each, on)).join("\n");
        const set = new Set([...before.matchAll(/(\$\w+) = /g)].map((match) => match[1]));
        for (const [variable] of before.matchAll(/\$\w+/g)) {
          expect([name, variable, set.has(variable)]).toEqual([name, variable, true]);
        }
      }
    },
  );

  test.each(names.map((name) => [name] as const))(
    "%s copies at most the one argument that it says, and needs nothing for that",
    (name) => {
      const { arg, after } = fragments[name];
      const read = [...codeOf(name, kernel).matchAll(/args->(\w+)/g)].map((match) => match[1]);
      expect(read).toEqual(arg === undefined ? [] : [arg]);
      if (arg !== undefined) expect(after).toEqual([]);
    },
  );

  test("of which one reads the kernel's structs says that it needs BTF", () => {
    for (const name of names) {
      if (/struct |->/.test(codeOf(name, kernel).replaceAll("args->", ""))) {
        expect([name, fragments[name].btf]).toEqual([name, true]);
      }
    }
  });

  test("read a socket's inode where the kernel keeps it", () => {
    expect(codeOf("ownerInode", kernel)).toContain("sk_ino");
    expect(codeOf("ownerInode", older)).not.toContain("sk_ino");
    expect(codeOf("ownerInode", older)).toContain("i_ino");
  });

  test("don't read an argument that the tracepoint hasn't got", () => {
    expect(codeOf("rxSock", older)).not.toContain("args->");
    expect(codeOf("rxSock", older)).toContain("$rx_sk = ");
  });
});

describe("dependencies", () => {
  test("come before what needs them, each once", () => {
    for (const name of names) {
      const order = withDependencies([name]);
      expect(order.at(-1)).toBe(name);
      expect(new Set(order).size).toBe(order.length);
      for (const each of order) {
        for (const needed of fragments[each].after) {
          expect(order.indexOf(needed)).toBeGreaterThanOrEqual(0);
          expect(order.indexOf(needed)).toBeLessThan(order.indexOf(each));
        }
      }
    }
  });

  test("of several are shared", () => {
    const order = withDependencies(["ports", "addresses", "ports", "l4"]);
    expect([...order].sort()).toEqual(
      ["addresses", "l4", "network", "ports", "protocol", "skb", "transport"],
    );
  });

  test("of nothing are nothing", () => {
    expect(withDependencies([])).toEqual([]);
  });
});

describe("what a kernel can't give", () => {
  test("is nothing where it has all", () => {
    for (const name of names) expect(unavailable(name, kernel)).toBeUndefined();
  });

  test("without BTF is all that lies in its structs, and the reason is said", () => {
    const left = names.filter((name) => unavailable(name, withoutBtf) === undefined);
    expect(left.sort()).toEqual(["location", "protocol", "rxSock"]);
    expect(unavailable("ports", withoutBtf)).toContain("BTF");
    expect(unavailable("ports", withoutBtf)).toContain("reason, subsystem, class");
  });

  test("names the argument that is missing, also of a fragment that needs it indirectly", () => {
    const odd: KernelFacts = { ...kernel, args: new Set(["location", "reason"]) };
    expect(unavailable("protocol", odd)).toBe("skb:kfree_skb has no protocol on Linux 6.18.0");
    expect(unavailable("len", odd)).toContain("skbaddr");
    expect(unavailable("location", odd)).toBeUndefined();
  });

  test("isn't the socket where there is no rx_sk: skb->sk is left", () => {
    expect(unavailable("ownerInode", older)).toBeUndefined();
  });
});

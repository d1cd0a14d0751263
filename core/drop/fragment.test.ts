import { describe, expect, test } from "bun:test";
import { kernel, olderKernel as older } from "../../test/world.ts";
import { fragmentCode, fragments, readMembers, unavailable, withDependencies } from "./fragment.ts";
import type { FragmentName, KernelFacts } from "./fragment.ts";

const names = Object.keys(fragments) as FragmentName[];
const withoutBtf: KernelFacts = { ...kernel, btf: false, members: new Map() };

/** Where the code of a fragment reads: `ADDRESS + OFFSET` of each member that it names. */
function placesIn(name: FragmentName, on: KernelFacts): number[] {
  const code = fragmentCode(name, on);
  return [...code.matchAll(/\*\(\w+ \*\)\(\$\w+ \+ (\d+)\)/g)].map((match) => Number(match[1]));
}

describe("the fragments of a probe", () => {
  test.each(names.map((name) => [name] as const))(
    "%s reads only variables that it, or one it comes after, has set",
    (name) => {
      for (const on of [kernel, older]) {
        const before = withDependencies([name]).map((each) => fragmentCode(each, on)).join("\n");
        // Which copy is written is read before any fragment.
        const set = new Set(["$e"]);
        for (const [, variable] of before.matchAll(/(\$\w+) = /g)) set.add(variable!);
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
      const read = [...fragmentCode(name, kernel).matchAll(/args->(\w+)/g)].map((match) =>
        match[1]
      );
      expect(read).toEqual(arg === undefined ? [] : [arg]);
      if (arg !== undefined) expect(after).toEqual([]);
    },
  );

  test.each(names.map((name) => [name] as const))(
    "%s reads the members that it names, where this kernel has them, and no others",
    (name) => {
      const { reads = [], mayRead = [] } = fragments[name];
      const placeOf = new Map([...kernel.members].map(([member, { offset }]) => [offset, member]));
      const named = placesIn(name, kernel).map((offset) =>
        // The second half of a name of sixteen bytes.
        placeOf.get(offset) ?? placeOf.get(offset - 8)
      );
      const known: readonly (string | undefined)[] = [...reads, ...mayRead];
      for (const member of named) expect(known).toContain(member);
      if (mayRead.length === 0) expect(new Set(named)).toEqual(new Set(reads));
    },
  );

  test("read a member in its own width", () => {
    const narrow: KernelFacts = {
      ...kernel,
      members: new Map([...kernel.members, ["sk_buff.mark", { offset: 168, size: 4 }]]),
    };
    expect(fragmentCode("mark", narrow)).toBe("$mark = *(uint32 *)($skb + 168) + 0;");
  });

  test("can't be written for a kernel without their members", () => {
    expect(() => fragmentCode("mark", withoutBtf)).toThrow("sk_buff.mark");
    expect(() => fragmentCode("comm", withoutBtf)).toThrow("task_struct.comm");
  });

  test("read a socket's inode in the socket where the kernel keeps it there", () => {
    const { offset } = kernel.members.get("sock.sk_ino")!;
    expect(placesIn("ownerInode", kernel)).toEqual([offset]);
    expect(placesIn("ownerInode", older)).toEqual(
      (["sock.sk_socket", "socket_alloc.vfs_inode.i_ino"] as const).map((name) =>
        older.members.get(name)!.offset
      ),
    );
  });

  test("don't read an argument that the tracepoint hasn't got", () => {
    expect(fragmentCode("rxSock", older)).not.toContain("args->");
    expect(fragmentCode("rxSock", older)).toContain("$rx_sk = ");
  });

  test("name all their members in one list, for whoever looks them up", () => {
    for (const { reads = [], mayRead = [] } of Object.values(fragments)) {
      for (const member of [...reads, ...mayRead]) expect(readMembers).toContain(member);
    }
    expect(new Set(readMembers).size).toBe(readMembers.length);
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
    expect(left.sort()).toEqual(["location", "protocol", "rxSock", "skb"]);
    expect(unavailable("ports", withoutBtf)).toContain("BTF");
    expect(unavailable("ports", withoutBtf)).toContain("reason, subsystem, class");
  });

  test("names the argument that is missing, also of a fragment that needs it indirectly", () => {
    const odd: KernelFacts = { ...kernel, args: new Set(["location", "reason"]) };
    expect(unavailable("protocol", odd)).toBe("skb:kfree_skb has no protocol on Linux 6.18.0");
    expect(unavailable("len", odd)).toContain("skbaddr");
    expect(unavailable("location", odd)).toBeUndefined();
  });

  test("names the member that is missing", () => {
    const odd: KernelFacts = {
      ...kernel,
      members: new Map([...kernel.members].filter(([name]) => name !== "kernfs_node.id")),
    };
    expect(unavailable("cgroupId", odd)).toBe("Linux 6.18.0 has no kernfs_node.id");
    expect(unavailable("ownerPort", odd)).toBeUndefined();
  });

  test("isn't missing where there is a newer way to the same", () => {
    const newer: KernelFacts = {
      ...kernel,
      members: new Map([...kernel.members].filter(([name]) => name !== "sock.sk_socket")),
    };
    expect(unavailable("ownerInode", newer)).toBeUndefined();
    expect(fragmentCode("ownerInode", newer)).toContain("$owner_inode");
  });

  test("isn't the socket where there is no rx_sk: skb->sk is left", () => {
    expect(unavailable("ownerInode", older)).toBeUndefined();
  });
});

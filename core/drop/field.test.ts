import { describe, expect, test } from "bun:test";
import { kernel, olderKernel, world } from "../../test/world.ts";
import { noAddress, wordsOf } from "./bytes.ts";
import { fieldNames, fieldOf, isFieldName, l4Protocols, protocols, tcpFlagSets } from "./field.ts";
import type { FieldName } from "./field.ts";
import { fragmentCode, withDependencies } from "./fragment.ts";

function label(field: FieldName, ...slots: readonly (number | bigint)[]): string {
  return fieldOf(field).label(slots.map(BigInt), world.names);
}

describe("each field of the catalogue", () => {
  test.each(fieldNames.map((name) => [name] as const))("%s says what it is, in a line", (name) => {
    const { doc } = fieldOf(name);
    expect(doc.length).toBeGreaterThan(10);
    expect(doc).not.toContain("\n");
    expect(doc).not.toMatch(/\.$/);
  });

  test.each(fieldNames.map((name) => [name] as const))(
    "%s has as many slots in a key as its kind is wide",
    (name) => {
      const { kind, slots, bytes } = fieldOf(name);
      // A flow (two addresses, two ports), and what was sent on it before.
      expect(slots).toHaveLength(kind === "later" ? 7 : kind === "bytes" ? 2 : 1);
      expect(bytes !== undefined).toBe(kind === "bytes");
    },
  );

  test.each(fieldNames.map((name) => [name] as const))(
    "%s finds its variables set by the fragments that it uses, on every kernel",
    (name) => {
      const { slots, uses } = fieldOf(name);
      for (const each of [kernel, olderKernel]) {
        const code = withDependencies(uses).map((name) => fragmentCode(name, each)).join("\n");
        const variables = slots.flatMap((slot) => slot.match(/\$\w+/g) ?? []);
        for (const variable of variables.filter((each) => each !== "$reason")) {
          expect(code).toContain(`${variable} = `);
        }
      }
    },
  );

  test.each(fieldNames.map((name) => [name] as const))(
    "%s is the empty text where the packet doesn't tell",
    (name) => {
      const { kind, bytes, unknown } = fieldOf(name);
      if (unknown !== undefined) expect(label(name, unknown)).toBe("");
      if (bytes === "text") expect(label(name, 0, 0)).toBe("");
      if (bytes === "address") expect(label(name, ...wordsOf(noAddress))).toBe("");
      if (kind === "site") expect(label(name, -12345)).toBe("");
      if (kind === "stack") expect(label(name, 0)).toBe("");
    },
  );

  test.each(fieldNames.map((name) => [name] as const))(
    "%s has a text of its own for each of its values",
    (name) => {
      const { kind, max = 0, unknown } = fieldOf(name);
      if (kind !== "number") return;
      const values = [0, 1, 2, 6, 17, 128, 255, 0x0800, 0x86dd, 65535, 0xffff_ffff, 2 ** 52, max]
        .filter((value) => value <= max && value !== unknown);
      const labels = values.map((value) => label(name, value));
      expect(labels).not.toContain("");
      expect(new Set(labels).size).toBe(new Set(values).size);
    },
  );

  test("keeps its unknown outside of its values, or at a zero that no packet has", () => {
    for (const name of fieldNames) {
      const { unknown, max } = fieldOf(name);
      if (unknown !== undefined && unknown !== 0) expect(unknown).toBeGreaterThan(max!);
    }
  });

  test("counts zero as a value where it is one", () => {
    for (const name of ["len", "mark", "cpu", "pid", "sport", "dport"] as const) {
      expect([name, label(name, 0)]).toEqual([name, "0"]);
    }
  });
});

describe("names for numbers", () => {
  test("are those that people know", () => {
    expect(label("protocol", 0x0800)).toBe("IPv4");
    expect(label("protocol", 0x86dd)).toBe("IPv6");
    expect(label("protocol", 0x0806)).toBe("ARP");
    expect(label("l4", 6)).toBe("TCP");
    expect(label("l4", 17)).toBe("UDP");
    expect(label("l4", 58)).toBe("ICMPv6");
    expect(label("tcpFlags", 0x12)).toBe("SYN|ACK");
    expect(label("tcpFlags", 0x18)).toBe("PSH|ACK");
    expect(label("tcpFlags", 0x00)).toBe("none");
  });

  test("lead back to the number", () => {
    for (const [field, names] of [["protocol", protocols], ["l4", l4Protocols]] as const) {
      for (const [name, id] of Object.entries(names)) expect(label(field, id)).toBe(name);
    }
    for (const [name, bits] of Object.entries(tcpFlagSets)) {
      expect(label("tcpFlags", bits)).toBe(name);
    }
    expect(Object.keys(tcpFlagSets)).toHaveLength(256);
  });

  test("leave a number without a name as it is written in the field's own way", () => {
    expect(label("protocol", 0x88b5)).toBe("0x88b5");
    expect(label("protocol", 0x00ff)).toBe("0x00ff");
    expect(label("l4", 253)).toBe("253");
  });
});

describe("labels", () => {
  test("of an address, a name and a site come from their words", () => {
    const bytes = new Uint8Array(16);
    bytes.set([0xff, 0xff, 192, 0, 2, 7], 10);
    expect(label("saddr", ...wordsOf(bytes))).toBe("192.0.2.7");
    bytes.fill(0).set(new TextEncoder().encode("eth0\0rest"));
    expect(label("dev", ...wordsOf(bytes))).toBe("eth0");
    expect(label("comm", ...wordsOf(bytes))).toBe("eth0");
    expect(label("site", -1000)).toBe("udp_queue_rcv_one_skb");
  });

  test("of a reason, its subsystem and its class come from the kernel's names", () => {
    expect(label("reason", 5)).toBe("SOCKET_FILTER");
    expect(label("subsystem", 1)).toBe("mac80211_unusable");
    expect(label("class", 6)).toBe("fault");
  });
});

test("a name that only JavaScript knows is no field", () => {
  for (const name of ["toString", "__proto__", "constructor", "", "Reason"]) {
    expect([name, isFieldName(name)]).toEqual([name, false]);
  }
  expect(fieldNames.every(isFieldName)).toBe(true);
});

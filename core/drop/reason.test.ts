import { describe, expect, test } from "bun:test";
import { knowledge } from "./knowledge.ts";
import { bareReason, classOfReason, knowledgeOf, reasonWorld } from "./reason.ts";

const names = reasonWorld(
  new Map([[5, "SOCKET_FILTER"], [0x1_000a, "mac80211_unusable/RX_DROP_U_REPLAY"]]),
  new Map([[0, "core"], [1, "mac80211_unusable"]]),
).names;

describe("a reason's number", () => {
  test("becomes the name that this kernel has for it", () => {
    expect(names.reason(5)).toBe("SOCKET_FILTER");
    expect(names.reason(0x1_000a)).toBe("mac80211_unusable/RX_DROP_U_REPLAY");
  });

  test("without a name keeps all its 32 bits, and says whose it is", () => {
    expect(names.reason(0x1_000b)).toBe("mac80211_unusable/0x1000b");
    expect(names.reason(0x7_0001)).toBe("subsystem7/0x70001");
    expect(names.reason(0xffff_ffff)).toBe("subsystem65535/0xffffffff");
    expect(names.reason(200)).toBe("0xc8");
  });

  test("is never taken for another one with the same low bits", () => {
    const shown = [5, 0x1_0005, 0x2_0005, 0x8000_0005, 0xffff_0005].map(names.reason);
    expect(new Set(shown).size).toBe(shown.length);
  });

  test("of two kernels is named by each of them in its own way", () => {
    const other = reasonWorld(new Map([[5, "SOCKET_CLOSE"]]), new Map([[0, "core"]]));
    expect(other.names.reason(5)).toBe("SOCKET_CLOSE");
  });
});

describe("a subsystem", () => {
  test("has the name that this kernel has for it, or its number", () => {
    expect(names.subsystem(0)).toBe("core");
    expect(names.subsystem(1)).toBe("mac80211_unusable");
    expect(names.subsystem(9)).toBe("subsystem9");
  });
});

describe("a reason's class", () => {
  test("says what it says about the machine", () => {
    expect(classOfReason("SOCKET_RCVBUFF")).toBe("fault");
    expect(classOfReason("NETFILTER_DROP")).toBe("policy");
    expect(classOfReason("SOCKET_CLOSE")).toBe("teardown");
    expect(classOfReason("OTHERHOST")).toBe("normal");
    expect(classOfReason("NOT_SPECIFIED")).toBe("unknown");
  });

  test("is its subsystem's, where the reason itself isn't known", () => {
    expect(classOfReason("mac80211_unusable/0x1000b")).toBe("normal");
    expect(classOfReason("openvswitch/0x20003")).toBe("policy");
    expect(names.classOf(0x1_000b)).toBe("normal");
  });

  test("is its own before its subsystem's", () => {
    expect(classOfReason("openvswitch/OVS_DROP_IP_TTL")).toBe("normal");
  });

  test("is unknown for what nobody has heard of, also for names that only JavaScript knows", () => {
    for (
      const name of ["A_NEW_ONE", "0xc8", "subsystem7/0x70001", "toString", "constructor/x", ""]
    ) {
      expect([name, classOfReason(name)]).toEqual([name, "unknown"]);
    }
  });
});

test("the enum's prefix is taken off, and nothing else", () => {
  expect(bareReason("SKB_DROP_REASON_NO_SOCKET")).toBe("NO_SOCKET");
  expect(bareReason("NO_SOCKET")).toBe("NO_SOCKET");
  expect(bareReason("RX_DROP_SKB_DROP_REASON_X")).toBe("RX_DROP_SKB_DROP_REASON_X");
});

describe("the knowledge of reasons", () => {
  test("tells for each what it means, a cause, and what to do", () => {
    for (const [name, known] of Object.entries(knowledge)) {
      expect([name, known.means.length > 10]).toEqual([name, true]);
      expect([name, known.causes.length > 0]).toEqual([name, true]);
      expect([name, known.change.length > 0]).toEqual([name, true]);
      expect(["fault", "policy", "teardown", "normal", "unknown"]).toContain(known.class);
    }
  });

  test("is keyed by the names that the kernel shows, without prefix", () => {
    for (const name of Object.keys(knowledge)) expect(bareReason(name)).toBe(name);
    expect(knowledgeOf("SOCKET_FILTER")?.class).toBe("policy");
    expect(knowledgeOf("SKB_DROP_REASON_SOCKET_FILTER")).toBeUndefined();
  });
});

test("a site is nothing where nobody knows the kernel's functions", () => {
  expect(names.site(-5n)).toBe("");
});

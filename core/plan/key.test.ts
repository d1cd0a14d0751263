import { describe, expect, test } from "bun:test";
import { planOf, world } from "../../test/world.ts";
import type { FieldName } from "../drop/field.ts";
import { foldStack, keyReader, separator, siteOfStack } from "./key.ts";
import type { SeriesKey } from "./key.ts";

/** Reads keys of the only map of a plan of one count. */
function readerOf(
  by: readonly FieldName[],
  walked = false,
): (raw: string) => SeriesKey | undefined {
  const plan = planOf({ by });
  return keyReader(plan, plan.maps[0]!, world.names, walked);
}

describe("a key", () => {
  test("becomes the labels of its fields, in the catalogue's order", () => {
    const key = readerOf(["dport", "reason", "l4"])("5,17,53");
    expect(key).toEqual({
      text: ["SOCKET_FILTER", "UDP", "53"].join(separator),
      labels: ["SOCKET_FILTER", "UDP", "53"],
      counts: [0],
    });
  });

  test("may hold negative integers, and blanks between them", () => {
    expect(readerOf(["site", "dport"])("-1000, 53")?.labels)
      .toEqual(["udp_queue_rcv_one_skb", "53"]);
  });

  test("of one reason alone is one integer", () => {
    expect(readerOf(["reason"])("65538")?.labels).toEqual(["mac80211_unusable/RX_DROP_U_REPLAY"]);
  });

  test("that isn't one is refused, never guessed at", () => {
    const read = readerOf(["reason", "dport"]);
    const wrong = [
      "",
      "5",
      "5,53,1",
      "5,x",
      "5,0x35",
      "five,53",
      "5,,53",
      "5,53,",
      "5,5.3",
      "5,1e3",
      "NO_SOCKET,53",
      "5,53\n6,53",
    ];
    for (const raw of wrong) expect([raw, read(raw)]).toEqual([raw, undefined]);
    expect(read("5,53")).toBeDefined();
  });

  test("with a class that the plan doesn't have is refused", () => {
    const plan = planOf({ where: { l4: "UDP" }, by: ["dport"] }, { by: ["dport"] });
    const read = keyReader(plan, plan.maps[0]!, world.names);
    expect(read("1,53")).toBeDefined();
    expect(read("2,53")).toBeDefined();
    expect(read("1,53")?.counts).not.toEqual(read("2,53")?.counts);
    expect(read("3,53")).toBeUndefined();
    expect(read("-1,53")).toBeUndefined();
  });

  test("that looks like another one has the same text: several addresses of one function", () => {
    const twice: typeof world.names = { ...world.names, site: () => "tcp_v4_rcv" };
    const plan = planOf({ by: ["site"] });
    const read = keyReader(plan, plan.maps[0]!, twice);
    expect(read("-1")!.text).toBe(read("-2")!.text);
  });

  test("is the same object each time, so that a reader needn't read it twice", () => {
    const read = readerOf(["dport"]);
    expect(read("53")).toBe(read("53"));
  });
});

describe("a stack in a key", () => {
  // As bpftrace 0.17 and 0.27 print one, and as 0.23 does, which escapes twice.
  const printed = [
    "5,\n    sk_skb_reason_drop+144\n    udp_rcv.isra.0+339\n    entry_SYSCALL_64+118\n",
    "5,\nsk_skb_reason_drop+144\nudp_rcv.isra.0+339\nentry_SYSCALL_64+118\n",
    "5,\\n        sk_skb_reason_drop+144\\n        udp_rcv.isra.0+339\\n        entry_SYSCALL_64+118\\n",
  ];

  test("is folded, outermost function first, the same for every version of bpftrace", () => {
    const read = readerOf(["reason", "stack"]);
    for (const raw of printed) {
      expect(read(raw)?.labels).toEqual([
        "SOCKET_FILTER",
        "entry_SYSCALL_64;udp_rcv;sk_skb_reason_drop",
      ]);
    }
  });

  test("may hold commas, and what would separate frames is replaced", () => {
    expect(foldStack("\n  f<int, char>(x)+0x12\n  a;b+3\n")).toBe("a:b;f<int, char>(x)");
    expect(readerOf(["reason", "stack"])("5,\n  f(a, b)+1\n")?.labels[1]).toBe("f(a, b)");
  });

  test("that is empty is the empty text", () => {
    expect(readerOf(["reason", "stack"])("5,\n")?.labels[1]).toBe("");
  });

  test("keeps an address that has no name", () => {
    expect(foldStack("\n0xffffffffc0123456\nf+1\n")).toBe("f;0xffffffffc0123456");
  });

  test("tells the site: the innermost function that isn't plumbing", () => {
    expect(siteOfStack("entry;udp_rcv;sk_skb_reason_drop")).toBe("udp_rcv");
    expect(siteOfStack("entry;tcp_rcv;tcp_drop_reason;kfree_skb;__kfree_skb")).toBe("tcp_rcv");
    expect(siteOfStack("kfree_skb")).toBe("");
    expect(siteOfStack("")).toBe("");
  });

  test("that was walked for the site alone gives the label, and is none itself", () => {
    const key = readerOf(["site", "dport"], true)(
      "-2000,53,\n  kfree_skb+1\n  ip_rcv_core+2\n  x+3\n",
    );
    expect(key?.labels).toEqual(["ip_rcv_core", "53"]);
  });

  test("of nothing but plumbing leaves the site to the location", () => {
    expect(readerOf(["site"], true)("-2000,\n  kfree_skb+1\n")?.labels).toEqual(["tcp_v4_rcv"]);
  });
});

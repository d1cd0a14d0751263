// What an alert is made of: its own drops, those of its window, the most frequent first, bounded.
import { describe, expect, test } from "bun:test";
import { ruleOf } from "../../test/rule.ts";
import { facts, world } from "../../test/world.ts";
import type { Drop } from "../drop/field.ts";
import { flowText, readKept } from "../plan/key.ts";
import { evidenceFor, evidenceLog, evidentCounts, sourceLink } from "./evidence.ts";
import type { Tick } from "./tick.ts";
import { countsOf } from "./watch.ts";

const stack = "asm_exc;ip_rcv;udp_queue_rcv_one_skb;sk_skb_reason_drop";
const drop = (parts: Drop = {}): Drop => ({
  reason: "SOCKET_FILTER",
  l4: "UDP",
  saddr: "192.0.2.1",
  daddr: "192.0.2.9",
  sport: "4000",
  dport: "53",
  dev: "eth0",
  owner: "syncthing",
  ownerPid: "100",
  site: "udp_queue_rcv_one_skb",
  stack,
  ...parts,
});

function tick(at: number, drops: readonly (readonly [Drop, number])[]): Tick {
  return {
    at,
    seconds: 1,
    seen: 0,
    counted: 0,
    other: 0,
    lost: 0,
    reasons: new Map(),
    maps: [],
    samples: [],
    evidence: drops.map(([one, n]) => ({ drop: one, at: "udp_queue_rcv_one_skb+0x1a3", n })),
    unreadable: 0,
  };
}

describe("the evidence of an alert", () => {
  const rule = ruleOf({
    where: { reason: "SOCKET_FILTER" },
    by: ["dport"],
    above: 1,
    window: 3000,
  });
  const log = () => evidenceLog([rule], world, "6.18.44-fc");

  test("is none where the source keeps no drops, whatever their reasons were", () => {
    const kept = log();
    const { evidence: _, ...without } = tick(1000, []);
    kept.add({ ...without, reasons: new Map([[5, 9]]) });
    expect(kept.of(rule, { dport: "53" }, 1000)).toBe(undefined);
  });

  test("is site, flows, stacks, owners and reasons, the most frequent first", () => {
    const kept = log();
    kept.add(tick(1000, [[drop(), 3], [drop({ saddr: "192.0.2.2" }), 5]]));
    kept.add(tick(2000, [[drop(), 4]]));
    expect(kept.of(rule, { dport: "53" }, 2000)).toMatchObject({
      kept: 12,
      ownerKnown: true,
      owners: [{ owner: "syncthing", pid: "100", drops: 12 }],
      site: "udp_queue_rcv_one_skb",
      at: "udp_queue_rcv_one_skb+0x1a3",
      source: "https://elixir.bootlin.com/linux/v6.18.44/A/ident/udp_queue_rcv_one_skb",
      flows: [{ saddr: "192.0.2.1", drops: 7 }, { saddr: "192.0.2.2", drops: 5 }],
      stacks: [{ stack: stack.split(";").reverse(), drops: 12 }],
      reasons: [{ reason: "SOCKET_FILTER", class: "policy", drops: 12 }],
    });
  });

  test("says after how many of its TCP drops TCP sent again, within the window and not before them", () => {
    const tcp = (sport: string, before: string): Drop =>
      drop({ l4: "TCP", sport, retransmitted: before });
    const kept = log();
    const flow = (sport: string): string => flowText("192.0.2.1", sport, "192.0.2.9", "53");
    // Of 1 it is the drop that came second, 2 is sent again in the next tick, 3 never.
    kept.add({
      ...tick(1000, [[tcp("1", "0"), 5], [tcp("1", "1"), 7]]),
      retransmits: new Map([[flow("1"), 1]]),
    });
    kept.add(
      tick(2000, [[tcp("2", "0"), 11], [tcp("3", "0"), 13], [drop({ retransmitted: "" }), 17]]),
    );
    kept.add({ ...tick(3000, []), retransmits: new Map([[flow("2"), 1], ["other flow", 9]]) });
    const { tcp: told, flows } = kept.of(rule, { dport: "53" }, 3000)!;
    expect(flows[0]).toMatchObject({ daddr: "192.0.2.9" });
    expect(told).toEqual({ kept: 36, retransmitted: 16 });
  });

  test("is of drops that meet its condition and have its labels, within its window", () => {
    const kept = log();
    kept.add(tick(1000, [[drop(), 100]]));
    kept.add(tick(4000, [
      [drop(), 1],
      [drop({ dport: "80" }), 10],
      [drop({ reason: "NO_SOCKET" }), 20],
    ]));
    expect(kept.of(rule, { dport: "53" }, 4000)!.kept).toBe(1);
    expect(kept.of(rule, { dport: "80" }, 4000)!.kept).toBe(10);
    expect(kept.of(rule, { dport: "443" }, 4000)).toBe(undefined);
  });

  test("is what labels tell where a flood of others left it without a drop that was kept", () => {
    const kept = evidenceLog(
      [ruleOf({ where: { reason: "SOCKET_FILTER" }, by: ["owner"], above: 1, window: 3000 })],
      world,
      "",
    );
    const byOwner = ruleOf({
      where: { reason: "SOCKET_FILTER" },
      by: ["owner"],
      above: 1,
      window: 3000,
    });
    expect(kept.of(byOwner, { owner: "dnsmasq" }, 1000)).toBe(undefined);
    kept.add({ ...tick(1000, [[drop(), 32]]), reasons: new Map([[5, 500_000], [3, 900_000]]) });
    expect(kept.of(byOwner, { owner: "dnsmasq" }, 1000)).toMatchObject({
      kept: 0,
      ownerKnown: true,
      owners: [{ owner: "dnsmasq", pid: "", drops: 0 }],
      site: "",
      at: "",
      source: "",
      flows: [],
      listeners: [],
      stacks: [],
      tcp: { kept: 0, retransmitted: 0 },
      reasons: [{ reason: "SOCKET_FILTER", class: "policy", drops: 0 }],
      counters: [],
    });
    expect(kept.of(byOwner, { owner: "" }, 1000)).toMatchObject({ ownerKnown: false, owners: [] });
    expect(kept.of(byOwner, { owner: "dnsmasq" }, 9000)).toBe(undefined);
  });

  test("says that the owner is not known where some of its drops have none", () => {
    const kept = log();
    kept.add(tick(1000, [[drop(), 1], [drop({ owner: "", ownerPid: "" }), 9]]));
    expect(kept.of(rule, { dport: "53" }, 1000)).toMatchObject({
      ownerKnown: false,
      owners: [{ owner: "syncthing", drops: 1 }],
    });
  });

  test("of packets to a closed port says who listened there", () => {
    const closed = ruleOf({ where: { reason: "NO_SOCKET" }, above: 1, window: 3000 });
    const names = {
      ...world.names,
      listener: (l4: string, port: string) =>
        l4 === "UDP" && port === "53" ? { owner: "dnsmasq", pid: "7", at: 0 } : undefined,
    };
    const kept = evidenceLog([closed], { ...world, names }, "");
    const refused = { reason: "NO_SOCKET", owner: "", ownerPid: "" };
    kept.add(tick(1000, [[drop(refused), 5], [drop({ ...refused, dport: "54" }), 9]]));
    expect(kept.of(closed, {}, 1000)).toMatchObject({
      ownerKnown: false,
      listeners: [
        { l4: "UDP", port: "53", owner: "dnsmasq", pid: "7", lastSeen: "1970-01-01T00:00:00.000Z" },
      ],
    });
  });

  test("is bounded: few of each kind, and the oldest are let go", () => {
    const kept = log();
    const many = Array.from({ length: 15_000 }, (_, i) => [drop({ sport: `${i}` }), 1] as const);
    kept.add(tick(1000, many));
    kept.add(tick(2000, many));
    const found = kept.of(rule, { dport: "53" }, 2000)!;
    expect(found.kept).toBe(15_000);
    expect(found.flows).toHaveLength(5);
  });
});

describe("what is kept for rules", () => {
  test("is flow and owner, and what their conditions and labels need, as far as the source has it", () => {
    const rules = [ruleOf({ where: { len: { gte: 9 } }, by: ["mark", "stack"], above: 1 })];
    const { fields, counts } = evidenceFor(evidentCounts(rules), countsOf(rules).indexOf, {
      ...facts,
      unavailable: (field) => field === "dev" ? "no" : undefined,
    });
    expect(fields).toEqual([
      "reason",
      "l4",
      "saddr",
      "daddr",
      "sport",
      "dport",
      "retransmitted",
      "len",
      "netns",
      "mark",
      "ownerInode",
      "owner",
      "ownerPid",
    ]);
    expect(counts).toEqual([0]);
  });
});

test("a drop that was kept is read with its site, and where in it, whatever bpftrace's stack looks like", () => {
  for (const indent of ["\n", "\n    ", "\\n        "]) {
    const frames = ["sk_skb_reason_drop+292", "udp_queue_rcv_one_skb.isra.0+419", "ip_rcv+1"];
    const raw = `5,53,${indent}${frames.join(indent)}${indent}`;
    expect(readKept(raw, ["reason", "dport"], world.names)).toEqual({
      drop: {
        reason: "SOCKET_FILTER",
        dport: "53",
        stack: "ip_rcv;udp_queue_rcv_one_skb;sk_skb_reason_drop",
        site: "udp_queue_rcv_one_skb",
      },
      at: "udp_queue_rcv_one_skb+0x1a3",
    });
  }
  expect(readKept("5,x,\n a+1\n", ["reason", "dport"], world.names)).toBe(undefined);
});

test("a function's source is linked in the kernel's own version, and nowhere where that isn't known", () => {
  expect(sourceLink("ip_rcv", "6.1.0-28-amd64")).toBe(
    "https://elixir.bootlin.com/linux/v6.1/A/ident/ip_rcv",
  );
  expect(sourceLink("ip_rcv", "")).toBe("");
  expect(sourceLink("\x1b]8;;x", "6.1.0")).toBe("");
});

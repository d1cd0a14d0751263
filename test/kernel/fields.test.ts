// Every field says what the packet was: on receive and on transmit, IPv4 and IPv6, and with headers
// that are cut short.
import { readFileSync, statSync } from "node:fs";
import { describe, expect } from "bun:test";
import type { Drop, FieldName } from "../../core/drop/field.ts";
import { fieldNames, fieldOf } from "../../core/drop/field.ts";
import { makePlan } from "../../core/plan/plan.ts";
import { dropCounter } from "../../core/plan/label.ts";
import * as drops from "../traffic/drops.ts";
import type { Namespaces } from "../../plugins/doctor/namespaces.ts";
import { withNamespaces } from "../../plugins/doctor/namespaces.ts";
import { startTraffic } from "../traffic/traffic.ts";
import type { TrafficOptions } from "../traffic/traffic.ts";
import { conditions, kernelTest, observe } from "./machine.ts";

// What happens after a drop can't be shown with it.
const all: FieldName[] = fieldNames.filter((field) => fieldOf(field).kind !== "later");
const samples = { fields: all, perTick: 1000 };

/** The samples of a reason, which all must be alike in `expected`. */
function expectDrops(found: readonly Drop[], n: number, expected: Drop): void {
  expect(found.length).toBe(n);
  for (const drop of found) {
    const part = Object.fromEntries(Object.keys(expected).map((f) => [f, drop[f as FieldName]]));
    expect(part).toEqual(expected);
  }
}

function netnsOf(namespaces: Namespaces, side: "a" | "b"): string {
  return String(namespaces[side].inode);
}

describe("fields", () => {
  for (const family of [4, 6] as const) {
    kernelTest(`UDP and TCP over IPv${family}, on receive and on transmit`, async () => {
      await withNamespaces(async (namespaces) => {
        const { a, b } = namespaces;
        const [from, to] = family === 4 ? [a.v4, b.v4] : [a.v6, b.v6];
        const version = `IPv${family}`;
        let inode = "";
        let pid = "";
        const { samples: found } = await observe({ samples }, async () => {
          // On receive, without a socket.
          await drops.noSocket(namespaces, { count: 3, family, port: 5353, size: 20 });
          // On receive, with a socket whose owner isn't the sender.
          const where: TrafficOptions = { family, address: to, netns: b.netns, count: 4 };
          const receiver = await startTraffic("socket-filter", { ...where, receiverOnly: true });
          inode = String(receiver.ready.inode);
          const sender = await startTraffic("socket-filter", {
            ...where,
            netns: a.netns,
            senderOnly: true,
            port: receiver.ready.port!,
            comm: "a sender",
          });
          pid = String(sender.ready.pid);
          sender.go();
          await sender.done;
          await receiver.stop();
          // On transmit: the firewall of the sender refuses a SYN.
          namespaces.nft(
            a,
            [
              "table inet out { chain output { type filter hook output priority 0;",
              "tcp dport 4444 drop; }; }",
            ].join("\n"),
          );
          const connect = await startTraffic("tcp-connect", {
            family,
            netns: a.netns,
            address: to,
            port: 4444,
            count: 1,
          });
          connect.go();
          await connect.done;
        });
        const of = (reason: string): Drop[] => found.filter((drop) => drop.reason === reason);
        expectDrops(of("NO_SOCKET"), 3, {
          reason: "NO_SOCKET",
          subsystem: "core",
          class: "policy",
          site: family === 4 ? "__udp4_lib_rcv" : "__udp6_lib_rcv",
          protocol: version,
          l4: "UDP",
          saddr: from,
          daddr: to,
          dport: "5353",
          tcpFlags: "",
          dev: b.device,
          netns: netnsOf(namespaces, "b"),
          mark: "0",
          ownerInode: "",
          ownerPort: "",
          cgroupId: "",
        });
        const filtered = of("SOCKET_FILTER");
        expectDrops(filtered, 4, {
          class: "policy",
          protocol: version,
          l4: "UDP",
          saddr: from,
          daddr: to,
          dev: b.device,
          netns: netnsOf(namespaces, "b"),
          ownerInode: inode,
          comm: "a sender",
          pid,
        });
        expect(filtered[0]!.ownerPort).toBe(filtered[0]!.dport!);
        expect(filtered[0]!.stack).toContain("udp");
        const refused = of("NETFILTER_DROP");
        expect(refused.length).toBeGreaterThan(0);
        expectDrops(refused.slice(0, 1), 1, {
          class: "policy",
          protocol: version,
          l4: "TCP",
          saddr: from,
          daddr: to,
          dport: "4444",
          tcpFlags: "SYN",
          netns: netnsOf(namespaces, "a"),
        });
        expect(refused[0]!.ownerInode).not.toBe("");
      });
    });
  }

  kernelTest("the cgroup of a socket's owner is its directory's inode", async () => {
    let pid = 0;
    const { samples: found } = await observe({ samples }, async () => {
      const traffic = await startTraffic("socket-filter", { count: 1, hold: 1 });
      pid = traffic.ready.pid;
      traffic.go();
      await traffic.done;
      await traffic.stop();
    });
    const cgroup = readFileSync("/proc/self/cgroup", "utf8").split("\n")
      .find((line) => line.startsWith("0::"))!.slice(3);
    const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n").map((m) => m.split(" "));
    const root = mounts.find(([, , type]) => type === "cgroup2")![1]!;
    const drop = found.find(({ reason }) => reason === "SOCKET_FILTER")!;
    expect(drop.cgroupId).toBe(String(statSync(`${root}${cgroup}`).ino));
    expect(drop.pid).toBe(String(pid));
  });

  kernelTest("headers that are cut short are not guessed at", async () => {
    await withNamespaces(async (namespaces) => {
      const { samples: found } = await observe({ samples }, async () => {
        for (
          const variant of [
            "ip-4-bytes",
            "tcp-6-bytes",
            "udp-4-bytes",
            "ip4-options",
            "ip6-hop-by-hop",
            "ip6-destination",
          ] as const
        ) await drops.rawShort(namespaces, variant, { count: 2 });
      });
      expect(found.length).toBeGreaterThanOrEqual(12);
      for (const drop of found) {
        // A part of an address or of a port would show as something else than these.
        expect(["", namespaces.a.v4, namespaces.a.v6]).toContain(drop.saddr!);
        expect(["", namespaces.b.v4, namespaces.b.v6]).toContain(drop.daddr!);
        if (drop.saddr === "") expect([drop.sport, drop.dport, drop.l4]).toEqual(["", "", ""]);
      }
      expect(found.some(({ saddr }) => saddr === "")).toBe(true);
    });
  });

  const wheres: Record<string, unknown>[] = [
    { saddr: "10.203.0.0/24" },
    { saddr: { not: "10.203.0.0/24" }, l4: "UDP" },
    { daddr: ["fd00:203::/64", "127.0.0.1"], dport: [5001, 5003, 9] },
    { dport: { gte: 5000, lt: 5005 }, reason: { not: ["NETFILTER_DROP"] } },
    { class: "policy" },
    { dport: { not: 5002 }, reason: ["NO_SOCKET", "NETFILTER_DROP"] },
    { dev: { prefix: "veth" } },
    { dev: ["lo", "veth-b"], reason: { not: ["NO_SOCKET"] } },
    { site: ["__udp4_lib_rcv", "__udp6_lib_rcv"] },
    { site: { not: "__udp4_lib_rcv" }, protocol: "IPv4" },
    { tcpFlags: ["SYN", "SYN|ACK"] },
    { comm: { prefix: "traf" }, len: { gt: 40 } },
    { netns: { not: 0 }, mark: 0 },
  ];
  const bys: FieldName[][] = [["dport"], ["saddr", "l4"], ["dev", "reason"], ["site", "comm"]];
  for (
    const { what, style, wheres: some, bys: few } of [
      // As bpftrace 0.27 compiles it, the JIT of Linux 6.18 has a layout for its other order only.
      { what: "addresses, ports", style: "decisions", wheres: wheres.slice(0, 6), bys },
      {
        what: "names, sites",
        style: "decisions",
        wheres: wheres.slice(6, 9),
        bys: bys.slice(0, 2),
      },
      { what: "flags, lengths", style: "decisions", wheres: wheres.slice(9), bys: bys.slice(2) },
      { what: "all, tested on keys", style: "keys", wheres, bys: bys.slice(2) },
    ] as const
  ) {
    kernelTest(`the kernel counts what TypeScript makes of the same drops (${what})`, async () => {
      await withNamespaces(async (namespaces) => {
        const counts = some.flatMap((where) => few.map((by) => ({ where, by })));
        const seen = await observe({
          counts,
          style,
          samples: { fields: all.filter((field) => field !== "stack"), perTick: 1000 },
        }, async () => {
          for (const family of [4, 6] as const) {
            await drops.noSocket(namespaces, { count: 40, ports: 8, port: 5000, family });
            await drops.netfilterDrop(namespaces, { count: 5, family, protocol: "tcp" });
            await drops.socketFilter(namespaces, { count: 20, sockets: 3, family });
          }
        });
        expect(seen.samples.length).toBe(seen.total("seen"));
        const plan = makePlan(counts.map(({ where, by }) => ({
          predicate: conditions(where, seen.facts),
          by,
        })));
        const counter = dropCounter(plan, seen.facts.world);
        for (const drop of seen.samples) counter.add(drop, 1);
        const taken = counter.take();
        counts.forEach((_, index) => {
          const place = plan.places[index]!;
          if (place.at !== "map") throw new Error("unexpected");
          const expected = new Map<string, number>();
          for (const { key, n } of taken.maps[place.map]!.entries) {
            if (!key.counts.includes(index)) continue;
            const text = key.labels.join(" ");
            expected.set(text, (expected.get(text) ?? 0) + n);
          }
          expect([...seen.of(index)].sort()).toEqual([...expected].sort());
          expect(expected.size).toBeGreaterThan(0);
        });
      });
    });
  }
});

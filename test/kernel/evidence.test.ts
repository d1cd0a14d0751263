// What an alert is made of, on the real kernel: the site, the stack, the flows and the owner of its own
// drops, and not of others.
import { readlink } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect } from "bun:test";
import { makeFolder } from "../folder.ts";
import type { Folder } from "../folder.ts";
import { startTraffic } from "../traffic/traffic.ts";
import { kernelTest, startDropwatch, withBpftrace } from "./machine.ts";

let folder: Folder;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => folder.remove());

const rules = `
import { drops, rule } from "dropwatch";
export default [
  rule({
    alert: "Refused",
    when: drops.where({ reason: "SOCKET_FILTER", saddr: "127.0.0.0/8", dport: 46_002 }).by("owner").count("30s").above(50),
  }),
  rule({
    alert: "Closed",
    when: drops.where({ reason: "NO_SOCKET", protocol: "IPv6" }).by("dport").count("30s").above(50),
  }),
  rule({ alert: "Any", when: drops.where({ reason: "SOCKET_FILTER" }).count("30s").above(50) }),
];
`;

describe("the evidence", () => {
  kernelTest(
    "of an alert is its own: site, stack, flows, owner; a flood doesn't crowd others out",
    async () => {
      await folder.write("rules.ts", rules);
      const watch = startDropwatch([
        "--rules",
        folder.path,
        "--json",
        ...withBpftrace,
      ]);
      await watch.attached;
      // Who listened on the port before it was closed.
      const before = await startTraffic("socket-filter", {
        receiverOnly: true,
        family: 6,
        port: 46_001,
        comm: "resolver",
      });
      await sleep(5500); // It is looked every five seconds.
      await before.stop();
      const collector = await startTraffic("socket-filter", {
        receiverOnly: true,
        comm: "collector",
        port: 46_002,
      });
      const port = collector.ready.port!;
      const flood = await startTraffic("socket-filter", {
        senderOnly: true,
        port,
        count: 100_000,
        comm: "shipper",
      });
      const closed = await startTraffic("no-socket", { count: 200, family: 6, port: 46_001 });
      flood.go();
      closed.go();
      await Promise.all([flood.done, closed.done]);
      const fired = await Promise.all(["Refused", "Closed", "Any"].map(async (name) =>
        JSON.parse(
          await watch.line((line) => line.includes("alert.firing") && line.includes(`"${name}"`)),
        ).data
      ));
      await collector.stop();
      expect(await watch.stop()).toBe(0);
      const { data } = JSON.parse(watch.out.at(-1)!);
      expect(data.rules.find(({ alert }: { alert: string }) => alert === "Refused").total)
        .toBe(100_000);
      expect(data.seen).toBe(data.counted);

      const [refused, noSocket, any] = fired.map(({ evidence }) => evidence);
      for (const evidence of [refused, any]) {
        expect(evidence.site).toBe("udp_queue_rcv_one_skb");
        expect(evidence.at).toMatch(/^udp_queue_rcv_one_skb\+0x[0-9a-f]+$/);
        expect(evidence.source).toMatch(/\/v\d+\.\d+[\d.]*\/A\/ident\/udp_queue_rcv_one_skb$/);
        expect(evidence.ownerKnown).toBe(true);
        expect(evidence.owners).toEqual([
          { owner: "collector", pid: String(collector.ready.pid), drops: evidence.kept },
        ]);
        expect(evidence.flows[0]).toMatchObject({
          l4: "UDP",
          saddr: "127.0.0.1",
          daddr: "127.0.0.1",
          dport: String(port),
          dev: "lo",
        });
        expect(evidence.stacks[0].stack).toContain("udp_queue_rcv_one_skb");
        expect(evidence.stacks[0].stack).toContain("ip_protocol_deliver_rcu");
        expect(evidence.reasons).toMatchObject([{ reason: "SOCKET_FILTER", class: "policy" }]);
      }
      expect(noSocket).toMatchObject({ site: "__udp6_lib_rcv", ownerKnown: false, owners: [] });
      expect(noSocket.flows[0]).toMatchObject({ saddr: "::1", dport: "46001", l4: "UDP" });
      expect(noSocket.listeners).toMatchObject([
        { l4: "UDP", port: "46001", owner: "resolver", pid: String(before.ready.pid) },
      ]);
      expect(refused.listeners).toEqual([]);
      // What the kernel counted itself, in the namespace in which it did.
      const [netns] = /\d+/.exec(await readlink("/proc/self/ns/net"))!;
      expect(noSocket.counters).toMatchObject([
        { reason: "NO_SOCKET", agrees: true, grew: [{ netns, name: "Udp6NoPorts" }] },
      ]);
      expect(noSocket.counters[0].kernel).toBeGreaterThanOrEqual(51);
      expect(refused.counters).toMatchObject([
        { reason: "SOCKET_FILTER", agrees: true, names: ["UdpInErrors"] },
      ]);
      // Some of each tick, however many there were.
      for (const { kept } of [refused, noSocket, any]) {
        expect(kept).toBeGreaterThan(0);
        expect(kept).toBeLessThanOrEqual(32 * 4);
      }
    },
  );

  kernelTest("is there for one owner while another's flood fills the same reason", async () => {
    await folder.write(
      "rules.ts",
      `import { drops, rule } from "dropwatch";
export default rule({
  alert: "Refused",
  when: drops.where({ reason: "SOCKET_FILTER", dport: { gte: 46_010, lte: 46_011 } })
    .by("owner").count("10s").above(1200),
});
`,
    );
    const watch = startDropwatch(["--rules", folder.path, "--json", ...withBpftrace]);
    await watch.attached;
    const flood = await startTraffic("socket-filter", {
      count: 3_000_000,
      port: 46_010,
      comm: "loud",
    });
    const few = await startTraffic("socket-filter", {
      count: 1500,
      rate: 400,
      port: 46_011,
      comm: "quiet",
    });
    flood.go();
    few.go();
    const [quiet, loud] = await Promise.all(["quiet", "loud"].map(async (owner) =>
      JSON.parse(
        await watch.line((line) => line.includes("alert.firing") && line.includes(`"${owner}"`)),
      ).data.evidence
    ));
    await Promise.all([flood.done, few.done]);
    expect(await watch.stop()).toBe(0);
    for (
      const [evidence, port, { pid }] of [[quiet, "46011", few.ready], [loud, "46010", flood.ready]]
    ) {
      expect(evidence.kept).toBeGreaterThan(0);
      expect(evidence.owners).toMatchObject([{ pid: String(pid), drops: evidence.kept }]);
      expect(evidence.flows[0]).toMatchObject({ dport: port });
      expect(evidence.site).toBe("udp_queue_rcv_one_skb");
    }
    const { data } = JSON.parse(watch.out.at(-1)!);
    expect(data.rules).toEqual([{ alert: "Refused", total: 3_001_500 }]);
  });
});

// More key sets than the kernel allows a program maps: some share one, and all are counted exactly.
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect } from "bun:test";
import { makeLayout } from "../../core/plan/layout.ts";
import type { FieldName } from "../../core/drop/field.ts";
import { withNamespaces } from "../../plugins/doctor/namespaces.ts";
import { makeFolder } from "../folder.ts";
import type { Folder } from "../folder.ts";
import { startTraffic } from "../traffic/traffic.ts";
import { kernelTest, observe, startDropwatch, withBpftrace } from "./machine.ts";

let folder: Folder;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => folder.remove());

const shipped = fileURLToPath(new URL("../../rules/", import.meta.url));
const port = 45_103;

/** A hundred rules, each by two fields of its own, of ten reasons; the first of every ten see our drops. */
const rules = `
import { drops, rule } from "dropwatch";
const reasons = [
  "SOCKET_FILTER", "NO_SOCKET", "NETFILTER_DROP", "SOCKET_RCVBUFF", "TCP_CSUM",
  "UDP_CSUM", "IP_CSUM", "QDISC_DROP", "NEIGH_FAILED", "IP_RPFILTER",
];
const fields = [
  "dport", "sport", "saddr", "daddr", "dev", "comm", "pid", "cpu",
  "netns", "mark", "ifindex", "len", "ownerPort", "cgroupId", "site",
];
const pairs = fields.flatMap((a, i) => fields.slice(i + 1).map((b) => [a, b]));
export default pairs.slice(0, 100).map((by, i) =>
  rule({
    alert: "R" + i,
    when: drops.where({ reason: reasons[i % 10], dport: ${port} }).by(...by).count("1m").above(1e9),
  }));
`;

describe("more key sets than a program may have maps for", () => {
  kernelTest("a hundred rules beside the shipped ones count exactly", async () => {
    await folder.write("many.ts", rules);
    const watch = startDropwatch([
      ...["--rules", shipped, "--rules", folder.path],
      ...["--json", ...withBpftrace],
    ]);
    await watch.attached;
    expect(watch.err.join("\n")).toMatch(/\d+ key sets share a map with others/);
    const traffic = await startTraffic("socket-filter", { count: 500, port });
    traffic.go();
    await traffic.done;
    expect(await watch.stop()).toBe(0);
    const { data } = JSON.parse(watch.out.at(-1)!);
    expect(data.seen).toBe(data.counted);
    const ours = (data.rules as { alert: string; total: number }[])
      .filter(({ alert }) => /^R\d+$/.test(alert)).map(({ total }) => total);
    expect(ours).toEqual(Array.from({ length: 100 }, (_, i) => i % 10 === 0 ? 500 : 0));
  }, 240_000);

  kernelTest("labels, sums and sites are as they would be in maps of their own", async () => {
    const where = { reason: "NO_SOCKET", dport: [20_000, 20_001, 20_002, 20_003] };
    const others: FieldName[] = ["cpu", "len", "netns", "l4", "protocol", "pid", "mark", "dev"];
    const pairs = others.flatMap((a, i) => others.slice(i + 1).map((b) => ({ where, by: [a, b] })));
    await withNamespaces(async ({ a }) => {
      const seen = await observe({
        counts: [
          { where, by: ["saddr", "dport"] },
          { where, by: ["daddr", "dport"] },
          { where, by: ["site"] },
          { where, by: ["dport"], sum: "len" },
          { where, by: ["sport"], sum: "len" },
          { where, by: [] },
          ...pairs,
        ],
      }, async () => {
        const traffic = await startTraffic("no-socket", {
          ...{ count: 1000, size: 50, ports: 4, port: 20_000 },
          netns: a.netns,
        });
        traffic.go();
        expect((await traffic.done).sent).toBe(1000);
      });
      const shared = makeLayout(seen.plan).shared.flatMap(({ sharers }) => sharers);
      expect(shared.length).toBeGreaterThan(10);
      expect(shared.filter(({ map }) => map.sum !== undefined).length).toBe(2);
      const ports = [0, 1, 2, 3].map((i) => String(20_000 + i));
      for (const count of [0, 1]) {
        expect([...seen.of(count)].sort()).toEqual(
          ports.map((each) => [`127.0.0.1 ${each}`, 250]),
        );
      }
      expect([...seen.of(2)]).toEqual([["__udp4_lib_rcv", 1000]]);
      // UDP's own header is part of what is dropped.
      expect([...seen.sums(3)].sort()).toEqual(ports.map((each) => [each, 250 * 58]));
      expect([...seen.of(5)]).toEqual([["", 1000]]);
      for (let i = 6; i < 6 + pairs.length; i++) {
        expect([...seen.of(i).values()].reduce((sum, n) => sum + n, 0)).toBe(1000);
      }
      expect([seen.total("other"), seen.total("lost")]).toEqual([0, 0]);
    });
  });

  kernelTest("drops that find no room in a map that is shared are other, exactly", async () => {
    const fields: FieldName[] = ["len", "netns", "cpu", "mark", "l4", "protocol", "pid", "dev"];
    const where = { reason: "NO_SOCKET" };
    const counts = fields.flatMap((field, i) =>
      fields.slice(i + 1).map((other) => ({ where, by: ["dport", field, other] as FieldName[] }))
    );
    const [sent, ports] = [10_000, 300];
    await withNamespaces(async ({ a }) => {
      const seen = await observe({ counts, maxKeys: 128, interval: 1000 }, async () => {
        const traffic = await startTraffic("no-socket", {
          ...{ count: sent, ports, port: 20_000 },
          netns: a.netns,
        });
        traffic.go();
        expect((await traffic.done).sent).toBe(sent);
      });
      expect(makeLayout(seen.plan).shared.length).toBeGreaterThan(2);
      expect(seen.ofReason("NO_SOCKET")).toBe(sent);
      seen.plan.maps.forEach(({ id }, count) => {
        const counted = [...seen.of(count).values()].reduce((sum, n) => sum + n, 0);
        const other = seen.ticks.reduce((sum, { maps }) => sum + maps[id]!.other, 0);
        expect(counted + other).toBe(sent);
        expect(other).toBeGreaterThan(0);
      });
    });
  });
});

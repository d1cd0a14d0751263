// Counts are exact: at every tick, at the end, at a flood, and where a map is full.
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect } from "bun:test";
import { startTraffic } from "../traffic/traffic.ts";
import { withNamespaces } from "../../plugins/doctor/namespaces.ts";
import { kernelTest, observe } from "./machine.ts";

describe("counting in the kernel", () => {
  kernelTest("a flood from two CPUs is counted exactly, by key and by reason", async () => {
    const each = 300_000;
    let sockets: string[] = [];
    const seen = await observe({
      counts: [
        { where: { reason: "SOCKET_FILTER" }, by: ["ownerInode"] },
        { where: { reason: "SOCKET_FILTER" }, by: ["cpu"] },
        { where: { reason: "SOCKET_FILTER" }, by: ["ownerInode"], sum: "len" },
      ],
    }, async () => {
      const floods = await Promise.all(
        [0, 1].map((cpu) => startTraffic("socket-filter", { count: each, cpu, size: 50 })),
      );
      sockets = floods.map(({ ready }) => String(ready.inode));
      const results = await Promise.all(floods.map((flood) => {
        flood.go();
        return flood.done;
      }));
      expect(results.map(({ sent }) => sent)).toEqual([each, each]);
    });
    expect(seen.ofReason("SOCKET_FILTER")).toBe(2 * each);
    for (const inode of sockets) expect(seen.of(0).get(inode)).toBe(each);
    // UDP's own header is part of what is dropped.
    for (const inode of sockets) expect(seen.sums(2).get(inode)).toBe(each * 58);
    expect(seen.of(1).get("0")).toBe(each);
    expect(seen.of(1).get("1")).toBe(each);
    expect(seen.total("other")).toBe(0);
    expect(seen.total("lost")).toBe(0);
    expect(seen.ticks.length).toBeGreaterThan(3);
  });

  kernelTest("drops that find no room in a map are other, and their number is exact", async () => {
    const ports = 500;
    const count = 20_000;
    await withNamespaces(async ({ a }) => {
      const seen = await observe({
        counts: [{ where: { reason: "NO_SOCKET" }, by: ["dport", "netns"] }],
        maxKeys: 64,
        interval: 1000,
      }, async () => {
        const traffic = await startTraffic("no-socket", {
          count,
          ports,
          port: 20_000,
          netns: a.netns,
        });
        traffic.go();
        expect((await traffic.done).sent).toBe(count);
      });
      const counted = [...seen.of(0).values()].reduce((sum, n) => sum + n, 0);
      expect(seen.ofReason("NO_SOCKET")).toBe(count);
      expect(seen.total("other")).toBe(count - counted);
      expect(seen.total("other")).toBeGreaterThan(0);
      expect(seen.total("lost")).toBe(0);
      for (const tick of seen.ticks) expect(tick.maps[0]!.entries.length <= 64).toBe(true);
    });
  });

  kernelTest(
    "what was counted after the last tick arrives when the source is told to end",
    async () => {
      const seen = await observe({
        counts: [{ where: { reason: "SOCKET_FILTER" }, by: ["ownerInode", "dport"] }],
        // No tick of its own falls into the test: everything comes with the end.
        interval: 60_000,
      }, async () => {
        const traffic = await startTraffic("socket-filter", { count: 5000 });
        traffic.go();
        await traffic.done;
      });
      expect(seen.ofReason("SOCKET_FILTER")).toBe(5000);
      expect([...seen.of(0).values()]).toEqual([5000]);
      expect(seen.total("seen")).toBe(seen.total("counted"));
    },
  );

  kernelTest("ticks keep their time, whether there are drops or not", async () => {
    const seen = await observe({ counts: [], interval: 250 }, () => sleep(2200));
    const whole = seen.ticks.slice(2, -1);
    expect(whole.length).toBeGreaterThan(5);
    for (const { seconds } of whole) {
      expect(seconds).toBeGreaterThan(0.2);
      expect(seconds).toBeLessThan(0.3);
    }
  });
});

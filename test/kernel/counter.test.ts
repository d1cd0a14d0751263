// Which of the kernel's counters goes with which reason, held against real drops of both families: they
// must be equal to the packet.
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect } from "bun:test";
import { counterChecks } from "../../core/drop/counter.ts";
import { crossCheckLog } from "../../core/watch/cross_check.ts";
import { withNamespaces } from "../../plugins/doctor/namespaces.ts";
import type { Namespaces } from "../../plugins/doctor/namespaces.ts";
import * as drops from "../traffic/drops.ts";
import type { Dropped } from "../traffic/drops.ts";
import { startTraffic } from "../traffic/traffic.ts";
import { kernelTest, observe } from "./machine.ts";

type Cause = (namespaces: Namespaces, family: 4 | 6) => Promise<Pick<Dropped, "reason" | "sent">>;

const count = 200;
const causes: Readonly<Record<string, Cause>> = {
  SOCKET_FILTER: (both, family) => drops.socketFilter(both, { count, family }),
  SOCKET_RCVBUFF: (both, family) => drops.socketRcvbuff(both, { count, family }),
  NO_SOCKET: (both, family) => drops.noSocket(both, { count, family }),
  IP_INNOROUTES: (both, family) => drops.noRoute(both, { count, family }),
  IP_RPFILTER: (both) => drops.rpFilter(both, { count }),
  UDP_CSUM: (both, family) => drops.checksum(both, { count, family, protocol: "udp" }),
  TCP_CSUM: (both, family) => drops.checksum(both, { count, family, protocol: "tcp" }),
  ICMP_CSUM: (both, family) => drops.checksum(both, { count, family, protocol: "icmp" }),
  IP_CSUM: (both) => drops.checksum(both, { count, protocol: "ip" }),
  IP_INHDR: (both, family) => drops.rawShort(both, "ether-only", { count, family }),
  PKT_TOO_SMALL: (both) => drops.rawShort(both, "ip4-length", { count }),
  IP_NOPROTO: async ({ a, b }, family) => {
    const traffic = await startTraffic("raw", {
      count,
      family,
      netns: a.netns,
      address: family === 6 ? b.v6 : b.v4,
    });
    traffic.go();
    const { sent } = await traffic.done;
    await traffic.stop();
    return { reason: "IP_NOPROTO", sent };
  },
};

describe("the kernel's own counter", () => {
  for (const [reason, cause] of Object.entries(causes)) {
    kernelTest(`is equal to the count of ${reason}`, async () => {
      expect(counterChecks[reason]).toBeDefined();
      await withNamespaces(async (namespaces) => {
        let sent = 0;
        const found = await observe({ evidence: true }, async () => {
          await sleep(500); // So that there is a reading before it.
          for (const family of [4, 6] as const) {
            const dropped = await cause(namespaces, family);
            expect(dropped.reason).toBe(reason);
            sent += dropped.sent;
          }
          await sleep(500);
        });
        const log = crossCheckLog(() => 60_000, found.facts.world.names.reason);
        for (const tick of found.ticks) log.add(tick);
        const [check] = log.of([reason], 0);
        expect(check).toMatchObject({ kernel: sent, counted: sent, agrees: true });
        expect(check!.grew.length).toBeGreaterThan(0);
      });
    });
  }

  kernelTest("has the refused SYNs of a full accept queue too, and that is said", async () => {
    await withNamespaces(async (namespaces) => {
      const found = await observe({ evidence: true }, async () => {
        await sleep(500);
        await drops.tcpListenOverflow(namespaces, { count: 50 });
        await sleep(500);
      });
      const log = crossCheckLog(() => 60_000, found.facts.world.names.reason);
      for (const tick of found.ticks) log.add(tick);
      const [check] = log.of(["TCP_LISTEN_OVERFLOW"], 0);
      expect(check!.kernel).toBeGreaterThanOrEqual(check!.counted);
      expect(check!.counted).toBeGreaterThanOrEqual(50);
      expect(check).toMatchObject({ agrees: true });
      expect(check!.note).toContain("SYNs");
    });
  });

  kernelTest("of the CPUs' backlogs is equal too", async () => {
    await withNamespaces(async (namespaces) => {
      const found = await observe({ evidence: true }, async () => {
        await sleep(500);
        await drops.cpuBacklog(namespaces);
        await sleep(500);
      });
      const log = crossCheckLog(() => 60_000, found.facts.world.names.reason);
      for (const tick of found.ticks) log.add(tick);
      const [check] = log.of(["CPU_BACKLOG"], 0);
      expect(check!.counted).toBeGreaterThan(0);
      expect(check).toMatchObject({ kernel: check!.counted, agrees: true });
    });
  });
});

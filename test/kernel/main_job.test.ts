// The main job, as a user runs it: real drops, rules from a folder, alerts on stdout and at a
// webhook; and the other commands on the same kernel.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect } from "bun:test";
import { signWith } from "../../plugins/sinks/webhook.ts";
import * as drops from "../traffic/drops.ts";
import { withNamespaces } from "../../plugins/doctor/namespaces.ts";
import { startTraffic } from "../traffic/traffic.ts";
import { kernelTest, startDropwatch, withBpftrace } from "./machine.ts";

const rules = fileURLToPath(new URL("../../rules/", import.meta.url));
let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "dropwatch-test-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Received {
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

/** A webhook of our own, on loopback. */
async function receiver(): Promise<{ url: string; received: Received[]; close(): void }> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Uint8Array[] = [];
    request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    request.on("end", () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    received,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

describe("the main job", () => {
  kernelTest(
    "a socket refuses packets: the alert is on stdout and, signed, at a webhook",
    async () => {
      const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
      await writeFile(
        join(folder, "refused.ts"),
        `import { drops, rule } from "dropwatch";
       export default rule({
         alert: "Refused",
         when: drops.where({ reason: "SOCKET_FILTER" }).by("ownerInode", "l4").rate("2s").above(100),
         severity: "critical",
         labels: { team: "storage" },
         summary: ({ value, labels }) => \`\${labels.ownerInode} refuses \${value.toFixed(0)}/s\`,
         runbook: "https://example.org/runbook",
       });`,
      );
      const hook = await receiver();
      try {
        const watch = startDropwatch([
          "--rules",
          folder,
          "--json",
          "--sink",
          "stdout",
          "--sink",
          `webhook=${hook.url}`,
          ...withBpftrace,
        ], { env: { DROPWATCH_WEBHOOK_SECRET: secret } });
        await watch.attached;
        const traffic = await startTraffic("socket-filter", { count: 1000 });
        traffic.go();
        await traffic.done;
        const firing = JSON.parse(await watch.line((line) => line.includes("alert.firing")));
        const resolved = JSON.parse(await watch.line((line) => line.includes("alert.resolved")));
        expect(await watch.stop()).toBe(0);
        const inode = String(traffic.ready.inode);
        expect(firing.data).toMatchObject({
          alert: "Refused",
          status: "firing",
          severity: "critical",
          labels: {
            alertname: "Refused",
            severity: "critical",
            team: "storage",
            ownerInode: inode,
            l4: "UDP",
          },
          annotations: {
            summary: `${inode} refuses 500/s`,
            runbook: "https://example.org/runbook",
          },
          value: 500,
          total: 1000,
          endsAt: null,
          exact: true,
          lost: 0,
        });
        expect(resolved.data).toMatchObject({
          status: "resolved",
          value: 0,
          peak: 500,
          total: 1000,
          fingerprint: firing.data.fingerprint,
        });
        expect(hook.received.map(({ body }) => JSON.parse(body))).toEqual([firing, resolved]);
        for (const { headers, body } of hook.received) {
          const id = String(headers["webhook-id"]);
          const at = Number(headers["webhook-timestamp"]);
          expect(headers["webhook-signature"]).toBe(signWith(secret, id, at, body));
        }
        const summary = JSON.parse(watch.out.at(-1)!);
        expect(summary.type).toBe("summary");
        expect(summary.data.rules).toEqual([{ alert: "Refused", total: 1000 }]);
        expect(summary.data.seen).toBe(
          summary.data.counted + summary.data.other + summary.data.lost,
        );
        expect(summary.data.lost).toBe(0);
        for (const line of watch.out) JSON.parse(line);
      } finally {
        hook.close();
      }
    },
  );

  kernelTest("the shipped rules see the drops that they are about", async () => {
    await withNamespaces(async (namespaces) => {
      const watch = startDropwatch(["--rules", rules, "--json", ...withBpftrace]);
      await watch.attached;
      const refused = await drops.socketFilter(namespaces, { count: 500 });
      const syncthing = await startTraffic("socket-filter", {
        receiverOnly: true,
        comm: "syncthing",
      });
      const sender = await startTraffic("socket-filter", {
        senderOnly: true,
        port: syncthing.ready.port!,
        count: 250,
      });
      sender.go();
      await sender.done;
      const full = await drops.socketRcvbuff(namespaces, { count: 400 });
      const overflow = await drops.tcpListenOverflow(namespaces, { count: 30 });
      const firewall = await drops.netfilterDrop(namespaces, { count: 300 });
      const scan = await drops.noSocket(namespaces, { count: 200 });
      const udp = await drops.checksum(namespaces, { count: 20, protocol: "udp" });
      const tcp = await drops.checksum(namespaces, { count: 20, protocol: "tcp" });
      const gone = await drops.neighFailed(namespaces, { count: 30 });
      const backlog = await drops.cpuBacklog(namespaces, { count: 20_000 });
      await watch.line((line) => line.includes("TcpListenOverflow"));
      await watch.line((line) => line.includes("ChecksumErrors"));
      expect(await watch.stop()).toBe(0);
      await syncthing.stop();
      const { data } = JSON.parse(watch.out.at(-1)!);
      const totals = Object.fromEntries(
        data.rules.map(({ alert, total }: { alert: string; total: number }) => [alert, total]),
      );
      expect(totals).toMatchObject({
        SocketFilterDrops: refused.sent,
        SyncthingSocketFilterDrops: 250,
        SocketReceiveBufferFull: full.sent,
        TcpListenOverflow: overflow.sent,
        ChecksumErrors: udp.sent + tcp.sent,
        NeighbourFailures: gone.sent,
      });
      // The traffic that overflows the backlog ends in a firewall where it doesn't, and clients
      // that gave up answer with packets for which there is no socket any more.
      expect(totals.NetfilterDropShare).toBeGreaterThanOrEqual(firewall.sent);
      expect(totals.NoSocketFlood).toBeGreaterThanOrEqual(scan.sent);
      expect(backlog.sent).toBeGreaterThan(0);
      expect(totals.CpuBacklogFull).toBeGreaterThan(0);
      expect(data.seen).toBe(data.counted);
    });
  });
});

describe("the other commands on this kernel", () => {
  kernelTest("stacks prints them with counts, folded and for speedscope", async () => {
    for (const format of ["folded", "speedscope"]) {
      const stacks = startDropwatch([
        "stacks",
        "--reason",
        "SOCKET_FILTER",
        "--format",
        format,
        "--duration",
        "3s",
        ...withBpftrace,
      ]);
      await stacks.attached;
      const traffic = await startTraffic("socket-filter", { count: 777, batch: 1 });
      traffic.go();
      await traffic.done;
      expect(await stacks.ended).toBe(0);
      if (format === "folded") {
        const counts = stacks.out.map((line) => Number(/ (\d+)$/.exec(line)?.[1]));
        expect(counts.reduce((sum, n) => sum + n, 0)).toBe(777);
        expect(stacks.out[0]).toMatch(/^[\w.;\[\]]+;udp_queue_rcv_one_skb;.*SOCKET_FILTER \d+$/);
      } else {
        const profile = JSON.parse(stacks.out.join("\n"));
        expect(profile.profiles[0].endValue).toBe(777);
      }
    }
  });

  kernelTest(
    "tail shows each drop while they are few, and the true number at a flood",
    async () => {
      const tail = startDropwatch(["tail", "--json", "--reason", "NO_SOCKET", ...withBpftrace]);
      await tail.attached;
      await withNamespaces(async (namespaces) => {
        await drops.noSocket(namespaces, { count: 2, port: 7001 });
        await tail.line((line) => line.includes('"7001"'));
        await drops.noSocket(namespaces, { count: 5000, port: 7002 });
        await tail.line((line) => line.includes('"flood"'));
      });
      expect(await tail.stop()).toBe(0);
      const lines = tail.out.map((line) => JSON.parse(line));
      const shown = lines.filter(({ type }) => type === "drop");
      expect(shown.filter(({ data }) => data.dport === "7001").length).toBe(2);
      for (const { data } of shown) expect(data.reason).toBe("NO_SOCKET");
      const floods = lines.filter(({ type }) => type === "flood");
      const total = floods.reduce((sum, { data }) => sum + data.drops, 0);
      const quiet = shown.length - floods.reduce((sum, { data }) => sum + data.shown, 0);
      expect(total + quiet).toBe(5002);
    },
  );

  kernelTest("reasons and reason speak this kernel's names", async () => {
    const reasons = startDropwatch(["reasons", "--json"]);
    expect(await reasons.ended).toBe(0);
    const names = reasons.out.map((line) => JSON.parse(line).data);
    expect(names.length).toBeGreaterThan(50);
    expect(names.some(({ name }: { name: string }) => name === "SOCKET_FILTER")).toBe(true);
    const one = startDropwatch(["reason", "socket_filter"]);
    expect(await one.ended).toBe(0);
    expect(one.out[0]).toContain("SOCKET_FILTER");
    const none = startDropwatch(["reason", "SOCKET_FILTR"]);
    expect(await none.ended).toBe(2);
    expect(none.err.join()).toContain("nearest: SOCKET_FILTER");
  });
});

// Whose socket it was: the process that holds it, not the one that ran; on the real kernel, with
// senders and receivers as different processes.
import { existsSync, mkdirSync, rmdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect } from "bun:test";
import { withNamespaces } from "../traffic/namespaces.ts";
import { startTraffic } from "../traffic/traffic.ts";
import type { Traffic, TrafficOptions } from "../traffic/traffic.ts";
import { kernelTest, observe } from "./machine.ts";

const receivers: Traffic[] = [];
afterEach(async () => {
  for (const receiver of receivers.splice(0)) await receiver.stop();
});

/** A process that holds sockets which refuse everything. */
async function receiver(options: TrafficOptions): Promise<Traffic> {
  const started = await startTraffic("socket-filter", { receiverOnly: true, ...options });
  receivers.push(started);
  return started;
}

/** Sends to a port from another process. */
async function send(port: number, count: number, options: TrafficOptions = {}): Promise<void> {
  const sender = await startTraffic("socket-filter", {
    senderOnly: true,
    port,
    count,
    comm: "sender",
    ...options,
  });
  sender.go();
  await sender.done;
}

const cgroups = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
  .find((root) => existsSync(`${root}/cgroup.controllers`));

const filtered = { reason: "SOCKET_FILTER" };

describe("the owner of a drop", () => {
  kernelTest(
    "is who holds the socket: 10,000 drops, 50 sockets, 20 processes that come and go",
    async () => {
      const each = 200;
      const expected = new Map<string, number>();
      const found = await observe({
        counts: [
          { where: filtered, by: ["owner", "ownerPid", "ownerUid"] },
          { where: { ...filtered, owner: "owner7" }, by: ["owner"] },
          { where: { ...filtered, owner: { not: ["owner7", ""] } }, by: [] },
        ],
      }, async () => {
        for (let i = 0; i < 20; i++) {
          // A process for 2 or 3 sockets; every other one is gone before its drops are read.
          const holder = await receiver({ sockets: i % 2 === 0 ? 2 : 3, comm: `owner${i}` });
          for (const port of holder.ready.ports!) await send(port, each);
          expected.set(`owner${i} ${holder.ready.pid} 0`, each * holder.ready.ports!.length);
          if (i % 2 !== 0) continue;
          await sleep(200); // A process that lives for less than a tenth of a second may go unseen.
          await holder.stop();
        }
      });
      expect(found.of(0)).toEqual(expected);
      expect([...expected.values()].reduce((sum, n) => sum + n, 0)).toBe(10_000);
      expect(found.of(1)).toEqual(new Map([["owner7", 3 * each]]));
      expect(found.of(2)).toEqual(new Map([["", 10_000 - 3 * each]]));
    },
  );

  kernelTest("is told for IPv6, in another network namespace, and for a TCP listener", async () => {
    const found = await observe({
      counts: [
        { where: filtered, by: ["owner", "protocol"] },
        { where: { reason: "TCP_LISTEN_OVERFLOW" }, by: ["owner"] },
      ],
    }, () =>
      withNamespaces(async ({ a }) => {
        const six = await receiver({ family: 6, comm: "six" });
        await send(six.ready.port!, 50, { family: 6 });
        const inside = await receiver({ netns: a.netns, comm: "inside" });
        await send(inside.ready.port!, 70, { netns: a.netns });
        const listener = await startTraffic("tcp-listen-overflow", {
          count: 30,
          comm: "listener",
          hold: 2,
        });
        receivers.push(listener);
        listener.go();
        await listener.done;
      }));
    expect(found.of(0)).toEqual(new Map([["IPv6 six", 50], ["IPv4 inside", 70]]));
    expect(found.of(1).get("listener")).toBeGreaterThanOrEqual(30);
    expect([...found.of(1).keys()]).toEqual(["listener"]);
  });

  kernelTest("of what is sent is the sender, and of what has no socket nobody", async () => {
    const found = await observe({
      counts: [
        { where: { reason: "QDISC_DROP" }, by: ["owner"] },
        { where: { reason: "NO_SOCKET", l4: "UDP" }, by: ["owner", "ownerPid", "ownerUid"] },
      ],
    }, async () => {
      await withNamespaces(async (namespaces) => {
        const { a, b } = namespaces;
        namespaces.tbf(a);
        const pusher = await startTraffic("qdisc", {
          netns: a.netns,
          device: a.device,
          address: b.v4,
          size: 1000,
          count: 100,
          comm: "pusher",
          rate: 200, // So that it lives for half a second.
        });
        pusher.go();
        await pusher.done;
        await pusher.stop();
      });
      const closed = await startTraffic("no-socket", { count: 40 });
      closed.go();
      await closed.done;
    });
    expect(found.of(0).get("pusher")).toBeGreaterThan(90);
    expect(found.of(1).get("  ")).toBeGreaterThanOrEqual(40);
    expect([...found.of(1).keys()]).toEqual(["  "]);
  });

  kernelTest(
    "comes with its unit and its container, by the cgroup that the socket was made in",
    async () => {
      const id = "0123456789ab".padEnd(64, "c");
      const paths = [`${cgroups}/dw-test.service`, `${cgroups}/docker-${id}.scope`];
      for (const path of paths) mkdirSync(path);
      try {
        const found = await observe({
          counts: [{ where: filtered, by: ["owner", "unit", "container"] }],
        }, async () => {
          for (const [i, path] of paths.entries()) {
            // A socket is its cgroup's where it was made: the process moves there before.
            const holder = await receiver({ comm: `in${i}`, cgroup: path });
            await send(holder.ready.port!, 60);
          }
        });
        expect(found.of(0)).toEqual(
          new Map([
            ["in0 dw-test.service ", 60],
            [`in1 docker-${id}.scope 0123456789ab`, 60],
          ]),
        );
      } finally {
        for (const holder of receivers.splice(0)) await holder.stop();
        for (const path of paths) rmdirSync(path);
      }
    },
  );
});

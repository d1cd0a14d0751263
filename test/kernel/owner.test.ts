// Whose socket it was: the process that holds it, not the one that ran; on the real kernel, with
// senders and receivers as different processes.
import { existsSync, mkdirSync, rmdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect } from "bun:test";
import { withNamespaces } from "../../plugins/doctor/namespaces.ts";
import { startTraffic } from "../traffic/traffic.ts";
import type { Traffic, TrafficKind, TrafficOptions } from "../traffic/traffic.ts";
import { kernelTest, observe } from "./machine.ts";

const receivers: Traffic[] = [];
afterEach(async () => {
  for (const receiver of receivers.splice(0)) await receiver.stop();
});

/** A process that holds sockets which refuse everything. */
async function receiver(
  options: TrafficOptions,
  kind: TrafficKind = "socket-filter",
): Promise<Traffic> {
  const started = await startTraffic(kind, { receiverOnly: true, ...options });
  receivers.push(started);
  return started;
}

/** Sends to a port from another process. */
async function send(
  port: number,
  count: number,
  options: TrafficOptions = {},
  kind: TrafficKind = "socket-filter",
): Promise<Traffic> {
  const sender = await startTraffic(kind, {
    senderOnly: true,
    port,
    count,
    comm: "sender",
    ...options,
  });
  if (options.hold !== undefined) receivers.push(sender);
  sender.go();
  await sender.done;
  return sender;
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

  kernelTest("is told for raw sockets, on receive and on transmit, in both families", async () => {
    const expected = new Map<string, number>();
    await withNamespaces(async (namespaces) => {
      const { a, b } = namespaces;
      const inside = { netns: a.inode };
      namespaces.nft(
        a,
        `table inet dw_drop {
          chain output {
            type filter hook output priority 0
            meta l4proto 253 drop
          }
        }`,
      );
      const found = await observe({
        counts: [
          { where: { ...filtered, ...inside }, by: ["protocol", "ownerPort", "owner", "ownerPid"] },
          { where: { reason: "NETFILTER_DROP", ...inside }, by: ["protocol", "owner", "ownerPid"] },
        ],
      }, async () => {
        for (const family of [4, 6] as const) {
          // The port of a raw socket is its protocol; that of the receiver isn't the firewall's.
          const raw = { family, netns: a.netns };
          const holder = await receiver({ ...raw, port: 254, comm: `raw${family}` }, "raw-filter");
          await send(254, 80, raw, "raw-filter");
          expected.set(`IPv${family} 254 raw${family} ${holder.ready.pid}`, 80);
          const pusher = await startTraffic("raw", {
            ...raw,
            address: family === 4 ? b.v4 : b.v6,
            comm: `pusher${family}`,
            count: 60,
            rate: 150,
          });
          pusher.go();
          await pusher.done;
          expected.set(`IPv${family} pusher${family} ${pusher.ready.pid}`, 60);
          await pusher.stop();
        }
      });
      expect(new Map([...found.of(0), ...found.of(1)])).toEqual(expected);
    });
  });

  kernelTest(
    "is told for TCP connections, on receive and on transmit, in both families",
    async () => {
      await withNamespaces(async (namespaces) => {
        const { a, b } = namespaces;
        const of = ({ inode }: { inode: number }) => ({ netns: inode });
        const holders = new Map<string, Traffic>();
        const found = await observe({
          counts: [
            { where: { ...filtered, ...of(b) }, by: ["protocol", "owner", "ownerPid"] },
            {
              where: { reason: "NETFILTER_DROP", ...of(a) },
              by: ["protocol", "owner", "ownerPid"],
            },
          ],
        }, async () => {
          for (const family of [4, 6] as const) {
            const address = family === 4 ? b.v4 : b.v6;
            const options = { family, address };
            const acceptor = await receiver(
              { ...options, netns: b.netns, comm: `acceptor${family}` },
              "tcp-filter",
            );
            holders.set(`acceptor${family}`, acceptor);
            const port = acceptor.ready.port!;
            const sender = { ...options, netns: a.netns };
            await send(port, 40, sender, "tcp-filter");
            // The sender's own firewall: the bytes of these connections never leave.
            namespaces.nft(
              a,
              `table inet dw_drop {
              chain output {
                type filter hook output priority 0
                tcp flags & psh == psh drop
              }
            }`,
            );
            const pusher = await send(
              port,
              30,
              { ...sender, comm: `pusher${family}`, hold: 30 },
              "tcp-filter",
            );
            holders.set(`pusher${family}`, pusher);
            await sleep(300);
            await pusher.stop();
            namespaces.nft(a, "delete table inet dw_drop");
          }
        });
        const keys = (name: string): string[] =>
          [4, 6].map((v) => `IPv${v} ${name}${v} ${holders.get(`${name}${v}`)!.ready.pid}`);
        expect([...found.of(0).keys()].sort()).toEqual(keys("acceptor"));
        expect([...found.of(1).keys()].sort()).toEqual(keys("pusher"));
        for (const n of found.of(0).values()) expect(n).toBeGreaterThanOrEqual(40);
        for (const n of found.of(1).values()) expect(n).toBeGreaterThanOrEqual(30);
      });
    },
  );

  kernelTest("of a unix message is who sent it, and nobody once that one is gone", async () => {
    const found = await observe({
      counts: [{
        // The kernel drops what is left in a queue, in the context of who closes the socket.
        where: { reason: "SOCKET_CLOSE", comm: "reader" },
        by: ["site", "comm", "owner", "ownerPid"],
      }],
    }, async () => {
      for (const hold of [30, 0]) {
        const reader = await receiver({ sockets: 5, comm: "reader" }, "unix-close");
        const options = { sockets: 5, hold, comm: "writer" };
        const writer = await send(reader.ready.port!, 50, options, "unix-close");
        if (hold === 0) await writer.stop();
        await reader.stop();
        await sleep(300); // A tick's drops are looked up after it.
      }
    });
    const [writer] = receivers.filter(({ ready }) => ready.inode === undefined);
    expect(found.of(0)).toEqual(
      new Map([
        [`unix_release_sock reader writer ${writer!.ready.pid}`, 50],
        ["unix_release_sock reader  ", 50],
      ]),
    );
  });

  kernelTest("is who has the number now, where a process has one that was another's", async () => {
    let pid = 0;
    const found = await observe(
      { counts: [{ where: filtered, by: ["owner", "ownerPid"] }] },
      async () => {
        for (const [i, comm] of ["first", "second", "third"].entries()) {
          const holder = await receiver({ comm, sockets: 2, ...(pid > 0 && { pid }) });
          pid ||= holder.ready.pid;
          expect(holder.ready.pid).toBe(pid);
          for (const port of holder.ready.ports!) await send(port, 10 + i);
          await sleep(300);
          await holder.stop();
        }
      },
    );
    expect(found.of(0)).toEqual(
      new Map([[`first ${pid}`, 20], [`second ${pid}`, 22], [`third ${pid}`, 24]]),
    );
  });

  kernelTest("of several holders is the eldest that is left", async () => {
    const early = await receiver({ holders: 4, comm: "early" }); // Before anybody watches.
    const found = await observe(
      { counts: [{ where: filtered, by: ["owner", "ownerPid"] }] },
      async () => {
        // The children are young: what they hold is seen at once, their parent's sockets weren't.
        early.go();
        await early.done;
        await sleep(300);
        await send(early.ready.port!, 100);
        const late = await receiver({ holders: 4, comm: "late" });
        late.go();
        await late.done;
        await send(late.ready.port!, 70);
        await sleep(300);
        early.go(); // It lets go of the socket, and lives on.
        await sleep(5500); // So long an answer is believed.
        await send(early.ready.port!, 30);
      },
    );
    const [, late] = receivers;
    const [heir] = [...found.of(0).keys()].filter((key) => key.startsWith("held"));
    expect(heir).toMatch(/^held1 /);
    expect(found.of(0)).toEqual(
      new Map([
        [`early ${early.ready.pid}`, 100],
        [`late ${late!.ready.pid}`, 70],
        [heir!, 30],
      ]),
    );
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

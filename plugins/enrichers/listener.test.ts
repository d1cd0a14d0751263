// Who listened on a port lately, told from this machine's own /proc/net.
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { listenerTable } from "./listener.ts";
import { netnsTable } from "./netns.ts";
import { ownerTable } from "./owner.ts";

let folder: Folder;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => folder.remove());

test("of a real TCP and UDP port is this process, also when it has closed them, for some minutes", async () => {
  let time = 1000;
  const netns = netnsTable();
  const table = listenerTable({ owner: ownerTable().owner, netns, now: () => time });
  const here = netns.list()[0]!.inode;
  const tcp = createServer();
  await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", resolve));
  const udp = createSocket("udp6");
  await new Promise<void>((resolve) => udp.bind(0, "::1", resolve));
  const tcpPort = String((tcp.address() as AddressInfo).port);
  const udpPort = String(udp.address().port);
  table.poll();
  await new Promise<void>((resolve) => tcp.close(() => resolve()));
  await new Promise<void>((resolve) => udp.close(() => resolve()));
  time += 60_000;
  table.poll();
  expect(table.listener("TCP", tcpPort, here)).toMatchObject({
    pid: String(process.pid),
    at: 1000,
  });
  expect(table.listener("UDP", udpPort, here)).toMatchObject({
    pid: String(process.pid),
    at: 1000,
  });
  expect(table.listener("UDP", tcpPort, here)).toBe(undefined);
  expect(table.listener("TCP", tcpPort, "1")).toBe(undefined);
  time += 10 * 60_000;
  table.poll();
  expect(table.listener("TCP", tcpPort, here)).toBe(undefined);
});

test("is bounded, and knows a connection from a listener", async () => {
  const line = (port: number, state: string): string =>
    `   0: 0100007F:${port.toString(16)} 00000000:0000 ${state} 0:0 0:0 0 0 0 ${port + 7} 1 x`;
  const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when";
  await folder.link("self/ns/net", "net:[7]");
  await folder.write(
    "self/net/tcp",
    [
      head,
      line(22, "0A"),
      line(4000, "01"),
      ...Array.from({ length: 6000 }, (_, i) => line(10_000 + i, "0A")),
    ]
      .join("\n"),
  );
  const table = listenerTable({
    owner: (inode) => ({ name: `p${inode}`, pid: "1", uid: "0" }),
    netns: netnsTable({ proc: folder.path }),
    now: () => 5,
  });
  table.poll();
  expect(table.listener("TCP", "4000", "7")).toBe(undefined);
  expect(table.listener("TCP", "22", "7")).toBe(undefined); // The oldest of too many.
  expect(table.listener("TCP", "15999", "7")).toEqual({ owner: "p16006", pid: "1", at: 5 });
});

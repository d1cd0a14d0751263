// The kernel's counters: from files as kernels print them, and from this machine's own.
import { rm } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { counterNames } from "../../core/drop/counter.ts";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { counterTable, readLines, readSoftnet, readTable } from "./counter.ts";
import { netnsTable } from "./netns.ts";

let folder: Folder;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => folder.remove());

async function namespace(pid: string, inode: number, noPorts: number): Promise<void> {
  await folder.write(`${pid}/net/snmp`, `Udp: InDatagrams NoPorts InErrors\nUdp: 9 ${noPorts} 0\n`);
  await folder.write(`${pid}/net/snmp6`, "Ip6InReceives   \t5\nUdp6NoPorts     \t0\n");
  await folder.write(`${pid}/net/netstat`, "");
  await folder.write(`${pid}/net/softnet_stat`, "00000005 00000002 00000000\n");
  await rm(folder.file(`${pid}/ns/net`), { recursive: true, force: true });
  await folder.link(`${pid}/ns/net`, `net:[${inode}]`);
}

describe("the files", () => {
  test("are read by their heads, whatever order a kernel has them in, and only what is compared", () => {
    expect(readTable("Udp: NoPorts X InErrors\nUdp: 1 2 3\nTcp: InSegs\nTcp: 4\n")).toEqual([
      ["UdpNoPorts", 1],
      ["UdpInErrors", 3],
    ]);
    expect(readTable("TcpExt: ListenOverflows\nTcpExt: 850")).toEqual([
      ["TcpExtListenOverflows", 850],
    ]);
    expect(readLines("Udp6NoPorts\t 400\nIp6InOctets 5\n\n")).toEqual([["Udp6NoPorts", 400]]);
    expect(readSoftnet("01 0000c4a0 00\n02 00000001 00\n")).toBe(0xc4a1);
    expect(readTable("")).toEqual([]);
    expect(readSoftnet("")).toBe(0);
  });

  test("of this kernel have every counter that is compared, but for what later kernels bring", () => {
    const table = netnsTable();
    const [here] = table.list();
    const [snmp, netstat, snmp6] = table.read(here!, ["snmp", "netstat", "snmp6"]);
    const found = new Set(
      [...readTable(snmp!), ...readTable(netstat!), ...readLines(snmp6!)].map(([name]) => name),
    );
    expect([...counterNames].filter((name) => !found.has(name))).toEqual(["SoftnetDropped"]);
  });
});

describe("growth", () => {
  test("is told by namespace, from the first reading on; one that is made later begins with zeros", async () => {
    await namespace("self", 1, 100);
    let time = 0;
    const netns = netnsTable({ proc: folder.path, named: folder.file("none"), now: () => time });
    const table = counterTable(netns, () => time += 10_000);
    expect([...table.read()!]).toEqual([["1", new Map()]]);
    await namespace("self", 1, 107);
    await namespace("42", 2, 3);
    expect(table.read()).toEqual(
      new Map([["1", new Map([["UdpNoPorts", 7]])], ["2", new Map([["UdpNoPorts", 3]])]]),
    );
    // One that is gone keeps what it had; one whose number is used again goes on from there.
    await rm(folder.file("42"), { recursive: true, force: true });
    await namespace("self", 1, 2);
    expect(table.read()).toEqual(
      new Map([["1", new Map([["UdpNoPorts", 9]])], ["2", new Map([["UdpNoPorts", 3]])]]),
    );
  });

  test("is read less often where reading takes long", () => {
    let time = 0;
    const slow = { list: () => (busy(30), []), read: () => [] };
    const table = counterTable(slow, () => time);
    let readings = 0;
    for (let tick = 0; tick < 60; tick++) {
      time += 1000;
      if (table.read() !== undefined) readings++;
    }
    // 100 ms at once, then 5 ms a second.
    expect(readings).toBeGreaterThan(8);
    expect(readings).toBeLessThan(16);
  });
});

function busy(milliseconds: number): void {
  const until = performance.now() + milliseconds;
  while (performance.now() < until);
}

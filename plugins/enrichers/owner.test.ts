// Whose a socket is, told from the real /proc; and from a made-up one what can't be brought about:
// numbers that are used again.
import { createSocket } from "node:dgram";
import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import process from "node:process";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { ownerTable } from "./owner.ts";

/** The sockets that this process holds. */
function mine(): Set<number> {
  const inodes = readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
      return inode === undefined ? [] : [Number(inode)];
    } catch {
      return [];
    }
  });
  return new Set(inodes);
}

describe("the owner of a real socket", () => {
  test("is this process, by name, number and user, and stays it when the socket is closed", async () => {
    let time = 0;
    const table = ownerTable({ now: () => time });
    const before = mine();
    const socket = createSocket("udp4");
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    const [inode] = [...mine()].filter((each) => !before.has(each));
    const owner = {
      name: readFileSync("/proc/self/comm", "utf8").slice(0, -1),
      pid: String(process.pid),
      uid: String(process.geteuid!()),
    };
    expect(table.owner(inode!)).toEqual(owner);
    await new Promise<void>((resolve) => socket.close(() => resolve()));
    time += 6000;
    expect(table.owner(inode!)).toEqual(owner);
  });

  test("of an inode that nobody has is nobody, and doesn't cost a search for each key of a tick", () => {
    let time = 0;
    const table = ownerTable({ now: () => time });
    for (let i = 1; i < 500; i++) expect(table.owner(4_000_000_000 + i).name).toBe("");
    expect(table.searches).toBe(1);
    for (let tick = 0; tick < 60; tick++) {
      time += 1000;
      table.owner(4_000_000_001);
    }
    expect(table.searches).toBeLessThan(10);
    expect(table.owner(0)).toEqual({ name: "", pid: "", uid: "" });
  });
});

let folder: Folder;
let time = 0;
beforeEach(async () => {
  folder = await makeFolder();
  time = 0;
});
afterEach(() => folder.remove());

/** A process in the made-up /proc. */
async function start(
  pid: number,
  comm: string,
  began: number,
  sockets: readonly number[],
): Promise<void> {
  await mkdir(folder.file(`${pid}/fd`), { recursive: true });
  await writeFile(folder.file(`${pid}/comm`), `${comm}\n`);
  const fields = Array(17).fill(0).join(" ");
  await writeFile(folder.file(`${pid}/stat`), `${pid} (${comm}) S ${fields} 0 ${began} 0`);
  await writeFile(folder.file(`${pid}/status`), `Name:\tx\nUid:\t1000\t${pid}\t0\t0\n`);
  for (const [fd, inode] of sockets.entries()) {
    await symlink(`socket:[${inode}]`, folder.file(`${pid}/fd/${fd + 3}`));
  }
}

const table = () => ownerTable({ proc: folder.path, now: () => time });

describe("the owner", () => {
  test("of several holders is the eldest, but not the init that made the socket for a service", async () => {
    await start(1, "systemd", 0, [70]);
    await start(30, "worker", 500, [70, 71]);
    await start(40, "master", 300, [70, 71]);
    const owners = table();
    expect(owners.owner(70).name).toBe("master");
    expect(owners.holders(70).map(({ name }) => name)).toEqual(["master", "worker", "systemd"]);
    expect(owners.owner(71)).toEqual({ name: "master", pid: "40", uid: "40" });
  });

  test("of a number that is used again is who has it now", async () => {
    await start(50, "old", 100, [80]);
    const owners = table();
    expect(owners.owner(80).name).toBe("old");
    await rm(folder.file("50"), { recursive: true });
    await start(50, "new", 900, [81]); // The same process number, another process.
    await start(51, "other", 901, [80]); // The same inode, another socket.
    time += 6000;
    expect(owners.owner(80).name).toBe("other");
    expect(owners.owner(81).name).toBe("new");
  });

  test("who is gone before anybody asks is known to whoever polls", async () => {
    const owners = table();
    owners.poll();
    await start(60, "brief", 100, [90]);
    time += 100;
    owners.poll();
    await rm(folder.file("60"), { recursive: true });
    time += 5000;
    expect(owners.owner(90)).toEqual({ name: "brief", pid: "60", uid: "60" });
  });

  test("has the name that it gave itself, whatever is in it", async () => {
    await start(61, ") S 1\n]: 9", 100, [91]);
    expect(table().owner(91).name).toBe(") S 1\n]: 9");
  });

  test("is forgotten where there are too many, the oldest first", async () => {
    await start(62, "many", 100, [1, 2, 3, 4]);
    const owners = ownerTable({ proc: folder.path, now: () => time, limit: 3 });
    for (const inode of [1, 2, 3, 4]) expect(owners.owner(inode).name).toBe("many");
    expect(owners.size).toBe(3);
  });
});

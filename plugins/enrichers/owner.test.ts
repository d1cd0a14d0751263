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
  parent = 1,
): Promise<void> {
  await mkdir(folder.file(`${pid}/fd`), { recursive: true });
  await writeFile(folder.file(`${pid}/comm`), `${comm}\n`);
  const fields = Array(16).fill(0).join(" ");
  await writeFile(
    folder.file(`${pid}/stat`),
    `${pid} (${comm}) S ${parent} ${fields} 0 ${began} 0`,
  );
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

  test("of a socket that young processes have inherited is the eldest, before and after they are gone", async () => {
    await start(1, "systemd", 0, []);
    await start(20, "master", 100, [72, 73]);
    await start(21, "manager", 200, [72, 73], 20);
    const owners = table();
    owners.poll();
    await start(22, "worker", 900, [72, 73, 74], 21);
    time += 100;
    owners.poll();
    expect(owners.owner(72).name).toBe("master");
    expect(owners.owner(74).name).toBe("worker");
    expect(owners.searches).toBe(0); // Nobody else has to be looked at for that.
    await rm(folder.file("22"), { recursive: true });
    time += 5000;
    expect(owners.owner(73).name).toBe("master");
    expect(owners.owner(74).name).toBe("worker");
  });

  test("of a socket that was handed to a young process is the eldest once all are looked at", async () => {
    await start(20, "activator", 100, [75]);
    const owners = table();
    owners.poll();
    await start(22, "activated", 900, [75]); // No child of the other.
    time += 100;
    owners.poll();
    expect(owners.owner(75).name).toBe("activated");
    owners.owner(999); // Whoever asks for a socket that isn't known has all looked at.
    time += 1000;
    expect(owners.owner(75).name).toBe("activator");
  });

  test("of several holders passes on when the eldest lets go, and when it is gone", async () => {
    await start(20, "eldest", 100, [76]);
    await start(21, "second", 200, [76], 20);
    await start(22, "third", 300, [76], 20);
    const owners = table();
    expect(owners.owner(76).name).toBe("eldest");
    await rm(folder.file("20/fd/3"));
    time += 5000;
    expect(owners.owner(76).name).toBe("second");
    await rm(folder.file("21"), { recursive: true });
    time += 5000;
    expect(owners.owner(76)).toEqual({ name: "third", pid: "22", uid: "22" });
  });

  test("who has a number of another process now isn't taken for that one", async () => {
    await start(52, "old", 100, [82, 83]);
    const owners = table();
    expect(owners.owner(82).name).toBe("old");
    await rm(folder.file("52"), { recursive: true });
    await start(52, "new", 900, [83]);
    time += 6000;
    expect(owners.owner(82).name).toBe("old"); // The last who held it: nobody does now.
    expect(owners.owner(83)).toEqual({ name: "new", pid: "52", uid: "52" });
  });

  test("of an inode that is used again by who is gone soon is known to whoever polls", async () => {
    await start(53, "old", 100, [84, 85]);
    const owners = table();
    expect(owners.owner(84).name).toBe("old");
    owners.poll();
    await rm(folder.file("53"), { recursive: true });
    time += 6000;
    expect(owners.owner(84).name).toBe("old");
    await start(54, "brief", 900, [84, 85]);
    time += 100;
    owners.poll();
    await rm(folder.file("54"), { recursive: true });
    time += 100;
    expect(owners.owner(84).name).toBe("brief");
    expect(owners.owner(85).name).toBe("brief");
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

// Network namespaces are found with and without a process in them.
import { spawnSync } from "node:child_process";
import process from "node:process";
import { expect } from "bun:test";
import { netnsTable } from "../../plugins/enrichers/netns.ts";
import { withNamespaces } from "../../plugins/doctor/namespaces.ts";
import { kernelTest } from "./machine.ts";

const ip = (...args: string[]): void => {
  const { status, stderr } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
};

kernelTest("a namespace that has a name and no process is found, and read", () => {
  const name = `dw-test-${process.pid}`;
  ip("netns", "add", name);
  try {
    const table = netnsTable();
    const found = table.list().find(({ through }) =>
      "file" in through && through.file.endsWith(name)
    );
    expect(found).toBeDefined();
    const [snmp, none, dev] = table.read(found!, ["snmp", "no-such-file", "dev"]);
    expect(snmp).toMatch(/^Udp: 0 0 0/m);
    expect(none).toBe(undefined);
    // Its only device: what is read is not of the namespace that reads.
    expect([...dev!.matchAll(/^ *(\w+):/gm)].map(([, device]) => device)).toEqual(["lo"]);
  } finally {
    ip("netns", "delete", name);
  }
  return Promise.resolve();
});

kernelTest("one that a process is in is read through it, until that is gone", async () => {
  const table = netnsTable();
  const before = new Set(table.list().map(({ inode }) => inode));
  const fresh = netnsTable();
  const space = await withNamespaces(() => {
    const made = fresh.list().filter(({ inode }) => !before.has(inode));
    expect(made.length).toBe(2);
    expect(fresh.read(made[0]!, ["dev"])[0]).toContain("veth-");
    return made[0]!;
  });
  expect(fresh.read(space, ["dev"])).toEqual([undefined]);
});

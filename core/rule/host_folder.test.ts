// The folders of rule hosts: a host that was killed leaves one, and the next one removes it.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, lstatSync, readdirSync } from "node:fs";
import { chown, mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { startRuleHost } from "./host.ts";
import { folderName, removeLeftovers } from "./host_folder.ts";

let folder: Folder;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => folder.remove());

const mine = folderName(process.pid);
const namespace = mine.split(".").at(-1)!;
/** No process has it: it is beyond what the kernel gives. */
const nobody = 4_194_305;

async function leave(name: string): Promise<string> {
  await mkdir(folder.file(name));
  await writeFile(folder.file(`${name}/host.mjs`), "");
  return folder.file(name);
}

describe("leftovers", () => {
  test("of processes that are gone are removed, and of those whose id is another's now", async () => {
    const gone = await leave(`dropwatch-rules-${nobody}.1.${namespace}-abcdef`);
    const reused = await leave(`dropwatch-rules-${process.pid}.1.${namespace}-abcdef`);
    await removeLeftovers(folder.path);
    expect([gone, reused].map((path) => existsSync(path))).toEqual([false, false]);
  });

  test("of processes that run are left, and of other namespaces, and whatever else there is", async () => {
    const names = [
      `${mine}-abcdef`,
      `dropwatch-rules-${nobody}.1.1-abcdef`,
      "dropwatch-rules-abcdef",
      `dropwatch-rules-${nobody}.1.${namespace}-../abcdef`.replace("/", "_"),
      `other-dropwatch-rules-${nobody}.1.${namespace}-abcdef`,
    ];
    for (const name of names) await leave(name);
    await writeFile(folder.file(`dropwatch-rules-${nobody}.1.${namespace}-file`), "");
    await removeLeftovers(folder.path);
    for (const name of names) expect(existsSync(folder.file(name))).toBe(true);
    expect(existsSync(folder.file(`dropwatch-rules-${nobody}.1.${namespace}-file`))).toBe(true);
  });

  test("that are links are left, and what they lead to", async () => {
    await leave("precious");
    const name = `dropwatch-rules-${nobody}.1.${namespace}-link`;
    await folder.link(name, folder.file("precious"));
    // A link in a leftover is removed, and what it leads to isn't.
    const gone = `dropwatch-rules-${nobody}.1.${namespace}-abcdef`;
    await leave(gone);
    await folder.link(`${gone}/link`, folder.file("precious"));
    await removeLeftovers(folder.path);
    expect(lstatSync(folder.file(name)).isSymbolicLink()).toBe(true);
    expect(existsSync(folder.file(gone))).toBe(false);
    expect(existsSync(folder.file("precious/host.mjs"))).toBe(true);
  });

  if (process.getuid?.() === 0) {
    test("of another user are left", async () => {
      const name = `dropwatch-rules-${nobody}.1.${namespace}-theirs`;
      await chown(await leave(name), 65534, 65534);
      await removeLeftovers(folder.path);
      expect(existsSync(folder.file(name))).toBe(true);
    });
  }

  test("are looked for where there is nothing, without a word", async () => {
    await removeLeftovers(folder.file("nothing"));
  });

  test("of a host are none once it is closed, and its folder is named after its process", async () => {
    const before = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith(mine));
    const known = before();
    const host = await startRuleHost(() => {});
    expect(before().length).toBe(known.length + 1);
    await host.close();
    expect(before()).toEqual(known);
    expect(join(tmpdir(), mine)).toContain(`${process.pid}.`);
  });
});

// The folder of a rule host, named after its process: one that was killed can't remove it, and the next
// one does.
import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";

const pattern = /^(dropwatch-rules-(\d+)\.\d+\.\d+)-\w+$/;

/**
 * What the folder of a process begins with: its id and when it was started, since ids are used again,
 * and its namespace, since in another one they mean nothing. "" where there is no such process.
 */
export function folderName(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command comes in brackets, and may hold anything.
    const started = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "0";
    return `dropwatch-rules-${pid}.${started}.${namespace()}`;
  } catch {
    return "";
  }
}

function namespace(): string {
  return /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "0";
}

/** Removes what processes of ours left in `folder` that are there no more. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const match = pattern.exec(name);
    if (match === null) continue;
    const [, owner, pid] = match;
    if (!owner!.endsWith(`.${namespace()}`) || folderName(Number(pid)) === owner) continue;
    const path = join(folder, name);
    try {
      // A link, or what another user has put there, is left alone.
      const found = lstatSync(path);
      if (!found.isDirectory() || found.uid !== process.getuid?.()) continue;
      await rm(path, { recursive: true, force: true });
    } catch {
      // Another one removes it just now.
    }
  }
}

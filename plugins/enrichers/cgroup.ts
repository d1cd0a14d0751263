// What runs in a cgroup: from the inode of its directory to its path, and from that to the systemd
// unit and the container.
import { readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Cgroup } from "../../core/drop/field.ts";

export interface CgroupTable {
  cgroup(id: number): Cgroup;
  /** The path below the root, `/system.slice/ssh.service`; "" where it isn't known. */
  path(id: number): string;
}

export interface CgroupTableOptions {
  /** Where cgroup v2 is mounted. */
  readonly root?: string;
  /** Milliseconds. */
  readonly now?: () => number;
}

const nowhere: Cgroup = { unit: "", container: "" };
/** The mount points of cgroup v2: alone, and beside v1. */
const roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/** A walk over all directories costs: it isn't repeated at once where it didn't find one. */
const pause = 1000;
const most = 20_000;
const deepest = 16;

/** Makes the table of this machine's cgroups. */
export function cgroupTable(options: CgroupTableOptions = {}): CgroupTable {
  const { now = Date.now } = options;
  const paths = new Map<number, string>();
  const known = new Map<number, Cgroup>();
  let walkedAt = -Infinity;

  const walk = (): void => {
    if (now() - walkedAt < pause) return;
    walkedAt = now();
    const root = options.root ?? roots.findLast((each) => has(each, "cgroup.controllers"));
    if (root === undefined) return;
    const seen = new Map<number, string>();
    visit(root, "", 0, seen);
    // Those that are gone keep their names: their drops may still be counted.
    for (const [id, path] of seen) {
      if (paths.get(id) !== path) known.delete(id);
      paths.delete(id);
      paths.set(id, path);
    }
    for (const id of paths.keys()) {
      if (paths.size <= most) break;
      paths.delete(id);
      known.delete(id);
    }
  };

  const path = (id: number): string => {
    if (id === 0) return "";
    if (!paths.has(id)) walk();
    return paths.get(id) ?? "";
  };

  return {
    path,
    cgroup(id) {
      const found = known.get(id);
      if (found !== undefined) return found;
      const at = path(id);
      if (at === "") return nowhere;
      const cgroup = readCgroupPath(at);
      known.set(id, cgroup);
      return cgroup;
    },
  };
}

function has(folder: string, name: string): boolean {
  try {
    return statSync(join(folder, name)).isFile();
  } catch {
    return false;
  }
}

function visit(root: string, path: string, depth: number, seen: Map<number, string>): void {
  if (seen.size >= most || depth > deepest) return;
  try {
    seen.set(statSync(root + path).ino, path === "" ? "/" : path);
    for (const entry of readdirSync(root + path, { withFileTypes: true })) {
      if (entry.isDirectory()) visit(root, `${path}/${entry.name}`, depth + 1, seen);
    }
  } catch {
    // It was removed meanwhile.
  }
}

const id = "[0-9a-f]{64}";
/** How container runtimes name their cgroups, with systemd and without. */
const containers: readonly RegExp[] = [
  new RegExp(`^(?:docker|cri-containerd|crio|libpod|nerdctl)-(${id})\\.scope$`),
  new RegExp(`^(?:libpod-|crio-)?(${id})$`),
];
/** Those that have names: LXC, systemd-nspawn. */
const namedContainers: readonly RegExp[] = [
  /^lxc\.payload\.(.+)$/,
  /^machine-(.+)\.scope$/,
];
const unitName = /\.(service|scope|socket|mount|swap|timer)$/;

/**
 * Reads a cgroup's path.
 *
 * @example
 * ```ts
 * import { readCgroupPath } from "./plugins/enrichers/cgroup.ts";
 *
 * readCgroupPath("/system.slice/ssh.service"); // { unit: "ssh.service", container: "" }
 * ```
 */
export function readCgroupPath(path: string): Cgroup {
  const parts = path.split("/").filter((part) => part !== "").map(unescapeUnit);
  let container = "";
  for (const part of parts) {
    for (const pattern of containers) {
      container = pattern.exec(part)?.[1]?.slice(0, 12) ?? container;
    }
    for (const pattern of namedContainers) container = pattern.exec(part)?.[1] ?? container;
  }
  const unit = parts.findLast((part) => unitName.test(part)) ?? "";
  return { unit: basename(unit), container };
}

/** systemd writes `\\x2d` for a `-` that isn't a separator of slices. */
function unescapeUnit(part: string): string {
  return part.replace(
    /\\x([0-9a-f]{2})/g,
    (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
  );
}

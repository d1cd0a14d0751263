// What runs in a cgroup: from the inode of its directory to its path, and from that to the systemd
// unit and the container.
import { Buffer } from "node:buffer";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
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

const id = "([0-9a-f]{64})";
/**
 * How container runtimes name their cgroups. Those of their own helpers (libpod-conmon-ID.scope,
 * crio-conmon-ID, lxc.monitor.NAME) fit none of these.
 */
const containers: readonly RegExp[] = [
  // With systemd: Docker, containerd, CRI-O, Podman, nerdctl.
  new RegExp(`^(?:docker|cri-containerd|crio|libpod|nerdctl)-${id}\\.scope$`),
  // Without: Docker and containerd, Podman, CRI-O; and Podman in the cgroup of its service (Quadlet).
  new RegExp(`^(?:libpod-|libpod-payload-|crio-)?${id}$`),
  // A path for systemd (slice:prefix:name) that runc or crun was given without --systemd-cgroup.
  new RegExp(`^[^:]*:[^:]+:${id}$`),
];
/** Those that have names: LXC, Incus and LXD; systemd-nspawn and what else machined knows. */
const namedContainers: readonly RegExp[] = [
  /^lxc\.payload\.(.+)$/,
  /^machine-(.+)\.scope$/,
  /^systemd-nspawn@(.+)\.service$/,
];
/** libvirt's virtual machines are machined's too, but no containers. */
const virtualMachine = /^machine-qemu-/;
/** Below these a folder is a container by its name: LXC up to 3, and Proxmox. */
const folders = new Set(["lxc", "lxc.payload"]);
/** Right below a container's cgroup, these aren't in it: conmon, systemd-nspawn itself. */
const outside = new Set(["conmon", "supervisor"]);
const unitName = /\.(service|scope|socket|mount|swap|timer)$/;

/**
 * Reads a cgroup's path. The innermost container and unit count. A pod isn't told: no path has its
 * name, only a number, and from the container its runtime knows the pod.
 *
 * @example
 * ```ts
 * import { readCgroupPath } from "./plugins/enrichers/cgroup.ts";
 *
 * readCgroupPath("/system.slice/ssh.service"); // { unit: "ssh.service", container: "" }
 * ```
 */
export function readCgroupPath(path: string): Cgroup {
  const parts = path.split("/").filter((part) => part !== "");
  let container = "";
  let before = "";
  for (const [i, part] of parts.entries()) {
    const found = containerOf(part, parts[i - 1]);
    if (found !== undefined) {
      before = container;
      container = found;
    } else if (outside.has(part) && containerOf(parts[i - 1] ?? "", parts[i - 2]) !== undefined) {
      container = before;
    }
  }
  const unit = parts.findLast((part) => unitName.test(part)) ?? "";
  // systemd puts a _ before a name that the kernel has a file of: _memory.service.
  return { unit: unit.replace(/^_/, ""), container };
}

/** The container whose cgroup has this name, in the folder `above`. */
function containerOf(name: string, above: string | undefined): string | undefined {
  for (const pattern of containers) {
    const found = pattern.exec(name)?.[1];
    if (found !== undefined) return found.slice(0, 12);
  }
  const plain = unescape(name);
  if (virtualMachine.test(plain)) return undefined;
  for (const pattern of namedContainers) {
    const found = pattern.exec(plain)?.[1];
    if (found !== undefined) return found;
  }
  return above !== undefined && folders.has(above) ? name : undefined;
}

/** A machine's name as it was before it became part of a unit's: systemd writes `\\x2d` for its `-`. */
function unescape(part: string): string {
  const bytes = Buffer.from(part).toString("latin1").replace(
    /\\x([0-9a-f]{2})/g,
    (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
  );
  return Buffer.from(bytes, "latin1").toString();
}

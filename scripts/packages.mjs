/**
 * What the project needs of the system: commands, found in PATH or installed with the distribution's
 * package manager.
 */

import { spawnSync } from "node:child_process";
import { accessSync, constants, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { callQuietly } from "./child.mjs";

/**
 * @typedef {object} Manager
 * @property {string} command
 * @property {string} verb
 * @property {readonly string[]} options so that it asks nothing
 * @property {readonly string[]} refresh fetches the lists of packages, which are missing in a new
 *   container and go stale elsewhere
 * @property {Readonly<Record<string, readonly string[]>>} names where a command's package differs
 *   from NAMES
 */

/** @type {Readonly<Record<string, readonly string[]>>} */
const NAMES = {
  nft: ["nftables"],
  ip: ["iproute2"],
  tc: ["iproute2"],
  unshare: ["util-linux"],
  nsenter: ["util-linux"],
};

/** @type {readonly Manager[]} */
const MANAGERS = [
  {
    command: "apt-get",
    verb: "install",
    options: ["-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"],
    refresh: ["update", "-q"],
    names: { gcc: ["gcc", "libc6-dev"] },
  },
  {
    command: "dnf",
    verb: "install",
    options: ["-y"],
    refresh: ["makecache"],
    names: { ip: ["iproute"], tc: ["iproute-tc"] },
  },
  {
    command: "pacman",
    verb: "-S",
    options: ["--noconfirm", "--needed"],
    refresh: ["-Sy", "--noconfirm"],
    names: {},
  },
  {
    command: "zypper",
    verb: "install",
    options: ["-y"],
    refresh: ["--non-interactive", "refresh"],
    names: {},
  },
  {
    command: "apk",
    verb: "add",
    options: [],
    refresh: ["update"],
    names: { gcc: ["gcc", "musl-dev"] },
  },
];

// Not in every user's PATH, and ip, nft and tc lie there.
const SYSTEM_DIRECTORIES = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** PATH with the system's directories. */
export function searchPath() {
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((directory) => directory !== "");
  return [...new Set([...path, ...SYSTEM_DIRECTORIES])].join(delimiter);
}

/**
 * @param {string} command
 * @returns {string | undefined} the file behind a command
 */
export function which(command) {
  return searchPath().split(delimiter).map((directory) => join(directory, command)).find(
    isExecutable,
  );
}

/** @param {string} file */
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

export function isRoot() {
  return process.geteuid?.() === 0;
}

/** @param {readonly string[]} commands */
export function missing(commands) {
  return commands.filter((command) => which(command) === undefined);
}

/** @param {readonly string[]} commands */
export function howToInstall(commands) {
  const manager = findManager();
  const it = commands.length === 1 ? "it" : "them";
  if (manager === undefined) return `install ${it} with your distribution's package manager`;
  const line = [manager.command, manager.verb, ...packagesOf(manager, commands)].join(" ");
  return `install ${it} with: sudo ${line}`;
}

/**
 * Installs what provides the commands. Needs root.
 *
 * @param {readonly string[]} commands
 * @returns {string | undefined} why it couldn't be done
 */
export function install(commands) {
  const manager = findManager();
  if (manager === undefined) return "no package manager that is known here";
  const { command, refresh } = manager;
  const args = [manager.verb, ...manager.options, ...packagesOf(manager, commands)];
  const env = { ...process.env, PATH: searchPath(), DEBIAN_FRONTEND: "noninteractive" };
  // A refresh takes seconds, and mostly isn't needed: try without, and say nothing when that fails.
  const stdio = "ignore";
  if (spawnSync(command, args, { env, stdio }).status !== 0) {
    // Where one of several sources can't be reached this fails too, and the others may do.
    callQuietly(command, refresh, { env });
    const failure = callQuietly(command, args, { env });
    if (failure !== undefined) return failure;
  }
  const still = missing(commands);
  return still.length === 0 ? undefined : `${command} didn't bring ${still.join(", ")}`;
}

/**
 * Unpacks a package of Debian into a directory: its files alone, so that no service of it is set up or
 * started, and no root is needed.
 *
 * @param {string} name
 * @param {string} directory
 * @returns {string | undefined} why it couldn't be done
 */
export function unpack(name, directory) {
  const absent = ["apt-get", "dpkg-deb"].filter((command) => which(command) === undefined);
  if (absent.length > 0) return `no ${absent.join(" and no ")} here`;
  mkdirSync(directory, { recursive: true });
  const env = { ...process.env, PATH: searchPath() };
  const download = ["download", "-q", name];
  if (spawnSync("apt-get", download, { env, cwd: directory, stdio: "ignore" }).status !== 0) {
    if (isRoot()) callQuietly("apt-get", ["update", "-q"], { env });
    const failure = callQuietly("apt-get", download, { env, cwd: directory });
    if (failure !== undefined) return failure;
  }
  const [file] = readdirSync(directory).filter((each) => each.endsWith(".deb"));
  if (file === undefined) return `apt-get didn't bring ${name}`;
  const failure = callQuietly("dpkg-deb", ["-x", file, "."], { env, cwd: directory });
  rmSync(join(directory, file), { force: true });
  return failure;
}

function findManager() {
  return MANAGERS.find((manager) => which(manager.command) !== undefined);
}

/**
 * @param {Manager} manager
 * @param {readonly string[]} commands
 */
function packagesOf(manager, commands) {
  const names = commands.flatMap((command) =>
    manager.names[command] ?? NAMES[command] ?? [command]
  );
  return [...new Set(names)];
}

/** Debian systems with bpftrace, in a directory each. */

import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { callQuietly, run } from "./child.mjs";
import { howToInstall, install, missing } from "./packages.mjs";

/**
 * Mounts made by what runs behind this are seen by nobody else, and gone with it, however it ends.
 * So nothing has to be unmounted, and no `rm -r` can walk into the host's /dev.
 */
const PRIVATE_MOUNTS: readonly string[] = ["unshare", "--mount", "--propagation", "slave"];

const MOUNT_AND_RUN = `
for directory in proc sys dev; do mount --rbind "/$directory" "$0/$directory" || exit; done
exec "$@"`;

/** A command that runs the command behind it with the host's /proc, /sys and /dev in the chroot. */
export function withMounts(directory: string): string[] {
  return [...PRIVATE_MOUNTS, "sh", "-c", MOUNT_AND_RUN, directory];
}

/**
 * Makes the chroot of a suite ("trixie", "sid") where it isn't there yet, which takes half a minute to some minutes.
 * It gets its name only when it is complete, so one that is there can be used.
 *
 * @returns its directory, absolute
 * @throws Error with what to do about it
 */
export async function makeChroot(suite: string, base: string): Promise<string> {
  const directory = resolve(base, suite);
  if (existsSync(directory)) return directory;
  bringDebootstrap();

  const unfinished = `${directory}.unfinished`;
  // Of a run that was stopped.
  callQuietly("rm", ["-rf", "--one-file-system", unfinished]);
  mkdirSync(unfinished, { recursive: true });
  const log = join(dirname(directory), `${suite}.log`);
  process.stderr.write(
    `compat: making a chroot of Debian ${suite}: this takes a minute; see ${log}\n`,
  );

  const [command = "", ...args] = [
    ...PRIVATE_MOUNTS,
    ...["debootstrap", "--variant=minbase", "--include=bpftrace", suite, unfinished, findMirror()],
  ];
  const output = openSync(log, "w");
  try {
    const code = await run(command, args, { stdio: ["ignore", output, output] });
    if (code !== 0) {
      process.stderr.write(
        `${readFileSync(log, "utf8").trimEnd().split("\n").slice(-5).join("\n")}\n`,
      );
      throw new Error(`cannot make a chroot of Debian ${suite}: debootstrap exited with ${code}`);
    }
  } finally {
    closeSync(output);
  }
  callQuietly("chroot", [unfinished, "apt-get", "clean"]);
  renameSync(unfinished, directory);
  return directory;
}

function bringDebootstrap(): void {
  const wanted = missing(["debootstrap"]);
  if (wanted.length === 0) return;
  process.stderr.write("compat: installing debootstrap\n");
  const failure = install(wanted);
  if (failure !== undefined) {
    throw new Error(`cannot install debootstrap: ${failure}: ${howToInstall(wanted)}`);
  }
}

/** The mirror that this machine gets its own packages from, if it is a Debian. */
function findMirror(): string {
  const given = process.env["DROPWATCH_COMPAT_MIRROR"];
  if (given) return given;
  const sources = [
    { file: "/etc/apt/sources.list.d/debian.sources", line: /^URIs:\s*(\S+)/m },
    { file: "/etc/apt/sources.list", line: /^deb\s+(?:\[[^\]]*\]\s+)?(\S+)/m },
  ];
  const isDebian = /^ID=debian$/m.test(readIfThere("/etc/os-release"));
  const mirror = isDebian &&
    sources.map(({ file, line }) => line.exec(readIfThere(file))?.[1]).find(Boolean);
  if (!mirror) {
    throw new Error("cannot find a mirror of Debian: set DROPWATCH_COMPAT_MIRROR to its URL");
  }
  return mirror;
}

function readIfThere(file: string): string {
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

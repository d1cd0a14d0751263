// The command that installs bpftrace on this distribution.
import { existsSync } from "node:fs";

const managers: readonly (readonly [file: string, command: string])[] = [
  ["/usr/bin/apt-get", "apt-get install -y bpftrace"],
  ["/usr/bin/dnf", "dnf install -y bpftrace"],
  ["/usr/bin/pacman", "pacman -S --noconfirm bpftrace"],
  ["/usr/bin/zypper", "zypper --non-interactive install bpftrace"],
  ["/sbin/apk", "apk add bpftrace"],
];

/** `sudo apt-get install -y bpftrace`, or where no package manager is known, what to look for. */
export function installCommand(): string {
  const found = managers.find(([file]) => existsSync(file));
  return found === undefined
    ? "see your distribution's package bpftrace (0.17 or later)"
    : `sudo ${found[1]}`;
}

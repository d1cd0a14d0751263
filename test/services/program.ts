// Real services that tests run: this machine's own, or Debian's as the set-up unpacks them, so that none
// is started as a service.
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { test } from "bun:test";

/** The folder that the set-up unpacks a package into. */
export function unpackedIn(folder: string): string {
  return fileURLToPath(new URL(`../../.cache/${folder}`, import.meta.url));
}

/** The file of a program that has one of the names; undefined where this machine has none. */
export function findProgram(folder: string, ...names: readonly string[]): string | undefined {
  const folders = [
    ...(process.env.PATH ?? "").split(delimiter),
    "/usr/bin",
    join(unpackedIn(folder), "usr/bin"),
  ];
  return folders.flatMap((each) => names.map((name) => join(each, name)))
    .find((file) => existsSync(file));
}

export type ProgramTest = (name: string, body: () => Promise<void>, timeout?: number) => void;

/**
 * Tests that need programs: skipped where one isn't there, unless this machine must run every test.
 */
export function testWith(what: string, ...programs: readonly (string | undefined)[]): ProgramTest {
  const missing = `no ${what}: npm test unpacks it where there is apt-get, or install it`;
  return (name, body, timeout = 60_000) => {
    if (!programs.includes(undefined)) test(name, body, timeout);
    else if (process.env.DROPWATCH_KERNEL === "required") {
      test(name, () => {
        throw new Error(`DROPWATCH_KERNEL=required, but this machine has ${missing}`);
      });
    } else test.skip(`${name} (${missing})`, body);
  };
}

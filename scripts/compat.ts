/**
 * The kernel tests against other versions of bpftrace: `bun run compat [--all] [SUITE…]`, as root.
 *
 * bpftrace says the same thing differently from version to version, so they run against the real
 * ones: Debian's of trixie and of sid, in a chroot each, on this machine's kernel. The chroots stay
 * in .cache/compat for the next run, or in DROPWATCH_COMPAT_DIR; delete one to have it made anew.
 *
 * The oldest version (this machine's own, under `npm test`) runs all of them, and the newest all but
 * those of the dashboard and of top. The one in between runs those in which the version can make a
 * difference; `--all` has both run the others too.
 */

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { makeChroot, withMounts } from "./chroot.ts";
import { isRoot, searchPath } from "./packages.mjs";
import { closingLine, type Counts, runTests, type Runtime } from "./tests.mjs";

const SUITES = ["trixie", "sid"];
const TESTS = "./test/kernel/";

/** What dropwatch makes of its own: the same whatever bpftrace says, once it is understood. */
const WITHOUT_DIFFERENCE = [
  "doctor",
  "knowledge",
  "main_job",
  "netns",
  "record",
  "reload",
];

/** What people see of it, in a browser and in a terminal. */
const SHOWN = ["dashboard", "top"];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const base = process.env["DROPWATCH_COMPAT_DIR"] || join(root, ".cache/compat");
const runtime: Runtime = {
  name: process.versions.bun === undefined ? "deno" : "bun",
  path: process.execPath,
};

/** The tests that a suite runs. */
function testsOf(suite: string, all: boolean): string[] {
  if (all) return [TESTS];
  const files = readdirSync(join(root, TESTS)).filter((name) => name.endsWith(".test.ts"));
  const others = [...SHOWN, ...suite === "trixie" ? WITHOUT_DIFFERENCE : []]
    .map((name) => `${name}.test.ts`);
  const gone = others.filter((name) => !files.includes(name));
  if (gone.length > 0) throw new Error(`there is no ${gone.join(", ")} in ${TESTS}`);
  return files.filter((name) => !others.includes(name)).map((name) => `${TESTS}${name}`);
}

/** Kernel tests on the bpftrace of one suite. */
async function testAgainst(
  suite: string,
  all: boolean,
): Promise<Counts & { code: number; version: string }> {
  const directory = await makeChroot(suite, base);
  const version = spawnSync("chroot", [directory, "bpftrace", "--version"], { encoding: "utf8" });
  if (version.status !== 0) {
    throw new Error(`cannot run bpftrace in ${directory}: ${version.stderr || version.error}`);
  }
  process.stdout.write(`compat: ${suite}: ${version.stdout.trim()}\n`);
  const result = await runTests(runtime, testsOf(suite, all), {
    ...process.env,
    PATH: searchPath(),
    DROPWATCH_BPFTRACE: `chroot ${directory} bpftrace`,
    DROPWATCH_KERNEL: "required",
  }, withMounts(directory));
  return { ...result, version: version.stdout.trim() };
}

async function compat(suites: readonly string[], all: boolean): Promise<number> {
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  const lines: string[] = [];
  let code = 0;
  for (const suite of suites) {
    const started = performance.now();
    try {
      const result = await testAgainst(suite, all);
      const seconds = Math.round((performance.now() - started) / 1000);
      lines.push(`${suite}: ${result.version}: ${closingLine(result)} in ${seconds} s`);
      total.passed += result.passed;
      total.failed += result.failed;
      total.skipped += result.skipped;
      code = Math.max(code, result.code);
    } catch (error) {
      lines.push(`${suite}: ${error instanceof Error ? error.message : error}`);
      total.failed += 1;
      code = Math.max(code, 1);
    }
    // Ended by a signal, so meant to end as a whole.
    if (interrupted) break;
  }
  for (const line of lines) process.stdout.write(`compat: ${line}\n`);
  process.stdout.write(`${closingLine(total)}\n`);
  return interrupted ? 130 : code;
}

let interrupted = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => interrupted = true);
}

if (isRoot()) {
  process.chdir(root);
  const chosen = process.argv.slice(2).filter((arg) => arg !== "--all");
  const all = process.argv.includes("--all");
  process.exitCode = await compat(chosen.length > 0 ? chosen : SUITES, all);
} else {
  process.stderr.write("compat: chroots need root: sudo bun run compat\n");
  process.exitCode = 3;
}

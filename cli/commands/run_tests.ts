// Runs the tests of rules, with the test runner of the runtime that dropwatch runs on.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { exitCode, jsonLine } from "../../core/error.ts";
import { plural } from "../../core/number.ts";
import { bundleTests, shown } from "../../core/rule/bundle.ts";
import { findRuleFiles, findRuleTests } from "../../core/rule/load.ts";
import type { Command } from "../command.ts";
import { readSetting, rulePlaces } from "../setting.ts";

export const testCommand: Command = {
  name: "test",
  usage: "[--rules] DIR",
  doc: "run the tests of rules (*.test.ts) on this runtime",
  words: Infinity,
  options: ["rules", "config", "json"],
  examples: ["dropwatch test rules/", "dropwatch test rules/mine.test.ts"],
  async run(given, terminal) {
    const setting = await readSetting(given, terminal);
    const places = rulePlaces("test", given, setting);
    const tests = await findRuleTests(places);
    const folder = await mkdtemp(join(tmpdir(), "dropwatch-tests-"));
    try {
      const bundles = await bundleTests(tests, folder);
      const ok = await runTests(bundles, folder, terminal.signal) === 0;
      if (given.flag("json")) {
        const data = { files: tests.map(shown), passed: ok };
        terminal.out(jsonLine({ type: "tests", timestamp: new Date().toISOString(), data }));
      } else terminal.out(`${plural(tests.length, "file")} of tests: ${ok ? "passed" : "failed"}`);
      const without = await untested(places, tests);
      if (without.length > 0) terminal.log(`without a test beside it: ${without.join(", ")}`);
      return ok ? exitCode.done : exitCode.finding;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

/** Runs test files; returns the runner's exit code. */
async function runTests(
  files: readonly string[],
  folder: string,
  signal: AbortSignal,
): Promise<number> {
  const args = "Deno" in globalThis
    ? ["test", "--no-check", "--no-config", "--allow-all", ...files]
    : ["test", ...files.map((file) => `./${basename(file)}`)];
  // Standard output is for results: what the runner prints is for people.
  const child = spawn(process.execPath, args, {
    cwd: folder,
    stdio: ["ignore", 2, 2],
    signal,
    killSignal: "SIGTERM",
  });
  return await new Promise((resolve, reject) => {
    child.on("error", (error) => signal.aborted ? resolve(1) : reject(error));
    child.on("close", (code) => resolve(code ?? 1));
  });
}

/** Rule files without a test of the same name. */
async function untested(places: readonly string[], tests: readonly string[]): Promise<string[]> {
  const rules = await findRuleFiles(places).catch(() => []);
  return rules.filter((file) => !tests.includes(file))
    .filter((file) => !tests.includes(file.replace(/\.([tj]s)$/, ".test.$1"))).map(shown);
}

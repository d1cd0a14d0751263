/** Runs the tests under Bun or Deno, shows their output as it comes, and counts. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { stripVTControlCharacters } from "node:util";
import { run } from "./child.mjs";

/**
 * @typedef {object} Counts
 * @property {number} passed
 * @property {number} failed
 * @property {number} skipped
 */

/** @typedef {{ name: "bun" | "deno", path: string }} Runtime */

/** Deno lets nobody read /proc and /sys, where the kernel's facts are, with less. */
export const DENO_PERMISSIONS = ["--allow-all"];

const DIRECTORIES = ["test", "core", "plugins", "rules", "cli"];
const KEPT_OUTPUT = 64 * 1024;

/**
 * @param {string} root
 * @param {readonly string[]} args options of `bun test` or `deno test`, and files or directories that
 *   stand for all of them
 */
export function testArguments(root, args) {
  const chosen = args.some((arg) => !arg.startsWith("-") && existsSync(arg));
  const directories = DIRECTORIES.filter((name) => existsSync(join(root, name)));
  // With "./", or Bun takes them for words to find anywhere in a path.
  return chosen ? [...args] : [...args, ...directories.map((name) => `./${name}/`)];
}

/**
 * @param {Runtime} runtime
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @param {readonly string[]} [wrapper] a command that runs the command behind it
 * @returns {Promise<Counts & { code: number }>} with one failed at least when `code` isn't 0
 */
export async function runTests(runtime, args, env, wrapper = []) {
  const options = runtime.name === "bun" ? ["test"] : ["test", "--no-check", ...DENO_PERMISSIONS];
  const [command = "", ...rest] = [...wrapper, runtime.path, ...options, ...args];
  let output = "";
  const code = await run(command, rest, {
    env: process.stderr.isTTY ? { FORCE_COLOR: "1", ...env } : env,
    stdio: ["inherit", "pipe", "pipe"],
    started: (child) => {
      for (
        const [from, to] of /** @type {const} */ ([
          [child.stdout, process.stdout],
          [child.stderr, process.stderr],
        ])
      ) {
        from?.setEncoding("utf8").on("data", (text) => {
          to.write(text);
          output = (output + text).slice(-KEPT_OUTPUT);
        });
      }
    },
  });
  const counts = countIn(output, runtime.name);
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  return { ...counts, code: code === 0 && counts.failed > 0 ? 1 : code };
}

/**
 * Reads the runner's own closing lines: ` 5 pass`, ` 2 skip`, ` 1 todo`, ` 0 fail` of Bun, and
 * `ok | 5 passed | 0 failed | 3 ignored` of Deno.
 *
 * @param {string} output
 * @param {Runtime["name"]} runner
 * @returns {Counts}
 */
export function countIn(output, runner) {
  const lines = stripVTControlCharacters(output).split("\n");
  const end = lines.findLastIndex((line) =>
    runner === "bun" ? /^Ran \d+ tests? across/.test(line) : /^(ok|FAILED) \| /.test(line)
  );
  // A run without the line has broken off, and failed.
  if (end === -1) return { passed: 0, failed: 1, skipped: 0 };
  const summary = runner === "bun" ? lines.slice(Math.max(0, end - 10), end) : [lines[end] ?? ""];
  const pattern = runner === "bun"
    ? /^ *(\d+) (pass|fail|skip|todo)$/gm
    : /(\d+) (passed|failed|ignored)/g;
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const [, number, word] of summary.join("\n").matchAll(pattern)) {
    if (word?.startsWith("pass")) counts.passed = Number(number);
    else if (word?.startsWith("fail")) counts.failed = Number(number);
    else counts.skipped += Number(number);
  }
  return counts;
}

/** @param {Counts} counts */
export function closingLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

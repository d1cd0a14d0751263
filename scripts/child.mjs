/** Runs child processes to their end: one as if the caller had become it, or one for its effect. */

import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { basename } from "node:path";
import process from "node:process";

/** @type {NodeJS.Signals[]} */
const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP"];
const PATIENCE_MS = 5000;

/**
 * @typedef {object} ChildOptions
 * @property {NodeJS.ProcessEnv} [env] in place of this process's own
 * @property {import("node:child_process").StdioOptions} [stdio] "inherit" if missing
 * @property {(child: import("node:child_process").ChildProcess) => void} [started]
 */

/**
 * Signals reach the child, and how it ended is for the caller to end likewise.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {ChildOptions} [options]
 * @returns {Promise<number>} its exit code, or 128 + N when signal N ended it, as in a shell
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: options.env ?? process.env,
      stdio: options.stdio ?? "inherit",
    });
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let later;

    /** @param {NodeJS.Signals} signal */
    const forward = (signal) => {
      // A terminal sends Ctrl-C to the child too, and a program may take a second one for "at once".
      // A `kill -INT` looks the same from here but reached this process only: hence not never, but late.
      if (signal === "SIGINT" && inForeground()) {
        later ??= setTimeout(() => child.kill(signal), PATIENCE_MS);
      } else {
        child.kill(signal);
      }
    };
    const stopForwarding = () => {
      clearTimeout(later);
      for (const signal of FORWARDED) process.off(signal, forward);
    };

    for (const signal of FORWARDED) process.on(signal, forward);
    child.on("error", (error) => {
      stopForwarding();
      reject(error);
    });
    // Not "exit": with pipes, the last of the output may come after it.
    child.on("close", (code, signal) => {
      stopForwarding();
      resolve(signal === null ? code ?? 1 : 128 + constants.signals[signal]);
    });
    options.started?.(child);
  });
}

/**
 * Runs an installer, which has much to say: it is shown, on stderr, only where it failed.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {string | undefined} why it failed
 */
export function callQuietly(command, args, options = {}) {
  const { status, signal, error, stdout, stderr } = spawnSync(command, args, {
    ...options,
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status === 0) return undefined;
  process.stderr.write(stdout ?? "");
  process.stderr.write(stderr ?? "");
  return `${basename(command)} ${
    error === undefined ? `exited with ${status ?? signal}` : `can't run: ${error.message}`
  }`;
}

/** Whether this process is of those that get the terminal's Ctrl-C. */
function inForeground() {
  try {
    const stat = readFileSync("/proc/self/stat", "utf8");
    // After the name, which may hold anything: state, parent, group, session, terminal, its group.
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return group === foreground;
  } catch {
    return false;
  }
}

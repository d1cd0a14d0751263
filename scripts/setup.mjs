#!/usr/bin/env node
/**
 * Makes a fresh clone ready, then runs it: `npm start`, `bun start`, `deno task start`, and the same
 * with `test`. Plain JavaScript, so that it runs where there is nothing yet but Node 18, Bun or Deno.
 *
 *     setup.mjs start [arguments of dropwatch]
 *     setup.mjs test [files, options of bun test or deno test]
 *     setup.mjs tools      Bun and Deno, as .cache/bin/bun and .cache/bin/deno
 *
 * What is there already is not looked at twice: a second start loses less than 0.1 s here.
 * Nothing here writes to stdout before the program itself does: with --json, stdout is the program's.
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { callQuietly, run } from "./child.mjs";
import { howToInstall, install, isRoot, missing, searchPath, unpack, which } from "./packages.mjs";
import { closingLine, DENO_PERMISSIONS, runTests, testArguments } from "./tests.mjs";

/** @typedef {import("./tests.mjs").Runtime} Runtime */

/** The versions that are installed where none is found. */
const PINNED = { bun: "1.4.5", deno: "2.9.6" };
const OLDEST_BUN = [1, 4];
const HOW_TO_GET_BUN = "install it with: npm install -g bun";

/** As dropwatch's own: what it needs of the machine isn't there. */
const CANNOT_WATCH = 3;
const FOR_DOCTOR = ["nft", "ip", "tc", "unshare", "nsenter"];
const FOR_TESTS = ["gcc", "tmux", ...FOR_DOCTOR];
/** As test/chromium.ts looks for it. */
const BROWSERS = ["chromium", "google-chrome", "chromium-browser"];
/** These don't ask the kernel, so they don't need bpftrace. */
const WITHOUT_KERNEL = [
  "alerts",
  "check",
  "explain",
  "help",
  "new",
  "outbox",
  "reason",
  "replay",
  "silence",
  "sink",
  "test",
];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cache = join(root, ".cache");

/** Ends the set-up, with a message for the user. */
class Stop extends Error {
  /**
   * @param {string} message
   * @param {number} [code]
   */
  constructor(message, code = 1) {
    super(message);
    this.code = code;
  }
}

/** @param {string} message */
function say(message) {
  process.stderr.write(`dropwatch: ${message}\n`);
}

/** @param {readonly string[]} args */
async function start(args) {
  const runtime = findRuntime();
  installDependencies(runtime);
  if (needsBpftrace(args)) bringBpftrace();
  if (args[0] === "doctor") bring(FOR_DOCTOR, "doctor");
  mountTracefs();
  const deno = runtime.name === "deno" ? DENO_PERMISSIONS : [];
  return await run(runtime.path, [
    "run",
    ...deno,
    join(root, "cli/main.ts"),
    ...withRules(args),
  ], { env: { ...process.env, PATH: searchPath() } });
}

/** @param {readonly string[]} args */
async function test(args) {
  const runtime = findRuntime();
  installDependencies(runtime);
  // The tests that need what is missing are skipped, or fail under DROPWATCH_KERNEL=required.
  bring(["bpftrace", ...FOR_TESTS], "the kernel tests");
  bringBrowser();
  unpackServices();
  mountTracefs();
  // The directories are the project's, wherever it is started from.
  process.chdir(root);
  const result = await runTests(runtime, testArguments(root, args), {
    ...process.env,
    PATH: searchPath(),
  });
  process.stdout.write(`${closingLine(result)}\n`);
  return result.code;
}

function tools() {
  const bun = findBun();
  if (bun === undefined) throw new Stop(`Bun is missing: ${HOW_TO_GET_BUN}`);
  const deno = findDeno() ?? installFromNpm("deno");
  if (deno === undefined) throw new Stop("Deno is missing: install it with: npm install -g deno");
  installDependencies({ name: "bun", path: bun });
  const bin = join(cache, "bin");
  mkdirSync(bin, { recursive: true });
  for (const [name, target] of Object.entries({ bun, deno })) {
    const link = join(bin, name);
    if (target === link) continue;
    rmSync(link, { force: true });
    symlinkSync(target, link);
  }
  return 0;
}

// Bun and Deno

/**
 * Deno when started by Deno, else Bun, and Deno only where there is no Bun to be had.
 *
 * @returns {Runtime}
 */
function findRuntime() {
  if (process.versions["deno"] !== undefined) return { name: "deno", path: process.execPath };
  const bun = findBun();
  if (bun !== undefined) return { name: "bun", path: bun };
  const deno = findDeno();
  if (deno !== undefined) return { name: "deno", path: deno };
  throw new Stop(`neither Bun nor Deno is there: ${HOW_TO_GET_BUN}`);
}

function findBun() {
  if (isNewEnough(process.versions["bun"])) return process.execPath;
  const inPath = which("bun");
  if (inPath !== undefined && isNewEnough(versionOf(inPath))) return inPath;
  return installedFromNpm("bun") ?? installFromNpm("bun");
}

function findDeno() {
  if (process.versions["deno"] !== undefined) return process.execPath;
  return which("deno") ?? installedFromNpm("deno");
}

/** @param {string | undefined} version */
function isNewEnough(version) {
  const [major = 0, minor = 0] = (version ?? "").split(".").map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_BUN;
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
}

/** @param {string} path */
function versionOf(path) {
  const { status, stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

/**
 * The program itself lies in a package for each platform. Taken from there, it needs no install
 * script, which not every npm runs.
 *
 * @param {"bun" | "deno"} name
 * @returns {string | undefined}
 */
function installedFromNpm(name) {
  const scope = join(cache, name, PINNED[name], "node_modules", name === "bun" ? "@oven" : "@deno");
  if (!existsSync(scope)) return undefined;
  const file = name === "bun" ? "bin/bun" : "deno";
  // npm may have brought the one for another C library too: that one doesn't start.
  return readdirSync(scope).map((platform) => join(scope, platform, file)).find(
    (path) => existsSync(path) && versionOf(path) !== undefined,
  );
}

/**
 * @param {"bun" | "deno"} name
 * @returns {string | undefined}
 */
function installFromNpm(name) {
  const npm = which("npm");
  if (npm === undefined) return undefined;
  const version = PINNED[name];
  const directory = join(cache, name, version);
  say(`installing ${name} ${version} into ${relative(process.cwd(), directory) || "."}`);
  mkdirSync(directory, { recursive: true });
  // npm looks for a project in the directories above otherwise, and finds this one.
  writeFileSync(join(directory, "package.json"), "{}\n");
  const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
  const failure = callQuietly(npm, ["install", ...options, `${name}@${version}`], {
    cwd: directory,
  });
  if (failure !== undefined) say(`cannot install ${name}: ${failure}`);
  return installedFromNpm(name);
}

// The dependencies

/** @param {Runtime} runtime */
function installDependencies({ name, path }) {
  const stamp = join(cache, "dependencies");
  const hash = createHash("sha256");
  for (const file of ["package.json", "deno.json", "bun.lock", "deno.lock"]) {
    hash.update(readFileSync(join(root, file)));
  }
  const wanted = hash.digest("hex");
  const installed = existsSync(join(root, "node_modules")) && existsSync(stamp) &&
    readFileSync(stamp, "utf8") === wanted;
  if (installed) return;
  const args = name === "bun" ? ["install", "--frozen-lockfile"] : ["install", "--frozen"];
  say("installing the dependencies");
  const failure = callQuietly(path, args, { cwd: root });
  if (failure !== undefined) throw new Stop(`cannot install the dependencies: ${failure}`);
  mkdirSync(cache, { recursive: true });
  writeFileSync(stamp, wanted);
}

// The system

/** @param {readonly string[]} args */
function needsBpftrace(args) {
  if (process.env["DROPWATCH_BPFTRACE"]) return false;
  if (WITHOUT_KERNEL.includes(args[0] ?? "")) return false;
  return !args.some((arg) => /^(-h|--help|--version|--(source|bpftrace|connect)(=.*)?)$/.test(arg));
}

function bringBpftrace() {
  if (which("bpftrace") !== undefined) return;
  if (!isRoot()) {
    throw new Stop(`bpftrace is missing: ${howToInstall(["bpftrace"])}`, CANNOT_WATCH);
  }
  say("installing bpftrace");
  const failure = install(["bpftrace"]);
  if (failure !== undefined) {
    throw new Stop(
      `cannot install bpftrace: ${failure}: ${howToInstall(["bpftrace"])}`,
      CANNOT_WATCH,
    );
  }
}

/**
 * Installs what is missing, or says how to: whoever needs it says what it can't do without.
 *
 * @param {readonly string[]} commands
 * @param {string} what
 */
function bring(commands, what) {
  const wanted = missing(commands);
  if (wanted.length === 0) return;
  if (!isRoot()) {
    say(`missing for ${what}: ${wanted.join(", ")}: ${howToInstall(wanted)}`);
    return;
  }
  say(`installing ${wanted.join(", ")} for ${what}`);
  const failure = install(wanted);
  if (failure !== undefined) say(`cannot install ${wanted.join(", ")}: ${failure}`);
}

/**
 * Real services for the tests (test/services/), of Debian's packages. They are unpacked, not installed: as
 * installed they would listen on ports of this machine.
 */
const UNPACKED = [
  {
    name: "prometheus-alertmanager",
    directory: "alertmanager",
    // What each of its programs may be called.
    programs: [["prometheus-alertmanager", "alertmanager"]],
  },
  { name: "prometheus", directory: "prometheus", programs: [["prometheus"], ["promtool"]] },
];

function unpackServices() {
  for (const { name, directory: own, programs } of UNPACKED) {
    const directory = join(cache, own);
    /** @param {string} program */
    const isThere = (program) =>
      which(program) !== undefined || existsSync(join(directory, "usr/bin", program));
    if (programs.every((names) => names.some(isThere))) continue;
    say(`unpacking ${name} for the tests with it`);
    const failure = unpack(name, directory);
    if (failure === undefined) continue;
    const wanted = programs.map((names) => names.join(" or ")).join(" and ");
    say(`cannot unpack ${name}: ${failure}: the tests with it look for ${wanted} in PATH`);
  }
}

/**
 * A browser for the dashboard's tests (test/chromium.ts), where there is none. By itself: a distribution
 * that hasn't got it doesn't keep the others away.
 */
function bringBrowser() {
  if (process.env["DROPWATCH_BROWSER"]) return;
  if (missing(BROWSERS).length < BROWSERS.length) return;
  bring(["chromium"], "the dashboard's tests");
}

/** systemd mounts it; a container or a small image may have no one who does. */
function mountTracefs() {
  const directory = "/sys/kernel/tracing";
  if (!isRoot() || existsSync(join(directory, "events")) || !existsSync(directory)) return;
  const failure = callQuietly("mount", ["-t", "tracefs", "tracefs", directory]);
  say(
    failure === undefined
      ? `mounted tracefs at ${directory}`
      : `cannot mount tracefs at ${directory}: ${failure}`,
  );
}

/**
 * The rules that ship, unless the arguments say what to do, or a config may: a command of its own, or
 * other rules.
 *
 * @param {readonly string[]} args
 */
function withRules(args) {
  const [first = "watch"] = args;
  const command = !first.startsWith("-") && first !== "watch";
  const given = args.some((arg) => /^(-h|--help|-V|--version|--(rules|config)(=.*)?)$/.test(arg));
  if (command || given || existsSync("dropwatch.config.ts")) return args;
  const rules = `${relative(process.cwd(), join(root, "rules")) || "."}/`;
  return args[0] === "watch"
    ? ["watch", "--rules", rules, ...args.slice(1)]
    : ["--rules", rules, ...args];
}

const [command, ...args] = process.argv.slice(2);
/** @type {Record<string, (args: readonly string[]) => number | Promise<number>>} */
const commands = { start, test, tools };

try {
  const wanted = commands[command ?? ""];
  if (wanted === undefined) {
    const problem = command === undefined ? "nothing to do" : `no such command: ${command}`;
    throw new Stop(`${problem}: use ${Object.keys(commands).join(", ")}`, 2);
  }
  process.exitCode = await wanted(args);
} catch (error) {
  if (!(error instanceof Stop)) throw error;
  say(error.message);
  process.exitCode = error.code;
}

// The main process's side of the rule host: a child process that runs what rules are made of. It is
// started as `nobody` where we are root, under Deno with permission to read its folder and nothing
// else, and it is killed when a rule doesn't return. What it was told stays true: it is started
// again with all rules but the one that hung.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { chmod, chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hostFailed, printable, ruleCrashed, ruleHung, showPlace, textFailed } from "../error.ts";
import type { DropwatchError } from "../error.ts";
import { splitLines } from "../lines.ts";
import type { Bundle } from "./bundle.ts";
import { bundleHost, shown } from "./bundle.ts";
import { longestReply, readReply } from "./host_message.ts";
import type { Failure, Question, Reply, Request, UncheckedRule } from "./host_message.ts";
import type { AlertFacts, TextName } from "./rule.ts";

/** How long a rule's code may take for one answer, in milliseconds. */
const patience = 1000;
/** The first answer of a fresh process may take longer: the runtime itself has to start. */
const startPatience = 10_000;
const nobody = 65534;
const maxFailedStarts = 3;
/** How much a rule may print to the log in all. */
const maxPrinted = 64 * 1024;

/** What became of one file: its rules, or why it has none. */
export type Loaded =
  | { readonly rules: readonly UncheckedRule[] }
  | { readonly failure: Failure }
  | { readonly error: DropwatchError };

export interface RuleHost {
  /** Runs the bundle of a file and hands over its rules. */
  load(file: string, bundle: Bundle): Promise<Loaded>;
  /** Asks for a text of a rule; rejects with an error that says what the rule did wrong. */
  text(file: string, rule: number, text: TextName, alert: AlertFacts): Promise<string>;
  /** The child's process id, while it runs. */
  readonly pid: number | undefined;
  close(): Promise<void>;
}

interface Waiting {
  readonly request: Question;
  /** What the rule may not know in advance: it could write the answers of others. */
  readonly token: string;
  /** It runs before the code of any other file: how it ends is its own doing. */
  readonly alone?: boolean;
  resolve(reply: Reply): void;
  reject(error: DropwatchError): void;
}

/** Starts the host. `log` gets what rules print. */
export async function startRuleHost(log: (message: string) => void): Promise<RuleHost> {
  const folder = await mkdtemp(join(tmpdir(), "dropwatch-rules-"));
  const root = process.getuid?.() === 0;
  const program = join(folder, "host.mjs");
  // The child's group may read, nobody but us may write, and others may not even look.
  const put = async (file: string, code: string): Promise<void> => {
    await writeFile(file, code, { mode: 0o400 });
    if (root) await chown(file, 0, nobody);
    if (root) await chmod(file, 0o440);
  };
  if (root) await chown(folder, 0, nobody);
  await chmod(folder, root ? 0o750 : 0o700);
  await put(program, await bundleHost());

  const bundles: { file: string; path: string; loaded: boolean }[] = [];
  const queue: Waiting[] = [];
  let child: ChildProcess | undefined;
  let ready = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let hung: DropwatchError | undefined;
  let nextBundle = 1;
  let printed = 0;
  let failedStarts = 0;
  let closed = false;
  let ending: Promise<void> = Promise.resolve();

  const start = (): void => {
    ready = false;
    const mine = spawn("/proc/self/exe", hostArguments(folder, program), {
      stdio: ["pipe", "pipe", "pipe"],
      cwd: "/",
      // Nothing of the environment: it may hold secrets.
      env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent", NO_COLOR: "1", DENO_DIR: "/nonexistent" },
      ...(root ? { uid: nobody, gid: nobody } : {}),
      detached: true,
    });
    child = mine;
    mine.stdin!.on("error", () => {}); // It is gone: its exit says so.
    void splitLines(mine.stdout!, (line) => onLine(mine, line), 2 * longestReply);
    void splitLines(mine.stderr!, (line) => {
      if (printed > maxPrinted) return;
      printed += line.length + 1;
      log(printed > maxPrinted ? "rules print too much: the rest is left out" : printable(line));
    }, maxPrinted + 1);
    timer = setTimeout(() => kill(mine), startPatience);
    ending = new Promise((resolve) => {
      mine.on("error", (thrown) => {
        if (child === mine) onEnd(thrown.message);
        resolve();
      });
      // Not "close": what a rule started may hold the pipes for as long as it likes.
      mine.on("exit", (code, signal) => {
        kill(mine); // What it started goes with it.
        if (child === mine) onEnd(signal ?? `exit code ${code}`);
        resolve();
      });
    });
  };

  /** Ends the child and what it started: it leads a process group of its own. */
  const kill = (which: ChildProcess): void => {
    if (which.pid === undefined) return;
    try {
      process.kill(-which.pid, "SIGKILL");
    } catch (thrown) {
      if ((thrown as { code?: string }).code !== "ESRCH") throw thrown;
    }
  };

  const onEnd = (how: string): void => {
    clearTimeout(timer);
    child = undefined;
    if (!ready && !closed) {
      // It ended before any rule ran: no rule is to blame, and trying for ever would not help.
      if (++failedStarts < maxFailedStarts) start();
      else for (const { reject } of queue.splice(0)) reject(hostFailed(how));
      return;
    }
    const suspect = queue.shift();
    if (suspect !== undefined) {
      const { file } = suspect.request;
      // What another rule left running can have ended it: only who does so alone is to blame.
      const others = bundles.some((each) => each.loaded && each.file !== file);
      if (others && !suspect.alone && !closed) {
        queue.unshift({ ...suspect, alone: true, token: crypto.randomUUID() });
      } else {
        if (suspect.request.do === "load") forget(file);
        suspect.reject(hung ?? ruleCrashed({ file: shown(file) }, verb(suspect.request), how));
      }
    }
    hung = undefined;
    if (closed) { for (const { reject } of queue.splice(0)) reject(hostFailed("it was closed")); }
    if (queue.length > 0) start();
  };

  const forget = (file: string): void => {
    const at = bundles.findIndex((each) => each.file === file);
    if (at !== -1) bundles.splice(at, 1);
  };

  const onLine = (from: ChildProcess, line: string): void => {
    if (from !== child) return;
    const reply = readReply(line);
    if (reply === undefined) return;
    if (reply.say === "ready") {
      // Once only: a rule that says it again would gain time.
      if (ready) return;
      ready = true;
      failedStarts = 0;
      clearTimeout(timer);
      reload();
      next();
      return;
    }
    const first = queue[0];
    if (first === undefined || reply.token !== first.token) return;
    clearTimeout(timer);
    queue.shift();
    first.resolve(reply);
    next();
  };

  /** A fresh process knows nothing: it is told again what it had loaded. */
  const reload = (): void => {
    const alone = queue[0]?.alone === true ? queue.shift() : undefined;
    const loading = [...queue, ...(alone === undefined ? [] : [alone])]
      .flatMap(({ request }) => request.do === "load" ? [request.file] : []);
    const loads = bundles.filter(({ file, loaded }) => loaded && !loading.includes(file))
      .map(({ file, path }): Waiting => ({
        request: { do: "load", file, bundle: path },
        token: crypto.randomUUID(),
        resolve: () => {},
        reject: (error) => log(`${showPlace(error.place ?? { file })}: ${error.message}`),
      }));
    if (alone === undefined) {
      queue.unshift(...loads);
      return;
    }
    // Whoever is under suspicion runs before any code of the others.
    const own = loads.filter(({ request }) => request.file === alone.request.file);
    queue.unshift(...own, alone, ...loads.filter((each) => !own.includes(each)));
  };

  const next = (): void => {
    const first = queue[0];
    if (first === undefined || child === undefined || !ready) return;
    const request: Request = { token: first.token, ...first.request };
    child.stdin!.write(`${JSON.stringify(request)}\n`);
    const mine = child;
    timer = setTimeout(() => {
      hung = ruleHung({ file: shown(first.request.file) }, patience / 1000, verb(first.request));
      kill(mine);
    }, patience);
  };

  const ask = (request: Question): Promise<Reply> =>
    new Promise((resolve, reject) => {
      if (closed) return reject(hostFailed("it was closed"));
      queue.push({ request, token: crypto.randomUUID(), resolve, reject });
      if (child === undefined) start();
      else if (queue.length === 1) next();
    });

  start();
  return {
    async load(file, bundle) {
      const path = join(folder, `rule-${nextBundle++}.mjs`);
      await put(path, bundle.code);
      forget(file);
      const mine = { file, path, loaded: false };
      bundles.push(mine);
      try {
        const reply = await ask({ do: "load", file, bundle: path });
        if (reply.say === "rules") {
          mine.loaded = true;
          return { rules: reply.rules };
        }
        forget(file);
        return reply.say === "failed"
          ? { failure: reply.failure }
          : { failure: { message: "an answer to another question", at: "" } };
      } catch (error) {
        return { error: error as DropwatchError };
      }
    },
    async text(file, rule, text, alert) {
      const reply = await ask({ do: "text", file, rule, text, alert });
      if (reply.say === "text") return reply.text;
      throw textFailed(
        { file: shown(file) },
        text,
        reply.say === "failed" ? reply.failure.message : "an answer to another question",
      );
    },
    get pid() {
      return child?.pid;
    },
    async close() {
      closed = true;
      if (child !== undefined) kill(child);
      await ending;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function verb(request: Question): string {
  return request.do === "load" ? "load" : `make the ${request.text} of`;
}

/** The same runtime once more, whatever file it is in and whoever may read that. */
function hostArguments(folder: string, program: string): string[] {
  if ("Deno" in globalThis) {
    return [
      "run",
      "--no-prompt",
      "--no-config",
      "--no-lock",
      "--no-remote",
      "--no-npm",
      `--allow-read=${folder}`,
      program,
    ];
  }
  return ["--no-install", program];
}

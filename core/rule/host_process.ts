// One process that runs rules. It is started as `nobody` where we are root, under Deno with permission
// to read its folder and nothing else. It is asked one thing at a time; where it doesn't answer in
// time, takes too much memory or prints without end, it is killed, and whoever started it is told in
// the middle of what.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { printable, ruleCrashed, ruleFloods, ruleHung, ruleTooLarge } from "../error.ts";
import type { DropwatchError } from "../error.ts";
import { splitLines } from "../lines.ts";
import { shown } from "./bundle.ts";
import { longestReply, readReply } from "./host_message.ts";
import type { Question, Reply, Request } from "./host_message.ts";

/** How long a rule may take to be loaded, for a text, and for its code at a tick, in milliseconds. */
const patience = { load: 1000, text: 300, code: 500 };
/** An answer that takes so many milliseconds is slow. */
export const slowAnswer = 150;
/** The first answer of a fresh process may take longer: the runtime itself has to start. */
const startPatience = 10_000;
export const nobody = 65534;
/** How much rules may print to the log in all. */
const maxPrinted = 64 * 1024;
/** Bytes of memory that a process of rules may have: 300 files of rules take 50 to 60 MiB. */
const maxMemory = 256 * 1024 * 1024;
/** Bytes by which one that doesn't answer in time must have grown for that being the reason. */
const muchMemory = 64 * 1024 * 1024;
const pageSize = 4096;
const memoryLook = 50;
/** Milliseconds between two looks at the memory where answers come fast. */
const memoryPause = 1000;
/** Bytes that may come before an answer, on standard output and error. */
const maxNoise = 8 * 1024 * 1024;

/** A question that waits for its answer. */
export interface Waiting {
  readonly request: Question;
  /** What the rule may not know in advance: it could write the answers of others. */
  readonly token: string;
  resolve(reply: Reply): void;
  reject(error: DropwatchError): void;
  /** How many milliseconds its answer took, before `resolve`. */
  took?(ms: number): void;
}

/** How a process ended. */
export interface End {
  /** It never was ready to run a rule. */
  readonly failedStart: boolean;
  readonly how: string;
  /** In the middle of what it ended. */
  readonly suspect: Waiting | undefined;
  /** What the suspect is guilty of, should it be to blame. */
  readonly error: DropwatchError | undefined;
  /** What it hadn't come to. */
  readonly rest: readonly Waiting[];
}

export interface HostProcess {
  readonly pid: number | undefined;
  ask(waiting: Waiting): void;
  kill(): void;
  /** Ends it when it has answered all it was asked. */
  retire(): void;
  /** Settles when it is gone. */
  readonly ended: Promise<void>;
}

/** What a process of rules is started with. */
export interface HostProcessOptions {
  /** The folder that it may read, and its program there. */
  readonly folder: string;
  readonly program: string;
  readonly log: (message: string) => void;
  /** Called once, with all that it was asked and didn't answer. */
  readonly onEnd: (end: End) => void;
  /** Called each time that an answer is slow, before it is there. */
  readonly onSlow: () => void;
}

/** Starts a process. What it is asked waits until it is ready. */
export function startHostProcess(options: HostProcessOptions): HostProcess {
  const { folder, program, log } = options;
  const root = process.getuid?.() === 0;
  const queue: Waiting[] = [];
  let ready = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let slow: ReturnType<typeof setTimeout> | undefined;
  let watching: ReturnType<typeof setInterval> | undefined;
  let sentence: DropwatchError | undefined;
  let printed = 0;
  let noise = 0;
  let looked = 0;
  /** What it had in memory when it was looked at last, and the most when it answered. */
  let memory = 0;
  let memoryAtAnswer = 0;
  let retired = false;
  let asked = 0;
  let gone = false;
  const child: ChildProcess = spawn("/proc/self/exe", hostArguments(folder, program), {
    stdio: ["pipe", "pipe", "pipe"],
    cwd: "/",
    // Nothing of the environment: it may hold secrets.
    env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent", NO_COLOR: "1", DENO_DIR: "/nonexistent" },
    ...(root ? { uid: nobody, gid: nobody } : {}),
    detached: true,
  });

  /** Ends the child and what it started: it leads a process group of its own. */
  const kill = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch (thrown) {
      if ((thrown as { code?: string }).code !== "ESRCH") throw thrown;
    }
  };

  const condemn = (error: (place: { file: string }, doing: string) => DropwatchError): void => {
    const file = queue[0]?.request.file;
    if (sentence === undefined && file !== undefined) {
      sentence = error({ file: shown(file) }, verb(queue[0]!.request));
    }
    kill();
  };

  const rest = (): void => {
    clearTimeout(timer);
    clearTimeout(slow);
    clearInterval(watching);
    watching = undefined;
  };

  const onEnd = (how: string): void => {
    if (gone) return;
    gone = true;
    rest();
    const suspect = ready ? queue.shift() : undefined;
    options.onEnd({
      failedStart: !ready,
      how,
      suspect,
      error: suspect &&
        (sentence ??
          ruleCrashed({ file: shown(suspect.request.file) }, verb(suspect.request), how)),
      rest: queue.splice(0),
    });
  };

  const onLine = (line: string): void => {
    const reply = line === "" ? undefined : readReply(line);
    if (reply === undefined) return;
    if (reply.say === "ready") {
      // Once only: a rule that says it again would gain time.
      if (ready) return;
      ready = true;
      memoryAtAnswer = memoryOf(child.pid);
      clearTimeout(timer);
      next();
      return;
    }
    const first = queue[0];
    if (first === undefined || reply.token !== first.token) return;
    if (isTooLarge()) return;
    memoryAtAnswer = Math.max(memoryAtAnswer, memory);
    rest();
    noise = 0;
    queue.shift();
    first.took?.(performance.now() - asked);
    first.resolve(reply);
    if (retired && queue.length === 0) kill();
    next();
  };

  /** Whether it is ended for its memory; asked of the system now and then. */
  const isTooLarge = (): boolean => {
    const now = performance.now();
    if (now - looked < memoryPause) return false;
    looked = now;
    memory = memoryOf(child.pid);
    if (memory <= maxMemory) return false;
    condemn((place, doing) => ruleTooLarge(place, maxMemory / 2 ** 20, doing));
    return true;
  };

  const hear = (chunk: Uint8Array): void => {
    noise += chunk.length;
    if (noise > maxNoise) condemn((place, doing) => ruleFloods(place, doing));
  };

  const next = (): void => {
    const first = queue[0];
    if (first === undefined || !ready || gone) return;
    const request: Request = { token: first.token, ...first.request };
    child.stdin!.write(`${JSON.stringify(request)}\n`);
    asked = performance.now();
    const doing = first.request.do;
    const allowed = doing === "load" || doing === "text" ? patience[doing] : patience.code;
    timer = setTimeout(() => {
      // Where memory is slow to come, time is over before there is too much of it.
      const taken = memoryOf(child.pid);
      condemn((place, doing) =>
        taken - memoryAtAnswer > muchMemory
          ? ruleTooLarge(place, Math.floor(taken / 2 ** 20), doing)
          : ruleHung(place, allowed / 1000, doing)
      );
    }, allowed);
    slow = setTimeout(options.onSlow, slowAnswer);
    watching = setInterval(() => {
      looked = 0;
      isTooLarge();
    }, memoryLook);
  };

  child.stdout!.on("data", hear);
  child.stderr!.on("data", hear);
  child.stdin!.on("error", () => {}); // It is gone: its exit says so.
  void splitLines(child.stdout!, onLine, 2 * longestReply);
  void splitLines(child.stderr!, (line) => {
    if (printed > maxPrinted) return;
    printed += line.length + 1;
    log(printed > maxPrinted ? "rules print too much: the rest is left out" : printable(line));
  }, maxPrinted + 1);
  timer = setTimeout(kill, startPatience);
  const ended = new Promise<void>((resolve) => {
    child.on("error", (thrown) => {
      onEnd(thrown.message);
      resolve();
    });
    // Not "close": what a rule started may hold the pipes for as long as it likes.
    child.on("exit", (code, signal) => {
      kill(); // What it started goes with it.
      onEnd(signal ?? `exit code ${code}`);
      resolve();
    });
  });

  return {
    get pid() {
      return gone ? undefined : child.pid;
    },
    ask(waiting) {
      queue.push(waiting);
      if (queue.length === 1) next();
    },
    kill,
    retire() {
      retired = true;
      if (queue.length === 0) kill();
    },
    ended,
  };
}

/** Bytes that a process has in memory; 0 where it is gone. */
function memoryOf(pid: number | undefined): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * pageSize;
  } catch {
    return 0; // Its exit says so.
  }
}

function verb(request: Question): string {
  switch (request.do) {
    case "load":
      return "load";
    case "text":
      return `make the ${request.text} of`;
    case "filter":
      return "run the filter of";
    case "run":
      return "run the code of";
    case "forget":
      return "let go of";
  }
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

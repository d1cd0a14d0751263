// A process of this runtime in one of doctor's network namespaces, with a name of its own. That sender
// and receiver are two processes is what shows whether the owner is named, or whoever was on the CPU.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { noTool, peerFailed } from "../../core/error.ts";
import type { DropwatchError } from "../../core/error.ts";
import { splitLines } from "../../core/lines.ts";
import { inNetns } from "./namespaces.ts";
import type { Side } from "./namespaces.ts";
import { readAnswer } from "./peer_message.ts";
import type { Answer, Done, Question } from "./peer_message.ts";
import { packageOf } from "./tool.ts";

export interface Peer {
  readonly name: string;
  readonly pid: number;
  /** @throws DropwatchError PEER_FAILED. */
  ask(question: Question): Promise<Done>;
  /** Ends it, and what it has open. What it was asked fails. */
  close(): Promise<void>;
}

/** Milliseconds for an answer. */
const patience = 10_000;
const program = fileURLToPath(new URL("./peer_child.ts", import.meta.url));

/** Starts a peer of this name (at most 15 bytes) in a namespace. */
export async function startPeer(name: string, side: Side): Promise<Peer> {
  const runtime = "Deno" in globalThis
    ? ["run", "--no-lock", "--allow-all", program] // Deno lets nobody into /proc with less.
    : ["--no-install", program];
  const [file, ...args] = [
    ...inNetns(side.netns),
    // Whatever has become of its file.
    `/proc/${process.pid}/exe`,
    ...runtime,
    name,
    String(side.inode),
  ];
  const child = spawn(file!, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1" },
    // A Ctrl-C in the terminal goes to the whole group: we decide when it ends.
    detached: true,
  });
  let complaints = "";
  let failure: DropwatchError | undefined;
  let doing = "start";
  let waiting: PromiseWithResolvers<Answer> | undefined;
  const fail = (how: string): void => {
    failure ??= peerFailed(name, doing, how);
    waiting?.reject(failure);
    waiting = undefined;
  };
  child.stdin.on("error", () => {}); // It is gone: its end says so.
  child.stderr.setEncoding("utf8").on("data", (text: string) => complaints += text);
  void splitLines(child.stdout, (line) => {
    const answer = readAnswer(line);
    if (answer === undefined) return fail(`it says ${line.slice(0, 200)}`);
    waiting?.resolve(answer);
    waiting = undefined;
  });
  const ended = new Promise<void>((resolve) => {
    child.on("error", (thrown: Error & { code?: string }) => {
      if (thrown.code === "ENOENT") failure ??= noTool("nsenter", packageOf("nsenter"));
      fail(thrown.message);
      resolve();
    });
    child.on("close", (code, signal) => {
      fail(complaints.trim() || `it ended with ${signal ?? `exit code ${code}`}`);
      resolve();
    });
  });
  const next = async (): Promise<Answer> => {
    if (failure !== undefined) throw failure;
    waiting = Promise.withResolvers();
    const timer = setTimeout(() => fail(`no answer within ${patience / 1000} s`), patience);
    try {
      const answer = await waiting.promise;
      if (answer.say === "failed") throw peerFailed(name, doing, answer.message);
      return answer;
    } finally {
      clearTimeout(timer);
    }
  };
  const close = async (): Promise<void> => {
    child.stdin.end();
    // Busy with a long question it would see the end of its stdin too late.
    if (child.pid !== undefined && child.exitCode === null) child.kill("SIGKILL");
    await ended;
  };
  try {
    const ready = await next();
    return {
      name,
      pid: ready.say === "ready" ? ready.pid : child.pid!,
      async ask(question) {
        doing = question.do;
        const answer = next();
        child.stdin.write(`${JSON.stringify(question)}\n`);
        const done = await answer;
        if (done.say !== "done") throw peerFailed(name, doing, "an answer to another question");
        return done;
      },
      close,
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

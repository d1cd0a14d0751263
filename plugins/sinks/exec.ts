// A program of the user's for each notification: no shell, what a stranger chose is only in its standard
// input and in variables, and its exit code says what became of it.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import process from "node:process";
import * as v from "valibot";
import type { Notification } from "../../core/alert/notification.ts";
import { shortenBytes } from "../../core/alert/shorten.ts";
import { DeliveryError } from "../../core/alert/sink.ts";
import type { GroupSink } from "../../core/alert/sink.ts";
import { plainText } from "../../core/alert/text.ts";
import { badSinkOption, printable, quote, reasonOf } from "../../core/error.ts";
import { milliseconds } from "../../core/rule/duration.ts";
import type { Duration } from "../../core/rule/duration.ts";
import { sinkKind } from "./kind.ts";
import type { SinkContext, SinkMaker } from "./kind.ts";
import { nativeBody } from "./webhook.ts";

export interface ExecOptions {
  /** The program and its arguments. They are the same for each notification. */
  readonly command: readonly string[];
  /** Which of our environment's variables it gets besides PATH, HOME and LANG. */
  readonly env?: readonly string[];
  /** How long it may run: `20s` without it. */
  readonly timeout?: Duration;
}

/** Runs a program. */
export const exec: SinkMaker<ExecOptions> = sinkKind<ExecOptions>({
  name: "exec",
  sort: "groups",
  doc: "runs a program, with the alert as JSON on its standard input",
  value: "PROGRAM",
  options: {
    command: v.pipe(
      v.array(v.pipe(v.string("a text"), v.regex(/^[^\0]*$/, "a text without NUL")), "a list"),
      v.check(([program = ""]) => program !== "", "a program, and its arguments"),
    ),
    env: v.optional(
      v.array(
        v.pipe(v.string("a name"), v.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "names of variables")),
        "a list of names",
      ),
    ),
    timeout: v.optional(v.string(`a duration like "20s"`)),
  },
  fromWord(program) {
    if (program === "") throw badSinkOption("exec", "it needs a program: exec=PROGRAM");
    return { command: [program] };
  },
  make: execSink,
});

const alwaysInherited = ["PATH", "HOME", "LANG"];

/** An environment holds no more than 128 KiB in a variable. `wait` is milliseconds. */
const most = { input: 1024 * 1024, variable: 8192, text: 65_536, output: 2000, wait: 200 };

/** sysexits.h: try again later. */
const temporaryFailure = 75;

/** Milliseconds from SIGTERM to SIGKILL. */
const lastWords = 1000;

/**
 * A sink that runs a program.
 *
 * @throws DropwatchError BAD_SINK_OPTION for a variable that isn't there, BAD_DURATION.
 */
export function execSink(
  { command, env: names = [], timeout = "20s" }: ExecOptions,
  context: SinkContext,
): GroupSink {
  const inherited: Record<string, string> = {};
  for (const name of [...alwaysInherited, ...names]) {
    const value = context.env[name];
    if (value !== undefined) inherited[name] = value;
    else if (names.includes(name)) {
      throw badSinkOption("exec", `its env names ${quote(name)}: there is no such variable`);
    }
  }
  // They may be what the program needs to log in somewhere, and it may print them.
  for (const name of names) {
    if (!alwaysInherited.includes(name)) context.keepSecret(inherited[name]!);
  }
  return {
    name: context.name,
    timeout: milliseconds(timeout),
    async notify(notification, { id, signal }) {
      if (signal.aborted) throw new DeliveryError("too late: nothing was run");
      const variables = variablesOf(notification, id, context);
      const input = `${nativeBody(notification, most.input)}\n`;
      context.trace?.(
        "sent",
        [
          command.map(quote).join(" "),
          ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
          "",
          input,
        ].join("\n"),
      );
      const { code, killedBy, output } = await run(
        command,
        { ...inherited, ...variables },
        input,
        signal,
      );
      const how = killedBy === null ? `exited with ${code}` : `was killed by ${killedBy}`;
      const said = context.hide(printable(output.trim()));
      context.trace?.("got", `${how}${said === "" ? "" : `: ${said}`}`);
      if (code === 0) return { answer: "exited with 0" };
      throw new DeliveryError(`${how}${said === "" ? "" : `: ${said.slice(0, 200)}`}`, {
        final: killedBy === null && code !== temporaryFailure,
      });
    },
  };
}

/** What a script needs most without reading JSON. Printable: no NUL, and no line but in the text. */
function variablesOf(
  notification: Notification,
  id: string,
  { text }: Pick<SinkContext, "text">,
): Record<string, string> {
  const { status, reason, groupKey, alerts: [worst], firing, resolved } = notification;
  const shown = text(notification);
  const of = {
    ID: id,
    STATUS: status,
    REASON: reason,
    ALERT: worst?.alert ?? "",
    SEVERITY: shown.severity,
    SUMMARY: worst?.annotations.summary ?? worst?.alert ?? "",
    TITLE: shown.title,
    FINGERPRINT: worst?.fingerprint ?? "",
    GROUP_KEY: groupKey,
    FIRING: String(firing),
    RESOLVED: String(resolved),
  };
  return {
    ...Object.fromEntries(
      Object.entries(of).map(([name, value]) => [
        `DROPWATCH_${name}`,
        shortenBytes(printable(value.slice(0, most.variable + 1)).toWellFormed(), most.variable),
      ]),
    ),
    DROPWATCH_TEXT: shortenBytes(
      plainText(shown).slice(0, most.text + 1).toWellFormed(),
      most.text,
    ),
  };
}

interface End {
  readonly code: number | null;
  readonly killedBy: string | null;
  /** The beginning of what it wrote. */
  readonly output: string;
}

/** Runs a program to its end, or ends it with all its children. */
function run(
  [program = "", ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
  input: string,
  signal: AbortSignal,
): Promise<End> {
  return new Promise((resolve, reject) => {
    const refused = (thrown: unknown): void =>
      reject(new DeliveryError(`can't run ${quote(program)}: ${reasonOf(thrown)}`));
    let child: ChildProcess;
    try {
      // A group of its own, so that its children can be ended with it.
      child = spawn(program, args, { env, detached: true, stdio: ["pipe", "pipe", "pipe"] });
    } catch (thrown) {
      return refused(thrown);
    }
    let output = "";
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      // Who holds these open is a child that was left behind: it isn't waited for.
      child.stdin?.destroy();
      child.stdout?.destroy();
      child.stderr?.destroy();
    };
    const tooLate = (): void => {
      kill(child, "SIGKILL");
      end();
      reject(new DeliveryError(`${quote(program)} took too long and was ended`));
    };
    const stop = (): void => {
      kill(child, "SIGTERM");
      timer = setTimeout(tooLate, lastWords);
    };
    child.once("error", (error) => {
      end();
      refused(error);
    });
    for (const stream of [child.stdout, child.stderr]) {
      // It is read to its end, so that the program isn't held up, and forgotten.
      stream?.setEncoding("utf8").on("error", () => {}).on("data", (text: string) => {
        if (output.length < most.output) output += text.slice(0, most.output - output.length);
      });
    }
    child.once("exit", (code, killedBy) => {
      if (signal.aborted) return tooLate();
      signal.removeEventListener("abort", stop);
      const ended = (): void => {
        end();
        resolve({ code, killedBy, output });
      };
      // What it wrote last may still be on its way; its children may hold the way open for good.
      timer = setTimeout(ended, most.wait);
      child.once("close", ended);
    });
    signal.addEventListener("abort", stop, { once: true });
    // One that doesn't read it has closed it.
    child.stdin?.on("error", () => {}).end(input);
  });
}

function kill({ pid }: ChildProcess, signal: "SIGTERM" | "SIGKILL"): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It is gone.
  }
}

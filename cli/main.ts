#!/usr/bin/env bun
// The command line: finds the command, runs it, and turns errors into messages and exit codes.
import process from "node:process";
import {
  DropwatchError,
  exitCode,
  showError,
  unexpectedArgument,
  unknownCommand,
} from "../core/error.ts";
import { nearest } from "../core/nearest.ts";
import type { Command, Terminal } from "./command.ts";
import { commands } from "./commands.ts";
import { watchCommand } from "./commands/watch.ts";
import { optionHelp, readOptions } from "./option.ts";
import { openScreen } from "./top/screen.ts";
import type { Screen, ScreenListeners } from "./top/screen.ts";
import { barStyleOf } from "./top/spark.ts";
import { version } from "./version.ts";

function overview(): string {
  const rows = commands.map(({ name, usage, doc }) => [`${name} ${usage}`.trim(), doc] as const);
  const width = Math.max(...rows.map(([left]) => left.length));
  return [
    "dropwatch: who is losing packets on this machine, why, and where in the kernel",
    "",
    "usage: dropwatch [COMMAND] [OPTIONS]",
    "",
    ...rows.map(([left, doc]) => `  ${left.padEnd(width)}  ${doc}`),
    "",
    "Without a command it watches. `dropwatch COMMAND --help` tells more of one.",
    "",
    "examples:",
    "  dropwatch --rules rules/                       watch, alerts on stdout",
    "  dropwatch --rules rules/ --sink webhook=URL    alerts to a URL",
    "  dropwatch tail                                 drops, one by one",
    "  dropwatch stacks --reason SOCKET_FILTER        where in the kernel",
  ].join("\n");
}

function helpOf(command: Command): string {
  return [
    `dropwatch ${command.name}: ${command.doc}`,
    "",
    `usage: dropwatch ${command.name} ${command.usage}`.trimEnd(),
    "",
    ...optionHelp(command.options, command.optionDocs),
    "",
    "examples:",
    ...command.examples.map((example) => `  ${example}`),
  ].join("\n");
}

function commandOf(name: string): Command {
  const command = commands.find((each) => each.name === name);
  if (command === undefined) {
    throw unknownCommand(name, nearest(name, commands.map((each) => each.name)));
  }
  return command;
}

async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const [first, about] = args;
  if (first === "help") {
    terminal.out(about === undefined ? overview() : helpOf(commandOf(about)));
    return exitCode.done;
  }
  const named = first !== undefined && !first.startsWith("-");
  const command = named ? commandOf(first) : watchCommand;
  const given = readOptions(named ? args.slice(1) : args, command.options);
  if (given.flag("version")) terminal.out(`dropwatch ${version}`);
  else if (given.flag("help")) {
    terminal.out(named ? helpOf(command) : `${overview()}\n\n${helpOf(command)}`);
  } else {
    const surplus = given.words[command.words ?? 0];
    if (surplus !== undefined) throw unexpectedArgument(command.name, surplus);
    return await command.run(given, terminal);
  }
  return exitCode.done;
}

/** An error as people read it: where, what, and what to do. */
function show(thrown: unknown): string {
  if (thrown instanceof DropwatchError) return showError(thrown);
  return thrown instanceof Error ? thrown.stack ?? thrown.message : String(thrown);
}

function openTerminal(): Terminal {
  const ending = new AbortController();
  let signals = 0;
  let onHangup: (() => void) | undefined;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (name === "SIGHUP" && onHangup !== undefined) return onHangup();
      // Who insists is obeyed; the first time the last counts and alerts still arrive.
      if (++signals === 3) process.exit(130);
      ending.abort();
    });
  }
  // A reader that went away (`| head`) is no error: there is nobody left to tell.
  process.stdout.on("error", () => ending.abort());
  const isTerminal = process.stdout.isTTY === true;
  // The line that is written over is taken away before another one comes.
  let status = "";
  const wipe = (): void => {
    if (status !== "") process.stderr.write("\r\x1b[K");
    status = "";
  };
  const colour = isTerminal && (process.env.NO_COLOR ?? "") === "";
  const terminal: Terminal = {
    out(text) {
      wipe();
      process.stdout.write(`${text}\n`);
    },
    log(text) {
      wipe();
      process.stderr.write(`dropwatch: ${text}\n`);
    },
    status: process.stderr.isTTY !== true ? undefined : (text) => {
      wipe();
      if (text === "") return;
      status = `dropwatch: ${text}`;
      process.stderr.write(status);
    },
    colour,
    isTerminal,
    // Standard input is looked at only when somebody asks: no other command reads it.
    get openScreen() {
      const { stdin: input, stdout: output } = process;
      if (!isTerminal || input.isTTY !== true) return undefined;
      return (listeners: ScreenListeners): Screen =>
        openScreen({
          input,
          output,
          able: { colour, utf8: barStyleOf(process.env) === "utf8" },
          onCrash(thrown) {
            terminal.log(show(thrown));
            process.exit(70);
          },
        }, listeners);
    },
    signal: ending.signal,
    onHangup: (listener) => void (onHangup = listener),
  };
  return terminal;
}

const terminal = openTerminal();
let code: number;
try {
  code = await run(process.argv.slice(2), terminal);
} catch (thrown) {
  terminal.log(show(thrown));
  code = thrown instanceof DropwatchError ? thrown.exit : 70;
}
// What was written must be out before the process is gone: with Bun only `end` waits for a pipe.
await new Promise<void>((resolve) => {
  process.stdout.on("error", () => resolve());
  process.stdout.end(() => resolve());
});
process.exit(code);

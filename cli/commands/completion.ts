// Completion for shells.
import { exitCode, missingArgument, unknownVerb } from "../../core/error.ts";
import { nearest } from "../../core/nearest.ts";
import type { Command } from "../command.ts";
import { completionScript, shells } from "../completion.ts";

export const completionCommand: Command = {
  name: "completion",
  usage: "bash | zsh | fish",
  doc: "a script with which a shell completes commands, options and their values",
  words: 1,
  options: [],
  examples: [
    "source <(dropwatch completion bash)",
    "dropwatch completion fish > ~/.config/fish/completions/dropwatch.fish",
  ],
  async run(given, terminal) {
    const [word] = given.words;
    if (word === undefined) throw missingArgument("completion", `one of ${shells.join(", ")}`);
    const shell = shells.find((each) => each === word);
    if (shell === undefined) throw unknownVerb("completion", word, shells, nearest(word, shells));
    const { commands } = await import("../commands.ts");
    terminal.out(completionScript(shell, commands).trimEnd());
    return exitCode.done;
  },
};

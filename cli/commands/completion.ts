// Completion for shells.
import { exitCode, missingArgument, unknownVerb } from "../../core/error.ts";
import { nearest } from "../../core/nearest.ts";
import type { Command } from "../command.ts";
import { completionScript, shells } from "../completion.ts";

/** `commands` are all there are, this one too. */
export const completionOf = (commands: () => readonly Command[]): Command => ({
  name: "completion",
  usage: "bash | zsh | fish",
  doc: "a script with which a shell completes commands, options and their values",
  words: 1,
  options: [],
  examples: [
    "dropwatch completion bash > /etc/bash_completion.d/dropwatch",
    "dropwatch completion fish > ~/.config/fish/completions/dropwatch.fish",
  ],
  run(given, terminal) {
    const [word] = given.words;
    if (word === undefined) throw missingArgument("completion", `one of ${shells.join(", ")}`);
    const shell = shells.find((each) => each === word);
    if (shell === undefined) throw unknownVerb("completion", word, shells, nearest(word, shells));
    terminal.out(completionScript(shell, commands()).trimEnd());
    return Promise.resolve(exitCode.done);
  },
});

// What a command of the command line is.
import type { Given, OptionName } from "./option.ts";
import type { Screen, ScreenListeners } from "./top/screen.ts";

/** Where a command reads from and writes to. */
export interface Terminal {
  /** Standard output: results only. */
  out(text: string): void;
  /** Standard error: everything that people should know. */
  log(text: string): void;
  /**
   * How far a command is, on standard error: one line that is written over, and taken away by an empty
   * one. Undefined where standard error is no terminal.
   */
  readonly status?: ((text: string) => void) | undefined;
  /** Whether standard output is a terminal that may be coloured. */
  readonly colour: boolean;
  readonly isTerminal: boolean;
  /**
   * Takes the whole terminal, for a command that draws on it and reads keys. Undefined where standard
   * input or output is no terminal.
   */
  readonly openScreen?: ((listeners: ScreenListeners) => Screen) | undefined;
  /** Aborted on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** From now on SIGHUP calls this, and doesn't end the program. */
  onHangup(listener: () => void): void;
}

export interface Command {
  readonly name: string;
  /** What stands behind the name in the help: `NAME`. */
  readonly usage: string;
  readonly doc: string;
  /** How many words it takes beside its options; none where this is left out. */
  readonly words?: number;
  readonly options: readonly OptionName[];
  /** What an option means here, where that is another thing than elsewhere. */
  readonly optionDocs?: Partial<Record<OptionName, string>>;
  /** Lines that can be pasted. */
  readonly examples: readonly string[];
  /** Returns the exit code. */
  run(given: Given, terminal: Terminal): Promise<number>;
}

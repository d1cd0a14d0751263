// The sinks that can be written as a word: `--sink stdout`, `--sink webhook=URL`. A new sink is a
// file that exports its kind, and a line here.
import { unknownSink } from "../../core/error.ts";
import type { Sink } from "../../core/alert/sink.ts";
import { stdout } from "./stdout.ts";
import { webhook } from "./webhook.ts";

/** What a sink is made with besides its value. */
export interface SinkContext {
  /** Whether results are to be JSON, an object a line (`--json`). */
  readonly json: boolean;
  readonly colour: boolean;
  /** Writes a line to standard output. */
  out(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A kind of sink. */
export interface SinkKind {
  readonly name: string;
  /** What stands behind `name=`; absent where it takes nothing. */
  readonly value?: string;
  /** Makes one; throws BAD_SINK_OPTION for a value that can't be used. */
  make(value: string, context: SinkContext): Sink;
}

const kinds: readonly SinkKind[] = [stdout, webhook];

/** How each is written: `stdout`, `webhook=URL`. */
export const sinkUsages: readonly string[] = kinds.map(({ name, value }) =>
  value === undefined ? name : `${name}=${value}`
);

/**
 * Makes the sink that a word stands for.
 *
 * @throws DropwatchError UNKNOWN_SINK, BAD_SINK_OPTION.
 */
export function makeSink(spec: string, context: SinkContext): Sink {
  const [name = ""] = spec.split("=", 1);
  const kind = kinds.find((each) => each.name === name);
  if (kind === undefined) throw unknownSink(name, sinkUsages);
  return kind.make(spec.slice(name.length + 1), context);
}

// Commands with verbs: `silence add`, `outbox list`.
import { missingArgument, unknownVerb } from "../core/error.ts";
import { nearest } from "../core/nearest.ts";

/**
 * What the first word of a command says to do.
 *
 * @throws DropwatchError MISSING_ARGUMENT, UNKNOWN_VERB.
 */
export function verbOf<V extends string>(
  command: string,
  word: string | undefined,
  verbs: readonly V[],
): V {
  if (word === undefined) throw missingArgument(command, `one of ${verbs.join(", ")}`);
  const verb = verbs.find((each) => each === word);
  if (verb === undefined) throw unknownVerb(command, word, verbs, nearest(word, verbs));
  return verb;
}

/**
 * The one word behind the verb.
 *
 * @throws DropwatchError MISSING_ARGUMENT.
 */
export function wordOf(command: string, words: readonly string[], what: string): string {
  const [, word] = words;
  if (word === undefined) throw missingArgument(command, what);
  return word;
}

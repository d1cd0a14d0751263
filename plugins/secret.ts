// The secrets of a sink or an exporter: how the command line writes them, and that they are hidden once
// they were read.
import { badSinkOption } from "../core/error.ts";
import { readSecret } from "../core/secret.ts";
import type { Secret } from "../core/secret.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** The secrets of one sink, or of one exporter. */
export interface Secrets {
  /**
   * Reads a secret, without the white space at its end. It is hidden from then on.
   *
   * @throws DropwatchError BAD_SINK_OPTION where there is none.
   */
  secret(option: string, secret: Secret): string;
  /** Hides a text that secrets were made into. */
  keepSecret(text: string): void;
  /** A text without these secrets. */
  hide(text: string): string;
}

/** A secret as the command line writes it: `env:NAME`, `file:PATH`, or itself. */
export function secretWord(word: string): Secret {
  if (word.startsWith("env:")) return { env: word.slice(4) };
  if (/^file:(?!\/\/)/.test(word)) return { file: word.slice(5) };
  return word;
}

/** How short a secret may be for being hidden: a shorter one is in every second word. */
const leastHidden = 4;

/** The secrets of one; `inTheClear` is told of each option that has one in the config itself. */
export function makeSecrets(
  kind: string,
  env: Environment,
  inTheClear: (option: string) => void,
): Secrets {
  const secrets = new Set<string>();
  const keepSecret = (secret: string): void => {
    if (secret.length < leastHidden) return;
    for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]) {
      secrets.add(form);
    }
  };
  return {
    keepSecret,
    hide: (line) =>
      [...secrets].sort((a, b) => b.length - a.length)
        .reduce((rest, secret) => rest.replaceAll(secret, "•••"), line),
    secret(option, secret) {
      const read = readSecret(secret, env, (why) => badSinkOption(kind, `its ${option} ${why}`));
      if (typeof secret === "string") inTheClear(option);
      keepSecret(read);
      return read;
    },
  };
}

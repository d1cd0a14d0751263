// What nobody else may know: where a config says it is, how it is read, and that it is hidden from then on.
import { readFileSync } from "node:fs";
import * as v from "valibot";
import { badSinkOption, quote, reasonOf } from "../core/error.ts";

/**
 * Something that nobody else may know: where it is found, in the environment or in a file. A text in
 * the clear works, and is warned about.
 */
export type Secret = string | { readonly env: string } | { readonly file: string };

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

/** The schema of a secret. */
export const SecretSchema: v.GenericSchema<unknown, Secret> = v.union([
  v.string(),
  v.strictObject({ env: v.pipe(v.string(), v.minLength(1)) }),
  v.strictObject({ file: v.pipe(v.string(), v.minLength(1)) }),
], `{ env: "NAME" }, { file: "PATH" } or a text`);

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
      const read = readSecret(kind, option, secret, env);
      if (typeof secret === "string") inTheClear(option);
      keepSecret(read);
      return read;
    },
  };
}

function readSecret(kind: string, option: string, secret: Secret, env: Environment): string {
  if (typeof secret === "string") return secret.trimEnd();
  if ("env" in secret) {
    const value = env[secret.env]?.trimEnd() ?? "";
    if (value !== "") return value;
    throw badSinkOption(kind, `its ${option} is to be in ${quote(secret.env)}: no such variable`);
  }
  let text: string;
  try {
    text = readFileSync(secret.file, "utf8").trimEnd();
  } catch (thrown) {
    throw badSinkOption(kind, `its ${option} can't be read: ${reasonOf(thrown)}`);
  }
  if (text !== "") return text;
  throw badSinkOption(kind, `its ${option} is to be in ${quote(secret.file)}: the file is empty`);
}

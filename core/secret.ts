// Something that nobody else may know, and where it is found: the environment, or a file.
import { readFileSync } from "node:fs";
import * as v from "valibot";
import { quote, reasonOf } from "./error.ts";
import type { DropwatchError } from "./error.ts";

/**
 * Something that nobody else may know: where it is found, in the environment or in a file. A text in
 * the clear works, and is warned about.
 */
export type Secret = string | { readonly env: string } | { readonly file: string };

/** The schema of a secret. */
export const SecretSchema: v.GenericSchema<unknown, Secret> = v.union([
  v.string(),
  v.strictObject({ env: v.pipe(v.string(), v.minLength(1)) }),
  v.strictObject({ file: v.pipe(v.string(), v.minLength(1)) }),
], `{ env: "NAME" }, { file: "PATH" } or a text`);

/** Reads a secret; `fail` makes the error of why it can't be: `can't be read: …`. */
export function readSecret(
  secret: Secret,
  env: Readonly<Record<string, string | undefined>>,
  fail: (why: string) => DropwatchError,
): string {
  if (typeof secret === "string") return secret.trimEnd();
  if ("env" in secret) {
    const value = env[secret.env]?.trimEnd() ?? "";
    if (value !== "") return value;
    throw fail(`is to be in ${quote(secret.env)}: no such variable`);
  }
  let text: string;
  try {
    text = readFileSync(secret.file, "utf8").trimEnd();
  } catch (thrown) {
    throw fail(`can't be read: ${reasonOf(thrown)}`);
  }
  if (text !== "") return text;
  throw fail(`is to be in ${quote(secret.file)}: the file is empty`);
}

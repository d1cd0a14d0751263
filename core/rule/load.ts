// Rule files from a folder to checked rules. A file with a mistake costs the others nothing.
import { readFileSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { duplicateAlert, noRules, notARule, ruleThrew, unreadableFile } from "../error.ts";
import type { DropwatchError } from "../error.ts";
import type { SourceFacts } from "../watch/source.ts";
import { bundleFiles, shown } from "./bundle.ts";
import type { Bundle, Bundled } from "./bundle.ts";
import { checkRule } from "./check.ts";
import type { CheckedRule } from "./checked.ts";
import { startRuleHost } from "./host.ts";
import type { RuleHost } from "./host.ts";
import type { UncheckedRule } from "./host_message.ts";

/** All rules that could be read, and what was wrong with the rest. */
export interface RuleSet {
  readonly rules: readonly CheckedRule[];
  readonly errors: readonly DropwatchError[];
  readonly host: RuleHost;
}

/**
 * The rule files in folders: every `*.ts` and `*.js` below them, but for tests (`*.test.ts`), type
 * declarations, and what begins with `_` or `.`. A file named itself is taken as it is.
 *
 * @throws DropwatchError UNREADABLE_FILE, NO_RULES.
 */
export async function findRuleFiles(places: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const place of places) {
    try {
      if ((await stat(place)).isDirectory()) files.push(...await ruleFilesBelow(resolve(place)));
      else files.push(resolve(place));
    } catch (thrown) {
      throw unreadableFile(place, thrown);
    }
  }
  if (files.length === 0) throw noRules(places.map((place) => join(place)).join(", "));
  return [...new Set(files)];
}

/** Links to files are followed; those to folders aren't: they may lead round in a circle. */
async function ruleFilesBelow(folder: string): Promise<string[]> {
  const files: string[] = [];
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    const path = join(folder, entry.name);
    if (/^[._]/.test(entry.name) || entry.name === "node_modules") continue;
    if (entry.isDirectory()) files.push(...await ruleFilesBelow(path));
    else if (isRuleFile(entry.name) && (entry.isFile() || await leadsToFile(path))) {
      files.push(path);
    }
  }
  return files;
}

/** A link that leads nowhere is taken for a file, so that its own error is told. */
async function leadsToFile(link: string): Promise<boolean> {
  try {
    return (await stat(link)).isFile();
  } catch {
    return true;
  }
}

function isRuleFile(name: string): boolean {
  return /\.[tj]s$/.test(name) && !/\.(test|d)\.[tj]s$/.test(name);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // It is there no more: the mistake is told without the column of its value.
  }
}

/** What the rules are read with. */
export interface LoadOptions {
  readonly files: readonly string[];
  /** Asked for while the rules are being run: reading the kernel's types keeps this process busy. */
  readonly facts: () => Promise<SourceFacts>;
  /** Milliseconds between ticks: windows are multiples of it. */
  readonly interval: number;
  readonly log: (message: string) => void;
}

/** Reads, runs and checks the rules of files. The host that ran them is the caller's to close. */
export async function loadRules(options: LoadOptions): Promise<RuleSet> {
  const [host, bundled] = await Promise.all([
    startRuleHost(options.log),
    bundleFiles(options.files),
  ]);
  try {
    const errors: DropwatchError[] = [];
    const rules: CheckedRule[] = [];
    const loading = options.files.map((file) => loadFile(file, bundled, host));
    // A file that fails is told in its turn; what the source lacks is told first.
    const [facts, ...raw] = await Promise.all([options.facts(), ...loading]);
    const loaded = raw.map((read) => checkFile(read, { ...options, facts }));
    const taken = new Map<string, CheckedRule>();
    for (const file of loaded) {
      errors.push(...file.errors);
      for (const rule of file.rules) {
        const first = taken.get(rule.alert);
        if (first !== undefined) {
          errors.push(duplicateAlert(rule.place, rule.alert, first.place));
        } else {
          taken.set(rule.alert, rule);
          rules.push(rule);
        }
      }
    }
    return { rules, errors, host };
  } catch (thrown) {
    await host.close();
    throw thrown;
  }
}

/** A file as it was run. */
type RanFile =
  | { readonly errors: readonly DropwatchError[] }
  | { readonly file: string; readonly bundle: Bundle; readonly rules: readonly UncheckedRule[] };

async function loadFile(file: string, bundled: Bundled, host: RuleHost): Promise<RanFile> {
  const broken = bundled.errors.get(file);
  const bundle = bundled.bundles.get(file);
  if (broken !== undefined) return { errors: [broken] };
  if (bundle === undefined) return { errors: [unreadableFile(shown(file), "no bundle")] };
  const loaded = await host.load(file, bundle);
  if ("error" in loaded) return { errors: [loaded.error] };
  if ("rules" in loaded) return { file, bundle, rules: loaded.rules };
  const { failure } = loaded;
  return {
    errors: [
      failure.found === undefined
        ? ruleThrew(bundle.place(failure.at), failure.message)
        : notARule({ file: shown(file) }, failure.found),
    ],
  };
}

function checkFile(
  ran: RanFile,
  options: { readonly facts: SourceFacts; readonly interval: number },
): { rules: CheckedRule[]; errors: readonly DropwatchError[] } {
  if ("errors" in ran) return { rules: [], errors: ran.errors };
  const { file, bundle } = ran;
  const texts = new Map<string, string>();
  const source = (name: string): string => {
    let text = texts.get(name);
    if (text === undefined) texts.set(name, text = textOf(name));
    return text;
  };
  const checked = ran.rules.map((raw, index) =>
    checkRule(raw, { file, index, bundle, source, ...options })
  );
  return {
    rules: checked.flatMap(({ rule }) => rule === undefined ? [] : [rule]),
    errors: checked.flatMap(({ errors }) => errors),
  };
}

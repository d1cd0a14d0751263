// Rule files from a folder to checked rules. A file with a mistake costs the others nothing.
import { readFileSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import {
  badOverride,
  duplicateAlert,
  noRules,
  noRuleTests,
  notARule,
  ruleThrew,
  showError,
  unreadableFile,
} from "../error.ts";
import type { DropwatchError } from "../error.ts";
import type { SourceFacts } from "../watch/source.ts";
import { bundleFiles, shown } from "./bundle.ts";
import type { Bundle, Bundled } from "./bundle.ts";
import { checkRule } from "./check.ts";
import type { CheckedRule } from "./checked.ts";
import { startRuleHost } from "./host.ts";
import type { RuleHost } from "./host.ts";
import type { UncheckedRule } from "./host_message.ts";
import { hasThreshold, overridden } from "./override.ts";
import type { Overrides } from "./override.ts";
import { ownRuleNames } from "./own_rules.ts";
import { nearest } from "../nearest.ts";

/** All rules that could be read, and what was wrong with the rest. */
export interface RuleSet {
  readonly rules: readonly CheckedRule[];
  readonly errors: readonly DropwatchError[];
  /** What needs saying of rules that could be read. */
  readonly warnings: readonly DropwatchError[];
  readonly host: RuleHost;
  /** All files that rules were made of, at the last time that they were read. */
  inputs(): readonly string[];
  /** From now on `blame` is told of a bundle whose code ends its process when nobody asked it anything. */
  onBlame(blame: (bundle: string, error: DropwatchError) => void): void;
  /**
   * Reads files again. A file that is as it was costs nothing, one that can't be loaded as it is now
   * keeps the rules it had. Until `done`, functions of the rules before can be run too.
   */
  reload(files: readonly string[]): Promise<Reloaded>;
}

/** What became of rules that were read again. */
export interface Reloaded {
  readonly rules: readonly CheckedRule[];
  /** What is wrong with files as they are now. */
  readonly errors: readonly DropwatchError[];
  /** The rules before aren't needed any more. */
  done(): Promise<void>;
}

/**
 * The rule files in folders: every `*.ts` and `*.js` below them, but for tests (`*.test.ts`), type
 * declarations, and what begins with `_` or `.`. A file named itself is taken as it is.
 *
 * @throws DropwatchError UNREADABLE_FILE, NO_RULES.
 */
export async function findRuleFiles(places: readonly string[]): Promise<string[]> {
  return await findFiles(places, isRuleFile, noRules);
}

/**
 * The tests of rules in folders: every `*.test.ts` and `*.test.js` below them. A file named itself is
 * taken as it is.
 *
 * @throws DropwatchError UNREADABLE_FILE, NO_RULE_TESTS.
 */
export async function findRuleTests(places: readonly string[]): Promise<string[]> {
  return await findFiles(places, isTest, noRuleTests);
}

/** Files named themselves, and those in folders that fit; `none` makes the error where there are none. */
async function findFiles(
  places: readonly string[],
  fits: (name: string) => boolean,
  none: (where: string) => DropwatchError,
): Promise<string[]> {
  const files: string[] = [];
  for (const place of places) {
    try {
      if ((await stat(place)).isDirectory()) files.push(...await filesBelow(resolve(place), fits));
      else files.push(resolve(place));
    } catch (thrown) {
      throw unreadableFile(place, thrown);
    }
  }
  if (files.length === 0) throw none(places.map((place) => join(place)).join(", "));
  return [...new Set(files)];
}

/** Links to files are followed; those to folders aren't: they may lead round in a circle. */
async function filesBelow(folder: string, fits: (name: string) => boolean): Promise<string[]> {
  const files: string[] = [];
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    const path = join(folder, entry.name);
    if (/^[._]/.test(entry.name) || entry.name === "node_modules") continue;
    if (entry.isDirectory()) files.push(...await filesBelow(path, fits));
    else if (fits(entry.name) && (entry.isFile() || await leadsToFile(path))) {
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

function isTest(name: string): boolean {
  return /\.test\.[tj]s$/.test(name);
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
  /** What the config says of rules, by the alert's name. */
  readonly overrides?: Overrides | undefined;
}

/** A file as it was loaded last. */
interface LoadedFile {
  readonly bundle: string;
  readonly inputs: readonly string[];
  readonly rules: readonly CheckedRule[];
  /** The names of its rules, of those with mistakes too; undefined where it couldn't be run. */
  readonly names: readonly string[] | undefined;
  readonly errors: readonly DropwatchError[];
  readonly warnings: readonly DropwatchError[];
  /** The bundle that could not be loaded since, and why. */
  readonly broken?: { readonly bundle: string; readonly errors: readonly DropwatchError[] };
}

/** Reads, runs and checks the rules of files. The host that ran them is the caller's to close. */
export async function loadRules(options: LoadOptions): Promise<RuleSet> {
  let blame = (_: string, error: DropwatchError): void => options.log(showError(error));
  const [host, bundled] = await Promise.all([
    startRuleHost(options.log, (bundle, error) => blame(bundle, error)),
    bundleFiles(options.files),
  ]);
  try {
    const loading = options.files.map((file) => loadFile(file, bundled, host, false));
    // A file that fails is told in its turn; what the source lacks is told first.
    const [facts, ...raw] = await Promise.all([options.facts(), ...loading]);
    const context = { ...options, facts };
    const files = new Map<string, LoadedFile>();
    options.files.forEach((file, i) => {
      files.set(file, {
        bundle: bundled.bundles.get(file)?.id ?? "",
        inputs: bundled.bundles.get(file)?.inputs ?? [file],
        ...checkFile(raw[i]!, context),
      });
    });
    const { rules, errors } = collect(files, [], options.overrides);
    let running: readonly CheckedRule[] = rules;
    return {
      rules,
      errors,
      warnings: [...files.values()].flatMap(({ warnings }) => warnings),
      host,
      inputs: () => [...new Set([...files.values()].flatMap(({ inputs }) => inputs))],
      onBlame: (listener) => void (blame = listener),
      async reload(names) {
        const again = await reloadFiles(names, files, running, host, context);
        running = again.rules;
        return again;
      },
    };
  } catch (thrown) {
    await host.close();
    throw thrown;
  }
}

/** Overrides of rules that there aren't. */
function strangers(
  overrides: Overrides | undefined,
  files: readonly LoadedFile[],
): DropwatchError[] {
  const own = files.flatMap(({ names = [] }) => names);
  const names = [...own, ...ownRuleNames];
  // A file that couldn't be run may have any.
  const areAll = files.every(({ names }) => names !== undefined);
  return Object.entries(overrides ?? {}).flatMap(([name, { threshold, recovery }]) => {
    if (!names.includes(name)) {
      if (!areAll) return [];
      return [badOverride(name, "there is no such rule", nearest(name, names))];
    }
    if (own.includes(name) || (threshold ?? recovery) === undefined) return [];
    return [badOverride(name, "a rule of dropwatch's own has no threshold", [])];
  });
}

/** The rules of all files; of two with one name the one of before is taken, or else the first one. */
function collect(
  files: ReadonlyMap<string, LoadedFile>,
  before: readonly CheckedRule[],
  overrides: Overrides | undefined,
): { rules: CheckedRule[]; errors: DropwatchError[] } {
  const rules: CheckedRule[] = [];
  const errors: DropwatchError[] = [];
  const taken = new Map<string, CheckedRule>();
  const heirs = new Map<string, CheckedRule>();
  for (const { alert, file } of before) {
    const heir = files.get(file)?.rules.find((rule) => rule.alert === alert);
    if (heir !== undefined) heirs.set(alert, heir);
  }
  for (const file of files.values()) {
    errors.push(...file.broken?.errors ?? file.errors);
    for (const rule of file.rules) {
      const heir = heirs.get(rule.alert);
      if (heir !== undefined && heir !== rule) {
        errors.push(duplicateAlert(rule.place, rule.alert, heir.place));
        continue;
      }
      const first = taken.get(rule.alert);
      if (first !== undefined) {
        errors.push(duplicateAlert(rule.place, rule.alert, first.place));
      } else {
        taken.set(rule.alert, rule);
        rules.push(rule);
      }
    }
  }
  return { rules, errors: [...errors, ...strangers(overrides, [...files.values()])] };
}

/** Whether a file can take the place of its last good version; what the config says wrong is not its. */
function isGood({ errors }: { readonly errors: readonly DropwatchError[] }): boolean {
  return errors.every(({ code }) => code === "BAD_OVERRIDE");
}

async function reloadFiles(
  names: readonly string[],
  files: Map<string, LoadedFile>,
  before: readonly CheckedRule[],
  host: RuleHost,
  context: CheckOptions,
): Promise<Reloaded> {
  const bundled = await bundleFiles(names);
  const loaded = await Promise.all(
    names.map((file) => reloadFile(file, files.get(file), bundled, host, context)),
  );
  const old = new Map(files);
  files.clear();
  names.forEach((file, i) => files.set(file, loaded[i]!));
  const { rules, errors } = collect(files, before, context.overrides);
  return {
    rules,
    errors,
    async done() {
      for (const [file, { bundle }] of old) {
        if (bundle !== "" && files.get(file)?.bundle !== bundle) await host.forget(bundle);
      }
    },
  };
}

/** A file as it is now, or its last good version and what is wrong with it now. */
async function reloadFile(
  file: string,
  known: LoadedFile | undefined,
  bundled: Bundled,
  host: RuleHost,
  context: CheckOptions,
): Promise<LoadedFile> {
  const { id: bundle = "", inputs = known?.inputs ?? [file] } = bundled.bundles.get(file) ?? {};
  if (known !== undefined && !bundled.errors.has(file) && bundle === known.bundle) {
    // It is as it was, or as it was before it was broken.
    const { rules, names, errors, warnings } = known;
    return { bundle, inputs, rules, names, errors, warnings };
  }
  if (known?.broken !== undefined && bundle !== "" && known.broken.bundle === bundle) return known;
  const checked = checkFile(await loadFile(file, bundled, host, true), context);
  if (isGood(checked) || known === undefined || known.rules.length === 0) {
    return { bundle, inputs, ...checked };
  }
  if (bundle !== "") await host.forget(bundle);
  return { ...known, inputs, broken: { bundle, errors: checked.errors } };
}

/** A file as it was run. */
type RanFile =
  | { readonly errors: readonly DropwatchError[] }
  | { readonly file: string; readonly bundle: Bundle; readonly rules: readonly UncheckedRule[] };

async function loadFile(
  file: string,
  bundled: Bundled,
  host: RuleHost,
  apart: boolean,
): Promise<RanFile> {
  const broken = bundled.errors.get(file);
  const bundle = bundled.bundles.get(file);
  if (broken !== undefined) return { errors: [broken] };
  if (bundle === undefined) return { errors: [unreadableFile(shown(file), "no bundle")] };
  const loaded = await host.load(file, bundle, apart);
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

/** What rules are checked with. */
interface CheckOptions extends Pick<LoadOptions, "interval" | "overrides"> {
  readonly facts: SourceFacts;
}

function checkFile(
  ran: RanFile,
  { facts, interval, overrides }: CheckOptions,
): Pick<LoadedFile, "rules" | "names" | "errors" | "warnings"> {
  if ("errors" in ran) return { rules: [], names: undefined, errors: ran.errors, warnings: [] };
  const { file, bundle } = ran;
  const texts = new Map<string, string>();
  const source = (name: string): string => {
    let text = texts.get(name);
    if (text === undefined) texts.set(name, text = textOf(name));
    return text;
  };
  const wrong = ran.rules.flatMap((raw) => {
    const override = overrides?.[String(raw.alert)];
    const numbers = override?.threshold ?? override?.recovery;
    return numbers === undefined || hasThreshold(raw) ? [] : [
      badOverride(
        String(raw.alert),
        "its condition isn't one value above or below a threshold",
        [],
      ),
    ];
  });
  const checked = ran.rules.map((raw, index) =>
    checkRule(overridden(raw, overrides), { file, index, bundle, source, facts, interval })
  );
  return {
    rules: checked.flatMap(({ rule }) => rule === undefined ? [] : [rule]),
    names: ran.rules.map(({ alert }) => String(alert)),
    errors: [...wrong, ...checked.flatMap(({ errors }) => errors)],
    warnings: checked.flatMap(({ rule, warnings }) => rule === undefined ? [] : warnings),
  };
}

// Sees to it that rules are read again when their files change: a rule, a file that rules import, a new
// one, one that is gone.
import { watch } from "node:fs";
import type { FSWatcher } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { reasonOf } from "../core/error.ts";
import type { Reload } from "../core/reload.ts";
import { findRuleFiles } from "../core/rule/load.ts";
import type { RuleSet } from "../core/rule/load.ts";

/** Editors write a file in several steps: milliseconds of quiet before it is read. */
const quiet = 100;
/** How long changes that don't end are waited for. */
const longestQuiet = 500;
/** What `--state` writes isn't a rule's, wherever it lies. */
const notOurs = /\.sqlite(-\w+)?$/;

export interface RuleChanges {
  /** Reads the rules again, changed or not. */
  look(): void;
  stop(): void;
}

/**
 * Calls `reload` with what finds the rule files, at each change in `places` (folders and files) and of
 * what rules import from elsewhere.
 */
export function watchRules(
  places: readonly string[],
  rules: Pick<RuleSet, "inputs">,
  reload: Reload,
  log: (message: string) => void,
): RuleChanges {
  const watchers = new Map<string, { readonly recursive: boolean; readonly watcher: FSWatcher }>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  let latest = Infinity;
  const soon = (): void => {
    clearTimeout(timer);
    if (stopped) return;
    const now = performance.now();
    latest = Math.min(latest, now + longestQuiet);
    timer = setTimeout(look, Math.max(0, Math.min(quiet, latest - now)));
  };
  const look = (): void => {
    clearTimeout(timer);
    latest = Infinity;
    if (!stopped) void reload(() => findRuleFiles(places)).then(followImports);
  };
  const follow = (folder: string, recursive: boolean): void => {
    const isSeen = [...watchers].some(([known, { recursive }]) =>
      known === folder || (recursive && folder.startsWith(`${known}/`))
    );
    if (stopped || isSeen) return;
    try {
      const watcher = watch(folder, { recursive }, (_, name) => {
        // A folder that isn't of rules may hold anything.
        if (name !== null && notOurs.test(name)) return;
        if (recursive || name === null || isOurs(join(folder, name))) soon();
      });
      watcher.on("error", (error) => cannotSee(folder, error));
      watchers.set(folder, { recursive, watcher });
    } catch (thrown) {
      cannotSee(folder, thrown);
    }
  };
  const isOurs = (file: string): boolean =>
    rules.inputs().includes(file) || places.some((place) => resolve(place) === file);
  const cannotSee = (folder: string, thrown: unknown): void => {
    watchers.get(folder)?.watcher.close();
    watchers.delete(folder);
    log(`cannot see changes in ${folder}: ${reasonOf(thrown)}; SIGHUP reads the rules again`);
  };
  const followImports = (): void => {
    for (const input of rules.inputs()) follow(dirname(input), false);
  };
  void (async () => {
    for (const place of places.map((each) => resolve(each))) {
      const isFolder = (await stat(place)).isDirectory();
      follow(isFolder ? place : dirname(place), isFolder);
    }
    followImports();
  })().catch((thrown) => log(`cannot see changes of the rules: ${reasonOf(thrown)}`));
  return {
    look,
    stop() {
      stopped = true;
      clearTimeout(timer);
      for (const { watcher } of watchers.values()) watcher.close();
    },
  };
}

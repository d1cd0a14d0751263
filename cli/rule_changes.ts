// Sees to it that rules are read again when their files change: a rule, a file that rules import, a new
// one, one that is gone.
import { watch } from "node:fs";
import type { FSWatcher } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { reasonOf, showError } from "../core/error.ts";
import type { DropwatchError } from "../core/error.ts";
import { findRuleFiles } from "../core/rule/load.ts";
import type { RuleSet } from "../core/rule/load.ts";

/** Editors write a file in several steps: milliseconds of quiet before it is read. */
const quiet = 100;

export interface RuleChanges {
  /** Reads the rules again, changed or not. */
  look(): void;
  stop(): void;
}

/**
 * Calls `reload` with the rule files that there are now, at each change in `places` (folders and files)
 * and of what rules import from elsewhere.
 */
export function watchRules(
  places: readonly string[],
  rules: Pick<RuleSet, "inputs">,
  reload: (files: readonly string[]) => Promise<void>,
  log: (message: string) => void,
): RuleChanges {
  const watchers = new Map<string, { readonly recursive: boolean; readonly watcher: FSWatcher }>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  const soon = (): void => {
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(look, quiet);
  };
  const look = (): void => {
    clearTimeout(timer);
    void (async () => {
      try {
        await reload(await findRuleFiles(places));
      } catch (thrown) {
        log(`cannot read the rules again: ${showError(thrown as DropwatchError)}`);
      }
      followImports();
    })();
  };
  const follow = (folder: string, recursive: boolean): void => {
    const isSeen = [...watchers].some(([known, { recursive }]) =>
      known === folder || (recursive && folder.startsWith(`${known}/`))
    );
    if (stopped || isSeen) return;
    try {
      const watcher = watch(folder, { recursive }, (_, name) => {
        // A folder that isn't of rules may hold anything.
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

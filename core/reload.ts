// Rules that are read again while they are watched. The plan changes only where what is counted does;
// what can't be loaded or counted as it is now leaves what was.
import { setTimeout as sleep } from "node:timers/promises";
import { DropwatchError, noReplan, showError } from "./error.ts";
import { plural } from "./number.ts";
import type { Plan, PlanStyle } from "./plan/plan.ts";
import type { CheckedRule } from "./rule/checked.ts";
import type { RuleSet } from "./rule/load.ts";
import type { Happened } from "./watch/health.ts";
import type { Source } from "./watch/source.ts";
import type { Tick } from "./watch/tick.ts";
import { countKey } from "./watch/watch.ts";

/** Reads the rules again; settles when that is done, or was refused. */
export type Reload = (find: () => Promise<readonly string[]>) => Promise<void>;

export interface ReloadOptions {
  readonly source: Source;
  readonly rules: RuleSet;
  readonly style: PlanStyle;
  readonly signal: AbortSignal;
  readonly log: (message: string) => void;
  /** What is watched now: the rules of files, and their plan. */
  readonly current: () => { readonly rules: readonly CheckedRule[]; readonly plan: Plan };
  readonly planOf: (rules: readonly CheckedRule[], style: PlanStyle) => Plan;
  /** Watches others from the next tick on. */
  readonly swap: (rules: readonly CheckedRule[], plan: Plan) => void;
  /** Settles when the rules before aren't needed any more. */
  readonly settled: () => Promise<void>;
}

export interface Reloader {
  readonly reload: Reload;
  /** Before a tick is watched: rules that have waited for their plan are watched from it on. */
  onTick(tick: Tick): void;
  /** The source counts, and can be given another plan. */
  begin(): void;
  /** The source has ended; settles when no reload is under way. */
  end(): Promise<void>;
  /** What can't be loaded as it is now. */
  failed(): Happened[];
  /** The same, from the start on, as it was said. */
  readonly errors: readonly DropwatchError[];
}

/**
 * What is said where the kernel refuses the program of a plan, and one that tests on keys is made in its
 * place; undefined for what another program wouldn't mend.
 */
export function keysInstead(thrown: unknown): string | undefined {
  const code = thrown instanceof DropwatchError ? thrown.code : "";
  if (code === "PROGRAM_REFUSED") {
    return "the kernel refuses the program as too complex: conditions are tested on keys instead";
  }
  if (code === "PROGRAM_HAS_NO_LAYOUT") {
    return "the kernel's JIT compiler finds no layout for the program in that order either: " +
      "conditions are tested on keys instead";
  }
  return undefined;
}

/** Milliseconds for which the rules before a reload are kept for what still needs them. */
const patience = 2000;

export function makeReloader(options: ReloadOptions): Reloader {
  const { source, log, signal, style } = options;
  /** Files that can't be loaded as they are now. */
  let broken: Happened[] = [];
  /** Why the last reload was refused as a whole. */
  let refusal: DropwatchError[] = [];
  let errors: readonly DropwatchError[] = options.rules.errors;
  /** Rules that wait for the first tick of their plan. */
  let next:
    | { readonly rules: readonly CheckedRule[]; readonly plan: Plan; readonly adopt: () => void }
    | undefined;
  let reloading: Promise<void> = Promise.resolve();
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const told = new Set(options.rules.errors.map(showError));
  const sayErrors = (found: readonly DropwatchError[]): void => {
    errors = found;
    broken = found.map(failedReload);
    for (const text of found.map(showError)) if (!told.has(text)) log(text);
    told.clear();
    for (const error of found) told.add(showError(error));
  };

  const reload: Reload = async (find) => {
    // A source that hasn't begun can't be given another plan.
    await begun.promise;
    if (signal.aborted) return;
    const again = await options.rules.reload(await find());
    refusal = [];
    sayErrors(again.errors);
    const before = options.current();
    const same = before.rules.length === again.rules.length &&
      before.rules.every((rule, i) => rule === again.rules[i]);
    if (!same) {
      const plan = options.planOf(again.rules, style);
      if (samePlan(plan, before.plan)) options.swap(again.rules, before.plan);
      else if (!await replan(again.rules, plan)) return;
      log(`reloaded: ${plural(again.rules.length, "rule")}`);
      await settled();
    }
    await again.done();
  };

  /** Waits, not for ever, for what is still to be made by the rules before. */
  const settled = async (): Promise<void> => {
    const timer = new AbortController();
    const enough = sleep(patience, undefined, { signal: timer.signal }).catch(() => {});
    await Promise.race([options.settled(), enough]);
    timer.abort();
  };

  /** False where the source ended in the meantime. */
  const replan = async (rules: readonly CheckedRule[], plan: Plan): Promise<boolean> => {
    if (source.replan === undefined) throw noReplan(source.name);
    const adopted = Promise.withResolvers<true>();
    const over = ended.promise.then(() => false as const);
    const change = async (plan: Plan): Promise<true> => {
      next = { rules, plan, adopt: () => adopted.resolve(true) };
      await source.replan!(plan);
      return true;
    };
    try {
      const changed = change(plan).catch((thrown) => {
        const said = keysInstead(thrown);
        if (said === undefined || style === "keys") throw thrown;
        log(said);
        return change(options.planOf(rules, "keys"));
      });
      // Not before its first tick: until then the rules before are watched, and ticks are of their plan.
      return await Promise.race([changed.then(() => adopted.promise), over]);
    } catch (thrown) {
      next = undefined;
      throw thrown;
    }
  };

  return {
    // One after the other: each begins with what the one before has left.
    reload: (find) =>
      reloading = reloading.then(() => reload(find)).catch((thrown: unknown) => {
        if (signal.aborted) return;
        const error = thrown as DropwatchError;
        log(`the rules are as they were: ${showError(error)}`);
        refusal = [error];
      }),
    onTick(tick) {
      if (next === undefined || tick.plan !== next.plan) return;
      options.swap(next.rules, next.plan);
      next.adopt();
      next = undefined;
    },
    begin: () => begun.resolve(),
    end() {
      begun.resolve();
      ended.resolve();
      return reloading;
    },
    failed: () => [...broken, ...refusal.map(failedReload)],
    get errors() {
      return [...errors, ...refusal];
    },
  };
}

function failedReload(error: DropwatchError): Happened {
  const { code = "ERROR", place } = error as Partial<DropwatchError>;
  return { event: "reloadFailed", file: place?.file ?? "", why: code, n: 1 };
}

/** Whether two plans count the same, in whatever order. */
function samePlan(a: Plan, b: Plan): boolean {
  const text = ({ counts, evidence }: Plan): string =>
    JSON.stringify([
      counts.map(countKey).sort(),
      evidence?.fields,
      evidence?.labels,
      evidence?.counts.map((i) => countKey(counts[i]!)).sort(),
    ]);
  return text(a) === text(b);
}

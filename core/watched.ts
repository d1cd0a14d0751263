// The rules that are watched: one watch for those without code, a lane for each file that has some. When
// they change, others take their place and go on with what they remember.
import { transitionOf } from "./announce.ts";
import type { Announcer } from "./announce.ts";
import type { Drop } from "./drop/field.ts";
import { makeLane } from "./lane.ts";
import type { Lane, LaneOptions } from "./lane.ts";
import type { Count, Plan } from "./plan/plan.ts";
import { needsCode } from "./rule/checked.ts";
import type { CheckedRule } from "./rule/checked.ts";
import { emptyMemory, finderOf, identityOf, makeWatch } from "./watch/watch.ts";
import type { Watch, WatchMemory } from "./watch/watch.ts";

export interface Watched {
  readonly rules: readonly CheckedRule[];
  readonly plan: Plan;
  /** Of the rules without code. */
  readonly watch: Watch;
  /** Of each file that has rules with code. */
  readonly lanes: ReadonlyMap<string, Lane>;
  /** Of files that have no code any more, or are gone: what waits there is still judged. */
  readonly leaving: Set<Lane>;
}

export interface WatchedOptions {
  /** Milliseconds between ticks. */
  readonly interval: number;
  readonly maxSeries: number;
  readonly lane: LaneOptions;
  readonly announcer: Pick<Announcer, "announce" | "settleModes">;
}

/** Watches rules in the place of `before`; `kept` is what an earlier run remembered. */
export function makeWatched(
  rules: readonly CheckedRule[],
  plan: Plan,
  options: WatchedOptions,
  before?: Watched,
  kept?: WatchMemory,
): Watched {
  const { interval, maxSeries, announcer } = options;
  const find = finderOf(plan.counts);
  const indexOf = (count: Count): number => find(count)!;
  const memories = before === undefined ? kept === undefined ? [] : [kept] : memoriesOf(before);
  const watchOf = (some: readonly CheckedRule[], own: readonly WatchMemory[]): Watch =>
    makeWatch({ rules: some, plan, indexOf, interval, maxSeries, before: [...own, ...memories] });
  /** Alerts that no rule makes any more have ended. */
  const endOrphans = (old: Watch): void => {
    const still = new Set(rules.map(identityOf));
    const at = old.memory.at ?? Date.now();
    const ended = old.active().filter(({ rule }) => !still.has(identityOf(rule)))
      .map(({ rule, labels, state }) =>
        transitionOf(rule, state.state === "firing" ? "resolved" : "inactive", labels, state, at)
      );
    if (ended.length > 0) announcer.announce(ended, at);
  };
  const laneOf = (file: string, some: readonly CheckedRule[]): Lane => {
    const known = before?.lanes.get(file);
    if (known !== undefined) {
      known.replace((old) => {
        const fresh = watchOf(some, [old.memory]);
        endOrphans(old);
        announcer.settleModes(fresh, fresh.memory.at ?? Date.now());
        return fresh;
      });
      return known;
    }
    const own = before === undefined ? [] : [{ ...emptyMemory(), at: before.watch.memory.at }];
    return makeLane(watchOf(some, own), options.lane);
  };
  const lanes = new Map(
    [...Map.groupBy(rules.filter(needsCode), ({ file }) => file)]
      .map(([file, some]) => [file, laneOf(file, some)]),
  );
  const watch = watchOf(rules.filter((rule) => !needsCode(rule)), []);
  const leaving = before?.leaving ?? new Set<Lane>();
  if (before !== undefined) {
    endOrphans(before.watch);
    announcer.settleModes(watch, watch.memory.at ?? Date.now());
    for (const [file, lane] of before.lanes) {
      if (lanes.has(file)) continue;
      lane.replace((old) => (endOrphans(old), old));
      leaving.add(lane);
      void lane.idle().then(() => leaving.delete(lane));
    }
  }
  return { rules, plan, watch, lanes, leaving };
}

export function watchesOf({ watch, lanes }: Watched): Watch[] {
  return [watch, ...[...lanes.values()].map((lane) => lane.watch)];
}

export function memoriesOf(watched: Watched): WatchMemory[] {
  return watchesOf(watched).map(({ memory }) => memory);
}

/** Settles when code has judged all ticks so far. */
export async function lanesIdle({ lanes, leaving }: Watched): Promise<void> {
  await Promise.all([...lanes.values(), ...leaving].map((lane) => lane.idle()));
}

/** Whether the filters of a rule keep a drop. */
export function keeps(watched: Watched, rule: CheckedRule, drop: Drop): boolean {
  return watchesOf(watched).some((watch) => watch.keeps(rule, drop));
}

// The one file that joins the stages: rules → plan → source → watches → texts → sinks.
import { setTimeout as sleep } from "node:timers/promises";
import { makeQueue } from "./alert/queue.ts";
import type { AlertMessage } from "./alert/alert.ts";
import type { Queue } from "./alert/queue.ts";
import type { Sink } from "./alert/sink.ts";
import { fingerprint } from "./alert/alert.ts";
import { DropwatchError, noReplan, printable, reasonOf, showError } from "./error.ts";
import { forgetUnsaved, makeKeeper, readMemory } from "./keep.ts";
import type { Keeper } from "./keep.ts";
import { makeLane } from "./lane.ts";
import type { Lane } from "./lane.ts";
import { labelsOf, makeNotifier } from "./notify.ts";
import { plural } from "./number.ts";
import type { Drop } from "./drop/field.ts";
import { makePlan } from "./plan/plan.ts";
import type { Count, Plan, PlanStyle } from "./plan/plan.ts";
import { needsCode } from "./rule/checked.ts";
import type { CheckedRule } from "./rule/checked.ts";
import type { RuleSet } from "./rule/load.ts";
import { makeOffences } from "./rule/offence.ts";
import type { Override } from "./rule/override.ts";
import { ownBundle, ownRules } from "./rule/own_rules.ts";
import type { Mode } from "./rule/rule.ts";
import type { StateStore } from "./store.ts";
import { evidenceFor, evidenceLog } from "./watch/evidence.ts";
import type { Happened } from "./watch/health.ts";
import type { Source, SourceFacts } from "./watch/source.ts";
import type { Tick } from "./watch/tick.ts";
import { countKey, countsOf, emptyMemory, identityOf, makeWatch } from "./watch/watch.ts";
import type { ActiveAlert, Transition, Watch, WatchMemory } from "./watch/watch.ts";

/** What a run did, for the line at its end. */
export interface RunSummary {
  readonly seconds: number;
  readonly ticks: number;
  readonly seen: number;
  readonly counted: number;
  readonly other: number;
  readonly lost: number;
  /** How often the source had to be started again. */
  readonly restarts: number;
  readonly rules: readonly { readonly alert: string; readonly total: number }[];
}

export interface PipelineOptions {
  readonly source: Source;
  readonly rules: RuleSet;
  readonly sinks: readonly Sink[];
  /** Milliseconds between ticks. */
  readonly interval: number;
  readonly maxKeys: number;
  readonly maxSeries?: number;
  readonly signal: AbortSignal;
  readonly log: (message: string) => void;
  /** Where alerts survive a restart; without it they begin anew. */
  readonly store?: StateStore | undefined;
  /** What the config says of rules. */
  readonly overrides?: Readonly<Record<string, Override>> | undefined;
  /** Called with what reads the rules again, given what finds their files. */
  readonly onReload?: (reload: Reload) => void;
  readonly onAttached?: () => void;
  /** After the watch of the rules without code has seen the tick. */
  readonly onTick?: (tick: Tick, watch: Watch) => void;
  /** Every alert that changed its state, those in shadow too. */
  readonly onTransition?: (transition: Transition) => void;
  /** The alerts that are pending or firing at the end. */
  readonly onEnd?: (active: readonly ActiveAlert[]) => void;
}

/** Reads the rules again; settles when that is done, or was refused. */
export type Reload = (find: () => Promise<readonly string[]>) => Promise<void>;

/** How many texts of a rule are asked for at once: one that hangs isn't asked for many more. */
const textsAtOnce = 8;
/** Milliseconds for which the rules before a reload are kept for what still needs them. */
const reloadPatience = 2000;
/** Milliseconds that sinks have at the end for what still waits. */
const drainPatience = 5000;
const defaultMaxSeries = 100_000;

/** The plan of a set of rules: what the kernel is to count for them. */
export function planRules(
  rules: readonly CheckedRule[],
  facts: SourceFacts,
  style?: PlanStyle,
): Plan {
  const { counts, indexOf } = countsOf(rules);
  return makePlan(counts, undefined, style, evidenceFor(rules, indexOf, facts));
}

/** Watches until the source ends or `signal` is aborted; everything is delivered or said. */
export async function runPipeline(options: PipelineOptions): Promise<RunSummary> {
  const { log } = options;
  const queues = options.sinks.map((sink) => makeQueue(sink, { log }));
  try {
    return await watchWith("decisions", queues, options);
  } catch (thrown) {
    if (!isRefused(thrown)) throw thrown;
    log(tooComplex);
    return await watchWith("keys", queues, options);
  } finally {
    const left = await Promise.all(queues.map((queue) => queue.drain(drainPatience)));
    queues.forEach(({ sink }, i) => {
      if (left[i]! > 0) log(`${sink.name}: ${left[i]} alerts were not delivered before the end`);
    });
  }
}

const tooComplex =
  "the kernel refuses the program as too complex: conditions are tested on keys instead";

function isRefused(thrown: unknown): boolean {
  return thrown instanceof DropwatchError && thrown.code === "PROGRAM_REFUSED";
}

/** The rules that are watched, and the plan that counts for them. */
interface Watched {
  readonly rules: readonly CheckedRule[];
  readonly plan: Plan;
  /** Of the rules without code. */
  readonly watch: Watch;
  /** Of each file that has rules with code. */
  readonly lanes: ReadonlyMap<string, Lane>;
}

async function watchWith(
  style: PlanStyle,
  queues: readonly Queue[],
  options: PipelineOptions,
): Promise<RunSummary> {
  const { log, source, store, interval } = options;
  const { host } = options.rules;
  const maxSeries = options.maxSeries ?? defaultMaxSeries;
  const facts = await source.facts();
  const say = onceEach(log);
  const offences = makeOffences();
  const sums = {
    ticks: 0,
    seen: 0,
    counted: 0,
    other: 0,
    lost: 0,
    restarts: 0,
    seconds: 0,
  };
  /** Files that can't be loaded as they are now. */
  let broken: Happened[] = [];
  /** Why the last reload was refused as a whole. */
  let refusal: Happened[] = [];

  const onFailure = (rule: CheckedRule, error: DropwatchError, at: number): void => {
    log(`${rule.alert}: ${reasonOf(error)}`);
    if (offences.note(rule, error, at)) {
      log(`${rule.alert}: its code isn't run any more, until ${rule.file} changes`);
    }
  };

  /** What was judged becomes messages: those of a rule in order, and nobody waits for another's. */
  const orders = new Map<string, Promise<void>>();
  const inOrder = (alert: string, work: () => Promise<void>): void => {
    const last = (orders.get(alert) ?? Promise.resolve()).then(work)
      .catch((thrown) => log(`${alert}: ${reasonOf(thrown)}`))
      .finally(() => {
        if (orders.get(alert) === last) orders.delete(alert);
      });
    orders.set(alert, last);
  };
  const onTransitions = (transitions: readonly Transition[], at: number): void => {
    for (const each of transitions) options.onTransition?.(each);
    // Where nobody is told, and nothing is kept, no texts are needed.
    if (queues.length === 0 && keeper === undefined) return;
    for (const [alert, own] of Map.groupBy(transitions, ({ rule }) => rule.alert)) {
      inOrder(alert, () => notify(own, at));
    }
    keeper?.keep(at, []);
  };
  const notify = async (transitions: readonly Transition[], at: number): Promise<void> => {
    const due = transitions.filter(({ change }) => change === "firing" || change === "resolved");
    const messages: { readonly message: AlertMessage; readonly mode: Mode }[] = [];
    for (let from = 0; from < due.length; from += textsAtOnce) {
      messages.push(
        ...await Promise.all(
          due.slice(from, from + textsAtOnce).map(async (transition) => ({
            message: await notifier.message(transition),
            mode: transition.rule.mode,
          })),
        ),
      );
    }
    // Kept before they are sent: whoever is killed in between must know that they may have been.
    keeper?.keep(at, transitions);
    for (const { message, mode } of messages) {
      if (mode === "shadow") {
        const { alert, status, annotations } = message.data;
        const summary = printable(annotations["summary"] ?? "");
        log(`${alert} would be ${status}, and is in shadow: ${summary}`);
      } else queues.forEach((queue) => queue.push(message));
    }
  };

  /**
   * Who was told of an alert is told of its end when its rule goes into shadow, and of one that fires
   * when its rule comes out of it.
   */
  const settleModes = (watch: Watch, at: number): void => {
    const firing = watch.active().filter(({ state }) => state.state === "firing")
      .map((active) => ({ ...active, state: { ...active.state } }));
    for (const [rule, own] of Map.groupBy(firing, ({ rule }) => rule)) {
      inOrder(rule.alert, async () => {
        const untold: Transition[] = [];
        const ends: AlertMessage[] = [];
        for (const { labels, state } of own) {
          const sent = notifier.sent(rule, labels);
          if (rule.mode === "alert" && sent === undefined) {
            untold.push(transitionOf(rule, "firing", labels, state, at));
          } else if (rule.mode === "shadow" && sent !== undefined) {
            ends.push(notifier.orphan(sent, at));
          }
        }
        if (untold.length > 0) await notify(untold, at);
        if (ends.length === 0) return;
        keeper?.keep(
          at,
          own.map(({ labels, state }) => transitionOf(rule, "firing", labels, state, at)),
        );
        for (const end of ends) queues.forEach((queue) => queue.push(end));
      });
    }
  };

  /** Of files that have no code any more, or are gone: what waits there is still judged. */
  const leaving = new Set<Lane>();
  const refusals = new WeakMap<Watch, number>();
  const newlyRefused = (watch: Watch): number => {
    const before = refusals.get(watch) ?? 0;
    refusals.set(watch, watch.refused);
    return watch.refused - before;
  };

  const evidence = evidenceLog(options.rules.rules, facts.world, facts.release ?? "");
  const notifier = makeNotifier({
    host,
    isDisabled: offences.isDisabled,
    onFailure,
    evidence: ({ rule, labels, at }) =>
      evidence.of(rule, labels, at, (drop) => keeps(current, rule, drop)),
  });

  const makeWatched = (
    all: readonly CheckedRule[],
    plan: Plan,
    before: Watched | undefined,
    kept?: WatchMemory,
  ): Watched => {
    const indexes = new Map(plan.counts.map((count, i) => [countKey(count), i]));
    const indexOf = (count: Count): number => indexes.get(countKey(count))!;
    const memories = before === undefined ? kept === undefined ? [] : [kept] : memoriesOf(before);
    const watchOf = (rules: readonly CheckedRule[], own: readonly WatchMemory[]): Watch =>
      makeWatch({ rules, plan, indexOf, interval, maxSeries, before: [...own, ...memories] });
    const laneOf = (file: string, rules: readonly CheckedRule[]): Lane => {
      const known = before?.lanes.get(file);
      if (known !== undefined) {
        known.replace((old) => {
          const fresh = watchOf(rules, [old.memory]);
          endOrphans(old, all);
          settleModes(fresh, fresh.memory.at ?? Date.now());
          return fresh;
        });
        return known;
      }
      const own = before === undefined ? [] : [{ ...emptyMemory(), at: before.watch.memory.at }];
      return makeLane(watchOf(rules, own), {
        host,
        isDisabled: offences.isDisabled,
        onFailure,
        onTransitions,
      });
    };
    const lanes = new Map(
      [...Map.groupBy(all.filter(needsCode), ({ file }) => file)]
        .map(([file, rules]) => [file, laneOf(file, rules)]),
    );
    const watch = watchOf(all.filter((rule) => !needsCode(rule)), []);
    if (before !== undefined) {
      endOrphans(before.watch, all);
      settleModes(watch, watch.memory.at ?? Date.now());
      for (const [file, lane] of before.lanes) {
        if (lanes.has(file)) continue;
        lane.replace((old) => (endOrphans(old, all), old));
        leaving.add(lane);
        void lane.idle().then(() => leaving.delete(lane));
      }
    }
    return { rules: all, plan, watch, lanes };
  };

  /** Alerts that no rule makes any more have ended. */
  const endOrphans = (old: Watch, rules: readonly CheckedRule[]): void => {
    const still = new Set(rules.map(identityOf));
    const at = old.memory.at ?? Date.now();
    const ended = old.active().filter(({ rule }) => !still.has(identityOf(rule)))
      .map(({ rule, labels, state }) =>
        transitionOf(rule, state.state === "firing" ? "resolved" : "inactive", labels, state, at)
      );
    if (ended.length > 0) onTransitions(ended, at);
  };

  const withOwn = (rules: readonly CheckedRule[]): CheckedRule[] => {
    const names = new Set(rules.map(({ alert }) => alert));
    return [
      ...rules,
      ...ownRules(interval, options.overrides).filter(({ alert }) => !names.has(alert)),
    ];
  };

  const kept = store && readMemory(store.loadMemory(), log);
  let current = makeWatched(
    withOwn(options.rules.rules),
    planRules(options.rules.rules, facts, style),
    undefined,
    kept,
  );
  let keeper: Keeper | undefined;
  if (store !== undefined) {
    keeper = makeKeeper(store, {
      active: () => watchesOf(current).flatMap((watch) => watch.active()),
      sent: notifier.sent,
      memories: () => memoriesOf(current),
    }, say);
    const orphans = store.load().filter((saved) => {
      const { alert, labels, sent } = saved;
      const rule = current.rules.find((each) => each.alert === alert);
      // With other labels or another severity it is another alert to those who were told.
      const isSame = rule !== undefined &&
        (sent === undefined || fingerprint(labelsOf(rule, labels)) === sent.fingerprint);
      const known = isSame && watchesOf(current).some((watch) => watch.restore(saved));
      if (known && saved.sent !== undefined) notifier.restore(saved.sent);
      return !known;
    });
    keeper.forget(orphans);
    keeper.keep(-Infinity, []);
    // Whoever was told of an alert is told of its end, also when its rule is gone.
    for (const { sent } of orphans) {
      const message = sent && notifier.orphan(sent, Date.now());
      if (message !== undefined) queues.forEach((queue) => queue.push(message));
    }
    for (const watch of watchesOf(current)) settleModes(watch, Date.now());
  } else if (options.rules.rules.some(({ condition }) => condition.is === "first")) {
    log("first() remembers only as long as dropwatch runs: --state DIR keeps what it has seen");
  }

  /** Rules that wait for the first tick of their plan. */
  let next:
    | { readonly rules: readonly CheckedRule[]; readonly plan: Plan; readonly adopt: () => void }
    | undefined;
  const swap = (rules: readonly CheckedRule[], plan: Plan): void => {
    current = makeWatched(withOwn(rules), plan, current);
    evidence.use(rules);
    offences.keep(rules);
  };

  const onTick = (tick: Tick): void | Promise<void> => {
    if (next !== undefined && tick.plan === next.plan) {
      swap(next.rules, next.plan);
      next.adopt();
      next = undefined;
    }
    sums.ticks++;
    sums.seconds += tick.seconds;
    for (const name of ["seen", "counted", "other", "lost"] as const) sums[name] += tick[name];
    if (tick.gap?.over === true) sums.restarts++;
    evidence.add(tick);
    const happened: Happened[] = [...offences.take(), ...broken, ...refusal];
    const refused = watchesOf(current).reduce((all, watch) => all + newlyRefused(watch), 0);
    if (refused > 0) {
      happened.push({ event: "refused", n: refused });
      say(
        "series",
        `rules have more than ${maxSeries} combinations of labels in a window: the rest is not ` +
          `told apart`,
      );
    }
    for (const lane of current.lanes.values()) lane.push(tick, happened);
    onTransitions(current.watch.tick(tick, happened), tick.at);
    if (keeper === undefined) memoriesOf(current).forEach(forgetUnsaved);
    sayLosses(tick, current.plan, options.maxKeys, say);
    options.onTick?.(tick, current.watch);
    const busy = [...current.lanes.values()].filter(({ busy }) => busy);
    if (busy.length > 0) return Promise.all(busy.map((lane) => lane.idle())).then(() => {});
  };

  let reloading: Promise<void> = Promise.resolve();
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const told = new Set(options.rules.errors.map(showError));
  const sayErrors = (errors: readonly DropwatchError[]): void => {
    broken = errors.map(failedReload);
    for (const text of errors.map(showError)) if (!told.has(text)) log(text);
    told.clear();
    for (const error of errors) told.add(showError(error));
  };
  const reload = async (find: () => Promise<readonly string[]>): Promise<void> => {
    // A source that hasn't begun can't be given another plan.
    await begun.promise;
    if (options.signal.aborted) return;
    const again = await options.rules.reload(await find());
    refusal = [];
    sayErrors(again.errors);
    const before = current.rules.filter(({ bundle }) => bundle !== ownBundle);
    const same = before.length === again.rules.length &&
      before.every((rule, i) => rule === again.rules[i]);
    if (!same) {
      const plan = planRules(again.rules, facts, style);
      if (samePlan(plan, current.plan)) swap(again.rules, current.plan);
      else if (!await replan(again.rules, plan)) return;
      log(`reloaded: ${plural(again.rules.length, "rule")}`);
      await settled();
    }
    await again.done();
  };
  /** Waits, not for ever, for what is still to be made by the rules before. */
  const settled = async (): Promise<void> => {
    const timer = new AbortController();
    const enough = sleep(reloadPatience, undefined, { signal: timer.signal }).catch(() => {});
    const lanes = [...current.lanes.values(), ...leaving];
    const idle = Promise.all(lanes.map((lane) => lane.idle()))
      .then(() => Promise.all(orders.values()));
    await Promise.race([idle, enough]);
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
        if (!isRefused(thrown) || style === "keys") throw thrown;
        log(tooComplex);
        return change(planRules(rules, facts, "keys"));
      });
      // Not before its first tick: until then the rules before are watched, and ticks are of their plan.
      return await Promise.race([changed.then(() => adopted.promise), over]);
    } catch (thrown) {
      next = undefined;
      throw thrown;
    }
  };
  options.rules.onBlame((bundle, error) => {
    for (const rule of current.rules) {
      if (rule.bundle === bundle) onFailure(rule, error, Date.now());
    }
  });
  // One after the other: each begins with what the one before has left.
  options.onReload?.((find) =>
    reloading = reloading.then(() => reload(find)).catch((thrown: unknown) => {
      if (options.signal.aborted) return;
      const error = thrown as DropwatchError;
      log(`the rules are as they were: ${showError(error)}`);
      refusal = [failedReload(error)];
    })
  );

  try {
    await source.run({
      plan: current.plan,
      interval,
      maxKeys: options.maxKeys,
      signal: options.signal,
      onTick,
      onAttached() {
        begun.resolve();
        options.onAttached?.();
      },
      log,
    });
  } finally {
    begun.resolve();
    ended.resolve();
  }
  await reloading;
  await Promise.all([...current.lanes.values(), ...leaving].map((lane) => lane.idle()));
  options.onEnd?.(watchesOf(current).flatMap((watch) => watch.active()));
  while (orders.size > 0) await Promise.all(orders.values());
  keeper?.keep(Infinity, []);
  const totals = new Map(
    watchesOf(current).flatMap((watch) =>
      watch.rules.map(({ alert }, i) => [alert, watch.totals()[i]!])
    ),
  );
  return {
    seconds: Number(sums.seconds.toFixed(3)),
    ticks: sums.ticks,
    seen: sums.seen,
    counted: sums.counted,
    other: sums.other,
    lost: sums.lost,
    restarts: sums.restarts,
    rules: current.rules.filter(({ bundle }) => bundle !== ownBundle)
      .map(({ alert }) => ({ alert, total: totals.get(alert)! })),
  };
}

/** What an alert's state is to those who are told, where no tick has changed it. */
function transitionOf(
  rule: CheckedRule,
  change: Transition["change"],
  labels: Transition["labels"],
  { value, peak, total, since }: ActiveAlert["state"],
  at: number,
): Transition {
  return { rule, change, labels, value, peak, total, since, at, exact: true, lost: 0 };
}

function watchesOf({ watch, lanes }: Watched): Watch[] {
  return [watch, ...[...lanes.values()].map((lane) => lane.watch)];
}

function memoriesOf(watched: Watched): WatchMemory[] {
  return watchesOf(watched).map(({ memory }) => memory);
}

/** Whether the filters of a rule keep a drop. */
function keeps(watched: Watched, rule: CheckedRule, drop: Drop): boolean {
  return watchesOf(watched).some((watch) => watch.keeps(rule, drop));
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

/** Says a thing of a kind at most once a minute: a flood must not flood the log. */
function onceEach(log: (message: string) => void): (kind: string, message: string) => void {
  const said = new Map<string, number>();
  return (kind, message) => {
    const now = Date.now();
    if (now - (said.get(kind) ?? -Infinity) < 60_000) return;
    said.set(kind, now);
    log(message);
  };
}

function sayLosses(
  tick: Tick,
  plan: Plan,
  maxKeys: number,
  say: (kind: string, message: string) => void,
): void {
  if (tick.unreadable > 0) {
    say("unreadable", `${tick.unreadable} lines of the source could not be read`);
  }
  if (tick.lost > 0) say("lost", `${tick.lost} drops were not counted: numbers are "at least"`);
  if ((tick.retransmits?.size ?? 0) >= maxKeys) {
    say(
      "retransmits",
      `TCP sent again on more than ${maxKeys} flows in a tick: of some drops that isn't known ` +
        `(--max-keys raises the limit)`,
    );
  }
  tick.maps.forEach(({ other }, id) => {
    if (other === 0) return;
    const by = plan.maps[id]!.by.join(", ");
    say(
      `other ${id}`,
      `more than ${maxKeys} keys by (${by}) in a tick: ${other} drops went to ` +
        `"other" (--max-keys raises the limit)`,
    );
  });
}

// The one file that joins the stages: rules → plan → source → watches → texts → sinks.
import { fingerprint } from "./alert/alert.ts";
import { machineClock } from "./alert/clock.ts";
import { makeDelivery } from "./alert/delivery.ts";
import type { Delivery } from "./alert/delivery.ts";
import { makePulse } from "./alert/heartbeat.ts";
import { makeHistory } from "./alert/history.ts";
import { makeRouting } from "./alert/route.ts";
import type { Routing } from "./alert/route.ts";
import { closeSink } from "./alert/sink.ts";
import type { Sink } from "./alert/sink.ts";
import { makeAnnouncer } from "./announce.ts";
import { reasonOf } from "./error.ts";
import type { DropwatchError } from "./error.ts";
import { makeKeeper, memoryKinds, readMemory } from "./keep.ts";
import type { Keeper } from "./keep.ts";
import { onceEach, sayLosses } from "./losses.ts";
import { makeNotifier } from "./notify.ts";
import { plural } from "./number.ts";
import { makePlan } from "./plan/plan.ts";
import type { Count, Plan, PlanStyle } from "./plan/plan.ts";
import { keysInstead, makeReloader } from "./reload.ts";
import type { Reload } from "./reload.ts";
import type { CheckedRule } from "./rule/checked.ts";
import type { RuleSet } from "./rule/load.ts";
import { makeOffences } from "./rule/offence.ts";
import type { Override } from "./rule/override.ts";
import { ownBundle, ownRules } from "./rule/own_rules.ts";
import { openMemoryStore } from "./store.ts";
import type { StateStore } from "./store.ts";
import { openHistoryStore } from "./view/history_store.ts";
import { makeLiveView } from "./view/live.ts";
import type { LiveView } from "./view/live.ts";
import { historyBy, overviewCount } from "./view/overview.ts";
import type { View } from "./view/view.ts";
import { evidenceFor, evidenceLog, evidentCounts } from "./watch/evidence.ts";
import type { Happened } from "./watch/health.ts";
import type { Source, SourceFacts } from "./watch/source.ts";
import { addTick, noTicks } from "./watch/tick.ts";
import type { Tick, TickSums } from "./watch/tick.ts";
import { countsOf, finderOf } from "./watch/watch.ts";
import type { ActiveAlert, Transition, Watch } from "./watch/watch.ts";
import { keeps, lanesIdle, makeWatched, memoriesOf, watchesOf } from "./watched.ts";
import type { WatchedOptions } from "./watched.ts";

/** What a run did, for the line at its end. */
export interface RunSummary extends Readonly<TickSums> {
  readonly rules: readonly { readonly alert: string; readonly total: number }[];
}

export interface PipelineOptions {
  readonly source: Source;
  readonly rules: RuleSet;
  readonly sinks: readonly Sink[];
  /** Who is told of what; every sink of everything without it. */
  readonly routing?: Routing | undefined;
  /** Where people can look. */
  readonly externalURL?: string | undefined;
  /** Labels that every alert has besides its own. */
  readonly externalLabels?: Readonly<Record<string, string>> | undefined;
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
  /** What people may look at; without it nothing is counted, or kept, for that. */
  readonly view?: ViewOptions | undefined;
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

export interface ViewOptions {
  /** The fields that the history tells drops apart by; the usual ones where it is left out. */
  readonly by?: readonly string[] | undefined;
  /** The machine's name, as it is shown. */
  readonly host: string;
  /** The folder of the state, where the history is to survive a restart. */
  readonly state?: string | undefined;
  /** Called with the view once the rules are planned, before anything is counted. */
  readonly onView: (view: View) => void;
}

/** Milliseconds that sinks have at the end for what still waits. */
const drainPatience = 5000;
const defaultMaxSeries = 100_000;

/**
 * The plan of a set of rules: what the kernel is to count for them, and with `overview` for those who
 * look on.
 */
export function planRules(
  rules: readonly CheckedRule[],
  facts: SourceFacts,
  style?: PlanStyle,
  overview?: Count,
): Plan {
  const { counts } = countsOf(rules);
  if (overview !== undefined && finderOf(counts)(overview) === undefined) counts.push(overview);
  const find = finderOf(counts);
  const evident = [...evidentCounts(rules), ...overview === undefined ? [] : [overview]];
  const evidence = evidenceFor(evident, (count) => find(count)!, facts);
  return makePlan(counts, undefined, style, evidence);
}

/** Watches until the source ends or `signal` is aborted; everything is delivered or said. */
export async function runPipeline(options: PipelineOptions): Promise<RunSummary> {
  const { log } = options;
  const store = options.store ?? openMemoryStore();
  try {
    return await watchWith("decisions", store, options);
  } catch (thrown) {
    const said = keysInstead(thrown);
    if (said === undefined) throw thrown;
    log(said);
    return await watchWith("keys", store, options);
  } finally {
    await Promise.all(
      options.sinks.map((sink) =>
        closeSink(sink).catch((thrown) => log(`${sink.name}: can't be closed: ${reasonOf(thrown)}`))
      ),
    );
    if (options.store === undefined) store.close();
  }
}

async function watchWith(
  style: PlanStyle,
  store: StateStore,
  options: PipelineOptions,
): Promise<RunSummary> {
  const { log, source, interval, sinks } = options;
  const { host } = options.rules;
  const maxSeries = options.maxSeries ?? defaultMaxSeries;
  const facts = await source.facts();
  const say = onceEach(log);
  const offences = makeOffences();
  const onFailure = (rule: CheckedRule, error: DropwatchError, at: number): void => {
    log(`${rule.alert}: ${reasonOf(error)}`);
    if (offences.note(rule, error, at)) {
      log(`${rule.alert}: its code isn't run any more, until ${rule.file} changes`);
    }
  };
  options.rules.onBlame((bundle, error) => {
    for (const rule of current.rules) {
      if (rule.bundle === bundle) onFailure(rule, error, Date.now());
    }
  });

  const { isDisabled } = offences;
  const evidence = evidenceLog(options.rules.rules, facts.world, facts.release ?? "");
  const notifier = makeNotifier({
    externalLabels: options.externalLabels,
    host,
    isDisabled,
    onFailure,
    evidence: ({ rule, labels, at }) =>
      evidence.of(rule, labels, at, (drop) => keeps(current, rule, drop)),
  });
  const history = makeHistory(facts.world);
  /** Whether drops are counted. */
  let counting: string | undefined = "drops aren't counted yet";
  const pulse = makePulse(interval);
  const trouble = (): string | undefined =>
    counting ?? pulse.trouble() ??
      (keeper.trouble && `the state can't be saved: ${keeper.trouble}`);
  const delivery: Delivery = makeDelivery({
    sinks,
    routing: options.routing ?? makeRouting({}, sinks.map(({ name }) => name)),
    clock: machineClock,
    store,
    log,
    externalURL: options.externalURL ?? "",
    current: (fingerprint) => notifier.now(fingerprint, (rule, labels) => stateNow(rule, labels)),
    rates: history.of,
    save: () => keeper.keepTold(),
    alone: store.ephemeral,
    trouble,
  });
  const announcer = makeAnnouncer({
    delivery,
    notifier,
    keeper: () => keeper,
    anybody: sinks.length > 0 || !store.ephemeral || options.view !== undefined,
    log,
    onTransition(transition) {
      options.onTransition?.(transition);
      live?.onTransition(transition);
    },
    onMessage: (message) => live?.onMessage(message),
  });
  const watching: WatchedOptions = {
    interval,
    maxSeries,
    announcer,
    lane: { host, isDisabled, onFailure, onTransitions: announcer.announce },
  };
  const withOwn = (rules: readonly CheckedRule[]): CheckedRule[] => {
    const names = new Set(rules.map(({ alert }) => alert));
    return [
      ...rules,
      ...ownRules(interval, options.overrides).filter(({ alert }) => !names.has(alert)),
    ];
  };
  const kept = readMemory(store.loadMemory(memoryKinds), log);
  const overview = options.view && overviewCount(historyBy(options.view.by, facts));
  const planOf = (rules: readonly CheckedRule[], style: PlanStyle): Plan =>
    planRules(rules, facts, style, overview);
  let live: LiveView | undefined;
  let current = makeWatched(
    withOwn(options.rules.rules),
    planOf(options.rules.rules, style),
    watching,
    undefined,
    kept,
  );

  const stateNow = (
    rule: CheckedRule,
    labels: Transition["labels"],
  ): ActiveAlert["state"] | undefined =>
    watchesOf(current).map((watch) => watch.stateOf(rule, labels)).find((state) => state);
  const keeper: Keeper = makeKeeper(store, {
    active: () => watchesOf(current).flatMap((watch) => watch.active()),
    sent: notifier.sent,
    memories: () => memoriesOf(current),
    told: delivery,
  }, say);
  const earlier = store.load();
  const orphans = earlier.filter((saved) => {
    const { alert, labels, sent } = saved;
    const rule = current.rules.find((each) => each.alert === alert);
    // With other labels or another severity it is another alert to those who were told.
    const isSame = rule !== undefined &&
      (sent === undefined || fingerprint(notifier.labelsOf(rule, labels)) === sent.fingerprint);
    const known = isSame && watchesOf(current).some((watch) => watch.restore(saved));
    if (known && saved.sent !== undefined) notifier.restore(rule, labels, saved.sent);
    return !known;
  });
  delivery.begin(earlier.flatMap(({ sent }) => sent ?? []));
  keeper.forget(orphans);
  // Whoever was told of an alert is told of its end, also when its rule is gone.
  const lost = delivery.firing().filter(({ fingerprint }) => !notifier.isKnown(fingerprint));
  delivery.receive(lost.map((data) => notifier.orphan(data, Date.now())));
  keeper.keep(-Infinity, []);
  delivery.tell();
  for (const watch of watchesOf(current)) announcer.settleModes(watch, Date.now());
  if (store.ephemeral && options.rules.rules.some(({ condition }) => condition.is === "first")) {
    log("first() remembers only as long as dropwatch runs: --state DIR keeps what it has seen");
  }
  const reloader = makeReloader({
    source,
    rules: options.rules,
    style,
    signal: options.signal,
    log,
    current: () => ({
      rules: current.rules.filter(({ bundle }) => bundle !== ownBundle),
      plan: current.plan,
    }),
    planOf,
    swap(rules, plan) {
      current = makeWatched(withOwn(rules), plan, watching, current);
      live?.onReload();
      evidence.use(rules);
      offences.keep(rules);
    },
    settled: () => lanesIdle(current).then(announcer.settled),
  });
  options.onReload?.(reloader.reload);
  if (options.view !== undefined && overview !== undefined) {
    const { host, state, onView } = options.view;
    live = makeLiveView({
      host,
      source,
      facts,
      overview,
      store: state === undefined ? undefined : openHistoryStore(state, log),
      interval,
      maxKeys: options.maxKeys,
      sinks: sinks.map(({ name }) => name),
      current: () => current,
      delivery,
      labelsOf: notifier.labelsOf,
      said: notifier.said,
      disabled: offences.why,
      errors: () => reloader.errors,
      trouble,
      log,
    });
    onView(live.view);
  }

  const sums = noTicks();
  const refusals = new WeakMap<Watch, number>();
  /** Drops that a watch had no room for since it was asked last. */
  const newlyRefused = (watch: Watch): number => {
    const before = refusals.get(watch) ?? 0;
    refusals.set(watch, watch.refused);
    return watch.refused - before;
  };
  const onTick = (tick: Tick): void | Promise<void> => {
    reloader.onTick(tick);
    addTick(sums, tick);
    evidence.add(tick);
    history.add(tick);
    pulse.ticked();
    counting = tick.gap === undefined || tick.gap.over
      ? undefined
      : `drops aren't counted: ${tick.gap.why}`;
    const happened: Happened[] = [
      ...offences.take(),
      ...reloader.failed(),
      ...delivery.take(),
      ...keeper.trouble === undefined ? [] : [{ event: "stateFailed" as const, n: 1 }],
    ];
    const refused = watchesOf(current).reduce((all, watch) => all + newlyRefused(watch), 0);
    if (refused > 0) {
      live?.onRefused(refused);
      happened.push({ event: "refused", n: refused });
      say(
        "series",
        `rules have more than ${maxSeries} combinations of labels in a window: the rest is not ` +
          `told apart`,
      );
    }
    for (const lane of current.lanes.values()) lane.push(tick, happened);
    announcer.announce(current.watch.tick(tick, happened), tick.at);
    announcer.renew(tick.at, (alert, labels) => {
      const rule = current.rules.find((each) => each.alert === alert);
      const state = rule && stateNow(rule, labels);
      return rule && state && { rule, state };
    });
    sayLosses(tick, current.plan, options.maxKeys, say);
    live?.onTick(tick, current.plan);
    options.onTick?.(tick, current.watch);
    const busy = [...current.lanes.values()].filter(({ busy }) => busy);
    if (busy.length > 0) return Promise.all(busy.map((lane) => lane.idle())).then(() => {});
  };

  let reloaded: Promise<void> | undefined;
  try {
    await source.run({
      plan: current.plan,
      interval,
      maxKeys: options.maxKeys,
      signal: options.signal,
      onTick,
      onAttached() {
        reloader.begin();
        options.onAttached?.();
      },
      log,
    });
  } catch (thrown) {
    live?.end();
    await delivery.close(keysInstead(thrown) === undefined ? drainPatience : 0);
    throw thrown;
  } finally {
    reloaded = reloader.end();
  }
  await reloaded;
  await lanesIdle(current);
  live?.end();
  options.onEnd?.(watchesOf(current).flatMap((watch) => watch.active()));
  await announcer.settled();
  keeper.keep(Infinity, []);
  for (const [sink, left] of await delivery.close(drainPatience)) {
    if (left === 0) continue;
    const then = store.ephemeral ? "" : "; they stay in the outbox for the next run";
    log(`${sink}: ${plural(left, "message")} not delivered before the end${then}`);
  }
  const totals = new Map(
    watchesOf(current).flatMap((watch) =>
      watch.rules.map(({ alert }, i) => [alert, watch.totals()[i]!])
    ),
  );
  const { seconds, ...counts } = sums;
  return {
    seconds: Number(seconds.toFixed(3)),
    ...counts,
    rules: current.rules.filter(({ bundle }) => bundle !== ownBundle)
      .map(({ alert }) => ({ alert, total: totals.get(alert)! })),
  };
}

// The view of a run: what the pipeline tells is kept as far as people may look back, and handed to those
// who look live.
import type { AlertData, AlertMessage } from "../alert/alert.ts";
import { fingerprint } from "../alert/alert.ts";
import type { Delivery } from "../alert/delivery.ts";
import { showMatcher } from "../alert/matcher.ts";
import { titleOf } from "../alert/outbox.ts";
import { makeSilence, mostSilences, silenceState } from "../alert/silence.ts";
import type { Silence } from "../alert/silence.ts";
import { classOfReason, knowledgeOf } from "../drop/reason.ts";
import { printable, reasonOf, showError, tooManySilences } from "../error.ts";
import type { DropwatchError } from "../error.ts";
import { explainRules } from "../plan/explain.ts";
import type { Explained } from "../plan/explain.ts";
import type { Count, Plan } from "../plan/plan.ts";
import { streamsOf } from "../rule/checked.ts";
import type { CheckedRule } from "../rule/checked.ts";
import { ownBundle } from "../rule/own_rules.ts";
import { version } from "../version.ts";
import type { Watched } from "../watched.ts";
import { watchesOf } from "../watched.ts";
import type { Source, SourceFacts } from "../watch/source.ts";
import { addTick, noTicks } from "../watch/tick.ts";
import type { Tick } from "../watch/tick.ts";
import { finderOf } from "../watch/watch.ts";
import type { ActiveAlert, Transition } from "../watch/watch.ts";
import { costMeter } from "./cost.ts";
import { thousandths } from "../number.ts";
import { makeHistory, mostOf, mostSeries } from "./history.ts";
import type { HistoryStore } from "./history_store.ts";
import { overviewReader } from "./overview.ts";
import { stackLog } from "./stacks.ts";
import type {
  Changeable,
  View,
  ViewAlert,
  ViewEvent,
  ViewMessage,
  ViewRule,
  ViewSilence,
  ViewTick,
  ViewTotal,
} from "./view.ts";

/** How many alerts that are over are remembered, how many are shown in all, and keys in a tick. */
const mostResolved = 100;
const mostAlerts = 2000;
const mostKeys = 200;
/** How many alerts are told of one by one between two ticks. */
const mostTold = 200;
/** How many combinations of reason and device there may be for metrics. */
const mostTotals = 500;
const mostMessages = 1000;
const recently = 60_000;

export interface LiveViewOptions {
  /** The machine's name. */
  readonly host: string;
  readonly source: Source;
  readonly facts: SourceFacts;
  /** What the history counts, beside the rules. */
  readonly overview: Count;
  readonly store: HistoryStore | undefined;
  readonly interval: number;
  readonly maxKeys: number;
  readonly sinks: readonly string[];
  readonly current: () => Watched;
  readonly delivery: Delivery;
  /** All labels of an alert, as they are sent. */
  readonly labelsOf: (rule: CheckedRule, labels: Transition["labels"]) => Record<string, string>;
  /** What was last said of an alert that fires. */
  readonly said: (fingerprint: string) => AlertData | undefined;
  /** The code of the error for which a rule's code isn't run any more. */
  readonly disabled: (rule: CheckedRule) => string | undefined;
  /** What can't be loaded as it is now. */
  readonly errors: () => readonly DropwatchError[];
  /** Why dropwatch doesn't do its work. */
  readonly trouble: () => string | undefined;
  readonly log: (message: string) => void;
}

/** What the pipeline tells a view. */
export interface LiveView {
  readonly view: View;
  onTick(tick: Tick, plan: Plan): void;
  onTransition(transition: Transition): void;
  onMessage(message: AlertMessage): void;
  /** Drops that windows had no room for. */
  onRefused(drops: number): void;
  /** The rules were read again. */
  onReload(): void;
  end(): void;
}

export function makeLiveView(options: LiveViewOptions): LiveView {
  const { facts, delivery, current, overview } = options;
  const { names } = facts.world;
  const history = makeHistory(overview.by);
  options.store?.restore(history);
  const stacks = stackLog(history.fields);
  const readOverview = overviewReader(overview, (id) => names.reason(id));
  const meter = costMeter();
  const instance = crypto.randomUUID().slice(0, 8);
  const startedAt = new Date().toISOString();
  let loadedAt = startedAt;
  const sums = noTicks();
  const lost = { probe: 0, map: 0, output: 0, window: 0, unreadable: 0, gapSeconds: 0 };
  let last: Tick | undefined;
  let ended = false;
  const resolved = new Map<string, ViewAlert>();
  const listeners = new Set<(event: ViewEvent) => void>();
  /** By reason and device. */
  const totals = new Map<string, { -readonly [K in keyof ViewTotal]: ViewTotal[K] }>();
  const devAt = history.fields.indexOf("dev");
  const reasonAt = history.fields.indexOf("reason");
  const drops = new Map<number, number>();
  /** What was so at the last tick, to tell what has changed. */
  let shown = { outbox: "", silences: "", rules: "", status: "" };

  const emit = (event: ViewEvent): void => {
    for (const listener of listeners) {
      try {
        listener(event);
      } catch (thrown) {
        // Whoever looks on mustn't end the watch.
        listeners.delete(listener);
        options.log(`who looks on fails, and is told no more: ${reasonOf(thrown)}`);
      }
    }
  };

  const viewOf = (
    data: AlertData,
    parts: Pick<ViewAlert, "state" | "shadow">,
  ): ViewAlert => {
    const { alert, severity, labels, annotations, value, peak, total, of } = data;
    const { startsAt, endsAt, exact, lost, evidence } = data;
    const quiet = parts.state === "firing" && !parts.shadow
      ? delivery.quieting(labels)
      : { silencedBy: [], inhibitedBy: [] };
    return {
      alert,
      fingerprint: data.fingerprint,
      state: parts.state,
      severity,
      labels,
      annotations,
      value,
      peak,
      total,
      startsAt,
      endsAt,
      exact,
      lost,
      evidence,
      health: of === "health",
      shadow: parts.shadow,
      ...quiet,
    };
  };

  /** An alert that is pending or fires; what was said of it may be older than its numbers. */
  const activeView = ({ rule, labels, state, exact, lost }: ActiveAlert): ViewAlert => {
    const whole = options.labelsOf(rule, labels);
    const print = fingerprint(whole);
    const said = state.state === "firing" ? options.said(print) : undefined;
    const { value, peak, total } = state;
    const data: AlertData = said ?? {
      alert: rule.alert,
      status: "firing",
      severity: rule.severity,
      labels: whole,
      annotations: {},
      value,
      peak,
      total,
      ...("health" in streamsOf(rule.condition)[0].stream ? { of: "health" as const } : {}),
      startsAt: new Date(state.since).toISOString(),
      endsAt: null,
      fingerprint: print,
      exact,
      lost,
      evidence: {},
    };
    // Once it can't be vouched for what it has counted, it can't be later.
    const doubt = { exact: data.exact && exact, lost: Math.max(data.lost, lost) };
    return viewOf({ ...data, value, peak, total, ...doubt }, {
      state: state.state,
      shadow: rule.mode === "shadow",
    });
  };

  const active = (): ActiveAlert[] => watchesOf(current()).flatMap((watch) => watch.active());
  const ruleOf = (alert: string): CheckedRule | undefined =>
    current().rules.find((rule) => rule.alert === alert);

  const addTotals = (cells: ReturnType<typeof readOverview>): void => {
    for (const [labels, n] of cells) {
      const reason = labels[reasonAt]!;
      const dev = devAt === -1 ? null : labels[devAt]!;
      const key = JSON.stringify([reason, dev]);
      const known = totals.get(key);
      if (known !== undefined) {
        known.drops += n;
        continue;
      }
      const isFull = totals.size >= mostTotals;
      const kind = classOfReason(reason ?? "");
      const own = isFull ? JSON.stringify([null, null, kind]) : key;
      const rest = totals.get(own);
      if (rest !== undefined) rest.drops += n;
      else {
        totals.set(own, {
          reason: isFull ? null : reason,
          dev: isFull ? null : dev,
          class: kind,
          drops: n,
        });
      }
    }
  };

  let explained: { plan: Plan; rules: readonly CheckedRule[]; all: Explained } | undefined;
  const explain = (): Explained => {
    const { plan, rules: all } = current();
    const rules = all.filter(({ bundle }) => bundle !== ownBundle);
    if (explained?.plan !== plan || explained.rules !== all) {
      const find = finderOf(plan.counts);
      const indexOf = (count: Count): number => find(count)!;
      const { world } = facts;
      explained = {
        plan,
        rules: all,
        all: explainRules(rules, plan, options.maxKeys, world, indexOf),
      };
    }
    return explained.all;
  };

  const showSilence = (silence: Silence): ViewSilence => ({
    id: silence.id,
    state: silenceState(silence, Date.now()),
    matchers: silence.matchers.map(showMatcher),
    startsAt: new Date(silence.startsAt).toISOString(),
    endsAt: new Date(silence.endsAt).toISOString(),
    createdBy: silence.createdBy,
    comment: silence.comment,
  });

  const iso = (at: number | undefined): string | null =>
    at === undefined ? null : new Date(at).toISOString();
  const view: View = {
    readiness: () => ({
      state: stateNow(),
      trouble: options.trouble() ?? "",
      lastTickAt: iso(last?.at),
    }),
    status() {
      // Nobody is told of alerts in shadow.
      const now = active().filter(({ rule }) => rule.mode !== "shadow");
      const rows = delivery.outbox();
      const { seconds, seen, counted, other, lost: lostDrops, restarts } = sums;
      const recent = history.recent(recently);
      const firing = now.filter(({ state }) => state.state === "firing");
      return {
        version,
        instance,
        host: options.host,
        startedAt,
        source: { name: options.source.name, title: facts.title },
        ...view.readiness(),
        interval: options.interval,
        restarts,
        sums: { seconds: thousandths(seconds), seen, counted, other, lost: lostDrops },
        recent: { ...recent, counted: recent.seen - recent.other - recent.lost },
        lost: { ...lost, gapSeconds: thousandths(lost.gapSeconds) },
        cost: meter.cost,
        rules: {
          loaded: current().rules.filter(({ bundle }) => bundle !== ownBundle).length,
          disabled: current().rules.filter((rule) => options.disabled(rule) !== undefined).length,
          broken: options.errors().length,
        },
        alerts: {
          firing: firing.length,
          pending: now.length - firing.length,
          suppressed: firing.filter(({ rule, labels }) => {
            const quiet = delivery.quieting(options.labelsOf(rule, labels));
            return quiet.silencedBy.length + quiet.inhibitedBy.length > 0;
          }).length,
        },
        outbox: {
          pending: rows.filter(({ state }) => state === "pending").length,
          dead: rows.filter(({ state }) => state === "dead").length,
        },
        sinks: options.sinks,
        history: {
          fields: history.fields,
          secondsFrom: iso(history.from("seconds")),
          minutesFrom: iso(history.from("minutes")),
          kept: options.store !== undefined,
        },
      };
    },
    drops: (query) => history.query({ ...query, limit: Math.min(query.limit, mostSeries) }),
    stacks({ where, from, to }) {
      // What came before stacks are kept can't be shared out over them.
      const begin = Math.max(from, stacks.from ?? to);
      return { ...stacks.of(where, begin, to, history.cells(where, begin, to)), from };
    },
    alerts() {
      const now = mostUrgent(active()).map(activeView);
      const fires = new Set(now.map(({ fingerprint }) => fingerprint));
      const over = [...resolved.values()].filter(({ fingerprint }) => !fires.has(fingerprint));
      return [...now.sort(worstFirst), ...over.reverse()];
    },
    alert(wanted) {
      for (const alert of active()) {
        if (fingerprint(options.labelsOf(alert.rule, alert.labels)) === wanted) {
          return activeView(alert);
        }
      }
      return resolved.get(wanted);
    },
    timeline: (fingerprint) => delivery.timeline(fingerprint),
    rules() {
      const { cost, rules: lines } = explain();
      const plans = new Map(lines.map(({ alert, lines }) => [alert, lines]));
      const counts = new Map<string, { pending: number; firing: number }>();
      for (const { rule, state } of active()) {
        const count = counts.get(rule.alert) ?? { pending: 0, firing: 0 };
        count[state.state]++;
        counts.set(rule.alert, count);
      }
      const matched = new Map(
        watchesOf(current()).flatMap((watch) => {
          const totals = watch.totals();
          return watch.rules.map(({ alert }, i) => [alert, totals[i]!] as const);
        }),
      );
      return {
        rules: current().rules.map((rule): ViewRule => {
          const { alert, place, severity, by, mode } = rule;
          const { pending, firing } = counts.get(alert) ?? { pending: 0, firing: 0 };
          const why = options.disabled(rule) ?? "";
          const isOwn = rule.bundle === ownBundle;
          return {
            alert,
            file: isOwn ? "" : place.file,
            line: isOwn ? 0 : place.line ?? 0,
            severity,
            by,
            state: why !== ""
              ? "disabled"
              : firing > 0
              ? "firing"
              : pending > 0
              ? "pending"
              : "inactive",
            pending,
            firing,
            total: matched.get(alert) ?? 0,
            shadow: mode === "shadow",
            plan: plans.get(alert) ?? ["TypeScript: counts what happens to dropwatch itself"],
            why,
          };
        }),
        errors: options.errors().map(({ code, message, place }) => ({
          code,
          file: place?.file ?? "",
          line: place?.line ?? null,
          column: place?.column ?? null,
          message: printable(message),
        })),
        loadedAt,
        cost,
      };
    },
    reasons: () =>
      [...new Map([...facts.world.reasons, ...[...drops.keys()].map((id) => [id, ""] as const)])]
        .sort(([a], [b]) => a - b).map(([id]) => {
          const reason = names.reason(id);
          const known = knowledgeOf(reason);
          return {
            reason,
            id,
            subsystem: names.subsystem(id >>> 16),
            class: classOfReason(reason),
            means: known?.means ?? "",
            causes: known?.causes ?? [],
            confirm: known?.confirm ?? [],
            change: known?.change ?? [],
            drops: drops.get(id) ?? 0,
          };
        }),
    silences: () => delivery.silences().map(showSilence),
    addSilence({ matchers, duration, createdBy, comment }) {
      const id = crypto.randomUUID();
      const startsAt = Date.now();
      const made = makeSilence({ id, matchers, startsAt, duration, createdBy, comment });
      const open = delivery.silences().filter(({ endsAt }) => endsAt > startsAt);
      if (open.length >= mostSilences) throw tooManySilences(mostSilences);
      delivery.silence(made);
      return showSilence(made);
    },
    expireSilence(id) {
      const found = delivery.silences().find((silence) => silence.id === id);
      if (found === undefined) return undefined;
      const now = Date.now();
      if (found.endsAt <= now) return showSilence(found);
      const over = { ...found, startsAt: Math.min(found.startsAt, now), endsAt: now };
      delivery.silence(over);
      return showSilence(over);
    },
    outbox: () =>
      delivery.outbox().slice(0, mostMessages).map((row): ViewMessage => ({
        id: row.id,
        sink: row.sink,
        state: row.state,
        title: titleOf(row.body),
        createdAt: new Date(row.created).toISOString(),
        attempts: row.attempts,
        nextAt: row.state === "dead" ? null : new Date(row.nextAt).toISOString(),
        error: printable(row.error),
      })),
    retryMessage: (id) => delivery.retry(id),
    dropMessage: (id) => delivery.drop(id),
    totals: () => [...totals.values()],
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };

  const stateNow = (): ReturnType<View["status"]>["state"] => {
    if (ended) return "ended";
    if (last === undefined) return "starting";
    return last.gap === undefined || last.gap.over ? "watching" : "down";
  };

  /** How many alerts were told of since the last tick, or would have been. */
  let told = 0;
  /** Whether something that was pending is over. */
  let isOver = false;
  /** Where very many change at once, those who look live read them all again, after the next tick. */
  const tellAlert = (make: () => ViewAlert): void => {
    if (++told <= mostTold) emit({ event: "alert", data: make() });
  };

  /** Says what has changed since the last tick, of what isn't sent whole. */
  const tellChanges = (): void => {
    const rows = delivery.outbox();
    const now = {
      // Ids are new ones, and attempts only become more: equal sums are equal messages.
      outbox: [
        rows.length,
        rows.at(-1)?.id,
        ...rows.reduce(
          ([dead, tried], { state, attempts }) =>
            [dead + (state === "dead" ? 1 : 0), tried + attempts] as [number, number],
          [0, 0] as [number, number],
        ),
      ].join(" "),
      silences: view.silences().map(({ id, state }) => `${id} ${state}`).join(),
      rules: [
        loadedAt,
        ...options.errors().map(showError),
        ...current().rules.filter((rule) => options.disabled(rule) !== undefined)
          .map(({ alert }) => alert),
      ].join(),
      status: `${stateNow()} ${options.trouble() ?? ""}`,
    };
    const what = (Object.keys(now) as (keyof typeof now)[])
      .filter((each) => now[each] !== shown[each]) as Changeable[];
    // Whom a silence keeps quiet is part of each alert.
    if (what.includes("silences") || told > mostTold || isOver) what.push("alerts");
    told = 0;
    isOver = false;
    shown = now;
    if (what.length > 0) emit({ event: "changed", data: { what } });
  };

  return {
    view,
    onTick(tick, plan) {
      const cells = readOverview(tick, plan);
      const gone = tick.gap?.seconds ?? 0;
      const { seen, counted, other, lost: lostDrops } = tick;
      // The kernel's clock tells nanoseconds; who asks for the time since a tick names milliseconds.
      const at = Math.round(tick.at);
      const seconds = Math.max(0, tick.seconds - gone);
      // A tick that only tells of a gap counted nothing.
      if (seconds > 0 || seen > 0) {
        history.add({ at, seconds, seen, other, lost: lostDrops, cells });
      } else history.pass(at);
      stacks.add(tick);
      options.store?.save(history, at);
      addTick(sums, tick);
      const byMap = tick.maps.reduce((sum, map) => sum + map.lost, 0);
      lost.probe += Math.max(0, lostDrops - byMap);
      lost.output += Math.min(lostDrops, byMap);
      lost.map += other;
      lost.unreadable += tick.unreadable;
      lost.gapSeconds += gone;
      addTotals(cells);
      for (const [id, n] of tick.reasons) drops.set(id, (drops.get(id) ?? 0) + n);
      const before = stateNow();
      last = tick;
      meter.look(Date.now());
      if (listeners.size === 0) return;
      const data: ViewTick = {
        at,
        seconds,
        seen,
        counted,
        other,
        lost: lostDrops,
        gap: tick.gap === undefined || tick.gap.over ? null : tick.gap.why,
        drops: mostOf(cells, mostKeys, reasonAt),
        cost: meter.total,
      };
      emit({ event: "tick", data });
      if (before !== stateNow()) shown = { ...shown, status: "" };
      tellChanges();
    },
    onTransition(transition) {
      if (transition.change === "firing" || transition.change === "resolved") return;
      const { rule, labels, change, value, peak, total, since, exact, lost } = transition;
      const state = change === "inactive" ? undefined : { value, peak, total, since };
      if (state === undefined) return void (isOver = true);
      const pending = { state: "pending" as const, held: since, ...state };
      tellAlert(() => activeView({ rule, labels, state: pending, exact, lost }));
    },
    onMessage({ data }) {
      const shadow = ruleOf(data.alert)?.mode === "shadow";
      const alert = viewOf(data, { state: data.status, shadow });
      resolved.delete(data.fingerprint);
      if (data.status === "resolved") {
        resolved.set(data.fingerprint, alert);
        if (resolved.size > mostResolved) resolved.delete(resolved.keys().next().value!);
      }
      tellAlert(() => alert);
    },
    onRefused: (n) => void (lost.window += n),
    onReload: () => void (loadedAt = new Date().toISOString()),
    end() {
      ended = true;
      options.store?.close(history);
      emit({ event: "changed", data: { what: ["status"] } });
    },
  };
}

const severities = ["critical", "warning", "info"];
const states = ["firing", "pending", "resolved"];

function worstFirst(a: ViewAlert, b: ViewAlert): number {
  return states.indexOf(a.state) - states.indexOf(b.state) ||
    severities.indexOf(a.severity) - severities.indexOf(b.severity) ||
    b.startsAt.localeCompare(a.startsAt);
}

/** Those that fire before those that may, the severe ones first, where there are more than are shown. */
function mostUrgent(alerts: readonly ActiveAlert[]): readonly ActiveAlert[] {
  if (alerts.length <= mostAlerts) return alerts;
  const rank = ({ rule, state }: ActiveAlert): number =>
    states.indexOf(state.state) * severities.length + severities.indexOf(rule.severity);
  return [...alerts].sort((a, b) => rank(a) - rank(b)).slice(0, mostAlerts);
}

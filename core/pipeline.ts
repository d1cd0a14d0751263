// The one file that joins the stages: rules → plan → source → watch → texts → sinks.
import { fingerprint, plainSummary } from "./alert/alert.ts";
import type { AlertData, AlertMessage } from "./alert/alert.ts";
import { makeQueue } from "./alert/queue.ts";
import type { Queue } from "./alert/queue.ts";
import type { Sink } from "./alert/sink.ts";
import { DropwatchError, reasonOf } from "./error.ts";
import { makePlan } from "./plan/plan.ts";
import type { Plan, PlanStyle } from "./plan/plan.ts";
import type { CheckedRule } from "./rule/checked.ts";
import type { RuleSet } from "./rule/load.ts";
import type { AlertFacts, TextName } from "./rule/rule.ts";
import { maxText, textNames } from "./rule/rule.ts";
import { evidenceFor, evidenceLog } from "./watch/evidence.ts";
import type { EvidenceLog } from "./watch/evidence.ts";
import type { Source, SourceFacts } from "./watch/source.ts";
import type { AlertStore, SavedAlert } from "./store.ts";
import type { Tick } from "./watch/tick.ts";
import { countsOf, makeWatch } from "./watch/watch.ts";
import type { Transition, Watch } from "./watch/watch.ts";

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
  readonly store?: AlertStore | undefined;
  readonly onAttached?: () => void;
  /** After the watch has seen the tick. */
  readonly onTick?: (tick: Tick, watch: Watch) => void;
}

/** Milliseconds that sinks have at the end for what still waits. */
const drainPatience = 5000;
const defaultMaxSeries = 100_000;

/** The plan of a set of rules: what the kernel is to count for them. */
export function planRules(
  rules: RuleSet["rules"],
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
    if (!(thrown instanceof DropwatchError) || thrown.code !== "PROGRAM_REFUSED") throw thrown;
    log("the kernel refuses the program as too complex: conditions are tested on keys instead");
    return await watchWith("keys", queues, options);
  } finally {
    const left = await Promise.all(queues.map((queue) => queue.drain(drainPatience)));
    queues.forEach(({ sink }, i) => {
      if (left[i]! > 0) log(`${sink.name}: ${left[i]} alerts were not delivered before the end`);
    });
  }
}

async function watchWith(
  style: PlanStyle,
  queues: readonly Queue[],
  options: PipelineOptions,
): Promise<RunSummary> {
  const { rules, log } = options;
  const facts = await options.source.facts();
  const plan = planRules(rules.rules, facts, style);
  const evidence = evidenceLog(rules.rules, facts.world, facts.release ?? "");
  const maxSeries = options.maxSeries ?? defaultMaxSeries;
  const watch = makeWatch({ rules: rules.rules, plan, interval: options.interval, maxSeries });
  const sums = { ticks: 0, seen: 0, counted: 0, other: 0, lost: 0, restarts: 0, seconds: 0 };
  const say = onceEach(log);
  let texts: Promise<void> = Promise.resolve();
  const to: Notifying = { rules, queues, fired: new Map(), evidence, log };
  const keep = options.store && keeper(options.store, watch, to, say);

  const onTick = (tick: Tick): void => {
    sums.ticks++;
    sums.seconds += tick.seconds;
    for (const name of ["seen", "counted", "other", "lost"] as const) sums[name] += tick[name];
    if (tick.gap?.over === true) sums.restarts++;
    evidence.add(tick);
    const transitions = watch.tick(tick);
    sayLosses(tick, plan, options.maxKeys, say);
    if (watch.refused > 0) {
      say(
        "series",
        `rules have more than ${maxSeries} combinations of labels in a window: the rest is not ` +
          `told apart`,
      );
    }
    const due = transitions.filter(({ change }) => change === "firing" || change === "resolved");
    texts = texts.then(async () => {
      const messages = await Promise.all(due.map((each) => messageOf(each, to)));
      // Kept before they are sent: whoever is killed in between must know that they may have been.
      keep?.(tick.at, transitions);
      for (const message of messages) to.queues.forEach((queue) => queue.push(message));
    });
    options.onTick?.(tick, watch);
  };

  await options.source.run({
    plan,
    interval: options.interval,
    maxKeys: options.maxKeys,
    signal: options.signal,
    onTick,
    onAttached: () => options.onAttached?.(),
    log,
  });
  if (keep !== undefined) texts = texts.then(() => keep(Infinity, []));
  await texts;
  const totals = watch.totals();
  return {
    seconds: Number(sums.seconds.toFixed(3)),
    ticks: sums.ticks,
    seen: sums.seen,
    counted: sums.counted,
    other: sums.other,
    lost: sums.lost,
    restarts: sums.restarts,
    rules: rules.rules.map(({ alert }, i) => ({ alert, total: totals[i]! })),
  };
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

type Annotations = Readonly<Record<string, string>>;

interface Notifying {
  readonly rules: RuleSet;
  readonly queues: readonly Queue[];
  /** What was sent of the alerts that fire, by fingerprint. */
  readonly fired: Map<string, AlertData>;
  readonly evidence: EvidenceLog;
  readonly log: (message: string) => void;
}

const saveEvery = 10_000;

/**
 * Takes up the alerts of the run before, and returns what keeps those of this one: an alert that
 * changed its state at once, the numbers of the others now and then.
 */
function keeper(
  store: AlertStore,
  watch: Watch,
  to: Notifying,
  say: (kind: string, message: string) => void,
): (at: number, transitions: readonly Transition[]) => void {
  const orphans = store.load().filter((saved) => {
    const known = watch.restore(saved);
    if (known && saved.sent !== undefined) to.fired.set(saved.sent.fingerprint, saved.sent);
    return !known;
  });
  // Whoever was told of an alert is told of its end, also when its rule is gone.
  const now = new Date().toISOString();
  for (const { sent } of orphans) {
    if (sent === undefined) continue;
    const data = { ...sent, status: "resolved" as const, endsAt: now };
    to.queues.forEach((queue) => queue.push({ type: "alert.resolved", timestamp: now, data }));
  }
  let saved = -Infinity;
  let gone: Pick<SavedAlert, "alert" | "labels">[] = orphans;
  return (at, transitions) => {
    const ended = transitions.filter(({ change }) =>
      change === "resolved" || change === "inactive"
    );
    gone = [...gone, ...ended.map(({ rule, labels }) => ({ alert: rule.alert, labels }))];
    const all = at - saved >= saveEvery;
    if (transitions.length === 0 && gone.length === 0 && !all) return;
    const changed = new Set(transitions.map(({ rule, labels }) => keyOf(rule, labels)));
    const due = watch.active().filter(({ rule, labels }) =>
      all || changed.has(keyOf(rule, labels))
    );
    const alerts = due.map(({ rule, labels, state }): SavedAlert => ({
      alert: rule.alert,
      labels,
      state,
      sent: to.fired.get(fingerprint(labelsOf(rule, labels))),
    }));
    try {
      store.save(alerts, gone);
      gone = [];
      if (all) saved = at;
    } catch (thrown) {
      saved = -Infinity; // What wasn't kept is kept with all others, at the next tick.
      say("state", `the state can't be saved, and is tried again: ${reasonOf(thrown)}`);
    }
  };
}

function keyOf(rule: CheckedRule, labels: Transition["labels"]): string {
  return JSON.stringify([rule.alert, labels]);
}

/** All labels of an alert, as they are sent. */
function labelsOf(rule: CheckedRule, labels: Transition["labels"]): Record<string, string> {
  return { alertname: rule.alert, severity: rule.severity, ...rule.labels, ...labels };
}

async function messageOf(transition: Transition, to: Notifying): Promise<AlertMessage> {
  const { rule, change, value, peak, total, exact, lost } = transition;
  const status = change === "firing" ? "firing" : "resolved";
  const labels = labelsOf(rule, transition.labels);
  const print = fingerprint(labels);
  // As with Prometheus, an alert that ends says what it said when it fired: "refuses 0 packets/s"
  // would tell nobody what is over.
  const before = to.fired.get(print);
  const annotations = before?.annotations ?? await annotate(transition, labels, to);
  const at = new Date(transition.at).toISOString();
  const data: AlertData = {
    alert: rule.alert,
    status,
    severity: rule.severity,
    labels,
    annotations,
    value,
    peak,
    total,
    startsAt: new Date(transition.since).toISOString(),
    endsAt: status === "resolved" ? at : null,
    fingerprint: print,
    exact,
    lost,
    evidence: before?.evidence ?? to.evidence.of(rule, transition.labels, transition.at) ?? {},
  };
  if (status === "firing") to.fired.set(print, data);
  else to.fired.delete(print);
  return { type: `alert.${status}`, timestamp: at, data };
}

async function annotate(
  { rule, value, peak, total, exact, labels: own }: Transition,
  labels: Readonly<Record<string, string>>,
  { rules, log }: Notifying,
): Promise<Annotations> {
  const facts: AlertFacts = { value, peak, total, exact, labels: { ...rule.labels, ...own } };
  const annotations: { [name: string]: string } = {};
  for (const name of textNames) {
    const text = await textOf(name, rule, facts, rules, log);
    if (text !== undefined) annotations[name] = text;
  }
  annotations.summary ??= plainSummary(rule.alert, labels);
  if (rule.runbook !== undefined) annotations.runbook = rule.runbook;
  return annotations;
}

/** A text of a rule; where its function fails, the alert goes out with a plain one. */
async function textOf(
  name: TextName,
  rule: Transition["rule"],
  facts: AlertFacts,
  rules: RuleSet,
  log: (message: string) => void,
): Promise<string | undefined> {
  const text = rule.texts[name];
  if (text === undefined) return undefined;
  if (typeof text === "string") return text.slice(0, maxText);
  if (typeof text === "function") return text(facts).slice(0, maxText);
  try {
    return await rules.host.text(rule, name, facts);
  } catch (thrown) {
    log(`${rule.alert}: ${reasonOf(thrown)}`);
    return undefined;
  }
}

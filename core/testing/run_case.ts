// Runs a case of a rule's test, once as the kernel counts and once drop by drop, and says where the
// rule does something else than the case says.
import type { Drop } from "../drop/field.ts";
import { quote, reasonOf } from "../error.ts";
import { makeKeeper, memoryKinds, readMemory } from "../keep.ts";
import { makeLane } from "../lane.ts";
import { planInterpreter } from "../plan/interpret.ts";
import { dropCounter } from "../plan/label.ts";
import type { DropCounter } from "../plan/label.ts";
import { makePlan } from "../plan/plan.ts";
import type { Plan } from "../plan/plan.ts";
import { checkRule } from "../rule/check.ts";
import type { CheckedRule } from "../rule/checked.ts";
import { milliseconds, showDuration } from "../rule/duration.ts";
import type { RuleHost } from "../rule/host.ts";
import type { UncheckedRule } from "../rule/host_message.ts";
import { plainJson } from "../rule/plain.ts";
import type { AlertFacts, Rule, TextName } from "../rule/rule.ts";
import { makeText, runCode, runFilter } from "../rule/run.ts";
import { openMemoryStore } from "../store.ts";
import type { StateStore } from "../store.ts";
import type { Happened } from "../watch/health.ts";
import type { Tick } from "../watch/tick.ts";
import { tally } from "../watch/tick.ts";
import { countsOf, makeWatch } from "../watch/watch.ts";
import type { ActiveAlert, Transition, Watch, WatchMemory } from "../watch/watch.ts";
import type { At, DropGiven, Expected, Given, RuleCase } from "./case.ts";
import { testFacts } from "./world.ts";

/** As the kernel counts, or drop by drop. */
export type Way = "counted" | "by event";

export interface CaseResult {
  /** What was otherwise than the case says; none where all is well. */
  readonly failures: readonly string[];
  /** Every alert that changed its state, in words. */
  readonly log: readonly string[];
}

/** An arbitrary time at which cases begin: a multiple of every interval. */
const begin = 1_800_000_000_000;
const maxSeries = 100_000;
/** More drops than these in a tick are counted at once, not one by one. */
const mostSingly = 10_000;
const { world } = testFacts;
const classes = new Map([...world.reasons].map(([id, name]) => [name, world.names.classOf(id)]));

const timeOf = (at: At): number => at === 0 ? 0 : milliseconds(at);

/** Runs a case on rules of one file. */
export async function runCase(
  rules: readonly Rule[],
  ruleCase: RuleCase,
  way: Way,
): Promise<CaseResult> {
  const interval = milliseconds(ruleCase.interval ?? "1s");
  const run = new CaseRun(rules, interval, way);
  try {
    const failures: string[] = [];
    const end = Math.max(
      ...ruleCase.expect.map(({ at }) => timeOf(at)),
      ...ruleCase.given.map((given) => timeOf("at" in given ? given.at : given.to)),
    );
    for (let at = interval; at <= end + interval; at += interval) {
      const due = (time: At): boolean =>
        timeOf(time) > at - interval && timeOf(time) <= at ||
        (timeOf(time) === 0 && at === interval);
      await run.tick(at, ruleCase.given, due);
      for (const expected of ruleCase.expect) {
        if (!due(expected.at)) continue;
        failures.push(...run.judge(expected).map((what) => `at ${expected.at}: ${what}`));
      }
      if (run.failures.length > 0) return { failures: run.failures, log: run.log };
    }
    return { failures, log: run.log };
  } finally {
    run.close();
  }
}

class CaseRun {
  readonly log: string[] = [];
  readonly failures: string[] = [];
  readonly #interval: number;
  readonly #way: Way;
  readonly #store: StateStore = openMemoryStore(false);
  #rules: readonly Rule[];
  #version = 0;
  #watch!: Watch;
  #plan!: Plan;
  #counter!: DropCounter;
  #keeper!: ReturnType<typeof makeKeeper>;
  #last = new Map<string, Transition>();
  #gapUntil = 0;

  constructor(rules: readonly Rule[], interval: number, way: Way) {
    this.#rules = rules;
    this.#interval = interval;
    this.#way = way;
    this.#start([]);
  }

  #start(before: readonly WatchMemory[]): void {
    const checked = checkRules(this.#rules, this.#version, this.#interval);
    this.#plan = makePlan(countsOf(checked).counts);
    this.#counter = this.#way === "counted"
      ? planInterpreter(this.#plan, world)
      : dropCounter(this.#plan, world);
    this.#watch = makeWatch({
      rules: checked,
      plan: this.#plan,
      interval: this.#interval,
      maxSeries,
      before,
    });
    this.#keeper = makeKeeper(this.#store, {
      active: () => this.#watch.active(),
      sent: () => undefined,
      memories: () => [this.#watch.memory],
      told: { changes: () => ({}), kept: () => {} },
    }, (_, message) => this.failures.push(message));
  }

  async tick(at: number, given: readonly Given[], due: (at: At) => boolean): Promise<void> {
    const lasts = (from: At, to: At): boolean => timeOf(from) < at && at <= timeOf(to);
    const happened: Happened[] = [];
    let [lost, other] = [0, 0];
    for (const one of given) {
      if ("restart" in one && due(one.at)) this.#restart();
      if ("reload" in one && due(one.at)) {
        this.#rules = [one.reload].flat() as Rule[];
        this.#version++;
        this.#start([this.#watch.memory]);
      }
      if ("gap" in one && due(one.at)) this.#gapUntil = timeOf(one.at) + milliseconds(one.gap);
    }
    const isGap = at <= this.#gapUntil;
    for (const one of given) {
      if ("health" in one) {
        if ("at" in one ? due(one.at) : lasts(one.from, one.to)) {
          happened.push({ ...one.health, n: "at" in one ? one.count ?? 1 : 1 });
        }
      } else if ("rate" in one) {
        // What a rate leaves over comes with a later tick.
        const until = (time: number): number =>
          Math.floor((one.rate * (time - timeOf(one.from))) / 1000 + 1e-9);
        if (lasts(one.from, one.to)) {
          this.#drop(
            one.drop,
            until(at) - until(Math.max(at - this.#interval, timeOf(one.from))),
            isGap,
          );
        }
      } else if ("count" in one) {
        if (due(one.at)) this.#drop(one.drop, one.count, isGap);
      } else if ("lost" in one || "other" in one) {
        if (due(one.at)) [lost, other] = [lost + (one.lost ?? 0), other + (one.other ?? 0)];
      }
    }
    const { seen, reasons, maps } = this.#counter.take();
    const counts = maps.map((map) => ({ ...map, other }));
    const tick: Tick = {
      at: begin + at,
      seconds: this.#interval / 1000,
      ...tally(seen + lost + (counts.length > 0 ? other : 0), counts, lost),
      reasons,
      maps: counts,
      samples: [],
      unreadable: 0,
      ...(isGap
        ? { gap: { seconds: this.#interval / 1000, why: "a test", over: at === this.#gapUntil } }
        : {}),
    };
    await this.#judge(tick, happened);
  }

  #drop(given: DropGiven, count: number, isGap: boolean): void {
    if (isGap) return;
    const drop = dropOf(given);
    if (this.#way === "counted" || count > mostSingly) this.#counter.add(drop, count);
    else for (let i = 0; i < count; i++) this.#counter.add(drop, 1);
  }

  async #judge(tick: Tick, happened: readonly Happened[]): Promise<void> {
    const lane = makeLane(this.#watch, {
      host: this.#host,
      isDisabled: () => false,
      onFailure: (rule, error) => void this.failures.push(`${rule.alert}: ${reasonOf(error)}`),
      onTransitions: (transitions) => {
        for (const each of transitions) {
          const { rule, change, labels, value } = each;
          this.#last.set(JSON.stringify([rule.alert, labels]), each);
          const at = showDuration(tick.at - begin);
          this.log.push(`${at}: ${rule.alert}${showLabels(labels)} ${change}, value ${value}`);
        }
        this.#keeper.keep(tick.at, transitions);
      },
    });
    lane.push(tick, happened);
    await lane.idle();
  }

  /** The rule's own functions, in this process. */
  readonly #host: Pick<RuleHost, "filter" | "run"> = {
    filter: (rule, filter, fields, values) =>
      Promise.resolve(runFilter(this.#rules[rule.index], filter, fields, values)),
    run: (rule, run) => Promise.resolve(runCode(this.#rules[rule.index], run, /$^/)),
  };

  #restart(): void {
    const kept = readMemory(
      this.#store.loadMemory(memoryKinds),
      (message) => this.failures.push(message),
    );
    this.#start([kept]);
    for (const saved of this.#store.load()) this.#watch.restore(saved);
  }

  /** What is otherwise than expected. */
  judge(expected: Expected): string[] {
    const { state, labels = {}, alert } = expected;
    const found = this.#watch.active().filter((each) =>
      (alert === undefined || each.rule.alert === alert) &&
      Object.entries(labels).every(([name, label]) => allLabels(each)[name] === label)
    );
    const wanted = `${state}${showLabels(labels)}`;
    const there = this.#watch.active().map(showAlert).join(", ") || "none";
    if (state === "inactive") {
      return found.length === 0 ? [] : [`expected no alert${showLabels(labels)}, found ${there}`];
    }
    const [one, ...more] = found;
    if (one === undefined) return [`expected one ${wanted}, found ${there}`];
    if (more.length > 0) return [`expected one ${wanted}, and "labels" fits several: ${there}`];
    const failures: string[] = [];
    const tell = (what: string, want: unknown, got: unknown): void => {
      failures.push(
        `expected ${what} ${showValue(want)}, found ${showValue(got)} (${showAlert(one)})`,
      );
    };
    if (one.state.state !== state) tell("the state", state, one.state.state);
    for (const name of ["value", "peak", "total"] as const) {
      const want = expected[name];
      if (want === undefined) continue;
      const got = one.state[name];
      if (Math.abs(got - want) > 1e-9 * Math.max(1, Math.abs(want))) tell(`the ${name}`, want, got);
    }
    const { exact = true } = this.#last.get(JSON.stringify([one.rule.alert, one.labels])) ?? {};
    if (expected.exact !== undefined && expected.exact !== exact) {
      tell("exact", expected.exact, exact);
    }
    for (const name of ["summary", "description"] as const) {
      const want = expected[name];
      if (want === undefined) continue;
      const got = this.#text(one, name, exact);
      const fits = typeof want === "string" ? got === want : got !== undefined && want.test(got);
      if (!fits) tell(`the ${name}`, want, got ?? "none");
    }
    return failures;
  }

  #text({ rule, state, labels }: ActiveAlert, name: TextName, exact: boolean): string | undefined {
    const text = rule.texts[name];
    if (text === undefined || typeof text === "string") return text;
    const { value, peak, total } = state;
    const facts: AlertFacts = { value, peak, total, exact, labels: { ...rule.labels, ...labels } };
    return makeText(this.#rules[rule.index], name, facts);
  }

  close(): void {
    this.#store.close();
  }
}

/** Checks rules as they are when they are loaded. */
function checkRules(rules: readonly Rule[], version: number, interval: number): CheckedRule[] {
  const file = "the rule of the test";
  const bundle = { id: `test ${version}`, code: "", inputs: [], place: () => ({ file }) };
  const checked = rules.map((rule, index) => {
    // As it comes from the rule host: without functions.
    const raw = JSON.parse(plainJson(rule.data)) as UncheckedRule;
    const context = { file, index, bundle, source: () => "", facts: testFacts, interval };
    return checkRule(raw, context);
  });
  const [error] = checked.flatMap(({ errors }) => errors);
  if (error !== undefined) throw error;
  return checked.map(({ rule }) => rule!);
}

function dropOf(given: DropGiven): Drop {
  const drop: { [name: string]: string } = {};
  for (const [name, value] of Object.entries(given)) drop[name] = String(value);
  const { reason = "NOT_SPECIFIED" } = drop;
  return {
    subsystem: reason.includes("/") ? reason.slice(0, reason.indexOf("/")) : "core",
    class: classes.get(reason) ?? "unknown",
    ...drop,
    reason,
  };
}

function allLabels({ rule, labels }: ActiveAlert): Readonly<Record<string, string>> {
  return { alertname: rule.alert, severity: rule.severity, ...rule.labels, ...labels };
}

function showLabels(labels: Readonly<Record<string, string>>): string {
  const all = Object.entries(labels).map(([name, value]) => `${name}=${quote(value)}`);
  return all.length === 0 ? "" : ` {${all.join(", ")}}`;
}

function showAlert({ rule, labels, state }: ActiveAlert): string {
  return `${rule.alert}${showLabels(labels)} ${state.state} with value ${state.value}`;
}

function showValue(value: unknown): string {
  return typeof value === "string" ? quote(value) : String(value);
}

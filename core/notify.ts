// From an alert that changed its state to the message that sinks get.
import { fingerprint, plainSummary } from "./alert/alert.ts";
import type { AlertData, AlertMessage } from "./alert/alert.ts";
import type { DropwatchError } from "./error.ts";
import { streamsOf } from "./rule/checked.ts";
import type { CheckedRule } from "./rule/checked.ts";
import type { RuleHost } from "./rule/host.ts";
import type { AlertFacts, TextName } from "./rule/rule.ts";
import { maxText, textNames } from "./rule/rule.ts";
import type { AlertEvidence } from "./watch/evidence.ts";
import type { AlertState } from "./watch/state.ts";
import type { Transition } from "./watch/watch.ts";

type Annotations = Readonly<Record<string, string>>;

export interface NotifyOptions {
  readonly host: Pick<RuleHost, "text">;
  readonly isDisabled: (rule: CheckedRule) => boolean;
  /** A text of a rule couldn't be made. */
  readonly onFailure: (rule: CheckedRule, error: DropwatchError, at: number) => void;
  readonly evidence: (transition: Transition) => AlertEvidence | undefined;
  /** Labels that every alert has besides, where its own don't say otherwise. */
  readonly externalLabels?: Readonly<Record<string, string>> | undefined;
}

export interface Notifier {
  /** All labels of an alert, as they are sent. */
  labelsOf(rule: CheckedRule, labels: Transition["labels"]): Record<string, string>;
  /** Looks at what an alert is made of while its tick is the newest: a capture is read far ahead of texts. */
  notice(transition: Transition): void;
  message(transition: Transition): Promise<AlertMessage>;
  /** What was sent of an alert that fires; nothing is while its rule is in shadow. */
  sent(rule: CheckedRule, labels: Transition["labels"]): AlertData | undefined;
  /** What was last said of an alert that fires, in shadow too. */
  said(fingerprint: string): AlertData | undefined;
  /** Takes up what an earlier run has sent. */
  restore(rule: CheckedRule, labels: Transition["labels"], data: AlertData): void;
  /** Whether an alert that fires was made, or taken up, here. */
  isKnown(fingerprint: string): boolean;
  /** What an alert is at now; `stateOf` looks its state up. */
  now(
    fingerprint: string,
    stateOf: (
      rule: CheckedRule,
      labels: Transition["labels"],
    ) => Pick<AlertData, "value" | "peak" | "total"> | undefined,
  ): Pick<AlertData, "value" | "peak" | "total"> | undefined;
  /**
   * Alerts that fire and whose texts are of other numbers than now, a few at a time. `make` makes them anew,
   * and hands the alert over as it is then: not where it is over by then.
   */
  outdated(at: number, look: LookUp): readonly Outdated[];
  /** The end of an alert whose rule is gone, or says no more. */
  orphan(data: AlertData, at: number): AlertMessage;
}

/** The rule of a name as it is now, and what its alert with some labels is at. */
export type LookUp = (
  alert: string,
  labels: Transition["labels"],
) => { readonly rule: CheckedRule; readonly state: Readonly<AlertState> } | undefined;

export interface Outdated {
  readonly alert: string;
  make(receive: (message: AlertMessage) => void): Promise<void>;
}

/** Milliseconds for which a text is good enough, whatever the numbers are by then. */
const textsLast = 10_000;
/** By how much a value must be another one for a text to be made anew. */
const tolerance = 0.2;
/** How many alerts are looked at in a tick, and how many texts are made. */
const [looksATick, textsATick] = [200, 8];

export function makeNotifier(options: NotifyOptions): Notifier {
  /** By fingerprint. */
  const noticed = new WeakMap<Transition, AlertEvidence>();
  const fired = new Map<
    string,
    {
      readonly data: AlertData;
      readonly told: boolean;
      readonly rule: CheckedRule;
      readonly labels: Transition["labels"];
      /** When its texts were made; never again where that failed. */
      readonly madeAt: number;
    }
  >();
  /** Where the last look at what is outdated came to. */
  let looked = 0;
  /** Those whose texts are being made. */
  const making = new Set<string>();
  const labelsOf: Notifier["labelsOf"] = (rule, labels) => ({
    ...options.externalLabels,
    alertname: rule.alert,
    severity: rule.severity,
    ...rule.labels,
    ...labels,
  });
  return {
    labelsOf,
    notice(transition) {
      if (transition.change !== "firing") return;
      const evidence = options.evidence(transition);
      if (evidence !== undefined) noticed.set(transition, evidence);
    },
    isKnown: (fingerprint) => fired.has(fingerprint),
    now(fingerprint, stateOf) {
      const known = fired.get(fingerprint);
      const state = known && stateOf(known.rule, known.labels);
      return state && { value: state.value, peak: state.peak, total: state.total };
    },
    sent(rule, labels) {
      const known = fired.get(fingerprint(labelsOf(rule, labels)));
      return known?.told === true ? known.data : undefined;
    },
    said: (fingerprint) => fired.get(fingerprint)?.data,
    restore: (rule, labels, data) =>
      void fired.set(data.fingerprint, { data, told: true, rule, labels, madeAt: -Infinity }),
    outdated(at, look) {
      const all = [...fired.keys()];
      const found: Outdated[] = [];
      for (let i = 0; i < Math.min(all.length, looksATick); i++) {
        if (making.size >= textsATick) break;
        const print = all[looked++ % all.length]!;
        const known = fired.get(print)!;
        if (!known.told || making.has(print) || at - known.madeAt < textsLast) continue;
        const now = look(known.rule.alert, known.labels);
        if (now === undefined || !isOutdated(known.data, now)) continue;
        making.add(print);
        found.push({
          alert: known.rule.alert,
          async make(receive) {
            const { rule, state: { value, peak, total } } = now;
            const { labels, data: { exact, labels: whole } } = known;
            const facts = { rule, labels, value, peak, total, exact, at };
            const annotations = await annotate(facts, whole, options)
              .finally(() => making.delete(print));
            if (fired.get(print) !== known) return; // It is over.
            if (annotations["summary"] === plainSummary(rule.alert, whole)) {
              // It couldn't be made: what was said stays.
              return void fired.set(print, { ...known, madeAt: Infinity });
            }
            const data = { ...known.data, annotations, value, peak, total };
            fired.set(print, { ...known, data, madeAt: at });
            receive({ type: "alert.firing", timestamp: data.startsAt, data });
          },
        });
      }
      return found;
    },
    orphan(data, at) {
      fired.delete(data.fingerprint);
      const timestamp = new Date(at).toISOString();
      return {
        type: "alert.resolved",
        timestamp,
        data: { ...data, status: "resolved", endsAt: timestamp },
      };
    },
    async message(transition) {
      const { rule, change, value, peak, total, exact, lost } = transition;
      const status = change === "firing" ? "firing" : "resolved";
      const labels = labelsOf(rule, transition.labels);
      const print = fingerprint(labels);
      // As with Prometheus, an alert that ends says what it said when it fired: "refuses 0 packets/s"
      // would tell nobody what is over.
      const before = fired.get(print)?.data;
      const evidence = before?.evidence ?? noticed.get(transition) ??
        options.evidence(transition) ?? {};
      const annotations = before?.annotations ?? await annotate(transition, labels, options);
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
        ...("health" in streamsOf(rule.condition)[0].stream ? { of: "health" } : {}),
        startsAt: new Date(transition.since).toISOString(),
        endsAt: status === "resolved" ? at : null,
        fingerprint: print,
        exact,
        lost,
        evidence,
      };
      if (status === "firing") {
        fired.set(print, {
          data,
          told: rule.mode === "alert",
          rule,
          labels: transition.labels,
          madeAt: transition.at,
        });
      } else fired.delete(print);
      return { type: `alert.${status}`, timestamp: at, data };
    },
  };
}

/** Whether an alert that fires has texts of functions, and its value is another one by now. */
function isOutdated(
  { value }: AlertData,
  { rule, state }: NonNullable<ReturnType<LookUp>>,
): boolean {
  const made = textNames.some((name) =>
    rule.texts[name] !== undefined && typeof rule.texts[name] !== "string"
  );
  return made && rule.mode === "alert" && state.state === "firing" &&
    Math.abs(state.value - value) > tolerance * Math.abs(value);
}

async function annotate(
  transition: Omit<Transition, "change" | "since" | "lost">,
  labels: Readonly<Record<string, string>>,
  options: NotifyOptions,
): Promise<Annotations> {
  const { rule, value, peak, total, exact, labels: own, at } = transition;
  const facts: AlertFacts = { value, peak, total, exact, labels: { ...rule.labels, ...own } };
  const annotations: { [name: string]: string } = {};
  for (const name of textNames) {
    const text = await textOf(name, rule, facts, at, options);
    if (text !== undefined) annotations[name] = text;
  }
  annotations.summary ??= plainSummary(rule.alert, labels);
  if (rule.runbook !== undefined) annotations.runbook = rule.runbook;
  return annotations;
}

/** A text of a rule; where its function fails, the alert goes out with a plain one. */
async function textOf(
  name: TextName,
  rule: CheckedRule,
  facts: AlertFacts,
  at: number,
  { host, isDisabled, onFailure }: NotifyOptions,
): Promise<string | undefined> {
  const text = rule.texts[name];
  if (text === undefined) return undefined;
  if (typeof text === "string") return text.slice(0, maxText);
  if (typeof text === "function") return text(facts).slice(0, maxText);
  if (isDisabled(rule)) return undefined;
  try {
    return await host.text(rule, name, facts);
  } catch (thrown) {
    onFailure(rule, thrown as DropwatchError, at);
    return undefined;
  }
}

// What people can look at while `watch` runs: the API, the dashboard, `top` and the metrics all read this,
// and nothing else of the pipeline.
import type { AlertData } from "../alert/alert.ts";
import type { AlertEvent } from "../alert/journal.ts";
import type { Silence, SilenceState } from "../alert/silence.ts";
import type { FieldName } from "../drop/field.ts";
import type { DropClass } from "../drop/knowledge.ts";
import type { Severity } from "../rule/rule.ts";

/** What a time brought: seen = counted + other + lost. */
export interface ViewSums {
  /** How long drops were counted. */
  readonly seconds: number;
  readonly seen: number;
  /** Under the right key for every rule that asks. */
  readonly counted: number;
  /** Belongs in a map that had no room. */
  readonly other: number;
  /** The kernel didn't run the probe, or a count never arrived. */
  readonly lost: number;
}

/** What is missing from the numbers since the start, by where it went missing. */
export interface LostByStage {
  /** Drops for which the kernel didn't run the probe. */
  readonly probe: number;
  /** Drops that a map of the kernel had no room for. */
  readonly map: number;
  /** Drops whose count never arrived from bpftrace. */
  readonly output: number;
  /** Drops that a window of a rule had no room for. */
  readonly window: number;
  /** Lines of bpftrace that couldn't be read. */
  readonly unreadable: number;
  /** Seconds in which nobody counted. */
  readonly gapSeconds: number;
}

/** What a process of ours uses. */
export interface ProcessCost {
  /** `dropwatch`, the source's (`bpftrace`), or `rules`: those that run what rules are made of. */
  readonly name: string;
  readonly processes: number;
  /** Seconds of CPU since the start, of those that are gone too. */
  readonly cpuSeconds: number;
  /** Cores in use over the last seconds: 0.02 is two hundredths of one. */
  readonly cpu: number;
  /** Resident memory now. */
  readonly memoryBytes: number;
}

/** What the probe in the kernel costs, where the kernel keeps count of it (kernel.bpf_stats_enabled). */
export interface ProbeCost {
  readonly runs: number;
  readonly nanoseconds: number;
}

export interface ViewCost {
  readonly processes: readonly ProcessCost[];
  /** Null where the kernel doesn't keep count. */
  readonly probe: ProbeCost | null;
}

/** How it is going. Times are ISO 8601 in UTC, durations in seconds unless said otherwise. */
export interface ViewStatus {
  readonly version: string;
  /** Another one after each start. */
  readonly instance: string;
  readonly host: string;
  readonly startedAt: string;
  readonly source: { readonly name: string; readonly title: string };
  /** `starting`: nothing was counted yet; `down`: the source doesn't count now. */
  readonly state: "starting" | "watching" | "down" | "ended";
  /** Why it doesn't do its work; empty where it does. */
  readonly trouble: string;
  /** Milliseconds between ticks. */
  readonly interval: number;
  readonly lastTickAt: string | null;
  /** How often the source was started again. */
  readonly restarts: number;
  /** Since the start. */
  readonly sums: ViewSums;
  /** Over the last minute. */
  readonly recent: ViewSums;
  readonly lost: LostByStage;
  readonly cost: ViewCost;
  readonly rules: {
    readonly loaded: number;
    readonly disabled: number;
    /** Files that can't be loaded as they are now. */
    readonly broken: number;
  };
  readonly alerts: {
    readonly firing: number;
    readonly pending: number;
    /** Firing, and kept quiet. */
    readonly suppressed: number;
  };
  readonly outbox: { readonly pending: number; readonly dead: number };
  readonly sinks: readonly string[];
  readonly history: {
    /** The fields that the history tells drops apart by, in the order of `ViewTick.drops`. */
    readonly fields: readonly FieldName[];
    /** From when on there are seconds, and minutes; null where there are none yet. */
    readonly secondsFrom: string | null;
    readonly minutesFrom: string | null;
    /** Whether it survives a restart. */
    readonly kept: boolean;
  };
}

/** A label of the history; null where drops weren't told apart, because there were too many keys. */
export type HistoryLabel = string | null;

/** A tick as those who look live get it. */
export interface ViewTick {
  /** Milliseconds since 1970; the tick is the time before. */
  readonly at: number;
  readonly seconds: number;
  readonly seen: number;
  readonly counted: number;
  readonly other: number;
  readonly lost: number;
  /** Why drops aren't counted; null where they are. */
  readonly gap: string | null;
  /** Drops by the labels of `history.fields`, the most first: [labels, drops]. */
  readonly drops: readonly (readonly [labels: readonly HistoryLabel[], drops: number])[];
  /** Cores and bytes that all our processes use. */
  readonly cost: { readonly cpu: number; readonly memoryBytes: number };
}

/** What of the history is asked for. Times in milliseconds since 1970. */
export interface DropsQuery {
  /** Any of the fields that the history tells apart; none for one series of all. */
  readonly by: readonly FieldName[];
  /** Only drops that have one of these labels, for each field. */
  readonly where: Readonly<Record<string, readonly HistoryLabel[]>>;
  readonly from: number;
  readonly to: number;
  /** Milliseconds of one value; where it is left out some 600 values come. At least a second. */
  readonly step?: number | undefined;
  /** How many series; what else there is, is in `rest`. */
  readonly limit: number;
}

export interface DropSeries {
  readonly labels: Readonly<Record<string, HistoryLabel>>;
  /** Drops in the whole time. */
  readonly total: number;
  /** Drops a second, one for each step; null where nobody counted. */
  readonly values: readonly (number | null)[];
}

/** The drops of a time. `values[i]` is what was counted from `from + i * step` to `from + (i + 1) * step`. */
export interface Drops {
  readonly by: readonly FieldName[];
  readonly from: number;
  readonly to: number;
  readonly step: number;
  /** For how much of the time drops were counted. */
  readonly seconds: number;
  /** The one with the most drops first. */
  readonly series: readonly DropSeries[];
  /** What is in none of `series`, because they would be too many; null where that is nothing. */
  readonly rest: DropSeries | null;
  /** How many series `rest` is made of. */
  readonly restSeries: number;
  /** Drops that fit `where`, counted as they should be. */
  readonly total: number;
  /**
   * Drops of the time that are known to be missing from the numbers: found no room in a map, or were
   * lost. What they were isn't known, so they are of all drops, whatever `where` says.
   */
  readonly missing: number;
  /** Of those: what found no room in a map, and what was lost. */
  readonly other: number;
  readonly lost: number;
  /** Whether the numbers are exact: nothing is missing, and somebody counted all the time. */
  readonly exact: boolean;
}

export interface StacksQuery {
  readonly where: Readonly<Record<string, readonly HistoryLabel[]>>;
  readonly from: number;
  readonly to: number;
}

/**
 * The kernel's stacks of drops. They are walked for a few drops of each kind only, the first of each
 * tick: `drops` shares out what was counted of a kind over the stacks that were kept of it.
 */
export interface Stacks {
  readonly from: number;
  readonly to: number;
  /** Drops that were counted in the time, and fit. */
  readonly total: number;
  /** Drops whose stack was walked. */
  readonly kept: number;
  /**
   * From when on stacks are kept, in milliseconds since 1970: an hour at most, and since the start. What
   * was counted earlier isn't in `total`.
   */
  readonly keptFrom: number | null;
  readonly stacks: readonly {
    readonly reason: string;
    /** Outermost function first. */
    readonly frames: readonly string[];
    readonly kept: number;
    readonly drops: number;
  }[];
}

/** An alert, or what may become one. */
export interface ViewAlert extends
  Pick<
    AlertData,
    | "alert"
    | "fingerprint"
    | "severity"
    | "labels"
    | "annotations"
    | "value"
    | "peak"
    | "total"
    | "startsAt"
    | "endsAt"
    | "exact"
    | "lost"
    | "evidence"
  > {
  readonly state: "pending" | "firing" | "resolved";
  /** Whether it is about dropwatch itself, not about drops. */
  readonly health: boolean;
  /** Its rule is tried out: nobody is told. */
  readonly shadow: boolean;
  /** The silences that keep it quiet, by id. */
  readonly silencedBy: readonly string[];
  /** The alerts that keep it quiet, by fingerprint. */
  readonly inhibitedBy: readonly string[];
}

/** What became of an alert, the oldest first. */
export type ViewTimeline = readonly AlertEvent[];

export interface ViewRule {
  readonly alert: string;
  /** Empty for those that dropwatch brings for itself. */
  readonly file: string;
  readonly line: number;
  readonly severity: Severity;
  readonly by: readonly string[];
  readonly state: "inactive" | "pending" | "firing" | "disabled";
  readonly pending: number;
  readonly firing: number;
  /** Drops that matched since the start. */
  readonly total: number;
  readonly shadow: boolean;
  /** What runs where, a line each, as `dropwatch explain` has it. */
  readonly plan: readonly string[];
  /** Why its code isn't run any more; empty where it is. */
  readonly why: string;
}

/** A file that can't be loaded as it is now; what it was before goes on. */
export interface ViewRuleError {
  readonly code: string;
  readonly file: string;
  readonly line: number | null;
  readonly column: number | null;
  readonly message: string;
}

export interface ViewRules {
  readonly rules: readonly ViewRule[];
  readonly errors: readonly ViewRuleError[];
  /** When they were loaded last; ISO 8601. */
  readonly loadedAt: string;
  /** What all of it costs a packet, in words. */
  readonly cost: string;
}

/** A reason of this kernel, and what it means. */
export interface ViewReason {
  readonly reason: string;
  readonly id: number;
  readonly subsystem: string;
  readonly class: DropClass;
  /** What it means, in a sentence; empty where nothing is known of it. */
  readonly means: string;
  /** Usual causes, the most common first. */
  readonly causes: readonly string[];
  /** Command lines that confirm it. */
  readonly confirm: readonly string[];
  /** What to change. */
  readonly change: readonly string[];
  /** Drops since the start. */
  readonly drops: number;
}

export interface ViewSilence extends Omit<Silence, "matchers" | "startsAt" | "endsAt"> {
  readonly state: SilenceState;
  /** As people write them: `alertname="X"`. */
  readonly matchers: readonly string[];
  /** ISO 8601. */
  readonly startsAt: string;
  readonly endsAt: string;
}

/** What makes a silence. */
export interface NewSilence {
  /** As people write them: `alertname="X"`, `dev=~"eth.*"`. */
  readonly matchers: readonly string[];
  /** Milliseconds. */
  readonly duration: number;
  readonly createdBy: string;
  readonly comment: string;
}

export interface ViewMessage {
  readonly id: string;
  readonly sink: string;
  readonly state: "pending" | "dead";
  /** What it tells of, in a line. */
  readonly title: string;
  readonly createdAt: string;
  readonly attempts: number;
  /** When it is tried next; null where it was given up. */
  readonly nextAt: string | null;
  /** Why the last attempt failed; empty before. */
  readonly error: string;
}

/** Something that those who look live are told of. */
export type ViewEvent =
  | { readonly event: "tick"; readonly data: ViewTick }
  /** An alert began to be pending or to fire, or is over, or what it says has changed. */
  | { readonly event: "alert"; readonly data: ViewAlert }
  /** What was read of these before is not so any more. */
  | { readonly event: "changed"; readonly data: { readonly what: readonly Changeable[] } };

export type Changeable = "status" | "rules" | "silences" | "outbox" | "alerts";

/** What can be looked at, and the little that can be done. All of it is bounded. */
export interface View {
  status(): ViewStatus;
  /** The little of it that tells whether it works, for who asks often. */
  readiness(): Pick<ViewStatus, "state" | "trouble" | "lastTickAt">;
  /** @throws DropwatchError BAD_QUERY where a field isn't kept, or times make no sense. */
  drops(query: DropsQuery): Drops;
  /** @throws DropwatchError BAD_QUERY. */
  stacks(query: StacksQuery): Stacks;
  /** Those that are pending or fire, the worst first, and then the last that are over. */
  alerts(): readonly ViewAlert[];
  alert(fingerprint: string): ViewAlert | undefined;
  /** Empty where nothing is known of such an alert. */
  timeline(fingerprint: string): ViewTimeline;
  rules(): ViewRules;
  reasons(): readonly ViewReason[];
  /** Those that are over for long are left out. */
  silences(): readonly ViewSilence[];
  /** @throws DropwatchError BAD_MATCHER, BAD_SILENCE. */
  addSilence(silence: NewSilence): ViewSilence;
  /** Ends one now; undefined where there is none with that id. */
  expireSilence(id: string): ViewSilence | undefined;
  outbox(): readonly ViewMessage[];
  /** Sends a message once more, or forgets it; false where there is none with that id. */
  retryMessage(id: string): boolean;
  dropMessage(id: string): boolean;
  /** Totals since the start by reason, device and class, for metrics; what is too much is under null. */
  totals(): readonly ViewTotal[];
  /** Calls with what happens from now on; returns what ends that. */
  subscribe(listener: (event: ViewEvent) => void): () => void;
}

export interface ViewTotal {
  /** Null where there are too many to be told apart. */
  readonly reason: HistoryLabel;
  readonly dev: HistoryLabel;
  readonly class: DropClass;
  readonly drops: number;
}

// What the API takes and answers, as schemas: held to the types of core/view/view.ts in both directions,
// so that neither has what the other lacks.
import * as v from "valibot";
import type { AlertEvent, EventKind } from "../../core/alert/journal.ts";
import type { SilenceState } from "../../core/alert/silence.ts";
import type { AlertEvidence } from "../../core/watch/evidence.ts";
import { fieldNames } from "../../core/drop/field.ts";
import type { FieldName } from "../../core/drop/field.ts";
import type { DropClass } from "../../core/drop/knowledge.ts";
import { isDuration, milliseconds } from "../../core/rule/duration.ts";
import type {
  Changeable,
  Drops,
  NewSilence,
  Stacks,
  ViewAlert,
  ViewMessage,
  ViewReason,
  ViewRules,
  ViewSilence,
  ViewStatus,
  ViewTick,
} from "../../core/view/view.ts";

/** A schema whose output is T, whatever it is given. */
export type Schema<T = unknown> = v.GenericSchema<unknown, T>;

// --- that the types and the schemas are the same ---

/** A type without `readonly` and without the seams of intersections. */
type Plain<T> = T extends object ? { -readonly [K in keyof T]: Plain<T[K]> } : T;
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;

/** The schema itself, where its output and T are the same type; else it doesn't compile. */
function exactly<T>(): <S extends v.GenericSchema<unknown, unknown>>(
  schema: Same<Plain<v.InferOutput<S>>, Plain<T>> extends true ? S : never,
) => Schema<T> {
  return (schema) => schema as unknown as Schema<T>;
}

// --- parts ---

const number = (doc: string) => v.pipe(v.number(), v.description(doc));
const text = (doc: string) => v.pipe(v.string(), v.description(doc));
const time = (doc: string) => v.pipe(v.string(), v.description(`${doc}; ISO 8601 in UTC`));
const flag = (doc: string) => v.pipe(v.boolean(), v.description(doc));
const texts = v.array(v.string());

const field: Schema<FieldName> = exactly<FieldName>()(v.picklist(fieldNames));
const dropClass = exactly<DropClass>()(
  v.picklist(["fault", "policy", "teardown", "normal", "unknown"]),
);
const severity = v.picklist(["critical", "warning", "info"]);
const label = v.pipe(
  v.nullable(v.string()),
  v.description("null where drops weren't told apart, because there were too many keys"),
);

const sums = v.object({
  seconds: number("How long drops were counted"),
  seen: number("counted + other + lost"),
  counted: number("Under the right key for every rule that asks"),
  other: number("Belongs in a map that had no room"),
  lost: number("The kernel didn't run the probe, or a count never arrived"),
});

// --- answers ---

/** GET /api/v1/status. */
export const StatusSchema: Schema<ViewStatus> = exactly<ViewStatus>()(v.object({
  version: v.string(),
  instance: text("Another one after each start"),
  host: v.string(),
  startedAt: time("When it was started"),
  source: v.object({ name: v.string(), title: v.string() }),
  state: v.picklist(["starting", "watching", "down", "ended"]),
  trouble: text("Why it doesn't do its work; empty where it does"),
  interval: number("Milliseconds between ticks"),
  lastTickAt: v.nullable(time("When the last tick was")),
  restarts: number("How often the source was started again"),
  sums: v.pipe(sums, v.description("Since the start")),
  recent: v.pipe(sums, v.description("Over the last minute")),
  lost: v.object({
    probe: number("Drops for which the kernel didn't run the probe"),
    map: number("Drops that a map of the kernel had no room for"),
    output: number("Drops whose count never arrived from bpftrace"),
    window: number("Drops that a window of a rule had no room for"),
    unreadable: number("Lines of bpftrace that couldn't be read"),
    gapSeconds: number("Seconds in which nobody counted"),
  }),
  cost: v.object({
    processes: v.array(v.object({
      name: v.string(),
      processes: v.number(),
      cpuSeconds: number("Seconds of CPU since the start"),
      cpu: number("Cores in use over the last seconds"),
      memoryBytes: number("Resident memory now"),
    })),
    probe: v.nullable(v.object({ runs: v.number(), nanoseconds: v.number() })),
  }),
  rules: v.object({
    loaded: v.number(),
    disabled: v.number(),
    broken: number("Files that can't be loaded as they are now"),
  }),
  alerts: v.object({
    firing: v.number(),
    pending: v.number(),
    suppressed: number("Firing, and kept quiet"),
  }),
  outbox: v.object({ pending: v.number(), dead: v.number() }),
  sinks: texts,
  history: v.object({
    fields: v.array(field),
    secondsFrom: v.nullable(time("From when on there are seconds")),
    minutesFrom: v.nullable(time("From when on there are minutes")),
    kept: flag("Whether it survives a restart"),
  }),
}));

const series = v.object({
  labels: v.record(v.string(), label),
  total: number("Drops in the whole time"),
  values: v.pipe(
    v.array(v.nullable(v.number())),
    v.description("Drops a second, one for each step; null where nobody counted"),
  ),
});

/** GET /api/v1/drops. */
export const DropsSchema: Schema<Drops> = exactly<Drops>()(v.object({
  by: v.array(field),
  from: number("Milliseconds since 1970"),
  to: number("Milliseconds since 1970"),
  step: number("Milliseconds of one value"),
  seconds: number("For how much of the time drops were counted"),
  series: v.pipe(v.array(series), v.description("The one with the most drops first")),
  rest: v.pipe(
    v.nullable(series),
    v.description("What is in none of `series`, because they would be too many"),
  ),
  restSeries: number("How many series `rest` is made of"),
  total: number("Drops that fit, counted as they should be"),
  missing: number("Drops of the time that are known to be missing from the numbers, of all kinds"),
  other: number("Of those, what found no room in a map of the kernel"),
  lost: number("Of those, what the probe wasn't run for, or whose count never arrived"),
  exact: flag("Nothing is missing, and somebody counted all the time"),
}));

/** GET /api/v1/stacks. */
export const StacksSchema: Schema<Stacks> = exactly<Stacks>()(v.object({
  from: number("Milliseconds since 1970"),
  to: number("Milliseconds since 1970"),
  total: number("Drops that were counted in the time, and fit"),
  kept: number("Drops whose stack was walked"),
  keptFrom: v.nullable(number("From when on stacks are kept; earlier drops aren't in `total`")),
  stacks: v.array(v.object({
    reason: v.string(),
    frames: v.pipe(texts, v.description("Outermost function first")),
    kept: v.number(),
    drops: number("What was counted of the kind, shared out over its stacks"),
  })),
}));

const flow = v.object({
  l4: v.string(),
  saddr: v.string(),
  sport: v.string(),
  daddr: v.string(),
  dport: v.string(),
  dev: v.string(),
  drops: v.number(),
});

const evidence = exactly<Partial<AlertEvidence>>()(v.object({
  kept: v.exactOptional(number("How many of the alert's drops were kept")),
  ownerKnown: v.exactOptional(v.boolean()),
  owners: v.exactOptional(
    v.array(v.object({ owner: v.string(), pid: v.string(), drops: v.number() })),
  ),
  site: v.exactOptional(text("The function that decided")),
  at: v.exactOptional(v.string()),
  source: v.exactOptional(v.string()),
  flows: v.exactOptional(v.array(flow)),
  stacks: v.exactOptional(v.array(v.object({
    stack: v.pipe(texts, v.description("Innermost function first")),
    drops: v.number(),
  }))),
  listeners: v.exactOptional(v.array(v.object({
    l4: v.string(),
    port: v.string(),
    netns: v.string(),
    owner: v.string(),
    pid: v.string(),
    lastSeen: time("When it was last seen to listen"),
  }))),
  reasons: v.exactOptional(v.array(v.object({
    reason: v.string(),
    class: v.string(),
    means: v.string(),
    drops: v.number(),
  }))),
  tcp: v.exactOptional(v.object({ kept: v.number(), retransmitted: v.number() })),
  counters: v.exactOptional(v.array(v.object({
    reason: v.string(),
    counted: number("Drops of the reason that dropwatch counted"),
    kernel: number("Growth of the kernel's counters in the same time"),
    agrees: v.boolean(),
    seconds: v.number(),
    names: texts,
    less: texts,
    grew: v.array(v.object({ netns: v.string(), name: v.string(), by: v.number() })),
    note: v.string(),
  }))),
}));

/** An alert, in answers and in events. */
export const AlertSchema: Schema<ViewAlert> = exactly<ViewAlert>()(v.object({
  alert: v.string(),
  fingerprint: v.string(),
  severity,
  labels: v.record(v.string(), v.string()),
  annotations: v.record(v.string(), v.string()),
  value: number("The condition's value now"),
  peak: number("Its largest value since it began"),
  total: number("How many drops matched since it began"),
  startsAt: time("When it began"),
  endsAt: v.nullable(time("When it was over")),
  exact: flag('False where the numbers are "at least"'),
  lost: number("Drops of the window that are known to be missing from the numbers"),
  evidence,
  state: v.picklist(["pending", "firing", "resolved"]),
  health: flag("Whether it is about dropwatch itself, not about drops"),
  shadow: flag("Its rule is tried out: nobody is told"),
  silencedBy: v.pipe(texts, v.description("Ids of silences")),
  inhibitedBy: v.pipe(texts, v.description("Fingerprints of alerts")),
}));

/** GET /api/v1/alerts. */
export const AlertsSchema: Schema<{ readonly alerts: readonly ViewAlert[] }> = v.object({
  alerts: v.array(AlertSchema),
});

const eventKinds = [
  "fired",
  "resolved",
  "grouped",
  "inhibited",
  "silenced",
  "muted",
  "told again",
  "flapping",
  "steady",
  "queued",
  "replaced",
  "failed",
  "delivered",
  "dead",
  "dropped",
] as const;

const alertEvent = exactly<AlertEvent>()(v.object({
  at: number("Milliseconds since 1970"),
  kind: exactly<EventKind>()(v.picklist(eventKinds)),
  fingerprint: text("Of the alert that it is about; empty where it is about a message"),
  message: text("The id of the message that it is about; empty where there is none"),
  sink: v.string(),
  text: text("What and why, in words"),
}));

/** GET /api/v1/alerts/{fingerprint}. */
export const AlertStorySchema: Schema<
  { readonly alert: ViewAlert | null; readonly timeline: readonly AlertEvent[] }
> = v.object({
  alert: v.nullable(AlertSchema),
  timeline: v.pipe(v.array(alertEvent), v.description("The oldest first")),
});

/** GET /api/v1/rules. */
export const RulesSchema: Schema<ViewRules> = exactly<ViewRules>()(v.object({
  rules: v.array(v.object({
    alert: v.string(),
    file: text("Empty for those that dropwatch brings for itself"),
    line: v.number(),
    severity,
    by: texts,
    state: v.picklist(["inactive", "pending", "firing", "disabled"]),
    pending: v.number(),
    firing: v.number(),
    total: number("Drops that matched since the start"),
    shadow: v.boolean(),
    plan: v.pipe(texts, v.description("What runs where, a line each")),
    why: text("Why its code isn't run any more; empty where it is"),
  })),
  errors: v.array(v.object({
    code: v.string(),
    file: v.string(),
    line: v.nullable(v.number()),
    column: v.nullable(v.number()),
    message: v.string(),
  })),
  loadedAt: time("When they were loaded last"),
  cost: text("What all of it costs a packet, in words"),
}));

/** GET /api/v1/reasons/{name}. */
export const ReasonSchema: Schema<ViewReason> = exactly<ViewReason>()(v.object({
  reason: v.string(),
  id: v.number(),
  subsystem: v.string(),
  class: dropClass,
  means: text("What it means, in a sentence; empty where nothing is known of it"),
  causes: v.pipe(texts, v.description("Usual causes, the most common first")),
  confirm: v.pipe(texts, v.description("Command lines that confirm it")),
  change: v.pipe(texts, v.description("What to change")),
  drops: number("Since the start"),
}));

/** GET /api/v1/reasons. */
export const ReasonsSchema: Schema<{ readonly reasons: readonly ViewReason[] }> = v.object({
  reasons: v.array(ReasonSchema),
});

/** A silence as it is now. */
export const SilenceSchema: Schema<ViewSilence> = exactly<ViewSilence>()(v.object({
  id: v.string(),
  createdBy: v.string(),
  comment: v.string(),
  state: exactly<SilenceState>()(v.picklist(["pending", "active", "expired"])),
  matchers: v.pipe(texts, v.description('As people write them: `alertname="X"`')),
  startsAt: time("When it begins"),
  endsAt: time("When it is over"),
}));

/** GET /api/v1/silences. */
export const SilencesSchema: Schema<{ readonly silences: readonly ViewSilence[] }> = v.object({
  silences: v.array(SilenceSchema),
});

const message: Schema<ViewMessage> = exactly<ViewMessage>()(v.object({
  id: v.string(),
  sink: v.string(),
  state: v.picklist(["pending", "dead"]),
  title: text("What it tells of, in a line"),
  createdAt: time("When it was made"),
  attempts: v.number(),
  nextAt: v.nullable(time("When it is tried next")),
  error: text("Why the last attempt failed; empty before"),
}));

/** GET /api/v1/outbox. */
export const OutboxSchema: Schema<{ readonly messages: readonly ViewMessage[] }> = v.object({
  messages: v.array(message),
});

/** What was done with a message of the outbox. */
export const DoneSchema: Schema<{ readonly id: string }> = v.object({ id: v.string() });

/** GET /readyz; why it isn't is told to those who may ask. */
export const ReadySchema: Schema<
  { readonly ready: boolean; readonly state?: ViewStatus["state"]; readonly trouble?: string }
> = v.object({
  ready: flag("Whether drops are counted"),
  state: v.exactOptional(v.picklist(["starting", "watching", "down", "ended"])),
  trouble: v.exactOptional(v.string()),
});

/** Every error. */
export const ErrorSchema: Schema<
  { readonly error: { readonly code: string; readonly message: string } }
> = v.object({
  error: v.object({
    code: text("Stays the same while the words may change; docs/errors.md has them"),
    message: v.string(),
  }),
});

// --- events ---

/** `event: tick`. */
export const TickSchema: Schema<ViewTick> = exactly<ViewTick>()(v.object({
  at: number("Milliseconds since 1970; the tick is the time before"),
  seconds: v.number(),
  seen: v.number(),
  counted: v.number(),
  other: v.number(),
  lost: v.number(),
  gap: v.pipe(
    v.nullable(v.string()),
    v.description("Why drops aren't counted; null where they are"),
  ),
  drops: v.pipe(
    v.array(v.tuple([v.array(label), v.number()])),
    v.description("[labels of the fields of `hello`, drops], the most first"),
  ),
  cost: v.object({ cpu: v.number(), memoryBytes: v.number() }),
}));

/** `event: hello`: which run this is, and what labels ticks have. */
export interface Hello {
  readonly instance: string;
  readonly fields: readonly FieldName[];
}

export const HelloSchema: Schema<Hello> = exactly<Hello>()(v.object({
  instance: v.string(),
  fields: v.array(field),
}));

/** `event: changed`: what was read of these before is not so any more. */
export const ChangedSchema: Schema<{ readonly what: readonly Changeable[] }> = exactly<
  { readonly what: readonly Changeable[] }
>()(v.object({
  what: v.array(v.picklist(["status", "rules", "silences", "outbox", "alerts"])),
}));

/** `event: reset`: what you have is old, read all again. */
export const ResetSchema: Schema<Readonly<Record<string, never>>> = v.strictObject({});

// --- what is sent ---

const duration = v.pipe(
  v.union([
    v.pipe(v.number(), v.integer(), v.minValue(1), v.description("Milliseconds")),
    v.pipe(
      v.string(),
      v.maxLength(100),
      v.regex(/^(\d+d)?(\d+h)?(\d+m)?(\d+(\.\d+)?s)?(\d+ms)?$/, 'expected a duration, as "2h"'),
      v.check(isDuration, 'expected a duration, as "2h"'),
    ),
  ], 'expected a duration, as "2h", or milliseconds'),
  v.transform((given) => typeof given === "number" ? given : milliseconds(given)),
);

/** The entries of an object that is sent: what it has beside these is an error. */
export type Body<T> = Schema<T> & { readonly entries: Readonly<Record<string, unknown>> };

const newSilence = v.strictObject({
  matchers: v.pipe(v.array(v.pipe(v.string(), v.maxLength(1000))), v.minLength(1), v.maxLength(50)),
  duration,
  createdBy: v.optional(v.pipe(v.string(), v.maxLength(1000)), "API"),
  comment: v.optional(v.pipe(v.string(), v.maxLength(1000)), ""),
});

/** POST /api/v1/silences. */
export const NewSilenceSchema: Body<NewSilence> = Object.assign(
  exactly<NewSilence>()(newSilence),
  { entries: newSilence.entries },
);

const login = v.strictObject({ token: v.pipe(v.string(), v.maxLength(512)) });

/** POST /login. */
export const LoginSchema: Body<{ readonly token: string }> = Object.assign(
  exactly<{ readonly token: string }>()(login),
  { entries: login.entries },
);

// Silences, as Alertmanager's: for some time nobody is told of what they match.
import * as v from "valibot";
import { badSilence } from "../error.ts";
import { parseMatcher, showMatchers, testOfAll } from "./matcher.ts";
import type { LabelTest, Matcher } from "./matcher.ts";
import type { Labels } from "./notification.ts";

/** A silence. Times in milliseconds since 1970. */
export interface Silence {
  readonly id: string;
  readonly matchers: readonly Matcher[];
  readonly startsAt: number;
  readonly endsAt: number;
  readonly createdBy: string;
  readonly comment: string;
}

export type SilenceState = "pending" | "active" | "expired";

/** How many there may be that aren't over. */
export const mostSilences = 1000;
/** How long one that is over can still be looked at, in milliseconds. */
export const silenceRetention: number = 5 * 86_400_000;
const longestText = 1000;
/** Milliseconds: ten years. */
const longestDuration = 3650 * 86_400_000;

export function silenceState({ startsAt, endsAt }: Silence, now: number): SilenceState {
  return now >= endsAt ? "expired" : now >= startsAt ? "active" : "pending";
}

const MatcherSchema: v.GenericSchema<unknown, Matcher> = v.object({
  name: v.string(),
  op: v.picklist(["=", "!=", "=~", "!~"]),
  value: v.string(),
});

/** What a date can be. */
const Time = v.pipe(v.number(), v.minValue(0), v.maxValue(8.64e15));

/** A silence as it is kept. */
export const SilenceSchema: v.GenericSchema<unknown, Silence> = v.object({
  id: v.string(),
  matchers: v.pipe(v.array(MatcherSchema), v.minLength(1)),
  startsAt: Time,
  endsAt: Time,
  createdBy: v.string(),
  comment: v.string(),
});

/**
 * Makes a silence of what people write; `duration` in milliseconds.
 *
 * @throws DropwatchError BAD_MATCHER, BAD_SILENCE.
 */
export function makeSilence(
  { id, matchers, startsAt, duration, createdBy, comment }: {
    readonly id: string;
    readonly matchers: readonly string[];
    readonly startsAt: number;
    readonly duration: number;
    readonly createdBy: string;
    readonly comment: string;
  },
): Silence {
  const parsed = matchers.map(parseMatcher);
  if (parsed.length === 0) throw badSilence("it needs a matcher");
  // As with Alertmanager: what matches alerts without any label would silence everything.
  if (testOfAll(parsed)({})) {
    throw badSilence(`${showMatchers(parsed)} matches every alert: one must ask for a value`);
  }
  if (!(duration > 0 && duration <= longestDuration)) {
    throw badSilence("it lasts ten years at most");
  }
  for (const [name, text] of [["author", createdBy], ["comment", comment]] as const) {
    if (text.length > longestText) {
      throw badSilence(`its ${name} is longer than ${longestText} characters`);
    }
  }
  return { id, matchers: parsed, startsAt, endsAt: startsAt + duration, createdBy, comment };
}

/** The silences of a run, and which of them an alert lies under. */
export interface Silencer {
  readonly all: readonly Silence[];
  set(silences: readonly Silence[]): void;
  /** The active silences that match. */
  of(labels: Labels, now: number): Silence[];
}

export function makeSilencer(): Silencer {
  let all: readonly Silence[] = [];
  let tests: { readonly silence: Silence; readonly test: LabelTest }[] = [];
  return {
    get all() {
      return all;
    },
    set(silences) {
      all = silences;
      tests = silences.map((silence) => ({ silence, test: testOfAll(silence.matchers) }));
    },
    of: (labels, now) =>
      tests.filter(({ silence, test }) => silenceState(silence, now) === "active" && test(labels))
        .map(({ silence }) => silence),
  };
}

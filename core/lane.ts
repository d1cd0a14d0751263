// The rules of one file whose code has to be run for each tick: filters, `each`, `tick`. They have a
// watch and a queue of ticks of their own, so that what one of them does delays nobody else.
import { codeFailed, reasonOf, tooSlow } from "./error.ts";
import type { DropwatchError } from "./error.ts";
import type { CheckedRule } from "./rule/checked.ts";
import type { RuleHost } from "./rule/host.ts";
import type { Happened } from "./watch/health.ts";
import type { Tick } from "./watch/tick.ts";
import type { Transition, Watch } from "./watch/watch.ts";

/** How many ticks may wait for code; what comes beyond them is given up. */
const mostWaiting = 30;
/** From so many on, whoever can wait with the next one is asked to. */
const manyWaiting = 8;

export interface LaneOptions {
  /** What runs the code; a process of its own, or in a test of a rule this one. */
  readonly host: Pick<RuleHost, "filter" | "run">;
  /** Whether a rule's code isn't run any more. */
  readonly isDisabled: (rule: CheckedRule) => boolean;
  readonly onFailure: (rule: CheckedRule, error: DropwatchError, at: number) => void;
  readonly onTransitions: (transitions: Transition[], at: number) => void;
}

export interface Lane {
  readonly watch: Watch;
  push(tick: Tick, happened: readonly Happened[]): void;
  /** Settles when all ticks so far were judged. */
  idle(): Promise<void>;
  /** Whether so many ticks wait that the next one had better wait, too. */
  readonly busy: boolean;
  /** Puts another watch in its place, once what waits was judged. */
  replace(make: (before: Watch) => Watch): void;
}

export function makeLane(first: Watch, options: LaneOptions): Lane {
  let watch = first;
  let waiting = 0;
  let skipped = 0;
  let last: Promise<void> = Promise.resolve();
  const enqueue = (work: () => Promise<void> | void): void => {
    // A mistake costs one tick, not all that follow.
    last = last.then(work).catch((thrown) => {
      for (const rule of watch.rules) {
        options.onFailure(
          rule,
          codeFailed({ file: rule.file }, "code", reasonOf(thrown)),
          watch.memory.at ?? 0,
        );
      }
    });
  };
  return {
    get watch() {
      return watch;
    },
    push(tick, happened) {
      if (waiting >= mostWaiting) {
        if (skipped++ === 0) {
          for (const rule of watch.rules) {
            options.onFailure(rule, tooSlow({ file: rule.file }, mostWaiting), tick.at);
          }
        }
        return;
      }
      // What was given up in between nobody has judged: it is no data.
      const gap = skipped > 0
        ? { seconds: skipped * tick.seconds, why: "code of rules is too slow", over: true }
        : undefined;
      skipped = 0;
      waiting++;
      enqueue(async () => {
        try {
          await judge(watch, gap === undefined ? tick : { ...tick, gap }, happened, options);
        } finally {
          waiting--;
        }
      });
    },
    idle: () => last,
    get busy() {
      return waiting >= manyWaiting;
    },
    replace(make) {
      enqueue(() => void (watch = make(watch)));
    },
  };
}

/** Runs what a tick needs of code, and judges it. */
async function judge(
  watch: Watch,
  tick: Tick,
  happened: readonly Happened[],
  { host, isDisabled, onFailure, onTransitions }: LaneOptions,
): Promise<void> {
  const failed = new Set(watch.rules.filter(isDisabled));
  const told = new Set<CheckedRule>();
  const fail = (rule: CheckedRule, error: DropwatchError): void => {
    if (told.has(rule)) return;
    told.add(rule);
    onFailure(rule, error, tick.at);
  };
  for (const question of watch.questions(tick)) {
    const { rule, filter, values } = question;
    if (failed.has(rule)) continue;
    try {
      question.answer(await host.filter(rule, filter.index, filter.fields, values));
    } catch (thrown) {
      failed.add(rule);
      fail(rule, thrown as DropwatchError);
    }
  }
  for (const question of watch.take(tick, happened)) {
    const { rule, run } = question;
    if (failed.has(rule)) continue;
    try {
      const results = await host.run(rule, run);
      question.answer(results);
      const failure = results.find((result) => result.failure !== undefined)?.failure;
      if (failure !== undefined) {
        fail(rule, codeFailed({ file: rule.file }, "code", failure.message));
      }
    } catch (thrown) {
      failed.add(rule);
      fail(rule, thrown as DropwatchError);
    }
  }
  onTransitions(watch.judge(failed), tick.at);
}

// What a rule does wrong while it runs, and when it has done so often enough that it isn't run any
// more, until its file changes.
import type { DropwatchError } from "../error.ts";
import type { Happened } from "../watch/health.ts";
import type { CheckedRule } from "./checked.ts";

/** Within how long offences add up, in milliseconds. */
const memory = 600_000;
/** How many there may be; those that end a process of rules delay others. */
const most = { grave: 3, light: 10 };
const grave = new Set(["RULE_HUNG", "RULE_CRASHED", "RULE_TOO_LARGE", "RULE_FLOODS"]);

export interface Offences {
  /** Takes note of one at `at`, in milliseconds since 1970; true where the rule is disabled by it. */
  note(rule: CheckedRule, error: DropwatchError, at: number): boolean;
  /** Whether a rule's code isn't run any more. */
  isDisabled(rule: CheckedRule): boolean;
  /** The code of the error for which it isn't; undefined where it is run. */
  why(rule: CheckedRule): string | undefined;
  /** What happened since the last call, and what still is so. */
  take(): Happened[];
  /** Forgets rules that there are no more. */
  keep(rules: readonly CheckedRule[]): void;
}

interface Record {
  readonly rule: CheckedRule;
  readonly times: { readonly at: number; readonly grave: boolean }[];
  disabled: string | undefined;
}

export function makeOffences(): Offences {
  const records = new Map<string, Record>();
  const keyOf = ({ bundle, index }: CheckedRule): string => `${bundle}/${index}`;
  let happened: Happened[] = [];
  return {
    note(rule, error, at) {
      const { alert, file } = rule;
      happened.push({ event: "ruleError", rule: alert, file, why: error.code, n: 1 });
      const key = keyOf(rule);
      let record = records.get(key);
      if (record === undefined) {
        records.set(key, record = { rule, times: [], disabled: undefined });
      }
      const { times } = record;
      times.push({ at, grave: grave.has(error.code) });
      while (times[0]!.at < at - memory) times.shift();
      const graves = times.filter((each) => each.grave).length;
      if (record.disabled !== undefined) return false;
      if (graves < most.grave && times.length < most.light) return false;
      record.disabled = error.code;
      return true;
    },
    isDisabled: (rule) => records.get(keyOf(rule))?.disabled !== undefined,
    why: (rule) => records.get(keyOf(rule))?.disabled,
    take() {
      const taken = happened;
      happened = [];
      for (const { rule: { alert, file }, disabled } of records.values()) {
        if (disabled === undefined) continue;
        taken.push({ event: "ruleDisabled", rule: alert, file, why: disabled, n: 1 });
      }
      return taken;
    },
    keep(rules) {
      const keys = new Set(rules.map(keyOf));
      for (const key of records.keys()) if (!keys.has(key)) records.delete(key);
    },
  };
}

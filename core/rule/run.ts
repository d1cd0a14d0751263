// Runs the code of a rule: its filters, its texts, its `each` and `tick`. In the rule host that is a
// process of its own; in a test of a rule it is the test's.
import type { CodeKey, CodeResult, CodeRun, KeptState } from "./host_message.ts";
import { longestState } from "./host_message.ts";
import { queriesOf } from "./query.ts";
import type { Facts } from "./query.ts";
import { maxText } from "./rule.ts";
import type { AlertFacts, Rule, RuleContext, Sample, StateOptions, TextName } from "./rule.ts";
import { describeThrown } from "./thrown.ts";

// As they were before any rule ran: one that changes them mustn't read or write what is others'.
const { parse, stringify } = JSON;

/** A text of an alert. */
export function makeText(rule: Rule | undefined, name: TextName, alert: AlertFacts): string {
  const make = rule?.texts[name];
  if (make === undefined) throw new Error(`the rule has no function ${name}`);
  const made: unknown = make(alert);
  if (typeof made !== "string") throw new TypeError(`${name} returned no text`);
  return made.slice(0, maxText);
}

/** Which of some combinations of values a filter keeps. */
export function runFilter(
  rule: Rule | undefined,
  filter: number,
  fields: readonly string[],
  values: readonly (readonly string[])[],
): boolean[] {
  const { when, on } = rule?.data ?? {};
  const queries = when !== undefined ? queriesOf(when) : on === undefined ? [] : [on];
  const keep = queries.flatMap(({ filters }) => filters)[filter]?.keep;
  if (keep === undefined) throw new Error(`the rule has no filter ${filter}`);
  return values.map((labels) => {
    const kept: unknown = keep(factsOf(fields, labels));
    if (typeof kept !== "boolean") {
      throw new TypeError("the filter returned neither true nor false");
    }
    return kept;
  });
}

/** Runs `each` and `tick` for combinations of labels. What one of them throws is its own. */
export function runCode(rule: Rule | undefined, run: CodeRun, bundle: RegExp): CodeResult[] {
  if (rule === undefined) throw new Error("the rule isn't loaded");
  return run.keys.map((key) => {
    try {
      return runKey(rule, run, key);
    } catch (thrown) {
      const { active, value } = key;
      return { active, value, failure: describeThrown(thrown, bundle) };
    }
  });
}

function runKey({ code }: Rule, run: CodeRun, key: CodeKey): CodeResult {
  const { state: options, each, tick } = code;
  let { active, value } = key;
  const context: RuleContext<object, string> = {
    labels: factsOf(run.by, key.labels),
    state: stateOf(options, key.state),
    now: run.now,
    fire(now = 1) {
      if (!Number.isFinite(now)) throw new TypeError("fire() takes a number");
      active = true;
      value = now;
    },
    resolve() {
      active = false;
      value = 0;
    },
  };
  for (const [labels, count] of key.samples) {
    const sample = { ...factsOf(run.fields, labels), count } as Sample<string>;
    const returned: unknown = each?.(sample, context);
    refusePromise("each", returned);
  }
  if (run.tick) refusePromise("tick", tick?.(context));
  return { ...changeOf(options, key.state, context.state), active, value };
}

/** An async function would go on after its answer, and nobody would hear what it fails with. */
function refusePromise(name: string, returned: unknown): void {
  if (returned instanceof Promise) throw new TypeError(`${name} must not be async`);
}

function stateOf(options: StateOptions<object> | undefined, kept: KeptState | undefined): object {
  if (options === undefined) return {};
  if (kept === undefined) return plainObject("init", options.init());
  const before: unknown = parse(kept.json);
  if (kept.version === options.version) return before as object;
  return options.migrate === undefined
    ? plainObject("init", options.init())
    : plainObject("migrate", options.migrate(before, kept.version));
}

function plainObject(name: string, returned: unknown): object {
  refusePromise(name, returned);
  if (typeof returned === "object" && returned !== null) return returned;
  throw new TypeError(`${name} returned no object`);
}

function changeOf(
  options: StateOptions<object> | undefined,
  kept: KeptState | undefined,
  state: object,
): Pick<CodeResult, "state"> {
  if (options === undefined) return { state: null };
  const json: string | undefined = stringify(state);
  if (typeof state !== "object" || state === null || json === undefined) {
    throw new TypeError("the state is no object that JSON has");
  }
  if (json.length > longestState) {
    throw new RangeError(
      `the state has ${json.length} characters: at most ${longestState} are kept`,
    );
  }
  if (json === stringify(options.init())) return { state: null };
  if (kept?.version === options.version && kept.json === json) return {};
  return { state: { version: options.version, json } };
}

function factsOf(fields: readonly string[], values: readonly string[]): Facts<string> {
  return Object.fromEntries(fields.map((field, i) => [field, values[i] ?? ""]));
}

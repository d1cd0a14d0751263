// Running code of a rule: what it is given, what is taken from it, and what is refused.
import { describe, expect, test } from "bun:test";
import { longestState } from "./host_message.ts";
import type { CodeKey, CodeResult } from "./host_message.ts";
import { drops, health } from "./query.ts";
import { rule } from "./rule.ts";
import type { AlertFacts, Rule, RuleContext, Sample } from "./rule.ts";
import { makeText, runCode, runFilter } from "./run.ts";

const bundle = /run\.test\.ts[^:]*:\d+:\d+/;

const key = (more: Partial<CodeKey> = {}): CodeKey => ({
  labels: ["10.0.0.1"],
  active: false,
  value: 0,
  samples: [[["10.0.0.1", "53"], 2], [["10.0.0.1", "80"], 3]],
  ...more,
});

/** A rule with this code, as one without types may write it. */
const ruleOf = (code: object): Rule =>
  rule({ alert: "A", on: drops.by("saddr", "dport"), by: ["saddr"], ...code });

function run(code: object, keys: readonly CodeKey[] = [key()], tick = true): CodeResult[] {
  const fields = { by: ["saddr"], fields: ["saddr", "dport"], now: 7000 };
  return runCode(ruleOf(code), { ...fields, tick, keys }, bundle);
}

const state = { version: 3, init: () => ({ n: 0 }) };
type Context = RuleContext<{ n: number }, string>;

describe("each and tick", () => {
  test("get the samples one by one, and the same context", () => {
    const seen: unknown[] = [];
    run({
      each: (sample: Sample<string>, { labels, now }: Context) =>
        void seen.push([{ ...sample }, labels, now]),
      tick: ({ labels, now }: Context) => void seen.push([labels, now]),
    });
    const labels = { saddr: "10.0.0.1" };
    expect(seen).toEqual([
      [{ saddr: "10.0.0.1", dport: "53", count: 2 }, labels, 7000],
      [{ saddr: "10.0.0.1", dport: "80", count: 3 }, labels, 7000],
      [labels, 7000],
    ]);
  });

  test("are called in turn for each key, and tick only when its time has come", () => {
    let [eaches, ticks] = [0, 0];
    const code = { each: () => void eaches++, tick: () => void ticks++ };
    run(code, [key(), key({ samples: [] })]);
    expect([eaches, ticks]).toEqual([2, 2]);
    run(code, [key(), key()], false);
    expect([eaches, ticks]).toEqual([6, 2]);
  });

  test("fire and resolve: the last word counts, and what isn't said stays", () => {
    const result = (tick: (context: Context) => void, more: Partial<CodeKey> = {}) => {
      const [{ active, value }] = run({ tick }, [key(more)]) as [CodeResult];
      return [active, value];
    };
    expect(result(({ fire }) => fire())).toEqual([true, 1]);
    expect(result(({ fire }) => fire(0))).toEqual([true, 0]);
    expect(result(({ fire, resolve }) => (fire(5), resolve()))).toEqual([false, 0]);
    expect(result(({ fire, resolve }) => (resolve(), fire(5)))).toEqual([true, 5]);
    expect(result(() => {}, { active: true, value: 4 })).toEqual([true, 4]);
  });

  test("begin with init, or with what was kept, and keep what they leave", () => {
    const each = ({ count }: Sample<string>, { state }: Context) => state.n += count;
    const kept = (json: string, version = 3) => [key({ state: { version, json } })];
    expect(run({ state, each })[0]!.state).toEqual({ version: 3, json: `{"n":5}` });
    expect(run({ state, each }, kept(`{"n":7}`))[0]!.state)
      .toEqual({ version: 3, json: `{"n":12}` });
  });

  test("say nothing of a state that hasn't changed, and null where it is as at its beginning", () => {
    const kept = (json: string) => [key({ state: { version: 3, json } })];
    expect(run({ state, tick: () => {} }, kept(`{"n":7}`))[0]).toEqual({ active: false, value: 0 });
    const back = { state, tick: ({ state }: Context) => void (state.n = 0) };
    expect(run(back, kept(`{"n":7}`))[0]!.state).toBe(null);
    expect(run({ state, tick: () => {} })[0]!.state).toBe(null);
    expect(run({ tick: () => {} })[0]!.state).toBe(null);
  });

  test("may put another state in the place of theirs", () => {
    const tick = (context: Context) => void (context.state = { n: 9 });
    expect(run({ state, tick })[0]!.state).toEqual({ version: 3, json: `{"n":9}` });
  });

  test("get a state of another version from migrate, or begin anew without it", () => {
    const keys = [key({ state: { version: 2, json: `{"m":4}` } })];
    const migrate = ({ m }: { m: number }, version: number) => ({ n: m * version });
    const tick = ({ state }: Context) => void state.n++;
    expect(run({ state: { ...state, migrate }, tick }, keys)[0]!.state)
      .toEqual({ version: 3, json: `{"n":9}` });
    expect(run({ state, tick }, keys)[0]!.state).toEqual({ version: 3, json: `{"n":1}` });
    // The same data in another version is to be kept anew.
    const same = { ...state, migrate: (old: object) => old };
    const seven = [key({ state: { version: 2, json: `{"n":7}` } })];
    expect(run({ state: same, tick: () => {} }, seven)[0]!.state)
      .toEqual({ version: 3, json: `{"n":7}` });
  });
});

describe("what code does wrong", () => {
  const failureOf = (code: object): string => run(code)[0]!.failure!.message;
  const hostile = {
    get message(): string {
      throw new Error("again");
    },
    toString(): string {
      throw new Error("again");
    },
  };

  const cases: readonly (readonly [string, object, string])[] = [
    ["each that throws", { each: () => raise(new RangeError("mine")) }, "RangeError: mine"],
    ["tick that throws", { tick: () => raise(new Error("mine")) }, "Error: mine"],
    ["what is no error", { tick: () => raise("mine") }, "Error: mine"],
    ["nothing", { tick: () => raise(undefined) }, "Error: undefined"],
    ["what can't be shown", { tick: () => raise(hostile) }, "it threw what can't be shown"],
    [
      "an error that can't be shown",
      { tick: () => raise(Object.defineProperty(new Error(), "stack", { get: () => raise(1) })) },
      "it threw what can't be shown",
    ],
    ["an object without anything", { tick: () => raise(Object.create(null)) }, "can't be shown"],
    ["async each", { each: async () => {} }, "each must not be async"],
    ["async tick", { tick: async () => {} }, "tick must not be async"],
    [
      "async init",
      { state: { ...state, init: () => Promise.resolve({}) }, tick: () => {} },
      "init must not",
    ],
    [
      "an init that returns nothing",
      { state: { ...state, init: () => {} }, tick: () => {} },
      "init",
    ],
    [
      "an init that returns a number",
      { state: { ...state, init: () => 5 }, tick: () => {} },
      "init",
    ],
    ["a value that is a text", { tick: ({ fire }: Context) => fire("5" as never) }, "fire()"],
    ["a value that is NaN", { tick: ({ fire }: Context) => fire(NaN) }, "fire() takes a number"],
    ["a value that is Infinity", { tick: ({ fire }: Context) => fire(Infinity) }, "fire()"],
    ["a state that is a number", leaving(5), "the state is no object"],
    ["a state that is null", leaving(null), "the state is no object"],
    ["a state that is nothing", leaving(undefined), "the state is no object"],
    ["a state that is a function", leaving(() => {}), "the state is no object"],
    ["a state with a bigint", leaving({ n: 1n }), "TypeError"],
    ["a state that holds itself", leaving(circle()), "TypeError"],
    ["a state that is too large", leaving({ n: "x".repeat(longestState) }), "at most 16384"],
  ];

  test.each(cases)("is told: %s", (_, code, message) => {
    expect(failureOf(code)).toContain(message);
  });

  test("is told with its place", () => {
    const [{ failure }] = run({ tick: () => raise(new Error("mine")) }) as [CodeResult];
    expect(failure!.at).toMatch(/^\d+:\d+$/);
  });

  test("leaves what the key had, and the other keys their results", () => {
    const tick = ({ state, labels, fire }: Context): void => {
      state.n++;
      fire(9);
      if (labels["saddr"] === "b") throw new Error("b");
    };
    const keys = ["a", "b", "c"].map((label) =>
      key({ labels: [label], active: label === "b", value: label === "b" ? 4 : 0, samples: [] })
    );
    expect(run({ state, tick }, keys).map((each) => [each.active, each.value, each.state]))
      .toEqual([
        [true, 9, { version: 3, json: `{"n":1}` }],
        [true, 4, undefined],
        [true, 9, { version: 3, json: `{"n":1}` }],
      ]);
  });

  test("is an error of the whole run where the rule isn't loaded", () => {
    expect(() => runCode(undefined, { by: [], fields: [], now: 0, tick: true, keys: [] }, bundle))
      .toThrow("the rule isn't loaded");
  });

  function leaving(left: unknown): object {
    return { state, tick: (context: { state: unknown }) => void (context.state = left) };
  }

  function circle(): object {
    const made: { self?: unknown } = {};
    made.self = made;
    return made;
  }

  function raise(what: unknown): never {
    throw what;
  }
});

describe("a filter", () => {
  const kept = (keep: unknown, values: readonly (readonly string[])[]) =>
    runFilter(
      rule({
        alert: "A",
        when: drops.filter(["dport", "comm"], keep as () => boolean).absent("1m"),
      }),
      0,
      ["dport", "comm"],
      values,
    );

  test("is given the fields by their names, and its answers come in order", () => {
    const keep = ({ dport, comm }: { dport: string; comm: string }) =>
      dport === "1" || comm === "x";
    expect(kept(keep, [["1", ""], ["2", "x"], ["2", "y"]])).toEqual([true, true, false]);
  });

  test("is found by its place among those of the rule, whatever words they are in", () => {
    const filter = (kept: boolean) => drops.filter(["dport"], () => kept);
    const when = filter(true).filter(["comm"], () => false).count("1m")
      .over(filter(false).count("1m")).above(1)
      .and(filter(true).absent("1m")).or(health.count("1m").above(1))
      .or(filter(false).by("dev").rate("1m").spike({ over: "1h", factor: 2, min: 1 }));
    const made = rule({ alert: "A", when });
    expect([0, 1, 2, 3, 4].map((i) => runFilter(made, i, ["dport"], [["1"]])[0]))
      .toEqual([true, false, false, true, false]);
    expect(() => runFilter(made, 5, ["dport"], [["1"]])).toThrow("no filter 5");
  });

  test("may be one of the drops that code looks at", () => {
    const made = rule({ alert: "A", on: drops.filter(["dport"], () => true), by: [], each() {} });
    expect(runFilter(made, 0, ["dport"], [["1"]])).toEqual([true]);
  });

  test.each([
    ["a number", () => 1],
    ["nothing", () => {}],
    ["a promise", () => Promise.resolve(true)],
    ["a text", () => "true"],
  ])("that returns %s is an error", (_, keep) => {
    expect(() => kept(keep, [["1", ""]])).toThrow("neither true nor false");
  });
});

describe("a text", () => {
  const alert: AlertFacts = { value: 1, peak: 2, total: 3, labels: { dport: "53" }, exact: true };
  const make = (summary: unknown) =>
    makeText(
      rule({ alert: "A", when: drops.count("1m").above(1), summary: summary as string }),
      "summary",
      alert,
    );

  test("is what its function makes of the alert, of 5000 characters at most", () => {
    expect(make(({ labels }: AlertFacts) => `port ${labels["dport"]}`)).toBe("port 53");
    expect(make(() => "x".repeat(9000))).toBe("x".repeat(5000));
  });

  test("is an error where there is no function, or it returns no text", () => {
    expect(() => make("plain")).toThrow("no function summary");
    expect(() => make(() => 5)).toThrow("returned no text");
  });
});

// Filters and code of rules in the rule host: what they answer, and what happens to a rule that doesn't
// answer, and to the one beside it. On the runtime that runs the tests, in real processes.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import type { DropwatchError } from "../error.ts";
import { bundleFiles } from "./bundle.ts";
import { startRuleHost } from "./host.ts";
import type { RuleCodeOf, RuleHost } from "./host.ts";
import type { CodeKey, CodeResult } from "./host_message.ts";

let folder: Folder;
let host: RuleHost;
let log: string[];
let blamed: string[];
let own: string;
/** Milliseconds that one may wait for the other, who is ended after half a second. */
let patience: number;

/** Less than a second; more on a machine that is so busy that processes start slowly. */
const patienceOf = (started: number): number => Math.max(1000, 500 + 10 * started);

/** The processes of rules that there are now. */
function processes(): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) &&
        readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(own) &&
        !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
    } catch {
      return false;
    }
  });
}

beforeEach(async () => {
  folder = await makeFolder();
  log = [];
  blamed = [];
  const from = performance.now();
  host = await startRuleHost(
    (message) => void log.push(message),
    (bundle, error) => void blamed.push(`${bundle} ${error.code}`),
  );
  own = "";
  // For a moment the process is still a copy of this one.
  for (let i = 0; i < 500 && !own.startsWith("/"); i++) {
    await pause(2);
    const words = readFileSync(`/proc/${host.pid}/cmdline`, "utf8").split("\0");
    own = dirname(words.find((word) => word.endsWith("/host.mjs")) ?? "");
  }
  // A question that no rule answers: the process has started.
  await failure(host.text({ file: "", bundle: "", index: 0 }, "summary", {} as never));
  patience = patienceOf(performance.now() - from);
});

afterEach(async () => {
  await host.close();
  await folder.remove();
  // Whatever a rule did, nothing is left of it.
  expect(processes()).toEqual([]);
  expect(existsSync(own)).toBe(false);
});

/** Loads a file; returns its first rule. */
async function load(name: string, source: string): Promise<RuleCodeOf> {
  const file = await folder.write(name, source);
  const bundle = (await bundleFiles([file])).bundles.get(file)!;
  const loaded = await host.load(file, bundle);
  expect(loaded).toMatchObject({ rules: [{}] });
  return { file, bundle: bundle.id, index: 0 };
}

const code = (parts: string): string =>
  `import { drops, rule } from "dropwatch";
export default rule({
  alert: "Code",
  on: drops.filter(["comm"], ({ comm }) => comm !== "no").by("saddr", "dport"),
  by: ["saddr"],
  state: { version: 1, init: () => ({ n: 0 }) },
  ${parts}
});
`;

const good = code(`each: ({ count }, { state, fire }) => { state.n += count; fire(state.n); },`);

const filtering = (body: string): string =>
  `import { drops, rule } from "dropwatch";
export default rule({
  alert: "Filtering",
  when: drops.filter(["dport"], ({ dport }) => { ${body} }).count("1m").above(1),
});
`;

const key = (saddr: string, n = 2): CodeKey => ({
  labels: [saddr],
  active: false,
  value: 0,
  samples: [[[saddr, "53"], n]],
});

const run = (rule: RuleCodeOf, keys: readonly CodeKey[] = [key("a")]): Promise<
  readonly CodeResult[]
> => host.run(rule, { by: ["saddr"], fields: ["saddr", "dport"], now: 1000, tick: true, keys });

const filter = (rule: RuleCodeOf, ...ports: readonly string[]): Promise<boolean[]> =>
  host.filter(rule, 0, ["dport"], ports.map((port) => [port]));

async function failure(promise: Promise<unknown>): Promise<DropwatchError> {
  try {
    await promise;
  } catch (thrown) {
    return thrown as DropwatchError;
  }
  throw new Error("it didn't fail");
}

const ran = [{ state: { version: 1, json: `{"n":2}` }, active: true, value: 2 }];

/** Milliseconds that the other rule waits for its answer, which is right. */
async function wait(other: RuleCodeOf): Promise<number> {
  const from = performance.now();
  expect(await run(other)).toEqual(ran as never);
  return performance.now() - from;
}

describe("a filter", () => {
  test("answers for each combination of values, in order, and for none", async () => {
    const rule = await load("f.ts", filtering(`return Number(dport) > 9;`));
    expect(await filter(rule, "1", "10", "", "11")).toEqual([false, true, false, true]);
    expect(await filter(rule)).toEqual([]);
    const many = Array.from({ length: 2000 }, (_, i) => `${i}`);
    expect((await filter(rule, ...many)).filter((kept) => kept)).toHaveLength(1990);
  });

  test("that throws, or says neither yes nor no, is told, and answers the next time", async () => {
    const rule = await load(
      "f.ts",
      filtering(
        `if (dport === "1") throw new RangeError("mine"); return dport === "2" ? 2 : true;`,
      ),
    );
    for (const [port, message] of [["1", "RangeError: mine"], ["2", "neither true nor false"]]) {
      const error = await failure(filter(rule, "3", port!));
      expect(error).toMatchObject({ code: "CODE_FAILED", place: { file: rule.file } });
      expect(error.message).toContain(message!);
    }
    expect(await filter(rule, "3")).toEqual([true]);
  });

  test("that a rule hasn't is an error", async () => {
    const rule = await load("g.ts", good);
    expect((await failure(host.filter(rule, 7, ["comm"], [["x"]]))).code).toBe("CODE_FAILED");
    const gone = { ...rule, bundle: "gone" };
    expect((await failure(host.filter(gone, 0, ["comm"], [["x"]]))).code).toBe("CODE_FAILED");
    expect((await failure(run(gone))).code).toBe("CODE_FAILED");
    expect(await host.filter(rule, 0, ["comm"], [["x"], ["no"]])).toEqual([true, false]);
  });
});

describe("code", () => {
  test("answers for each key, and tells for which it failed, and where", async () => {
    const rule = await load(
      "g.ts",
      code(`each: ({ saddr }, { state, fire }) => {
        state.n++;
        if (saddr === "b") throw new RangeError("mine");
        fire();
      },`),
    );
    const results = await run(rule, ["a", "b", "c"].map((saddr) => key(saddr)));
    const one = { state: { version: 1, json: `{"n":1}` }, active: true, value: 1 };
    expect(results).toEqual([
      one,
      {
        active: false,
        value: 0,
        failure: { message: "RangeError: mine", at: expect.stringMatching(/^\d+:\d+$/) },
      },
      one,
    ] as never);
  });

  test("that throws what can't be shown is told, and the next answer comes", async () => {
    const rule = await load(
      "g.ts",
      code(`each: () => { throw { toString() { throw new Error("again"); } }; },`),
    );
    expect((await run(rule))[0]!.failure!.message).toBe("it threw what can't be shown");
    const other = await load("f.ts", filtering(`throw Object.create(null);`));
    expect((await failure(filter(other, "1"))).message).toContain("can't be shown");
    expect(await run(rule)).toHaveLength(1);
  });

  test("may keep as large a state as there may be, for as many keys as are asked for at once", async () => {
    const rule = await load(
      "g.ts",
      code(`each: (_, context) => { context.state = Array(5400).fill(""); },`),
    );
    const results = await run(rule, Array.from({ length: 30 }, (_, i) => key(`${i}`)));
    expect(results.map(({ state }) => state!.json.length)).toEqual(Array(30).fill(16_201));
  });
});

describe("a rule that doesn't end its code", () => {
  const places: Readonly<
    Record<string, (body: string) => [string, (r: RuleCodeOf) => Promise<unknown>]>
  > = {
    filter: (body) => [filtering(`${body}; return true;`), (rule) => filter(rule, "1")],
    each: (body) => [code(`each: () => { ${body}; },`), run],
    tick: (body) => [code(`tick: () => { ${body}; },`), run],
  };
  const loops = "for (;;);";
  const allocates = "const all = []; for (;;) all.push(new Uint8Array(1 << 22).fill(1))";
  const prints = `for (;;) console.log("x".repeat(10_000))`;
  const microtasks = "(function again() { Promise.resolve().then(again); })()";
  const cases: readonly (readonly [what: string, place: string, body: string, error: string])[] = [
    ["loops", "filter", loops, "RULE_HUNG"],
    ["loops", "each", loops, "RULE_HUNG"],
    ["loops", "tick", loops, "RULE_HUNG"],
    ["allocates without bound", "filter", allocates, "RULE_TOO_LARGE"],
    ["allocates without bound", "each", allocates, "RULE_TOO_LARGE"],
    ["prints without end", "tick", prints, "RULE_FLOODS"],
    ["prints without end", "filter", prints, "RULE_FLOODS"],
    ["ends its process", "filter", "process.exit(0)", "RULE_CRASHED"],
    ["ends its process", "each", "process.exit(3)", "RULE_CRASHED"],
    ["leaves microtasks without end", "tick", microtasks, "RULE_HUNG"],
    ["leaves microtasks without end", "filter", microtasks, "RULE_HUNG"],
  ];

  test.each(cases)(
    "but %s, in its %s, is told, and delays the other less than a second, once",
    async (
      _,
      place,
      body,
      error,
    ) => {
      const [source, ask] = places[place]!(body);
      const other = await load("other.ts", good);
      const rule = await load("offender.ts", source);
      await wait(other);
      const codes: string[] = [];
      // On a busy machine half a second may be over before much memory is taken, or much printed.
      for (let round = 1; round <= 2 || (!codes.includes(error) && round <= 8); round++) {
        let told = false;
        const asked = failure(ask(rule)).finally(() => told = true);
        expect(await wait(other)).toBeLessThan(patience);
        // From the second time on it has a process of its own, and nobody waits until it is ended.
        if (round > 1 && error === "RULE_HUNG") expect(told).toBe(false);
        const { code, place } = await asked;
        expect(place).toEqual({ file: rule.file });
        codes.push(code);
      }
      expect(codes).toContain(error);
      expect(codes.filter((code) => ![error, "RULE_HUNG"].includes(code))).toEqual([]);
      // One for texts, one for the other's code, one for its own.
      expect(processes().length).toBeLessThanOrEqual(3);
      expect(blamed).toEqual([]);
    },
    20_000,
  );

  test("and is alone is told each time, and can be asked again", async () => {
    const rule = await load("offender.ts", filtering(`if (dport === "1") for (;;); return true;`));
    for (let round = 0; round < 2; round++) {
      const hung = failure(filter(rule, "1"));
      const behind = filter(rule, "2");
      expect((await hung).code).toBe("RULE_HUNG");
      expect(await behind).toEqual([true]);
    }
  }, 20_000);

  test("and is let go of takes its process along", async () => {
    const other = await load("other.ts", good);
    const rule = await load("offender.ts", filtering(`for (;;);`));
    expect((await failure(filter(rule, "1"))).code).toBe("RULE_HUNG");
    await host.forget(rule.bundle);
    expect(await wait(other)).toBeLessThan(patience);
    for (let i = 0; i < 100 && processes().length > 2; i++) await pause(10);
    expect(processes()).toHaveLength(2);
  }, 20_000);
});

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

describe("a rule that leaves a timer behind which never ends", () => {
  test(
    "is found by dividing: the others always get their answers, and are alone in the end",
    async () => {
      const others = [];
      for (const name of ["a.ts", "b.ts"]) {
        others.push(
          await load(name, good.replace("Code", name[0]!)),
        );
      }
      const rule = await load(
        "m.ts",
        code(`tick: () => { setTimeout(() => { for (;;); }, 1); },`),
      );
      others.push(await load("z.ts", good.replace("Code", "Z")));
      const codes: string[] = [];
      let waited = Infinity;
      for (let round = 0; round < 12 && !(waited < 200 && codes.length > 0); round++) {
        const asked = run(rule).then(() => "", ({ code }: DropwatchError) => code);
        await pause(20);
        waited = Math.max(...await Promise.all(others.map(wait)));
        const code = await asked;
        if (code !== "") codes.push(code);
      }
      expect(waited).toBeLessThan(200);
      // Where it is alone it hangs in what it is asked next itself.
      expect(new Set(codes)).toEqual(new Set(["RULE_HUNG"]));
    },
    30_000,
  );

  test(
    "but ends the process is blamed in the end, though nobody asked it for anything",
    async () => {
      const rule = await load(
        "m.ts",
        code(`tick: () => { setTimeout(() => process.exit(3), 1); },`),
      );
      const other = await load("z.ts", good);
      for (let round = 0; round < 20 && blamed.length === 0; round++) {
        await run(rule).catch(() => {});
        await pause(50);
        expect(await wait(other)).toBeLessThan(patience);
      }
      expect(blamed).toEqual([`${rule.bundle} RULE_CRASHED`]);
    },
    30_000,
  );
});

test(
  "a rule that is to be loaded while another one hangs has one process, and is asked there",
  async () => {
    const slow = "await new Promise((resolve) => setTimeout(resolve, 60));\n";
    const other = await load("other.ts", good);
    const rule = await load("slow.ts", slow + good);
    const offender = await load(
      "offender.ts",
      code(`tick: () => { setTimeout(() => { for (;;); }, 30); },`),
    );
    await wait(other);
    expect(await run(offender)).toHaveLength(1);
    const answers = await Promise.all([run(rule), run(other)]);
    expect(answers).toEqual([ran, ran] as never);
    expect(await run(rule)).toEqual(ran as never);
  },
  20_000,
);

// What rules cost: many keys, code, one that hangs, a day of a capture.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { FieldName } from "../core/drop/field.ts";
import { makeLane } from "../core/lane.ts";
import { runPipeline } from "../core/pipeline.ts";
import { separator } from "../core/plan/key.ts";
import { makePlan } from "../core/plan/plan.ts";
import type { Plan } from "../core/plan/plan.ts";
import { loadRules } from "../core/rule/load.ts";
import type { RuleSet } from "../core/rule/load.ts";
import { testFacts } from "../core/testing/world.ts";
import type { Source } from "../core/watch/source.ts";
import type { Tick } from "../core/watch/tick.ts";
import { countsOf, makeWatch } from "../core/watch/watch.ts";
import { ruleOf } from "../test/rule.ts";
import { familyOf, median, usage } from "./measure.ts";

/** Takes down a figure, what was promised, and whether it was kept. */
export type Add = (what: string, figure: string, target?: string, kept?: boolean | null) => void;

const sets: readonly (readonly FieldName[])[] = [
  ["owner"],
  ["saddr", "dport"],
  ["dev", "daddr"],
  ["container"],
];

/** A tick in which each of so many keys of each map had some drops. */
function tickOf(plan: Plan, at: number, keys: number, from = 0): Tick {
  const maps = plan.maps.map((map) => ({
    entries: Array.from({ length: keys }, (_, i) => {
      const labels = map.by.map((field) => `${field}-${from + i}`);
      const counts = map.classes[1]!;
      return { key: { text: labels.join(separator), labels, counts }, n: 1 + i % 7, sum: 0 };
    }),
    other: 0,
    lost: 0,
  }));
  const seen = maps.reduce((all, { entries }) => entries.reduce((sum, { n }) => sum + n, all), 0);
  return {
    at,
    seconds: 1,
    seen,
    counted: seen,
    other: 0,
    lost: 0,
    reasons: new Map([[2, seen]]),
    maps,
    samples: [],
    unreadable: 0,
  };
}

/** 100 rules over 100,000 keys, all of which change at each tick. */
export function keys(add: Add, quick: boolean): Promise<void> {
  const rules = Array.from({ length: 100 }, (_, i) =>
    ruleOf({
      alert: `Keys${i}`,
      by: sets[i % sets.length]!,
      aggregate: i % 3 === 0 ? "count" : "rate",
      window: 10_000,
      above: i % 3 === 0 ? 65 + i : 6.5 + i,
      for: 5000,
    }));
  const plan = makePlan(countsOf(rules).counts);
  const watch = makeWatch({ rules, plan, interval: 1000, maxSeries: 100_000 });
  const all = 100_000;
  const before = process.memoryUsage().heapUsed;
  const times: number[] = [];
  for (let second = 1; second <= (quick ? 20 : 40); second++) {
    const tick = tickOf(plan, second * 1000, all / sets.length);
    const started = performance.now();
    watch.tick(tick);
    // Before the window is full there is less to do.
    if (second > 10) times.push(performance.now() - started);
  }
  const firing = watch.active().length;
  const bytes = (process.memoryUsage().heapUsed - before) / watch.size;
  const [typical, worst] = [median(times), Math.max(...times)];
  add(
    `a tick of 100 rules over ${watch.size} keys that all changed, ${firing} alerts active`,
    `${typical.toFixed(0)} ms (at most ${worst.toFixed(0)} ms)`,
    "under 200 ms",
    typical < 200,
  );
  add("… memory of a key in a window of ten ticks", `about ${bytes.toFixed(0)} bytes`);
  // Ever new keys: the limit holds, and is said.
  for (let second = 50; second < 70; second++) {
    watch.tick(tickOf(plan, second * 1000, all / sets.length, second * all));
  }
  const bound = 100_000 * sets.length;
  add(
    `… ${20 * all} new keys within 20 s`,
    `${watch.size} kept, ${watch.refused} drops refused and said`,
    `at most ${bound} kept`,
    watch.size <= bound && watch.refused > 0,
  );
  return Promise.resolve();
}

const codeRule = `import { drops, rule } from "dropwatch";
export default rule({
  alert: "Code",
  on: drops.by("owner", "dport"),
  by: ["owner"],
  state: { version: 1, init: () => ({ seen: 0, last: "" }) },
  each: ({ dport, count }, { state, fire }) => {
    state.seen += count;
    state.last = dport;
    if (state.seen > 1e12) fire(state.seen);
  },
});
`;

async function load(folder: string, files: Readonly<Record<string, string>>): Promise<RuleSet> {
  const paths: string[] = [];
  for (const [name, text] of Object.entries(files)) {
    paths.push(join(folder, name));
    await writeFile(paths.at(-1)!, text);
  }
  const log = (message: string): void => void process.stderr.write(`bench: ${message}\n`);
  return await loadRules({
    files: paths,
    facts: () => Promise.resolve(testFacts),
    interval: 1000,
    log,
  });
}

/** Seconds of CPU that this process and those of the rule host have used. */
function cpuUsed(): number {
  return usage(familyOf(process.pid)).seconds;
}

/** 10,000 samples a second through the rule host. */
export async function code(add: Add, folder: string, quick: boolean): Promise<void> {
  const rules = await load(folder, { "code.ts": codeRule });
  try {
    const { counts } = countsOf(rules.rules);
    const plan = makePlan(counts);
    const watch = makeWatch({ rules: rules.rules, plan, interval: 1000, maxSeries: 100_000 });
    let failures = 0;
    const lane = makeLane(watch, {
      host: rules.host,
      isDisabled: () => false,
      onFailure: () => failures++,
      onTransitions: () => {},
    });
    const each = 10_000;
    const seconds = quick ? 10 : 30;
    const ticks = Array.from({ length: seconds }, (_, i) => {
      const tick = tickOf(plan, (i + 1) * 1000, each);
      // A hundred ports for each of a hundred owners.
      const [map] = tick.maps;
      const entries = map!.entries.map(({ n, sum, key }, k) => {
        const by = plan.maps[0]!.by;
        const labels = by.map((field) =>
          field === "owner" ? `owner-${k % 100}` : String(1000 + Math.floor(k / 100))
        );
        return { n, sum, key: { ...key, labels, text: labels.join(separator) } };
      });
      return { ...tick, maps: [{ ...map!, entries }] };
    });
    lane.push(ticks[0]!, []);
    await lane.idle();
    const [before, started] = [cpuUsed(), performance.now()];
    for (const tick of ticks.slice(1)) {
      lane.push(tick, []);
      await lane.idle();
    }
    const used = (cpuUsed() - before) / (seconds - 1);
    const took = (performance.now() - started) / (seconds - 1);
    const { all } = [...watch.memory.code.values()][0]!;
    const evaluated = [...all.values()]
      .reduce((sum, { state }) => sum + JSON.parse(state!.json).seen, 0);
    const expected = seconds * ticks[0]!.seen;
    add(
      "10,000 evaluations of code a second, through the rule host",
      `${(used * 100).toFixed(1)} % of a core, ${took.toFixed(0)} ms a tick`,
      "under 15 %",
      used < 0.15 && failures === 0 && evaluated === expected,
    );
  } finally {
    await rules.host.close();
  }
}

const plainRule = (name: string, summary: string): string =>
  `import { drops, rule } from "dropwatch";
export default rule({
  alert: "${name}",
  when: drops.by("dport").count("2s").above(0),
  summary: ({ labels }) => ${summary},
});
`;

/** Alerts of a rule beside others that hang: in a text, and in code. */
export async function hang(add: Add, folder: string): Promise<void> {
  const rules = await load(folder, {
    "good.ts": plainRule("Good", "labels.dport"),
    "hangs_in_text.ts": plainRule("HangsInText", "{ for (;;); }"),
    "hangs_in_code.ts": codeRule.replace("Code", "HangsInCode").replace(
      "state.seen += count;",
      "for (;;);",
    ),
  });
  const interval = 1000;
  const ticked = new Map<string, number>();
  const late: number[] = [];
  const source: Source = {
    name: "bench",
    facts: () => Promise.resolve(testFacts),
    async run(run) {
      run.onAttached();
      const start = Date.now();
      for (let second = 1; second <= 12; second++) {
        await sleep(Math.max(0, start + second * interval - Date.now()));
        const port = String(second);
        const maps = run.plan.maps.map((map) => {
          const labels = map.by.map((field) => field === "dport" ? port : "x");
          const key = { text: labels.join(separator), labels, counts: map.classes[1]! };
          return { entries: [{ key, n: 1, sum: 0 }], other: 0, lost: 0 };
        });
        const at = start + second * interval;
        ticked.set(port, performance.now());
        await run.onTick({
          ...tickOf(run.plan, at, 0),
          seen: 1,
          counted: 1,
          reasons: new Map([[2, 1]]),
          maps,
        });
      }
    },
  };
  try {
    await runPipeline({
      source,
      rules,
      sinks: [{
        name: "bench",
        send({ type, data }) {
          if (data.alert === "Good" && type === "alert.firing") {
            late.push(performance.now() - ticked.get(data.labels.dport!)!);
          }
          return Promise.resolve();
        },
      }],
      interval,
      maxKeys: 4096,
      signal: new AbortController().signal,
      log: () => {},
    });
  } finally {
    await rules.host.close();
  }
  const worst = Math.max(...late);
  add(
    `alerts beside rules that hang in a text and in code, ${late.length} of 12 told`,
    `at most ${worst.toFixed(0)} ms after their tick (median ${median(late).toFixed(0)} ms)`,
    "at most one tick (1000 ms) late",
    late.length === 12 && worst <= interval,
  );
}

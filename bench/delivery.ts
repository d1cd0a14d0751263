// What it costs to tell: ten thousand alerts at once, and what one alert costs from its tick to its
// receipt, with the state on disk.
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { makeRouting } from "../core/alert/route.ts";
import type { Sink } from "../core/alert/sink.ts";
import { runPipeline } from "../core/pipeline.ts";
import { openStore } from "../core/store.ts";
import { ruleOf, ruleSetOf } from "../test/rule.ts";
import { drivenSource } from "../test/run.ts";
import type { Drops } from "../test/run.ts";
import { median } from "./measure.ts";
import type { Add } from "./rules.ts";

const dropsOf = (count: number, from = 0): Drops =>
  Array.from({ length: count }, (_, i) => [
    { reason: "NO_SOCKET", l4: "UDP", dport: String(from + i) },
    10,
  ]);

interface Told {
  notifications: number;
  changes: number;
  /** Milliseconds from a tick until the log was told of its alert. */
  readonly after: number[];
}

/** Runs a rule by port on a source that `drive` drives. */
async function runWith(
  state: string,
  told: Told,
  drive: (second: (drops: Drops) => Promise<void>) => Promise<void>,
): Promise<void> {
  const rule = ruleOf({
    alert: "Closed",
    where: { reason: "NO_SOCKET" },
    by: ["dport"],
    window: 2000,
    above: 5,
    texts: { summary: "a closed port" },
  });
  const driven = drivenSource({ at: Date.now() });
  const ending = new AbortController();
  const store = openStore(state, (message) => console.error(message));
  let ticked = 0;
  const sinks: Sink[] = [
    { name: "people", notify: () => Promise.resolve(void told.notifications++) },
    {
      name: "log",
      send: () => {
        told.changes++;
        told.after.push(performance.now() - ticked);
        return Promise.resolve();
      },
    },
  ];
  const running = runPipeline({
    source: driven.source,
    rules: ruleSetOf([rule]),
    sinks,
    routing: makeRouting({}, sinks.map(({ name }) => name)),
    interval: 1000,
    maxKeys: 100_000,
    signal: ending.signal,
    log: () => {},
    store,
  });
  await driven.attached;
  await drive((drops) => {
    ticked = performance.now();
    return driven.second(drops);
  });
  ending.abort();
  await running;
  store.close();
}

/** Ten thousand alerts at one tick, then their ends; and one alert at a tick. */
export async function delivery(add: Add, folder: string): Promise<void> {
  const count = 10_000;
  const flood: Told = { notifications: 0, changes: 0, after: [] };
  let pause = 0;
  const before = process.memoryUsage().rss;
  let most = before;
  await runWith(join(folder, "flood"), flood, async (second) => {
    let last = performance.now();
    const watching = setInterval(() => {
      const now = performance.now();
      pause = Math.max(pause, now - last - 5);
      last = now;
      most = Math.max(most, process.memoryUsage().rss);
    }, 5);
    for (let at = 0; at < 12; at++) {
      await second(at < 4 ? dropsOf(count) : []);
      await sleep(1000);
    }
    clearInterval(watching);
  });
  add(
    "10,000 alerts fire at one tick and end at one, state on disk",
    `${flood.notifications} notifications, ${flood.changes} changes written`,
    "at most 10, all changes",
    flood.notifications <= 10 && flood.changes === 2 * count,
  );
  add("… the longest time in which nothing else happens", `${pause.toFixed(0)} ms`);
  add("… memory that it takes at most", `${Math.round((most - before) / 1e6)} MB`);
  const single: Told = { notifications: 0, changes: 0, after: [] };
  await runWith(join(folder, "single"), single, async (second) => {
    for (let at = 0; at < 100; at++) {
      await second(dropsOf(1, at));
      await sleep(20);
    }
  });
  const sorted = single.after.toSorted((a, b) => a - b);
  add(
    "an alert, from its tick to the sink, kept on disk before",
    `${median(single.after).toFixed(1)} ms (99 of 100 within ${
      sorted[Math.floor(sorted.length * 0.99)]!.toFixed(1)
    } ms)`,
  );
}

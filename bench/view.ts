// What it costs to be looked at: the history, those who look live, and what they ask for.
import { request } from "node:http";
import type { ClientRequest } from "node:http";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { separator } from "../core/plan/key.ts";
import { makePlan } from "../core/plan/plan.ts";
import { makeHistory } from "../core/view/history.ts";
import type { History } from "../core/view/history.ts";
import { openHistoryStore } from "../core/view/history_store.ts";
import { overviewCount, overviewReader, usualHistoryFields } from "../core/view/overview.ts";
import type { Tick } from "../core/watch/tick.ts";
import { startTraffic } from "../test/traffic/traffic.ts";
import { familyOf, median, percentile, shippedRules, startDropwatch, usage } from "./measure.ts";
import type { Watcher } from "./measure.ts";
import type { Add } from "./rules.ts";

const overview = overviewCount(usualHistoryFields);
const plan = makePlan([overview]);
const reasonName = (id: number): string => `REASON_${id}`;

/** A tick with so many keys of 20 reasons; `from` is the first one's number. */
function tickOf(at: number, keys: number, from = 0): Tick {
  const entries = Array.from({ length: keys }, (_, i) => {
    const labels = overview.by.map((field) =>
      field === "reason" ? reasonName(i % 20) : `${field}-${field === "owner" ? from + i : i % 7}`
    );
    return { key: { text: labels.join(separator), labels, counts: [0] }, n: 1 + i % 7, sum: 0 };
  });
  const reasons = new Map<number, number>();
  for (const [i, { n }] of entries.entries()) reasons.set(i % 20, (reasons.get(i % 20) ?? 0) + n);
  const seen = [...reasons.values()].reduce((sum, n) => sum + n, 0);
  return {
    at,
    seconds: 1,
    seen,
    counted: seen,
    other: 0,
    lost: 0,
    reasons,
    maps: [{ entries, other: 0, lost: 0 }],
    samples: [],
    unreadable: 0,
  };
}

/** Gives a history an hour of ticks that end now. */
function fill(
  history: History,
  seconds: number,
  keys: number,
  fresh: boolean,
): { readonly times: readonly number[]; readonly end: number } {
  const read = overviewReader(overview, reasonName);
  const end = Math.floor(Date.now() / 1000) * 1000;
  const times: number[] = [];
  for (let second = 1; second <= seconds; second++) {
    const tick = tickOf(end - 1000 * (seconds - second), keys, fresh ? second * keys : 0);
    const started = performance.now();
    history.add({ ...tick, cells: read(tick, plan) });
    times.push(performance.now() - started);
  }
  return { times, end };
}

/** The history by itself, in a flood of keys. */
function flood(add: Add, quick: boolean): void {
  const seconds = quick ? 300 : 3600;
  for (const fresh of [false, true]) {
    const before = process.memoryUsage().heapUsed;
    const history = makeHistory(overview.by);
    const { times } = fill(history, seconds, 10_000, fresh);
    const typical = median(times);
    add(
      `the history takes a tick of 10,000 keys${fresh ? ", all of them new" : ""}`,
      `${typical.toFixed(1)} ms (99 %: ${percentile(times, 99).toFixed(1)} ms)`,
      "under 50 ms",
      typical < 50,
    );
    const bytes = (process.memoryUsage().heapUsed - before) / 1e6;
    add(
      `… memory after ${seconds} of them`,
      `${bytes.toFixed(0)} MB`,
      "at most 200 MB",
      bytes <= 200,
    );
    if (history.fields.length !== usualHistoryFields.length) throw new Error("no history");
  }
}

/** Where a watch serves its dashboard. */
function addressOf(watch: Watcher): string {
  const found = watch.err.map((line) => /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0])
    .find((url) => url !== undefined);
  if (found === undefined) throw new Error(`it doesn't say where:\n${watch.err.join("\n")}`);
  return found;
}

/** One who looks live, as one of ten machines: an address may have 20 streams. */
function lookAt(
  url: string,
  number: number,
): Promise<{ readonly ticks: () => number; end(): void }> {
  return new Promise((resolve, reject) => {
    let ticks = 0;
    const asked: ClientRequest = request(`${url}/api/v1/events`, {
      agent: false,
      localAddress: `127.0.0.${2 + number % 10}`,
    }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`answered ${response.statusCode}`));
      response.setEncoding("utf8");
      response.on("data", (text: string) => ticks += text.split("event: tick\n").length - 1);
      resolve({ ticks: () => ticks, end: () => void asked.destroy() });
    });
    asked.on("error", reject);
    asked.end();
  });
}

/** Cores that dropwatch's own process uses, and all of its processes do, over some seconds. */
async function coresOf(watch: Watcher, seconds: number): Promise<{ own: number; all: number }> {
  const family = familyOf(watch.pid);
  const before = [usage([watch.pid]).seconds, usage(family).seconds] as const;
  const started = performance.now();
  await sleep(seconds * 1000);
  const passed = (performance.now() - started) / 1000;
  return {
    own: (usage([watch.pid]).seconds - before[0]) / passed,
    all: (usage(family).seconds - before[1]) / passed,
  };
}

const percent = (cores: number): string => `${(100 * cores).toFixed(1)} % of a core`;

/** Those who look live, at real drops of some processes. */
async function live(add: Add, quick: boolean): Promise<void> {
  const [rounds, seconds, clients] = [quick ? 1 : 3, quick ? 10 : 20, 100];
  const traffic = await Promise.all(
    Array.from(
      { length: 5 },
      (_, i) =>
        startTraffic("socket-filter", { comm: `bench${i}`, rate: 500, count: 1_000_000, hold: 0 }),
    ),
  );
  for (const each of traffic) each.go();
  const cores: Record<"without" | "nobody" | "looked", number[]> = {
    without: [],
    nobody: [],
    looked: [],
  };
  const memory: number[] = [];
  let ticks = Infinity;
  try {
    for (let round = 0; round < rounds; round++) {
      for (const listen of [false, true]) {
        const watch = await startDropwatch([
          "--rules",
          shippedRules,
          ...listen ? ["--listen", "127.0.0.1:0"] : [],
        ]);
        await sleep(5000); // What comes of the start is over.
        cores[listen ? "nobody" : "without"].push((await coresOf(watch, seconds)).own);
        if (listen) {
          const url = addressOf(watch);
          const before = usage([watch.pid]).bytes;
          const looking = await Promise.all(
            Array.from({ length: clients }, (_, i) => lookAt(url, i)),
          );
          await sleep(2000);
          const from = looking.map(({ ticks }) => ticks());
          cores.looked.push((await coresOf(watch, seconds)).own);
          ticks = Math.min(ticks, ...looking.map(({ ticks }, i) => ticks() - from[i]!));
          memory.push(usage([watch.pid]).bytes - before);
          for (const { end } of looking) end();
        }
        await watch.stop();
      }
    }
  } finally {
    for (const each of traffic) await each.stop();
  }
  if (ticks < seconds - 2) throw new Error(`somebody who looks got ${ticks} ticks of ${seconds}`);
  const [without, nobody, looked] = [cores.without, cores.nobody, cores.looked].map(median) as [
    number,
    number,
    number,
  ];
  add("dropwatch's own process with the shipped rules, 2,500 drops/s", percent(without));
  add("… with `--listen`, and nobody looks", percent(nobody));
  add(
    `… with ${clients} who look live`,
    `${percent(looked)}, ${(looked / nobody).toFixed(1)} ×; +${
      (median(memory) / 1e6).toFixed(0)
    } MB; each got every tick`,
  );
  const added = looked - nobody;
  add("… what those add", percent(added), "at most 20 % of a core", added <= 0.2);
}

/** An hour of the past, asked for as the dashboard asks. */
async function past(add: Add, folder: string): Promise<void> {
  const state = join(folder, "view");
  // A start makes the folder; the history lies in a file of its own there.
  const args = ["--rules", shippedRules, "--state", state, "--listen", "127.0.0.1:0"];
  await (await startDropwatch(args)).stop();
  const history = makeHistory(overview.by);
  const store = openHistoryStore(state, (message) => {
    throw new Error(message);
  });
  const { end } = fill(history, 3600, 200, false);
  store.save(history, end);
  store.close(history);
  const watch = await startDropwatch(args);
  try {
    const url = addressOf(watch);
    const ask = async (query: string): Promise<{ ms: number; text: string }> => {
      const started = performance.now();
      const response = await fetch(`${url}/api/v1/drops?${query}`);
      const text = await response.text();
      if (!response.ok) throw new Error(text);
      return { ms: performance.now() - started, text };
    };
    for (
      const [what, query] of [
        ["by reason, in 600 steps", "by=reason&window=1h"],
        ["by reason, site, device and owner, in 20 series", "by=reason,site,dev,owner&window=1h"],
        ["by owner, every second", "by=owner&window=1h&step=1000"],
      ] as const
    ) {
      const times: number[] = [];
      let bytes = 0;
      for (let i = 0; i < 20; i++) {
        const { ms, text } = await ask(query);
        const { total } = JSON.parse(text);
        if (!(total > 1_000_000)) throw new Error(`the past isn't there: ${text.slice(0, 200)}`);
        times.push(ms);
        bytes = text.length;
      }
      add(
        `/api/v1/drops over an hour ${what}`,
        `${median(times).toFixed(0)} ms (at most ${Math.max(...times).toFixed(0)} ms), ${
          (bytes / 1000).toFixed(0)
        } kB`,
        "under 100 ms",
        median(times) < 100,
      );
    }
  } finally {
    await watch.stop();
  }
}

/** What it costs to be looked at. */
export async function view(add: Add, folder: string, quick: boolean): Promise<void> {
  flood(add, quick);
  await past(add, folder);
  await live(add, quick);
}

// A day of a capture through rules: what a backtest costs.
import { spawnSync } from "node:child_process";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { defaultFields } from "../cli/commands/record.ts";
import { separator } from "../core/plan/key.ts";
import { makeCaptureFile } from "../plugins/sources/capture/file.ts";
import { captureWriter } from "../plugins/sources/capture/writer.ts";
import { randomFrom } from "../test/random.ts";
import { reasons, subsystems, world } from "../test/world.ts";
import { main, median } from "./measure.ts";
import type { Add } from "./rules.ts";

/** A capture of a day: a tick a second, each with 100 of 400 keys by nine fields, and sums. */
function writeDay(file: string): void {
  const random = randomFrom(1);
  const ids = [...reasons.keys()];
  const keys = Array.from({ length: 400 }, () => {
    const id = random.pick(ids);
    const labels = [
      reasons.get(id)!,
      random.pick(["IPv4", "IPv6"]),
      random.pick(["TCP", "UDP"]),
      String(random.int(1, 200)),
      random.pick(["eth0", "lo"]),
      random.pick(["nginx", "syncthing", ""]),
      String(random.int(1, 50)),
      random.pick(["nginx.service", ""]),
      "",
    ];
    return { id, key: { labels, text: labels.join(separator), counts: [0] } };
  });
  const writer = captureWriter({
    names: world.names,
    head: {
      kernel: "6.18.44",
      reasons: Object.fromEntries(reasons),
      subsystems: Object.fromEntries(subsystems),
      interval: 1000,
      fields: defaultFields,
      sum: "len",
      evidence: [],
    },
  });
  const capture = makeCaptureFile(file, true);
  capture.write(writer.head());
  for (let second = 1; second <= 86_400; second++) {
    const from = random.int(0, 300);
    const byReason = new Map<number, number>();
    let seen = 0;
    const entries = keys.slice(from, from + 100).map(({ id, key }) => {
      const n = random.int(1, 5000);
      seen += n;
      byReason.set(id, (byReason.get(id) ?? 0) + n);
      return { key, n, sum: n * random.int(40, 1500) };
    });
    capture.write(writer.tick({
      at: 1.7e12 + 1000 * second,
      seconds: 1,
      seen,
      counted: seen,
      other: 0,
      lost: 0,
      reasons: byReason,
      maps: [{ entries, other: 0, lost: 0 }],
      samples: [],
      unreadable: 0,
    }));
  }
  capture.write(writer.end());
  capture.close();
}

/** Twenty rules of all kinds, over eight sets of fields. */
const dayRules = `import { drops, rule } from "dropwatch";

const by = [
  drops.by("reason"),
  drops.by("dport"),
  drops.by("owner", "unit"),
  drops.by("dev"),
  drops.by("reason", "l4"),
  drops.by("owner", "ownerPort"),
  drops.by("dport", "l4", "dev"),
  drops.by("reason", "owner", "dport"),
];
const noSocket = { reason: "NO_SOCKET" } as const;
// Near the largest that there is, so that alerts are not the most of the work.
const limits = [60_000, 14_000, 110_000, 150_000, 40_000, 16_000, 11_000, 11_000];
const conditions = [
  ...by.map((query, i) => query.rate("10s").above(limits[i]!, { recovery: limits[i]! * 0.8 })),
  ...by.map((query, i) => query.where(noSocket).count(i % 2 === 0 ? "1m" : "5m").above(60 * limits[i]!)),
  by[1]!.sum("len", "1m").above(1_000_000_000),
  by[2]!.distinct("dport", "1m").above(120),
  by[3]!.rate("1m").spike({ over: "10m", factor: 2, min: 10 }),
  by[0]!.where(noSocket).count("1m").over(drops.count("1m"), { min: 100 }).above(0.3),
];

export default conditions.map((when, i) =>
  rule({ alert: \`Day\${i}\`, when: when as never, for: i % 3 === 0 ? "30s" : "1s" })
);
`;

/** `dropwatch replay` of a recorded day with twenty rules, from its start to its end. */
export async function day(add: Add, folder: string): Promise<void> {
  const [file, rules] = [join(folder, "day.ndjson"), join(folder, "day.ts")];
  writeDay(file);
  await writeFile(rules, dayRules);
  const times: number[] = [];
  let fired = 0;
  for (let round = 0; round < 3; round++) {
    const started = performance.now();
    const run = spawnSync(process.execPath, [main, "replay", file, "--rules", rules, "--json"], {
      encoding: "utf8",
      maxBuffer: 1e9,
    });
    times.push((performance.now() - started) / 1000);
    const told = run.stdout.trim().split("\n").map((line) => JSON.parse(line));
    const { type, data } = told.at(-1);
    if (
      run.status !== 0 || type !== "summary" || data.ticks !== 86_400 || data.rules.length !== 20
    ) {
      throw new Error(run.stderr);
    }
    fired = told.length - 1;
  }
  const size = ((await stat(file)).size / 1e6).toFixed(0);
  add(
    `a day of ticks with 100 keys (8.6 million counts, ${size} MB) through 20 rules, ${fired} alerts`,
    `${median(times).toFixed(1)} s, the whole process`,
    "under 30 s",
    median(times) < 30,
  );
}

// Measures what dropwatch costs and how it grows, side by side in one run, and writes RESULTS.md.
//
//   bun run bench [--quick] [--bpftrace "chroot DIR bpftrace"] [PART …]
//
// Nothing else should run on the machine meanwhile.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createSocket } from "node:dgram";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { planRules } from "../core/pipeline.ts";
import { makePlan } from "../core/plan/plan.ts";
import { findRuleFiles, loadRules } from "../core/rule/load.ts";
import { countsOf } from "../core/watch/watch.ts";
import { bpftraceSource } from "../plugins/sources/bpftrace/source.ts";
import { ownerTable } from "../plugins/enrichers/owner.ts";
import { startTraffic } from "../test/traffic/traffic.ts";
import type { Traffic } from "../test/traffic/traffic.ts";
import {
  commOf,
  costOfSend,
  familyOf,
  main,
  median,
  percentile,
  settle,
  shippedRules,
  startBare,
  startDropwatch,
  startWatcher,
  usage,
} from "./measure.ts";
import type { Watcher } from "./measure.ts";
import { day } from "./day.ts";
import { delivery } from "./delivery.ts";
import { code, hang, keys } from "./rules.ts";
import { view } from "./view.ts";

/** A figure, what was promised, and whether it was kept; `null` where nothing was promised. */
interface Row {
  readonly what: string;
  readonly figure: string;
  readonly target: string;
  readonly kept: boolean | null;
}

const args = process.argv.slice(2);
const quick = args.includes("--quick");
const at = args.indexOf("--bpftrace");
const bpftraceText = at === -1 ? "bpftrace" : args[at + 1] ?? "bpftrace";
const bpftrace = bpftraceText.split(" ");
const rest = args.filter((arg, i) => !arg.startsWith("--") && (at === -1 || i !== at + 1));
const parts = new Set(rest);
const rounds = quick ? 3 : 9;
const sends = quick ? 100_000 : 200_000;
const withBpftrace = ["--bpftrace", bpftraceText];
const folder = await mkdtemp(join(tmpdir(), "dropwatch-bench-"));
const rows: Row[] = [];
const tables: string[] = [];

function say(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

function add(what: string, figure: string, target = "", kept: boolean | null = null): void {
  rows.push({ what, figure, target, kept });
  say(`${what}: ${figure}${target === "" ? "" : ` (${target}: ${kept ? "kept" : "MISSED"})`}`);
}

/** Nanoseconds that each watcher adds to a send: medians of alternating runs. */
async function addedCosts(
  watchers: Readonly<Record<string, () => Promise<Watcher>>>,
): Promise<Record<string, { added: number; low: number; high: number }>> {
  const plain: number[] = [];
  const added: Record<string, number[]> = {};
  for (let round = 0; round < rounds; round++) {
    for (const [name, start] of Object.entries(watchers)) {
      // The plain cost is measured right before and after: the machine's speed drifts.
      const before = await costOfSend(sends);
      const watcher = await start();
      await settle();
      const during = [await costOfSend(sends), await costOfSend(sends)];
      await watcher.stop();
      const after = await costOfSend(sends);
      plain.push(before, after);
      (added[name] ??= []).push(median(during) - (before + after) / 2);
    }
    say(`round ${round + 1} of ${rounds}`);
  }
  add("a plain send to a socket that refuses it", `${median(plain).toFixed(0)} ns`);
  return Object.fromEntries(
    Object.entries(added).map(([name, values]) => [
      name,
      { added: median(values), low: Math.min(...values), high: Math.max(...values) },
    ]),
  );
}

const bare = "tracepoint:skb:kfree_skb { @ = count(); }";
const seed = 'tracepoint:skb:kfree_skb { printf("%-18s %d\\n", comm, args->reason); }';

const byOwner = `import { drops, rule } from "dropwatch";
export default rule({
  alert: "ByOwner",
  when: drops.where({ reason: "SOCKET_FILTER" }).by("owner").rate("10s").above(1e9),
});
`;

async function cost(): Promise<void> {
  const owner = join(folder, "by_owner.ts");
  await writeFile(owner, byOwner);
  const costs = await addedCosts({
    bare: () => startBare(bpftrace, bare),
    owner: () => startDropwatch(["--rules", owner, ...withBpftrace]),
    shipped: () => startDropwatch(["--rules", shippedRules, ...withBpftrace]),
    seed: () => startBare(bpftrace, seed),
  });
  const show = (name: string): string => {
    const { added, low, high } = costs[name]!;
    return `+${added.toFixed(0)} ns (${low.toFixed(0)} to ${high.toFixed(0)})`;
  };
  add("a bare `@ = count()` adds to a dropped packet", show("bare"));
  add("a printf for each drop adds", show("seed"));
  add("dropwatch with the shipped rules adds", show("shipped"));
  add("dropwatch with a rule by owner adds", show("owner"));
  const ownerToBare = costs.owner!.added / costs.bare!.added;
  add(
    "… in ratio to the bare count",
    `${ownerToBare.toFixed(2)} ×`,
    "at most 1.6 ×",
    ownerToBare <= 1.6,
  );
  const toBare = costs.shipped!.added / costs.bare!.added;
  const toSeed = costs.shipped!.added / costs.seed!.added;
  add("… in ratio to the bare count", `${toBare.toFixed(2)} ×`, "at most 1.6 ×", toBare <= 1.6);
  add("… in ratio to the printf", `1/${(1 / toSeed).toFixed(1)}`, "at most 1/6", toSeed <= 1 / 6);
}

/** The programs of the shipped rules, with drops that are kept whole and without, run bare. */
async function evidence(): Promise<void> {
  const source = bpftraceSource({ command: bpftrace });
  const facts = await source.facts();
  const files = await findRuleFiles([shippedRules]);
  const { rules, host } = await loadRules({
    files,
    facts: () => Promise.resolve(facts),
    interval: 1000,
    log: say,
  });
  await host.close();
  const programs = {
    without: await source.program(makePlan(countsOf(rules).counts), 1000),
    with: await source.program(planRules(rules, facts), 1000),
  };
  const run = (program: string): Promise<Watcher> =>
    startWatcher(
      [...bpftrace, "--no-warnings", "-f", "json", "-"],
      (line) => line.includes("tick"),
      program,
      { BPFTRACE_MAP_KEYS_MAX: "4096", BPFTRACE_MAX_MAP_KEYS: "4096" },
    );
  const costs = await addedCosts({
    without: () => run(programs.without),
    with: () => run(programs.with),
  });
  const ratio = costs.with!.added / costs.without!.added;
  add("the shipped rules without evidence add", `+${costs.without!.added.toFixed(0)} ns`);
  add("the shipped rules with evidence add", `+${costs.with!.added.toFixed(0)} ns`);
  add("… in ratio to those without", `${ratio.toFixed(2)} ×`, "at most 1.1 ×", ratio <= 1.1);
}

/** The look-ups of 1,000 owners, a tenth of which are replaced each second: all of them asked each second. */
async function owners(): Promise<void> {
  const count = 1000;
  const changing = 100;
  const seconds = quick ? 5 : 15;
  const start = (): Promise<Traffic> =>
    startTraffic("socket-filter", { receiverOnly: true, hold: 600 });
  const holders: Traffic[] = [];
  while (holders.length < count) {
    holders.push(...await Promise.all(Array.from({ length: changing }, start)));
  }
  const table = ownerTable();
  let used = 0;
  let known = 0;
  const timed = (work: () => void): void => {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    used += (user + system) / 1e6;
  };
  timed(() => table.poll());
  for (const { ready } of holders) table.owner(ready.inode!);
  used = 0;
  try {
    for (let second = 0; second < seconds; second++) {
      for (const old of holders.splice(0, changing)) await old.stop();
      holders.push(...await Promise.all(Array.from({ length: changing }, start)));
      for (let i = 0; i < 10; i++) timed(() => table.poll());
      timed(() => {
        for (const { ready } of holders) {
          if (table.owner(ready.inode!).pid === String(ready.pid)) known++;
        }
      });
    }
  } finally {
    await Promise.all(holders.map((each) => each.stop()));
  }
  const part = used / seconds;
  add(
    `owners of ${count} sockets, ${changing} of them new each second`,
    `${known} of ${count * seconds} right`,
    "all",
    known === count * seconds,
  );
  add("… their look-ups", `${(part * 100).toFixed(1)} % of a core`, "at most 5 %", part <= 0.05);
}

/** The whole of `dropwatch doctor`, from its start to its end. */
function doctor(): Promise<void> {
  const started = performance.now();
  const run = spawnSync(process.execPath, [main, "doctor", "--json", ...withBpftrace], {
    encoding: "utf8",
  });
  const seconds = (performance.now() - started) / 1000;
  const green = run.status === 0;
  add(
    "doctor, from start to end",
    `${seconds.toFixed(1)} s, ${green ? "all right" : `exit code ${run.status}`}`,
    "all right in at most 60 s",
    green && seconds <= 60,
  );
  return Promise.resolve();
}

async function flood(): Promise<void> {
  const each = 1_000_000;
  const watch = await startDropwatch(["--rules", shippedRules, "--json", ...withBpftrace]);
  const floods = await Promise.all(
    [0, 1].map((cpu) => startTraffic("socket-filter", { count: each, cpu })),
  );
  const results = await Promise.all(floods.map((one) => {
    one.go();
    return one.done;
  }));
  await watch.stop();
  const { data } = JSON.parse(watch.out.at(-1)!);
  const rate = 2 * each / (Math.max(...results.map(({ ns }) => ns)) / 1e9);
  const counted = data.rules.find(({ alert }: { alert: string }) => alert === "SocketFilterDrops");
  const exact = counted.total === 2 * each && data.other === 0 && data.lost === 0;
  add(
    `2,000,000 drops from two CPUs at ${(rate / 1000).toFixed(0)}k/s`,
    `${counted.total} counted for the rule, ${data.other} other, ${data.lost} lost`,
    "all counted, none other, none lost",
    exact,
  );
}

async function cpu(): Promise<void> {
  const keys = 100;
  const seconds = quick ? 5 : 15;
  const lines = [
    "| drops/s | drops/s reached | CPU of all processes | of it bpftrace |",
    "|---|---|---|---|",
  ];
  const figures = new Map<number, number>();
  for (const rate of [0, 1000, 10_000, 100_000, 300_000]) {
    const watch = await startDropwatch(["--rules", shippedRules, ...withBpftrace]);
    await sleep(2000);
    const family = familyOf(watch.pid);
    // One CPU alone doesn't send 300,000 packets a second one by one.
    const senders = rate === 0
      ? []
      : await Promise.all([0, 1].map((cpu) =>
        startTraffic("socket-filter", {
          count: rate * (seconds + 3) / 2,
          rate: rate / 2,
          sockets: keys / 2,
          cpu,
        })
      ));
    senders.forEach((one) => one.go());
    if (rate > 0) await sleep(1500);
    const tracers = family.filter((pid) => commOf(pid).startsWith("bpftrace"));
    const [before, tracerBefore] = [usage(family), usage(tracers)];
    const started = performance.now();
    await sleep(seconds * 1000);
    const [after, tracerAfter] = [usage(family), usage(tracers)];
    const elapsed = (performance.now() - started) / 1000;
    const results = await Promise.all(senders.map(({ done }) => done));
    for (const one of senders) await one.stop();
    await watch.stop();
    const share = (after.seconds - before.seconds) / elapsed;
    const tracer = (tracerAfter.seconds - tracerBefore.seconds) / elapsed;
    figures.set(rate, share);
    const reached = results.reduce((sum, { sent, ns }) => sum + sent / (ns / 1e9), 0);
    lines.push(
      `| ${rate} | ${reached.toFixed(0)} | ${(share * 100).toFixed(1)} % | ${
        (tracer * 100).toFixed(1)
      } % |`,
    );
    say(lines.at(-1)!);
  }
  tables.push(
    "CPU of main process, rule host and bpftrace together, 100 sockets refusing packets:\n\n" +
      lines.join("\n"),
  );
  const idle = figures.get(0)!;
  const busy = figures.get(300_000)!;
  add("CPU when idle", `${(idle * 100).toFixed(1)} % of a core`, "at most 2 %", idle <= 0.02);
  add(
    "CPU at 300,000 drops/s over 100 keys",
    `${(busy * 100).toFixed(1)} % of a core`,
    "at most 10 %",
    busy <= 0.1,
  );
}

/** Rules over four sets of fields, each with a condition and a threshold of its own. */
function manyRules(count: number): string {
  const sets = ['"ownerInode"', '"dport"', '"saddr", "l4"', '"dev", "reason"'];
  const lines = ['import { drops, rule } from "dropwatch";', "export default ["];
  for (let i = 0; i < count; i++) {
    const where = i % 2 === 0
      ? `{ reason: "SOCKET_FILTER" }`
      : `{ reason: ["SOCKET_FILTER", "NO_SOCKET", "SOCKET_RCVBUFF"] }`;
    lines.push(
      `  rule({ alert: "Many${i}", when: drops.where(${where}).by(${sets[i % 4]})` +
        `.rate("10s").above(${1_000_000 + i}), for: "${1 + i % 50}s" }),`,
    );
  }
  return [...lines, "];", ""].join("\n");
}

async function many(): Promise<void> {
  const files: Record<string, string> = {};
  for (const count of [10, 1000]) {
    files[count] = join(folder, `many${count}.ts`);
    await writeFile(files[count]!, manyRules(count));
  }
  const costs = await addedCosts({
    ten: () => startDropwatch(["--rules", files[10]!, ...withBpftrace]),
    thousand: () => startDropwatch(["--rules", files[1000]!, ...withBpftrace]),
  });
  const ratio = costs.thousand!.added / costs.ten!.added;
  add("10 rules over four key sets add", `+${costs.ten!.added.toFixed(0)} ns`);
  add("1,000 rules over four key sets add", `+${costs.thousand!.added.toFixed(0)} ns`);
  add("… in ratio to the 10", `${ratio.toFixed(2)} ×`, "at most 1.3 ×", ratio <= 1.3);
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const started = performance.now();
    const run = spawnSync(process.execPath, [main, "explain", files[1000]!], { encoding: "utf8" });
    if (run.status !== 0) throw new Error(run.stderr);
    times.push(performance.now() - started);
  }
  const time = median(times) / 1000;
  add(
    "1,000 rules loaded, planned and explained",
    `${time.toFixed(2)} s`,
    "at most 2 s",
    time <= 2,
  );
}

async function latency(): Promise<void> {
  const trials = quick ? 40 : 200;
  const rule = join(folder, "latency.ts");
  await writeFile(
    rule,
    `import { drops, rule } from "dropwatch";
     export default rule({
       alert: "Latency",
       when: drops.where({ reason: "NO_SOCKET" }).by("dport").count("10s").above(10),
       summary: ({ labels }) => labels.dport,
     });`,
  );
  const arrived = new Map<string, number>();
  const server = createServer((request, response) => {
    const chunks: Uint8Array[] = [];
    request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    request.on("end", () => {
      const { data } = JSON.parse(Buffer.concat(chunks).toString());
      if (data.status === "firing") arrived.set(data.labels.dport, performance.now());
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const watch = await startDropwatch([
    "--rules",
    rule,
    "--sink",
    `webhook=${url}`,
    ...withBpftrace,
  ]);
  const socket = createSocket("udp4");
  socket.on("error", () => {});
  const sent = new Map<string, number>();
  for (let i = 0; i < trials; i++) {
    const port = 30_000 + i;
    sent.set(String(port), performance.now());
    // A send that reports the refusal of the one before has sent nothing.
    for (let n = 0; n < 11;) {
      n += await new Promise<number>((resolve) =>
        socket.send("x", port, "127.0.0.1", (refused) => resolve(refused === null ? 1 : 0))
      );
    }
    // At odds with the tick, so that trials fall everywhere into it.
    await sleep(37 + (i * 53) % 97);
  }
  await sleep(1500);
  socket.close();
  await watch.stop();
  server.closeAllConnections();
  server.close();
  const delays = [...sent].map(([port, from]) => (arrived.get(port) ?? Infinity) - from);
  const p99 = percentile(delays, 99);
  add(`drop to webhook, ${trials} trials, ticks of 1 s: median`, `${median(delays).toFixed(0)} ms`);
  add("drop to webhook, p99", `${p99.toFixed(0)} ms`, "at most a tick + 100 ms", p99 <= 1100);
}

async function start(): Promise<void> {
  const [mine, theirs, memory]: number[][] = [[], [], []];
  for (let i = 0; i < (quick ? 3 : 7); i++) {
    const peer = await startBare(bpftrace, bare);
    theirs!.push(peer.attachedAfter);
    await peer.stop();
    const watch = await startDropwatch(["--rules", shippedRules, ...withBpftrace]);
    mine!.push(watch.attachedAfter);
    await sleep(1500);
    const own = familyOf(watch.pid).filter((pid) =>
      !/bpftrace|chroot|sh|esbuild/.test(commOf(pid))
    );
    memory!.push(usage(own).bytes / 1e6);
    await watch.stop();
  }
  const later = (median(mine!) - median(theirs!)) / 1000;
  add("a bare bpftrace counts after", `${(median(theirs!) / 1000).toFixed(2)} s`);
  add("the first tick comes after", `${(median(mine!) / 1000).toFixed(2)} s`);
  add("… later than the bare bpftrace by", `${later.toFixed(2)} s`, "at most 0.5 s", later <= 0.5);
  const used = median(memory!);
  add(
    "memory of main process and rule host",
    `${used.toFixed(0)} MB`,
    "at most 150 MB",
    used <= 150,
  );
}

async function replay(): Promise<void> {
  const drops = quick ? 1_000_000 : 3_000_000;
  const capture = join(folder, "capture.ndjson");
  const file = createWriteStream(capture);
  file.write(`${
    JSON.stringify({
      dropwatch: "capture",
      version: 1,
      kernel: release(),
      reasons: { 2: "NOT_SPECIFIED", 3: "NO_SOCKET", 5: "SOCKET_FILTER", 12: "NETFILTER_DROP" },
      fields: ["reason", "saddr", "dport", "l4", "dev", "ownerInode"],
    })
  }\n`);
  const reasons = ["NO_SOCKET", "SOCKET_FILTER", "NETFILTER_DROP", "NOT_SPECIFIED"];
  for (let i = 0; i < drops; i++) {
    const row = [
      1_700_000_000_000 + Math.floor(i / 500),
      1,
      reasons[i % 4],
      `192.0.2.${i % 200}`,
      String(1000 + i % 50),
      i % 3 === 0 ? "TCP" : "UDP",
      `eth${i % 2}`,
      String(4000 + i % 100),
    ];
    if (!file.write(`${JSON.stringify(row)}\n`)) {
      await new Promise((resolve) => file.once("drain", resolve));
    }
  }
  await new Promise<void>((resolve) => file.end(() => resolve()));
  const rules = join(folder, "ten.ts");
  const bys = ['"ownerInode"', '"dport"', '"saddr"', '"dev", "l4"', ""];
  await writeFile(
    rules,
    [
      'import { drops, rule } from "dropwatch";',
      "export default [",
      ...Array.from(
        { length: 10 },
        (_, i) =>
          `  rule({ alert: "Ten${i}", when: drops.where({ reason: "${reasons[i % 4]}"${
            i % 3 === 0 ? ', l4: "UDP"' : ""
          } })${bys[i % 5] === "" ? "" : `.by(${bys[i % 5]})`}.rate("10s").above(${1e6 + i}) }),`,
      ),
      "];",
    ].join("\n"),
  );
  const times: number[] = [];
  for (let i = 0; i < 3; i++) {
    const started = performance.now();
    const run = spawnSync(process.execPath, [
      main,
      "--rules",
      rules,
      "--source",
      `replay:${capture}`,
      "--json",
    ], { encoding: "utf8", maxBuffer: 1e9 });
    if (run.status !== 0) throw new Error(run.stderr);
    times.push(performance.now() - started);
    const { data } = JSON.parse(run.stdout.trim().split("\n").at(-1)!);
    if (data.seen !== drops) throw new Error(`replayed ${data.seen} of ${drops}`);
  }
  const rate = drops / (median(times) / 1000);
  add(
    `replay of ${drops} recorded drops through ten rules`,
    `${(rate / 1000).toFixed(0)}k drops/s, the whole process`,
    "at least 500k/s",
    rate >= 500_000,
  );
}

const all: Readonly<Record<string, () => Promise<void>>> = {
  cost,
  evidence,
  owners,
  doctor,
  flood,
  cpu,
  many,
  latency,
  start,
  replay,
  day: () => day(add, folder),
  keys: () => keys(add, quick),
  code: () => code(add, folder, quick),
  hang: () => hang(add, folder),
  delivery: () => delivery(add, folder),
  view: () => view(add, folder, quick),
};
try {
  for (const [name, part] of Object.entries(all)) {
    if (parts.size > 0 && !parts.has(name)) continue;
    say(`part ${name}`);
    await part();
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

const version = spawnSync(bpftrace[0]!, [...bpftrace.slice(1), "--version"], { encoding: "utf8" });
const runtime = process.versions.bun === undefined
  ? `Deno ${process.versions.deno}`
  : `Bun ${process.versions.bun}`;
const text = [
  "# Results",
  "",
  `Written by \`bun run bench${args.length > 0 ? ` ${args.join(" ")}` : ""}\` on ` +
  `${new Date().toISOString().slice(0, 10)}: Linux ${release()}, ${version.stdout.trim()}, ` +
  `${runtime}, ${cpus().length} × ${
    cpus()[0]?.model
  }. Medians; costs of packets are of ${rounds} alternating ` +
  `rounds, each against plain sends right before and after.`,
  "",
  "| what | figure | promised | |",
  "| --- | --- | --- | --- |",
  ...rows.map(({ what, figure, target, kept }) =>
    `| ${what} | ${figure} | ${target} | ${kept === null ? "" : kept ? "kept" : "**missed**"} |`
  ),
  "",
  ...tables.flatMap((table) => [table, ""]),
].join("\n");
process.stdout.write(text);
if (!quick && parts.size === 0) {
  const suffix = at === -1 ? "" : `-${/v(\d+\.\d+)/.exec(version.stdout)?.[1] ?? "other"}`;
  const results = fileURLToPath(new URL(`./RESULTS${suffix}.md`, import.meta.url));
  await writeFile(results, text);
  say(`wrote ${results}`);
}

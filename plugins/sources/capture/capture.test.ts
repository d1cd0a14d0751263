// A capture of version 2: what is written is what is replayed, for whatever rules; what can't be read is
// counted and said, and nothing of it counts.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFile, stat, writeFile } from "node:fs/promises";
import { makeFolder } from "../../../test/folder.ts";
import type { Folder } from "../../../test/folder.ts";
import { randomFrom } from "../../../test/random.ts";
import type { Random } from "../../../test/random.ts";
import { planOf, reasons, subsystems, world } from "../../../test/world.ts";
import type { Drop, FieldName } from "../../../core/drop/field.ts";
import type { DropwatchError } from "../../../core/error.ts";
import { separator } from "../../../core/plan/key.ts";
import type { SeriesKey } from "../../../core/plan/key.ts";
import { dropCounter } from "../../../core/plan/label.ts";
import { makePlan } from "../../../core/plan/plan.ts";
import type { Plan } from "../../../core/plan/plan.ts";
import { readPredicate } from "../../../core/plan/predicate.ts";
import type { MapCounts, Tick } from "../../../core/watch/tick.ts";
import { replaySource } from "../replay.ts";
import { captureCounter } from "./counter.ts";
import type { KeyPlace } from "./counter.ts";
import { makeCaptureFile } from "./file.ts";
import { captureReader } from "./reader.ts";
import type { Head2 } from "./head.ts";
import { captureFields, captureWriter } from "./writer.ts";
import type { CaptureWriter } from "./writer.ts";

let folder: Folder;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => folder.remove());

const fields: readonly FieldName[] = ["reason", "l4", "dport", "dev", "owner"];
const numbers = (table: ReadonlyMap<number, string>): Record<string, string> =>
  Object.fromEntries([...table].map(([id, name]) => [String(id), name]));
const head: Omit<Head2, "dropwatch" | "version"> = {
  kernel: "6.18.44",
  reasons: numbers(reasons),
  subsystems: numbers(subsystems),
  interval: 1000,
  fields,
  sum: "len",
  evidence: ["reason", "saddr", "sport", "daddr", "dport", "retransmitted"],
};
const idOf = new Map([...reasons].map(([id, name]) => [name, id]));
const begin = 1_700_000_000_000;

/** Drops that are alike. */
interface Group {
  readonly drop: Drop;
  readonly n: number;
}

const keyOf = (drop: Drop): SeriesKey => {
  const labels = fields.map((field) => drop[field] ?? "");
  return { text: labels.join(separator), labels, counts: [0] };
};

/** A tick of the recording's own plan. */
function tickOf(at: number, groups: readonly Group[], more: Partial<Tick> = {}): Tick {
  const byReason = new Map<number, number>();
  const entries = new Map<string, { key: SeriesKey; n: number; sum: number }>();
  let seen = 0;
  for (const { drop, n } of groups) {
    const id = idOf.get(drop.reason ?? "")!;
    byReason.set(id, (byReason.get(id) ?? 0) + n);
    seen += n;
    const key = keyOf(drop);
    const entry = entries.get(key.text) ?? { key, n: 0, sum: 0 };
    entry.n += n;
    entry.sum += n * Number(drop.len ?? 0);
    entries.set(key.text, entry);
  }
  return {
    at,
    seconds: 1,
    seen,
    counted: seen,
    other: 0,
    lost: 0,
    reasons: byReason,
    maps: [{ entries: [...entries.values()], other: 0, lost: 0 }],
    samples: [],
    unreadable: 0,
    ...more,
  };
}

const second = (n: number, groups: readonly Group[] = [], more: Partial<Tick> = {}): Tick =>
  tickOf(begin + 1000 * n, groups, more);

const drop = (more: Partial<Drop> = {}): Drop => ({
  reason: "NO_SOCKET",
  l4: "UDP",
  dport: "53",
  dev: "eth0",
  owner: "",
  len: "100",
  ...more,
});

const writing = (options: { maxKeys?: number; head?: Partial<Head2> } = {}): CaptureWriter =>
  captureWriter({
    head: { ...head, ...options.head },
    names: world.names,
    ...(options.maxKeys === undefined ? {} : { maxKeys: options.maxKeys }),
  });

/** The capture of some ticks. */
const capture = (ticks: readonly Tick[], writer = writing()): string =>
  writer.head() + ticks.map((tick) => writer.tick(tick)).join("") + writer.end();

interface Played {
  readonly ticks: readonly Tick[];
  readonly log: readonly string[];
  readonly error: DropwatchError | undefined;
}

async function play(
  text: string | Uint8Array,
  plan: Plan = planOf({ by: ["dport"] }),
  interval = 1000,
): Promise<Played> {
  const file = folder.file("capture.ndjson");
  await writeFile(file, text);
  const [ticks, log]: [Tick[], string[]] = [[], []];
  let error: DropwatchError | undefined;
  try {
    await replaySource({ file }).run({
      plan,
      interval,
      maxKeys: 4096,
      signal: new AbortController().signal,
      onTick: (tick) => void ticks.push(tick),
      onAttached: () => {},
      log: (message) => log.push(message),
    });
  } catch (thrown) {
    error = thrown as DropwatchError;
  }
  return { ticks, log, error };
}

const counts = ({ maps }: Tick): unknown[] =>
  maps[0]!.entries.map(({ key, n }) => [key.labels.join(" "), n]);

const conditions = [
  {},
  { reason: "NO_SOCKET" },
  { reason: ["NO_SOCKET", "SOCKET_FILTER"] },
  { reason: { not: "NO_SOCKET" }, l4: "UDP" },
  { class: "policy" },
  { subsystem: "mac80211_unusable" },
  { l4: "TCP" },
  { dport: [53, 80] },
  { dport: { not: 53 }, dev: "lo" },
  { owner: "nginx" },
  { owner: { not: "nginx" }, reason: "SOCKET_FILTER" },
];

function randomPlan(random: Random): Plan {
  return planOf(
    ...Array.from({ length: random.int(1, 8) }, () => ({
      where: random.pick(conditions),
      by: random.some([...fields, "class", "subsystem"] as const),
      ...(random.chance(0.3) ? { sum: "len" as const } : {}),
    })),
  );
}

/** Each reason, with what follows from it. */
const reasonLabels = [...reasons].map(([id, reason]) => ({
  reason,
  class: world.names.classOf(id),
  subsystem: world.names.subsystem(id >>> 16),
}));

function randomGroups(random: Random): Group[] {
  return Array.from({ length: random.int(0, 20) }, () => ({
    drop: {
      ...random.pick(reasonLabels),
      l4: random.pick(["TCP", "UDP", ""]),
      dport: random.pick(["53", "80", "443", ""]),
      dev: random.pick(["eth0", "lo"]),
      owner: random.pick(["nginx", "syncthing", "", 'a "b"\n\u202e', "ü€𝄞"]),
      len: String(random.int(20, 1500)),
    },
    n: random.int(1, 1_000_000),
  }));
}

const sorted = (maps: readonly MapCounts[]): unknown[] =>
  maps.map(({ entries, other, lost }) => ({
    other,
    lost,
    entries: entries.map(({ key, n, sum }) => JSON.stringify([key, n, sum])).sort(),
  }));

describe("what was recorded", () => {
  test("is replayed as a counter of drops would have counted it, for any rules", async () => {
    const random = randomFrom(2);
    for (let run = 0; run < 60; run++) {
      const plan = randomPlan(random);
      const groups = Array.from({ length: 30 }, () => randomGroups(random));
      // A small dictionary is begun anew all the time.
      const writer = writing({ maxKeys: random.pick([25, 60, 65_536]) });
      const text = capture(groups.map((each, i) => second(i + 1, each)), writer);
      const factor = random.pick([1, 1, 2, 5]);
      const { ticks, log, error } = await play(text, plan, 1000 * factor);
      expect([error, log]).toEqual([undefined, []]);
      const counter = dropCounter(plan, world);
      expect(ticks).toHaveLength(30 / factor);
      ticks.forEach((tick, i) => {
        for (const each of groups.slice(i * factor, (i + 1) * factor).flat()) {
          counter.add(each.drop, each.n);
        }
        const { seen, reasons, maps } = counter.take();
        expect([tick.at, tick.seconds]).toEqual([begin + 1000 * factor * (i + 1), factor]);
        expect([tick.seen, tick.counted, tick.other, tick.lost]).toEqual([seen, seen, 0, 0]);
        expect(new Map(tick.reasons)).toEqual(reasons);
        expect(sorted(tick.maps)).toEqual(sorted(maps));
        expect([tick.unreadable, tick.samples, tick.gap]).toEqual([0, [], undefined]);
      });
    }
  });

  test("has a tick for each one that was empty", async () => {
    const { ticks } = await play(capture([second(1), second(2), second(3)]));
    expect(ticks.map(({ at, seconds, seen }) => [at - begin, seconds, seen]))
      .toEqual([[1000, 1, 0], [2000, 1, 0], [3000, 1, 0]]);
  });

  test("keeps the times and lengths of its own ticks", async () => {
    const text = capture([
      second(1, [], { seconds: 0.4 }),
      tickOf(begin + 2013, [{ drop: drop(), n: 3 }], { seconds: 1.013 }),
      tickOf(begin + 4500, [], { seconds: 2.487 }),
      tickOf(begin + 4600, [{ drop: drop(), n: 1 }], { seconds: 0.1 }),
    ]);
    const { ticks, log } = await play(text);
    expect(ticks.map(({ at, seconds, seen }) => [at - begin, seconds, seen]))
      .toEqual([[1000, 0.4, 0], [2013, 1.013, 3], [4500, 2.487, 0], [4600, 0.1, 1]]);
    expect(log).toEqual([]);
  });

  test("is joined into longer ticks, by the time and not by the number of ticks", async () => {
    const text = capture([
      second(1, [{ drop: drop(), n: 1 }]),
      second(2, [{ drop: drop(), n: 10 }]),
      // One that came late.
      second(4, [{ drop: drop(), n: 100 }], { seconds: 2 }),
      second(5, [{ drop: drop(), n: 1000 }]),
    ]);
    const { ticks, log } = await play(text, undefined, 2000);
    expect(ticks.map(({ at, seconds, seen }) => [at - begin, seconds, seen]))
      .toEqual([[2000, 2, 11], [4000, 2, 100], [5000, 1, 1000]]);
    expect(log).toEqual([]);
  });

  test("can't be replayed in ticks that aren't made of its own", async () => {
    for (const interval of [500, 1500, 50]) {
      const { ticks, error } = await play(capture([second(1)]), undefined, interval);
      expect(ticks).toEqual([]);
      expect(error).toMatchObject({ code: "CAPTURE_INTERVAL", exit: 2 });
      expect(error!.message).toContain("1000ms, or a multiple of it");
    }
  });

  test("tells its fields, and those that follow from the reason", async () => {
    const file = await folder.write("capture.ndjson", capture([]));
    const facts = await replaySource({ file }).facts();
    expect(facts.title).toContain("6.18.44");
    for (const field of [...fields, "class", "subsystem"] as const) {
      expect(facts.unavailable(field)).toBe(undefined);
    }
    for (const field of ["saddr", "len", "site"] as const) {
      expect(facts.unavailable(field)).toContain("has only reason, l4, dport");
    }
  });

  test("has sums where it was told to, and is an error where a rule wants one that it hasn't", async () => {
    const groups = [{ drop: drop({ len: "70" }), n: 3 }, { drop: drop({ len: "100" }), n: 1 }];
    const plan = planOf({ by: ["dport"], sum: "len" });
    const { ticks } = await play(capture([second(1, groups)]), plan);
    expect(ticks[0]!.maps[0]!.entries.map(({ n, sum }) => [n, sum])).toEqual([[4, 310]]);
    const without = writing({ head: { sum: undefined } });
    const { ticks: none, error } = await play(capture([second(1, groups)], without), plan);
    expect(none).toEqual([]);
    expect(error).toMatchObject({ code: "CAPTURE_HAS_NO_SUM", exit: 3 });
  });

  test("of another kernel is known by the names of its reasons", async () => {
    const theirs = reasons.get(5)!;
    const text = capture([second(1, [{ drop: drop({ reason: theirs }), n: 7 }])])
      .replace(`"5":"${theirs}"`, `"99":"${theirs}"`);
    const file = await folder.write("other.ndjson", text);
    const { world: theirWorld } = await replaySource({ file }).facts();
    const { predicate } = readPredicate([{ reason: theirs }], theirWorld);
    const plan = makePlan([{ predicate, by: [] }, { predicate, by: ["dport"] }]);
    const { ticks } = await play(text, plan);
    expect([...ticks[0]!.reasons]).toEqual([[99, 7]]);
    expect(counts(ticks[0]!)).toEqual([["53", 7]]);
  });

  test("may have reasons without a name", async () => {
    const entry = { key: keyOf(drop({ reason: "openvswitch/0x20003" })), n: 4, sum: 0 };
    const tick = second(1, [], {
      seen: 4,
      counted: 4,
      reasons: new Map([[0x2_0003, 4]]),
      maps: [{ entries: [entry], other: 0, lost: 0 }],
    });
    const plan = planOf({ where: { subsystem: "openvswitch" }, by: ["reason"] });
    const { ticks } = await play(capture([tick]), plan);
    expect([...ticks[0]!.reasons]).toEqual([[0x2_0003, 4]]);
    expect(counts(ticks[0]!)).toEqual([["openvswitch/0x20003", 4]]);
  });

  test("gives single drops to who shows them", async () => {
    const plan = makePlan([{ predicate: [], by: [] }], {
      fields: ["reason"],
      perTick: 2,
      predicate: [],
    });
    const groups = ["1", "2", "3"].map((dport) => ({ drop: drop({ dport }), n: 5 }));
    const { ticks } = await play(capture([second(1, groups), second(2)]), plan);
    expect(ticks.map(({ samples }) => samples.map(({ dport }) => dport))).toEqual([["1", "2"], []]);
    expect(ticks[0]!.samples[0]).toMatchObject({ class: "policy", subsystem: "core" });
  });
});

test("a tick waits until the one before has been dealt with", async () => {
  const version1 = JSON.stringify({ ...head, version: 1, dropwatch: "capture" })
    .replace(/,"interval".*"evidence":.*?\]/, `,"fields":["reason"]`) +
    [1, 2, 3].map((n) => `\n[${begin + 1000 * n},1,"NO_SOCKET"]`).join("");
  // The third one ends the first two, joined, and a gap.
  const version2 = capture([second(1), second(2), second(9), second(10)]);
  for (const [text, n, interval] of [[version1, 3, 1000], [version2, 3, 5000]] as const) {
    const file = await folder.write("capture.ndjson", text);
    let [busy, done] = [false, 0];
    await replaySource({ file }).run({
      plan: planOf({}),
      interval,
      maxKeys: 4096,
      signal: new AbortController().signal,
      async onTick() {
        expect(busy).toBe(false);
        busy = true;
        await new Promise((resolve) => setTimeout(resolve, 1));
        busy = false;
        done++;
      },
      onAttached: () => {},
      log: () => {},
    });
    expect([busy, done]).toEqual([false, n]);
  }
});

describe("what wasn't counted", () => {
  const filter = { reason: "SOCKET_FILTER" };

  test("for want of room stays with the maps that it may belong to", async () => {
    const groups = [{ drop: drop(), n: 10 }, { drop: drop({ ...filter }), n: 5 }];
    const told = second(1, groups, {
      seen: 22,
      counted: 15,
      other: 7,
      // Seven of NO_SOCKET have no key.
      reasons: new Map([[3, 17], [5, 5]]),
    });
    const plan = planOf({ by: ["dport"] }, { where: filter, by: ["dev"] }, {
      where: { reason: "NO_SOCKET" },
      by: ["l4"],
    });
    const [tick] = (await play(capture([told]), plan)).ticks;
    expect(tick).toMatchObject({ seen: 22, counted: 15, other: 7, lost: 0 });
    expect([...tick!.reasons]).toEqual([[3, 17], [5, 5]]);
    expect(tick!.maps.map(({ other }) => other)).toEqual([7, 0, 7]);
  });

  test("at all is lost to every rule", async () => {
    const told = second(1, [{ drop: drop(), n: 10 }], { seen: 14, counted: 10, lost: 4 });
    const [tick] = (await play(capture([told]))).ticks;
    expect(tick).toMatchObject({ seen: 14, counted: 10, other: 0, lost: 4 });
    expect([...tick!.reasons]).toEqual([[3, 10]]);
  });

  test("under a key yet, since that is known later, is in the counts by reason at once", async () => {
    const first = second(1, [], { seen: 6, counted: 6, reasons: new Map([[3, 6]]) });
    const later = second(2, [{ drop: drop(), n: 6 }], { seen: 0, counted: 0, reasons: new Map() });
    const { ticks } = await play(capture([first, later]));
    expect(ticks.map(({ seen, counted, reasons }) => [seen, counted, [...reasons]]))
      .toEqual([[6, 6, [[3, 6]]], [0, 0, []]]);
    expect(ticks.map(counts)).toEqual([[], [["53", 6]]]);
  });

  test("since a tick had more keys than a capture holds is said to be without room", async () => {
    const groups = ["1", "2", "3", "4"].map((dport, i) => ({ drop: drop({ dport }), n: i + 1 }));
    const text = capture([second(1, groups)], writing({ maxKeys: 2 }));
    const [tick] = (await play(text)).ticks;
    expect(tick).toMatchObject({ seen: 10, counted: 7, other: 3 });
    expect(counts(tick!)).toEqual([["4", 4], ["3", 3]]);
    expect([...tick!.reasons]).toEqual([[3, 10]]);
  });

  test("in a gap, or in ticks that are missing, is a gap", async () => {
    const gap = { seconds: 2.5, why: "killed by SIGKILL", over: true };
    const writer = writing();
    const text = writer.head() +
      writer.tick(second(1, [{ drop: drop(), n: 1 }])) +
      writer.tick(second(4, [], { seconds: 3, gap: { ...gap, over: false } })) +
      writer.tick(second(5, [], { gap })) +
      writer.tick(second(6, [{ drop: drop(), n: 2 }])) +
      writer.tick(second(9, [{ drop: drop(), n: 4 }])) + writer.end();
    for (const interval of [1000, 3000]) {
      const { ticks, log } = await play(text, undefined, interval);
      expect(ticks.map(({ at, seconds, seen, gap }) => [at - begin, seconds, seen, gap])).toEqual([
        [1000, 1, 1, undefined],
        [4000, 3, 0, { ...gap, over: false }],
        [5000, 1, 0, gap],
        [6000, 1, 2, undefined],
        [8000, 2, 0, { seconds: 2, why: "the capture tells nothing of it", over: true }],
        [9000, 1, 4, undefined],
      ]);
      expect(log).toHaveLength(1);
      expect(log[0]).toContain("2.0 s");
    }
  });

  test("back in time is written on the recording's own", async () => {
    const [first, back, later] = [second(10), second(3), second(12)];
    const { ticks, log } = await play(capture([first, back, later]));
    expect(ticks.map(({ at }) => at - begin)).toEqual([10_000, 11_000, 12_000]);
    expect(log).toEqual([]);
  });
});

describe("evidence", () => {
  const plan: Plan = {
    ...planOf({ by: ["dport"] }),
    evidence: { fields: [], perTick: 1, labels: [], perLabels: 0, lookedAt: 1, counts: [0] },
  };
  const kept = (sport: string, more: Partial<Drop> = {}) => ({
    drop: {
      reason: "NO_SOCKET",
      saddr: "10.0.0.1",
      sport,
      daddr: "10.0.0.2",
      dport: "53",
      retransmitted: "0",
      stack: "entry;__udp4_lib_rcv",
      site: "__udp4_lib_rcv",
      ...more,
    } as Drop,
    at: "__udp4_lib_rcv+0x1a3",
    n: 2,
  });

  test("is what was kept, with its stack, and what TCP sent again on its flows only", async () => {
    const ticks = [
      second(1, [{ drop: drop(), n: 2 }], {
        evidence: [kept("1"), kept("2", { retransmitted: "" })],
      }),
      second(2, [], {
        evidence: [],
        retransmits: new Map([["10.0.0.1 1 10.0.0.2 53", 3], ["10.0.0.1 2 10.0.0.2 53", 1]]),
      }),
      second(3, [{ drop: drop(), n: 2 }], { evidence: [kept("3", { stack: "", site: "" })] }),
    ];
    const text = capture(ticks);
    const played = (await play(text, plan)).ticks;
    expect(played.map(({ evidence }) => evidence)).toEqual(ticks.map(({ evidence }) => evidence));
    expect(played.map(({ retransmits }) => [...retransmits ?? []]))
      .toEqual([[], [["10.0.0.1 1 10.0.0.2 53", 3]], []]);
    const [joined] = (await play(text, plan, 3000)).ticks;
    expect(joined!.evidence).toEqual(ticks.flatMap(({ evidence }) => evidence!));
  });

  test("is left out where no rule is told it, and is bounded in a tick", async () => {
    const many = Array.from({ length: 1000 }, (_, i) => kept(String(i)));
    const text = capture([second(1, [], { evidence: many })]);
    expect((await play(text)).ticks[0]!.evidence).toBe(undefined);
    const { ticks, log } = await play(text, plan);
    expect(ticks[0]!.evidence).toEqual(many.slice(0, 256));
    expect(log).toEqual([]);
  });

  test("writes a stack down once", () => {
    const text = capture([1, 2, 3].map((n) => second(n, [], { evidence: [kept("1"), kept("2")] })));
    expect(text.match(/__udp4_lib_rcv\+/g)).toHaveLength(6);
    expect(text.match(/entry;/g)).toHaveLength(1);
  });
});

describe("a line that can't be read", () => {
  const good = capture([second(1, [{ drop: drop(), n: 3 }])]).trimEnd().split("\n");
  const at = (n: number): number => begin + 1000 * n;

  test.each([
    ["is no JSON", "garbage"],
    ["is empty", ""],
    ["is an object", "{}"],
    ["is of a kind that there isn't", `["x",1]`],
    ["is no kind", `[]`],
    ["has an id twice", `["k",0,"NO_SOCKET","UDP","53","eth0",""]`],
    ["has an id out of range", `["k",65536,"NO_SOCKET","UDP","53","eth0",""]`],
    ["has an id less than 0", `["k",-1,"NO_SOCKET","UDP","53","eth0",""]`],
    ["has half an id", `["k",1.5,"NO_SOCKET","UDP","53","eth0",""]`],
    ["has a text for an id", `["k","__proto__","NO_SOCKET","UDP","53","eth0",""]`],
    ["lacks a label", `["k",1,"NO_SOCKET","UDP","53","eth0"]`],
    ["has a label too many", `["k",1,"NO_SOCKET","UDP","53","eth0","",""]`],
    ["has a number for a label", `["k",1,"NO_SOCKET","UDP",53,"eth0",""]`],
    ["has what separates labels in one", `["k",1,"NO_SOCKET","UDP","5\\u00003","eth0",""]`],
    ["has a label that is too long", `["k",1,"NO_SOCKET","UDP","${"5".repeat(9000)}","eth0",""]`],
    ["counts a key that there isn't", `["t",${at(2)},1,0,0,7,1,100]`],
    ["counts a key that is a text", `["t",${at(2)},1,0,0,"0",1,100]`],
    ["counts the length of the list", `["t",${at(2)},1,0,0,"length",1,100]`],
    ["counts less than nothing", `["t",${at(2)},1,0,0,0,-1,100]`],
    ["counts nothing", `["t",${at(2)},1,0,0,0,0,100]`],
    ["counts a half", `["t",${at(2)},1,0,0,0,1.5,100]`],
    ["counts more than there can be", `["t",${at(2)},1,0,0,0,1e13,100]`],
    ["has a sum less than 0", `["t",${at(2)},1,0,0,0,1,-100]`],
    ["has a sum that no number holds", `["t",${at(2)},1,0,0,0,1,1e17]`],
    ["lacks a sum", `["t",${at(2)},1,0,0,0,1]`],
    ["counts well, and then a key that there isn't", `["t",${at(2)},1,0,0,0,1,100,9,1,100]`],
    ["is of a time before the last", `["t",${at(0)},1,0,0,0,1,100]`],
    ["is of a time far away", `["t",${begin + 500 * 86_400_000},1,0,0,0,1,100]`],
    ["is of half a millisecond", `["t",${at(2)}.5,1,0,0,0,1,100]`],
    ["is of no time", `["t",null,1,0,0,0,1,100]`],
    ["is of a time that no date can be", `["t",1e16,1,0,0,0,1,100]`],
    ["lasts less than nothing", `["t",${at(2)},-1,0,0,0,1,100]`],
    ["lasts for ever", `["t",${at(2)},1e9,0,0,0,1,100]`],
    ["lost less than nothing", `["t",${at(2)},1,0,-1,0,1,100]`],
    ["had no room for less than nothing", `["t",${at(2)},1,-1,0,0,1,100]`],
    ["tells reasons that are none", `["t",${at(2)},1,0,0,[0,"NO_SOCKET"],0,1,100]`],
    ["tells a reason twice", `["t",${at(2)},1,0,0,[0,"A",1,"A",1],0,1,100]`],
    ["tells less than no drops of a reason", `["t",${at(2)},1,0,0,[0,"A",-1],0,1,100]`],
    ["misses more than were lost", `["t",${at(2)},1,0,1,[2,"A",1],0,1,100]`],
    ["keeps a drop with a stack that there isn't", `["s",1,0,"","","","","","","",""]`],
    ["keeps no drop", `["s",1]`],
    ["has a stack out of range", `["w",4096,"a;b"]`],
    ["has a stack that is none", `["w",0,["a"]]`],
    ["sends again less than never", `["f","a 1 b 2",-1]`],
    ["sends again half of a flow", `["f","a 1 b 2"]`],
    ["is a gap without a reason", `["g",${at(2)},1,1,null,1]`],
    ["is a gap that lasts less than nothing", `["g",${at(2)},-1,1,"killed",1]`],
    ["is a gap that neither lasts nor is over", `["g",${at(2)},1,1,"killed",2]`],
    ["begins anew with something", `["n",1]`],
    ["is an end of no time", `["e","now"]`],
  ])("since it %s is counted, told with its line, and nothing of it counts", async (_, line) => {
    const lines = [...good.slice(0, -1), line, `["t",${at(2)},1,0,0,0,5,500]`, good.at(-1)!];
    const { ticks, log, error } = await play(lines.join("\n"));
    expect(error).toBe(undefined);
    expect(ticks.map(({ seen, unreadable }) => [seen, unreadable])).toEqual([[3, 0], [5, 1]]);
    expect(ticks.map(counts)).toEqual([[["53", 3]], [["53", 5]]]);
    expect(log).toEqual([
      `${folder.file("capture.ndjson")}:4: this line of the capture can't be read, and is left out`,
    ]);
  });

  test("may be a tick: then nothing is told of its time", async () => {
    const lines = [...good.slice(0, -1), "?", `["t",${at(3)},1,0,0,0,5,500]`, good.at(-1)!];
    const { ticks } = await play(lines.join("\n"));
    expect(ticks.map(({ at, seen, unreadable, gap }) => [at - begin, seen, unreadable, gap?.over]))
      .toEqual([[1000, 3, 0, undefined], [2000, 0, 1, true], [3000, 5, 0, undefined]]);
  });

  test("may be the last, cut off: the rest is there, and it is said", async () => {
    const writer = writing();
    const text = writer.head() + writer.tick(second(1, [{ drop: drop(), n: 3 }])) +
      writer.tick(second(2, [{ drop: drop(), n: 4 }]));
    const { ticks, log } = await play(text.slice(0, -4));
    expect(
      ticks.map(({ at, seconds, seen, unreadable }) => [at - begin, seconds, seen, unreadable]),
    )
      .toEqual([[1000, 1, 3, 0], [1000, 0, 0, 1]]);
    expect(log).toHaveLength(2);
    expect(log[1]).toContain("has no end");
    expect((await play(text)).log).toHaveLength(1);
  });

  test("is what follows the end", async () => {
    const { ticks, log } = await play([...good, `["t",${at(2)},1,0,0,0,5,500]`].join("\n"));
    expect(ticks.map(({ seen, unreadable }) => [seen, unreadable])).toEqual([[3, 0], [0, 1]]);
    expect(log).toHaveLength(1);
  });

  test("is told ten times at most", async () => {
    const lines = [...good.slice(0, -1), ...Array<string>(5000).fill("x"), good.at(-1)!];
    const { log } = await play(lines.join("\n"));
    expect(log).toHaveLength(11);
    expect(log[10]).toContain("5000 lines");
  });

  test("may be enormous: the next one is read", async () => {
    const long = `["t",${at(2)},1,0,0${",0,1,100".repeat(900_000)}]`;
    const lines = [...good.slice(0, -1), long, `["t",${at(2)},1,0,0,0,5,500]`, good.at(-1)!];
    const { ticks } = await play(lines.join("\n"));
    expect(ticks.map(({ seen, unreadable }) => [seen, unreadable])).toEqual([[3, 0], [5, 1]]);
  });

  test("may be anywhere: what a capture becomes by chance has no wrong numbers", async () => {
    const random = randomFrom(9);
    const plan = planOf({ by: ["dport"] }, {
      where: { reason: "NO_SOCKET" },
      by: ["dev", "owner"],
    });
    for (let run = 0; run < 300; run++) {
      const ticks = Array.from({ length: 10 }, (_, i) => second(i + 1, randomGroups(random)));
      const bytes = new TextEncoder().encode(capture(ticks, writing({ maxKeys: 30 })));
      const from = bytes.indexOf(10) + 1;
      for (let i = random.int(1, 12); i > 0; i--) {
        bytes[random.int(from, bytes.length - 1)] = random.chance(0.5)
          ? random.int(0, 255)
          : random.pick([0x2c, 0x2d, 0x30, 0x39, 0x22, 0x5b, 0x5d, 0x0a, 0x65]);
      }
      const { ticks: played, error } = await play(bytes, plan, random.pick([1000, 3000]));
      expect(error).toBe(undefined);
      let last = 0;
      for (const { at, seen, counted, other, lost, maps, reasons } of played) {
        expect(at).toBeGreaterThanOrEqual(last);
        last = at;
        expect(seen).toBe(counted + other + lost);
        expect(Math.min(seen, counted, other, lost)).toBeGreaterThanOrEqual(0);
        const whole = [
          ...reasons.values(),
          ...maps.flatMap(({ entries }) => entries.map(({ n }) => n)),
        ];
        for (const n of whole) expect(n > 0 && Number.isSafeInteger(n)).toBe(true);
      }
    }
  });
});

test("the examples in docs/captures.md are captures", async () => {
  const page = await readFile(new URL("../../../docs/captures.md", import.meta.url), "utf8");
  const found = [...page.matchAll(/^```json\n(.*?)^```$/gms)].map(([, text]) => text!);
  expect(found.map((text) => JSON.parse(text.split("\n")[0]!).version)).toEqual([2, 1]);
  const plan = planOf({ where: { reason: "SOCKET_FILTER" }, by: ["ownerPort"] });
  const seen = await Promise.all(found.map(async (text, i) => {
    const file = await folder.write(`${i}.ndjson`, text);
    const ticks: Tick[] = [];
    await replaySource({ file }).run({
      plan,
      interval: 1000,
      maxKeys: 4096,
      signal: new AbortController().signal,
      onTick: (tick) => void ticks.push(tick),
      onAttached: () => {},
      log: (message) => {
        throw new Error(message);
      },
    });
    return ticks.map(({ seen, other, gap }) => [seen, other, gap?.seconds]);
  }));
  expect(seen[0]).toEqual([
    [500, 0, undefined],
    [0, 0, undefined],
    [0, 0, 2.5],
    [24, 3, undefined],
  ]);
  expect(seen[1]!.map(([seen]) => seen)).toEqual([500, 800, 0, 0, 900, ...Array(7).fill(0), 3]);
});

describe("a head", () => {
  const broken = (changes: Record<string, unknown>): string =>
    `${JSON.stringify({ dropwatch: "capture", version: 2, ...head, ...changes })}\n`;

  test.each([
    ["without an interval", { interval: undefined }, "interval"],
    ["with half a millisecond", { interval: 100.5 }, "interval"],
    ["with an interval that is too long", { interval: 100_000 }, "interval"],
    ["without the reason", { fields: ["l4"] }, "fields"],
    ["with a field twice", { fields: ["reason", "l4", "l4"] }, "fields"],
    ["with a field that there isn't", { fields: ["reason", "reasn"] }, "fields.1"],
    ["with a sum of something else", { sum: "dport" }, "sum"],
    ["with evidence of what there isn't", { evidence: ["x"] }, "evidence.0"],
    ["with a key that there isn't", { more: 1 }, "more"],
    ["of a later version", { version: 3 }, "version 1 or 2"],
  ])("%s is an error that says so", async (_, changes, named) => {
    const { ticks, error } = await play(broken(changes));
    expect(ticks).toEqual([]);
    expect(error).toMatchObject({ code: "BAD_CAPTURE", exit: 3, place: { line: 1 } });
    expect(error!.message).toContain(named);
  });
});

describe("memory", () => {
  test("holds so many series: what comes beyond them in one tick has no room", () => {
    const plan = planOf({ by: ["dport"] }, { by: ["l4"] });
    const counter = captureCounter({
      plan,
      world,
      sums: true,
      maxSeries: 4,
      dropOf: (labels) =>
        Object.fromEntries(fields.map((field, i) => [field, labels[i]!])) as unknown as Drop,
    });
    const { told, evidence, retransmits } = {
      told: undefined,
      evidence: [],
      retransmits: new Map<string, number>(),
    };
    const tick = { at: 0, seconds: 1, other: 0, lost: 0, told, evidence, retransmits };
    const key = (dport: string): { labels: readonly string[]; place: KeyPlace | undefined } => ({
      labels: keyOf(drop({ dport })).labels,
      place: undefined,
    });
    const keys = ["1", "2", "3", "4", "5"].map(key);
    for (let round = 0; round < 3; round++) {
      for (const each of keys) counter.add(each, 10, 0);
      counter.close(tick);
      const { seen, counted, other, maps } = counter.take();
      expect([seen, counted, other]).toEqual([50, 30, 20]);
      expect(maps.map(({ entries, other }) => [entries.map(({ n }) => n), other]))
        .toEqual([[[10, 10, 10], 20], [[50], 0]]);
    }
  });

  test("of the dictionary is bounded: what doesn't fit can't be read", () => {
    const reader = captureReader({ dropwatch: "capture", version: 2, ...head }, {
      before: () => {},
      count: () => {},
      tick: () => {},
      gap: () => {},
    });
    const key = (id: number): boolean =>
      reader.line(JSON.stringify(["k", id, "NO_SOCKET", "UDP", "53", "", "x".repeat(8000)]));
    let id = 0;
    while (key(id)) id++;
    expect(id).toBe(Math.floor((64 << 20) / 8014));
    expect(reader.line(`["n"]`)).toBe(true);
    expect(key(id)).toBe(true);
  });
});

describe("the file", () => {
  test("is made once, for its owner only, and is written at once", async () => {
    const path = folder.file("new.ndjson");
    const file = makeCaptureFile(path, false);
    file.write("ü\n");
    expect(file.bytes).toBe(3);
    expect((await stat(path)).size).toBe(3);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    file.close();
    const code = (doing: () => unknown): string => {
      try {
        doing();
        return "";
      } catch (thrown) {
        return (thrown as DropwatchError).code;
      }
    };
    expect(code(() => makeCaptureFile(path, false))).toBe("CAPTURE_EXISTS");
    expect(code(() => makeCaptureFile(folder.file("no/such/folder"), true))).toBe(
      "UNWRITABLE_FILE",
    );
    expect(code(() => makeCaptureFile("/dev/full", true).write("x"))).toBe("UNWRITABLE_FILE");
    makeCaptureFile(path, true).close();
    expect((await stat(path)).size).toBe(0);
  });
});

test("the fields of a capture are those that were asked for, each once, without those that follow", () => {
  expect(captureFields(["dport", "class", "dport"])).toEqual(["reason", "dport"]);
  expect(captureFields(["subsystem", "site", "reason"])).toEqual(["reason", "site"]);
});

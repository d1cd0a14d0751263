// A capture as a source: each drop of it is counted exactly once, in the tick of its time; what can't
// be read is counted as unreadable and told with its line; what is no capture is an error.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { randomFrom } from "../../test/random.ts";
import { planOf } from "../../test/world.ts";
import { fieldNames } from "../../core/drop/field.ts";
import type { DropwatchError } from "../../core/error.ts";
import type { Plan } from "../../core/plan/plan.ts";
import type { Tick } from "../../core/watch/tick.ts";
import { replaySource } from "./replay.ts";

let folder: Folder;

beforeEach(async () => {
  folder = await makeFolder();
});

afterEach(() => folder.remove());

const head = {
  dropwatch: "capture",
  version: 1,
  kernel: "6.18.44",
  reasons: { 3: "NO_SOCKET", 5: "SOCKET_FILTER", 65538: "mac80211_unusable/RX_DROP_U_REPLAY" },
  subsystems: { 0: "core", 1: "mac80211_unusable" },
  fields: ["reason", "dport"],
};

type Row = readonly [at: number, n: number, ...labels: string[]];

/** The head with changes, as a line. */
const withHead = (changes: Readonly<Record<string, unknown>>): string =>
  JSON.stringify({ ...head, ...changes });

/** Lines as they are, rows as JSON. */
const capture = (...lines: readonly (string | Row)[]): string =>
  [head, ...lines].map((line) => typeof line === "string" ? line : JSON.stringify(line)).join("\n");

const byPort: Plan = planOf({ where: { reason: "NO_SOCKET" }, by: ["dport"] });

interface Played {
  readonly ticks: readonly Tick[];
  readonly log: readonly string[];
  readonly error: DropwatchError | undefined;
}

interface PlayOptions {
  readonly plan?: Plan;
  readonly interval?: number;
  readonly onTick?: (tick: Tick) => void;
  readonly signal?: AbortSignal;
}

/** Replays a capture, and says all that came of it. */
async function play(text: string | Uint8Array, options: PlayOptions = {}): Promise<Played> {
  const file = folder.file("capture.ndjson");
  await writeFile(file, text);
  const [ticks, log]: [Tick[], string[]] = [[], []];
  let error: DropwatchError | undefined;
  try {
    await replaySource({ file }).run({
      plan: options.plan ?? byPort,
      interval: options.interval ?? 1000,
      maxKeys: 4096,
      signal: options.signal ?? new AbortController().signal,
      onTick: (tick) => {
        ticks.push(tick);
        options.onTick?.(tick);
      },
      onAttached: () => log.push(`attached before tick ${ticks.length}`),
      log: (message) => log.push(message),
    });
  } catch (thrown) {
    error = thrown as DropwatchError;
  }
  return { ticks, log, error };
}

/** How many there were of each key of the first map. */
const counts = ({ maps }: Tick): (readonly [string, number])[] =>
  maps[0]!.entries.map(({ key, n }) => [key.labels.join("|"), n]);

describe("a capture", () => {
  test("is counted in ticks, on multiples of the interval, by its own times", async () => {
    const { ticks, error } = await play(capture(
      [1_700_000_000_250, 5, "NO_SOCKET", "53"],
      [1_700_000_000_999, 2, "NO_SOCKET", "54"],
      [1_700_000_001_000, 1, "SOCKET_FILTER", "53"],
      [1_700_000_003_500, 7, "NO_SOCKET", "53"],
    ));
    expect(error).toBe(undefined);
    expect(ticks.map(({ at }) => at - 1_700_000_000_000)).toEqual([1000, 2000, 3000, 4000]);
    expect(ticks.map(counts)).toEqual([[["53", 5], ["54", 2]], [], [], [["53", 7]]]);
    expect(ticks.map(({ reasons }) => [...reasons])).toEqual([[[3, 7]], [[5, 1]], [], [[3, 7]]]);
    expect(ticks.map(({ seen }) => seen)).toEqual([7, 1, 0, 7]);
    for (const tick of ticks) {
      expect(tick).toMatchObject({ counted: tick.seen, other: 0, lost: 0, unreadable: 0 });
      expect([tick.seconds, tick.samples, tick.gap]).toEqual([1, [], undefined]);
    }
  });

  test("may have any interval", async () => {
    const text = capture([1000, 1, "NO_SOCKET", "1"], [1049, 2, "NO_SOCKET", "1"], [
      1050,
      4,
      "NO_SOCKET",
      "1",
    ]);
    const { ticks } = await play(text, { interval: 50 });
    expect(ticks.map(({ at, seconds, seen }) => [at, seconds, seen]))
      .toEqual([[1050, 0.05, 3], [1100, 0.05, 4]]);
  });

  test("comes whole and in order, however long it is, with or without a last newline", async () => {
    const random = randomFrom(17);
    const rows: Row[] = [];
    let at = 5_000_000;
    for (let i = 0; i < 60_000; i++) {
      at += random.int(0, 3);
      rows.push([at, random.int(1, 1000), "NO_SOCKET", String(random.int(1, 60_000))]);
    }
    const expected = new Map<number, Map<string, number>>();
    for (const [time, n, , port = ""] of rows) {
      const end = time - time % 1000 + 1000;
      const ports = expected.get(end) ?? new Map<string, number>();
      expected.set(end, ports.set(port, (ports.get(port) ?? 0) + n));
    }
    const text = capture(...rows);
    // More than one piece of the file, so that lines are cut between two.
    expect(text.length).toBeGreaterThan(1 << 20);
    for (const end of ["", "\n"]) {
      const { ticks, error } = await play(text + end);
      expect(error).toBe(undefined);
      expect(new Map(ticks.map((tick) => [tick.at, new Map(counts(tick))]))).toEqual(expected);
      const seen = ticks.reduce((sum, tick) => sum + tick.seen, 0);
      expect(seen).toBe(rows.reduce((sum, [, n]) => sum + n, 0));
      expect(ticks.every((tick) => tick.counted === tick.seen)).toBe(true);
      expect(ticks.map((tick) => tick.at)).toEqual(ticks.map((_, i) => ticks[0]!.at + 1000 * i));
    }
  });

  test("tells what it is, its names, and which fields it hasn't", async () => {
    const file = await folder.write("capture.ndjson", capture());
    const source = replaySource({ file });
    expect(source.name).toBe(`replay:${file}`);
    const { title, world, unavailable } = await source.facts();
    expect(title).toContain("Linux 6.18.44");
    expect(world.reasons.get(5)).toBe("SOCKET_FILTER");
    expect(world.subsystems.get(1)).toBe("mac80211_unusable");
    const missing = fieldNames.filter((name) => unavailable(name) !== undefined);
    const given = ["reason", "dport", "subsystem", "class"];
    expect(missing).toEqual(fieldNames.filter((name) => !given.includes(name)));
    expect(unavailable("saddr")).toContain("reason, dport");
  });

  test("without reasons in its lines gives neither class nor subsystem", async () => {
    const file = await folder.write("capture.ndjson", withHead({ fields: ["dport"] }));
    const { unavailable } = await replaySource({ file }).facts();
    for (const field of ["class", "subsystem", "reason"] as const) {
      expect(unavailable(field)).toContain("has only dport");
    }
    expect(unavailable("dport")).toBe(undefined);
  });

  test("gives the class by its own reasons, whatever one before it had", async () => {
    const plan = planOf({ by: ["class"] });
    const row = `[1000,1,"SOCKET_FILTER","1"]`;
    const before = await play(`${withHead({ reasons: { 9: "OTHER" } })}\n${row}\n`, { plan });
    const after = await play(`${withHead({})}\n${row}\n`, { plan });
    expect([before, after].map(({ ticks }) => counts(ticks[0]!)))
      .toEqual([[["unknown", 1]], [["policy", 1]]]);
  });

  test("gives class and subsystem with the reason", async () => {
    const { ticks } = await play(
      capture(
        [1000, 1, "NO_SOCKET", "1"],
        [1000, 2, "SOCKET_FILTER", "1"],
        [1000, 4, "mac80211_unusable/RX_DROP_U_REPLAY", ""],
      ),
      { plan: planOf({ by: ["reason", "subsystem", "class"] }) },
    );
    expect(counts(ticks[0]!)).toEqual([
      ["NO_SOCKET|core|policy", 1],
      ["SOCKET_FILTER|core|policy", 2],
      ["mac80211_unusable/RX_DROP_U_REPLAY|mac80211_unusable|normal", 4],
    ]);
  });

  test("without a drop has no tick, and is attached all the same", async () => {
    for (const text of [capture(), `${capture()}\n`]) {
      expect(await play(text)).toEqual({
        ticks: [],
        log: ["attached before tick 0"],
        error: undefined,
      });
    }
  });

  test("is attached once, before the first tick", async () => {
    const { log } = await play(capture([1000, 1, "NO_SOCKET", "1"], [9000, 1, "NO_SOCKET", "1"]));
    expect(log).toEqual(["attached before tick 0"]);
  });

  test("may have lines that end as on Windows", async () => {
    const text = capture([1000, 1, "NO_SOCKET", "1"], [1000, 2, "NO_SOCKET", "2"]);
    const { ticks, log } = await play(`${text.replaceAll("\n", "\r\n")}\r\n`);
    expect(ticks.map(counts)).toEqual([[["1", 1], ["2", 2]]]);
    expect(log).toHaveLength(1);
  });

  test("whose time goes back a little counts what is late in the tick that is open", async () => {
    const { ticks } = await play(capture(
      [5000, 1, "NO_SOCKET", "1"],
      [6100, 2, "NO_SOCKET", "1"],
      [5900, 4, "NO_SOCKET", "1"],
      [7000, 8, "NO_SOCKET", "1"],
    ));
    expect(ticks.map(({ at, seen }) => [at, seen])).toEqual([[6000, 1], [7000, 6], [8000, 8]]);
  });

  test("can be ended at any tick, which still gives what was counted until then", async () => {
    const end = new AbortController();
    const rows = Array.from({ length: 100 }, (_, i): Row => [1000 * i, 1, "NO_SOCKET", "1"]);
    const { ticks, error } = await play(capture(...rows), {
      signal: end.signal,
      onTick: ({ at }) => {
        if (at === 5000) end.abort();
      },
    });
    expect(error).toBe(undefined);
    expect(ticks.map(({ at, seen }) => [at, seen])).toEqual([
      [1000, 1],
      [2000, 1],
      [3000, 1],
      [4000, 1],
      [5000, 1],
      [6000, 1],
    ]);
  });

  test("that was ended before it began gives nothing", async () => {
    const text = capture([1000, 1, "NO_SOCKET", "1"]);
    expect((await play(text, { signal: AbortSignal.abort() })).ticks).toEqual([]);
  });
});

describe("a line that can't be read", () => {
  const good: Row = [1000, 1, "NO_SOCKET", "53"];

  test.each([
    ["is no JSON", "garbage"],
    ["is empty", ""],
    ["is an object", "{}"],
    ["is null", "null"],
    ["was cut off", `[1000,5,"NO_SOCK`],
    ["has no drops", `[1000,0,"NO_SOCKET","53"]`],
    ["has less than no drops", `[1000,-5,"NO_SOCKET","53"]`],
    ["has a half of a drop", `[1000,1.5,"NO_SOCKET","53"]`],
    ["has a text for a number", `[1000,"5","NO_SOCKET","53"]`],
    ["has more drops than there can be", `[1000,1e13,"NO_SOCKET","53"]`],
    ["has null for a number", `[1000,null,"NO_SOCKET","53"]`],
    ["has a time before 1970", `[-1,5,"NO_SOCKET","53"]`],
    ["has a time that no date can be", `[1e16,5,"NO_SOCKET","53"]`],
    ["has a time to which a tick adds nothing", `[1e19,5,"NO_SOCKET","53"]`],
    ["has a text for a time", `["1000",5,"NO_SOCKET","53"]`],
    ["lacks a label", `[1000,5,"NO_SOCKET"]`],
    ["has a label too many", `[1000,5,"NO_SOCKET","53","54"]`],
    ["has a number for a label", `[1000,5,"NO_SOCKET",53]`],
  ])("since it %s is counted, told with file and line, and left out", async (_, line) => {
    const { ticks, log, error } = await play(capture(good, line, good));
    expect(error).toBe(undefined);
    expect(ticks.map((tick) => [tick.seen, tick.counted, tick.unreadable])).toEqual([[2, 2, 1]]);
    expect(counts(ticks[0]!)).toEqual([["53", 2]]);
    expect(log).toHaveLength(2);
    expect(log[1]).toContain(`${folder.file("capture.ndjson")}:3: `);
  });

  test("is counted in the tick in which it stands", async () => {
    const { ticks } = await play(capture(good, "?", "?", [2000, 1, "NO_SOCKET", "53"], "?"));
    expect(ticks.map(({ unreadable }) => unreadable)).toEqual([2, 1]);
  });

  test("may be the last, cut off in the middle", async () => {
    const whole = capture(good, good, [1000, 4, "NO_SOCKET", "54"]);
    const { ticks, log } = await play(whole.slice(0, -6));
    expect(ticks.map((tick) => [tick.seen, tick.unreadable])).toEqual([[2, 1]]);
    expect(log.at(-1)).toContain(":4: ");
  });

  test("may be enormous: the next one is read", async () => {
    const { ticks, log } = await play(capture(good, "[".repeat(3 << 20), good));
    expect(ticks.map((tick) => [tick.seen, tick.unreadable])).toEqual([[2, 1]]);
    expect(log.at(-1)!.length).toBeLessThan(1000);
  });

  test("may be enormous though all but its length is right: it isn't counted cut off", async () => {
    const { ticks, log } = await play(
      capture(good, [1000, 7, "NO_SOCKET", "x".repeat(5 << 20)], good),
    );
    expect(ticks.map((tick) => [tick.seen, tick.unreadable])).toEqual([[2, 1]]);
    expect(log).toHaveLength(2);
  });

  test("may be the first after the head, and have any time: the ticks begin with the next", async () => {
    for (const at of ["1e16", "1e19"]) {
      const { ticks, error } = await play(capture(`[${at},5,"NO_SOCKET","53"]`, good));
      expect(error).toBe(undefined);
      expect(ticks.map((tick) => [tick.at, tick.seen, tick.unreadable])).toEqual([[2000, 1, 1]]);
    }
  });

  test("is told ten times at most, and then how many there were", async () => {
    const { ticks, log } = await play(capture(good, ...Array<string>(20_000).fill("x")));
    expect(ticks.map((tick) => [tick.seen, tick.unreadable])).toEqual([[1, 20_000]]);
    const [, ...told] = log;
    expect(told).toHaveLength(11);
    expect(told[9]).toContain("capture.ndjson:12: ");
    expect(told[10]).toContain("20000 lines");
  });

  test("may be none of UTF-8", async () => {
    const text = new TextEncoder().encode(capture(good, "??", good));
    text.fill(0xff, text.indexOf(0x3f), text.indexOf(0x3f) + 2);
    const { ticks } = await play(text);
    expect(ticks.map((tick) => [tick.seen, tick.unreadable])).toEqual([[2, 1]]);
  });
});

describe("a file that is no capture", () => {
  test.each([
    ["is empty", "", "first line"],
    ["is no JSON", "#!/bin/sh\n", "first line"],
    ["is a list", "[1000,1]\n", "dropwatch"],
    ["is null", "null\n", "first line"],
    ["is something else", `{"hello":"world"}`, "dropwatch"],
    ["is of another version", withHead({ version: 3 }), "version 1"],
    ["has no version", withHead({ version: undefined }), "version"],
    ["has a field that there isn't", withHead({ fields: ["reason", "reasn"] }), "fields.1"],
    ["has no list of fields", withHead({ fields: "reason" }), "fields"],
    ["has a reason without a number", withHead({ reasons: { x: "NO_SOCKET" } }), "reasons.x"],
    ["has a reason without a name", withHead({ reasons: { 3: 3 } }), "reasons.3"],
    ["has a key that there isn't", withHead({ sampled: true }), "sampled"],
    ["names no kernel", withHead({ kernel: undefined }), "kernel"],
  ])("since it %s is an error at its first line that says so", async (_, text, named) => {
    const { ticks, error } = await play(`${text}\n[1000,1,"NO_SOCKET","53"]\n`);
    const facts = replaySource({ file: folder.file("capture.ndjson") }).facts();
    const other = await facts.then(() => undefined, (thrown: DropwatchError) => thrown);
    expect(ticks).toEqual([]);
    for (const each of [error, other]) {
      expect(each).toMatchObject({ code: "BAD_CAPTURE", exit: 3 });
      expect(each!.place).toEqual({ file: folder.file("capture.ndjson"), line: 1 });
      expect(each!.message).toContain(named);
    }
  });

  test("since it isn't there, or is a folder, is an error that names it", async () => {
    for (const file of [folder.file("gone.ndjson"), folder.path]) {
      const source = replaySource({ file });
      const run = () =>
        source.run({
          plan: byPort,
          interval: 1000,
          maxKeys: 4096,
          signal: new AbortController().signal,
          onTick: () => {},
          onAttached: () => {},
          log: () => {},
        });
      for (const attempt of [source.facts, run]) {
        const error = await attempt().then(() => undefined, (thrown: DropwatchError) => thrown);
        expect(error).toMatchObject({ code: "UNREADABLE_FILE", place: { file } });
      }
    }
  });
});

test("a time that jumps by over a day is an error at its line, and not a day of ticks", async () => {
  const { ticks, error } = await play(capture(
    [1000, 1, "NO_SOCKET", "53"],
    [2000, 2, "NO_SOCKET", "53"],
    [1000 + 2 * 86_400_000, 4, "NO_SOCKET", "53"],
  ));
  expect(error).toMatchObject({
    code: "BAD_CAPTURE",
    exit: 3,
    place: { file: folder.file("capture.ndjson"), line: 4 },
  });
  expect(ticks.map(({ seen }) => seen)).toEqual([1]);
});

import { describe, expect, test } from "bun:test";
import { exitCode } from "../../core/error.ts";
import { serve } from "../../test/server.ts";
import { topCommand } from "../commands/top.ts";
import { readOptions } from "../option.ts";
import { addTick, newCounted } from "./counted.ts";
import { jsonOnce, onceOf, showOnce } from "./once.ts";

const counted = newCounted(["reason", "owner"]);
for (let i = 1; i <= 100; i++) {
  addTick(counted, {
    at: i * 1000,
    seconds: 1,
    seen: 11,
    counted: 11,
    other: 0,
    lost: 0,
    gap: null,
    drops: [[["A", "nginx"], 9], [["B", ""], 1], [["B", "a\x1b[2J b"], 1]],
    cost: { cpu: 0, memoryBytes: 0 },
  });
}
const query = { by: ["reason", "owner"], filters: [], sort: "rate", reverse: false } as const;

describe("one look", () => {
  test("is a table of all the time, also beyond a minute, with how long it was and how sure it is", () => {
    expect(showOnce(onceOf(counted, query), query.by, 20)).toEqual([
      "reason  owner         drops  drops/s  share",
      "A       nginx         900    9.0      81.8%",
      "B       -             100    1.0      9.1%",
      `B       "a\\x1b[2J b"  100    1.0      9.1%`,
      "",
      "1,100 drops in 1m40s, exact",
    ]);
  });

  test("says what it leaves out, and what is missing", () => {
    const missing = structuredClone(counted);
    addTick(missing, {
      at: 105_000,
      seconds: 1,
      seen: 12,
      counted: 0,
      other: 10,
      lost: 2,
      gap: null,
      drops: [],
      cost: { cpu: 0, memoryBytes: 0 },
    });
    const lines = showOnce(onceOf(missing, query), query.by, 1);
    expect(lines.slice(2)).toEqual([
      "… 2 rows more: --limit shows them",
      "",
      "1,100 drops in 1m41s, at least: 10 other, 2 lost, nobody counted for 4s",
    ]);
    const { summary } = onceOf(missing, query);
    expect(summary).toEqual({
      seconds: 101,
      seen: 1112,
      counted: 1100,
      other: 10,
      lost: 2,
      gapSeconds: 4,
      exact: false,
      drops: 1100,
      rows: 3,
    });
  });

  test("is an object a line as JSON: rows, and a summary", () => {
    const one = onceOf(counted, { ...query, by: ["owner"], filters: [{ is: { reason: ["B"] } }] });
    const lines = jsonOnce(one, "2026-01-02T03:04:05.000Z", 10);
    for (const line of lines) expect(line).toMatch(/^[\x20-\x7e]*$/);
    expect(lines.map((line) => JSON.parse(line)).slice(0, 2)).toEqual([
      {
        type: "drops",
        timestamp: "2026-01-02T03:04:05.000Z",
        data: { labels: { owner: "" }, drops: 100, rate: 1, share: 0.5 },
      },
      {
        type: "drops",
        timestamp: "2026-01-02T03:04:05.000Z",
        data: { labels: { owner: "a\x1b[2J b" }, drops: 100, rate: 1, share: 0.5 },
      },
    ]);
    expect(JSON.parse(lines[2]!).data).toMatchObject({ drops: 200, rows: 2, exact: true });
  });

  test("in which nothing was counted has no table, and isn't exact", () => {
    const never = newCounted(["reason"]);
    const gap = structuredClone(never);
    for (const at of [1000, 4000]) {
      addTick(gap, {
        ...{ at, seconds: 0, seen: 0, counted: 0, other: 0, lost: 0 },
        ...{ gap: "bpftrace ended", drops: [], cost: { cpu: 0, memoryBytes: 0 } },
      });
    }
    for (const [made, gapSeconds] of [[never, 0], [gap, 3]] as const) {
      const none = onceOf(made, { ...query, by: ["reason"] });
      expect(showOnce(none, ["reason"], 20)).toEqual([]);
      expect(none.summary).toMatchObject({ seconds: 0, gapSeconds, drops: 0, exact: false });
    }
  });

  test("that ends before a tick came fails, and says why", async () => {
    const served = await serve();
    try {
      for (const json of [true, false]) {
        const over = new AbortController();
        const [out, said]: [string[], string[]] = [[], []];
        const args = [
          "--connect",
          served.server.url,
          "--duration",
          "1h",
          ...json ? ["--json"] : [],
        ];
        const begun = Date.now();
        const code = await topCommand.run(readOptions(args, topCommand.options), {
          out: (line) => void out.push(line),
          log(message) {
            said.push(message);
            if (message.startsWith("counting drops")) over.abort();
          },
          colour: false,
          isTerminal: false,
          signal: over.signal,
          onHangup: () => {},
        });
        expect(code).toBe(exitCode.source);
        expect(said.at(-1)).toBe("nothing was counted: it ended before the first tick");
        expect(out.length).toBe(json ? 1 : 0);
        if (!json) continue;
        const { timestamp, data } = JSON.parse(out[0]!);
        expect(data).toMatchObject({ seconds: 0, seen: 0, exact: false });
        expect(Date.parse(timestamp)).toBeGreaterThanOrEqual(begun);
      }
    } finally {
      await served.stop();
    }
  });

  test("that saw no drop says so, and is exact", () => {
    const quiet = newCounted(["reason"]);
    addTick(quiet, {
      ...{ at: 1000, seconds: 1, seen: 0, counted: 0, other: 0, lost: 0, gap: null, drops: [] },
      cost: { cpu: 0, memoryBytes: 0 },
    });
    const none = onceOf(quiet, { ...query, by: ["reason"] });
    expect(showOnce(none, ["reason"], 20).at(-1)).toBe("0 drops in 1s, exact");
  });
});

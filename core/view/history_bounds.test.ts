// What a flood of keys leaves in the history: bounded, whatever comes, and whole in its sums.
import { describe, expect, test } from "bun:test";
import { makeHistory } from "./history.ts";
import type { Block, Cell, History } from "./history.ts";

const begin = 1_700_000_040_000; // A whole minute.
const steady: Cell = [["SOCKET_FILTER", "lo", "nginx"], 1000];

/** Seconds, each with so many keys that there never were before, and one that is always there. */
function flood(
  seconds: number,
  keys: number,
): { blocks: Block[]; history: History } {
  const history = makeHistory(["reason", "dev", "owner"]);
  for (let second = 1; second <= seconds; second++) {
    const cells = Array.from(
      { length: keys },
      (_, i): Cell => [[i % 2 === 0 ? "NO_SOCKET" : "TCP_CSUM", "lo", `p${second}.${i}`], 2],
    );
    const seen = 2 * keys + 1000;
    const at = begin + 1000 * second;
    history.add({ at, seconds: 1, seen, other: 0, lost: 0, cells: [...cells, steady] });
  }
  return { history, blocks: [...history.changes("seconds"), ...history.changes("minutes")] };
}

describe("a flood of ever new keys", () => {
  test("leaves few keys in a block, at any moment", () => {
    for (const seconds of [30, 59, 61, 200]) {
      for (const { keys, moments } of flood(seconds, 2000).blocks) {
        expect(keys.length).toBeLessThan(15_000);
        const cells = moments.map((moment) => moment.cells.length);
        expect(Math.max(...cells)).toBeLessThan(2500);
        const used = moments.flatMap((moment) => moment.cells.map(([key]) => key));
        expect(Math.max(...new Set(used))).toBeLessThan(keys.length);
      }
    }
  });

  test("leaves 100 keys, and the rest by its reason, once a moment is over", () => {
    const { blocks } = flood(200, 2000);
    expect(blocks.length).toBe(5);
    for (const { moments } of blocks) {
      for (const { cells } of moments.slice(0, -1)) expect(cells.length).toBeLessThanOrEqual(103);
    }
  });

  test("leaves the sums whole, and what was always there under its name", () => {
    const { history } = flood(200, 2000);
    const query = { from: begin, to: begin + 200_000, limit: 10, where: {} };
    const byReason = history.query({ ...query, by: ["reason"], step: 1000 });
    expect(byReason.total).toBe(200 * 5000);
    expect(byReason.exact).toBe(true);
    expect(new Map(byReason.series.map(({ labels, total }) => [labels["reason"], total]))).toEqual(
      new Map([["NO_SOCKET", 400_000], ["TCP_CSUM", 400_000], ["SOCKET_FILTER", 200_000]]),
    );
    const minutes = history.query({ ...query, by: ["owner"], step: 60_000, limit: 2 });
    const owners = minutes.series.map(({ labels, total }) => [labels["owner"], total]);
    expect(owners[1]).toEqual(["nginx", 200_000]);
    expect(owners[0]![0]).toBe(null);
    expect(minutes.total).toBe(1_000_000);
  });
});

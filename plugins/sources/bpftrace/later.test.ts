// Drops that wait for what TCP does: each is decided once, by the first that is known.
import { describe, expect, test } from "bun:test";
import { LaterCounts, patience } from "./later.ts";

const none: ReadonlyMap<string, number> = new Map();
const flow = "192.0.2.1 40000 192.0.2.2 443";

function waiting(
  n: number,
): {
  n: number;
  sum: number;
  read: (later: string) => { text: string; labels: string[]; counts: number[] };
} {
  return { n, sum: 10 * n, read: (later) => ({ text: later, labels: [later], counts: [0] }) };
}

const shown = (decided: readonly { key: { text: string }; n: number; sum: number }[]): string[] =>
  decided.map(({ key, n, sum }) => `${key.text} ${n} ${sum}`);

describe("a drop of a TCP flow", () => {
  test("is decided in its own tick by what was sent after it, not by what was sent before", () => {
    const counts = new LaterCounts();
    const sent = new Map([[flow, 2]]);
    expect(shown(counts.add({ flow, before: 1 }, waiting(3), sent, 0))).toEqual(["yes 3 30"]);
    expect(shown(counts.add({ flow, before: 2 }, waiting(4), sent, 0))).toEqual([]);
    expect(shown(counts.decide(none, 1000))).toEqual([]);
    expect(shown(counts.decide(new Map([["another", 1]]), 2000))).toEqual([]);
    expect(shown(counts.decide(new Map([[flow, 1]]), 2999))).toEqual(["yes 4 40"]);
    expect(shown(counts.decide(new Map([[flow, 1]]), 1e9))).toEqual([]);
  });

  test("waits so long and no longer, each for itself", () => {
    const counts = new LaterCounts();
    counts.add({ flow, before: 0 }, waiting(1), none, 0);
    counts.add({ flow, before: 0 }, waiting(2), none, 1000);
    expect(shown(counts.decide(none, patience - 1))).toEqual([]);
    expect(shown(counts.decide(none, patience))).toEqual(["no 1 10"]);
    expect(shown(counts.decide(new Map([[flow, 1]]), patience + 500))).toEqual(["yes 2 20"]);
  });

  test("is not followed by a retransmit at the end of all", () => {
    const counts = new LaterCounts();
    counts.add({ flow, before: 0 }, waiting(1), none, 0);
    expect(shown(counts.decide(none, Infinity))).toEqual(["no 1 10"]);
    expect(shown(counts.decide(none, Infinity))).toEqual([]);
  });
});

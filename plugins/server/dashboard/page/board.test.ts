// Drops on a board: the history, and ticks after it, come to the same as the history alone.
import { describe, expect, test } from "bun:test";
import type { HistoryLabel } from "../../../../core/view/view.ts";
import { makeHistory } from "../../../../core/view/history.ts";
import type { Cell } from "../../../../core/view/history.ts";
import { keyOf, makeBoard } from "./board.ts";
import type { Board } from "./board.ts";

const tick = (at: number, drops: Cell[], more = {}) => ({
  at,
  seconds: 1,
  gap: null as string | null,
  drops,
  ...more,
});
const same = (labels: readonly HistoryLabel[]): readonly HistoryLabel[] => labels;
const shown = (board: Board) => board.top().map((each) => [each.labels[0], each.total, each.now]);
const rates = (board: Board, label: HistoryLabel) =>
  board.rates(board.top().find(({ labels }) => labels[0] === label)!);

describe("a tick", () => {
  test("that ends at a boundary belongs to the step before it", () => {
    const board = makeBoard({ step: 1000, size: 4, most: 10 });
    board.add(tick(10_000, [[["A"], 5]]), same);
    board.add(tick(11_000, [[["A"], 7], [["B"], 1]]), same);
    expect(board.end).toBe(11_000);
    expect(board.times()).toEqual([7000, 8000, 9000, 10_000]);
    expect(rates(board, "A")).toEqual([null, null, 5, 7]);
    expect(rates(board, "B")).toEqual([null, null, 0, 1]);
    expect(shown(board)).toEqual([["A", 12, 7], ["B", 1, 1]]);
    expect(board.seconds).toBe(2);
  });

  test("in which nobody counted leaves a gap, no zero", () => {
    const board = makeBoard({ step: 1000, size: 3, most: 10 });
    board.add(tick(1000, [[["A"], 5]]), same);
    board.add(tick(2000, [], { gap: "bpftrace is gone" }), same);
    board.add(tick(3000, []), same);
    expect(rates(board, "A")).toEqual([5, null, 0]);
    expect(shown(board)).toEqual([["A", 5, 0]]);
  });

  test("that took long is shared out over its steps, and the sum stays whole", () => {
    const board = makeBoard({ step: 1000, size: 5, most: 10 });
    board.add(tick(1000, []), same);
    board.add(tick(5000, [[["A"], 40]], { seconds: 4 }), same);
    expect(rates(board, "A")).toEqual([0, 10, 10, 10, 10]);
    expect(shown(board)).toEqual([["A", 40, 10]]);
  });

  test("after ticks that stayed out leaves what was between empty", () => {
    const board = makeBoard({ step: 1000, size: 4, most: 10 });
    board.add(tick(1000, [[["A"], 5]]), same);
    board.add(tick(4000, [[["A"], 1]]), same);
    expect(rates(board, "A")).toEqual([5, null, null, 1]);
    board.add(tick(100_000, [[["A"], 3]]), same);
    expect(rates(board, "A")).toEqual([null, null, null, 3]);
    expect(shown(board)).toEqual([["A", 3, 3]]);
  });

  test("counts only what is meant, under the labels that are asked for", () => {
    const board = makeBoard({ step: 1000, size: 2, most: 10 });
    const drops: Cell[] = [[["A", "eth0"], 1], [["B", "eth0"], 2], [["A", "eth1"], 4]];
    board.add(tick(1000, drops), ([reason, dev]) => reason === "A" ? [dev ?? null] : undefined);
    expect(shown(board)).toEqual([["eth1", 4, 4], ["eth0", 1, 1]]);
  });

  test("of a large step adds to it", () => {
    const board = makeBoard({ step: 60_000, size: 2, most: 10 });
    for (let at = 61_000; at <= 70_000; at += 1000) board.add(tick(at, [[["A"], 6]]), same);
    expect(rates(board, "A")).toEqual([null, 6]);
  });

  test("that comes some milliseconds late begins no step of its own", () => {
    const board = makeBoard({ step: 1000, size: 3, most: 10, phase: 700 });
    for (const [at, seconds] of [[1300, 1], [2304, 1.004], [3301, 0.997]] as const) {
      board.add(tick(at, [[["A"], 5]], { seconds }), same);
    }
    expect(board.end).toBe(3300);
    expect(rates(board, "A").map((rate) => Math.round(rate!))).toEqual([5, 5, 5]);
    expect(board.top()[0]!.total).toBeCloseTo(15, 9);
  });

  test("that a moment reaches over doesn't count for the step beside it", () => {
    const board = makeBoard({ step: 1000, size: 2, most: 10 });
    board.add(tick(2000, [[["A"], 6]], { seconds: 1.005 }), same);
    expect(rates(board, "A")[0]).toBe(null);
    expect(Math.round(rates(board, "A")[1]!)).toBe(6);
  });
});

describe("what is too old", () => {
  test("goes, out of the sums too", () => {
    const board = makeBoard({ step: 1000, size: 3, most: 10 });
    for (let i = 1; i <= 10; i++) board.add(tick(i * 1000, [[["A"], i]]), same);
    expect(rates(board, "A")).toEqual([8, 9, 10]);
    expect(shown(board)).toEqual([["A", 27, 10]]);
    for (let i = 11; i <= 13; i++) board.add(tick(i * 1000, []), same);
    expect(shown(board)).toEqual([]);
  });
});

describe("a flood of keys", () => {
  test("leaves as many as are told apart, the largest among them, and the sum whole", () => {
    const board = makeBoard({ step: 1000, size: 10, most: 100 });
    let sum = 0;
    for (let at = 1; at <= 10; at++) {
      const drops: Cell[] = [[["large"], 1000]];
      for (let i = 0; i < 1000; i++) drops.push([[`key ${at} ${i}`], 1]);
      sum += 2000;
      board.add(tick(at * 1000, drops), same);
    }
    const all = board.top();
    expect(all.length).toBeLessThanOrEqual(100);
    expect(shown(board)[0]).toEqual(["large", 10_000, 1000]);
    expect(all.reduce((sum, { total }) => sum + total, board.rest.total)).toBe(sum);
    expect(board.restKeys).toBe(10_000 + 1 - all.length);
  });
});

describe("a key", () => {
  test("is another one for other labels", () => {
    const all: (readonly HistoryLabel[])[] = [
      [null],
      [""],
      ["null"],
      ["[null]"],
      ["rest"],
      [null, ""],
      ["", null],
      [`","`, ""],
      ["", `","`],
      ["a", "b"],
      [`a","b`],
    ];
    expect(new Set(all.map(keyOf)).size).toBe(all.length);
    expect(all.map(keyOf)).not.toContain("rest");
  });
});

describe("the history on a board", () => {
  /** Seconds of drops, as the server keeps them, and as a page sees them that came at `from`. */
  const both = (
    { start, count, from, step, size, fraction = 0, gapAt = -1 }: {
      start: number;
      count: number;
      from: number;
      step: number;
      size: number;
      fraction?: number;
      gapAt?: number;
    },
  ) => {
    const history = makeHistory(["reason", "dev"]);
    const at = (i: number): number => start + i * 1000 + fraction;
    const cells = (i: number): Cell[] => [[["A", "eth0"], 1 + i % 7], [["B", "eth0"], i % 3]];
    const add = (i: number): void => {
      if (i === gapAt) return;
      history.add({ at: at(i), seconds: 1, seen: 0, other: 0, lost: 0, cells: cells(i) });
    };
    const query = (now: number) =>
      history.query({
        by: ["reason"],
        where: {},
        from: Math.ceil(now / step) * step - size * step,
        to: now,
        step,
        limit: 10,
      });
    const phase = fraction === 0 ? 0 : 1000 - fraction;
    const board = makeBoard({ step, size, most: 10, phase });
    for (let i = 1; i <= from; i++) add(i);
    board.fill(query(at(from)), ["reason"], at(from));
    for (let i = from + 1; i <= count; i++) {
      add(i);
      board.add(
        i === gapAt ? tick(at(i), [], { gap: "gone" }) : tick(at(i), cells(i)),
        ([reason]) => [reason ?? null],
      );
    }
    const whole = makeBoard({ step, size, most: 10, phase });
    whole.fill(query(at(count)), ["reason"], at(count));
    return { board, whole };
  };
  const rounded = (rates: readonly (number | null)[]) =>
    rates.map((rate) => rate === null ? null : Math.round(rate * 100) / 100);

  test.each(
    [
      ["by seconds", { start: 0, count: 90, from: 70, step: 1000, size: 60 }],
      ["by seconds that end at a fraction", {
        start: 0,
        count: 90,
        from: 70,
        step: 1000,
        size: 60,
        fraction: 300,
      }],
      ["from its first second on", { start: 600_000, count: 20, from: 3, step: 1000, size: 60 }],
      ["by larger steps, in the middle of one", {
        start: 0,
        count: 97,
        from: 71,
        step: 5000,
        size: 12,
      }],
      ["with a gap in the past", {
        start: 0,
        count: 90,
        from: 70,
        step: 1000,
        size: 60,
        gapAt: 50,
      }],
      ["with a gap after", { start: 0, count: 90, from: 70, step: 1000, size: 60, gapAt: 80 }],
    ] as const,
  )("%s goes on with ticks as if all of it had been read", (_, options) => {
    const { board, whole } = both(options);
    for (const reason of ["A", "B"]) {
      expect(rounded(rates(board, reason))).toEqual(rounded(rates(whole, reason)));
    }
    expect(board.times()).toEqual(whole.times());
    expect(board.top().map(({ total }) => Math.round(total)))
      .toEqual(whole.top().map(({ total }) => Math.round(total)));
  });

  test("that has minutes only is spread over smaller steps", () => {
    const board = makeBoard({ step: 20_000, size: 6, most: 10 });
    board.fill(
      {
        by: ["reason"],
        from: 0,
        to: 120_000,
        step: 60_000,
        seconds: 60,
        series: [{ labels: { reason: "A" }, total: 600, values: [null, 10] }],
        rest: { labels: { reason: null }, total: 60, values: [null, 1] },
        restSeries: 3,
        total: 660,
        missing: 0,
        other: 0,
        lost: 0,
        exact: false,
      },
      ["reason"],
      120_000,
    );
    expect(rates(board, "A")).toEqual([null, null, null, 10, 10, 10]);
    expect([board.rest.total, board.restKeys, board.seconds]).toEqual([60, 3, 60]);
  });

  test("without any drops still tells for how long somebody counted", () => {
    const board = makeBoard({ step: 1000, size: 5, most: 10 });
    board.fill(
      {
        by: [],
        from: 0,
        to: 5000,
        step: 1000,
        seconds: 3,
        series: [],
        rest: null,
        restSeries: 0,
        total: 0,
        missing: 0,
        other: 0,
        lost: 0,
        exact: true,
      },
      ["reason"],
      5000,
    );
    expect(board.rates(board.rest)).toEqual([null, null, 0, 0, 0]);
  });
});

describe("a history", () => {
  test("is shown with the rate of its last step, until a tick tells another", () => {
    const history = makeHistory(["reason", "owner"]);
    for (const [at, n] of [[10_000, 8], [11_000, 5]] as const) {
      const cells: Cell[] = [[["NO_SOCKET", "A"], n], [["NO_SOCKET", "B"], 3]];
      history.add({ at, seconds: 1, seen: n + 3, other: 0, lost: 0, cells });
    }
    const board = makeBoard({ step: 1000, size: 4, most: 10 });
    const asked = { where: {}, from: 7000, to: 11_000, step: 1000, limit: 10 };
    board.fill(history.query({ ...asked, by: ["owner"] }), ["owner"], 11_000);
    expect(shown(board)).toEqual([["A", 13, 5], ["B", 6, 3]]);
    board.add(tick(12_000, [[["B"], 7]]), same);
    expect(shown(board)).toEqual([["A", 13, 0], ["B", 13, 7]]);
  });

  test("has the rate of what isn't told apart, too", () => {
    const history = makeHistory(["reason", "owner"]);
    const cells: Cell[] = [[["R", "A"], 8], [["R", "B"], 5], [["R", "C"], 4]];
    history.add({ at: 10_000, seconds: 1, seen: 17, other: 0, lost: 0, cells });
    const board = makeBoard({ step: 1000, size: 4, most: 10 });
    const asked = { where: {}, from: 6000, to: 10_000, step: 1000, limit: 1 };
    board.fill(history.query({ ...asked, by: ["owner"] }), ["owner"], 10_000);
    expect([board.rest.total, board.rest.now]).toEqual([9, 9]);
    board.add(tick(11_000, [[["A"], 7]]), same);
    expect([board.rest.total, board.rest.now]).toEqual([9, 0]);
  });
});

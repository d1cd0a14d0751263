import { describe, expect, test } from "bun:test";
import { makeBoard } from "./board.ts";
import { gapsOf, pictureOf, seriesAt, stacked } from "./stacking.ts";

const board = () => {
  const board = makeBoard({ step: 1000, size: 3, most: 100 });
  const add = (
    at: number,
    drops: readonly (readonly [string, number])[],
    gap: string | null = null,
  ) =>
    board.add(
      { at, seconds: 1, gap, drops: drops.map(([name, n]) => [[name], n] as const) },
      (labels) => labels,
    );
  add(1000, [["A", 10], ["B", 5], ["C", 2], ["D", 1]]);
  add(2000, [], "gone");
  add(3000, [["A", 10], ["B", 4], ["C", 2]]);
  return board;
};

describe("a picture", () => {
  test("stacks the largest at the bottom, and what is too much as one on top", () => {
    const picture = pictureOf(board(), 2);
    expect(picture.series.map(({ labels, total }) => [labels[0], total]))
      .toEqual([["A", 20], ["B", 9], [undefined, 5]]);
    expect([picture.hasRest, picture.restKeys, picture.total]).toEqual([true, 2, 34]);
    expect(picture.rates).toEqual([[10, null, 10], [5, null, 4], [3, null, 2]]);
    expect(picture.tops).toEqual([[10, null, 10], [15, null, 14], [18, null, 16]]);
    expect(picture.times).toEqual([0, 1, 2]);
  });

  test("has no rest where all are shown", () => {
    const picture = pictureOf(board(), 4);
    expect([picture.hasRest, picture.restKeys, picture.series.length]).toEqual([false, 0, 4]);
  });

  test("stays as it was taken", () => {
    const live = board();
    const picture = pictureOf(live, 2);
    live.add({ at: 4000, seconds: 1, gap: null, drops: [[["A"], 99]] }, (labels) => labels);
    expect([picture.series[0]!.total, picture.series[0]!.now]).toEqual([20, 10]);
  });

  test("tells which series lies at a height", () => {
    const picture = pictureOf(board(), 2);
    const at = (step: number, height: number) => seriesAt(picture, step, height)?.key;
    expect([at(0, 3), at(0, 12), at(0, 17), at(0, 19), at(0, -1), at(1, 0)])
      .toEqual([`"A`, `"B`, "rest", undefined, undefined, undefined]);
  });
});

describe("a gap", () => {
  test("stays one in a stack, and is found with its ends", () => {
    expect(stacked([[1, null], [2, null]])).toEqual([[1, null], [3, null]]);
    expect(gapsOf([false, true, false, false, true, false])).toEqual([[0, 0], [2, 3], [5, 5]]);
    expect(gapsOf([])).toEqual([]);
  });

  test("is one where there were no drops at all, too", () => {
    const empty = makeBoard({ step: 1000, size: 3, most: 100 });
    empty.add({ at: 1000, seconds: 1, gap: null, drops: [] }, (labels) => labels);
    empty.add({ at: 2000, seconds: 1, gap: "gone", drops: [] }, (labels) => labels);
    empty.add({ at: 3000, seconds: 1, gap: null, drops: [] }, (labels) => labels);
    const { series, gaps } = pictureOf(empty, 2);
    expect([series, gaps]).toEqual([[], [[1, 1]]]);
  });
});

import { describe, expect, test } from "bun:test";
import { randomFrom } from "../../test/random.ts";
import { Window } from "./window.ts";

const key = (text: string): { text: string; labels: string[] } => ({ text, labels: [text] });

/** What a window holds: counts and sums by text. */
const held = (window: Window): [string, number, number][] =>
  [...window.all()].map(({ text, count, sum }): [string, number, number] => [text, count, sum])
    .sort(([a], [b]) => (a < b ? -1 : 1));

describe("a window", () => {
  test("holds exactly what came with the ticks of its length, whatever came when", () => {
    const random = randomFrom(61);
    for (let round = 0; round < 200; round++) {
      const interval = random.pick([100, 1000, 2500]);
      const ticks = random.int(1, 12);
      const window = new Window({ length: ticks * interval, interval, limit: 1000 });
      const added: { tick: number; text: string; n: number; sum: number }[] = [];
      const start = random.int(0, 1_000_000) * interval;
      for (let tick = 1; tick <= 40; tick++) {
        for (let i = random.int(0, 4); i > 0; i--) {
          const one = {
            tick,
            text: random.pick(["a", "b", "c", "d"]),
            n: random.int(1, 9),
            sum: random.int(0, 99),
          };
          expect(window.add(key(one.text), one.n, one.sum)).toBe(true);
          added.push(one);
        }
        window.advance(start + tick * interval, 0, true);
        const within = added.filter((one) => one.tick > tick - ticks);
        const texts = [...new Set(within.map(({ text }) => text))].sort();
        expect(held(window)).toEqual(texts.map((text) => {
          const mine = within.filter((one) => one.text === text);
          return [
            text,
            mine.reduce((sum, { n }) => sum + n, 0),
            mine.reduce((sum, each) => sum + each.sum, 0),
          ];
        }));
        expect(window.size).toBe(texts.length);
      }
    }
  });

  test("of ten ticks holds ten of them though each comes late, never nine or eleven", () => {
    const random = randomFrom(62);
    for (let round = 0; round < 50; round++) {
      const window = new Window({ length: 10_000, interval: 1000, limit: 10 });
      for (let tick = 1; tick <= 60; tick++) {
        window.add(key("a"), 1, 0);
        window.advance(tick * 1000 + random.int(0, 499), 0, true);
        expect(window.get("a")!.count).toBe(Math.min(tick, 10));
      }
    }
  });

  test("counts by time where ticks stayed away: a pause empties it", () => {
    const window = new Window({ length: 10_000, interval: 1000, limit: 10 });
    window.add(key("a"), 5, 0);
    window.advance(1000, 0, true);
    window.add(key("a"), 3, 0);
    window.advance(8000, 0, true);
    expect(window.get("a")!.count).toBe(8);
    window.advance(11_000, 0, true);
    expect(window.get("a")!.count).toBe(3);
    window.advance(100_000, 0, true);
    expect(window.get("a")).toBeUndefined();
    expect(window.size).toBe(0);
  });

  test("says which series changed: those that got something, and those that lost something", () => {
    const window = new Window({ length: 2000, interval: 1000, limit: 10 });
    const changes = (at: number): string[] =>
      [...window.advance(at, 0, true)].map(({ text }) => text).sort();
    window.add(key("a"), 1, 0);
    window.add(key("b"), 1, 0);
    expect(changes(1000)).toEqual(["a", "b"]);
    window.add(key("b"), 1, 0);
    expect(changes(2000)).toEqual(["b"]);
    expect(changes(3000)).toEqual(["a", "b"]);
    expect(changes(4000)).toEqual(["b"]);
    expect(changes(5000)).toEqual([]);
  });

  test("tells what a series got with the last tick", () => {
    const window = new Window({ length: 5000, interval: 1000, limit: 10 });
    window.add(key("a"), 1, 0);
    window.add(key("a"), 2, 0);
    window.advance(1000, 0, true);
    expect(window.fresh(window.get("a")!)).toBe(3);
    window.advance(2000, 0, true);
    expect(window.fresh(window.get("a")!)).toBe(0);
    window.add(key("a"), 4, 0);
    window.advance(3000, 0, true);
    expect(window.fresh(window.get("a")!)).toBe(4);
  });

  test("keeps the labels of a series", () => {
    const window = new Window({ length: 1000, interval: 1000, limit: 10 });
    window.add({ text: "x", labels: ["eth0", ""] }, 1, 0);
    expect(window.get("x")!.labels).toEqual(["eth0", ""]);
  });
});

describe("a window that is full", () => {
  test("keeps the series that it has, refuses others, and says how many drops it refused", () => {
    const window = new Window({ length: 3000, interval: 1000, limit: 2 });
    window.add(key("a"), 1, 0);
    window.add(key("b"), 1, 0);
    expect(window.add(key("c"), 5, 0)).toBe(false);
    expect(window.add(key("d"), 2, 0)).toBe(false);
    expect(window.add(key("a"), 3, 0)).toBe(true);
    window.advance(1000, 0, true);
    expect(held(window)).toEqual([["a", 4, 0], ["b", 1, 0]]);
    expect(window.doubt()).toEqual({ missing: 7, exact: false });
    for (const at of [2000, 3000, 4000]) window.advance(at, 0, true);
    expect(window.doubt()).toEqual({ missing: 0, exact: true });
  });

  test("has room again when a series has left it", () => {
    const window = new Window({ length: 1000, interval: 1000, limit: 1 });
    window.add(key("a"), 1, 0);
    window.advance(1000, 0, true);
    expect(window.add(key("b"), 1, 0)).toBe(false);
    window.advance(2000, 0, true);
    expect(window.add(key("b"), 1, 0)).toBe(true);
  });
});

describe("the doubt about a window", () => {
  test("lasts as long as the tick that brought it is in the window", () => {
    const window = new Window({ length: 3000, interval: 1000, limit: 10 });
    const doubts: unknown[] = [];
    const ticks: [number, boolean][] = [
      [0, true],
      [4, false],
      [0, true],
      [1, false],
      [0, true],
      [0, true],
      [0, true],
    ];
    ticks.forEach(([missing, exact], i) => {
      window.advance((i + 1) * 1000, missing, exact);
      doubts.push(window.doubt());
    });
    expect(doubts).toEqual([
      { missing: 0, exact: true },
      { missing: 4, exact: false },
      { missing: 4, exact: false },
      { missing: 5, exact: false },
      { missing: 1, exact: false },
      { missing: 1, exact: false },
      { missing: 0, exact: true },
    ]);
  });

  test("may be without a number: a gap of which nobody knows what it held", () => {
    const window = new Window({ length: 3000, interval: 1000, limit: 10 });
    window.advance(1000, 0, false);
    expect(window.doubt()).toEqual({ missing: 0, exact: false });
  });
});

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

/** What a window holds of values that it tells apart: how many drops each had, by text. */
const parts = (window: Window): [string, number, [string, number][]][] =>
  [...window.all()].map(({ text, count, parts }): [string, number, [string, number][]] => [
    text,
    count,
    [...parts!].sort(([a], [b]) => (a < b ? -1 : 1)),
  ]).sort(([a], [b]) => (a < b ? -1 : 1));

describe("a long window", () => {
  const day = 86_400_000;

  test("moves in steps: it holds all but the oldest step, whatever came when", () => {
    const random = randomFrom(63);
    const length = 7200 * 1000;
    const window = new Window({ length, interval: 1000, limit: 1000, distinct: true });
    const step = 2000;
    const added: { at: number; text: string; n: number; part: string }[] = [];
    for (let tick = 1; tick <= 9000; tick += random.pick([1, 1, 1, 2, 3])) {
      const at = tick * 1000 + random.int(0, 400);
      for (let i = random.int(0, 2); i > 0; i--) {
        const one = {
          at,
          text: random.pick(["a", "b", "c"]),
          n: random.int(1, 9),
          part: `${random.int(1, 3000)}`,
        };
        window.add(key(one.text), one.n, 0, one.part);
        added.push(one);
      }
      window.advance(at, 0, true);
      if (tick % 50 !== 0) continue;
      for (const text of ["a", "b", "c"]) {
        const mine = added.filter((one) => one.text === text);
        const sum = (from: number): number =>
          mine.filter(({ at }) => at > from).reduce((sum, { n }) => sum + n, 0);
        const distinct = (from: number): number =>
          new Set(mine.filter(({ at }) => at > from).map(({ part }) => part)).size;
        const { count = 0, parts } = window.get(text) ?? {};
        expect(count).toBeLessThanOrEqual(sum(at - length - 1000));
        expect(count).toBeGreaterThanOrEqual(sum(at - length + step + 1000));
        expect(parts?.size ?? 0).toBeLessThanOrEqual(distinct(at - length - 1000));
        expect(parts?.size ?? 0).toBeGreaterThanOrEqual(distinct(at - length + step + 1000));
      }
    }
  });

  test("has one entry a step for each series, not one a tick", () => {
    const window = new Window({ length: day, interval: 1000, limit: 10 });
    for (let tick = 1; tick <= 240; tick++) {
      window.add(key("a"), 1, 5);
      window.advance(tick * 1000, 0, true);
    }
    expect(window.entries).toBe(10);
    expect(held(window)).toEqual([["a", 240, 1200]]);
  });

  test("tells what the last tick brought, though it is in a step with others", () => {
    const window = new Window({ length: day, interval: 1000, limit: 10 });
    for (const n of [1, 2, 3]) {
      window.add(key("a"), n, 0);
      window.advance(n * 1000, 0, true);
      expect(window.fresh(window.get("a")!)).toBe(n);
    }
    window.advance(4000, 0, true);
    expect(window.fresh(window.get("a")!)).toBe(0);
  });

  test("has the doubts of all ticks of a step", () => {
    const window = new Window({ length: day, interval: 1000, limit: 10 });
    window.advance(1000, 2, false);
    window.advance(2000, 3, true);
    expect(window.doubt()).toEqual({ missing: 5, exact: false });
  });

  test("is empty when all has left it", () => {
    const window = new Window({ length: day, interval: 1000, limit: 10, distinct: true });
    for (let tick = 1; tick <= 100; tick++) {
      window.add(key("a"), 1, 0, `${tick % 7}`);
      window.advance(tick * 1000, 0, true);
    }
    window.advance(100_000 + 2 * day, 0, true);
    expect([window.size, window.entries]).toEqual([0, 0]);
  });
});

describe("a window that tells values apart", () => {
  test("holds each value that came with the ticks of its length, whatever came when", () => {
    const random = randomFrom(64);
    for (let round = 0; round < 50; round++) {
      const ticks = random.int(1, 6);
      const window = new Window({
        length: ticks * 1000,
        interval: 1000,
        limit: 100,
        distinct: true,
      });
      const added: { tick: number; text: string; n: number; part: string | undefined }[] = [];
      for (let tick = 1; tick <= 30; tick++) {
        for (let i = random.int(0, 4); i > 0; i--) {
          const part = random.pick(["1", "2", "3", undefined]);
          const one = { tick, text: random.pick(["a", "b"]), n: random.int(1, 9), part };
          window.add(key(one.text), one.n, 0, one.part);
          added.push(one);
        }
        window.advance(tick * 1000, 0, true);
        const within = added.filter((one) => one.tick > tick - ticks);
        const model = [...new Set(within.map(({ text }) => text))].sort().map((text) => {
          const mine = within.filter((one) => one.text === text);
          const sums = new Map<string, number>();
          for (const { part, n } of mine) {
            if (part !== undefined) sums.set(part, (sums.get(part) ?? 0) + n);
          }
          return [
            text,
            mine.reduce((sum, { n }) => sum + n, 0),
            [...sums].sort(([a], [b]) => (a < b ? -1 : 1)),
          ];
        });
        expect(parts(window)).toEqual(model as ReturnType<typeof parts>);
      }
    }
  });

  test("has a limit of entries in all: it refuses what is beyond, and says how many drops", () => {
    const window = new Window({ length: 3000, interval: 1000, limit: 1, distinct: true });
    // Twenty entries: one for the tick and nineteen for values.
    for (let i = 1; i <= 19; i++) expect(window.add(key("a"), 1, 0, `${i}`)).toBe(true);
    expect(window.add(key("a"), 7, 0, "20")).toBe(false);
    expect(window.add(key("a"), 2, 0, "19")).toBe(true);
    window.advance(1000, 0, true);
    expect(window.entries).toBe(20);
    expect(window.get("a")).toMatchObject({ count: 21 });
    expect(window.doubt()).toEqual({ missing: 7, exact: false });
    expect(window.add(key("a"), 3, 0, "1")).toBe(false);
    window.advance(2000, 0, true);
    for (const at of [3000, 4000]) window.advance(at, 0, true);
    expect([window.size, window.entries]).toEqual([0, 0]);
    expect(window.add(key("a"), 1, 0, "20")).toBe(true);
  });

  test("keeps what came for a series that was refused before", () => {
    const window = new Window({ length: 2000, interval: 1000, limit: 2, distinct: true });
    for (let i = 1; i <= 38; i++) window.add(key("a"), 1, 0, `${i}`);
    // There is room for one entry, and two are needed.
    expect(window.add(key("b"), 5, 0, "1")).toBe(false);
    window.advance(1000, 0, true);
    window.advance(3000, 0, true);
    expect(window.add(key("b"), 5, 0, "1")).toBe(true);
    window.advance(4000, 0, true);
    expect(parts(window)).toEqual([["b", 5, [["1", 5]]]]);
  });

  test("of many ticks has a limit of entries, too", () => {
    const window = new Window({ length: 100_000, interval: 1000, limit: 2 });
    for (let tick = 1; tick <= 40; tick++) {
      expect(window.add(key("a"), 1, 0)).toBe(true);
      window.advance(tick * 1000, 0, true);
    }
    expect(window.add(key("a"), 1, 0)).toBe(false);
    window.advance(41_000, 0, true);
    expect(window.get("a")!.count).toBe(40);
    expect(window.doubt()).toEqual({ missing: 1, exact: false });
  });
});

describe("a window that is kept", () => {
  test("is the same when it is taken up again, and goes on as if nothing had been", () => {
    const random = randomFrom(65);
    for (let round = 0; round < 60; round++) {
      const options = {
        length: random.pick([1000, 5000, 7200_000]),
        interval: 1000,
        limit: 100,
        distinct: random.chance(0.5),
      };
      const before = new Window(options);
      let at = 0;
      const go = (windows: readonly Window[]): void => {
        at += random.pick([1000, 1000, 2000]);
        for (let i = random.int(0, 3); i > 0; i--) {
          const text = random.pick(["a", "b\u001fc", ""]);
          const [n, sum] = [random.int(1, 9), options.distinct ? 0 : random.int(0, 99)];
          const part = options.distinct
            ? random.pick(["x", "__proto__", "7", undefined])
            : undefined;
          for (const window of windows) window.add(key(text), n, sum, part);
        }
        const [missing, exact] = [random.pick([0, 0, 3]), random.chance(0.8)];
        for (const window of windows) window.advance(at, missing, exact);
      };
      for (let i = random.int(0, 20); i > 0; i--) go([before]);
      const after = new Window(options);
      after.restore(JSON.parse(JSON.stringify(before.keep())), ([text]) => text!);
      const all = (window: Window): unknown => [
        held(window),
        options.distinct ? parts(window) : [],
        window.doubt(),
        window.entries,
        window.size,
      ];
      expect(all(after)).toEqual(all(before));
      for (let i = 0; i < 20; i++) {
        go([before, after]);
        expect(all(after)).toEqual(all(before));
      }
    }
  });

  test("isn't whole until its length has been counted again", () => {
    const before = new Window({ length: 3000, interval: 1000, limit: 10 });
    before.interrupt(0);
    for (const at of [1000, 2000, 3000]) before.advance(at, 0, true);
    expect(before.isWhole(3000)).toBe(true);
    const after = new Window({ length: 3000, interval: 1000, limit: 10 });
    after.restore(before.keep(), ([text]) => text!);
    expect(after.isWhole(4000)).toBe(false);
    after.interrupt(4000);
    expect([after.isWhole(6000), after.isWhole(7000)]).toEqual([false, true]);
  });
});

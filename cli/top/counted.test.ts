import { describe, expect, test } from "bun:test";
import type { FieldName } from "../../core/drop/field.ts";
import type { ViewTick } from "../../core/view/view.ts";
import { randomFrom } from "../../test/random.ts";
import { addPast, addTick, allRates, coveredAt, newCounted } from "./counted.ts";
import type { Counted } from "./counted.ts";
import { commonest, rowsOf, whereOf } from "./row.ts";
import type { RowQuery } from "./row.ts";

const fields: readonly FieldName[] = ["reason", "owner"];
const query: RowQuery = { by: ["reason"], filters: [], sort: "rate", reverse: false };

function tickOf(
  at: number,
  drops: ViewTick["drops"],
  { seconds = 1, other = 0, lost = 0, gap = null as string | null } = {},
): ViewTick {
  const counted = drops.reduce((sum, [, n]) => sum + n, 0);
  return {
    at,
    seconds,
    seen: counted + other + lost,
    counted,
    other,
    lost,
    gap,
    drops,
    cost: { cpu: 0.01, memoryBytes: 1000 },
  };
}

function counted(...ticks: readonly ViewTick[]): Counted {
  const made = newCounted(fields);
  for (const tick of ticks) addTick(made, tick);
  return made;
}

const row = (made: Counted, name: string, more: Partial<RowQuery> = {}) =>
  rowsOf(made, { ...query, ...more }).find(({ labels }) => labels[0] === name)!;

describe("what was counted", () => {
  test("is a rate now, an average over the minute, and a total", () => {
    const made = counted(
      tickOf(1_000_000, [[["A", "x"], 100]]),
      tickOf(1_001_000, [[["A", "x"], 20], [["A", "y"], 10], [["B", "x"], 10]]),
    );
    expect(row(made, "A")).toMatchObject({ rate: 30, average: 65, total: 130, minute: 130 });
    expect(row(made, "B")).toMatchObject({ rate: 10, average: 5, total: 10 });
    expect(row(made, "A").share).toBe(130 / 140);
    expect(row(made, "A").values).toEqual([100, 30]);
  });

  test("is the same rate in short ticks and in long ones", () => {
    const short = Array.from(
      { length: 10 },
      (_, i) => tickOf(1_000_000 + (i + 1) * 200, [[["A", "x"], 20]], { seconds: 0.2 }),
    );
    expect(row(counted(...short), "A").rate).toBeCloseTo(100);
    expect(row(counted(...short.slice(0, 7)), "A").rate).toBeCloseTo(100);
    const long = counted(tickOf(1_010_000, [[["A", "x"], 1000]], { seconds: 10 }));
    expect(row(long, "A").rate).toBeCloseTo(100);
    expect(row(long, "A").values).toEqual(new Array(10).fill(100));
  });

  test("lets go of what is older than a minute, and keeps the total", () => {
    const made = counted(tickOf(1_000_000, [[["A", "x"], 500]]));
    for (let i = 1; i <= 60; i++) addTick(made, tickOf(1_000_000 + i * 1000, []));
    expect(row(made, "A")).toMatchObject({ rate: 0, average: 0, total: 500, minute: 0, share: 1 });
    addTick(made, tickOf(1_061_000, [[["A", "x"], 5]]));
    expect(row(made, "A")).toMatchObject({ rate: 5, total: 505, minute: 5 });
  });

  test("tells a time without drops from one in which nobody counted", () => {
    const made = counted(
      tickOf(1_000_000, [[["A", "x"], 10]]),
      tickOf(1_004_000, [[["A", "x"], 10]], { gap: "bpftrace ended" }),
    );
    expect(made.gapSeconds).toBe(3);
    expect(made.gap).toBe("bpftrace ended");
    expect(row(made, "A").values).toEqual([10, null, null, null, 10]);
    expect(row(made, "A").average).toBe(10);
  });

  test("has what is missing in its sums, and in the rate of all", () => {
    const made = counted(tickOf(1_000_000, [[["A", "x"], 10]], { other: 3, lost: 2 }));
    expect(made.sums).toEqual({ seen: 15, counted: 10, other: 3, lost: 2 });
    expect(allRates(made).now).toBe(15);
  });

  test("has drops that weren't told apart, where a tick lists fewer than were counted", () => {
    const made = newCounted(fields);
    addTick(made, { ...tickOf(1_000_000, [[["A", "x"], 10]]), seen: 25, counted: 25 });
    expect(rowsOf(made, query).map(({ labels, total }) => [labels[0], total]))
      .toEqual([[null, 15], ["A", 10]]);
  });

  test("is bounded: too many combinations aren't told apart, and no drop is lost of it", () => {
    const made = newCounted(fields);
    for (let i = 0; i < 3; i++) {
      const at = 1_000_000 + i * 70_000;
      addTick(
        made,
        tickOf(at, Array.from({ length: 3000 }, (_, n) => [["A", `p${i}-${n}`], 1] as const)),
      );
    }
    expect(made.entries.size).toBeLessThanOrEqual(4097);
    expect(rowsOf(made, { ...query, by: [] })[0]!.total).toBe(9000);
    const none = rowsOf(made, { ...query, by: ["owner"] }).find(({ labels }) => labels[0] === null);
    expect(none!.total).toBeGreaterThan(0);
  });

  test("goes on where the clock is set back", () => {
    const made = counted(
      tickOf(2_000_000, [[["A", "x"], 10]]),
      tickOf(1_000_000, [[["A", "x"], 10]]),
    );
    expect(row(made, "A").total).toBe(20);
  });

  test("adds up, whatever the ticks are: rows are all of the drops, the minute no more than that", () => {
    const random = randomFrom(3);
    for (let round = 0; round < 30; round++) {
      const made = newCounted(fields);
      let at = random.int(0, 2_000_000_000);
      let all = 0;
      for (let i = 0; i < random.int(1, 80); i++) {
        const seconds = random.pick([0.1, 0.2, 1, 1.003, 5, 70]);
        at += seconds * 1000 + (random.chance(0.1) ? random.int(0, 90_000) : 0);
        const drops = Array.from({ length: random.int(0, 5) }, () => {
          const n = random.int(1, 100_000);
          all += n;
          const owner = random.chance(0.1) ? null : String(random.int(0, 3));
          return [[random.pick(["A", "B", null]), owner], n] as const;
        });
        addTick(made, tickOf(at, drops, { seconds }));
      }
      for (const by of [[], ["reason"], ["owner", "reason"]] as FieldName[][]) {
        const rows = rowsOf(made, { ...query, by });
        expect(rows.reduce((sum, { total }) => sum + total, 0)).toBe(all);
        for (const { minute, total, values, share } of rows) {
          expect(minute).toBeLessThanOrEqual(total * 1.000001);
          expect(values.length).toBeLessThanOrEqual(60);
          expect(share).toBeGreaterThanOrEqual(0);
          for (const value of values) expect(value === null || value >= 0).toBe(true);
        }
      }
      // No second was counted for longer than it lasts, but for ticks that end a little late.
      for (let ago = 0; ago < 60; ago++) expect(coveredAt(made, ago)).toBeLessThan(1.01);
    }
  });
});

describe("the minute before", () => {
  test("comes from who counted it", () => {
    const made = newCounted(fields);
    addPast(made, {
      by: fields,
      from: 1_000_000,
      to: 1_003_000,
      step: 1000,
      series: [
        { labels: { reason: "A", owner: "x" }, total: 30, values: [10, null, 20] },
        { labels: { reason: "B", owner: "" }, total: 4, values: [4, null, 0] },
      ],
      rest: { labels: {}, total: 1, values: [1, null, 0] },
      restSeries: 3,
      total: 35,
      seconds: 2,
      missing: 5,
      // No room in a map was for 3 of the 35; 2 more were lost.
      other: 3,
      lost: 2,
      exact: false,
    });
    addTick(made, tickOf(1_004_000, [[["A", "x"], 40]]));
    expect(row(made, "A").values).toEqual([10, null, 20, 40]);
    expect(row(made, "A").total).toBe(70);
    expect(rowsOf(made, query).map(({ labels }) => labels[0])).toEqual(["A", "B", null]);
    expect(made.sums).toEqual({ seen: 77, counted: 72, other: 3, lost: 2 });
    expect(made.seconds).toBe(3); // 2 of the minute before, and the tick.
  });

  test("has the drops that its totals say, also where a step was counted in part", () => {
    const made = newCounted(fields);
    const values = [100, 10];
    addPast(made, {
      ...{ by: fields, from: 1_000_000, to: 1_002_000, step: 1000, total: 40, seconds: 1.3 },
      series: [{ labels: { reason: "A", owner: "x" }, total: 40, values }],
      ...{ rest: null, restSeries: 0, missing: 7, other: 0, lost: 7, exact: false },
    });
    expect(row(made, "A").total).toBeCloseTo(40, 9);
    expect(made.sums).toEqual({ seen: 47, counted: 40, other: 0, lost: 7 });
    expect(made.seconds).toBe(1.3);
  });

  test("that was quiet says what was lost in it", () => {
    const made = newCounted(fields);
    addPast(made, {
      ...{ by: fields, from: 1_000_000, to: 1_002_000, step: 1000, total: 0, seconds: 2 },
      ...{ series: [], rest: null, restSeries: 0, missing: 7, other: 0, lost: 7, exact: false },
    });
    expect(made.sums).toEqual({ seen: 7, counted: 0, other: 0, lost: 7 });
  });
});

describe("rows", () => {
  const made = counted(
    tickOf(1_000_000, [[["A", "nginx"], 90], [["B", "Nginx"], 5], [["C", ""], 200]]),
    tickOf(1_001_000, [[["B", "Nginx"], 50], [["A", "dns"], 1]]),
  );
  const names = (more: Partial<RowQuery>): (string | null)[] =>
    rowsOf(made, { ...query, ...more }).map(({ labels }) => labels[0]!);

  test("are sorted by any column, and the other way round", () => {
    expect(names({ sort: "rate" })).toEqual(["B", "A", "C"]);
    expect(names({ sort: "total" })).toEqual(["C", "A", "B"]);
    expect(names({ sort: "total", reverse: true })).toEqual(["B", "A", "C"]);
    expect(names({ sort: "name" })).toEqual(["A", "B", "C"]);
    expect(names({ sort: "name", reverse: true })).toEqual(["C", "B", "A"]);
  });

  test("are those that fit: a text in any label, and labels as they are", () => {
    expect(names({ filters: [{ text: "NGINX" }] })).toEqual(["B", "A"]);
    expect(names({ filters: [{ text: "nginx" }, { is: { reason: ["A"] } }] })).toEqual(["A"]);
    expect(names({ filters: [{ is: { reason: ["A", "C"] } }] })).toEqual(["A", "C"]);
    expect(names({ filters: [{ is: { owner: [""] } }] })).toEqual(["C"]);
    expect(names({ filters: [{ is: { owner: [null] } }] })).toEqual([]);
  });

  test("are looked up by their labels, also those that a text picks out", () => {
    const is = { is: { reason: ["A", "B"] } };
    expect(whereOf(made, [is])).toEqual({ where: is.is, without: [] });
    expect(whereOf(made, [{ text: "NGINX" }]))
      .toEqual({ where: { owner: ["Nginx", "nginx"] }, without: [] });
    expect(whereOf(made, [is, { text: "n" }, { text: "dns" }]))
      .toEqual({ where: { reason: ["A", "B"], owner: ["dns"] }, without: [] });
    // In the reason of some and in the owner of others: neither picks out all of them, and no more.
    const mixed = counted(
      tickOf(1_000_000, [[["x", "a"], 1], [["y", "x"], 1], [["y", "a"], 1]]),
    );
    expect(whereOf(mixed, [{ text: "x" }, { text: "y" }]))
      .toEqual({ where: { reason: ["y"] }, without: ["x"] });
    // Too many to ask for.
    const many = counted(
      tickOf(1_000_000, Array.from({ length: 60 }, (_, i) => [["A", `p${i}`], 1] as const)),
      tickOf(1_001_000, [[["A", "q"], 1]]),
    );
    expect(whereOf(many, [{ text: "p" }])).toEqual({ where: {}, without: ["p"] });
  });

  test("know what most of them have in common", () => {
    expect(commonest(made, "reason", [])).toBe("C");
    expect(commonest(made, "reason", [{ text: "nginx" }])).toBe("A");
    expect(commonest(made, "reason", [{ text: "nobody" }])).toBeUndefined();
    expect(commonest(made, "dev", [])).toBeUndefined();
  });
});

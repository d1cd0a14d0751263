import { describe, expect, test } from "bun:test";
import { alertOf } from "../../test/alert.ts";
import { world } from "../../test/world.ts";
import type { Tick } from "../watch/tick.ts";
import type { AlertData } from "./alert.ts";
import { makeHistory } from "./history.ts";
import type { RateHistory } from "./history.ts";
import type { Rates } from "./notification.ts";

const start = Date.parse("2026-01-05T00:00:00Z");
const [noSocket, filter, rcvbuf] = [3, 5, 6];

function tickAt(at: number, seconds: number, reasons: Record<number, number>): Tick {
  return {
    at: start + at,
    seconds,
    seen: 0,
    counted: 0,
    other: 0,
    lost: 0,
    reasons: new Map(Object.entries(reasons).map(([id, n]) => [Number(id), n])),
    maps: [],
    samples: [],
    unreadable: 0,
  };
}

/** A history of ticks of some seconds; how many drops each has. */
function historyOf(counts: readonly number[], seconds = 1): RateHistory {
  const history = makeHistory(world);
  counts.forEach((n, i) => history.add(tickAt((i + 1) * seconds * 1000, seconds, { [filter]: n })));
  return history;
}

const about = (parts: Partial<AlertData> = {}): AlertData =>
  alertOf({ labels: { reason: "SOCKET_FILTER" }, ...parts }).data;
const filterRates = (history: RateHistory): Rates => history.of(about())!;
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

describe("the rates around an alert", () => {
  test("begin anew where the clock was set back, and hold no more than before", () => {
    const history = historyOf([1, 2, 3]);
    const back = -3_600_000;
    history.add(tickAt(back + 1000, 1, { [filter]: 7 }));
    history.add(tickAt(back + 2000, 1, { [filter]: 8 }));
    expect(filterRates(history)).toMatchObject({ from: start + back, values: [7, 8] });
  });

  test("are drops a second, one a second, up to now", () => {
    expect(filterRates(historyOf([1, 0, 30]))).toEqual({
      from: start,
      step: 1000,
      values: [1, 0, 30],
      of: "SOCKET_FILTER",
    });
  });

  test("are of the time that a tick covers, not of its end alone", () => {
    expect(filterRates(historyOf([10, 40], 2)).values).toEqual([5, 5, 20, 20]);
    const minute = filterRates(historyOf([600], 60));
    expect([minute.from, minute.values.length, minute.values[0]]).toEqual([start, 60, 10]);
  });

  test("join ticks that are shorter than a second", () => {
    expect(filterRates(historyOf([1, 2, 3, 4, 10, 10, 10, 10], 0.25)).values).toEqual([10, 40]);
  });

  test("share out a tick that lies in two of them", () => {
    const history = makeHistory(world);
    history.add(tickAt(1500, 1.5, { [filter]: 3 }));
    history.add(tickAt(2000, 0.5, { [filter]: 0 }));
    expect(filterRates(history).values).toEqual([2, 1]);
  });

  test("are of the reasons that an alert is made of, together, and name them", () => {
    const history = makeHistory(world);
    history.add(tickAt(1000, 1, { [noSocket]: 100, [filter]: 20, [rcvbuf]: 3 }));
    const reasons = ["SOCKET_FILTER", "SOCKET_RCVBUFF"]
      .map((reason) => ({ reason, class: "fault", means: "", drops: 1 }));
    const rates = history.of(about({ labels: {}, evidence: { reasons } }))!;
    expect(rates).toMatchObject({ values: [23], of: "SOCKET_FILTER, SOCKET_RCVBUFF" });
  });

  test("are of its label, where its evidence names no reason", () => {
    const history = historyOf([7]);
    expect(history.of(about({ evidence: { reasons: [] } }))!.values).toEqual([7]);
    expect(history.of(about({ evidence: { kept: 0 } }))!.values).toEqual([7]);
  });

  test("are there with every value zero, where nothing was dropped", () => {
    expect(filterRates(historyOf([0, 0])).values).toEqual([0, 0]);
    expect(historyOf([5]).of(about({ labels: { reason: "NO_SOCKET" } }))!.values).toEqual([0]);
  });

  test("aren't there before the first tick, nor where no reason is known", () => {
    expect(makeHistory(world).of(about())).toBeUndefined();
    expect(historyOf([1]).of(about({ labels: {} }))).toBeUndefined();
    expect(historyOf([1]).of(about({ of: "health" }))).toBeUndefined();
  });

  test("reach back a quarter of an hour, in at most 180 values, and no further", () => {
    const history = historyOf(Array.from({ length: 2000 }, () => 12));
    const { from, step, values } = filterRates(history);
    expect([from, step, values.length]).toEqual([start + 1_100_000, 5000, 180]);
    expect(new Set(values)).toEqual(new Set([12]));
  });

  test("hold all drops of that time, and no drop twice, whatever the ticks are", () => {
    for (const [seconds, ticks] of [[0.05, 333], [1, 899], [2, 77], [7, 100], [60, 14]] as const) {
      const counts = Array.from({ length: ticks }, (_, i) => i % 17);
      const { values, step } = filterRates(historyOf(counts, seconds));
      expect(values.length).toBeLessThanOrEqual(180);
      expect(sum(values) * step / 1000).toBeCloseTo(sum(counts), 6);
    }
  });

  test("have a gap as a time without drops", () => {
    const history = makeHistory(world);
    history.add(tickAt(1000, 1, { [filter]: 5 }));
    history.add(tickAt(5000, 1, { [filter]: 7 }));
    expect(filterRates(history).values).toEqual([5, 0, 0, 0, 7]);
  });

  test("name five reasons at most", () => {
    const reasons = ["A", "B", "C", "D", "E", "F"]
      .map((reason) => ({ reason, class: "fault", means: "", drops: 1 }));
    expect(historyOf([1]).of(about({ evidence: { reasons } }))!.of).toBe("A, B, C, D, E");
  });
});

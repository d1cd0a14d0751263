import { describe, expect, test } from "bun:test";
import { DropwatchError } from "../error.ts";
import { readConfig } from "../rule/config.ts";
import { isWithin } from "./time_interval.ts";
import type { TimeInterval } from "./time_interval.ts";

const holds = (interval: TimeInterval, at: string): boolean => isWithin(interval, Date.parse(at));

/** Which of some times an interval holds at. */
const heldAt = (interval: TimeInterval, times: readonly string[]): string[] =>
  times.filter((at) => holds(interval, at));

/** Which days of a month, `2026-02`, an interval holds on. */
const daysHeld = (interval: TimeInterval, month: string): number[] =>
  Array.from({ length: 31 }, (_, i) => i + 1).filter((day) => {
    const at = Date.parse(`${month}-${String(day).padStart(2, "0")}T12:00:00Z`);
    return new Date(at).toISOString().startsWith(month) && isWithin(interval, at);
  });

/** What is said of an interval of a config that can't be used. */
function mistake(interval: unknown): string {
  try {
    readConfig("dropwatch.config.ts", { timeIntervals: { night: [interval] } });
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(DropwatchError);
    return (thrown as DropwatchError).message;
  }
  throw new Error(`${JSON.stringify(interval)} was taken`);
}

/** An interval that a config takes. */
function taken(interval: TimeInterval): TimeInterval {
  readConfig("dropwatch.config.ts", { timeIntervals: { night: [interval] } });
  return interval;
}

describe("a time interval", () => {
  test("without keys holds always", () => {
    expect(holds(taken({}), "2026-01-05T00:00:00Z")).toBe(true);
  });

  test("holds from the minute at which a time begins up to that at which it ends", () => {
    const interval = taken({ times: [{ startTime: "09:00", endTime: "17:30" }] });
    expect(heldAt(interval, [
      "2026-01-05T08:59:59.999Z",
      "2026-01-05T09:00:00Z",
      "2026-01-05T17:29:59.999Z",
      "2026-01-05T17:30:00Z",
    ])).toEqual(["2026-01-05T09:00:00Z", "2026-01-05T17:29:59.999Z"]);
  });

  test("ends with the day at 24:00", () => {
    const interval = taken({ times: [{ startTime: "22:00", endTime: "24:00" }] });
    expect(heldAt(interval, ["2026-01-05T23:59:59.999Z", "2026-01-06T00:00:00Z"]))
      .toEqual(["2026-01-05T23:59:59.999Z"]);
  });

  test("is a night as two times of a day", () => {
    const night = taken({
      times: [{ startTime: "22:00", endTime: "24:00" }, { startTime: "00:00", endTime: "06:00" }],
    });
    const hours = Array.from({ length: 24 }, (_, h) => h)
      .filter((h) => holds(night, `2026-01-05T${String(h).padStart(2, "0")}:30:00Z`));
    expect(hours).toEqual([0, 1, 2, 3, 4, 5, 22, 23]);
  });

  test("holds on days of the week, Sunday first", () => {
    // 2026-01-04 is a Sunday.
    const week = [4, 5, 6, 7, 8, 9, 10].map((day) =>
      `2026-01-0${day}T12:00:00Z`.replace("010", "10")
    );
    const held = (weekdays: string[]): number[] =>
      week.flatMap((at, i) => holds(taken({ weekdays }), at) ? [i] : []);
    expect(held(["monday:friday"])).toEqual([1, 2, 3, 4, 5]);
    expect(held(["saturday", "sunday"])).toEqual([0, 6]);
    expect(held(["sunday:monday"])).toEqual([0, 1]);
    expect(held(["Monday"])).toEqual([1]);
  });

  test("holds on days of the month", () => {
    expect(daysHeld(taken({ daysOfMonth: ["1:5", "10"] }), "2026-01")).toEqual([1, 2, 3, 4, 5, 10]);
  });

  test("counts days below zero from the end of each month", () => {
    const last = taken({ daysOfMonth: ["-3:-1"] });
    expect(daysHeld(last, "2026-01")).toEqual([29, 30, 31]);
    expect(daysHeld(last, "2026-04")).toEqual([28, 29, 30]);
    expect(daysHeld(last, "2026-02")).toEqual([26, 27, 28]);
    expect(daysHeld(last, "2028-02")).toEqual([27, 28, 29]);
    expect(daysHeld(taken({ daysOfMonth: ["28:-1"] }), "2026-02")).toEqual([28]);
    expect(daysHeld(taken({ daysOfMonth: ["15:-15"] }), "2026-02")).toEqual([]);
    expect(daysHeld(taken({ daysOfMonth: ["15:-15"] }), "2026-01")).toEqual([15, 16, 17]);
  });

  test("ends with the month where it has fewer days", () => {
    const end = taken({ daysOfMonth: ["30:31"] });
    expect(daysHeld(end, "2026-02")).toEqual([]);
    expect(daysHeld(end, "2026-04")).toEqual([30]);
    expect(daysHeld(end, "2026-05")).toEqual([30, 31]);
    expect(daysHeld(taken({ daysOfMonth: ["-31:-29"] }), "2026-02")).toEqual([]);
    expect(daysHeld(taken({ daysOfMonth: ["-31:-28"] }), "2026-02")).toEqual([1]);
  });

  test("holds in months, by name or number, and in years", () => {
    const months = (list: string[]): number[] =>
      Array.from({ length: 12 }, (_, i) => i + 1)
        .filter((m) =>
          holds(taken({ months: list }), `2026-${String(m).padStart(2, "0")}-15T00:00:00Z`)
        );
    expect(months(["january:march", "12"])).toEqual([1, 2, 3, 12]);
    expect(months(["November:December", "4:5"])).toEqual([4, 5, 11, 12]);
    const years = ["2025", "2026", "2027", "2028"]
      .filter((year) => holds(taken({ years: ["2026:2027"] }), `${year}-06-01T00:00:00Z`));
    expect(years).toEqual(["2026", "2027"]);
  });

  test("holds where each of its keys does", () => {
    const interval = taken({
      times: [{ startTime: "09:00", endTime: "17:00" }],
      weekdays: ["monday"],
      months: ["january"],
    });
    expect(heldAt(interval, [
      "2026-01-05T10:00:00Z",
      "2026-01-05T18:00:00Z",
      "2026-01-06T10:00:00Z",
      "2026-02-02T10:00:00Z",
    ])).toEqual(["2026-01-05T10:00:00Z"]);
  });

  test("is in UTC without a location, wherever the machine is", () => {
    const interval = taken({ times: [{ startTime: "00:00", endTime: "00:01" }] });
    expect(holds(interval, "2026-07-01T00:00:30Z")).toBe(true);
  });

  test("has the day, the month and the year of its location", () => {
    const interval = (more: TimeInterval): TimeInterval =>
      taken({ location: "Asia/Tokyo", ...more });
    const newYear = "2025-12-31T15:00:00Z"; // It is 2026 in Tokyo.
    expect(holds(interval({ years: ["2026"] }), newYear)).toBe(true);
    expect(holds(interval({ months: ["january"] }), newYear)).toBe(true);
    expect(holds(interval({ daysOfMonth: ["1"] }), newYear)).toBe(true);
    expect(holds(interval({ weekdays: ["thursday"] }), newYear)).toBe(true);
    expect(holds(interval({ times: [{ startTime: "00:00", endTime: "00:01" }] }), newYear))
      .toBe(true);
    expect(holds(interval({ years: ["2026"] }), "2025-12-31T14:59:59Z")).toBe(false);
  });

  test("takes zones that are no whole hours away", () => {
    const tea = taken({
      location: "Asia/Kathmandu",
      times: [{ startTime: "05:45", endTime: "05:46" }],
    });
    expect(holds(tea, "2026-01-05T00:00:00Z")).toBe(true);
    expect(holds(tea, "2026-01-05T00:01:00Z")).toBe(false);
  });

  test("keeps to the clock on the wall when summer begins and ends", () => {
    const office = taken({
      location: "Europe/Berlin",
      times: [{ startTime: "09:00", endTime: "17:00" }],
    });
    // Summer begins on 2026-03-29 at 01:00 UTC and ends on 2026-10-25 at 01:00 UTC.
    expect(heldAt(office, ["2026-03-28T07:30:00Z", "2026-03-28T08:00:00Z"]))
      .toEqual(["2026-03-28T08:00:00Z"]);
    expect(heldAt(office, ["2026-03-29T06:59:00Z", "2026-03-29T07:00:00Z"]))
      .toEqual(["2026-03-29T07:00:00Z"]);
    expect(heldAt(office, ["2026-10-25T15:59:00Z", "2026-10-25T16:00:00Z"]))
      .toEqual(["2026-10-25T15:59:00Z"]);
  });

  test("skips the hour that isn't there, and holds twice in the one that is twice", () => {
    const hour = taken({
      location: "Europe/Berlin",
      times: [{ startTime: "02:00", endTime: "03:00" }],
    });
    const minutes = (from: string): number =>
      Array.from({ length: 24 * 60 }, (_, i) => Date.parse(from) + i * 60_000)
        .filter((at) => isWithin(hour, at)).length;
    expect(minutes("2026-03-28T23:00:00Z")).toBe(0);
    expect(minutes("2026-10-24T22:00:00Z")).toBe(120);
    expect(minutes("2026-06-01T00:00:00Z")).toBe(60);
  });

  const clock = `expected a time like "09:00"`;
  const days = `expected days like "1:5" or "-3:-1"`;
  const weekdays = `expected days like "monday:friday", Sunday first`;
  const months = `expected months like "january:march"`;
  const wrong: readonly (readonly [unknown, key: string, said: string])[] = [
    [{ times: [{ startTime: "9:00", endTime: "17:00" }] }, "times.0.startTime", clock],
    [{ times: [{ startTime: "09:00", endTime: "25:00" }] }, "times.0.endTime", clock],
    [{ times: [{ startTime: "09:00", endTime: "24:01" }] }, "times.0.endTime", clock],
    [{ times: [{ startTime: "09:60", endTime: "17:00" }] }, "times.0.startTime", clock],
    [{ times: [{ startTime: 9, endTime: "17:00" }] }, "times.0.startTime", clock],
    [{ times: [{ startTime: "09:00" }] }, "times.0.endTime", "expected { startTime, endTime }"],
    [
      { times: [{ startTime: "22:00", endTime: "06:00" }] },
      "times.0",
      "expected a time that begins before it ends: a night is two of them",
    ],
    [
      { times: [{ startTime: "06:00", endTime: "06:00" }] },
      "times.0",
      "expected a time that begins before it ends: a night is two of them",
    ],
    [{ times: "09:00" }, "times", "expected a list of { startTime, endTime }"],
    [{ times: [] }, "times", "expected { startTime, endTime }"],
    [{ weekdays: ["mon"] }, "weekdays.0", weekdays],
    [{ weekdays: ["1:5"] }, "weekdays.0", weekdays],
    [{ weekdays: ["friday:monday"] }, "weekdays.0", weekdays],
    [{ weekdays: ["monday:tuesday:friday"] }, "weekdays.0", weekdays],
    [{ weekdays: "monday" }, "weekdays", `expected a list of days like "monday:friday"`],
    [{ weekdays: [] }, "weekdays", weekdays],
    [{ daysOfMonth: ["0"] }, "daysOfMonth.0", days],
    [{ daysOfMonth: ["32"] }, "daysOfMonth.0", days],
    [{ daysOfMonth: ["-32"] }, "daysOfMonth.0", days],
    [{ daysOfMonth: ["5:1"] }, "daysOfMonth.0", days],
    [{ daysOfMonth: ["-1:-3"] }, "daysOfMonth.0", days],
    [{ daysOfMonth: ["-3:5"] }, "daysOfMonth.0", days],
    [{ daysOfMonth: ["25:-10"] }, "daysOfMonth.0", days],
    [{ daysOfMonth: ["1.5"] }, "daysOfMonth.0", days],
    [{ daysOfMonth: [1] }, "daysOfMonth.0", days],
    [{ months: ["janury"] }, "months.0", months],
    [{ months: ["0"] }, "months.0", months],
    [{ months: ["13"] }, "months.0", months],
    [{ months: ["march:january"] }, "months.0", months],
    [{ years: ["26"] }, "years.0", `expected years like "2026:2027"`],
    [{ years: ["2027:2026"] }, "years.0", `expected years like "2026:2027"`],
    [{ location: "Berlin" }, "location", `expected a time zone like "Europe/Berlin"`],
    [{ location: "" }, "location", `expected a time zone like "Europe/Berlin"`],
    [{ location: 1 }, "location", "expected a time zone"],
  ];
  for (const [interval, key, said] of wrong) {
    test(`isn't ${JSON.stringify(interval)}`, () => {
      const message = mistake(interval);
      expect(message).toContain(`Cannot use timeIntervals.night.0.${key} = `);
      expect(message).toContain(said);
    });
  }

  test("has no other keys, and the nearest is named", () => {
    expect(mistake({ weekday: ["monday"] })).toBe(
      'Cannot use the key "timeIntervals.night.0.weekday": there is no such key; nearest: weekdays',
    );
    expect(mistake({ times: [{ startTime: "09:00", end: "17:00" }] })).toContain(
      'the key "timeIntervals.night.0.times.0.end"',
    );
  });
});

import { describe, expect, test } from "bun:test";
import { becomesSteady, noFlap, noteChange, remembersChanges } from "./flap.ts";
import type { Flap } from "./flap.ts";

const minute = 60_000;
const settings = { changes: 6, within: 10 * minute, quiet: 5 * minute, longest: 120 * minute };

/** So many changes, ten seconds apart, until a time; true where the last one began to flap. */
function changes(flap: Flap, count: number, until: number): boolean {
  let begins = false;
  for (let i = count - 1; i >= 0; i--) {
    begins = noteChange(flap, until - i * 10_000, settings);
  }
  return begins;
}

describe("an alert", () => {
  test("begins to flap with the sixth change within ten minutes, and no other", () => {
    const flap = noFlap();
    const began = Array.from({ length: 12 }, (_, i) => noteChange(flap, i * minute, settings));
    expect(began.map((each, i) => each ? i + 1 : 0).filter((n) => n > 0)).toEqual([6]);
  });

  test("waits no longer, and doesn't flap, because the clock was set back", () => {
    const flap = noFlap();
    expect(changes(flap, 6, 600 * minute)).toBe(true);
    expect(becomesSteady(flap, 0)).toBe(false);
    expect(becomesSteady(flap, 5 * minute)).toBe(true);
    const slow = noFlap();
    for (let i = 0; i < 5; i++) noteChange(slow, (600 + i) * minute, settings);
    for (let i = 0; i < 5; i++) expect(noteChange(slow, i * minute, settings)).toBe(false);
  });

  test("doesn't flap where its changes are further apart", () => {
    const flap = noFlap();
    for (let i = 0; i < 50; i++) {
      expect(noteChange(flap, i * 2 * minute, settings)).toBe(false);
    }
  });

  test("is steady when it hasn't changed for five minutes, and not before", () => {
    const flap = noFlap();
    expect(becomesSteady(flap, 0)).toBe(false);
    expect(changes(flap, 6, 10 * minute)).toBe(true);
    expect(flap.until).toBe(15 * minute);
    noteChange(flap, 12 * minute, settings);
    expect([15, 16.9].map((at) => becomesSteady(flap, at * minute))).toEqual([false, false]);
    expect(becomesSteady(flap, 17 * minute)).toBe(true);
    expect(becomesSteady(flap, 17 * minute)).toBe(false);
    expect(flap.until).toBeUndefined();
  });

  test("needs as many changes as before to flap again", () => {
    const flap = noFlap();
    changes(flap, 6, 10 * minute);
    becomesSteady(flap, 15 * minute);
    expect(changes(flap, 5, 16 * minute)).toBe(false);
    expect(noteChange(flap, 16 * minute + 1, settings)).toBe(true);
  });

  test("must be quiet twice as long each time it flaps again, up to the longest", () => {
    const flap = noFlap();
    const quiet: number[] = [];
    let now = 0;
    for (let i = 0; i < 8; i++) {
      now += 2 * minute;
      expect(changes(flap, 6, now)).toBe(true);
      quiet.push((flap.until! - now) / minute);
      now = flap.until!;
      expect(becomesSteady(flap, now)).toBe(true);
    }
    expect(quiet).toEqual([5, 10, 20, 40, 80, 120, 120, 120]);
  });

  test("begins anew with what was forgotten: four times the quiet without a change", () => {
    const again = (later: number): number => {
      const flap = noFlap();
      changes(flap, 6, 10 * minute);
      becomesSteady(flap, 15 * minute);
      const now = (10 + later) * minute;
      changes(flap, 6, now + 50_000);
      return (flap.until! - now - 50_000) / minute;
    };
    expect(again(19)).toBe(10);
    expect(again(20)).toBe(10);
    expect(again(20.1)).toBe(5);
  });

  test("is remembered as long as its changes count for what comes", () => {
    const flap = noFlap();
    noteChange(flap, 0, settings);
    expect([10, 10.1].map((at) => remembersChanges(flap, at * minute, settings)))
      .toEqual([true, false]);
    changes(flap, 6, 10 * minute);
    expect(remembersChanges(flap, 10_000 * minute, settings)).toBe(true);
    becomesSteady(flap, 15 * minute);
    expect([30, 30.1].map((at) => remembersChanges(flap, at * minute, settings)))
      .toEqual([true, false]);
  });

  test("keeps no more of its changes than count", () => {
    const flap = noFlap();
    for (let i = 0; i < 1000; i++) noteChange(flap, i, settings);
    expect(flap.times.length).toBeLessThanOrEqual(6);
  });
});

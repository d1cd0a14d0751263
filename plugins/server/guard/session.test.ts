import { describe, expect, test } from "bun:test";
import { makeSessions } from "./session.ts";

describe("a session", () => {
  const sessionsAt = (clock: { now: number }, name = "host 8787", most = 3) =>
    makeSessions({ sessions: most, sessionTime: 1000 }, { name, now: () => clock.now });

  test("is known by what its cookie holds, until it ends or time is up", () => {
    const clock = { now: 0 };
    const { begin, has, end, seconds } = sessionsAt(clock);
    const [first, second] = [begin(), begin()];
    expect(first).not.toBe(second);
    expect(first).toMatch(/^[\w-]{43}$/);
    expect([has(first), has(second), has(""), has(`${first}x`)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    end(first);
    expect([has(first), has(second)]).toEqual([false, true]);
    clock.now = 1000;
    expect(has(second)).toBe(false);
    expect(seconds).toBe(1);
  });

  test("is one of so many: the oldest ends for the next", () => {
    const { begin, has } = sessionsAt({ now: 0 });
    const all = [begin(), begin(), begin(), begin()];
    expect(all.map(has)).toEqual([false, true, true, true]);
  });

  test("has a cookie that is another one on another port, and always the same on one", () => {
    const name = (of: string): string => sessionsAt({ now: 0 }, of).cookie;
    expect(name("host 8787")).toBe(name("host 8787"));
    expect(name("host 8787")).not.toBe(name("host 8788"));
    expect(name("host 8787")).toMatch(/^dropwatch_[0-9a-f]{8}$/);
  });
});

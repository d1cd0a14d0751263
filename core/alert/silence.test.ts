import { describe, expect, test } from "bun:test";
import { DropwatchError } from "../error.ts";
import { makeSilence, makeSilencer, silenceState } from "./silence.ts";
import type { Silence } from "./silence.ts";

const parts = {
  id: "s1",
  matchers: ['alertname="X"'],
  startsAt: 1000,
  duration: 500,
  createdBy: "me",
  comment: "upgrade",
};

const silenceOf = (more: Partial<typeof parts> = {}): Silence => makeSilence({ ...parts, ...more });

function failure(more: Partial<typeof parts>): DropwatchError {
  try {
    silenceOf(more);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(DropwatchError);
    return thrown as DropwatchError;
  }
  throw new Error("it was made");
}

describe("a silence", () => {
  test("is pending until it begins, active until it ends, and then over", () => {
    const silence = silenceOf();
    expect([999, 1000, 1499, 1500].map((now) => silenceState(silence, now)))
      .toEqual(["pending", "active", "active", "expired"]);
  });

  test("that ends before it begins is never active", () => {
    const ended = { ...silenceOf(), endsAt: 900 };
    expect([899, 900, 1000, 2000].map((now) => silenceState(ended, now)))
      .toEqual(["pending", "expired", "expired", "expired"]);
  });

  test("lasts ten years at most, and longer than nothing", () => {
    const year = 365 * 86_400_000;
    expect(silenceOf({ duration: 10 * year }).endsAt).toBe(1000 + 10 * year);
    for (const duration of [10 * year + 1, Infinity, NaN, 0, -1]) {
      expect(failure({ duration }).message).toContain("it lasts ten years at most");
    }
  });

  test("says who made it, and what it is about", () => {
    expect(silenceOf({ matchers: ["alertname=~X.*", 'dev!="lo"'] })).toEqual({
      id: "s1",
      matchers: [
        { name: "alertname", op: "=~", value: "X.*" },
        { name: "dev", op: "!=", value: "lo" },
      ],
      startsAt: 1000,
      endsAt: 1500,
      createdBy: "me",
      comment: "upgrade",
    });
  });

  for (const matchers of [["a=~.*"], ["a!=b"], ['a=""'], ["a!~b", "c=~d?"]]) {
    test(`that matches every alert is refused: ${matchers.join(", ")}`, () => {
      const { code, message } = failure({ matchers });
      expect(code).toBe("BAD_SILENCE");
      expect(message).toContain("matches every alert: one must ask for a value");
    });
  }

  test("may have such a matcher beside one that asks for a value", () => {
    expect(silenceOf({ matchers: ["a!=b", "c=d"] }).matchers).toHaveLength(2);
    expect(silenceOf({ matchers: ["a!=", "c=~.*"] }).matchers).toHaveLength(2);
  });

  test("needs a matcher, and each of them must be one", () => {
    expect(failure({ matchers: [] }).message).toBe("Cannot make the silence: it needs a matcher");
    expect(failure({ matchers: ["a=b", "a"] }).code).toBe("BAD_MATCHER");
    expect(failure({ matchers: ["a=~["] }).code).toBe("BAD_MATCHER");
  });

  test("has texts of up to 1,000 characters", () => {
    expect(silenceOf({ comment: "x".repeat(1000), createdBy: "y".repeat(1000) }).comment)
      .toHaveLength(1000);
    expect(failure({ comment: "x".repeat(1001) }).message)
      .toBe("Cannot make the silence: its comment is longer than 1000 characters");
    expect(failure({ createdBy: "x".repeat(1001) }).message)
      .toBe("Cannot make the silence: its author is longer than 1000 characters");
  });
});

describe("the silences of a run", () => {
  test("are those that are active and match", () => {
    const silencer = makeSilencer();
    silencer.set([
      silenceOf(),
      silenceOf({ id: "s2", matchers: ["alertname=X", "dev=eth0"] }),
      silenceOf({ id: "s3", startsAt: 1400 }),
      silenceOf({ id: "s4", matchers: ["alertname=Y"] }),
    ]);
    const of = (dev: string, now: number): string[] =>
      silencer.of({ alertname: "X", dev }, now).map(({ id }) => id);
    expect(of("eth0", 1000)).toEqual(["s1", "s2"]);
    expect(of("lo", 1000)).toEqual(["s1"]);
    expect(of("lo", 1450)).toEqual(["s1", "s3"]);
    expect(of("lo", 1700)).toEqual(["s3"]);
    expect(of("lo", 999)).toEqual([]);
    expect(of("lo", 1900)).toEqual([]);
  });

  test("are those that were set last", () => {
    const silencer = makeSilencer();
    silencer.set([silenceOf()]);
    silencer.set([silenceOf({ id: "s2", startsAt: 2000 })]);
    expect(silencer.all.map(({ id }) => id)).toEqual(["s2"]);
    expect(silencer.of({ alertname: "X" }, 1000)).toEqual([]);
    expect(silencer.of({ alertname: "X" }, 2000)).toHaveLength(1);
  });
});

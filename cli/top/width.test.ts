import { describe, expect, test } from "bun:test";
import { randomFrom } from "../../test/random.ts";
import { cut, fit, fitRight, widthOf, wrap } from "./width.ts";

describe("the width of a text", () => {
  test("is counted in columns, by characters as people see them", () => {
    expect(widthOf("eth0")).toBe(4);
    expect(widthOf("日本語")).toBe(6);
    expect(widthOf("e\u0301")).toBe(1);
    expect(widthOf("👍🏽")).toBe(2);
    expect(widthOf("👨‍👩‍👧")).toBe(2);
    expect(widthOf("🇩🇪")).toBe(2);
    expect(widthOf("❤️")).toBe(2);
    expect(widthOf("한국")).toBe(4);
    expect(widthOf("ｆｕｌｌ")).toBe(8);
    expect(widthOf("")).toBe(0);
  });

  test("is kept when it is cut: a wide character is never halved", () => {
    expect(cut("syncthing", 5)).toBe("sync…");
    expect(cut("syncthing", 5, "~")).toBe("sync~");
    expect(cut("日本語", 6)).toBe("日本語");
    expect(cut("日本語", 5)).toBe("日本…");
    expect(cut("日本語", 4)).toBe("日…");
    expect(cut("日", 1)).toBe("");
    expect(cut("ab", 1)).toBe("a");
    expect(cut("ab", 0)).toBe("");
    expect(cut("👨‍👩‍👧👨‍👩‍👧", 3)).toBe("👨‍👩‍👧…");
  });

  test("is filled up, at either side", () => {
    expect(fit("日", 4)).toBe("日  ");
    expect(fitRight("12", 4)).toBe("  12");
    expect(fit("日本", 3)).toBe("日…");
  });

  test("is bounded in bytes too: a letter with a thousand marks keeps a few", () => {
    const heavy = "a" + "\u0301".repeat(1000);
    expect(widthOf(heavy)).toBe(1);
    expect(cut(heavy, 10).length).toBeLessThan(10);
  });

  test("bounds the lines of a text that is broken", () => {
    expect(wrap("no socket was open for it", 10)).toEqual(["no socket", "was open", "for it"]);
    expect(wrap("abcdefghij", 4)).toEqual(["abcd", "efgh", "ij"]);
    expect(wrap("日本語", 1)).toEqual([]);
    expect(wrap("x", 0)).toEqual([]);
  });

  test("is never more than asked for, whatever the text", () => {
    const random = randomFrom(11);
    const parts = [
      "a",
      "日",
      "e\u0301",
      "👍🏽",
      "👨‍👩‍👧",
      "🇩🇪",
      " ",
      "\ud800",
      "\u200d",
      "क्ष",
      "❤️",
      "…",
    ];
    for (let round = 0; round < 500; round++) {
      const text = Array.from({ length: random.int(0, 20) }, () => random.pick(parts)).join("");
      const width = random.int(0, 24);
      expect(widthOf(cut(text, width))).toBeLessThanOrEqual(width);
      expect(widthOf(fit(text, width))).toBe(width);
      for (const line of wrap(text, width)) expect(widthOf(line)).toBeLessThanOrEqual(width);
    }
  });
});

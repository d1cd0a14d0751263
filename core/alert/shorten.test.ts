import { describe, expect, test } from "bun:test";
import { randomFrom } from "../../test/random.ts";
import { shorten, shortenBytes } from "./shorten.ts";

const random = randomFrom(11);
const pieces = ["a", "ü", "日", "🦊", "\ud800", "\udfff", "…", " ", "e\u0301"];
const texts = Array.from(
  { length: 300 },
  () => Array.from({ length: random.int(0, 30) }, () => random.pick(pieces)).join(""),
);

describe("a text that must fit", () => {
  test("stays as it is where it does", () => {
    expect([shorten("abc", 3), shorten("", 0), shorten("🦊", 2)]).toEqual(["abc", "", "🦊"]);
  });

  test("ends with … where something was cut", () => {
    expect([1, 2, 3].map((most) => shorten("abcd", most))).toEqual(["…", "a…", "ab…"]);
    expect(shorten("abcd", 0)).toBe("");
    expect(shorten("abcd", -1)).toBe("");
  });

  test("isn't cut within a character", () => {
    expect([1, 2, 3, 4, 5].map((most) => shorten("🦊🦊🦊", most)))
      .toEqual(["…", "…", "🦊…", "🦊…", "🦊🦊…"]);
  });

  test("is never longer, and never longer than it was", () => {
    for (const text of texts) {
      for (let most = 0; most < 35; most++) {
        const short = shorten(text, most);
        expect(short.length).toBeLessThanOrEqual(most);
        expect(short === text || short === "" || text.startsWith(short.slice(0, -1))).toBe(true);
        if (text.isWellFormed()) expect(short.isWellFormed()).toBe(true);
      }
    }
  });
});

describe("a text that must fit into bytes", () => {
  test("stays as it is where it does", () => {
    expect([shortenBytes("abc", 3), shortenBytes("🦊", 4), shortenBytes("", 0)])
      .toEqual(["abc", "🦊", ""]);
  });

  test("ends with …, of three bytes, where something was cut", () => {
    expect([2, 3, 4, 5].map((most) => shortenBytes("abcdef", most)))
      .toEqual(["", "…", "a…", "ab…"]);
    expect([3, 4, 5, 6, 7].map((most) => shortenBytes("üüüü", most)))
      .toEqual(["…", "…", "ü…", "ü…", "üü…"]);
    expect([6, 7, 8].map((most) => shortenBytes("🦊🦊🦊", most))).toEqual(["…", "🦊…", "🦊…"]);
  });

  test("is never longer, and never cut within a character", () => {
    for (const text of texts) {
      for (let most = 0; most < 60; most++) {
        const short = shortenBytes(text, most);
        expect(Buffer.byteLength(short)).toBeLessThanOrEqual(most);
        // Halves of characters are one of U+FFFD each, as they are when they are sent.
        const sent = text.toWellFormed();
        expect(short === text || short === "" || sent.startsWith(short.slice(0, -1))).toBe(true);
      }
    }
  });
});

import { describe, expect, test } from "bun:test";
import { randomFrom } from "../../test/random.ts";
import { readKeys } from "./key.ts";

const names = (input: string, whole = true): string[] =>
  readKeys(input, whole).keys.map((key) => key.name === "text" ? key.text : key.name);

describe("keys", () => {
  test("are arrows and the rest of a keyboard, in each way that terminals send them", () => {
    expect(names("\x1b[A\x1bOA\x1b[B\x1bOB\x1b[C\x1b[D")).toEqual(
      ["up", "up", "down", "down", "right", "left"],
    );
    expect(names("\x1b[H\x1b[1~\x1bOH\x1b[7~\x1b[F\x1b[4~\x1b[5~\x1b[6~")).toEqual(
      ["home", "home", "home", "home", "end", "end", "pageup", "pagedown"],
    );
    expect(names("\r\n\t\x7f\b\x03\x1a\x0c")).toEqual(
      ["enter", "enter", "tab", "backspace", "backspace", "interrupt", "suspend", "redraw"],
    );
  });

  test("are letters too, of any script, and several that came at once", () => {
    expect(names("q/日😀1")).toEqual(["q", "/", "日", "😀", "1"]);
  });

  test("with a modifier are the key itself", () => {
    expect(names("\x1b[1;5A\x1b[1;2B")).toEqual(["up", "down"]);
  });

  test("that mean nothing here are left out", () => {
    expect(names("\x1b[15~\x1b[200~a\x1b[201~\x1b[<0;1;1M\x01\x1b[?62c")).toEqual(["a"]);
  });

  test("may come in pieces: a lone ESC is Escape only when nothing follows", () => {
    expect(readKeys("a\x1b", false)).toEqual({
      keys: [{ name: "text", text: "a" }],
      rest: "\x1b",
    });
    expect(readKeys("\x1b[1;", false)).toEqual({ keys: [], rest: "\x1b[1;" });
    expect(names("\x1b")).toEqual(["escape"]);
    expect(names("\x1b\x1b[A")).toEqual(["escape", "up"]);
    expect(names("\x1bq")).toEqual(["escape", "q"]);
  });

  test("never wait without end: what begins like a sequence and is too long is none", () => {
    const { rest } = readKeys(`\x1b[${"1".repeat(100)}`, false);
    expect(rest).toBe("");
  });

  test("come out the same however the bytes are cut, for any input", () => {
    const random = randomFrom(7);
    const pieces = ["\x1b[A", "\x1bOB", "x", "日", "\x1b[5~", "\r", "\x1b[15~", "\x03"];
    for (let round = 0; round < 300; round++) {
      const input = Array.from({ length: random.int(1, 12) }, () => random.pick(pieces)).join("");
      const at = random.int(0, input.length);
      const first = readKeys(input.slice(0, at), false);
      const second = readKeys(first.rest + input.slice(at), true);
      expect([...first.keys, ...second.keys]).toEqual([...readKeys(input, true).keys]);
    }
  });
});

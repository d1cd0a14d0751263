import { describe, expect, test } from "bun:test";
import { Readable } from "node:stream";
import { randomFrom } from "../test/random.ts";
import { splitLines } from "./lines.ts";

/** The lines of bytes that come in these pieces. */
async function linesOf(pieces: readonly Uint8Array[], longest?: number): Promise<string[]> {
  const lines: string[] = [];
  await splitLines(Readable.from(pieces), (line) => lines.push(line), longest);
  return lines;
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("lines", () => {
  test("are the same however the bytes are cut, also in the middle of a character", async () => {
    const text = "first\n\nthird € line\n  \r\nlast without an end €";
    const bytes = encode(text);
    const random = randomFrom(81);
    for (let round = 0; round < 100; round++) {
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < bytes.length;) {
        const end = Math.min(bytes.length, at + random.int(1, 9));
        pieces.push(bytes.subarray(at, end));
        at = end;
      }
      expect(await linesOf(pieces)).toEqual(text.split("\n"));
    }
  });

  test("end with the last newline where there is one", async () => {
    expect(await linesOf([encode("a\nb\n")])).toEqual(["a", "b"]);
    expect(await linesOf([])).toEqual([]);
  });

  test("that are no UTF-8 come with U+FFFD, also where they end in the middle", async () => {
    expect(await linesOf([Uint8Array.of(0x61, 0xff, 0x0a, 0xe2, 0x82)])).toEqual([
      "a\ufffd",
      "\ufffd",
    ]);
  });

  test("that are too long are cut, and the next one is whole again", async () => {
    const pieces = ["12345", "67890", "abc\nnext\n", "x".repeat(50), "\n12345678\n"].map(encode);
    expect(await linesOf(pieces, 8)).toEqual(["12345678", "next", "xxxxxxxx", "12345678"]);
  });

  test("that fail are told", async () => {
    const broken = new Readable({ read() {} });
    const reading = splitLines(broken, () => {});
    broken.destroy(new Error("torn off"));
    await expect(reading).rejects.toThrow("torn off");
  });
});

// A stream of bytes as lines, without ever holding more than one line of any length.
import type { Readable } from "node:stream";

/** Calls `onLine` for each line of UTF-8 text; the last one needs no newline. */
export function splitLines(stream: Readable, onLine: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const decoder = new TextDecoder();
    let parts: string[] = [];
    stream.on("data", (chunk: Uint8Array) => {
      const text = decoder.decode(chunk, { stream: true });
      let from = 0;
      for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", from)) {
        parts.push(text.slice(from, at));
        const line = parts.length === 1 ? parts[0]! : parts.join("");
        parts = [];
        from = at + 1;
        onLine(line);
      }
      if (from < text.length) parts.push(text.slice(from));
    });
    stream.on("error", reject);
    stream.on("close", () => {
      const line = parts.join("") + decoder.decode();
      parts = [];
      if (line !== "") onLine(line);
      resolve();
    });
  });
}

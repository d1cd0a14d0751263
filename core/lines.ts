// A stream of bytes as lines, without ever holding more than one line of any length.
import type { Readable } from "node:stream";

/**
 * Calls `onLine` for each line of UTF-8 text; the last one needs no newline. Of a line that is longer
 * than `longest` the rest is left out.
 */
export function splitLines(
  stream: Readable,
  onLine: (line: string) => void,
  longest: number = Number.POSITIVE_INFINITY,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const decoder = new TextDecoder();
    let parts: string[] = [];
    let length = 0;
    const keep = (text: string): void => {
      if (length < longest) parts.push(text.slice(0, longest - length));
      length += text.length;
    };
    stream.on("data", (chunk: Uint8Array) => {
      const text = decoder.decode(chunk, { stream: true });
      let from = 0;
      for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", from)) {
        keep(text.slice(from, at));
        const line = parts.length === 1 ? parts[0]! : parts.join("");
        parts = [];
        length = 0;
        from = at + 1;
        onLine(line);
      }
      if (from < text.length) keep(text.slice(from));
    });
    stream.on("error", reject);
    stream.on("close", () => {
      keep(decoder.decode());
      const line = parts.join("");
      parts = [];
      if (line !== "") onLine(line);
      resolve();
    });
  });
}

// PNG files as their readers see them: every checksum is looked at, and each pixel has a colour.
import { crc32, inflateSync } from "node:zlib";

export interface Png {
  readonly width: number;
  readonly height: number;
  /** `#rrggbb`. */
  at(x: number, y: number): string;
}

/** Reads a PNG of eight bits a pixel with a palette, unfiltered and not interlaced; throws for another. */
export function readPng(file: Uint8Array): Png {
  const bytes = Buffer.from(file);
  if (bytes.subarray(0, 8).toString("latin1") !== "\x89PNG\r\n\x1a\n") throw new Error("no PNG");
  const parts: { type: string; data: Buffer }[] = [];
  for (let at = 8; at < bytes.length;) {
    const length = bytes.readUInt32BE(at);
    const checked = bytes.subarray(at + 4, at + 8 + length);
    const sum = bytes.readUInt32BE(at + 8 + length);
    if (crc32(checked) !== sum) throw new Error("a checksum is wrong");
    parts.push({ type: checked.subarray(0, 4).toString("latin1"), data: checked.subarray(4) });
    at += 12 + length;
  }
  const order = parts.map(({ type }) => type).join();
  if (order !== "IHDR,PLTE,IDAT,IEND") throw new Error(`chunks are ${order}`);
  const [head, palette, data] = parts.map((part) => part.data) as [Buffer, Buffer, Buffer];
  const [width, height] = [head.readUInt32BE(0), head.readUInt32BE(4)];
  if (head.subarray(8).toString("hex") !== "0803000000") throw new Error("of another form");
  const rows = inflateSync(data);
  if (rows.length !== (width + 1) * height) throw new Error("rows are missing");
  return {
    width,
    height,
    at(x, y) {
      if (rows[y * (width + 1)] !== 0) throw new Error("a row is filtered");
      const place = rows[y * (width + 1) + 1 + x]! * 3;
      if (place >= palette.length) throw new Error("a colour is missing");
      return `#${palette.subarray(place, place + 3).toString("hex")}`;
    },
  };
}

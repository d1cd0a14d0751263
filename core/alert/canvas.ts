// Pixels that rectangles and lines are drawn on, and the PNG file of them.
import { crc32, deflateSync } from "node:zlib";

/** `#rrggbb`. */
export type Colour = `#${string}`;

/** Steps from one colour to another at the edge of a line. */
const steps = 8;
/** A byte a pixel: more colours than that there can't be. */
const mostColours = 256;

/** An image of a few colours, and those between them. Measures are in units of `scale` pixels. */
export class Canvas {
  readonly width: number;
  readonly height: number;
  readonly #scale: number;
  readonly #pixels: Uint8Array;
  /** 0xrrggbb, in the order in which they were asked for; a pixel is a place in it. */
  readonly #palette: number[] = [];
  readonly #places = new Map<number, number>();

  constructor(width: number, height: number, scale: number, background: Colour) {
    this.width = Math.round(width * scale);
    this.height = Math.round(height * scale);
    this.#scale = scale;
    // The first colour has the place 0, so it is everywhere.
    this.#pixels = new Uint8Array(this.width * this.height);
    this.#placeOf(numberOf(background));
  }

  /** Fills whole pixels. */
  rect(x: number, y: number, width: number, height: number, colour: Colour): void {
    const place = this.#placeOf(numberOf(colour));
    const [left, right] = [this.#pixel(x, this.width), this.#pixel(x + width, this.width)];
    const [top, bottom] = [this.#pixel(y, this.height), this.#pixel(y + height, this.height)];
    for (let row = top; row < bottom; row++) {
      this.#pixels.fill(place, row * this.width + left, row * this.width + right);
    }
  }

  /** A line with round ends and soft edges; one whose points are all the same is a dot. */
  line(points: readonly (readonly [number, number])[], width: number, colour: Colour): void {
    const scale = this.#scale;
    const radius = width * scale / 2;
    const xs = points.map(([x]) => x * scale);
    const ys = points.map(([, y]) => y * scale);
    const [left, right] = this.#within(xs, radius, this.width);
    const [top, bottom] = this.#within(ys, radius, this.height);
    const wanted = numberOf(colour);
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) {
        // One distance for all segments: where two meet, nothing is painted twice.
        let nearest = Infinity;
        for (let i = 1; i < xs.length; i++) {
          const far = distance(column + 0.5, row + 0.5, xs[i - 1]!, ys[i - 1]!, xs[i]!, ys[i]!);
          if (far < nearest) nearest = far;
        }
        const part = Math.round(Math.min(1, radius + 0.5 - nearest) * steps);
        if (part <= 0) continue;
        const at = row * this.width + column;
        const under = this.#palette[this.#pixels[at]!]!;
        this.#pixels[at] = this.#placeOf(between(under, wanted, part / steps));
      }
    }
  }

  /**
   * The image as a PNG file.
   *
   * @see https://www.w3.org/TR/png-3/
   */
  png(): Uint8Array {
    const head = Buffer.alloc(13);
    head.writeUInt32BE(this.width, 0);
    head.writeUInt32BE(this.height, 4);
    // Eight bits a pixel, which are a place in the palette; not interlaced.
    head.set([8, 3, 0, 0, 0], 8);
    const palette = Buffer.alloc(this.#palette.length * 3);
    this.#palette.forEach((colour, i) => palette.writeUIntBE(colour, i * 3, 3));
    // Each row begins with the number of its filter: none.
    const rows = Buffer.alloc((this.width + 1) * this.height);
    for (let row = 0; row < this.height; row++) {
      const pixels = this.#pixels.subarray(row * this.width, (row + 1) * this.width);
      rows.set(pixels, row * (this.width + 1) + 1);
    }
    return Buffer.concat([
      Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
      chunk("IHDR", head),
      chunk("PLTE", palette),
      chunk("IDAT", deflateSync(rows)),
      chunk("IEND", Buffer.alloc(0)),
    ]);
  }

  #placeOf(colour: number): number {
    const known = this.#places.get(colour);
    if (known !== undefined) return known;
    // Where lines cross lines more than a picture has them: an edge is then as it was before.
    if (this.#palette.length === mostColours) return mostColours - 1;
    this.#places.set(colour, this.#palette.length);
    return this.#palette.push(colour) - 1;
  }

  #pixel(measure: number, most: number): number {
    return Math.min(most, Math.max(0, Math.round(measure * this.#scale)));
  }

  #within(places: readonly number[], radius: number, most: number): [number, number] {
    return [
      Math.max(0, Math.floor(Math.min(...places) - radius - 1)),
      Math.min(most, Math.ceil(Math.max(...places) + radius + 1)),
    ];
  }
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const checked = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(checked));
  return Buffer.concat([length, checked, sum]);
}

function numberOf(colour: Colour): number {
  return parseInt(colour.slice(1), 16);
}

/** A colour on the way from one to another. */
function between(from: number, to: number, part: number): number {
  let mixed = 0;
  for (const shift of [16, 8, 0]) {
    const [a, b] = [from >> shift & 0xff, to >> shift & 0xff];
    mixed |= Math.round(a + (b - a) * part) << shift;
  }
  return mixed;
}

/** From a point to the nearest of a segment. */
function distance(x: number, y: number, x1: number, y1: number, x2: number, y2: number): number {
  const dx = x2 - x1;
  const dy = y2 - y1;
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : ((x - x1) * dx + (y - y1) * dy) / length;
  const on = Math.min(1, Math.max(0, along));
  return Math.hypot(x - x1 - on * dx, y - y1 - on * dy);
}

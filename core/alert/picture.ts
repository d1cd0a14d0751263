// A picture of the rate around an alert: drops a second over time, the time of the alert shaded. It is
// laid out once, as rectangles and texts; SVG and PNG are two ways to write the same.
import { printable } from "../error.ts";
import { Canvas } from "./canvas.ts";
import type { Colour } from "./canvas.ts";
import type { Rates } from "./notification.ts";
import { shorten } from "./shorten.ts";
import { strokesOf, widthOf } from "./stroke_font.ts";

/** When the alert began and ended, in milliseconds since 1970. */
export interface PictureSpan {
  readonly startsAt: number;
  /** null while it fires. */
  readonly endsAt: number | null;
  /** Drops a second above which it fires, where that is what it asks. */
  readonly threshold?: number;
}

type Shape =
  | {
    readonly rect: readonly [x: number, y: number, width: number, height: number];
    readonly fill: Colour;
  }
  | {
    readonly text: string;
    readonly x: number;
    /** Of the base line. */
    readonly y: number;
    /** Of a capital letter. */
    readonly size: number;
    readonly anchor: "start" | "middle" | "end";
    readonly fill: Colour;
    readonly bold?: boolean;
  };

const width = 600;
const height = 220;
const plot = { left: 58, top: 56, right: 584, bottom: 180 };
/** Bars: one a value as long as they can be told apart. */
const mostBars = 263;

// An opaque light ground: a dark mail client shows the same picture as a light one.
const colours = {
  ground: "#ffffff",
  frame: "#d4dae1",
  grid: "#e7eaee",
  ink: "#1f2933",
  faint: "#5b6673",
  bar: "#4a7ebb",
  hot: "#c8372d",
  shade: "#fdeeec",
} as const satisfies Record<string, Colour>;

/** The picture as SVG. */
export function svgOf(rates: Rates, span: PictureSpan): string {
  const shapes = layOut(rates, span).map(svgShape).join("");
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
    `viewBox="0 0 ${width} ${height}" role="img" font-family="sans-serif">` +
    `<title>${escaped(altOf(rates))}</title>${shapes}</svg>`;
}

/** The picture as PNG, two pixels a unit of the SVG: 1200 × 440. */
export function pngOf(rates: Rates, span: PictureSpan): Uint8Array {
  const canvas = new Canvas(width, height, 2, colours.ground);
  for (const shape of layOut(rates, span)) draw(canvas, shape);
  return canvas.png();
}

/** What it is about, for who can't see it. */
export function altOf({ of, values }: Rates): string {
  const peak = values.length === 0 ? "no measurement" : `at most ${short(peakOf(values))}`;
  return `${shorten(printable(of), 200)}: drops a second over time, ${peak}`;
}

function layOut(rates: Rates, span: PictureSpan): Shape[] {
  const { left, top, right, bottom } = plot;
  const values = rates.values.map(measured);
  const step = Math.max(1, measured(rates.step));
  const until = rates.from + step * Math.max(1, values.length);
  const peak = peakOf(values);
  const threshold = span.threshold === undefined ? undefined : measured(span.threshold);
  const levels = levelsUpTo(Math.max(peak, threshold ?? 0));
  const highest = levels.at(-1)!;
  const xOf = (time: number): number =>
    left + (right - left) * Math.min(1, Math.max(0, (time - rates.from) / (until - rates.from)));
  const yOf = (value: number): number => bottom - (bottom - top) * (value / highest);

  const shapes: Shape[] = [
    { rect: [0, 0, width, height], fill: colours.frame },
    { rect: [1, 1, width - 2, height - 2], fill: colours.ground },
    {
      text: fitted(printable(rates.of), 400, 10),
      x: 16,
      y: 26,
      size: 10,
      anchor: "start",
      fill: colours.ink,
      bold: true,
    },
    { text: "drops/s", x: 16, y: 44, size: 8, anchor: "start", fill: colours.faint },
  ];
  if (values.length > 0) {
    const text = `peak ${short(peak)}`;
    shapes.push({ text, x: right, y: 26, size: 9, anchor: "end", fill: colours.ink });
  }
  const began = whole(xOf(span.startsAt));
  const ended = whole(xOf(span.endsAt ?? until));
  if (ended > began) {
    shapes.push({ rect: [began, top, ended - began, bottom - top], fill: colours.shade });
  }
  for (const level of levels) {
    const y = yOf(level);
    shapes.push(
      { rect: [left, y, right - left, 1], fill: level === 0 ? colours.faint : colours.grid },
      { text: short(level), x: left - 8, y: y + 4, size: 8, anchor: "end", fill: colours.faint },
    );
  }
  for (const bar of barsOf(values)) {
    const x = whole(xOf(rates.from + step * bar.from));
    const end = whole(xOf(rates.from + step * bar.to));
    const hot = x + (end - x) / 2 >= began && x + (end - x) / 2 <= ended && ended > began;
    const tall = bar.value === 0 ? 0 : Math.max(1, bottom - whole(yOf(bar.value)));
    if (tall === 0) continue;
    const apart = end - x > 5 ? 1 : 0;
    const rect = [x, bottom - tall, end - x - apart, tall] as const;
    shapes.push({ rect, fill: hot ? colours.hot : colours.bar });
  }
  if (threshold !== undefined && values.length > 0) {
    for (let x = left; x < right; x += 8) {
      shapes.push({ rect: [x, yOf(threshold), Math.min(4, right - x), 1], fill: colours.ink });
    }
  }
  for (const [at, text] of timesOf(rates.from, until)) {
    const x = whole(xOf(at));
    // A text at the edge stays in the picture.
    const half = widthOf(text, 8) / 2;
    const middle = Math.min(x, width - 8 - half);
    shapes.push(
      { rect: [x, bottom, 1, 4], fill: colours.faint },
      { text, x: middle, y: bottom + 17, size: 8, anchor: "middle", fill: colours.faint },
    );
  }
  const date = new Date(shown(rates.from)).toISOString().slice(0, 10);
  const legend = [
    ...(ended > began ? ["shaded: the alert"] : []),
    ...(threshold === undefined ? [] : [`dashed: ${short(threshold)}, its threshold`]),
  ].join("   ");
  const foot = { y: height - 10, size: 7, fill: colours.faint } as const;
  shapes.push(
    { text: `${date} UTC`, x: left, anchor: "start", ...foot },
    ...(legend === "" ? [] : [{ text: legend, x: right, anchor: "end", ...foot } as const]),
  );
  if (values.length === 0) {
    shapes.push({
      text: "nothing was measured",
      x: (left + right) / 2,
      y: (top + bottom) / 2,
      size: 10,
      anchor: "middle",
      fill: colours.faint,
    });
  }
  return shapes;
}

/** Half a unit is a pixel of the PNG: bars end with pixels, so that nothing shines through between them. */
function whole(place: number): number {
  return Math.round(place * 2) / 2;
}

/** A number that can be drawn: no rate is below zero, and what isn't finite is none. */
function measured(value: number): number {
  return Number.isFinite(value) ? Math.min(1e15, Math.max(0, value)) : 0;
}

function peakOf(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, measured(value)), 0);
}

/** Neighbours share a bar where there are too many; it is as tall as the largest of them. */
function barsOf(values: readonly number[]): { from: number; to: number; value: number }[] {
  const each = Math.ceil(values.length / mostBars);
  const bars: { from: number; to: number; value: number }[] = [];
  for (let from = 0; from < values.length; from += each) {
    const to = Math.min(values.length, from + each);
    bars.push({ from, to, value: peakOf(values.slice(from, to)) });
  }
  return bars;
}

/** Zero, and two to four round numbers above it, the last of which is as large as `most`. */
function levelsUpTo(most: number): number[] {
  if (most === 0) return [0, 1];
  const power = 10 ** Math.floor(Math.log10(most / 4));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((each) => each * 4 >= most) ??
    most / 4;
  const count = Math.ceil(most / step);
  return Array.from({ length: count + 1 }, (_, i) => i * step);
}

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const timeSteps = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * second),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * minute),
  ...[1, 2, 3, 6, 12].map((n) => n * hour),
  ...[1, 2, 5, 10, 20, 50, 100].map((n) => n * day),
];

/** Round times within a span, seven at most. */
function timesOf(from: number, until: number): [at: number, text: string][] {
  const step = timeSteps.find((each) => (until - from) / each <= 7);
  if (step === undefined) return [];
  const times: [number, string][] = [];
  for (let at = Math.ceil(from / step) * step; at <= until; at += step) {
    const iso = new Date(shown(at)).toISOString();
    const midnight = iso.slice(11, 19) === "00:00:00" && until - from > day;
    times.push([
      at,
      midnight || step >= day
        ? iso.slice(5, 10)
        : step >= minute
        ? iso.slice(11, 16)
        : iso.slice(11, 19),
    ]);
  }
  return times;
}

/** A time that a date can be made of. */
function shown(time: number): number {
  return Number.isFinite(time) ? Math.min(8.64e15, Math.max(0, time)) : 0;
}

const compact = new Intl.NumberFormat("en-US", {
  notation: "compact",
  maximumSignificantDigits: 3,
});

/** 1234567 → 1.23M. */
function short(n: number): string {
  return compact.format(n);
}

/** As much of a text as is at most `most` wide. */
function fitted(text: string, most: number, size: number): string {
  let rest = shorten(text, 200);
  while (rest.length > 1 && widthOf(rest, size) > most) {
    rest = shorten(rest, rest.length - 1);
  }
  return rest;
}

function draw(canvas: Canvas, shape: Shape): void {
  if ("rect" in shape) return canvas.rect(...shape.rect, shape.fill);
  const long = widthOf(shape.text, shape.size);
  const left = shape.x - { start: 0, middle: long / 2, end: long }[shape.anchor];
  const pen = shape.size * (shape.bold === true ? 0.16 : 0.12);
  for (const stroke of strokesOf(shape.text, shape.size)) {
    canvas.line(stroke.map(([x, y]) => [left + x, shape.y + y] as const), pen, shape.fill);
  }
}

/** A capital letter is this much of the size of a font. */
const capital = 0.72;

function svgShape(shape: Shape): string {
  if ("rect" in shape) {
    const [x, y, w, h] = shape.rect.map((n) => Number(n.toFixed(2)));
    return `<rect x="${x}" y="${y}" width="${w}" height="${h}" fill="${shape.fill}"/>`;
  }
  const { text, x, y, size, anchor, fill, bold = false } = shape;
  return `<text x="${Number(x.toFixed(2))}" y="${y.toFixed(1)}" fill="${fill}" ` +
    `font-size="${(size / capital).toFixed(1)}" text-anchor="${anchor}"` +
    `${bold ? ' font-weight="bold"' : ""}>${escaped(text)}</text>`;
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

/** Text for XML; what no XML may hold (half a character, U+FFFE) is replaced. */
function escaped(text: string): string {
  return text.toWellFormed().replace(/[\ufffe\uffff]/g, "\ufffd")
    .replace(/[&<>"']/g, (char) => entities[char]!);
}

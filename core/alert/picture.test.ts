import { describe, expect, test } from "bun:test";
import { hostileNames, rawControl } from "../../test/alert.ts";
import { readPng } from "../../test/png.ts";
import { randomFrom } from "../../test/random.ts";
import type { Rates } from "./notification.ts";
import { pngOf, svgOf } from "./picture.ts";
import type { PictureSpan } from "./picture.ts";
import { strokesOf, widthOf } from "./stroke_font.ts";

const from = Date.parse("2026-01-02T03:00:00Z");
const ratesOf = (values: readonly number[], parts: Partial<Rates> = {}): Rates => ({
  from,
  step: 10_000,
  values,
  of: "SOCKET_FILTER",
  ...parts,
});
const span: PictureSpan = { startsAt: from + 300_000, endsAt: from + 450_000 };
const calm: PictureSpan = { startsAt: from - 2, endsAt: from - 1 };
const hour = Array.from({ length: 60 }, (_, i) => i >= 30 && i < 45 ? 200 + i : 3);

const [bar, hot, shade, frame, ground] = ["#4a7ebb", "#c8372d", "#fdeeec", "#d4dae1", "#ffffff"];

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly text: string;
}

/** An SVG as its readers see it: elements and their texts. Throws where it isn't well-formed. */
function readSvg(svg: string): Element[] {
  const unescaped = (text: string): string => {
    if (/[<>]|&(?!(amp|lt|gt|quot|apos);)/.test(text)) throw new Error(`not escaped: ${text}`);
    const of: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
    return text.replace(/&(\w+);/g, (_, name) => of[name]!);
  };
  const body = /^<svg( [a-zA-Z-]+="[^"<>]*")+>(.*)<\/svg>$/s.exec(svg)?.[2];
  if (body === undefined) throw new Error("no SVG");
  const element = /<([a-z]+)((?: [a-zA-Z0-9-]+="[^"<>]*")*)(?:\/>|>([^<>]*)<\/\1>)/g;
  if (body.replace(element, "") !== "") throw new Error("something stands between elements");
  return [...body.matchAll(element)].map(([, name, attributes, text = ""]) => ({
    name: name!,
    attributes: Object.fromEntries(
      [...attributes!.matchAll(/ ([a-zA-Z0-9-]+)="([^"]*)"/g)].map((
        [, key, value],
      ) => [key!, unescaped(value!)]),
    ),
    text: unescaped(text),
  }));
}

const textsOf = (svg: string): string[] =>
  readSvg(svg).filter(({ name }) => name === "text").map(({ text }) => text);
const rectsOf = (svg: string): { x: number; y: number; w: number; h: number; fill: string }[] =>
  readSvg(svg).filter(({ name }) => name === "rect").map(({ attributes: a }) => ({
    x: Number(a["x"]),
    y: Number(a["y"]),
    w: Number(a["width"]),
    h: Number(a["height"]),
    fill: a["fill"]!,
  }));

describe("the picture of an alert", () => {
  test("has a bar for each value, as tall as the value is large", () => {
    const bars = rectsOf(svgOf(ratesOf([10, 20, 40, 0, 30]), calm)).filter(({ fill }) =>
      fill === bar
    );
    expect(bars.map(({ h }) => Math.round(h / bars[0]!.h))).toEqual([1, 2, 4, 3]);
    expect(bars.map(({ x }) => Math.round((x - bars[0]!.x) / (bars[0]!.w + 1))))
      .toEqual([0, 1, 2, 4]);
  });

  test("shades the time of the alert, and shows its bars in another colour", () => {
    const rects = rectsOf(svgOf(ratesOf(hour), span));
    expect(rects.filter(({ fill }) => fill === shade)).toHaveLength(1);
    expect(rects.filter(({ fill }) => fill === hot)).toHaveLength(15);
    expect(rects.filter(({ fill }) => fill === bar)).toHaveLength(45);
    const firing = rectsOf(svgOf(ratesOf(hour), { ...span, endsAt: null }));
    expect(firing.filter(({ fill }) => fill === hot)).toHaveLength(30);
    expect(rectsOf(svgOf(ratesOf(hour), calm)).some(({ fill }) => fill === shade)).toBe(false);
  });

  test("shows a value that is small beside the others, and nothing where nothing was", () => {
    const rects = rectsOf(svgOf(ratesOf([1, 1e6, 0]), calm)).filter(({ fill }) => fill === bar);
    expect(rects.map(({ h }) => h >= 1)).toEqual([true, true]);
    const zeros = svgOf(ratesOf([0, 0, 0]), span);
    expect(rectsOf(zeros).some(({ fill }) => fill === hot || fill === bar)).toBe(false);
    expect(textsOf(zeros)).toContain("peak 0");
  });

  test("says so where nothing was measured", () => {
    expect(textsOf(svgOf(ratesOf([]), span))).toContain("nothing was measured");
    expect(textsOf(svgOf(ratesOf(hour), span))).not.toContain("nothing was measured");
  });

  test("keeps the largest of values that share a bar", () => {
    const values = Array.from({ length: 100_000 }, (_, i) => i === 77_777 ? 1000 : 1);
    const bars = rectsOf(svgOf(ratesOf(values, { step: 10 }), calm))
      .filter(({ fill }) => fill === bar);
    expect(bars.length).toBeLessThan(300);
    expect(Math.max(...bars.map(({ h }) => h))).toBe(124);
    expect(bars.filter(({ h }) => h > 100)).toHaveLength(1);
  });

  test("draws a threshold where there is one, however far above the values", () => {
    const of = (threshold?: number): string =>
      svgOf(ratesOf(hour), threshold === undefined ? span : { ...span, threshold });
    expect(of()).not.toContain("dashed");
    for (const threshold of [0, 50, 1e6]) {
      const svg = of(threshold);
      expect(textsOf(svg).join()).toContain("its threshold");
      const dashes = rectsOf(svg).filter(({ w, h }) => w === 4 && h === 1);
      expect(dashes.length).toBeGreaterThan(50);
      for (const { y } of dashes) expect([y >= 56, y <= 180]).toEqual([true, true]);
    }
  });

  test.each([
    [1000, "03:00:30"],
    [10_000, "03:06"],
    [60_000, "03:30"],
    [3_600_000, "01-03"],
    [86_400_000, "01-17"],
  ])("has round times for values of %d ms each", (step, time) => {
    const texts = textsOf(svgOf(ratesOf(hour, { step }), calm));
    expect(texts).toContain(time);
    expect(texts).toContain("2026-01-02 UTC");
  });

  test.each([
    [[0.002], "0.002"],
    [[7], "8"],
    [[319], "400"],
    [[12_345], "15K"],
    [[1.9e6], "2M"],
    [[Number.MAX_VALUE], "1000T"],
  ])("has round numbers for %j", (values, highest) => {
    expect(textsOf(svgOf(ratesOf(values), calm))).toContain(highest);
  });

  test("takes numbers that are none", () => {
    const odd = [NaN, Infinity, -Infinity, -5, 1e308, 5];
    for (const values of [odd, odd.slice(0, 4), [-0]]) {
      for (
        const rates of [
          ratesOf(values),
          ratesOf(values, { from: 0, step: 0 }),
          ratesOf(values, { from: 8.64e15, step: 1e300 }),
        ]
      ) {
        expect(svgOf(rates, { startsAt: NaN, endsAt: -Infinity, threshold: Infinity }))
          .not.toMatch(/NaN|Infinity|undefined/);
        readPng(pngOf(rates, { startsAt: -Infinity, endsAt: Infinity, threshold: NaN }));
      }
    }
  });

  test("is at most 40 KB in both forms, whatever it shows", () => {
    const random = randomFrom(1);
    for (const length of [0, 1, 2, 263, 264, 300, 3600]) {
      const values = Array.from({ length }, () => random() * 10 ** random.int(0, 9));
      const rates = ratesOf(values, { of: "&".repeat(500) });
      expect(svgOf(rates, { ...span, threshold: 5 }).length).toBeLessThan(40_000);
      expect(pngOf(rates, { ...span, threshold: 5 }).length).toBeLessThan(40_000);
    }
  });
});

describe("the title of a picture", () => {
  const titles = [
    ...hostileNames,
    `"/><script>alert(1)</script>`,
    "]]><!-- &lt; &#60;",
    "\ufffe\0",
  ];

  test.each(titles)("is text, whatever it is: %j", (of) => {
    const elements = readSvg(svgOf(ratesOf(hour, { of }), span));
    expect([...new Set(elements.map(({ name }) => name))].sort()).toEqual([
      "rect",
      "text",
      "title",
    ]);
    for (const { text } of elements) {
      expect(text).not.toMatch(rawControl);
      expect([text.isWellFormed(), /[\ufffe\uffff]/.test(text)]).toEqual([true, false]);
    }
    readPng(pngOf(ratesOf(hour, { of }), span));
  });

  test("ends with … where it is too long, and stays beside the peak", () => {
    const svg = svgOf(ratesOf(hour, { of: "W".repeat(100_000) }), span);
    const title = textsOf(svg)[0]!;
    expect(title).toMatch(/^W{20,60}…$/);
    expect(widthOf(title, 10)).toBeLessThanOrEqual(400);
    const { at } = readPng(pngOf(ratesOf(hour, { of: "W".repeat(100_000) }), span));
    for (let x = 840; x < 860; x++) {
      for (let y = 20; y < 60; y++) expect(at(x, y)).toBe(ground!);
    }
  });

  test("is told to who can't see the picture", () => {
    const [title] = readSvg(svgOf(ratesOf(hour), span));
    expect([title!.name, title!.text])
      .toEqual(["title", "SOCKET_FILTER: drops a second over time, at most 244"]);
  });
});

describe("the PNG", () => {
  test("shows what the SVG shows: every pixel of the plot has the colour of its rectangle", () => {
    const random = randomFrom(7);
    for (let round = 0; round < 5; round++) {
      const values = Array.from({ length: random.int(1, 400) }, () => random() * 1000);
      const spans = { ...span, endsAt: random.pick([null, from + 700_000]), threshold: 500 };
      const rects = rectsOf(svgOf(ratesOf(values), spans));
      const { width, height, at } = readPng(pngOf(ratesOf(values), spans));
      expect([width, height]).toEqual([1200, 440]);
      for (let i = 0; i < 2000; i++) {
        const [x, y] = [random.int(2 * 60, 2 * 583), random.int(2 * 50, 2 * 182)];
        const [px, py] = [x / 2 + 0.25, y / 2 + 0.25];
        // Half a pixel of rounding is left out: grid lines and the threshold lie anywhere.
        const near = rects.findLast((r) =>
          px > r.x - 0.5 && px < r.x + r.w + 0.5 && py > r.y - 0.5 && py < r.y + r.h + 0.5
        )!;
        const on = rects.findLast((r) => px > r.x && px < r.x + r.w && py > r.y && py < r.y + r.h)!;
        if (on === near) expect([x, y, at(x, y)]).toEqual([x, y, on.fill]);
      }
      expect(at(0, 0)).toBe(frame!);
    }
  });

  test("has its texts: what is written is dark, and nothing reaches over the edge", () => {
    const { width, height, at } = readPng(pngOf(ratesOf(hour), span));
    let dark = 0;
    for (let x = 30; x < 300; x++) {
      for (let y = 30; y < 56; y++) dark += Number(at(x, y) < "#888888");
    }
    expect(dark).toBeGreaterThan(500);
    for (let x = 0; x < width; x++) expect([at(x, 0), at(x, height - 1)]).toEqual([frame!, frame!]);
    for (let y = 0; y < height; y++) expect([at(0, y), at(width - 1, y)]).toEqual([frame!, frame!]);
  });
});

describe("the letters of a picture", () => {
  const ascii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));

  test("are there for all of ASCII, each another", () => {
    const shapes = ascii.map((char) => JSON.stringify(strokesOf(char, 6)));
    // O and 0 are one in many a font.
    expect(new Set(shapes).size).toBe(94);
    const box = JSON.stringify(strokesOf("\u4e16", 6));
    expect(shapes).not.toContain(box);
  });

  test("stand on the line: from a capital's height to two units below", () => {
    for (const char of ascii) {
      for (const [x, y] of strokesOf(char, 6).flat()) {
        expect([char, x >= 0 && x <= widthOf(char, 6)]).toEqual([char, true]);
        expect([char, y >= -6 && y <= 2]).toEqual([char, true]);
      }
    }
  });

  test("stand one after the other", () => {
    expect(widthOf("", 6)).toBe(0);
    expect(widthOf("ab", 6)).toBe(widthOf("a", 6) + 2 + widthOf("b", 6));
    expect(widthOf("\u{1f600}", 6)).toBe(3);
  });
});

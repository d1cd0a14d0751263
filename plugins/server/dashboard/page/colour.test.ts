import { describe, expect, test } from "bun:test";
import { makeColours, mix, palette, restColour } from "./colour.ts";

describe("colours", () => {
  const names = ["NO_SOCKET", "SOCKET_RCVBUFF", "NETFILTER_DROP", "OTHERHOST", "TCP_CSUM", "XDP"];

  test("are others for names that are shown together", () => {
    const many = Array.from({ length: palette.length }, (_, i) => `name ${i}`);
    expect(new Set(makeColours().of(many)).size).toBe(palette.length);
  });

  test("stay with a name, whatever others come and in whatever order", () => {
    const colours = makeColours();
    const before = colours.of(names);
    colours.of(["other", ...names.slice(2), "more"]);
    expect(colours.of([...names].reverse())).toEqual([...before].reverse());
  });

  test("change for a name that is shown beside another one of its colour, once and for all", () => {
    const colours = makeColours(2);
    const [a] = colours.of(["a"]);
    const rival = ["b", "c", "d", "e"].find((name) => makeColours(2).of([name])[0] === a)!;
    expect(colours.of([rival])).toEqual([a!]);
    expect(colours.of(["a", rival])).toEqual([a!, 1 - a!]);
    expect(colours.of([rival])).toEqual([1 - a!]);
    expect(colours.of(["a"])).toEqual([a!]);
  });

  test("know a bounded number of names, and more series than colours repeat", () => {
    const colours = makeColours();
    for (let i = 0; i < 5000; i++) colours.of([`name ${i}`]);
    const all = colours.of(Array.from({ length: 25 }, (_, i) => `late ${i}`));
    expect(all.every((place) => place >= 0 && place < palette.length)).toBe(true);
  });
});

describe("the palette", () => {
  const channel = (colour: string): number[] =>
    [1, 3, 5].map((at) => {
      const value = parseInt(colour.slice(at, at + 2), 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
  const luminance = (colour: string): number => {
    const [r, g, b] = channel(colour) as [number, number, number];
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a: string, b: string): number => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
    return (high + 0.05) / (low + 0.05);
  };
  /** Linear light as somebody sees it who has no red or no green cones (Viénot, Brettel, Mollon 1999). */
  const seen = (colour: string, kind: "all" | "protan" | "deutan"): [number, number, number] => {
    const [r, g, b] = channel(colour) as [number, number, number];
    if (kind === "all") return [r, g, b];
    const [x, y] = kind === "protan" ? [0.11238, 0.00401] : [0.29275, -0.02234];
    const mixed = x * r + (1 - x) * g;
    return [mixed, mixed, b + y * (r - g)];
  };
  /** In Oklab, where equal distances look alike. */
  const oklab = ([r, g, b]: [number, number, number]): number[] => {
    const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    return [
      0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
      1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
      0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
    ];
  };
  const distance = (a: number[], b: number[]): number =>
    Math.hypot(...a.map((value, i) => value - b[i]!));

  test("can be told from the ground, light and dark", () => {
    for (const [light, dark] of [...palette, restColour]) {
      expect(contrast(light, "#ffffff")).toBeGreaterThan(1.6);
      expect(contrast(dark, "#171c1f")).toBeGreaterThan(3);
    }
  });

  test("is told apart, the rest's colour too, also by people who can't tell red from green", () => {
    for (const theme of [0, 1] as const) {
      for (const kind of ["all", "protan", "deutan"] as const) {
        const all = [...palette, restColour].map((pair) => pair[theme]);
        const places = all.map((colour) => oklab(seen(colour, kind)));
        for (const [i, a] of places.entries()) {
          for (const [j, b] of places.entries()) {
            const pair = `${all[i]} ${all[j]} ${kind}`;
            if (i < j) expect([pair, distance(a, b) > 0.08]).toEqual([pair, true]);
          }
        }
      }
    }
  });

  test("is mixed between two colours", () => {
    expect(mix("#000000", "#ffffff", 0.5)).toBe("#808080");
    expect(mix("#102030", "#ffffff", 0)).toBe("#102030");
  });
});

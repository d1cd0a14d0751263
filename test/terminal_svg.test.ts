// The picture of a terminal: what stands on the screen stands in it, in its colours, and nothing of it
// is markup. Drawn by a browser in scripts/pictures.ts.
import { describe, expect, test } from "bun:test";
import { terminalSvg } from "../scripts/terminal_svg.ts";

const size = { columns: 20, rows: 3 };
const draw = (...lines: readonly string[]): string =>
  terminalSvg([{ lines, seconds: 1 }], size, "a title");
const texts = (svg: string): string[] =>
  [...svg.matchAll(/<text x="([\d.]+)"[^>]*?space="preserve"([^>]*)>([^<]*)</g)]
    .map(([, x, style, text]) => `${x}${style}: ${text}`);

describe("a picture of a terminal", () => {
  test("has each run of text at its column, in its colours", () => {
    const svg = draw(
      "ab\x1b[1;31mcd\x1b[0m e",
      "\x1b[38;5;196mx\x1b[38;2;1;2;3my\x1b[39mz\x1b[2m!",
    );
    expect(texts(svg)).toEqual([
      "0: ab",
      `16.8 font-weight="bold" fill="#e0626c": cd`,
      "33.6:  e",
      `0 fill="#ff0000": x`,
      `8.4 fill="#010203": y`,
      "16.8: z",
      `25.2 opacity=".6": !`,
    ]);
  });

  test("turns colours round where the terminal does, also where they are its own", () => {
    const svg = draw("\x1b[7mab\x1b[27;44m  ");
    expect(texts(svg)).toEqual([`0 fill="#11151c": ab`]);
    expect(svg).toContain(`<rect x="0" width="16.8" height="18" fill="#d6dbe3"/>`);
    expect(svg).toContain(`<rect x="16.8" width="16.8" height="18" fill="#61afef"/>`);
  });

  test("draws bars, so that there are no gaps between them in any font", () => {
    const svg = draw("a ▄▄█ \x1b[31m▁");
    expect(texts(svg)).toEqual(["0: a     "]);
    expect(svg).toContain(`<rect x="16.8" y="10" width="16.8" height="8"/>`);
    expect(svg).toContain(`<rect x="33.6" y="2" width="8.4" height="16"/>`);
    expect(svg).toContain(`<rect x="50.4" y="16" width="8.4" height="2" fill="#e0626c"/>`);
  });

  test("goes on with a style over the end of a line", () => {
    expect(texts(draw("\x1b[32ma", "b\x1b[m", "c")))
      .toEqual([`0 fill="#98c379": a`, `0 fill="#98c379": b`, "0: c"]);
  });

  test("takes names for text, whatever they are", () => {
    const svg = draw(`<script>"&`);
    expect(texts(svg)).toEqual(["0: &#60;script&#62;&#34;&#38;"]);
    expect(terminalSvg([{ lines: [], seconds: 1 }], size, `</title>"`)).not.toContain(`</title>"`);
  });

  test("draws a line that is on many screens once, and cuts what is below the last row", () => {
    const screen = (second: string) => ({ lines: ["same", second, "", "below"], seconds: 0.5 });
    const svg = terminalSvg([screen("one"), screen("two"), screen("one")], size, "t");
    expect(texts(svg).map((text) => text.slice(3))).toEqual(["same", "one", "two"]);
    expect(svg.match(/<use /g)?.length).toBe(6);
    expect(svg).toContain("66.67%");
    expect(svg).toContain("1.50s");
    expect(svg).toContain("@media (prefers-reduced-motion:reduce){#f{animation:none}}</style>");
    expect(draw("still")).not.toContain("@keyframes");
  });
});

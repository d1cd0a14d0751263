// Screens of a terminal as a picture: SVG that moves by CSS alone, where there are several.

/** A screen of the terminal: its lines with their colours, as `tmux capture-pane -e` prints them. */
export interface Screen {
  readonly lines: readonly string[];
  /** How long it is shown. */
  readonly seconds: number;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

interface Style {
  readonly colour: string | undefined;
  readonly background: string | undefined;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly underline: boolean;
  readonly inverse: boolean;
}

/** Text in one style, from a column on. */
interface Run {
  readonly column: number;
  readonly text: string;
  readonly style: Style;
}

const plain: Style = {
  colour: undefined,
  background: undefined,
  bold: false,
  dim: false,
  underline: false,
  inverse: false,
};

const paper = "#11151c";
const ink = "#d6dbe3";
// deno-fmt-ignore
const named: readonly string[] = [
  "#3b4252", "#e0626c", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#c8ccd4",
  "#7f8896", "#ff7b85", "#b5e08f", "#ffd68a", "#82c4ff", "#dd9bf0", "#7fd5df", "#ffffff",
];

/** A colour of the 256. */
function indexed(index: number): string | undefined {
  if (index < 16) return named[index];
  if (index >= 232) return grey(8 + 10 * (index - 232));
  const level = (value: number): number => value === 0 ? 0 : 55 + 40 * value;
  const at = index - 16;
  return rgb(level(Math.floor(at / 36)), level(Math.floor(at / 6) % 6), level(at % 6));
}

const rgb = (...parts: readonly number[]): string =>
  `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
const grey = (level: number): string => rgb(level, level, level);

/** The style after the numbers of `ESC [ … m`. */
function styled(before: Style, numbers: readonly number[]): Style {
  let style = before;
  for (let i = 0; i < numbers.length; i++) {
    const n = numbers[i]!;
    if (n === 0) style = plain;
    else if (n === 1) style = { ...style, bold: true };
    else if (n === 2) style = { ...style, dim: true };
    else if (n === 4) style = { ...style, underline: true };
    else if (n === 7) style = { ...style, inverse: true };
    else if (n === 22) style = { ...style, bold: false, dim: false };
    else if (n === 24) style = { ...style, underline: false };
    else if (n === 27) style = { ...style, inverse: false };
    else if (n >= 30 && n <= 37) style = { ...style, colour: named[n - 30] };
    else if (n === 39) style = { ...style, colour: undefined };
    else if (n >= 40 && n <= 47) style = { ...style, background: named[n - 40] };
    else if (n === 49) style = { ...style, background: undefined };
    else if (n >= 90 && n <= 97) style = { ...style, colour: named[n - 82] };
    else if (n >= 100 && n <= 107) style = { ...style, background: named[n - 92] };
    else if (n === 38 || n === 48) {
      const direct = numbers[i + 1] === 2;
      const colour = direct ? rgb(...numbers.slice(i + 2, i + 5)) : indexed(numbers[i + 2] ?? 0);
      style = n === 38 ? { ...style, colour } : { ...style, background: colour };
      i += direct ? 4 : 2;
    }
  }
  return style;
}

/** The runs of each line. A style goes on until it is changed, over the end of a line too. */
function readScreen(lines: readonly string[]): Run[][] {
  let style = plain;
  return lines.map((line) => {
    const runs: Run[] = [];
    let column = 0;
    // deno-lint-ignore no-control-regex
    for (const [, codes, text] of line.matchAll(/\x1b\[([\d;]*)m|([^\x1b]+)|\x1b\S*/g)) {
      if (codes !== undefined) style = styled(style, codes.split(";").map(Number));
      if (text === undefined) continue;
      runs.push({ column, text, style });
      column += [...text].length;
    }
    return runs;
  });
}

/** One character: its width and a line's height, in pixels. */
const [width, height, size, margin] = [8.4, 18, 14, 12];

/** The height of a whole bar: those of two lines don't touch. */
const tallest = 16;

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
const pixels = (value: number): string => String(Math.round(value * 10) / 10);

/** A line of a screen, at the top left. */
function drawLine(runs: readonly Run[]): string {
  return runs.flatMap(({ column, text, style }) => {
    const { inverse, bold, dim, underline } = style;
    const colour = (inverse ? style.background ?? paper : style.colour) ?? ink;
    const background = inverse ? style.colour ?? ink : style.background;
    const [x, length] = [pixels(column * width), pixels([...text].length * width)];
    const drawn: string[] = [];
    if (background !== undefined) {
      drawn.push(`<rect x="${x}" width="${length}" height="${height}" fill="${background}"/>`);
    }
    const letters = text.replace(/[▁-█]/g, " ");
    if (letters.trim() !== "") {
      const more = `${bold ? ` font-weight="bold"` : ""}${dim ? ` opacity=".6"` : ""}${
        underline ? ` text-decoration="underline"` : ""
      }${colour === ink ? "" : ` fill="${colour}"`}`;
      // With a length of its own, a line is as long in every font.
      drawn.push(
        `<text x="${x}" y="${size - 1}" textLength="${length}" xml:space="preserve"${more}>${
          escaped(letters)
        }</text>`,
      );
    }
    // Bars are drawn: as letters they would have gaps between them, in each font others.
    for (const { 0: bars, index } of text.matchAll(/([▁-█])\1*/g)) {
      const high = tallest * (bars.charCodeAt(0) - 0x2580) / 8;
      const at = column + [...text.slice(0, index)].length;
      drawn.push(
        `<rect x="${pixels(at * width)}" y="${pixels(height - high)}" width="${
          pixels(bars.length * width)
        }" height="${pixels(high)}"${dim ? ` opacity=".6"` : ""}${
          colour === ink ? "" : ` fill="${colour}"`
        }/>`,
      );
    }
    return drawn;
  }).join("");
}

/**
 * Draws screens one after the other, for ever; one alone stands still, and the first one does for those
 * who want no motion. A character is taken to be one column wide.
 *
 * @param title what it shows, for those who can't see it
 */
export function terminalSvg(
  screens: readonly Screen[],
  { columns, rows }: TerminalSize,
  title: string,
): string {
  // A line that is on many screens is drawn once.
  const known = new Map<string, string>();
  const frames = screens.map(({ lines }) =>
    readScreen(lines.slice(0, rows)).map((runs, row) => {
      const drawn = drawLine(runs);
      if (drawn === "") return "";
      const id = known.get(drawn) ?? `l${known.size}`;
      known.set(drawn, id);
      return `<use href="#${id}" y="${row * height}"/>`;
    }).join("")
  );
  const [wide, high] = [columns * width + 2 * margin, rows * height + 2 * margin];
  const total = screens.reduce((sum, { seconds }) => sum + seconds, 0);
  let at = 0;
  const steps = screens.map(({ seconds }, i) => {
    const step = `${(100 * at / total).toFixed(2)}%{transform:translateX(-${pixels(i * wide)}px)}`;
    at += seconds;
    return step;
  });
  const film = frames.map((frame, i) =>
    `<g transform="translate(${pixels(i * wide)})">${frame}</g>`
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${pixels(wide)}" height="${
      pixels(high)
    }" viewBox="0 0 ${pixels(wide)} ${pixels(high)}" role="img" aria-label="${escaped(title)}">`,
    `<title>${escaped(title)}</title>`,
    screens.length > 1
      ? `<style>@keyframes f{${steps.join("")}}#f{animation:f ${
        total.toFixed(2)
      }s steps(1,end) infinite}@media (prefers-reduced-motion:reduce){#f{animation:none}}</style>`
      : "",
    `<defs>${[...known].map(([drawn, id]) => `<g id="${id}">${drawn}</g>`).join("\n")}</defs>`,
    `<rect width="100%" height="100%" rx="8" fill="${paper}"/>`,
    `<svg x="${margin}" y="${margin}" width="${pixels(columns * width)}" height="${
      rows * height
    }"><g id="f" fill="${ink}" font-size="${size}" font-family="ui-monospace,SFMono-Regular,Menlo,` +
    `DejaVu Sans Mono,Consolas,monospace">${film.join("\n")}</g></svg>`,
    "</svg>",
    "",
  ].filter((line) => line !== "").join("\n") + "\n";
}

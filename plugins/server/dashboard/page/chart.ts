// The stacked chart. uPlot draws; what is stacked, and in which colours, comes from elsewhere.
import uPlot from "uplot";
import { setAttributes } from "./element.ts";
import { seriesAt } from "./stacking.ts";
import type { Picture } from "./stacking.ts";
import type { Series } from "./board.ts";
import { mix } from "./colour.ts";
import { short } from "./words.ts";

/** As many series as a chart has, with the rest. */
export const mostSeries = 10;

export interface ChartEvents {
  /** The step under the pointer; null where it is elsewhere. */
  hover(step: number | null): void;
  /** A series was clicked on. */
  pick(series: Series): void;
  /** A part of the time was chosen; milliseconds since 1970. */
  zoom(from: number, to: number): void;
}

export interface Chart {
  /** `colours` are those of the picture's series, `from` and `to` its time in milliseconds since 1970. */
  draw(picture: Picture, colours: readonly string[], from: number, to: number): void;
  /** Lets one series stand out; undefined for none. */
  focus(key: string | undefined): void;
}

interface Theme {
  readonly text: string;
  readonly line: string;
  readonly ground: string;
}

export function makeChart(root: HTMLElement, events: ChartEvents): Chart {
  let picture: Picture | undefined;
  let colours: readonly string[] = [];
  let [from, to] = [0, 1];
  let focused: string | undefined;
  let theme: Theme = themeOf(root);
  let step: number | null = null;
  let plot: uPlot | undefined;

  /** The picture's series that a slot of the plot shows: the top of the stack is drawn first. */
  const seriesOf = (slot: number): number => (picture?.series.length ?? 0) - slot;
  const colourOf = (slot: number): string => {
    const at = seriesOf(slot);
    const own = colours[at] ?? theme.line;
    // A row that went away under the pointer doesn't say that it is left.
    const isFocused = picture?.series.some(({ key }) => key === focused) ?? false;
    const isFaded = isFocused && picture?.series[at]?.key !== focused;
    return isFaded ? mix(own, theme.ground, 0.75) : own;
  };

  const options = (): uPlot.Options => ({
    width: Math.max(200, root.clientWidth),
    height: heightOf(root),
    legend: { show: false },
    padding: [10, 24, 0, 0],
    cursor: {
      y: false,
      points: { show: false },
      drag: { x: true, y: false, setScale: false, dist: 5 },
      bind: { dblclick: () => null },
    },
    scales: {
      x: { time: true, range: () => [from / 1000, to / 1000] },
      y: { range: (_, _min, max) => [0, max === null || max <= 0 ? 1 : max * 1.08] },
    },
    axes: [
      {
        stroke: () => theme.text,
        grid: { show: false },
        ticks: { stroke: () => theme.line, size: 4 },
        font: "12px system-ui, sans-serif",
        space: 52,
        size: 34,
        // The day and the hour each on a line of its own, and no AM.
        values: (_, at, _axis, _space, increment) =>
          at.map((seconds) => axisTime(seconds, increment)),
      },
      {
        stroke: () => theme.text,
        grid: { stroke: () => theme.line, width: 1 },
        ticks: { show: false },
        font: "12px system-ui, sans-serif",
        size: 54,
        values: (_, at) => at.map(short),
      },
    ],
    series: [
      {},
      ...Array.from({ length: mostSeries }, (_, i): uPlot.Series => ({
        fill: () => colourOf(i + 1),
        width: 0,
        paths: uPlot.paths.stepped!({ align: 1 }),
        points: { show: false },
      })),
    ],
    hooks: {
      drawAxes: [(u) => hatch(u, picture, theme)],
      setCursor: [(u) => {
        const { left = -1 } = u.cursor;
        step = left < 0 || picture === undefined ? null : stepAt(u, left);
        events.hover(step);
      }],
      setSelect: [(u) => {
        const { left, width } = u.select;
        if (width < 5) return;
        const [begin, end] = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        if (end - begin >= 2) events.zoom(Math.floor(begin) * 1000, Math.ceil(end) * 1000);
      }],
    },
  });

  const make = (): void => {
    plot = new uPlot(options(), dataOf(picture, to), root);
    // What the canvas shows is told by the legend's table.
    setAttributes(plot.root, { "aria-hidden": "true" });
    let pressed = 0;
    plot.over.addEventListener("pointerdown", ({ clientX, pointerType }) => {
      // A finger that taps wants to see a moment; the legend is what it filters by.
      pressed = pointerType === "mouse" ? clientX : NaN;
    });
    plot.over.addEventListener("click", ({ clientX }) => {
      const { left = -1, top = -1 } = plot!.cursor;
      if (picture === undefined || left < 0 || !(Math.abs(clientX - pressed) <= 4)) return;
      const found = seriesAt(picture, stepAt(plot!, left), plot!.posToVal(top, "y"));
      if (found !== undefined) events.pick(found);
    });
  };
  /** The step that a place lies in; uPlot's is the one that begins nearest. */
  const stepAt = (plot: uPlot, left: number): number => {
    const at = plot.posToVal(left, "x");
    const times = picture!.times;
    const length = (times[1] ?? times[0]! + 1) - times[0]!;
    return Math.max(0, Math.min(times.length - 1, Math.floor((at - times[0]!) / length)));
  };
  const redraw = (): void => {
    theme = themeOf(root);
    plot?.setData(dataOf(picture, to));
  };

  new ResizeObserver(() => {
    if (plot === undefined || root.clientWidth === 0) return;
    const size = { width: root.clientWidth, height: heightOf(root) };
    if (size.width !== plot.width || size.height !== plot.height) plot.setSize(size);
  }).observe(root);

  root.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move === undefined || plot === undefined || picture === undefined) return;
    event.preventDefault();
    const most = picture.times.length - 1;
    const next = Math.max(0, Math.min(most, (step ?? most + 1) + move));
    // A pixel into the step, which a rounded place at its very begin may miss.
    const left = plot.valToPos(picture.times[next]!, "x") + 1;
    plot.setCursor({ left: Math.max(0, left), top: 0 });
  });
  root.addEventListener("blur", () => plot?.setCursor({ left: -10, top: -10 }));

  return {
    draw(next, nextColours, begin, end) {
      picture = next;
      colours = nextColours;
      [from, to] = [begin, end];
      if (plot === undefined) make();
      else redraw();
    },
    focus(key) {
      if (key === focused) return;
      focused = key;
      if (picture !== undefined) redraw();
    },
  };
}

/** The style sheet says how high it is. */
const heightOf = (root: HTMLElement): number => Math.max(100, root.clientHeight);

/** Times, and the stack from its top down; a last moment, so that the last step has a width. */
function dataOf(picture: Picture | undefined, to: number): uPlot.AlignedData {
  const times = [...picture?.times ?? [], to / 1000];
  const tops = [...picture?.tops ?? []].reverse().map((each) => [...each, each.at(-1) ?? null]);
  while (tops.length < mostSeries) tops.push(times.map(() => null));
  return [times, ...tops];
}

function themeOf(root: HTMLElement): Theme {
  const { color, borderTopColor, backgroundColor } = getComputedStyle(root);
  return { text: color, line: borderTopColor, ground: hexOf(backgroundColor) };
}

/** `rgb(1, 2, 3)` as #010203. */
function hexOf(colour: string): string {
  const parts = colour.match(/\d+/g)?.slice(0, 3) ?? ["128", "128", "128"];
  return `#${parts.map((part) => Number(part).toString(16).padStart(2, "0")).join("")}`;
}

const two = (n: number): string => String(n).padStart(2, "0");

function axisTime(seconds: number, increment: number): string {
  const date = new Date(seconds * 1000);
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (increment < 60) return `${time}:${two(date.getSeconds())}`;
  const isMidnight = date.getHours() === 0 && date.getMinutes() === 0;
  if (increment < 86_400 && !isMidnight) return time;
  return date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
}

/** Times in which nobody counted are hatched: they are no zeros. */
function hatch(plot: uPlot, picture: Picture | undefined, { text }: Theme): void {
  if (picture === undefined || picture.gaps.length === 0) return;
  const { ctx, bbox: { left, top, width, height } } = plot;
  const length = (picture.times[1] ?? 0) - picture.times[0]!;
  const gap = 8 * devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = text;
  ctx.globalAlpha = 0.45;
  ctx.lineWidth = devicePixelRatio;
  for (const [first, last] of picture.gaps) {
    const begin = Math.max(left, plot.valToPos(picture.times[first]!, "x", true));
    const end = Math.min(left + width, plot.valToPos(picture.times[last]! + length, "x", true));
    if (end - begin < 1) continue;
    ctx.save();
    ctx.beginPath();
    ctx.rect(begin, top, end - begin, height);
    ctx.clip();
    ctx.beginPath();
    for (let x = begin - height; x < end; x += gap) {
      ctx.moveTo(x, top + height);
      ctx.lineTo(x + height, top);
    }
    ctx.stroke();
    ctx.restore();
  }
  ctx.restore();
}

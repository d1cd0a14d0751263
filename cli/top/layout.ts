// The whole screen as lines: from what was counted and chosen to text, for a terminal of any size.
import { showBytes, showNumber } from "../../core/number.ts";
import { showDuration } from "../../core/rule/duration.ts";
import type { Stacks, ViewAlert, ViewReason, ViewStatus } from "../../core/view/view.ts";
import { keyHelp, selectedRow, showFilters, showLabelOf } from "./choice.ts";
import type { Choice } from "./choice.ts";
import { cellsOf, headOf, layColumns, showCount, showRate } from "./column.ts";
import { allRates } from "./counted.ts";
import type { Counted } from "./counted.ts";
import { clean } from "./paint.ts";
import type { Line, Size, Span } from "./paint.ts";
import { alertName, alertPane, colourOf, reasonPane, stackPane } from "./pane.ts";
import type { PaneText } from "./pane.ts";
import type { Row } from "./row.ts";
import { spark } from "./spark.ts";
import type { BarStyle } from "./spark.ts";
import { cut, widthOf } from "./width.ts";

/** All that is on the screen. */
export interface Picture {
  /** Undefined until it is known. */
  readonly status: ViewStatus | undefined;
  readonly counted: Counted;
  readonly rows: readonly Row[];
  readonly choice: Choice;
  readonly alerts: readonly ViewAlert[];
  readonly stacks: Stacks | undefined;
  /** Texts of filters that the stacks are not of. */
  readonly without: readonly string[];
  /** The reason that the pane is about, and what is known of it. */
  readonly reasonName: string | undefined;
  readonly reason: ViewReason | undefined;
  /** What was said last; empty where that is long ago. */
  readonly message: string;
  /** Why nothing comes: it isn't connected. */
  readonly trouble: string;
  readonly bars: BarStyle;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** How many rows of the table a terminal of this size shows. */
export function pageOf(size: Size, choice: Choice, alerts: boolean): number {
  return roomOf(size, choice, alerts).table;
}

interface Room {
  readonly head: number;
  readonly alert: number;
  readonly table: number;
  /** With its title. */
  readonly pane: number;
}

/** Who gets how many lines; the table's own head and the last line are beside these. */
function roomOf({ rows }: Size, choice: Choice, alerts: boolean): Room {
  const head = rows >= 12 ? 3 : rows >= 8 ? 2 : 1;
  const alert = alerts && rows >= 6 ? 1 : 0;
  const body = Math.max(0, rows - head - alert - 2);
  if (choice.pane === "none") return { head, alert, table: body, pane: 0 };
  // Where there is no room for both, who asked for the pane gets the pane.
  const pane = body >= 8 ? Math.ceil(body / 2) : Math.max(0, body - 1);
  return { head, alert, table: body - pane, pane };
}

/** The lines from top to bottom, exactly as many as there are rows. */
export function layOut(picture: Picture, size: Size): Line[] {
  const firing = picture.alerts.filter(({ state }) => state === "firing");
  const room = roomOf(size, picture.choice, firing.length > 0);
  const head = headLines(picture, size.columns, room.head);
  const lines: Line[] = picture.choice.help
    ? [...head, ...helpLines(picture.choice, size, size.rows - head.length - 1)]
    : [
      ...head,
      ...(room.alert === 0 ? [] : [alertLine(firing, size.columns, picture.bars === "utf8")]),
      ...tableLines(picture, size.columns, room.table),
      ...paneLines(picture, size.columns, room.pane),
    ];
  const last = Math.max(0, size.rows - 1);
  const body = Array.from({ length: last }, (_, i) => lines[i] ?? []);
  return [...body, lastLine(picture, size.columns)].slice(0, size.rows);
}

/** The title comes last in rank: a small terminal shows only the numbers. */
function headLines(picture: Picture, columns: number, room: number): Line[] {
  const { status, counted, bars, choice, now } = picture;
  const { now: rate, average, values } = allRates(counted);
  const numbers = `${showRate(rate)}/s now  ${showRate(average)}/s 1m`;
  const paused: Span[] = choice.paused ? [["PAUSED", "reverse"], " "] : [];
  const left = columns - widthOf(numbers) - (choice.paused ? 15 : 8);
  const drops: Line = [
    ...paused,
    "drops ",
    [numbers, "bold"],
    left < 10 ? "" : `  ${spark(values, Math.min(60, left), bars)}`,
  ];
  const who = status === undefined ? "…" : `${status.host}  ${status.source.title}`;
  const clock = `${new Date(now).toISOString().slice(11, 19)}Z`;
  const title: Line = [["dropwatch top", "bold"], `  ${who}  ${clock}`];
  const lines = [drops, sureLine(picture)].slice(0, room);
  return room >= 3 ? [title, ...lines] : lines;
}

/** Whether the numbers are exact, and what it costs. */
function sureLine({ counted, trouble, alerts }: Picture): Line {
  const { sums, gapSeconds, gap, cost } = counted;
  const missing = sums.other + sums.lost;
  const sure: Span = trouble !== ""
    ? [`NOT CONNECTED: ${trouble}`, "red"]
    : gap !== null
    ? [`NOT COUNTING: ${gap}`, "red"]
    : missing > 0
    ? [`at least: ${showCount(sums.other)} other, ${showCount(sums.lost)} lost`, "yellow"]
    : gapSeconds > 0
    ? ["exact but for the gap", "yellow"]
    : ["exact", "green"];
  const gaps = gapSeconds > 0 ? `  nobody counted for ${showDuration(gapSeconds * 1000)}` : "";
  const firing = alerts.filter(({ state }) => state === "firing").length;
  return [
    sure,
    `${gaps}  total ${showCount(sums.seen)} in ${showDuration(counted.seconds * 1000)}`,
    firing > 0 ? `  ${firing} firing` : "",
    `  own cpu ${(cost.cpu * 100).toFixed(1)}%  memory ${showBytes(cost.memoryBytes)}`,
  ];
}

/** As many whole names as there is room for, and how many more there are; one at least, cut if need be. */
function alertLine(firing: readonly ViewAlert[], columns: number, utf8: boolean): Line {
  const number = `${firing.length} FIRING`;
  const more = (shown: number): string =>
    shown < firing.length ? `  +${firing.length - shown} more` : "";
  const shown: Span[] = [];
  let used = widthOf(number);
  for (const alert of firing) {
    const name = clean(alertName(alert), utf8);
    const count = shown.length + 1;
    const room = columns - used - 2 - widthOf(more(count));
    if (count > 1 && widthOf(name) > room) break;
    const whole = cut(name, Math.max(1, room), utf8 ? "…" : "~");
    used += 2 + widthOf(whole);
    shown.push([whole, colourOf(alert)]);
  }
  return [
    [number, "red"],
    ...shown.flatMap((name): Span[] => ["  ", name]),
    [more(shown.length), "dim"],
  ];
}

function tableLines(picture: Picture, columns: number, room: number): Line[] {
  const { rows, choice, bars, counted } = picture;
  const utf8 = bars === "utf8";
  const selected = selectedRow(choice, rows);
  const at = selected === undefined ? 0 : rows.indexOf(selected);
  // The selected row stays in sight, in the middle where there are rows on both sides.
  const first = Math.max(0, Math.min(at - Math.floor(room / 2), rows.length - room));
  const inSight = rows.slice(first, first + room);
  const labels = inSight.map((row) => row.labels.map((label) => clean(showLabelOf(label), utf8)));
  const laid = layColumns(choice.by, labels, columns - 2);
  const head: Line = [["  " + headOf(laid, choice.sort, choice.reverse), "dim"]];
  if (rows.length === 0) {
    const why = choice.filters.length > 0
      ? "no drop fits the filter (Esc takes it off)"
      : counted.second === -1
      ? "waiting for the first tick"
      : "no drops so far";
    return [head, ...(room > 0 ? [[`  ${why}`]] : [])];
  }
  return [
    head,
    ...inSight.map((row, i): Line => {
      const cells = cellsOf(laid, row, labels[i]!, bars);
      if (row !== selected) {
        const still = row.rate === 0;
        return still
          ? ["  ", ...cells.map((cell): Span => [String(cell), "dim"])]
          : ["  ", ...cells];
      }
      return ["> ", ...cells].map((cell): Span => [String(cell), "reverse"]);
    }),
    ...Array.from({ length: Math.max(0, room - inSight.length) }, () => []),
  ];
}

/** What the pane is about, and its lines. */
function paneOf(picture: Picture, columns: number): PaneText {
  const { choice, rows, alerts, stacks, without, reasonName, reason } = picture;
  if (choice.pane === "alerts") return alertPane(alerts, columns);
  if (choice.pane === "reason") return reasonPane(reasonName, reason, columns);
  const row = selectedRow(choice, rows);
  if (row === undefined) return stackPane(undefined, stacks);
  const name = row.labels.map(showLabelOf).join(" ") || "all";
  return stackPane([name, ...without.map((text) => `without /${text}`)].join(" "), stacks);
}

function paneLines(picture: Picture, columns: number, room: number): Line[] {
  if (room <= 0) return [];
  const { title, lines } = paneOf(picture, columns);
  const shown = room - 1;
  const most = Math.max(0, lines.length - shown);
  const first = Math.min(picture.choice.scrolled, most);
  const more = most === 0 ? "" : `  ${first + 1}-${first + shown} of ${lines.length}, J K scroll`;
  const head: Line = [["── ", "dim"], [title, "cyan"], [more, "dim"]];
  return [head, ...lines.slice(first, first + shown)];
}

function helpLines(choice: Choice, { columns }: Size, room: number): Line[] {
  const width = Math.min(16, Math.floor(columns / 2));
  const lines = [
    ...keyHelp.map(([keys, does]): Line => [[keys.padEnd(width), "bold"], " ", does]),
    [],
    ["NOW/s: the last second. 1M/s: the last minute. SHARE: of the last minute."],
    ["A bar is a second; ? is one in which nobody counted. -: no such label."],
  ];
  const first = Math.min(choice.scrolled, Math.max(0, lines.length - room));
  return lines.slice(first, first + Math.max(0, room));
}

/** What is typed, or was said, or the keys. */
function lastLine({ choice, message, rows }: Picture, columns: number): Line {
  if (choice.typing !== null) return [["/", "bold"], choice.typing, ["_", "reverse"]];
  if (choice.help) return [["any key: back   J K: scroll   q: end", "dim"]];
  if (message !== "") return [["! ", "yellow"], message];
  if (choice.filters.length > 0) {
    const rate = rows.reduce((sum, row) => sum + row.rate, 0);
    return [
      ["only ", "dim"],
      [showFilters(choice.filters), "cyan"],
      `  ${showRate(rate)}/s  ${showNumber(rows.reduce((sum, row) => sum + row.total, 0))} in all`,
      ["  Esc: without", "dim"],
    ];
  }
  const keys = "1-9 g: group  s r: sort  /: filter  Enter: into  d: stacks  i: reason  ?: help";
  return [[cut(`q: end  ${keys}`, columns, ""), "dim"]];
}

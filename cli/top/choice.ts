// What whoever looks has chosen, and what each key does to it.
import type { FieldName } from "../../core/drop/field.ts";
import { printable } from "../../core/error.ts";
import type { Key } from "./key.ts";
import { filterOf, sortKeys } from "./row.ts";
import type { Filter, Row, SortKey } from "./row.ts";

/** What is shown below the table. */
export type Pane = "none" | "stack" | "alerts" | "reason";

export interface Choice {
  readonly by: readonly FieldName[];
  readonly sort: SortKey;
  readonly reverse: boolean;
  /** All of them must fit; the last one is taken off first. */
  readonly filters: readonly Filter[];
  /** The text of a filter that is being typed; null where none is. */
  readonly typing: string | null;
  readonly paused: boolean;
  readonly help: boolean;
  readonly pane: Pane;
  /** Lines of the pane, or of the help, that are above what is shown. */
  readonly scrolled: number;
  /** The row, by its key; null for the one on top, whichever that is. */
  readonly selected: string | null;
}

/** What there is to choose from. */
export interface Shown {
  /** The fields that drops are told apart by, in the order of the number keys. */
  readonly fields: readonly FieldName[];
  readonly rows: readonly Row[];
  /** How many rows fit on the screen. */
  readonly page: number;
}

/** What a key does beside changing the choice. */
export type Effect = "end" | "suspend" | "redraw";

/** Characters of a filter's text. */
const longestText = 100;

export function newChoice(more: Partial<Choice> = {}): Choice {
  return {
    by: ["reason"],
    sort: "rate",
    reverse: false,
    filters: [],
    typing: null,
    paused: false,
    help: false,
    pane: "none",
    scrolled: 0,
    selected: null,
    ...more,
  };
}

/** What the keys do, as the help tells it. */
export const keyHelp: readonly (readonly [keys: string, does: string])[] = [
  ["up down  k j", "select a row; Home, End, PageUp, PageDown too"],
  ["1 … 9", "group by a field more, or less"],
  ["g", "group by the next field alone, and then by all"],
  ["s  < >", "sort by the next column, or the one before"],
  ["r", "sort the other way round"],
  ["Enter", "into the row: only its drops, by one more field"],
  ["/", "only drops with a text in any of their labels"],
  ["Esc  Backspace", "take the last filter off"],
  ["space", "stand still, and go on"],
  ["d  Tab", "below the table: the row's kernel stacks, then alerts"],
  ["i", "what the row's reason means, and what to do"],
  ["J K  [ ]", "scroll what is below the table"],
  ["Ctrl-L", "draw everything again"],
  ["? h", "this help"],
  ["q  Ctrl-C", "end; Ctrl-Z: back to the shell, fg comes back"],
];

/** What a key makes of a choice. A key that means nothing changes nothing. */
export function press(
  choice: Choice,
  key: Key,
  shown: Shown,
): { readonly choice: Choice; readonly effect?: Effect } {
  if (key.name === "interrupt") return { choice, effect: "end" };
  if (key.name === "suspend") return { choice, effect: "suspend" };
  if (key.name === "redraw") return { choice, effect: "redraw" };
  if (choice.typing !== null) return { choice: type(choice, choice.typing, key) };
  const name = key.name === "text" ? key.text : key.name;
  if (name === "q") return { choice, effect: "end" };
  if (choice.help) return { choice: inHelp(choice, name) };
  return { choice: change(choice, name, shown) };
}

function type(choice: Choice, text: string, key: Key): Choice {
  switch (key.name) {
    case "text":
      return { ...choice, typing: [...text, key.text].slice(0, longestText).join("") };
    case "backspace":
      return { ...choice, typing: text === "" ? null : [...text].slice(0, -1).join("") };
    case "escape":
      return { ...choice, typing: null };
    case "enter":
      if (text === "") return { ...choice, typing: null };
      return filtered({ ...choice, typing: null }, { text });
    default:
      return choice;
  }
}

function inHelp(choice: Choice, name: string): Choice {
  switch (name) {
    case "down":
    case "j":
    case "J":
    case "]":
      return { ...choice, scrolled: choice.scrolled + 1 };
    case "up":
    case "k":
    case "K":
    case "[":
      return { ...choice, scrolled: Math.max(0, choice.scrolled - 1) };
    default:
      return { ...choice, help: false, scrolled: 0 };
  }
}

function change(choice: Choice, name: string, shown: Shown): Choice {
  if (/^[1-9]$/.test(name)) return toggled(choice, shown.fields[Number(name) - 1], shown.fields);
  switch (name) {
    case "up":
    case "k":
      return moved(choice, -1, shown);
    case "down":
    case "j":
      return moved(choice, 1, shown);
    case "pageup":
      return moved(choice, -Math.max(1, shown.page), shown);
    case "pagedown":
      return moved(choice, Math.max(1, shown.page), shown);
    case "home":
      return { ...choice, selected: null, scrolled: 0 };
    case "end":
      return moved(choice, shown.rows.length, shown);
    case "g":
      return grouped(choice, nextGroup(choice.by, shown.fields));
    case "s":
    case ">":
    case "right":
      return sorted(choice, 1);
    case "<":
    case "left":
      return sorted(choice, -1);
    case "r":
      return { ...choice, reverse: !choice.reverse };
    case "/":
      return { ...choice, typing: "" };
    case "enter":
      return into(choice, shown);
    case "escape":
    case "backspace":
      return unfiltered(choice);
    case " ":
      return { ...choice, paused: !choice.paused };
    case "d":
    case "tab":
      return { ...choice, pane: nextPane[choice.pane], scrolled: 0 };
    case "i":
      return { ...choice, pane: choice.pane === "reason" ? "none" : "reason", scrolled: 0 };
    case "J":
    case "]":
      return { ...choice, scrolled: choice.scrolled + 1 };
    case "K":
    case "[":
      return { ...choice, scrolled: Math.max(0, choice.scrolled - 1) };
    case "?":
    case "h":
      return { ...choice, help: true, scrolled: 0 };
    default:
      return choice;
  }
}

const nextPane: Readonly<Record<Pane, Pane>> = {
  none: "stack",
  stack: "alerts",
  alerts: "none",
  reason: "stack",
};

/** The row that is selected; undefined where there are none. */
export function selectedRow(choice: Choice, rows: readonly Row[]): Row | undefined {
  return rows.find(({ key }) => key === choice.selected) ?? rows[0];
}

function moved(choice: Choice, by: number, { rows }: Shown): Choice {
  const now = Math.max(0, rows.findIndex(({ key }) => key === choice.selected));
  const next = Math.min(rows.length - 1, Math.max(0, now + by));
  return { ...choice, selected: rows[next]?.key ?? null, scrolled: 0 };
}

function grouped(choice: Choice, by: readonly FieldName[]): Choice {
  return { ...choice, by, selected: null, scrolled: 0 };
}

/** In the order of the fields, so that the same choice always looks the same. */
function toggled(
  choice: Choice,
  field: FieldName | undefined,
  fields: readonly FieldName[],
): Choice {
  if (field === undefined) return choice;
  const by = fields.filter((each) => choice.by.includes(each) !== (each === field));
  return grouped(choice, by);
}

function nextGroup(by: readonly FieldName[], fields: readonly FieldName[]): readonly FieldName[] {
  if (by.length !== 1) return fields.slice(0, 1);
  const next = fields[fields.indexOf(by[0]!) + 1];
  return next === undefined ? fields : [next];
}

function sorted(choice: Choice, step: number): Choice {
  const at = sortKeys.indexOf(choice.sort);
  const sort = sortKeys[(at + step + sortKeys.length) % sortKeys.length]!;
  return { ...choice, sort };
}

function filtered(choice: Choice, filter: Filter): Choice {
  return { ...choice, filters: [...choice.filters, filter], selected: null, scrolled: 0 };
}

function unfiltered(choice: Choice): Choice {
  const last = choice.filters.at(-1);
  if (last === undefined) return choice;
  const before = "is" in last ? last.before : undefined;
  return {
    ...choice,
    filters: choice.filters.slice(0, -1),
    by: before ?? choice.by,
    selected: null,
    scrolled: 0,
  };
}

/** Only the drops of the row, told apart by one field more. */
function into(choice: Choice, { rows, fields }: Shown): Choice {
  const row = selectedRow(choice, rows);
  if (row === undefined) return choice;
  const pinned = new Set(
    choice.filters.flatMap((each) => "is" in each ? Object.keys(each.is) : []),
  );
  const own = Object.entries(filterOf(choice.by, row).is).filter(([field]) => !pinned.has(field));
  if (own.length === 0) return choice;
  const next = fields.find((field) => !choice.by.includes(field));
  const by = next === undefined
    ? choice.by
    : fields.filter((field) => choice.by.includes(field) || field === next);
  return { ...filtered(choice, { is: Object.fromEntries(own), before: choice.by }), by };
}

/** The filters, as the screen shows them. */
export function showFilters(filters: readonly Filter[]): string {
  return filters.map((filter) =>
    "text" in filter
      ? `/${printable(filter.text)}`
      : Object.entries(filter.is).map(([field, some]) =>
        `${field}=${some.map(showLabelOf).join("|")}`
      )
        .join(" ")
  ).join("  ");
}

/** A label as the table has it: drops that weren't told apart, and those that have none. */
export function showLabelOf(label: string | null | undefined): string {
  if (label === null || label === undefined) return "(not told apart)";
  return label === "" ? "-" : printable(label);
}

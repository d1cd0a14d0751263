// What somebody looks at, and its form as the query of the page's URL: a link shows a colleague the same.
import type { HistoryLabel } from "../../../../core/view/view.ts";

/** A time that ends now, and how it is divided in the chart. Milliseconds. */
export interface TimeWindow {
  readonly name: string;
  readonly length: number;
  readonly step: number;
}

const minute = 60_000;
const hour = 60 * minute;

/** The times that can be chosen. Beyond an hour the history has minutes only. */
export const timeWindows: readonly TimeWindow[] = [
  { name: "5m", length: 5 * minute, step: 1000 },
  { name: "15m", length: 15 * minute, step: 2000 },
  { name: "1h", length: hour, step: 5000 },
  { name: "6h", length: 6 * hour, step: minute },
  { name: "24h", length: 24 * hour, step: 3 * minute },
  { name: "7d", length: 7 * 24 * hour, step: 20 * minute },
];

/** Only drops with this label; null for those that weren't told apart. */
export interface Filter {
  readonly field: string;
  readonly label: HistoryLabel;
}

export interface Look {
  /** The field that the chart tells drops apart by. */
  readonly by: string;
  /** The name of one of {@linkcode timeWindows}. */
  readonly window: string;
  /** A part of the past, in milliseconds since 1970, in place of the window that ends now. */
  readonly zoom: { readonly from: number; readonly to: number } | null;
  /** Labels of one field are alternatives, fields add up. */
  readonly filters: readonly Filter[];
  /** The part of the page that is jumped to; empty for its head. */
  readonly section: string;
  /** The fingerprint of the alert that is open; empty where none is. */
  readonly alert: string;
}

export const sections: readonly string[] = [
  "drops",
  "alerts",
  "culprits",
  "flame",
  "rules",
  "silences",
  "outbox",
];

/** How it begins. */
export const firstLook: Look = {
  by: "reason",
  window: "5m",
  zoom: null,
  filters: [],
  section: "",
  alert: "",
};

const mostFilters = 20;
const longestLabel = 1000;
const fieldName = /^[a-zA-Z]\w{0,31}$/;
/** The latest moment that a Date can be. */
const latest = 8.64e15;

/** A URL's query as what it asks to look at; what makes no sense in it counts as not there. */
export function readLook(search: string): Look {
  const query = new URLSearchParams(search);
  const one = (name: string, fits: (text: string) => boolean, otherwise: string): string => {
    const text = query.get(name);
    return text !== null && fits(text) ? text : otherwise;
  };
  const [from, to] = [query.get("from"), query.get("to")].map((text) =>
    text !== null && /^\d{1,16}$/.test(text) ? Number(text) : NaN
  ) as [number, number];
  const filters: Filter[] = [];
  for (const [name, value] of query) {
    const [, kind, field = ""] = /^(where|null)\.(.*)$/s.exec(name) ?? [];
    if (kind === undefined || !fieldName.test(field) || value.length > longestLabel) continue;
    const filter = { field, label: kind === "null" ? null : value };
    if (filters.length < mostFilters && !hasFilter(filters, filter)) filters.push(filter);
  }
  return {
    by: one("by", (text) => fieldName.test(text), firstLook.by),
    window: one("window", (text) => timeWindows.some(({ name }) => name === text), "5m"),
    zoom: from < to && to <= latest ? { from, to } : null,
    filters,
    section: one("section", (text) => sections.includes(text), ""),
    alert: one("alert", (text) => /^[0-9a-f]{1,32}$/.test(text), ""),
  };
}

/** The query that {@linkcode readLook} reads the same from: empty, or with its question mark. */
export function writeLook(look: Look): string {
  const query = new URLSearchParams();
  if (look.by !== firstLook.by) query.set("by", look.by);
  if (look.window !== firstLook.window) query.set("window", look.window);
  if (look.zoom !== null) {
    query.set("from", String(look.zoom.from));
    query.set("to", String(look.zoom.to));
  }
  addFilters(query, look.filters);
  if (look.section !== "") query.set("section", look.section);
  if (look.alert !== "") query.set("alert", look.alert);
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

/** Filters as the API takes them, too. */
export function addFilters(query: URLSearchParams, filters: readonly Filter[]): void {
  for (const { field, label } of filters) {
    if (label === null) query.append(`null.${field}`, "1");
    else query.append(`where.${field}`, label);
  }
}

export function hasFilter(filters: readonly Filter[], { field, label }: Filter): boolean {
  return filters.some((each) => each.field === field && each.label === label);
}

/** With the filter, or without it where it was there. */
export function toggleFilter(filters: readonly Filter[], filter: Filter): readonly Filter[] {
  return hasFilter(filters, filter)
    ? filters.filter(({ field, label }) => field !== filter.field || label !== filter.label)
    : [...filters, filter].slice(-mostFilters);
}

/** Filters apart by whether the history tells drops apart by their field. */
export function keptFilters(
  filters: readonly Filter[],
  fields: readonly string[],
): { readonly kept: readonly Filter[]; readonly gone: readonly Filter[] } {
  const isKept = ({ field }: Filter): boolean => fields.includes(field);
  return { kept: filters.filter(isKept), gone: filters.filter((each) => !isKept(each)) };
}

/** A test of labels that stand in the order of some fields; a filter of another field fits none. */
export function filterTest(
  filters: readonly Filter[],
  fields: readonly string[],
): (labels: readonly HistoryLabel[]) => boolean {
  const wanted = [...new Set(filters.map(({ field }) => field))].map((field) =>
    [
      fields.indexOf(field),
      new Set(filters.filter((each) => each.field === field).map(({ label }) => label)),
    ] as const
  );
  return (labels) => wanted.every(([at, set]) => at !== -1 && set.has(labels[at] ?? null));
}

export function windowOf(name: string): TimeWindow {
  return timeWindows.find((each) => each.name === name) ?? timeWindows[0]!;
}

/** How a part of the past is divided: some 300 steps of whole seconds, beyond an hour of minutes. */
export function zoomStep(from: number, to: number): number {
  const step = Math.max(1000, Math.ceil((to - from) / 300 / 1000) * 1000);
  return step > 12_000 ? Math.ceil(step / minute) * minute : step;
}

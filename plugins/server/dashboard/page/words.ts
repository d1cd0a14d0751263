// Numbers, times and labels as the page says them.
import type { HistoryLabel, LostByStage, ViewAlert, ViewSums } from "../../../../core/view/view.ts";

/** A rate or a count where there is little room: 0.25, 12.3, 4,560, 12.3 k, 1.25 M. */
export function short(n: number): string {
  const size = Math.abs(n);
  if (size >= 999_950) return scaled(n / 1e6, "M");
  if (size >= 9_999.5) return scaled(n / 1e3, "k");
  if (size >= 99.95) return Math.round(n).toLocaleString("en-US");
  if (size >= 9.995) return n.toLocaleString("en-US", { maximumFractionDigits: 1 });
  return n.toLocaleString("en-US", { maximumFractionDigits: 2 });
}

function scaled(n: number, unit: string): string {
  return `${
    n.toLocaleString("en-US", { maximumSignificantDigits: 3, useGrouping: false })
  } ${unit}`;
}

/** A count as it is: 1,234,567. */
export function whole(n: number): string {
  return Math.round(n).toLocaleString("en-US");
}

/** How many of something there are: 1 drop, 2 drops. */
export function plural(n: number, one: string): string {
  return `${whole(n)} ${one}${Math.round(n) === 1 ? "" : "s"}`;
}

/** A share of a whole: 12.3 %, <0.1 %. */
export function percent(part: number, all: number): string {
  if (!(all > 0) || part <= 0) return "0 %";
  const share = 100 * part / all;
  if (share < 0.1) return "<0.1 %";
  return `${share.toLocaleString("en-US", { maximumFractionDigits: share < 10 ? 1 : 0 })} %`;
}

/** What a label is called; where a drop has none, that has a name too. */
export function labelName(field: string, label: HistoryLabel): string {
  if (label === null) return "not told apart";
  if (label !== "") return label;
  if (field === "owner" || field === "ownerPid" || field === "ownerUid") return "no socket";
  if (field === "dev") return "no device";
  if (field === "unit") return "no unit";
  if (field === "container") return "no container";
  return `no ${field}`;
}

/** What it means that a drop has no such label; empty for one that has. */
export function labelMeaning(field: string, label: HistoryLabel): string {
  if (label === null) {
    return "There were too many different ones at once: these drops are counted, but not told apart.";
  }
  if (label !== "") return "";
  if (field === "owner" || field === "ownerPid" || field === "ownerUid") {
    return "The packet belonged to no socket when it was dropped: it was forwarded, filtered early, or " +
      "for a port that nobody listens on.";
  }
  if (field === "dev") return "The packet carried no device when it was dropped.";
  return "The packet doesn't tell.";
}

/** How long ago, or in how long: 12 s, 5 min, 3 h, 2 d. */
export function span(milliseconds: number): string {
  const seconds = Math.abs(milliseconds) / 1000;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

const clock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** The time of day, of another day than today with its date; in the viewer's own time zone. */
export function moment(at: number, now: number): string {
  if (!Number.isFinite(at)) return "–";
  const date = new Date(at);
  const isToday = date.toDateString() === new Date(now).toDateString();
  return isToday ? clock.format(date) : `${day.format(date)} ${clock.format(date)}`;
}

const stages: readonly (readonly [keyof LostByStage, string])[] = [
  ["probe", "probe"],
  ["map", "map"],
  ["output", "output"],
  ["window", "window"],
];

/** What is missing from the numbers since the start, with where it went missing. */
export function missing(sums: ViewSums, lost: LostByStage): { exact: boolean; text: string } {
  const all = sums.other + sums.lost;
  const by = stages.filter(([stage]) => lost[stage] > 0)
    .map(([stage, name]) => `${name} ${short(lost[stage])}`);
  if (lost.unreadable > 0) by.push(plural(lost.unreadable, "unreadable line"));
  if (all === 0 && by.length === 0) return { exact: true, text: "exact" };
  // What a rule's window had no room for was counted: it is missing from that rule's numbers alone.
  if (all === 0) return { exact: false, text: `at least: ${by.join(", ")}` };
  const where = by.length === 0 ? "" : ` (${by.join(", ")})`;
  return { exact: false, text: `at least: ${short(all)} missing${where}` };
}

/** An alert's value; where it fires though there is nothing any more, that it does so for a while. */
export function valueText({ value, state, health, peak }: AlertValue): string {
  const isHeld = value === 0 && peak > 0 && state === "firing" && !health;
  return isHeld ? "0 (none now, it is kept firing)" : short(value);
}

/** What an alert's value is made of. */
export type AlertValue = Pick<ViewAlert, "value" | "peak" | "state" | "health">;

/** How sure an alert's numbers are. */
export function sureText({ exact, lost }: Pick<ViewAlert, "exact" | "lost">): string {
  if (exact) return "exact";
  return lost > 0
    ? `at least; ${whole(lost)} missing in the window`
    : "at least; nobody counted for a part of it";
}

/** Cores in use: 0.023 is 2.3 %. */
export function cpu(cores: number): string {
  return `${
    (100 * cores).toLocaleString("en-US", { maximumFractionDigits: cores < 0.1 ? 1 : 0 })
  } %`;
}

/** Milliseconds of what people write: `90m`, `1h30m`, `2d`; undefined where it is none. */
export function readDuration(text: string): number | undefined {
  const parts = /^\s*(?:(\d{1,6})d)?\s*(?:(\d{1,6})h)?\s*(?:(\d{1,6})m)?\s*(?:(\d{1,6})s)?\s*$/
    .exec(text);
  if (parts === null) return undefined;
  const [d = 0, h = 0, m = 0, s = 0] = parts.slice(1).map((part) => Number(part ?? 0));
  const total = d * 86_400_000 + h * 3_600_000 + m * 60_000 + s * 1000;
  return total > 0 ? total : undefined;
}

/** A matcher of a label, as people write it, that means this value and no other; it is one line. */
export function matcherOf(name: string, value: string): string {
  const quoted = (text: string): string =>
    `"${text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n")}"`;
  if (!value.includes("\r")) return `${name}=${quoted(value)}`;
  // A field of one line can't hold a carriage return, and only patterns have a word for it.
  const pattern = value.replace(/[\\.+*?()|[\]{}^$]/g, "\\$&").replaceAll("\r", "\\r");
  return `${name}=~${quoted(pattern)}`;
}

/** A link that can be followed: http or https; undefined for all others, `javascript:` among them. */
export function webLink(text: string): string | undefined {
  try {
    const url = new URL(text);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : undefined;
  } catch {
    return undefined;
  }
}

/** 1536 → 1.5 KiB. */
export function bytes(n: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; n >= 1000 && unit < units.length - 1; unit++) n /= 1024;
  return `${n.toLocaleString("en-US", { maximumFractionDigits: n < 10 ? 1 : 0 })} ${units[unit]}`;
}

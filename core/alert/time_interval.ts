// Times at which people want to be told, or don't: those of Alertmanager, in a time zone.
import * as v from "valibot";

/**
 * A time that recurs. It holds where each key that is given holds, and a key holds where one of its
 * ranges does.
 */
export interface TimeInterval {
  /** Within a day, from `startTime` up to, and without, `endTime`: "09:00", "24:00". */
  readonly times?: readonly { readonly startTime: string; readonly endTime: string }[];
  /** "monday", "monday:friday". */
  readonly weekdays?: readonly string[];
  /** "1", "1:5"; counted from the end where negative: "-3:-1". */
  readonly daysOfMonth?: readonly string[];
  /** "january", "1", "november:december". */
  readonly months?: readonly string[];
  /** "2026", "2026:2027". */
  readonly years?: readonly string[];
  /** A time zone such as "Europe/Berlin"; UTC without it. */
  readonly location?: string;
}

const days = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const months = [
  "january",
  "february",
  "march",
  "april",
  "may",
  "june",
  "july",
  "august",
  "september",
  "october",
  "november",
  "december",
];

type Range = readonly [first: number, last: number];

/** The range that a text stands for; undefined where it is none. */
function rangeOf(
  text: string,
  least: number,
  most: number,
  names: readonly string[] = [],
  base = 0,
): Range | undefined {
  const parts = text.toLowerCase().split(":").map((part) => {
    const at = names.indexOf(part.trim());
    return at >= 0 ? at + base : /^-?\d{1,4}$/.test(part.trim()) ? Number(part) : NaN;
  });
  const [first = NaN, last = first] = parts;
  const isIn = (n: number): boolean => n >= least && n <= most && n !== 0 || n === 0 && least === 0;
  return parts.length <= 2 && isIn(first) && isIn(last) ? [first, last] : undefined;
}

const ranges = {
  // By their names alone: is the first day a Sunday or a Monday?
  weekdays: (text: string) => /\d/.test(text) ? undefined : rangeOf(text, 0, 6, days),
  daysOfMonth: (text: string) => rangeOf(text, -31, 31),
  months: (text: string) => rangeOf(text, 1, 12, months, 1),
  years: (text: string) => rangeOf(text, 1970, 9999),
} as const;

/** Minutes since midnight. */
function minutesOf(text: string): number | undefined {
  const [, h, m] = /^(\d{2}):(\d{2})$/.exec(text) ?? [];
  const minutes = Number(h) * 60 + Number(m);
  return Number(m) < 60 && minutes <= 1440 ? minutes : undefined;
}

function isZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }) !== undefined;
  } catch {
    return false;
  }
}

/** Whether there is such a time: for days from the end, in the longest month. */
const canHold = ([first, last]: Range): boolean =>
  !(first < 0 && last > 0) && (first < 0 ? 32 + first : first) <= (last < 0 ? 32 + last : last);

const listOf = (key: keyof typeof ranges, example: string) =>
  v.optional(
    v.pipe(
      v.array(
        v.pipe(
          v.string(example),
          v.check((text) => {
            const range = ranges[key](text);
            return range !== undefined && canHold(range);
          }, example),
        ),
        `a list of ${example}`,
      ),
      // As no day is one of none, it would never hold.
      v.minLength(1, example),
    ),
  );
const clock = v.pipe(
  v.string(`a time like "09:00"`),
  v.check((text) => minutesOf(text) !== undefined, `a time like "09:00"`),
);

/** The schema of an interval. */
export const TimeIntervalSchema: v.GenericSchema<unknown, TimeInterval> = v.strictObject({
  times: v.optional(v.pipe(
    v.array(
      v.pipe(
        v.strictObject({ startTime: clock, endTime: clock }, "{ startTime, endTime }"),
        v.check(
          ({ startTime, endTime }) => minutesOf(startTime)! < minutesOf(endTime)!,
          "a time that begins before it ends: a night is two of them",
        ),
      ),
      "a list of { startTime, endTime }",
    ),
    v.minLength(1, "{ startTime, endTime }"),
  )),
  weekdays: listOf("weekdays", `days like "monday:friday", Sunday first`),
  daysOfMonth: listOf("daysOfMonth", `days like "1:5" or "-3:-1"`),
  months: listOf("months", `months like "january:march"`),
  years: listOf("years", `years like "2026:2027"`),
  location: v.optional(
    v.pipe(v.string("a time zone"), v.check(isZone, `a time zone like "Europe/Berlin"`)),
  ),
}, "{ times, weekdays, daysOfMonth, months, years, location }") as unknown as v.GenericSchema<
  unknown,
  TimeInterval
>;

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
    });
    formats.set(zone, format);
  }
  return format;
}

/** Whether a moment (milliseconds since 1970) lies in an interval. */
export function isWithin(interval: TimeInterval, at: number): boolean {
  const parts = new Map(
    formatOf(interval.location ?? "UTC").formatToParts(at).map(({ type, value }) => [
      type,
      Number(value),
    ]),
  );
  const [year, month, day] = [parts.get("year")!, parts.get("month")!, parts.get("day")!];
  const minutes = parts.get("hour")! * 60 + parts.get("minute")!;
  const weekday = new Date(Date.UTC(year, month - 1, day)).getUTCDay();
  const length = new Date(Date.UTC(year, month, 0)).getUTCDate();
  const holds = (key: keyof typeof ranges, value: number): boolean =>
    interval[key]?.some((text) => {
      const [first, last] = ranges[key](text)!.map((n) =>
        key === "daysOfMonth" && n < 0 ? length + 1 + n : n
      ) as unknown as Range;
      return value >= first && value <= last;
    }) ?? true;
  return (interval.times?.some(({ startTime, endTime }) =>
    minutes >= minutesOf(startTime)! && minutes < minutesOf(endTime)!
  ) ?? true) &&
    holds("weekdays", weekday) && holds("daysOfMonth", day) && holds("months", month) &&
    holds("years", year);
}

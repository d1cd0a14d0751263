// Durations as Prometheus writes them: 500ms, 10s, 5m, 1h30m, 1d.
import { badDuration } from "../error.ts";

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

type Part<Unit extends string> = `${number}${Unit}`;

/**
 * A length of time: a number and a unit (`ms`, `s`, `m`, `h`, `d`), or two of them joined, the larger
 * first. At run time more than two are read too.
 *
 * @example
 * ```ts
 * const window: Duration = "1h30m";
 * ```
 */
export type Duration =
  | Part<"ms" | "s" | "m" | "h" | "d">
  | `${Part<"d">}${Part<"h" | "m" | "s" | "ms">}`
  | `${Part<"h">}${Part<"m" | "s" | "ms">}`
  | `${Part<"m">}${Part<"s" | "ms">}`
  | `${Part<"s">}${Part<"ms">}`;

/**
 * Milliseconds of a duration.
 *
 * @throws DropwatchError BAD_DURATION where it is none, or is zero.
 */
export function milliseconds(text: string): number {
  const match = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?$/.exec(text);
  if (match === null) throw badDuration(text);
  const [, d = "0", h = "0", m = "0", s = "0", ms = "0"] = match;
  const total = Number(d) * units.d + Number(h) * units.h + Number(m) * units.m +
    Number(s) * units.s + Number(ms) * units.ms;
  if (!Number.isFinite(total) || total <= 0) throw badDuration(text);
  return total;
}

/** Whether a text is a duration. */
export function isDuration(text: string): boolean {
  try {
    return milliseconds(text) > 0;
  } catch {
    return false;
  }
}

/** A duration for people: `1h30m`, `2m5s`, `350ms`. */
export function showDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(ms < 10_000 ? 1 : 0))}s`;
  let rest = Math.round(ms / 1000);
  const parts: string[] = [];
  for (const [unit, seconds] of [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]] as const) {
    const count = Math.floor(rest / seconds);
    rest -= count * seconds;
    if (count > 0) parts.push(`${count}${unit}`);
  }
  return parts.slice(0, 2).join("");
}

// A row of small bars: how a rate went over the last seconds.

/** From almost nothing to the most. */
export const bars = { utf8: "▁▂▃▄▅▆▇█", ascii: "_.:-=+*#" } as const;
export type BarStyle = keyof typeof bars;

/** Nobody counted: that is not the same as no drops. */
const unknownBar = "?";

/**
 * The last `width` of `values` as bars, one a column, the newest at the right. Nothing is a space, null
 * (nobody counted) a question mark, anything above zero at least the lowest bar. `most` is what the
 * highest bar stands for.
 */
export function spark(
  values: readonly (number | null)[],
  width: number,
  style: BarStyle = "utf8",
  most: number = Math.max(0, ...values.map((value) => value ?? 0)),
): string {
  if (width <= 0) return "";
  const steps = [...bars[style]];
  const bar = (value: number | null): string => {
    if (value === null) return unknownBar;
    if (!(value > 0) || !(most > 0)) return " ";
    const step = Math.ceil((value / most) * steps.length) - 1;
    return steps[Math.min(steps.length - 1, Math.max(0, step))]!;
  };
  return values.slice(-width).map(bar).join("").padStart(width);
}

/** Whether the locale of an environment says that its terminal shows UTF-8. */
export function barStyleOf(env: Readonly<Record<string, string | undefined>>): BarStyle {
  // In the order in which POSIX looks them up; an empty one counts as none.
  const locale = [env.LC_ALL, env.LC_CTYPE, env.LANG].find((each) => each) ?? "";
  return /utf-?8/i.test(locale) ? "utf8" : "ascii";
}

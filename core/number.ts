// Numbers for people.

/** 1234567 → 1,234,567; small ones with up to three digits behind the point. */
export function showNumber(n: number): string {
  return n.toLocaleString("en-US", { maximumFractionDigits: Math.abs(n) < 10 ? 3 : 1 });
}

/** `1 file`, `2 files`. */
export function plural(n: number, noun: string): string {
  return `${showNumber(n)} ${noun}${n === 1 ? "" : "s"}`;
}

// Numbers for people.

/** 1234567 → 1,234,567; small ones with up to three digits behind the point. */
export function showNumber(n: number): string {
  return n.toLocaleString("en-US", { maximumFractionDigits: Math.abs(n) < 10 ? 3 : 1 });
}

/** 1536 → 1.5 KiB. */
export function showBytes(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; bytes >= 1024 && unit < units.length - 1; unit++) bytes /= 1024;
  return `${bytes.toLocaleString("en-US", { maximumFractionDigits: 1 })} ${units[unit]}`;
}

/** `1 file`, `2 files`. */
export function plural(n: number, noun: string): string {
  return `${showNumber(n)} ${noun}${n === 1 ? "" : "s"}`;
}

/** A number with three digits behind the point. */
export function thousandths(n: number): number {
  return Math.round(n * 1000) / 1000;
}

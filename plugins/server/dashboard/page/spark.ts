// A small picture of how many drops there were over a time: the path of an area.

/** An area below the rates, in a box of 120 by 24; a gap leaves it open. */
export function sparkPath(rates: readonly (number | null)[]): string {
  const most = Math.max(...rates.map((rate) => rate ?? 0));
  if (most <= 0) return "";
  const width = 120 / rates.length;
  const round = (n: number): string => n.toFixed(1).replace(/\.0$/, "");
  let path = "";
  let isOpen = false;
  rates.forEach((rate, i) => {
    const [x, end] = [round(i * width), round((i + 1) * width)];
    if (rate === null) {
      if (isOpen) path += "V24Z";
      isOpen = false;
      return;
    }
    // A drop in a hundred thousand is still seen.
    const y = round(rate === 0 ? 24 : Math.min(23, 24 - 23 * rate / most));
    path += isOpen ? `V${y}H${end}` : `M${x} 24V${y}H${end}`;
    isOpen = true;
  });
  return isOpen ? `${path}V24Z` : path;
}

// "Did you mean": the names closest to one that does not exist.
import { levenshteinDistance } from "@std/text/levenshtein-distance";

/** A longer one is like none, and to compare it would take long. */
const longestName = 200;

/** Up to three of `names` that look like `name`, the closest first; case does not count. */
export function nearest(name: string, names: Iterable<string>): string[] {
  if (name === "" || name.length > longestName) return [];
  const wanted = name.toLowerCase();
  const limit = Math.max(2, Math.ceil(wanted.length / 3));
  const found: { name: string; distance: number }[] = [];
  for (const candidate of names) {
    const other = candidate.toLowerCase();
    const distance = other.includes(wanted) && wanted.length > 2
      ? 1
      : levenshteinDistance(wanted, other);
    if (distance <= limit) found.push({ name: candidate, distance });
  }
  found.sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1));
  return found.slice(0, 3).map((entry) => entry.name);
}

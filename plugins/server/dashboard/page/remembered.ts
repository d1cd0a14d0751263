// What the browser remembers for this page: the theme, and who makes silences. A browser that is told to
// remember nothing refuses by throwing; then it is as if nothing had been said before.

export function remembered(name: string): string | null {
  try {
    return localStorage.getItem(`dropwatch.${name}`);
  } catch {
    return null;
  }
}

export function remember(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`dropwatch.${name}`);
    else localStorage.setItem(`dropwatch.${name}`, value);
  } catch {
    // It is asked for again the next time.
  }
}

// Colours that stay with a name, and that people who can't tell red from green can tell apart: colour.test.ts
// holds how far any two of them are from each other. They began as Paul Tol's "muted" scheme.

/** For light pages, and for dark ones. */
export const palette: readonly (readonly [light: string, dark: string])[] = [
  ["#3b6fb0", "#5ca6ee"],
  ["#cc6677", "#e48a97"],
  ["#4194af", "#5bc3d3"],
  ["#d9b83f", "#e3cf6b"],
  ["#743092", "#936ada"],
  ["#117733", "#519e59"],
  ["#88ccee", "#b5e0f7"],
  ["#882255", "#9944aa"],
  ["#999933", "#adaf39"],
  ["#aa4286", "#c874b3"],
];

/** What isn't told apart. */
export const restColour: readonly [light: string, dark: string] = ["#a3a8ad", "#6b747c"];

export interface Colours {
  /** The places in the palette of names that are shown together, in their order. */
  of(names: readonly string[]): number[];
}

const mostKnown = 1000;

/**
 * Gives each name a place in the palette: where its text says, or else the next that no name shown beside
 * it has. It keeps the place, until it is shown beside an earlier one that has the same.
 */
export function makeColours(size: number = palette.length): Colours {
  const known = new Map<string, number>();
  return {
    of(names) {
      const taken = new Set<number>();
      const places = names.map((name) => {
        const place = known.get(name);
        if (place === undefined || taken.has(place)) return undefined;
        taken.add(place);
        return place;
      });
      return places.map((place, i) => {
        if (place !== undefined) return place;
        const name = names[i]!;
        let next = hash(name) % size;
        for (let tries = 0; taken.has(next) && tries < size; tries++) next = (next + 1) % size;
        taken.add(next);
        if (known.size >= mostKnown) known.delete(known.keys().next().value!);
        // One that has to give way does so for good: it is to have one colour in all of the page.
        known.set(name, next);
        return next;
      });
    },
  };
}

function hash(text: string): number {
  let sum = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) sum = Math.imul(sum ^ text.charCodeAt(i), 0x01000193);
  return (sum ^ (sum >>> 15)) >>> 0;
}

/** A colour between two of the form #rrggbb; `share` is the second's. */
export function mix(a: string, b: string, share: number): string {
  const part = (colour: string, at: number): number => parseInt(colour.slice(at, at + 2), 16);
  return `#${
    [1, 3, 5].map((at) =>
      Math.round(part(a, at) * (1 - share) + part(b, at) * share).toString(16).padStart(2, "0")
    ).join("")
  }`;
}

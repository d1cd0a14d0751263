// Which maps in the kernel the keys of a plan stand in. The kernel refuses a program that uses more
// than 64 maps, and each of ours is there twice. While they fit, every key set has a map to itself, and
// with it room for keys that nobody else takes. Beyond that some share one, told apart by the number
// that a key begins with: as few together as can be.
import { hasClass, keyFields, keySlots } from "./plan.ts";
import type { KeyMap, Plan } from "./plan.ts";

/** The kernel refuses a program that uses more maps; a variable is a map too. */
const kernelMaps = 64;

/** Those that a program has whatever is asked for, @b, @e, @seen, …, and what bpftrace itself needs. */
const ownMaps = 16;

/** What shares a map with others: a key set's keys, or those of it that end in a walked stack. */
export interface Sharer {
  readonly map: KeyMap;
  readonly walked: boolean;
  /** Its classes 1, 2, … are the numbers after this one. */
  readonly after: number;
  /** Zeros behind the number, since others have longer keys. */
  readonly padding: number;
}

/** One map in the kernel for several key sets. */
export interface SharedMap {
  /** Without @ and the copy: `k0`. */
  readonly name: string;
  readonly sharers: readonly Sharer[];
}

export interface Layout {
  readonly shared: readonly SharedMap[];
  /** The totals of key sets with conditions are in one map, @t0 and @t1, by the set's id. */
  readonly joinsTotals: boolean;
  /** How many more maps, in two copies, there is room for. */
  readonly free: number;
}

/**
 * Whether a key set has a second kind of keys beside its own, for drops whose location is plumbing:
 * there the stack is part of the key, and tells the site.
 */
export function walksStack(map: KeyMap): boolean {
  const fields = keyFields(map);
  return fields.includes("site") && !fields.includes("stack");
}

/** The keys of a key set, of one kind. */
type Keys = Pick<Sharer, "map" | "walked">;

/** Lays out the maps of a plan, in a program that may use `most` of them. */
export function makeLayout(plan: Plan, most: number = kernelMaps): Layout {
  const all = plan.maps.flatMap((map): Keys[] => [
    { map, walked: false },
    ...(walksStack(map) ? [{ map, walked: true }] : []),
  ]);
  const totals = plan.maps.filter(({ conditional }) => conditional).length;
  const room = Math.floor((most - ownMaps) / 2);
  const free = room - all.length - totals;
  if (free >= 0) return { shared: [], joinsTotals: false, free };
  const joinsTotals = totals > 0;
  return { shared: share(all, room - (joinsTotals ? 1 : 0)), joinsTotals, free: 0 };
}

/** The map that keys stand in, and as which of its sharers where it has several. */
export function homeOf(
  layout: Layout,
  { map, walked }: Keys,
): { name: string; sharer: Sharer | undefined } {
  for (const { name, sharers } of layout.shared) {
    const sharer = sharers.find((each) => each.map.id === map.id && each.walked === walked);
    if (sharer !== undefined) return { name, sharer };
  }
  return { name: `${walked ? "w" : "m"}${map.id}`, sharer: undefined };
}

/** A map without a key is a variable: it isn't cleared, its growth is what was counted. */
export function isKeyed(layout: Layout, map: KeyMap): boolean {
  return hasClass(map) || keyFields(map).length > 0 ||
    homeOf(layout, { map, walked: false }).sharer !== undefined;
}

/** How many integers the keys have, beside the class. */
function width({ map }: Keys): number {
  return keySlots(keyFields(map)).filter((slot) => slot !== "kstack").length;
}

/** Keys of different widths come together only where even one map a width would be too many. */
function share(all: readonly Keys[], room: number): SharedMap[] {
  for (let step = 1;; step *= 2) {
    const shapes = new Map<string, Keys[]>();
    for (const keys of all) {
      const { map, walked } = keys;
      const stack = walked ? "walked" : keyFields(map).includes("stack") ? "whole" : "none";
      // bpftrace holds all keys of a map to one type, and all values.
      const shape = [Math.floor(width(keys) / step), stack, map.sum].join();
      shapes.set(shape, [...shapes.get(shape) ?? [], keys]);
    }
    if (shapes.size <= room || step > 64) return deal([...shapes.values()], room);
  }
}

function deal(shapes: readonly Keys[][], room: number): SharedMap[] {
  const maps = shapes.map(({ length }) => length);
  for (let over = shapes.flat().length - room; over > 0; over--) {
    // One less of the shape of which the fewest would have to come together then.
    const together = shapes.map(({ length }, i) => Math.ceil(length / (maps[i]! - 1)));
    const least = Math.min(...together);
    if (least === Infinity) break;
    maps[together.indexOf(least)]!--;
  }
  return shapes.flatMap((all, i) =>
    Array.from({ length: maps[i]! }, (_, number) => all.filter((_, at) => at % maps[i]! === number))
  ).filter(({ length }) => length > 1).map((all, number) => {
    const widest = Math.max(...all.map(width));
    let after = 0;
    const sharers = all.map((keys): Sharer => {
      const sharer = { ...keys, after, padding: widest - width(keys) };
      after += keys.map.classes.length - 1;
      return sharer;
    });
    return { name: `k${number}`, sharers };
  });
}

// Sets the kernel's own counters beside our counts over an alert's window, and says where they disagree.
// Both are of the whole machine: a count by reason has no namespace, and which namespace the kernel
// counted in is told beside it.
import { counterChecks } from "../drop/counter.ts";
import type { CounterGrowth } from "../drop/counter.ts";
import type { Tick } from "./tick.ts";

/** What the kernel counted, and what dropwatch did. */
export interface CrossCheck {
  readonly reason: string;
  /** Drops of the reason that dropwatch counted, in all network namespaces. */
  readonly counted: number;
  /** Growth of the kernel's counters in the same time. */
  readonly kernel: number;
  /** Whether they are equal, but for what `note` explains and for what came while they were read. */
  readonly agrees: boolean;
  /** How long both are for. */
  readonly seconds: number;
  /** The counters that grew, as nstat prints them: `kernel` is their sum, */
  readonly names: readonly string[];
  /** less these, where other reasons are counted in them too. */
  readonly less: readonly string[];
  /** Where they grew: the network namespace's inode. */
  readonly grew: readonly { readonly netns: string; readonly name: string; readonly by: number }[];
  /** What one of them counts and the other doesn't; "" where there is no such thing. */
  readonly note: string;
}

export interface CrossCheckLog {
  add(tick: Tick): void;
  /** For each of these reasons that the kernel has counters of, from a time on. */
  of(reasons: readonly string[], from: number): CrossCheck[];
}

interface Moment {
  readonly at: number;
  readonly kernel: ReadonlyMap<string, CounterGrowth>;
  /** Drops by reason since the log began. */
  readonly counted: ReadonlyMap<number, number>;
  /** How many more or fewer may be in `kernel`, for each reason: it was read a moment later. */
  readonly blur: ReadonlyMap<number, number>;
}

const mostMoments = 5000;
/** What the arrival of a tick can't tell of its delay, in milliseconds. */
const leastDelay = 5;
const mostGrew = 10;

/**
 * Keeps counters for as long as the longest window (milliseconds). `nameOf` is a reason's name, from its
 * number.
 */
export function crossCheckLog(
  longest: () => number,
  nameOf: (reason: number) => string,
): CrossCheckLog {
  let moments: Moment[] = [];
  let counted: ReadonlyMap<number, number> = new Map();
  return {
    add(tick) {
      if (tick.gap !== undefined) {
        // The kernel went on counting and we didn't: what lies before can't be compared with after.
        moments = [];
        return;
      }
      counted = sum(counted, tick.reasons);
      if (tick.counters === undefined) return;
      const { grown, delay } = tick.counters;
      const share = (Math.max(0, delay) + leastDelay) / 1000 / Math.max(tick.seconds, 0.001);
      const blur = new Map([...tick.reasons].map(([reason, n]) => [reason, n * share]));
      moments.push({ at: tick.at, kernel: grown, counted, blur });
      // One from before the window is where the window's growth begins.
      while (moments.length > 1 && moments[1]!.at <= tick.at - longest()) moments.shift();
      if (moments.length > mostMoments) moments.shift();
    },
    of(reasons, from) {
      const last = moments.at(-1);
      const first = moments.findLast(({ at }) => at <= from) ?? moments[0];
      if (last === undefined || first === undefined || first === last) return [];
      const between = moments.slice(moments.indexOf(first));
      return reasons.flatMap((reason) => check(reason, between, nameOf) ?? []);
    },
  };
}

function sum(
  before: ReadonlyMap<number, number>,
  more: ReadonlyMap<number, number>,
): ReadonlyMap<number, number> {
  if (more.size === 0) return before;
  const sums = new Map(before);
  for (const [reason, n] of more) sums.set(reason, (sums.get(reason) ?? 0) + n);
  return sums;
}

const young = "a network namespace is new here, and may have counted before it was seen";

function check(
  reason: string,
  between: readonly Moment[],
  nameOf: (reason: number) => string,
): CrossCheck | undefined {
  const [first, last] = [between[0]!, between.at(-1)!];
  if (!Object.hasOwn(counterChecks, reason)) return undefined;
  const { plus, minus = [], misses, besides } = counterChecks[reason]!;
  const grew: { netns: string; name: string; by: number }[] = [];
  let kernel = 0;
  let doubt = 0;
  for (const [netns, growth] of last.kernel) {
    const before = first.kernel.get(netns);
    const born = before ?? between.find((moment) => moment.kernel.has(netns))!.kernel.get(netns)!;
    for (const name of [...plus, ...minus]) {
      const by = (growth.get(name) ?? 0) - (before?.get(name) ?? 0);
      if (by === 0) continue;
      kernel += plus.includes(name) ? by : -by;
      if (plus.includes(name) && before === undefined) doubt += born.get(name) ?? 0;
      grew.push({ netns, name, by });
    }
  }
  const total = (sums: ReadonlyMap<number, number>): number =>
    [...sums].reduce((all, [id, n]) => nameOf(id) === reason ? all + n : all, 0);
  const counted = total(last.counted) - total(first.counted);
  const blur = Math.ceil(total(first.blur) + total(last.blur));
  return {
    reason,
    counted,
    kernel,
    agrees: (counted <= kernel + blur || misses !== undefined) &&
      (kernel - doubt <= counted + blur || besides !== undefined),
    seconds: Math.round(last.at - first.at) / 1000,
    names: plus.filter((name) => grew.some((each) => each.name === name)),
    less: minus.filter((name) => grew.some((each) => each.name === name)),
    grew: grew.sort((a, b) => b.by - a.by).slice(0, mostGrew),
    note: [misses, besides, doubt > 0 ? young : undefined]
      .filter((text) => text !== undefined).join("; "),
  };
}

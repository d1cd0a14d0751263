// The other way to count: a drop whose labels are known, tested in TypeScript. A replay, a source
// of somebody else's and the tests of rules count so; it gives what the kernel's program gives.
import { addressBytes, noAddress } from "../drop/bytes.ts";
import { fieldOf } from "../drop/field.ts";
import type { Drop, FieldName } from "../drop/field.ts";
import type { MapCounts } from "../watch/tick.ts";
import { separator } from "./key.ts";
import type { SeriesKey } from "./key.ts";
import type { Plan } from "./plan.ts";
import { fitsMasks, inRanges } from "./predicate.ts";
import type { Predicate, ReasonWorld, Test } from "./predicate.ts";

/** Counts drops between two ticks. */
export interface DropCounter {
  /** Counts `n` drops that are alike. */
  add(drop: Drop, n: number): void;
  /** What was counted since the last call. */
  take(): { seen: number; reasons: Map<number, number>; maps: MapCounts[] };
}

interface MapCounter {
  readonly entries: Map<string, { key: SeriesKey; n: number; sum: number }>;
}

type Check = (drop: Drop) => boolean;

/** How many reasons, and keys of a map, are remembered before the memory is made afresh. */
const maxRemembered = 100_000;

/** Numbers of the core subsystem that no kernel uses, for names that this world doesn't know. */
const strangers = 0xf000;

/** From a reason's name to its number in `world`; what isn't known there gets one of its own. */
export function reasonNumbers(world: ReasonWorld): (name: string) => number {
  const known = (): Map<string, number> =>
    new Map([...world.reasons].map(([id, name]) => [name, id]));
  let idOf = known();
  return (name) => {
    const found = idOf.get(name);
    if (found !== undefined) return found;
    // `openvswitch/0x20003`, or one that the kernel of the drop had and this world has not.
    const hex = /(?:^|\/)0x([0-9a-f]{1,8})$/.exec(name)?.[1];
    if (idOf.size > world.reasons.size + maxRemembered) idOf = known();
    const id = hex === undefined ? strangers + (idOf.size & 0xfff) : parseInt(hex, 16);
    idOf.set(name, id);
    return id;
  };
}

/** Makes a counter for a plan. Numbers of reasons are those of `world`. */
export function dropCounter(plan: Plan, world: ReasonWorld): DropCounter {
  const reasonId = reasonNumbers(world);
  const byReason = new Map<string, { id: number; maps: MapWork[] }>();
  const workOf = (reason: string): { id: number; maps: MapWork[] } => {
    let work = byReason.get(reason);
    if (work === undefined) {
      const id = reasonId(reason);
      work = { id, maps: mapWork(plan, id) };
      if (byReason.size > maxRemembered) byReason.clear();
      byReason.set(reason, work);
    }
    return work;
  };
  let seen = 0;
  let reasons = new Map<number, number>();
  let counters = plan.maps.map((): MapCounter => ({ entries: new Map() }));
  return {
    add(drop, n) {
      seen += n;
      const work = workOf(drop.reason ?? "");
      reasons.set(work.id, (reasons.get(work.id) ?? 0) + n);
      for (const { map, counts, all, by, sum } of work.maps) {
        let served: number[] | undefined;
        for (const { index, check } of counts) {
          if (check === undefined || check(drop)) (served ??= []).push(index);
        }
        if (served === undefined) continue;
        let text = "";
        for (let i = 0; i < by.length; i++) {
          const label = drop[by[i]!] ?? "";
          text = i === 0 ? label : text + separator + label;
        }
        // What it serves is a part of it: of another reason it can be more, or less.
        const id = `${served.length === counts.length ? all : served.join()}\n${text}`;
        const { entries } = counters[map]!;
        const entry = entries.get(id);
        const total = sum === undefined ? 0 : n * Number(drop[sum] ?? 0);
        if (entry !== undefined) {
          entry.n += n;
          entry.sum += total;
        } else {
          const labels = by.map((field) => drop[field] ?? "");
          entries.set(id, { key: { text, labels, counts: served }, n, sum: total });
        }
      }
    },
    take() {
      const taken = {
        seen,
        reasons,
        maps: counters.map(({ entries }): MapCounts => ({
          entries: [...entries.values()],
          other: 0,
          lost: 0,
        })),
      };
      seen = 0;
      reasons = new Map();
      counters = plan.maps.map((): MapCounter => ({ entries: new Map() }));
      return taken;
    },
  };
}

/** Where drops with the same labels are counted. */
export interface DropPlaces {
  /** The reason's number. */
  readonly reason: number;
  /** At most one a map. */
  readonly series: readonly { readonly map: number; readonly key: SeriesKey }[];
}

/**
 * Makes what tells where a drop is counted, for sources that have many drops with the same labels:
 * worked out once, it stays true for the plan.
 */
export function dropPlacer(plan: Plan, world: ReasonWorld): (drop: Drop) => DropPlaces {
  const reasonId = reasonNumbers(world);
  const works = new Map<number, MapWork[]>();
  return (drop) => {
    const reason = reasonId(drop.reason ?? "");
    let work = works.get(reason);
    if (work === undefined) {
      if (works.size > maxRemembered) works.clear();
      works.set(reason, work = mapWork(plan, reason));
    }
    const series = work.flatMap(({ map, counts, by }) => {
      const served = counts.filter(({ check }) => check === undefined || check(drop))
        .map(({ index }) => index);
      if (served.length === 0) return [];
      const labels = by.map((field) => drop[field] ?? "");
      return [{ map, key: { text: labels.join(separator), labels, counts: served } }];
    });
    return { reason, series };
  };
}

interface MapWork {
  readonly map: number;
  readonly by: readonly FieldName[];
  readonly sum: FieldName | undefined;
  readonly counts: readonly { readonly index: number; readonly check: Check | undefined }[];
  /** The indexes of all its counts, joined. */
  readonly all: string;
}

/** What a drop of a reason may be counted for; only what else is asked remains to be checked. */
function mapWork(plan: Plan, reason: number): MapWork[] {
  return plan.maps.flatMap((map): MapWork[] => {
    const counts = plan.counts.flatMap((count, index): MapWork["counts"] => {
      const place = plan.places[index]!;
      if (place.at !== "map" || place.map !== map.id) return [];
      const isReason = (test: Test): boolean => fieldOf(test.field).kind === "reason";
      const fits = count.predicate.every((test) =>
        !isReason(test) || ("ranges" in test && inRanges(test.ranges, reason))
      );
      if (!fits) return [];
      const checks = count.predicate.filter((test) => !isReason(test)).map(checkOf);
      if (checks.length === 0) return [{ index, check: undefined }];
      return [{ index, check: (drop: Drop) => checks.every((check) => check(drop)) }];
    });
    if (counts.length === 0) return [];
    const all = counts.map(({ index }) => index).join();
    return [{ map: map.id, by: map.by, sum: map.sum, counts, all }];
  });
}

/** Whether a drop meets a condition, for sources that hand over drops as samples. */
export function dropMatcher(predicate: Predicate, world: ReasonWorld): (drop: Drop) => boolean {
  const reasonId = reasonNumbers(world);
  const checks = predicate.map((test): Check => {
    if (fieldOf(test.field).kind !== "reason" || !("ranges" in test)) return checkOf(test);
    return ({ reason = "" }) => inRanges(test.ranges, reasonId(reason));
  });
  return (drop) => checks.every((check) => check(drop));
}

/** A test of a label. What a label means as a number or as bytes is remembered. */
function checkOf(test: Test): Check {
  const { field } = test;
  const known = new Map<string, boolean>();
  return (drop) => {
    const label = drop[field] ?? "";
    let result = known.get(label);
    if (result === undefined) {
      result = fitsLabel(test, label);
      if (known.size > maxRemembered) known.clear();
      known.set(label, result);
    }
    return result;
  };
}

/** Whether a test holds for a label. */
export function fitsLabel(test: Test, label: string): boolean {
  if ("names" in test) return test.names.includes(label) !== test.not;
  if ("ranges" in test) return inRanges(test.ranges, numberOf(test.field, label));
  return fitsMasks(test.masks, test.not, bytesOfLabel(test.field, label));
}

/** The number that a label of a field stands for. */
export function numberOf(field: FieldName, label: string): number {
  const { named, unknown = 0 } = fieldOf(field);
  if (label === "") return unknown;
  return named !== undefined && Object.hasOwn(named, label) ? named[label]! : Number(label);
}

function bytesOfLabel(field: FieldName, label: string): bigint {
  let bytes: Uint8Array;
  if (fieldOf(field).bytes === "address") bytes = addressBytes(label) ?? noAddress;
  else {
    bytes = new Uint8Array(16);
    bytes.set(new TextEncoder().encode(label).subarray(0, 15));
  }
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

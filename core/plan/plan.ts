// From what rules count to what the kernel counts. Rules that count by the same fields share a map;
// what tells them apart (their conditions) becomes a class, a small number in the map's key, found
// by a decision tree. So a packet costs one update a map, however many rules look at it.
import { fieldNames, fieldOf } from "../drop/field.ts";
import type { FieldName, SummableField } from "../drop/field.ts";
import { complement, inRanges, joinRanges } from "./predicate.ts";
import type { Mask, Predicate, Range, Test } from "./predicate.ts";

/** What a rule wants counted. */
export interface Count {
  readonly predicate: Predicate;
  /** The fields to count by; the order doesn't matter. */
  readonly by: readonly FieldName[];
  /** The field whose sum is wanted beside the count. */
  readonly sum?: SummableField | undefined;
}

/**
 * What decides a class.
 * - a number: the class; 0 means that the packet isn't counted in this map
 * - `ranges`: by the number of a field; the cases are sorted and cover every number
 * - `masks`: by whether sixteen bytes fit one of the masks
 * - `names`: by whether the site is one of these
 */
export type Decision =
  | number
  | {
    readonly field: FieldName;
    readonly cases: readonly { readonly ranges: Range; readonly then: Decision }[];
  }
  | {
    readonly field: FieldName;
    readonly masks: readonly Mask[];
    readonly then: Decision;
    readonly otherwise: Decision;
  }
  | {
    readonly field: FieldName;
    readonly names: readonly string[];
    readonly then: Decision;
    readonly otherwise: Decision;
  };

/** A map in the kernel. */
export interface KeyMap {
  readonly id: number;
  /** In the catalogue's order. */
  readonly by: readonly FieldName[];
  readonly sum: SummableField | undefined;
  /** Fields that are in the key only because conditions on them are too many for a tree. */
  readonly raw: readonly FieldName[];
  /** By class (from 1 on): the counts that it serves, by their index in the plan. */
  readonly classes: readonly (readonly number[])[];
  /** Whether a class, and with it the count, hangs on more than the reason. */
  readonly conditional: boolean;
}

/** All drops whose reason's number lies in `ranges` are treated alike. */
export interface ReasonGroup {
  readonly ranges: readonly Range[];
  /** Whether some of its drops are kept whole. */
  readonly evidence: boolean;
  readonly counted: readonly { readonly map: number; readonly decision: Decision }[];
}

/** Where the value of a count is found. */
export type Place =
  | { readonly at: "reasons"; readonly ranges: readonly Range[] }
  | {
    readonly at: "map";
    readonly map: number;
    /** What is still to be tested on the raw fields of the key. */
    readonly rest: readonly Test[];
  };

/** Single drops to be shown, at most so many a tick, those that come first. */
export interface Sampling {
  readonly fields: readonly FieldName[];
  readonly perTick: number;
  /** Which drops; what it asks must lie in the reason. */
  readonly predicate: Predicate;
}

/**
 * Drops that are kept whole, to tell what alerts are made of: of each tick and group the first ones,
 * and a few of each combination of labels among those that come a little later. So a flood of one
 * doesn't leave the others without.
 */
export interface EvidencePlan {
  /** What is kept of a drop, beside its stack. */
  readonly fields: readonly FieldName[];
  /** How many of a group in a tick, whatever their labels. */
  readonly perTick: number;
  /** What rules tell drops apart by. */
  readonly labels: readonly FieldName[];
  /** How many with the same labels in a tick, beyond those. */
  readonly perLabels: number;
  /** Among how many of a group in a tick those are looked for. */
  readonly lookedAt: number;
  /** The counts whose drops are kept, by their index. */
  readonly counts: readonly number[];
}

/** What the kernel is to count. Drops by reason are always counted. */
export interface Plan {
  readonly evidence?: EvidencePlan | undefined;
  readonly samples?: Sampling | undefined;
  readonly counts: readonly Count[];
  readonly places: readonly Place[];
  readonly maps: readonly KeyMap[];
  readonly groups: readonly ReasonGroup[];
}

/**
 * How many leaves a decision may have before a field goes into the key as it is. Cases of one field
 * are cheap; conditions on several fields multiply, and the kernel's verifier walks every path.
 */
const maxLeaves = { oneField: 300, severalFields: 32 };

/**
 * How much is decided in the kernel. `keys` puts every field that conditions look at, but for the
 * reason, into the keys, and decides in TypeScript: as exact, with more keys. It is for plans whose
 * decisions the kernel's verifier refuses.
 */
export type PlanStyle = "decisions" | "keys";
const largestReason = 0xffff_ffff;
const wholeReasons: Range = [0, largestReason];

const isReasonTest = (test: Test): boolean => fieldOf(test.field).kind === "reason";

/** The reasons that a predicate lets through, and what else it asks. */
export function splitPredicate(predicate: Predicate): { reasons: readonly Range[]; rest: Test[] } {
  let reasons: readonly Range[] = [wholeReasons];
  const rest: Test[] = [];
  for (const test of predicate) {
    if (isReasonTest(test) && "ranges" in test) reasons = intersect(reasons, test.ranges);
    else rest.push(test);
  }
  return { reasons, rest };
}

function intersect(a: readonly Range[], b: readonly Range[]): Range[] {
  const whole = complement(
    joinRanges([...complement(a, ...wholeReasons), ...complement(b, ...wholeReasons)]),
    ...wholeReasons,
  );
  return whole;
}

/** Lays out what is to be counted. Counts that are equal share everything. */
export function makePlan(
  counts: readonly Count[],
  samples?: Sampling,
  style: PlanStyle = "decisions",
  evidence?: EvidencePlan,
): Plan {
  const split = counts.map((count) => splitPredicate(count.predicate));
  const places: Place[] = [];
  const building: { by: FieldName[]; sum: SummableField | undefined; counts: number[] }[] = [];
  const placeOf = new Map<string, number>();
  counts.forEach((count, index) => {
    const { reasons, rest } = split[index]!;
    if (count.by.length === 0 && count.sum === undefined && rest.length === 0) {
      places[index] = { at: "reasons", ranges: reasons };
      return;
    }
    const by = fieldNames.filter((name) => count.by.includes(name));
    // Stack keys cost much more, and are kept apart by that; sums of other fields need their own map.
    // What is known later is counted later: that must not hold up those who don't ask.
    const waits = [...by, ...rest.map(({ field }) => field)].some(isLater);
    const shared = `${by.join()}${waits ? " later" : ""}`;
    let map = placeOf.get(shared);
    if (map === undefined) {
      map = building.push({ by, sum: count.sum, counts: [] }) - 1;
      placeOf.set(shared, map);
    }
    building[map]!.sum ??= count.sum;
    building[map]!.counts.push(index);
    places[index] = { at: "map", map, rest: [] };
  });

  const cuts = cutReasons(split.map(({ reasons }) => reasons));
  const maps: KeyMap[] = [];
  const decisions: Map<string, Decision>[] = [];
  building.forEach((map, id) => {
    const built = buildMap(id, map, split, cuts, style);
    maps.push(built.map);
    decisions.push(built.decisions);
    for (const index of map.counts) {
      const rest = split[index]!.rest.filter((test) => built.map.raw.includes(test.field));
      places[index] = { at: "map", map: id, rest };
    }
  });
  const isEvidence = (reason: number): boolean =>
    evidence?.counts.some((count) => inRanges(split[count]!.reasons, reason)) === true;
  return {
    evidence,
    samples,
    counts,
    places,
    maps,
    groups: groupReasons(cuts, maps, split, building, decisions, isEvidence),
  };
}

/** The reasons cut into ranges in which every count says the same. */
function cutReasons(all: readonly (readonly Range[])[]): Range[] {
  const starts = new Set([0]);
  for (const ranges of all) {
    for (const [lo, hi] of ranges) {
      starts.add(lo);
      if (hi < largestReason) starts.add(hi + 1);
    }
  }
  const sorted = [...starts].sort((a, b) => a - b);
  return sorted.map((lo, i): Range => [lo, (sorted[i + 1] ?? largestReason + 1) - 1]);
}

interface Candidate {
  readonly count: number;
  readonly tests: readonly Test[];
}

type Split = { readonly reasons: readonly Range[]; readonly rest: readonly Test[] };

function buildMap(
  id: number,
  building: { by: FieldName[]; sum: SummableField | undefined; counts: number[] },
  split: readonly Split[],
  cuts: readonly Range[],
  style: PlanStyle,
): { map: KeyMap; decisions: Map<string, Decision> } {
  const rest = building.counts.flatMap((index) => split[index]!.rest.map(({ field }) => field));
  // What a key is looked up as is known outside of the kernel only.
  const outside = rest.filter((field) => style === "keys" || isOutside(field));
  const raw: FieldName[] = [...new Set(outside)];
  for (;;) {
    const tested = building.counts.flatMap((index) => split[index]!.rest)
      .filter((test) => !raw.includes(test.field));
    const several = new Set(tested.map(({ field }) => field)).size > 1;
    const most = several ? maxLeaves.severalFields : maxLeaves.oneField;
    const classes = new ClassTable();
    const decisions = new Map<string, Decision>();
    let conditional = false;
    let leaves = 0;
    for (const [reason] of cuts) {
      const active = building.counts.filter((index) => inRanges(split[index]!.reasons, reason));
      if (active.length === 0 || decisions.has(active.join())) continue;
      const candidates = active.map((count): Candidate => ({
        count,
        tests: split[count]!.rest.filter((test) => !raw.includes(test.field)),
      }));
      const decision = decide(candidates, classes, (n) => (leaves += n) <= most);
      decisions.set(active.join(), decision);
      conditional ||= typeof decision !== "number";
    }
    // Reasons alone can be many; there is nothing left to be put into the key then.
    if (leaves <= most || tested.length === 0) {
      return {
        map: { id, by: building.by, sum: building.sum, raw, classes: classes.sets, conditional },
        decisions,
      };
    }
    raw.push(mostTested(tested));
  }
}

/** Whether a field is known outside of the kernel only: looked up by its key, or later. */
export function isOutside(field: FieldName): boolean {
  return fieldOf(field).kind === "lookup" || isLater(field);
}

function isLater(field: FieldName): boolean {
  return fieldOf(field).kind === "later";
}

/** The field with the most conditions: in the key it saves most leaves. */
function mostTested(tests: readonly Test[]): FieldName {
  const times = new Map<FieldName, number>();
  for (const { field } of tests) times.set(field, (times.get(field) ?? 0) + 1);
  return [...times].sort((a, b) => b[1] - a[1])[0]![0];
}

/** Numbers the sets of counts that a packet can belong to. */
class ClassTable {
  readonly sets: number[][] = [[]];
  readonly #known = new Map<string, number>([["", 0]]);

  of(counts: readonly number[]): number {
    const key = counts.join();
    let id = this.#known.get(key);
    if (id === undefined) {
      id = this.sets.push([...counts]) - 1;
      this.#known.set(key, id);
    }
    return id;
  }
}

/** Takes note of so many more leaves or comparisons; false where that is too much. */
type Spend = (n: number) => boolean;

function decide(candidates: readonly Candidate[], classes: ClassTable, spend: Spend): Decision {
  const next = candidates.find(({ tests }) => tests.length > 0)?.tests[0];
  if (next === undefined) {
    spend(1);
    return classes.of(candidates.map(({ count }) => count));
  }
  if (!spend("masks" in next ? next.masks.length : 1)) return 0;
  const child = (rest: readonly Candidate[]): Decision => decide(rest, classes, spend);
  if ("ranges" in next) return decideByNumber(next.field, candidates, child, spend);
  const same = JSON.stringify(next, (_, v) => (typeof v === "bigint" ? String(v) : v));
  const isSame = (test: Test): boolean =>
    JSON.stringify(test, (_, v) => (typeof v === "bigint" ? String(v) : v)) === same;
  const holds = candidates.filter(({ tests }) => !tests.some((test) => excludes(next, test)))
    .map(({ count, tests }) => ({ count, tests: tests.filter((test) => !isSame(test)) }));
  const fails = candidates.filter(({ tests }) => !tests.some(isSame));
  const [then, otherwise] = next.not ? [child(fails), child(holds)] : [child(holds), child(fails)];
  return "masks" in next
    ? { field: next.field, masks: next.masks, then, otherwise }
    : { field: next.field, names: next.names, then, otherwise };
}

/** Whether two plain conditions on the same field can't hold together. */
function excludes(a: Test, b: Test): boolean {
  if (a.field !== b.field) return false;
  if ("masks" in a && "masks" in b && !a.not && !b.not) {
    return a.masks.every((one) =>
      b.masks.every((other) => ((one.value ^ other.value) & one.mask & other.mask) !== 0n)
    );
  }
  if ("names" in a && "names" in b && !a.not && !b.not) {
    return !a.names.some((name) => b.names.includes(name));
  }
  return false;
}

function decideByNumber(
  field: FieldName,
  candidates: readonly Candidate[],
  child: (rest: readonly Candidate[]) => Decision,
  spend: Spend,
): Decision {
  const split = candidates.map(({ count, tests }) => ({
    count,
    mine: tests.filter((test) => test.field === field && "ranges" in test) as {
      ranges: readonly Range[];
    }[],
    rest: tests.filter((test) => test.field !== field),
  }));
  const starts = new Set([0]);
  for (const { mine } of split) {
    for (const [lo, hi] of mine.flatMap(({ ranges }) => ranges)) starts.add(lo).add(hi + 1);
  }
  const sorted = [...starts].sort((a, b) => a - b);
  const cases: { key: string; ranges: Range; rest: Candidate[] }[] = [];
  sorted.forEach((lo, i) => {
    const hi = (sorted[i + 1] ?? Number.MAX_SAFE_INTEGER) - 1;
    const rest = split
      .filter(({ mine }) => mine.every(({ ranges }) => inRanges(ranges, lo)))
      .map(({ count, rest }) => ({ count, tests: rest }));
    const key = rest.map(({ count }) => count).join();
    const last = cases.at(-1);
    if (last?.key === key) last.ranges = [last.ranges[0], hi];
    else cases.push({ key, ranges: [lo, hi], rest });
  });
  const done = new Map<string, Decision>();
  return {
    field,
    cases: cases.map(({ key, ranges, rest }) => {
      const known = done.get(key);
      // What is decided once is written down in each case that needs it.
      if (known !== undefined) spend(sizeOf(known));
      const then = known ?? child(rest);
      done.set(key, then);
      return { ranges, then };
    }),
  };
}

const sizes = new WeakMap<object, number>();

/** How many leaves a decision has where it is written out. */
function sizeOf(decision: Decision): number {
  if (typeof decision === "number") return 1;
  const known = sizes.get(decision);
  if (known !== undefined) return known;
  const parts: readonly Decision[] = "cases" in decision
    ? decision.cases.map(({ then }) => then)
    : [decision.then, decision.otherwise];
  const size = parts.reduce<number>((sum, part) => sum + sizeOf(part), 0);
  sizes.set(decision, size);
  return size;
}

function groupReasons(
  cuts: readonly Range[],
  maps: readonly KeyMap[],
  split: readonly Split[],
  building: readonly { counts: number[] }[],
  decisions: readonly Map<string, Decision>[],
  isEvidence: (reason: number) => boolean,
): ReasonGroup[] {
  const groups = new Map<
    string,
    { ranges: Range[]; evidence: boolean; counted: ReasonGroup["counted"] }
  >();
  for (const range of cuts) {
    const counted = maps.flatMap(({ id }) => {
      const active = building[id]!.counts.filter((i) => inRanges(split[i]!.reasons, range[0]));
      const decision = decisions[id]!.get(active.join());
      return decision === undefined ? [] : [{ map: id, decision, key: active.join() }];
    });
    const evidence = isEvidence(range[0]);
    const key = [evidence, ...counted.map(({ map, key }) => `${map}:${key}`)].join(";");
    const group = groups.get(key);
    if (group !== undefined) group.ranges.push(range);
    else {
      groups.set(key, {
        ranges: [range],
        evidence,
        counted: counted.map(({ map, decision }) => ({ map, decision })),
      });
    }
  }
  return [...groups.values()].map(({ ranges, evidence, counted }) => ({
    ranges: joinRanges(ranges),
    evidence,
    counted,
  }));
}

/** Whether drops of a reason may belong in a map, whatever else they are. */
export function mayBelong(plan: Plan, map: number, reason: number): boolean {
  return plan.groups.some(({ ranges, counted }) =>
    counted.some((each) => each.map === map) && inRanges(ranges, reason)
  );
}

/** The fields in a map's key, in their order. */
export function keyFields(map: KeyMap): readonly FieldName[] {
  const fields = fieldNames.filter((name) => map.by.includes(name) || map.raw.includes(name));
  // A stack is text with commas of its own: it must come last.
  return [...fields.filter((f) => f !== "stack"), ...fields.filter((f) => f === "stack")];
}

/** What a map's key is made of: fields that are worked out from the same have it once. */
export function keySlots(fields: readonly FieldName[]): readonly string[] {
  return [...new Set(fields.flatMap((field) => fieldOf(field).slots))];
}

/** Whether a key of the map begins with its class. */
export function hasClass(map: KeyMap): boolean {
  return map.classes.length > 2;
}

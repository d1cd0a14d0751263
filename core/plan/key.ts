// A key of a map in the kernel, made readable: which counts it serves, and its labels.
import { fieldOf } from "../drop/field.ts";
import type { Drop, FieldName, Names } from "../drop/field.ts";
import { fitsMasks, inRanges } from "./predicate.ts";
import type { Test } from "./predicate.ts";
import { hasClass, isOutside, keyFields, keySlots } from "./plan.ts";
import type { KeyMap, Plan } from "./plan.ts";
import { bareFunction, plumbing } from "../drop/site.ts";

/** One key of a map. Keys that look alike to people (several addresses of one function) are one. */
export interface SeriesKey {
  /** The labels joined: equal for equal labels. */
  readonly text: string;
  /** The value of each field of the map's `by`. */
  readonly labels: readonly string[];
  /** The counts that it serves, by their index in the plan. */
  readonly counts: readonly number[];
}

/** Between labels in a key's text; no label holds it (a name can't hold NUL). */
export const separator = "\0";

/** How many keys a reader remembers before it starts afresh. */
const maxRemembered = 200_000;

/**
 * Makes the reader of a map's keys: from the comma-separated integers that bpftrace prints (a stack
 * is text, and comes last) to labels. It returns undefined for what isn't such a key. Where `walked`,
 * the key ends in a stack that isn't among the map's fields and tells the site. `later` is the label of
 * a field of that kind.
 */
export function keyReader(
  plan: Plan,
  map: KeyMap,
  names: Names,
  walked = false,
): (raw: string, later?: string) => SeriesKey | undefined {
  const fields = [...keyFields(map), ...(walked ? ["stack" as const] : [])];
  const remembered = new Map<string, SeriesKey>();
  const split = new Map<string, { chosen: number; values: KeyPart[] }>();
  // What a key is looked up as changes: only how it is written stays.
  const lookedUp = fields.some(isOutside);
  const rests = new Map(
    plan.counts.map((_, index) => {
      const place = plan.places[index]!;
      return [index, place.at === "map" ? place.rest : []];
    }),
  );
  const withClass = hasClass(map);
  return (raw, later) => {
    const known = remembered.get(raw);
    if (known !== undefined) return known;
    const parts = split.get(raw) ?? splitKey(raw, fields, withClass);
    if (parts === undefined) return undefined;
    const served = map.classes[parts.chosen];
    if (served === undefined) return undefined;
    const byField = new Map<FieldName, { label: string; slots: readonly bigint[] }>();
    for (const { field, slots, stack } of parts.values) {
      const { kind, label: labelOf } = fieldOf(field);
      const label = stack ??
        (kind === "later" && later !== undefined ? later : labelOf(slots, names));
      byField.set(field, { label, slots });
    }
    const stack = walked ? byField.get("stack")?.label : undefined;
    const labels = map.by.map((field) => {
      const { label } = byField.get(field)!;
      return field === "site" && stack !== undefined ? siteOfStack(stack) || label : label;
    });
    const counts = map.raw.length === 0
      ? served
      : served.filter((index) =>
        rests.get(index)!.every((test) => {
          const { label, slots } = byField.get(test.field)!;
          return holds(test, slots, test.field === "site" && stack ? siteOfStack(stack) : label);
        })
      );
    const key: SeriesKey = { text: labels.join(separator), labels, counts };
    if (remembered.size + split.size >= maxRemembered) {
      remembered.clear();
      split.clear();
    }
    if (lookedUp) split.set(raw, parts);
    else remembered.set(raw, key);
    return key;
  };
}

/** The flow of a drop, or of what was sent again: equal for equal ones. */
export function flowText(saddr: string, sport: string, daddr: string, dport: string): string {
  return `${saddr} ${sport} ${daddr} ${dport}`;
}

const flowFields = ["saddr", "daddr", "sport", "dport"] as const;

function flowOf(slots: ReadonlyMap<FieldName, readonly bigint[]>, names: Names): string {
  const label = (field: FieldName): string => fieldOf(field).label(slots.get(field)!, names);
  return flowText(label("saddr"), label("sport"), label("daddr"), label("dport"));
}

/** Reads the key of what TCP sent again; undefined for what isn't one. */
export function readFlow(raw: string, names: Names): string | undefined {
  const parts = splitKey(raw, flowFields, false);
  return parts && flowOf(new Map(parts.values.map(({ field, slots }) => [field, slots])), names);
}

/** What a key says of its flow, where it has to be known later whether it was sent on again. */
export interface KeyFlow {
  readonly flow: string;
  /** How often it was sent again in the same tick, before the drop. */
  readonly before: number;
}

/** Makes the reader of the flows in a map's keys; it returns undefined for a key that isn't TCP's. */
export function keyFlowReader(
  map: KeyMap,
  names: Names,
  walked = false,
): ((raw: string) => KeyFlow | undefined) | undefined {
  const fields = [...keyFields(map), ...(walked ? ["stack" as const] : [])];
  if (!fields.includes("retransmitted")) return undefined;
  return (raw) => {
    const part = splitKey(raw, fields, hasClass(map))?.values
      .find(({ field }) => field === "retransmitted");
    const before = part && fieldOf("retransmitted").label(part.slots, names);
    if (!before) return undefined;
    const { slots } = part;
    const flow = flowOf(
      new Map<FieldName, readonly bigint[]>([
        ["saddr", slots.slice(0, 2)],
        ["daddr", slots.slice(2, 4)],
        ["sport", slots.slice(4, 5)],
        ["dport", slots.slice(5, 6)],
      ]),
      names,
    );
    return { flow, before: Number(before) };
  };
}

/** A drop that was kept whole. */
export interface KeptDrop {
  readonly drop: Drop;
  /** Where in the deciding function: `udp_queue_rcv_one_skb+0x1a3`; "" where no frame tells. */
  readonly at: string;
}

/** Reads the key of a drop that was kept whole: its fields, and its stack at the end. */
export function readKept(
  raw: string,
  fields: readonly FieldName[],
  names: Names,
): KeptDrop | undefined {
  const parts = splitKey(raw, [...fields, "stack"], false);
  if (parts === undefined) return undefined;
  const drop: { [name: string]: string } = {};
  for (const { field, slots, stack } of parts.values) {
    drop[field] = stack ?? fieldOf(field).label(slots, names);
  }
  drop.site = siteOfStack(drop.stack ?? "");
  const at =
    framesOf(raw).find((frame) => bareFunction(frame.replace(/\+.*$/, "")) === drop.site) ?? "";
  return { drop: drop as Drop, at: withHexOffset(at) };
}

/** bpftrace prints offsets as decimals; the kernel's own messages have them as 0x1a3. */
function withHexOffset(frame: string): string {
  const [, name, offset] = /^(.+)\+(0x[0-9a-f]+|\d+)$/.exec(frame) ?? [];
  if (name === undefined || offset === undefined) return frame;
  return `${bareFunction(name)}+0x${Number(offset).toString(16)}`;
}

function framesOf(text: string): string[] {
  return text.split(/\\n|\n/).map((line) => line.trim()).filter((line) => line !== "");
}

interface KeyPart {
  readonly field: FieldName;
  readonly slots: readonly bigint[];
  readonly stack?: string;
}

function splitKey(
  raw: string,
  fields: readonly FieldName[],
  withClass: boolean,
): { chosen: number; values: KeyPart[] } | undefined {
  let rest = raw === "" ? undefined : raw;
  const integer = (): bigint | undefined => {
    if (rest === undefined) return undefined;
    const comma = rest.indexOf(",");
    const text = (comma === -1 ? rest : rest.slice(0, comma)).trim();
    rest = comma === -1 ? undefined : rest.slice(comma + 1);
    return /^-?\d{1,20}$/.test(text) ? BigInt(text) : undefined;
  };
  let chosen = 1;
  if (withClass) {
    const read = integer();
    if (read === undefined) return undefined;
    chosen = Number(read);
  }
  const numbers = new Map<string, bigint>();
  for (const slot of keySlots(fields.filter((field) => field !== "stack"))) {
    const read = integer();
    if (read === undefined) return undefined;
    numbers.set(slot, read);
  }
  const values = fields.map((field): KeyPart => {
    if (field === "stack") return { field, slots: [], stack: foldStack(rest ?? "") };
    return { field, slots: fieldOf(field).slots.map((slot) => numbers.get(slot)!) };
  });
  return rest === undefined || fields.includes("stack") ? { chosen, values } : undefined;
}

/**
 * bpftrace's stack (a frame a line, innermost first, indented; 0.23 escapes the newlines once more)
 * as a folded one: outermost first, joined by `;`, offsets and compiler's suffixes taken off.
 */
export function foldStack(text: string): string {
  return framesOf(text).map((frame) =>
    bareFunction(frame.replace(/\+(0x)?[0-9a-f]+$/, "")).replaceAll(";", ":")
  )
    .reverse().join(";");
}

/** The function that decided on a drop: the innermost of a folded stack that isn't plumbing. */
export function siteOfStack(stack: string): string {
  return stack.split(";").reverse().find((frame) => !plumbing.has(frame)) ?? "";
}

/** Whether a test holds for the integers of a key, or for its label where it asks for names. */
function holds(test: Test, slots: readonly bigint[], label: string): boolean {
  if ("names" in test) return test.names.includes(label) !== test.not;
  if ("ranges" in test) {
    const { kind, unknown = 0 } = fieldOf(test.field);
    if (kind !== "lookup") return inRanges(test.ranges, Number(slots[0] ?? 0n));
    return inRanges(test.ranges, label === "" ? unknown : Number(label));
  }
  return fitsMasks(test.masks, test.not, bigEndianOf(slots));
}

/** The sixteen bytes of two little-endian words, as a big-endian integer. */
function bigEndianOf(slots: readonly bigint[]): bigint {
  const bytes = new DataView(new ArrayBuffer(16));
  bytes.setBigUint64(0, BigInt.asUintN(64, slots[0] ?? 0n), true);
  bytes.setBigUint64(8, BigInt.asUintN(64, slots[1] ?? 0n), true);
  return (bytes.getBigUint64(0) << 64n) | bytes.getBigUint64(8);
}

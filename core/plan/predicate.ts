// Conditions on a packet's fields: from what a rule wrote to sets that both sides can test, the
// kernel by comparisons and masks, TypeScript by the same on a label.
import { addressBytes, noAddress } from "../drop/bytes.ts";
import { fieldNames, fieldOf, isFieldName } from "../drop/field.ts";
import type { FieldName, Names } from "../drop/field.ts";
import { knowledgeOf } from "../drop/reason.ts";
import { nearest } from "../nearest.ts";

/** Numbers from `lo` to `hi`, both of them in. */
export type Range = readonly [lo: number, hi: number];

/** Sixteen bytes, big-endian: those under `mask` are equal to `value`. */
export interface Mask {
  readonly mask: bigint;
  readonly value: bigint;
}

/**
 * One condition on one field.
 * - `ranges`: the number lies in one of them; they are sorted and don't touch. `reason`, `subsystem`
 *   and `class` are ranges of the reason's number.
 * - `masks`: one of the masks fits, or none does where `not`.
 * - `names`: of sites, which only the machine can turn into ranges of addresses; or of what a key is
 *   looked up as.
 */
export type Test =
  | { readonly field: FieldName; readonly ranges: readonly Range[] }
  | { readonly field: FieldName; readonly masks: readonly Mask[]; readonly not: boolean }
  | { readonly field: FieldName; readonly names: readonly string[]; readonly not: boolean };

/** All tests must hold. */
export type Predicate = readonly Test[];

/** A mistake in a condition: what, its value, what would be right. */
export interface Mistake {
  readonly what: string;
  readonly value: unknown;
  readonly expected: string;
  readonly nearest: readonly string[];
}

/** What names mean on the kernel whose drops are watched. */
export interface ReasonWorld {
  /** All reasons by number. */
  readonly reasons: ReadonlyMap<number, string>;
  /** All subsystems by number. */
  readonly subsystems: ReadonlyMap<number, string>;
  readonly names: Names;
  /** The kernel's functions, read when first asked for; undefined where they aren't known. */
  readonly functions?: (() => ReadonlySet<string>) | undefined;
}

const largestReason = 0xffff_ffff;

/**
 * Reads the `where` of a rule; several objects are joined by "and". `missing` are reasons in lists that
 * dropwatch knows and this kernel hasn't got, beside others that it has: they are left out.
 */
export function readPredicate(
  wheres: readonly Readonly<Record<string, unknown>>[],
  world: ReasonWorld,
): { predicate: Test[]; mistakes: Mistake[]; missing: string[] } {
  const missing: string[] = [];
  const predicate: Test[] = [];
  const mistakes: Mistake[] = [];
  for (const where of wheres) {
    for (const [name, value] of Object.entries(where)) {
      if (!isFieldName(name)) {
        mistakes.push({
          what: "unknown field",
          value: name,
          expected: "there is no such field",
          nearest: nearest(name, fieldNames),
        });
        continue;
      }
      const read = readTest(name, value, world, missing);
      if ("expected" in read) mistakes.push(read);
      else predicate.push(read);
    }
  }
  return { predicate, mistakes, missing };
}

function readTest(
  field: FieldName,
  value: unknown,
  world: ReasonWorld,
  missing: string[],
): Test | Mistake {
  switch (fieldOf(field).kind) {
    case "reason":
      return readReasonTest(field, value, world, missing);
    case "number":
      return readNumberTest(field, value);
    case "bytes":
      return readBytesTest(field, value);
    case "site":
      return readSiteTest(field, value, world);
    case "later":
      return readNamesTest(field, value);
    case "lookup":
      return fieldOf(field).max === undefined
        ? readNamesTest(field, value)
        : readNumberTest(field, value);
    case "stack":
      return mistake(field, value, `"stack" can be in by(), not in where()`);
  }
}

function mistake(
  field: string,
  value: unknown,
  expected: string,
  names: readonly string[] = [],
): Mistake {
  return { what: `bad ${field}`, value, expected, nearest: names };
}

/** `value`, `[values]`, `{ not: value }` or `{ not: [values] }` as a list and a sign. */
function listOf(value: unknown): { values: readonly unknown[]; not: boolean } | undefined {
  if (Array.isArray(value)) return value.length === 0 ? undefined : { values: value, not: false };
  if (typeof value === "string" || typeof value === "number") {
    return { values: [value], not: false };
  }
  if (typeof value === "object" && value !== null && Object.keys(value).join() === "not") {
    const { not } = value as { not: unknown };
    const inner = typeof not === "object" && !Array.isArray(not) ? undefined : listOf(not);
    return inner && { values: inner.values, not: true };
  }
  return undefined;
}

function readReasonTest(
  field: FieldName,
  value: unknown,
  world: ReasonWorld,
  missing: string[],
): Test | Mistake {
  const list = listOf(value);
  if (list === undefined) {
    return mistake(field, value, `expected a name, a list of names, or { not: … }`);
  }
  const ranges: Range[] = [];
  const elsewhere: Mistake[] = [];
  for (const name of list.values) {
    if (typeof name !== "string") return mistake(field, name, "expected a name");
    const found = reasonRanges(field, name, world);
    if (!("expected" in found)) ranges.push(...found);
    // Right on another kernel.
    else if (field === "reason" && knowledgeOf(name) !== undefined) elsewhere.push(found);
    else return found;
  }
  if (ranges.length === 0 && elsewhere[0] !== undefined) return elsewhere[0];
  missing.push(...elsewhere.map(({ value }) => String(value)));
  const joined = joinRanges(ranges);
  return { field, ranges: list.not ? complement(joined, 0, largestReason) : joined };
}

function reasonRanges(field: FieldName, name: string, world: ReasonWorld): Range[] | Mistake {
  if (field === "subsystem") {
    const ranges = [...world.subsystems].filter(([, known]) => known === name)
      .map(([id]): Range => [id * 65536, id * 65536 + 65535]);
    return ranges.length > 0 ? ranges : mistake(
      field,
      name,
      "this kernel has no such subsystem",
      nearest(name, world.subsystems.values()),
    );
  }
  if (field === "class") {
    const classes = ["fault", "policy", "teardown", "normal", "unknown"];
    if (!classes.includes(name)) {
      return mistake(field, name, `expected one of ${classes.join(", ")}`, nearest(name, classes));
    }
    return classRanges(name, world);
  }
  const ids = [...world.reasons].filter(([, known]) => known === name);
  if (ids.length > 0) return ids.map(([id]): Range => [id, id]);
  const bare = name.replace(/^SKB_DROP_REASON_/, "");
  return mistake(
    field,
    name,
    "this kernel has no such drop reason",
    nearest(bare, world.reasons.values()),
  );
}

/** The numbers of a class: those with a name one by one, and the rest of a subsystem as a whole. */
function classRanges(wanted: string, world: ReasonWorld): Range[] {
  const { classOf } = world.names;
  const named = joinRanges([...world.reasons.keys()].map((id): Range => [id, id]));
  const known = joinRanges(
    [...world.subsystems.keys()].map((id): Range => [id * 65536, id * 65536 + 65535]),
  );
  const subsystems = [...world.subsystems.keys()]
    .map((id): Range => [id * 65536, id * 65536 + 65535]);
  const nameless = [...subsystems, ...complement(known, 0, largestReason)].flatMap(([lo, hi]) => {
    const rest = complement(named.filter(([id]) => id >= lo && id <= hi), lo, hi);
    return rest.length > 0 && classOf(rest[0]![0]) === wanted ? rest : [];
  });
  const ids = [...world.reasons.keys()].filter((id) => classOf(id) === wanted);
  return [...nameless, ...ids.map((id): Range => [id, id])];
}

function readNumberTest(field: FieldName, value: unknown): Test | Mistake {
  const { named, max = Number.MAX_SAFE_INTEGER, unknown = 0 } = fieldOf(field);
  const number = (one: unknown): number | Mistake => {
    if (typeof one === "number" && Number.isInteger(one) && one >= 0 && one <= max) return one;
    if (typeof one === "string" && named !== undefined) {
      if (Object.hasOwn(named, one)) return named[one]!;
      const hex = /^(0x[0-9a-f]+|\d+)$/.test(one) ? Number(one) : NaN;
      if (hex <= max) return hex;
      return mistake(field, one, "there is no such name", nearestSet(one, Object.keys(named)));
    }
    return mistake(
      field,
      one,
      named === undefined ? `expected a whole number from 0 to ${max}` : "expected a name",
    );
  };
  const list = listOf(value);
  if (list !== undefined) {
    const ranges: Range[] = [];
    for (const each of list.values) {
      const read = number(each);
      if (typeof read !== "number") return read;
      ranges.push([read, read]);
    }
    const joined = joinRanges(ranges);
    const top = Math.max(max, unknown);
    return { field, ranges: list.not ? complement(joined, 0, top) : joined };
  }
  if (
    typeof value === "object" && value !== null && !Array.isArray(value) && named === undefined
  ) {
    // A packet that doesn't tell lies in no range, also where that is written as a zero.
    const least = fieldOf(field).unknown === 0 ? 1 : 0;
    return readRange(field, value as Record<string, unknown>, number, least, max);
  }
  return mistake(
    field,
    value,
    named === undefined
      ? `expected a number, a list, { not: … }, or a range such as { gte: 1, lte: 9 }`
      : `expected a name, a list of names, or { not: … }`,
  );
}

const rangeKeys = ["gte", "gt", "lte", "lt"];

/** The nearest names; for a set such as `ACK|SYN` the one that has the same parts. */
function nearestSet(name: string, names: readonly string[]): readonly string[] {
  const parts = (set: string): string => set.split("|").sort().join("|");
  const same = names.filter((known) => parts(known) === parts(name));
  return same.length > 0 ? same : nearest(name, names);
}

function readRange(
  field: FieldName,
  value: Record<string, unknown>,
  number: (one: unknown) => number | Mistake,
  least: number,
  max: number,
): Test | Mistake {
  let [lo, hi] = [least, max];
  if (Object.keys(value).length === 0) return mistake(field, value, "the range is empty");
  for (const [key, bound] of Object.entries(value)) {
    if (!rangeKeys.includes(key)) {
      return mistake(field, key, "expected gte, gt, lte or lt", nearest(key, rangeKeys));
    }
    const read = number(bound);
    if (typeof read !== "number") return read;
    if (key === "gte") lo = Math.max(lo, read);
    else if (key === "gt") lo = Math.max(lo, read + 1);
    else if (key === "lte") hi = Math.min(hi, read);
    else hi = Math.min(hi, read - 1);
  }
  if (lo > hi) return mistake(field, JSON.stringify(value), "nothing lies in this range");
  return { field, ranges: [[lo, hi]] };
}

function readBytesTest(field: FieldName, value: unknown): Test | Mistake {
  const isAddress = fieldOf(field).bytes === "address";
  const prefix = !isAddress && typeof value === "object" && value !== null &&
      Object.keys(value).join() === "prefix"
    ? (value as { prefix: unknown }).prefix
    : undefined;
  if (prefix !== undefined) {
    const masks = readEach(prefix, (one) => textMask(one, true));
    return masks === undefined
      ? mistake(field, prefix, "expected a prefix of 1 to 15 bytes")
      : { field, masks, not: false };
  }
  const list = listOf(value);
  const masks = list && readEach([...list.values], isAddress ? addressMask : textMask);
  if (list === undefined || masks === undefined) {
    return mistake(
      field,
      value,
      isAddress
        ? `expected an address such as "192.0.2.1" or "2001:db8::1", a CIDR such as "10.0.0.0/8", ` +
          `a list of them, or { not: … }`
        : `expected a name of at most 15 bytes, a list of names, { prefix: … }, or { not: … }`,
    );
  }
  const withIpv4 = isAddress ? list.values.find(holdsIpv4) : undefined;
  if (withIpv4 !== undefined) {
    return mistake(
      field,
      withIpv4,
      'it holds the IPv4 addresses too, ::ffff:0:0/96; for all of IPv6 ask { protocol: "IPv6" }',
    );
  }
  return { field, masks, not: list.not };
}

/** Whether an IPv6 network is so large that packets of IPv4, and those without an address, are in it. */
function holdsIpv4(value: unknown): boolean {
  const mask = value === "" ? undefined : addressMask(value);
  return mask !== undefined && (bigEndian(noAddress) & mask.mask) === mask.value;
}

function readEach(value: unknown, read: (one: unknown) => Mask | undefined): Mask[] | undefined {
  const masks = (Array.isArray(value) ? value : [value]).map((one) => read(one));
  return masks.length > 0 && masks.every((mask) => mask !== undefined) ? masks : undefined;
}

function bigEndian(bytes: Uint8Array): bigint {
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

const allBits = (1n << 128n) - 1n;

/** The mask of the first `bits` bits of sixteen bytes. */
function leadingBits(bits: number): bigint {
  return bits === 0 ? 0n : allBits ^ ((1n << BigInt(128 - bits)) - 1n);
}

function textMask(value: unknown, prefix = false): Mask | undefined {
  if (typeof value !== "string") return undefined;
  const encoded = new TextEncoder().encode(value);
  if (encoded.length > 15 || encoded.includes(0) || (prefix && encoded.length === 0)) {
    return undefined;
  }
  const bytes = new Uint8Array(16);
  bytes.set(encoded);
  // Equal means: up to and with the NUL at the end. What follows it is left over.
  const mask = leadingBits(8 * (encoded.length + (prefix ? 0 : 1)));
  return { mask, value: bigEndian(bytes) & mask };
}

function addressMask(value: unknown): Mask | undefined {
  if (typeof value !== "string") return undefined;
  if (value === "") return { mask: allBits, value: bigEndian(noAddress) };
  const [text = "", length, ...more] = value.split("/");
  const bytes = addressBytes(text);
  if (bytes === undefined || more.length > 0) return undefined;
  const isV4 = !text.includes(":");
  const width = isV4 ? 32 : 128;
  if (length !== undefined && (!/^\d{1,3}$/.test(length) || Number(length) > width)) {
    return undefined;
  }
  const mask = leadingBits((length === undefined ? width : Number(length)) + (isV4 ? 96 : 0));
  return { mask, value: bigEndian(bytes) & mask };
}

const longestName = 255;

function readNamesTest(field: FieldName, value: unknown): Test | Mistake {
  const list = listOf(value);
  const names = list?.values.filter((name) => typeof name === "string");
  if (list === undefined || names?.length !== list.values.length) {
    return mistake(field, value, "expected a name, a list of names, or { not: … }");
  }
  const { choices } = fieldOf(field);
  const stranger = names.find((name) => choices?.includes(name) === false && name !== "");
  if (choices !== undefined && stranger !== undefined) {
    return mistake(
      field,
      stranger,
      `expected one of ${choices.join(", ")}`,
      nearest(stranger, choices),
    );
  }
  const long = names.find((name) => name.length > longestName);
  if (long !== undefined) {
    return mistake(field, long, `expected a name of at most ${longestName} characters`);
  }
  return { field, names, not: list.not };
}

function readSiteTest(field: FieldName, value: unknown, world: ReasonWorld): Test | Mistake {
  const list = listOf(value);
  const names = list?.values.filter((name) => typeof name === "string" && /^[\w.]+$/.test(name));
  if (list === undefined || names?.length !== list.values.length) {
    return mistake(field, value, "expected the name of a kernel function, a list, or { not: … }");
  }
  const functions = world.functions?.();
  const stranger = names.find((name) => functions?.has(name as string) === false) as string;
  if (stranger !== undefined) {
    return mistake(
      field,
      stranger,
      "this kernel, with the modules that are loaded, has no such function",
      nearest(stranger, functions!),
    );
  }
  return { field, names: names as string[], not: list.not };
}

/** Sorted, without overlap, neighbours joined. */
export function joinRanges(ranges: readonly Range[]): Range[] {
  const joined: [number, number][] = [];
  for (const [lo, hi] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = joined.at(-1);
    if (last !== undefined && lo <= last[1] + 1) last[1] = Math.max(last[1], hi);
    else joined.push([lo, hi]);
  }
  return joined;
}

/** All numbers from `lo` to `hi` that aren't in `ranges` (sorted, without overlap). */
export function complement(ranges: readonly Range[], lo: number, hi: number): Range[] {
  const rest: Range[] = [];
  let next = lo;
  for (const [from, to] of ranges) {
    if (from > next) rest.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= hi) rest.push([next, hi]);
  return rest;
}

/** Whether a number lies in one of sorted ranges. */
export function inRanges(ranges: readonly Range[], n: number): boolean {
  return ranges.some(([lo, hi]) => n >= lo && n <= hi);
}

/** Whether one of the masks fits, turned round where `not`. */
export function fitsMasks(masks: readonly Mask[], not: boolean, value: bigint): boolean {
  return masks.some((mask) => (value & mask.mask) === mask.value) !== not;
}

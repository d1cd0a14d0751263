// Reads what we need of the kernel's type information (BTF): the values of an enum, and where the
// members of a struct lie. It is readable without root, and takes a tenth of the time that asking
// bpftrace would. The format: Documentation/bpf/btf.rst.

/** A parsed BTF blob; a module's is split: its names and types begin after those of vmlinux. */
export interface Btf {
  readonly bytes: Uint8Array;
  readonly types: { readonly start: number; readonly end: number };
  readonly strings: { readonly start: number; readonly end: number };
  /** Length of the strings of vmlinux, which come first; 0 for vmlinux itself. */
  readonly before: number;
  /** That of vmlinux, which a module's refers to; undefined for vmlinux itself. */
  readonly base: Btf | undefined;
}

const kinds = { pointer: 2, array: 3, struct: 4, union: 5, enum: 6, enum64: 19 } as const;
/** typedef, volatile, const, restrict, type tag: they stand for another type. */
const aliases: readonly number[] = [8, 9, 10, 11, 18];
/** Bytes after a type's 12: [fixed, for each of its vlen members], by kind. */
const sizes: readonly (readonly [number, number])[] = [
  [0, 0],
  [4, 0],
  [0, 0],
  [12, 0],
  [0, 12],
  [0, 12],
  [0, 8],
  [0, 0],
  [0, 0],
  [0, 0], // void … volatile
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 8],
  [4, 0],
  [0, 12],
  [0, 0],
  [4, 0],
  [0, 0],
  [0, 12], // const … enum64
];

/** Reads the header; throws RangeError for what is no BTF. */
export function parseBtf(bytes: Uint8Array, base?: Btf): Btf {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 24 || view.getUint16(0, true) !== 0xeb9f) {
    throw new RangeError("Cannot read BTF: the magic number is missing");
  }
  const header = view.getUint32(4, true);
  const typeStart = header + view.getUint32(8, true);
  const stringStart = header + view.getUint32(16, true);
  return {
    bytes,
    types: { start: typeStart, end: typeStart + view.getUint32(12, true) },
    strings: { start: stringStart, end: stringStart + view.getUint32(20, true) },
    before: base === undefined ? 0 : base.strings.end - base.strings.start,
    base,
  };
}

/** The offset of a name, as types refer to it; -1 where no type can have it. */
function nameOffset(btf: Btf, name: string): number {
  const wanted = new TextEncoder().encode(`${name}\0`);
  const { start, end } = btf.strings;
  const strings = Buffer.from(btf.bytes.buffer, btf.bytes.byteOffset + start, end - start);
  let at = strings.indexOf(wanted);
  // A module's strings begin with the first of them, those of vmlinux with an empty one.
  while (at > 0 && strings[at - 1] !== 0) at = strings.indexOf(wanted, at + 1);
  if (at !== -1) return btf.before + at;
  // What vmlinux has a string for isn't repeated.
  return btf.base === undefined ? -1 : nameOffset(btf.base, name);
}

function nameAt(btf: Btf, offset: number): string {
  if (offset < btf.before && btf.base !== undefined) return nameAt(btf.base, offset);
  const from = btf.strings.start + offset - btf.before;
  return new TextDecoder().decode(btf.bytes.subarray(from, btf.bytes.indexOf(0, from)));
}

/** Calls `visit` for each type of the kinds that have the name. */
function find(
  btf: Btf,
  name: string,
  wanted: readonly number[],
  visit: (view: DataView, at: number, kind: number, vlen: number) => void,
): void {
  const offset = nameOffset(btf, name);
  if (offset === -1) return;
  const view = new DataView(btf.bytes.buffer, btf.bytes.byteOffset, btf.bytes.byteLength);
  for (let at = btf.types.start; at < btf.types.end;) {
    const info = view.getUint32(at + 4, true);
    const kind = (info >>> 24) & 0x1f;
    const vlen = info & 0xffff;
    const size = sizes[kind];
    if (size === undefined) throw new RangeError(`Cannot read BTF: kind ${kind} is unknown`);
    if (wanted.includes(kind) && view.getUint32(at, true) === offset) visit(view, at, kind, vlen);
    at += 12 + size[0] + size[1] * vlen;
  }
}

/** The values of an enum, name → number (its low 32 bits); empty where there is no such enum. */
export function enumValues(btf: Btf, name: string): Map<string, number> {
  const values = new Map<string, number>();
  find(btf, name, [kinds.enum, kinds.enum64], (view, at, kind, vlen) => {
    const step = kind === kinds.enum ? 8 : 12;
    for (let i = 0; i < vlen; i++) {
      const member = at + 12 + i * step;
      values.set(nameAt(btf, view.getUint32(member, true)), view.getUint32(member + 4, true));
    }
  });
  return values;
}

/** A member's place, as {@linkcode findMembers} gives it. */
interface Found {
  readonly offset: number;
  readonly size: number;
}

/**
 * Where members lie in their structs: `sock.__sk_common.skc_state` → offset and size in bytes.
 * Anonymous structs and unions are looked into; bit fields, and what isn't there, are left out.
 */
export function findMembers<Name extends string>(
  btf: Btf,
  names: readonly Name[],
): Map<Name, Found> {
  const view = new DataView(btf.bytes.buffer, btf.bytes.byteOffset, btf.bytes.byteLength);
  const structs = new Map(names.map((name) => [nameOffset(btf, name.split(".")[0]!), -1]));
  const places = typePlaces(btf, view, structs);
  const found = new Map<Name, Found>();
  for (const name of names) {
    const [struct, ...path] = name.split(".");
    const start = structs.get(nameOffset(btf, struct!)) ?? -1;
    const member = start === -1 ? undefined : follow(btf, view, places, start, path);
    if (member !== undefined) found.set(name, member);
  }
  return found;
}

/**
 * Where each type begins, by its id; 0 is void. Fills in where the structs of these names begin: of
 * several the first that has members.
 */
function typePlaces(btf: Btf, view: DataView, structs: Map<number, number>): readonly number[] {
  const places = [0];
  for (let at = btf.types.start; at < btf.types.end;) {
    places.push(at);
    const info = view.getUint32(at + 4, true);
    const kind = (info >>> 24) & 0x1f;
    const vlen = info & 0xffff;
    const size = sizes[kind];
    if (size === undefined) throw new RangeError(`Cannot read BTF: kind ${kind} is unknown`);
    if (kind === kinds.struct && vlen > 0) {
      const name = view.getUint32(at, true);
      if (structs.get(name) === -1) structs.set(name, at);
    }
    at += 12 + size[0] + size[1] * vlen;
  }
  return places;
}

function kindAt(view: DataView, at: number): number {
  return (view.getUint32(at + 4, true) >>> 24) & 0x1f;
}

function follow(
  btf: Btf,
  view: DataView,
  places: readonly number[],
  struct: number,
  path: readonly string[],
): Found | undefined {
  const [name, ...rest] = path;
  const wanted = nameOffset(btf, name ?? "");
  const info = view.getUint32(struct + 4, true);
  const hasBits = info >>> 31 === 1;
  for (let i = 0; i < (info & 0xffff); i++) {
    const member = struct + 12 + i * 12;
    const bits = view.getUint32(member + 8, true);
    const offset = (hasBits ? bits & 0xffffff : bits) / 8;
    let type = places[view.getUint32(member + 4, true)]!;
    while (aliases.includes(kindAt(view, type))) type = places[view.getUint32(type + 8, true)]!;
    const isNested = kindAt(view, type) === kinds.struct || kindAt(view, type) === kinds.union;
    const named = view.getUint32(member, true);
    if (named === 0 && isNested) {
      const inside = follow(btf, view, places, type, path);
      if (inside !== undefined) return { offset: offset + inside.offset, size: inside.size };
    } else if (named === wanted) {
      if (rest.length > 0) {
        const inside = isNested ? follow(btf, view, places, type, rest) : undefined;
        return inside && { offset: offset + inside.offset, size: inside.size };
      }
      if (hasBits && bits >>> 24 !== 0) return undefined;
      return { offset, size: sizeOf(view, places, type) };
    }
  }
  return undefined;
}

/** Bytes of a type; an array's are its elements'. */
function sizeOf(view: DataView, places: readonly number[], at: number): number {
  const kind = kindAt(view, at);
  if (kind === kinds.pointer) return 8;
  if (kind !== kinds.array) return view.getUint32(at + 8, true);
  let element = places[view.getUint32(at + 12, true)]!;
  while (aliases.includes(kindAt(view, element))) {
    element = places[view.getUint32(element + 8, true)]!;
  }
  return view.getUint32(at + 20, true) * sizeOf(view, places, element);
}

// Sixteen bytes as two integers: how an address and a name travel in a key. The kernel's side reads
// memory as two little-endian 64-bit words, and only numbers ever leave it: whatever a stranger
// put into a name, it can't forge a line, a key or a count.
import { isIP } from "node:net";

/**
 * ::fffe:0:0 stands for no address. Nobody has it, and it lies beside the IPv4 addresses: a network
 * that somebody asks for holds both or neither.
 */
export const noAddress: Uint8Array = Uint8Array.of(
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  255,
  254,
  0,
  0,
  0,
  0,
);
const [noAddressHi, noAddressLo] = wordsOf(noAddress);
const mapped = 0xffff_0000n;
/** A byte order mark is a part of the name too: without it two names would look the same. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The bytes of two words, as they lie in memory. */
export function bytesOf(hi: bigint, lo: bigint): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt.asUintN(64, hi), true);
  view.setBigUint64(8, BigInt.asUintN(64, lo), true);
  return bytes;
}

/** Two words of sixteen bytes. */
export function wordsOf(bytes: Uint8Array): [hi: bigint, lo: bigint] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  return [view.getBigUint64(0, true), view.getBigUint64(8, true)];
}

/**
 * A name of at most 15 bytes. What follows the first NUL is left over from a longer name, and is
 * not looked at; bytes that are no UTF-8 become U+FFFD.
 */
export function bytesText(hi: bigint, lo: bigint): string {
  const bytes = bytesOf(hi, lo);
  const end = bytes.indexOf(0);
  return decoder.decode(bytes.subarray(0, end === -1 ? 16 : end));
}

/** Bytes as text; those that are no UTF-8 become U+FFFD, as in {@linkcode bytesText}. */
export function utf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** An address as text: dotted for IPv4, RFC 5952 for IPv6, "" for none. */
export function addressText(hi: bigint, lo: bigint): string {
  const high = BigInt.asUintN(64, hi);
  const low = BigInt.asUintN(64, lo);
  if (high === noAddressHi && low === noAddressLo) return "";
  const bytes = bytesOf(high, low);
  if (high === 0n && (low & 0xffff_ffffn) === mapped) return bytes.subarray(12).join(".");
  return ipv6Text(bytes);
}

/** RFC 5952: lower case, no leading zeros, the first longest run of two or more zeros as `::`. */
function ipv6Text(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = (part: readonly number[]): string => part.map((g) => g.toString(16)).join(":");
  if (best.start === -1) return hex(groups);
  return `${hex(groups.slice(0, best.start))}::${hex(groups.slice(best.start + best.length))}`;
}

/** The sixteen bytes of an address, IPv4 as ::ffff:a.b.c.d; undefined where it is none. */
export function addressBytes(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(16);
  const version = isIP(text);
  if (version === 4) {
    bytes.set([0xff, 0xff], 10);
    bytes.set(text.split(".").map(Number), 12);
    return bytes;
  }
  if (version !== 6 || text.includes("%")) return undefined;
  let groups = text;
  const dotted = groups.match(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/);
  if (dotted !== null) {
    const [a, b, c, d] = dotted.slice(1).map(Number) as [number, number, number, number];
    const tail = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
    groups = groups.slice(0, dotted.index) + tail;
  }
  const [left = "", right] = groups.split("::");
  const head = left === "" ? [] : left.split(":");
  const tail = right === undefined || right === "" ? [] : right.split(":");
  const middle = Array<string>(8 - head.length - tail.length).fill("0");
  [...head, ...middle, ...tail].forEach((group, i) => {
    const value = parseInt(group, 16);
    bytes[2 * i] = value >> 8;
    bytes[2 * i + 1] = value & 0xff;
  });
  return bytes;
}

// Ethernet frames with a wrong checksum, which no socket would send.
import type { Endpoint } from "./address.ts";
import { familyOf, wireBytes } from "./address.ts";

/** A UDP or TCP packet from and to somewhere. */
export interface Packet {
  readonly l4: "UDP" | "TCP";
  readonly from: Endpoint & { readonly mac: string };
  readonly to: Endpoint & { readonly mac: string };
  /** Bytes behind the transport's header. */
  readonly size: number;
}

const protocols = { UDP: 17, TCP: 6 };

/** A frame in which all is right but for the checksum of UDP, or of TCP (a SYN). */
export function wronglySummed({ l4, from, to, size }: Packet): Uint8Array {
  const [source, target] = [wireBytes(from.address), wireBytes(to.address)];
  const transport = new Uint8Array((l4 === "UDP" ? 8 : 20) + size);
  const view = new DataView(transport.buffer);
  view.setUint16(0, from.port);
  view.setUint16(2, to.port);
  if (l4 === "UDP") view.setUint16(4, transport.length);
  else view.setUint16(12, 0x5002); // Five words of header, SYN.
  const pseudo = Uint8Array.of(...source, ...target, 0, protocols[l4], ...word(transport.length));
  const right = checksum(Uint8Array.of(...pseudo, ...transport));
  // 0 would mean that a UDP packet over IPv4 has none.
  view.setUint16(l4 === "UDP" ? 6 : 16, right === 0x1234 ? 0x4321 : 0x1234);
  const six = familyOf(from.address) === 6;
  const ip = six
    ? [0x60, 0, 0, 0, ...word(transport.length), protocols[l4], 64, ...source, ...target]
    : [0x45, 0, ...word(20 + transport.length), 0, 0, 0, 0, 64, protocols[l4], 0, 0]
      .concat(...source, ...target);
  if (!six) ip.splice(10, 2, ...word(checksum(Uint8Array.from(ip))));
  const ethernet = [...macBytes(to.mac), ...macBytes(from.mac), ...word(six ? 0x86dd : 0x0800)];
  return Uint8Array.of(...ethernet, ...ip, ...transport);
}

/** RFC 1071: the complement of the sum of all 16-bit words. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  bytes.forEach((byte, i) => sum += i % 2 === 0 ? byte << 8 : byte);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function word(value: number): [number, number] {
  return [value >> 8, value & 0xff];
}

function macBytes(mac: string): number[] {
  return mac.split(":").map((part) => parseInt(part, 16));
}

// Where to send, as the kernel takes it: a sockaddr's bytes.
import { addressBytes } from "../../core/drop/bytes.ts";
import { sys } from "../libc.ts";

/** An IP address and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Whether an address is one of IPv4 or of IPv6. */
export function familyOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

/** The bytes of an address, in the order in which they are sent. */
export function wireBytes(address: string): Uint8Array {
  const bytes = addressBytes(address) ?? new Uint8Array(16);
  return familyOf(address) === 6 ? bytes : bytes.subarray(12);
}

/** struct sockaddr_in, or sockaddr_in6. */
export function socketAddress({ address, port }: Endpoint): Uint8Array {
  const six = familyOf(address) === 6;
  const bytes = new Uint8Array(six ? 28 : 16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, six ? sys.AF_INET6 : sys.AF_INET, true);
  view.setUint16(2, port);
  bytes.set(wireBytes(address), six ? 8 : 4);
  return bytes;
}

/** The port of a sockaddr. */
export function portOf(address: Uint8Array): number {
  return (address[2]! << 8) | address[3]!;
}

/** struct sockaddr_ll: whole frames out of a device. */
export function linkAddress(device: number): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, sys.AF_PACKET, true);
  view.setInt32(4, device, true);
  bytes[11] = 6;
  return bytes;
}

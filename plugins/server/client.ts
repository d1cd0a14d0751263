// Who asks: the address behind a connection, as limits count it.
import { addressBytes } from "../../core/drop/bytes.ts";

const v4Prefix = "00000000000000000000ffff";

/**
 * The name under which an address is counted: an IPv4 address as it is, an IPv6 one by its /64, since
 * whoever has one of these has all of it; `unix` where there is none.
 */
export function clientOf(address: string | undefined): string {
  if (address === undefined || address === "") return "unix";
  const bytes = addressBytes(address.split("%")[0]!);
  if (bytes === undefined) return "unknown";
  const hex = Buffer.from(bytes).toString("hex");
  // As a socket of both families tells IPv4.
  if (hex.startsWith(v4Prefix)) return bytes.subarray(12).join(".");
  return `${hex.slice(0, 16).replace(/(.{4})(?!$)/g, "$1:")}::/64`;
}

/** The client of an answer went away, or doesn't read it: nobody has to be told. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

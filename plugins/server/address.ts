// Where the server listens: what was written, taken apart.
import { isIP } from "node:net";
import { addressBytes } from "../../core/drop/bytes.ts";
import { badAddress } from "../../core/error.ts";

/** An address of TCP, or a unix socket's path. */
export type Address =
  | {
    readonly kind: "tcp";
    /** An IP address, or a name that the system resolves. */
    readonly host: string;
    /** 0 for any that is free. */
    readonly port: number;
    /** How others reach it: this machine alone, one address, or every address there is. */
    readonly reach: "loopback" | "one" | "every";
  }
  | { readonly kind: "unix"; readonly path: string };

/** sockaddr_un has 108 bytes, the last of which is 0. */
const longestPath = 107;

/**
 * Takes an address apart: `8787` and `localhost:8787` (this machine only), `192.0.2.1:8787`,
 * `[::1]:8787`, `:8787` (every address), `unix:/run/dropwatch.sock`.
 *
 * @throws DropwatchError BAD_ADDRESS.
 *
 * @example
 * ```ts
 * parseAddress("[::1]:0"); // { kind: "tcp", host: "::1", port: 0, reach: "loopback" }
 * ```
 */
export function parseAddress(text: string): Address {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (!path.startsWith("/") || path.includes("\0") || Buffer.byteLength(path) > longestPath) {
      throw badAddress(text);
    }
    return { kind: "unix", path };
  }
  const match = /^(?:(?:\[([^\]]*)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text);
  if (match === null || Number(match[3]) > 65_535) throw badAddress(text);
  const [, v6, name, digits] = match;
  if (v6 !== undefined && isIP(v6) !== 6) throw badAddress(text);
  const port = Number(digits);
  const host = v6 ?? (name === undefined ? "127.0.0.1" : name === "" ? "::" : hostOf(name));
  if (host === undefined) throw badAddress(text);
  return { kind: "tcp", host, port, reach: reachOf(host) };
}

/** An IPv4 address or a name; undefined for what is neither, such as `1.2.3` and `a b`. */
function hostOf(name: string): string | undefined {
  const lower = name.toLowerCase();
  if (lower === "localhost") return "127.0.0.1";
  if (isIP(lower) === 4) return lower;
  const labels = lower.split(".");
  // What ends in a number is meant to be an address (RFC 3986: no name does).
  const isName = lower.length <= 253 && !/^\d+$/.test(labels.at(-1)!) &&
    labels.every((label) => /^[a-z\d]([a-z\d_-]{0,61}[a-z\d])?$/.test(label));
  return isName ? lower : undefined;
}

function reachOf(host: string): "loopback" | "one" | "every" {
  // One address, in all the ways that it can be written.
  const bytes = addressBytes(host.split("%")[0]!);
  if (bytes === undefined) return "one";
  const hex = Buffer.from(bytes).toString("hex");
  if (hex === every4 || hex === every6) return "every";
  return hex === loopback6 || hex.startsWith(loopback4) ? "loopback" : "one";
}

const loopback6 = "1".padStart(32, "0");
const every6 = "0".repeat(32);
/** 127.0.0.0/8 and 0.0.0.0 as IPv6 has them. */
const loopback4 = "ffff7f".padStart(26, "0");
const every4 = "ffff00000000".padStart(32, "0");

/** `HOST:PORT` as it stands in a URL. */
export function hostAndPort(host: string, port: number): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

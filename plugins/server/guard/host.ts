// A web page can let its own name lead to this machine (DNS rebinding), and is of the same origin as
// the server then, for the browser. Its name is in `Host` all the same.
import { isIP } from "node:net";
import { hostname } from "node:os";
import type { MiddlewareHandler } from "hono";
import { foreignHost } from "../../../core/error.ts";
import type { Address } from "../address.ts";
import type { Asking } from "../asking.ts";

/** What the server is called. */
export interface Names {
  /**
   * Whether a `Host` (`NAME`, `NAME:PORT`) is one of this server's. Its port may be any: that of a tunnel
   * is another one, and no page's name becomes ours by it.
   */
  has(host: string): boolean;
  /** Whether a page of that host, and port, is one of the server's own, whatever `Host` it asks with. */
  hasPages(host: string): boolean;
}

/**
 * The names of a server that listens on `address`, with the port that it has got: the address itself and
 * the machine's name; those of loopback, where it listens there; and the hosts that are allowed, with the
 * port that they are written with, or any port where there is none.
 */
export function namesOf(
  { address, port, allowedHosts }: {
    readonly address: Address;
    readonly port: number;
    readonly allowedHosts: readonly string[];
  },
): Names {
  const allowed = new Set(allowedHosts.map((host) => host.toLowerCase()));
  const isAllowed = (host: string): boolean => allowed.has(host) || allowed.has(nameIn(host));
  // Browsers don't reach it, and what does (a proxy) has names of its own.
  if (address.kind === "unix") {
    return { has: () => true, hasPages: (host) => isAllowed(host.toLowerCase()) };
  }
  const loopback = ["localhost", "127.0.0.1", "[::1]"];
  const self = isIP(address.host) === 6 ? `[${address.host}]` : address.host;
  const names = new Set(
    address.reach === "loopback"
      ? [...loopback, self]
      : address.reach === "every"
      ? [...loopback, hostname().toLowerCase()]
      : [self, hostname().toLowerCase()],
  );
  const hasPages = (host: string): boolean => {
    const lower = host.toLowerCase();
    // Who speaks to port 80 leaves it out.
    const isOurs = Number(/:(\d+)$/.exec(lower.replace(/^\[.*\]/, ""))?.[1] ?? 80) === port;
    return isOurs && names.has(nameIn(lower)) || isAllowed(lower);
  };
  return {
    has(host) {
      const lower = host.toLowerCase();
      const name = nameIn(lower);
      // No page can have an address for its name, unless it came from there.
      return names.has(name) || isAllowed(lower) || address.reach === "every" && isAddress(name);
    },
    hasPages,
  };
}

/** A host without its port. */
const nameIn = (host: string): string => host.replace(/:\d{1,5}$/, "");

const isAddress = (name: string): boolean =>
  isIP(name) === 4 || name.startsWith("[") && name.endsWith("]") && isIP(name.slice(1, -1)) === 6;

/** Refuses what is sent to another name than the server's. */
export function checkHost(names: Names): MiddlewareHandler<Asking> {
  return async (c, next) => {
    const host = c.req.header("host") ?? "";
    if (!names.has(host)) throw foreignHost(host);
    await next();
  };
}

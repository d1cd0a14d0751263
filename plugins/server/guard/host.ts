// A web page can let its own name lead to this machine (DNS rebinding), and is of the same origin as
// the server then, for the browser. Its name is in `Host` all the same.
import { isIP } from "node:net";
import { hostname } from "node:os";
import type { MiddlewareHandler } from "hono";
import { foreignHost } from "../../../core/error.ts";
import { hostAndPort } from "../address.ts";
import type { Address } from "../address.ts";
import type { Asking } from "../asking.ts";

/** What the server is called. */
export interface Names {
  /** Whether a `Host` (`NAME`, `NAME:PORT`) is one of this server's. */
  has(host: string): boolean;
  /** Whether a page of that host is one of the server's own, whatever `Host` it asks with. */
  hasPages(host: string): boolean;
}

/**
 * The names of a server that listens on `address`, with the port that it has got: the address itself and
 * the machine's name, with that port; those of loopback, where it listens there; and the hosts that are
 * allowed, with the port that they are written with, or any port where there is none.
 */
export function namesOf(
  { address, port, allowedHosts }: {
    readonly address: Address;
    readonly port: number;
    readonly allowedHosts: readonly string[];
  },
): Names {
  const allowed = new Set(allowedHosts.map((host) => host.toLowerCase()));
  const isAllowed = (host: string): boolean =>
    allowed.has(host) || allowed.has(host.replace(/:\d+$/, ""));
  // Browsers don't reach it, and what does (a proxy) has names of its own.
  if (address.kind === "unix") return { has: () => true, hasPages: isAllowed };
  const here = ["localhost", "127.0.0.1", "::1"];
  const hosts = address.reach === "loopback"
    ? [...here, address.host]
    : address.reach === "every"
    ? [...here, hostname()]
    : [address.host, hostname()];
  const own = new Set(hosts.flatMap((host) => {
    const whole = hostAndPort(host.toLowerCase(), port);
    // Who speaks to port 80 leaves it out.
    return port === 80 ? [whole, whole.replace(/:80$/, "")] : [whole];
  }));
  const hasPages = (host: string): boolean => own.has(host.toLowerCase()) || isAllowed(host);
  // No page can have an address of this machine for its name, unless it came from here.
  const isAddress = (host: string): boolean => {
    const match = /^(?:\[([^\]]+)\]|([\d.]+))(?::(\d+))?$/.exec(host);
    return match !== null && isIP(match[1] ?? match[2]!) !== 0 && Number(match[3] ?? 80) === port;
  };
  return {
    has: (host) => hasPages(host) || address.reach === "every" && isAddress(host),
    hasPages,
  };
}

/** Refuses what is sent to another name than the server's. */
export function checkHost(names: Names): MiddlewareHandler<Asking> {
  return async (c, next) => {
    const host = c.req.header("host") ?? "";
    if (!names.has(host)) throw foreignHost(host);
    await next();
  };
}

// Headers that tell browsers to trust nothing but what the server itself sent.
import type { MiddlewareHandler } from "hono";
import type { Asking } from "../asking.ts";

/**
 * uPlot and d3-flame-graph set styles through the CSSOM, which `style-src` doesn't concern; no page of
 * ours has an inline script or style.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

const headers: readonly (readonly [string, string])[] = [
  ["content-security-policy", policy],
  ["x-content-type-options", "nosniff"],
  ["x-frame-options", "DENY"],
  ["referrer-policy", "no-referrer"],
  ["cross-origin-opener-policy", "same-origin"],
  ["cross-origin-resource-policy", "same-origin"],
];

/** Adds them to every answer; what doesn't say how long it may be kept isn't to be. */
export function secureHeaders(): MiddlewareHandler<Asking> {
  return async (c, next) => {
    await next();
    for (const [name, value] of headers) c.res.headers.set(name, value);
    if (!c.res.headers.has("cache-control")) c.res.headers.set("cache-control", "no-store");
  };
}

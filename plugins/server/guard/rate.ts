// How often an address may ask: generously for reading, sparingly for changing something.
import type { MiddlewareHandler } from "hono";
import { tooManyRequests } from "../../../core/error.ts";
import type { Asking } from "../asking.ts";
import type { Limits } from "../limit.ts";
import type { Notices } from "../notice.ts";
import { makeBuckets } from "./bucket.ts";

/** Refuses requests beyond the pace of their address. */
export function limitRate(
  { reads, writes, addresses }: Pick<Limits, "reads" | "writes" | "addresses">,
  { now, notices }: { readonly now: () => number; readonly notices: Notices },
): MiddlewareHandler<Asking> {
  const reading = makeBuckets(reads, { most: addresses, now });
  const writing = makeBuckets(writes, { most: addresses, now });
  return async (c, next) => {
    const buckets = /^(GET|HEAD|OPTIONS)$/.test(c.req.method) ? reading : writing;
    const wait = buckets.take(c.env.client);
    if (wait > 0) {
      notices.say("rate", `the server refuses requests of ${c.env.client}: they are too many`);
      throw tooManyRequests(wait);
    }
    await next();
  };
}

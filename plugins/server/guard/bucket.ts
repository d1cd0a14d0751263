// Token buckets by client, as many as there is room for.
import type { Pace } from "../limit.ts";

export interface Buckets {
  /** Takes one of a client's; the seconds to wait where there is none, else 0. */
  take(client: string): number;
  /** The seconds to wait, without taking one; 0 where there is one. */
  wait(client: string): number;
}

interface Bucket {
  readonly left: number;
  /** When there were so many left, in milliseconds. */
  readonly at: number;
}

/** Buckets of a pace for up to `most` clients; of more, the one that was seen last longest ago is forgotten. */
export function makeBuckets(
  { perSecond, burst }: Pace,
  { most, now }: { readonly most: number; readonly now: () => number },
): Buckets {
  const buckets = new Map<string, Bucket>();
  const leftOf = (client: string, at: number): number => {
    const bucket = buckets.get(client);
    if (bucket === undefined) return burst;
    // A clock that is set back brings nothing, and costs nothing.
    const passed = Math.max(0, at - bucket.at) / 1000;
    return Math.min(burst, bucket.left + passed * perSecond);
  };
  const waitFor = (left: number): number => left >= 1 ? 0 : Math.ceil((1 - left) / perSecond);
  return {
    take(client) {
      const at = now();
      const left = leftOf(client, at);
      const wait = waitFor(left);
      // In the order in which they were seen.
      buckets.delete(client);
      buckets.set(client, { left: wait === 0 ? left - 1 : left, at });
      if (buckets.size > most) buckets.delete(buckets.keys().next().value!);
      return wait;
    },
    wait: (client) => waitFor(leftOf(client, now())),
  };
}

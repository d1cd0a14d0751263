// Token buckets by client, as many as there is room for.
import type { Pace } from "../limit.ts";

export interface Buckets {
  /** Takes one of a client's; the seconds to wait where there is none, else 0. */
  take(client: string): number;
  /** Takes so many of a client's, where there are fewer too: then it is longer until there is one again. */
  charge(client: string, amount: number): void;
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
  const charge = (client: string, amount: number): void => {
    const at = now();
    const left = leftOf(client, at) - amount;
    // In the order in which they were seen.
    buckets.delete(client);
    buckets.set(client, { left, at });
    if (buckets.size > most) buckets.delete(buckets.keys().next().value!);
  };
  return {
    take(client) {
      const wait = waitFor(leftOf(client, now()));
      charge(client, wait === 0 ? 1 : 0);
      return wait;
    },
    charge,
    wait: (client) => waitFor(leftOf(client, now())),
  };
}

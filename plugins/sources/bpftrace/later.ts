// Drops that can't be counted yet: whether TCP sends on their flow again isn't known before it has, or
// hasn't for a while.
import type { KeyFlow, SeriesKey } from "../../../core/plan/key.ts";

/** A drop that waits, or several that are alike. */
interface Waiting {
  readonly until: number;
  readonly n: number;
  readonly sum: number;
  readonly read: (later: string) => SeriesKey | undefined;
}

/** What is known now. */
export interface Decided {
  readonly key: SeriesKey;
  readonly n: number;
  readonly sum: number;
}

/** How long a flow is waited for, in milliseconds: TCP's first time-outs are 0.2 and 1 second. */
export const patience = 3000;

/** The drops of one map that wait. As many keys as the kernel's map holds may come with each tick. */
export class LaterCounts {
  readonly #byFlow = new Map<string, Waiting[]>();

  /** Takes a key in; `now` is the kernel's clock, in milliseconds. `sent` is what its tick tells of flows. */
  add(
    { flow, before }: KeyFlow,
    waiting: Omit<Waiting, "until">,
    sent: ReadonlyMap<string, number>,
    now: number,
  ): Decided[] {
    if ((sent.get(flow) ?? 0) > before) return decide(waiting, "yes");
    const others = this.#byFlow.get(flow);
    const one = { ...waiting, until: now + patience };
    if (others === undefined) this.#byFlow.set(flow, [one]);
    else others.push(one);
    return [];
  }

  /** Forgets what waits. */
  clear(): void {
    this.#byFlow.clear();
  }

  /** What a later tick decides. */
  decide(sent: ReadonlyMap<string, number>, now: number): Decided[] {
    const decided: Decided[] = [];
    for (const flow of sent.keys()) {
      for (const one of this.#byFlow.get(flow) ?? []) decided.push(...decide(one, "yes"));
      this.#byFlow.delete(flow);
    }
    for (const [flow, waiting] of this.#byFlow) {
      const left = waiting.filter(({ until }) => until > now);
      if (left.length === waiting.length) continue;
      for (const one of waiting) if (one.until <= now) decided.push(...decide(one, "no"));
      if (left.length === 0) this.#byFlow.delete(flow);
      else this.#byFlow.set(flow, left);
    }
    return decided;
  }
}

function decide({ n, sum, read }: Omit<Waiting, "until">, later: string): Decided[] {
  const key = read(later);
  return key === undefined ? [] : [{ key, n, sum }];
}

// A config with a source that goes on for as long as it may, for commands that are run as a whole.
import type { Drop } from "../core/drop/field.ts";

/** Its source drops 10 packets a tick, refused by a filter, with these labels; `more` are further keys. */
export function liveConfigOf(labels: Drop, more = ""): string {
  return `
import { setTimeout as sleep } from "node:timers/promises";
import { defineConfig, defineSource, dropCounter, reasonWorld, tally } from "dropwatch";

const world = reasonWorld(new Map([[5, "SOCKET_FILTER"]]), new Map([[0, "core"]]));

export default defineConfig({
  ${more}
  interval: "50ms",
  source: defineSource({
    name: "live",
    facts: () => Promise.resolve({ title: "a test", world, unavailable: () => undefined }),
    async run({ plan, interval, signal, onAttached, onTick }) {
      const counter = dropCounter(plan, world);
      onAttached();
      while (!signal.aborted) {
        await sleep(interval, undefined, { signal }).catch(() => {});
        counter.add(${JSON.stringify({ reason: "SOCKET_FILTER", ...labels })}, 10);
        const { seen, reasons, maps } = counter.take();
        const sums = tally(seen, maps, 0);
        const rest = { reasons, maps, samples: [], unreadable: 0 };
        await onTick({ at: Date.now(), seconds: interval / 1000, ...sums, ...rest });
      }
    },
  }),
});
`;
}

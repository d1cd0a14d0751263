// What people are told of numbers that aren't whole: each thing at most once a minute.
import type { Plan } from "./plan/plan.ts";
import type { Tick } from "./watch/tick.ts";

/** Says a thing of a kind at most once a minute: a flood must not flood the log. */
export function onceEach(log: (message: string) => void): (kind: string, message: string) => void {
  const said = new Map<string, number>();
  return (kind, message) => {
    const now = Date.now();
    if (now - (said.get(kind) ?? -Infinity) < 60_000) return;
    said.set(kind, now);
    log(message);
  };
}

/** Says what a tick lost. */
export function sayLosses(
  tick: Tick,
  plan: Plan,
  maxKeys: number,
  say: (kind: string, message: string) => void,
): void {
  if (tick.unreadable > 0) {
    say("unreadable", `${tick.unreadable} lines of the source could not be read`);
  }
  if (tick.lost > 0) say("lost", `${tick.lost} drops were not counted: numbers are "at least"`);
  if ((tick.retransmits?.size ?? 0) >= maxKeys) {
    say(
      "retransmits",
      `TCP sent again on more than ${maxKeys} flows in a tick: of some drops that isn't known ` +
        `(--max-keys raises the limit)`,
    );
  }
  tick.maps.forEach(({ other }, id) => {
    if (other === 0) return;
    const by = plan.maps[id]!.by.join(", ");
    say(
      `other ${id}`,
      `more than ${maxKeys} keys by (${by}) in a tick: ${other} drops went to ` +
        `"other" (--max-keys raises the limit)`,
    );
  });
}

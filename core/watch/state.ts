// The life of an alert, as Prometheus has it: inactive → pending (`for`) → firing
// (`keepFiringFor`) → resolved.

export type State = "inactive" | "pending" | "firing";

/** What is known of one alert. Times in milliseconds since 1970. */
export interface AlertState {
  state: "pending" | "firing";
  /** Since when the condition has held. */
  readonly since: number;
  /** When it last held. */
  held: number;
  value: number;
  /** The value farthest from normal since it began. */
  peak: number;
  total: number;
}

/** What a rule asks of the life of its alerts, in milliseconds. */
export interface Lifetimes {
  readonly for: number;
  readonly keepFiringFor: number;
}

export type Change = "none" | "pending" | "firing" | "resolved" | "inactive";

/**
 * Moves an alert on by one evaluation, at which the condition `holds` or doesn't. Returns the state (undefined for inactive) and
 * what changed.
 */
export function step(
  before: AlertState | undefined,
  now: number,
  value: number,
  drops: number,
  holds: boolean,
  lifetimes: Lifetimes & { readonly worse: (a: number, b: number) => number },
): { after: AlertState | undefined; change: Change } {
  if (before === undefined) {
    if (!holds) return { after: undefined, change: "none" };
    const fires = lifetimes.for === 0;
    return {
      after: {
        state: fires ? "firing" : "pending",
        since: now,
        held: now,
        value,
        peak: value,
        total: drops,
      },
      change: fires ? "firing" : "pending",
    };
  }
  const firing = before.state === "firing";
  before.value = value;
  before.peak = lifetimes.worse(before.peak, value);
  before.total += drops;
  if (holds) {
    before.held = now;
    if (firing || now - before.since < lifetimes.for) return { after: before, change: "none" };
    before.state = "firing";
    return { after: before, change: "firing" };
  }
  if (!firing) return { after: undefined, change: "inactive" };
  if (now - before.held < lifetimes.keepFiringFor) return { after: before, change: "none" };
  return { after: undefined, change: "resolved" };
}

// What gives drops: the kernel through bpftrace, a capture, or what a config brings.
import type { FieldName } from "../drop/field.ts";
import type { Plan } from "../plan/plan.ts";
import type { ReasonWorld } from "../plan/predicate.ts";
import type { Tick } from "./tick.ts";

/** What a source can give; read before rules are checked and planned. */
export interface SourceFacts {
  readonly world: ReasonWorld;
  /** What it watches, in a few words: `Linux 6.18.44`. */
  readonly title: string;
  /** The kernel's release, as `uname -r` says it, where drops come from one. */
  readonly release?: string | undefined;
  /** Why a field can't be had from it; undefined where it can. */
  unavailable(field: FieldName): string | undefined;
}

/** What a source is run with. */
export interface SourceRun {
  readonly plan: Plan;
  /** Milliseconds between ticks. */
  readonly interval: number;
  /** How many keys a map may hold. */
  readonly maxKeys: number;
  /** Aborted when the source is to hand over its last counts and end. */
  readonly signal: AbortSignal;
  /** A source that can wait, as a capture can, waits for what it returns before the next tick. */
  readonly onTick: (tick: Tick) => void | Promise<void>;
  /** The source counts from now on. */
  readonly onAttached: () => void;
  /** Something that people should know; not an error. */
  readonly log: (message: string) => void;
}

/**
 * A source of drops. `run` settles when the source has ended, after its last tick; it rejects with
 * an error that says what to do when it can't start.
 */
export interface Source {
  readonly name: string;
  facts(): Promise<SourceFacts>;
  /** A run with so many keys will follow, as soon as its rules are read: what takes long may begin. */
  prepare?(maxKeys: number): void;
  run(run: SourceRun): Promise<void>;
  /**
   * Changes the plan of the run that is under way, without missing a drop: the old plan counts until
   * the new one does. Settles when that is so; ticks carry the new plan from then on. It rejects where
   * the new plan can't be run, and then the old one goes on.
   */
  replan?(plan: Plan): Promise<void>;
  /** What it would run in the kernel for a plan, where it runs something there. */
  program?(plan: Plan, interval: number): Promise<string>;
}

/**
 * Makes a source public: give it to a config's `source`.
 *
 * @example
 * ```ts
 * import { defineSource } from "dropwatch";
 *
 * export const mine = defineSource({
 *   name: "mine",
 *   facts: () => Promise.reject(new Error("not yet")),
 *   run: () => Promise.resolve(),
 * });
 * ```
 */
export function defineSource(source: Source): Source {
  return source;
}

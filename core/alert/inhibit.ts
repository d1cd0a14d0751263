// Alerts that are kept quiet by others, as Alertmanager has it: a target is quiet while a source fires
// that has the same value of each label of `equal`; a label that isn't there is empty.
import type { Labels } from "./notification.ts";
import type { Inhibition } from "./route.ts";

export interface Inhibitor {
  /** An alert fires, or does no more. */
  set(fingerprint: string, labels: Labels, firing: boolean): void;
  /** The fingerprint of an alert that keeps this one quiet. */
  by(labels: Labels): string | undefined;
}

export function makeInhibitor(inhibitions: readonly Inhibition[]): Inhibitor {
  const keyOf = ({ equal }: Inhibition, labels: Labels): string =>
    JSON.stringify(equal.map((name) => Object.hasOwn(labels, name) ? labels[name] : ""));
  /** For each inhibition the sources that fire, by the values of `equal`; whether they are targets, too. */
  const sources = inhibitions.map(() => new Map<string, Map<string, boolean>>());
  return {
    set(fingerprint, labels, firing) {
      inhibitions.forEach((inhibition, i) => {
        if (!inhibition.source(labels)) return;
        const key = keyOf(inhibition, labels);
        const same = sources[i]!.get(key) ?? new Map<string, boolean>();
        if (firing) same.set(fingerprint, inhibition.target(labels));
        else same.delete(fingerprint);
        if (same.size === 0) sources[i]!.delete(key);
        else sources[i]!.set(key, same);
      });
    },
    by(labels) {
      for (const [i, inhibition] of inhibitions.entries()) {
        if (!inhibition.target(labels)) continue;
        // Two that are both source and target would keep each other quiet, and one itself: none does.
        const isBoth = inhibition.source(labels);
        for (const [other, alsoTarget] of sources[i]!.get(keyOf(inhibition, labels)) ?? []) {
          if (!(isBoth && alsoTarget)) return other;
        }
      }
      return undefined;
    },
  };
}

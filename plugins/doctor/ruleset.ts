// The rules that doctor watches its own drops with, as a user would write them.
import type { FieldName } from "../../core/drop/field.ts";
import type { Side } from "./namespaces.ts";
import type { Trial } from "./trial.ts";
import { nameOf } from "./trial.ts";

/**
 * A rule for each trial that takes no other drops of this machine, as far as its fields can tell them
 * apart; and one for the drops by which the cost is measured, which never fires.
 */
export function ruleText(
  trials: readonly Trial[],
  { a, b }: { readonly a: Pick<Side, "inode">; readonly b: Pick<Side, "inode"> },
  canTell: (field: FieldName) => boolean,
): string {
  const netns = { a: a.inode, b: b.inode };
  const rules = trials.map((trial) => {
    const where = Object.entries({
      reason: trial.cause.reason,
      protocol: `IPv${trial.family}`,
      l4: trial.l4,
      dport: trial.port,
      netns: netns[trial.where],
    }).filter(([field]) => canTell(field as FieldName));
    // Drops that may be others' are taken for ours when there are as many. What is sent is sent long
    // before the rule has waited.
    const above = canTell("netns") ? 0 : 0.9 * trial.packets;
    return `  rule({
    alert: "${nameOf(trial)}",
    when: drops.where(${
      JSON.stringify(Object.fromEntries(where))
    }).by("reason").count("2s").above(${above}),
    for: "200ms",
  }),`;
  });
  const refused = { reason: "SOCKET_FILTER", ...(canTell("netns") ? { netns: a.inode } : {}) };
  const by = canTell("ownerPort") ? '"ownerPort", "owner"' : '"reason"';
  return [
    'import { drops, rule } from "dropwatch";',
    "export default [",
    ...rules,
    `  rule({
    alert: "Cost",
    when: drops.where(${JSON.stringify(refused)}).by(${by}).rate("10s").above(1e12),
  }),`,
    "];",
    "",
  ].join("\n");
}

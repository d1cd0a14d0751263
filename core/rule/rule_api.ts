// The part of "dropwatch" that rules need: the rule host starts with this alone.
import { drops, health } from "./query.ts";
import { rule } from "./rule.ts";

export const apiSymbol: symbol = Symbol.for("dropwatch.api");

/** What the rule host puts under the symbol. */
export const ruleApi = {
  drops: drops as typeof drops,
  health: health as typeof health,
  rule: rule as typeof rule,
};

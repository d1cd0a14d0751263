// What `import … from "dropwatch"` gives a rule or a config. A bundle doesn't hold a copy of it: it
// reads the one that its process put under a global symbol, so that a rule made there is known here.
import { defineSink, DeliveryError } from "../alert/sink.ts";
import { reasonWorld } from "../drop/reason.ts";
import { dropCounter } from "../plan/label.ts";
import { defineSource } from "../watch/source.ts";
import { tally } from "../watch/tick.ts";
import { defineConfig } from "./config.ts";
import { ruleApi } from "./rule_api.ts";

/** All values that mod.ts exports. */
export const api = {
  drops: ruleApi.drops as typeof ruleApi.drops,
  health: ruleApi.health as typeof ruleApi.health,
  rule: ruleApi.rule as typeof ruleApi.rule,
  defineConfig: defineConfig as typeof defineConfig,
  defineSink: defineSink as typeof defineSink,
  defineSource: defineSource as typeof defineSource,
  DeliveryError: DeliveryError as typeof DeliveryError,
  dropCounter: dropCounter as typeof dropCounter,
  reasonWorld: reasonWorld as typeof reasonWorld,
  tally: tally as typeof tally,
};

/** A module that re-exports what its process put under a global symbol, as JavaScript. */
export function apiModule(symbol: symbol, names: readonly string[]): string {
  return `const api = globalThis[Symbol.for(${JSON.stringify(symbol.description)})];\n` +
    names.map((name) => `export const ${name} = api.${name};\n`).join("");
}

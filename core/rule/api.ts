// What `import … from "dropwatch"` gives a rule or a config. A bundle doesn't hold a copy of it: it
// reads the one that its process put under a global symbol, so that a rule made there is known here.
import { drops } from "./query.ts";
import { rule } from "./rule.ts";
import { defineConfig } from "./config.ts";
import { defineSink, DeliveryError } from "../alert/sink.ts";
import { defineSource } from "../watch/source.ts";

export const apiSymbol: symbol = Symbol.for("dropwatch.api");

/** All values that mod.ts exports for rules and configs. */
export const api = {
  drops: drops as typeof drops,
  rule: rule as typeof rule,
  defineConfig: defineConfig as typeof defineConfig,
  defineSink: defineSink as typeof defineSink,
  defineSource: defineSource as typeof defineSource,
  DeliveryError: DeliveryError as typeof DeliveryError,
};

/** A module that re-exports the process's api, as JavaScript. */
export function apiModule(): string {
  const names = Object.keys(api);
  return `const api = globalThis[Symbol.for("dropwatch.api")];\n` +
    names.map((name) => `export const ${name} = api.${name};\n`).join("");
}

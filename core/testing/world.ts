// A kernel for tests of rules: it has every reason that dropwatch knows of, and every field.
import { knowledge } from "../drop/knowledge.ts";
import { reasonWorld } from "../drop/reason.ts";
import type { ReasonWorld } from "../plan/predicate.ts";
import type { SourceFacts } from "../watch/source.ts";

function makeWorld(): ReasonWorld {
  const subsystems = new Map([[0, "core"]]);
  const reasons = new Map<number, string>();
  const last = new Map<number, number>();
  for (const name of Object.keys(knowledge)) {
    const subsystem = name.includes("/") ? name.slice(0, name.indexOf("/")) : "core";
    let id = [...subsystems].find(([, known]) => known === subsystem)?.[0];
    if (id === undefined) subsystems.set(id = subsystems.size, subsystem);
    const number = (last.get(id) ?? 1) + 1;
    last.set(id, number);
    reasons.set(id * 65536 + number, name);
  }
  return reasonWorld(reasons, subsystems);
}

/** What a source of this kernel says of itself. */
export const testFacts: SourceFacts = {
  world: makeWorld(),
  title: "a test",
  unavailable: () => undefined,
};

// A plan in words: what of each rule runs in the kernel, what in TypeScript, and what it costs.
import { fieldOf } from "../drop/field.ts";
import type { FieldName } from "../drop/field.ts";
import { leavesOf } from "../rule/check.ts";
import type { CheckedRule } from "../rule/check.ts";
import { showDuration } from "../rule/duration.ts";
import { countsOf } from "../watch/watch.ts";
import { isOutside, keyFields, keySlots } from "./plan.ts";
import type { Plan } from "./plan.ts";
import { complement } from "./predicate.ts";
import type { Range, ReasonWorld, Test } from "./predicate.ts";

export interface Explained {
  readonly rules: readonly { readonly alert: string; readonly lines: readonly string[] }[];
  readonly cost: string;
}

/** Explains rules and the plan that was made for them. */
export function explainRules(
  rules: readonly CheckedRule[],
  plan: Plan,
  maxKeys: number,
  world: ReasonWorld,
): Explained {
  const { indexOf } = countsOf(rules);
  const sharers = new Map<number, string[]>();
  const leaves = rules.map((rule) => leavesOf(rule.condition.value));
  rules.forEach((rule, i) => {
    for (const leaf of leaves[i]!) {
      const place = plan.places[indexOf(leaf.count)]!;
      if (place.at !== "map") continue;
      const names = sharers.get(place.map) ?? [];
      if (!names.includes(rule.alert)) names.push(rule.alert);
      sharers.set(place.map, names);
    }
  });
  const explain = (rule: CheckedRule, i: number): string[] => {
    const lines: string[] = [];
    for (const leaf of leaves[i]!) {
      const place = plan.places[indexOf(leaf.count)]!;
      const later: readonly Test[] = place.at === "map" ? place.rest : [];
      const conditions = leaf.count.predicate.filter((test) => !later.includes(test))
        .flatMap((test) => showTest(test, world) ?? []);
      lines.push(
        `kernel: tests ${
          conditions.length === 0 ? "nothing: every drop counts" : conditions.join(" and ")
        }`,
      );
      if (place.at === "reasons") {
        lines.push("kernel: needs no map of its own: drops by reason are always counted");
      } else {
        const map = plan.maps[place.map]!;
        const fields = keyFields(map);
        const key = fields.length === 0 ? "one number" : `by (${keptBy(fields).join(", ")})`;
        lines.push(
          `kernel: counts ${key} in map @m${map.id}` +
            (map.sum === undefined ? "" : `, and sums ${map.sum}`) +
            shareText(rule, sharers.get(map.id) ?? []),
        );
        const found = map.by.filter((field) => fieldOf(field).kind === "lookup");
        if (keyFields(map).some((field) => fieldOf(field).kind === "later")) {
          lines.push(
            "kernel: counts by flow what TCP sends again, in a second probe; a drop is counted when " +
              "its flow is sent on again, or when 3 s have passed",
          );
        }
        if (found.length > 0) {
          lines.push(
            `TypeScript: looks up ${found.join(" and ")} of each key, in /proc and cgroups`,
          );
        }
        if (fields.includes("stack")) lines.push("kernel: walks the stack: some 3 µs a drop");
        if (later.length > 0) {
          const tests = later.flatMap((test) => showTest(test, world) ?? []).join(" and ");
          const why = later.every(({ field }) => isOutside(field))
            ? "the kernel doesn't know it"
            : "the kernel's decision would have too many cases";
          lines.push(`TypeScript: tests ${tests} on each key, because ${why}`);
        }
      }
      lines.push(
        `TypeScript: ${leaf.aggregate} over ${showDuration(leaf.window)}, once a tick and key`,
      );
    }
    const { is, threshold, recovery } = rule.condition;
    lines.push(
      `TypeScript: fires ${is} ${threshold}` +
        (recovery === threshold
          ? ""
          : `, until ${is === "above" ? "not above" : "not below"} ${recovery}`) +
        (rule.for > 0 ? `, for ${showDuration(rule.for)}` : "") +
        (rule.keepFiringFor > 0 ? `, and ${showDuration(rule.keepFiringFor)} longer` : ""),
    );
    const functions = Object.entries(rule.texts)
      .filter(([, text]) => typeof text === "object").map(([name]) => name);
    if (functions.length > 0) {
      lines.push(`rule host: makes ${functions.join(" and ")} when the alert changes its state`);
    }
    return lines;
  };
  return {
    rules: rules.map((rule, i) => ({ alert: rule.alert, lines: explain(rule, i) })),
    cost: costOf(plan, maxKeys),
  };
}

/** The fields that the kernel itself counts by: of what is known outside of it, what it is known by. */
function keptBy(fields: readonly FieldName[]): string[] {
  const names = fields.map((field) =>
    fieldOf(field).kind === "later" ? "flow" : fieldOf(field).lookedUpBy ?? field
  );
  return [...new Set(names)];
}

function shareText(rule: CheckedRule, names: readonly string[]): string {
  const others = names.filter((name) => name !== rule.alert);
  if (others.length === 0) return "";
  const shown = others.slice(0, 3).join(", ");
  return `, shared with ${shown}${others.length > 3 ? ` and ${others.length - 3} more rules` : ""}`;
}

function costOf(plan: Plan, maxKeys: number): string {
  const updates = plan.groups.map(({ counted }) => counted.length);
  const most = Math.max(0, ...updates);
  const bytes = plan.maps.reduce((sum, map) => {
    const slots = keySlots(keyFields(map)).length + 1;
    return sum + 2 * maxKeys * (slots * 8 + 64);
  }, 0);
  return [
    `cost: a drop that no rule asks for is one update of a map; one that rules ask for at most ` +
    `${1 + most} (its reason, and ${most} by key)`,
    `memory: ${plan.maps.length} maps by key in two copies of ${maxKeys} keys, ` +
    `about ${Math.ceil(bytes / 1e6)} MB in the kernel and 8 bytes a key for each CPU`,
  ].join("\n");
}

/** A condition in words; undefined where it lets everything through. */
function showTest(test: Test, world: ReasonWorld): string | undefined {
  if ("names" in test) {
    return `${test.field} ${test.not ? "not " : ""}in (${test.names.map(quoted).join(", ")})`;
  }
  if ("masks" in test) {
    return `${test.field} ${test.not ? "not " : ""}in ${test.masks.length} ` +
      `${fieldOf(test.field).bytes === "address" ? "networks" : "names"}`;
  }
  if (fieldOf(test.field).kind === "reason") return showReasons(test.ranges, world);
  const { max = Number.MAX_SAFE_INTEGER, unknown = 0 } = fieldOf(test.field);
  const outside = complement(test.ranges, 0, Math.max(max, unknown));
  if (outside.length === 0) return undefined;
  return outside.length < test.ranges.length
    ? `${test.field} not in ${showRanges(outside)}`
    : `${test.field} in ${showRanges(test.ranges)}`;
}

const quoted = (name: string): string => /^[\w.@-]+$/.test(name) ? name : JSON.stringify(name);

const mostShown = 8;

function showRanges(ranges: readonly Range[]): string {
  const shown = ranges.slice(0, mostShown).map(([lo, hi]) => (lo === hi ? `${lo}` : `${lo}–${hi}`));
  const more = ranges.length - shown.length;
  return `(${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""})`;
}

function showReasons(ranges: readonly Range[], world: ReasonWorld): string {
  const inside = [...world.reasons]
    .filter(([id]) => ranges.some(([lo, hi]) => id >= lo && id <= hi)).map(([, name]) => name);
  const outside = [...world.reasons].filter(([, name]) => !inside.includes(name)).map(([, n]) => n);
  if (outside.length < inside.length) return `reason not in (${outside.join(", ")})`;
  return inside.length === 1 ? `reason is ${inside[0]}` : `reason in (${inside.join(", ")})`;
}

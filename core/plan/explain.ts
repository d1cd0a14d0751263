// A plan in words: what of each rule runs in the kernel, what in TypeScript, and what it costs.
import { fieldOf } from "../drop/field.ts";
import type { FieldName } from "../drop/field.ts";
import { dropStreamsOf, leavesOf } from "../rule/checked.ts";
import type { CheckedCondition, CheckedRule, Leaf, Stream } from "../rule/checked.ts";
import { showDuration } from "../rule/duration.ts";
import { countsOf } from "../watch/watch.ts";
import { homeOf, makeLayout } from "./layout.ts";
import { isOutside, keyFields, keySlots } from "./plan.ts";
import type { Count, Plan } from "./plan.ts";
import { complement } from "./predicate.ts";
import type { Range, ReasonWorld, Test } from "./predicate.ts";

export interface Explained {
  readonly rules: readonly { readonly alert: string; readonly lines: readonly string[] }[];
  readonly cost: string;
}

/** Explains rules and the plan that was made for them; `indexOf` finds a count in another order. */
export function explainRules(
  rules: readonly CheckedRule[],
  plan: Plan,
  maxKeys: number,
  world: ReasonWorld,
  indexOf: (count: Count) => number = countsOf(rules).indexOf,
): Explained {
  const layout = makeLayout(plan);
  const sharers = new Map<number, string[]>();
  for (const { alert, condition } of rules) {
    for (const { count } of dropStreamsOf(condition)) {
      const place = plan.places[indexOf(count)]!;
      if (place.at !== "map") continue;
      const names = sharers.get(place.map) ?? [];
      if (!names.includes(alert)) names.push(alert);
      sharers.set(place.map, names);
    }
  }
  const explainStream = (rule: CheckedRule, stream: Stream): string[] => {
    if (!("count" in stream)) return ["TypeScript: counts what happens to dropwatch itself"];
    const lines: string[] = [];
    const place = plan.places[indexOf(stream.count)]!;
    const later: readonly Test[] = place.at === "map" ? place.rest : [];
    const conditions = stream.count.predicate.filter((test) => !later.includes(test))
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
      const { name, sharer } = homeOf(layout, { map, walked: false });
      lines.push(
        `kernel: counts ${key} in map @${name}` +
          (sharer === undefined ? "" : " beside other key sets") +
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
    for (const { fields } of stream.filters) {
      lines.push(
        `rule host: filters by (${fields.join(", ")}), once for each combination of their values`,
      );
    }
    return lines;
  };
  const explain = (rule: CheckedRule): string[] => {
    const lines = explainCondition(rule.condition, (stream) => explainStream(rule, stream));
    const { for: wait, keepFiringFor: keep } = rule;
    const last = lines.pop()!;
    lines.push(
      last + (wait > 0 ? `, for ${showDuration(wait)}` : "") +
        (keep > 0 ? `, and ${showDuration(keep)} longer` : ""),
    );
    if (rule.mode === "shadow") lines.push("nobody is notified: the rule is in shadow");
    const functions = Object.entries(rule.texts)
      .filter(([, text]) => typeof text !== "string").map(([name]) => name);
    if (functions.length > 0) {
      lines.push(`rule host: makes ${functions.join(" and ")} when the alert changes its state`);
    }
    return lines;
  };
  return {
    rules: rules.map((rule) => ({ alert: rule.alert, lines: explain(rule) })),
    cost: costOf(plan, maxKeys),
  };
}

/** A condition in lines; the last one says when it fires. */
function explainCondition(
  condition: CheckedCondition,
  explainStream: (stream: Stream) => string[],
): string[] {
  const often = "once a tick and key";
  switch (condition.is) {
    case "above":
    case "below": {
      const { is, threshold, recovery } = condition;
      const until = `, until ${is === "above" ? "not above" : "not below"} ${recovery}`;
      return [
        ...leavesOf(condition.value).flatMap((leaf) => [
          ...explainStream(leaf.stream),
          `TypeScript: ${showAggregate(leaf)}, ${often}`,
        ]),
        `TypeScript: fires ${is} ${threshold}${recovery === threshold ? "" : until}`,
      ];
    }
    case "spike": {
      const { leaf, over, factor, min } = condition;
      return [
        ...explainStream(leaf.stream),
        `TypeScript: ${showAggregate(leaf)}, and over the ${showDuration(over)} before, ${often}`,
        `TypeScript: fires above ${factor} times of what it was before, from ${min} on`,
      ];
    }
    case "absent":
      return [
        ...explainStream(condition.stream),
        `TypeScript: fires when there was none for ${showDuration(condition.window)}`,
      ];
    case "first": {
      const { learn } = condition;
      return [
        ...explainStream(condition.stream),
        "TypeScript: fires at a key that was never seen before" +
        (learn > 0 ? `, once it has learnt for ${showDuration(learn)}` : ""),
      ];
    }
    case "and":
    case "or":
      return [
        ...condition.of.flatMap((part) => explainCondition(part, explainStream)),
        `TypeScript: fires when ${
          condition.is === "and" ? "all of them hold" : "one of them holds"
        }`,
      ];
    case "code": {
      const { each, tick, every } = condition;
      const parts = [
        ...(each ? ["each, for each key of a tick"] : []),
        ...(tick ? [`tick, every ${showDuration(every)}`] : []),
      ];
      return [
        ...explainStream(condition.stream),
        `rule host: runs ${parts.join(", and ")}`,
        "TypeScript: fires when the rule says so",
      ];
    }
  }
}

function showAggregate({ aggregate, window, distinct }: Leaf): string {
  const what = distinct === undefined ? aggregate : `different values of ${distinct}`;
  return `${what} over ${showDuration(window)}`;
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
  const layout = makeLayout(plan);
  // Those that share a map have keys of one size.
  const slots = new Map(plan.maps.map((map) => [
    homeOf(layout, { map, walked: false }).name,
    keySlots(keyFields(map)).length + 1,
  ]));
  const bytes = [...slots.values()].reduce((sum, n) => sum + 2 * maxKeys * (n * 8 + 64), 0);
  return [
    `cost: a drop that no rule asks for is one update of a map; one that rules ask for at most ` +
    `${1 + most} (its reason, and ${most} by key)`,
    `memory: ${slots.size} maps by key in two copies of ${maxKeys} keys, ` +
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

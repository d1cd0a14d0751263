// From a plan to a bpftrace program that runs as it is on 0.17, 0.23 and 0.27.
//
// Exactness: every map has two copies. A packet reads the flag @e once and counts in that copy; a
// tick turns the flag, and a look later, when nobody writes it any more, prints the other copy. Maps by
// key are then cleared; the counts by reason never are (their keys are few), so a line that is lost on
// the way costs nothing: the next one tells it again. @busy keeps a tick from turning the flag before
// user space has printed and cleared the last one.
//
// A tick ends at a multiple of the interval exactly: shortly before it the flag is armed, and packets
// look at the time themselves. So two programs that run side by side agree which tick a packet is of.
//
// Only integers are printed, so no name that a stranger chose is ever in the output.
import { fieldOf } from "../../../core/drop/field.ts";
import type { FieldName } from "../../../core/drop/field.ts";
import {
  chooseCopy,
  fragmentCode,
  fragments,
  retransmitCode,
  withDependencies,
} from "../../../core/drop/fragment.ts";
import type { FragmentName, KernelFacts } from "../../../core/drop/fragment.ts";
import { plumbing } from "../../../core/drop/site.ts";
import { homeOf, isKeyed, makeLayout, walksStack } from "../../../core/plan/layout.ts";
import type { Layout } from "../../../core/plan/layout.ts";
import { hasClass, keyFields, keySlots } from "../../../core/plan/plan.ts";
import type { Decision, KeyMap, Plan, ReasonGroup } from "../../../core/plan/plan.ts";
import type { Mask, Range } from "../../../core/plan/predicate.ts";

export interface ProgramOptions {
  readonly kernel: KernelFacts;
  /** Milliseconds between two ticks. */
  readonly interval: number;
  /** The addresses of kernel functions, as signed integers. */
  readonly addresses: (functions: readonly string[]) => readonly Range[];
  /** How many maps the program may use (default: what the kernel allows). */
  readonly mostMaps?: number;
  /** Whether its branches, and what they count, stand the other way round: the same, laid out anew. */
  readonly turned?: boolean;
}

/**
 * Frames of the stack that are walked where the location is plumbing: enough to get past functions
 * that call each other to free a packet.
 */
const walkedFrames = 8;

/** Frames of the stack of a drop that is kept whole. */
const keptFrames = 16;

export interface Program {
  readonly text: string;
  /** Reasons counted in a variable of their own, which is cheaper than a map: map name → reason. */
  readonly scalars: ReadonlyMap<string, number>;
  /** In which maps keys stand. */
  readonly layout: Layout;
}

/** More would be slower to print than they save. */
const maxScalars = 8;

/** How often the kernel looks whether it is time for a tick: a look can fall out (see program). */
const looksPerTick = 50;

type Lines = string[];

/** With the maps that keys stand in. */
type LaidOut = ProgramOptions & { readonly layout: Layout };

const indent = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);

/** Writes the program of a plan. */
export function writeProgram(planned: Plan, options: ProgramOptions): Program {
  const plan = options.turned === true ? turn(planned) : planned;
  const scalarOf = new Map<ReasonGroup, string>();
  const scalars = new Map<string, number>();
  const layout = makeLayout(plan, options.mostMaps);
  // They only save time, so they get what room the maps by key leave.
  const room = Math.min(maxScalars, layout.free);
  for (const group of plan.groups) {
    const [range] = group.ranges;
    const single = group.ranges.length === 1 && range![0] === range![1];
    if (!single || group.counted.length === 0 || scalars.size >= room) continue;
    scalarOf.set(group, `r${range![0]}`);
    scalars.set(`r${range![0]}`, range![0]);
  }
  const { lines, order } = probe(plan, { ...options, layout }, scalarOf);
  const text = [
    // First: bpftrace 0.17 reads a map only below the line that gives it its type.
    ...(countsRetransmits(plan) ? [...retransmits(options.kernel), ""] : []),
    ...lines,
    "",
    ...(plan.samples === undefined ? [] : [...sampler(plan.samples, options.kernel), ""]),
    ...ticker(plan, { ...options, layout }, [...scalars.keys()], order),
    "",
  ].join("\n");
  return { text, scalars, layout };
}

/** The same plan, with its groups and what each counts in the opposite order. */
function turn(plan: Plan): Plan {
  const groups = plan.groups.map((group) => ({ ...group, counted: group.counted.toReversed() }));
  return { ...plan, groups: groups.toReversed() };
}

function probe(
  plan: Plan,
  options: LaidOut,
  scalarOf: ReadonlyMap<ReasonGroup, string>,
): { lines: Lines; order: readonly number[] } {
  const wanted = fragmentsOf(plan);
  const top = wanted.filter((name) => fragments[name].arg !== undefined);
  const body: Lines = ["$reason = (uint64)(uint32)args->reason;"];
  for (const name of top) body.push(...codeLines(name, options.kernel));
  body.push(...chooseCopy.split("\n"));
  const emitted = new Set(top);
  const { lines, order } = groupBranches(plan, options, scalarOf, emitted);
  body.push(...lines, ...keepWhole(plan, options.kernel, order, emitted));
  return { lines: ["tracepoint:skb:kfree_skb", "{", ...indent(body), "}"], order };
}

function codeLines(name: FragmentName, kernel: KernelFacts): Lines {
  return fragmentCode(name, kernel).split("\n").filter((line) => line.trim() !== "");
}

/** Each group has a bit in the flag, above the two that say which copy: so many can have one. */
const mostKept = 50;
const firstGroupBit = 2;

/** The groups whose drops are kept whole, as the numbers that they have in the program. */
function keptGroups(plan: Plan, order: readonly number[]): number[] {
  return order.flatMap((group, number) => plan.groups[group]!.evidence ? [number] : [])
    .filter((number) => number < mostKept);
}

/**
 * Keeps drops whole while the group's bit is set: the ticker clears it when so many were looked at. So
 * a flood pays for this in the first moments of a tick only, and rare drops are kept all.
 */
function keepWhole(
  plan: Plan,
  kernel: KernelFacts,
  order: readonly number[],
  emitted: ReadonlySet<FragmentName>,
): Lines {
  if (plan.evidence === undefined) return [];
  const { fields, labels, perLabels } = plan.evidence;
  const key = [...keySlots(fields), `kstack(${keptFrames})`].join(", ");
  const seen = `@seen[${["(uint64)$group", ...keySlots(labels)].join(", ")}]`;
  const read = new Set(emitted);
  const look = [
    "@quota[(int64)$group] = @quota[(int64)$group] - 1;",
    ...reading(labels, kernel, read),
    // In this order: bpftrace 0.17 reads a map only below the line that gives it its type.
    `${seen} = ${seen} + 1;`,
    "$keep = (uint64)0;",
    ...ifElse(`${seen} <= ${perLabels}`, ["$keep = (uint64)1;"], []),
    ...ifElse("@room[(int64)$group] > 0", [
      "@room[(int64)$group] = @room[(int64)$group] - 1;",
      "$keep = (uint64)1;",
    ], []),
    ...ifElse("$keep == 1", [
      ...reading(fields, kernel, read),
      ...counting((copy) => `@x${copy}[${key}] = count();`),
    ], []),
  ];
  if (keptGroups(plan, order).length === 0) return [];
  return ifElse(
    "$flags > 3",
    ifElse(
      `(($flags >> ($group + ${firstGroupBit})) & 1) == 1`,
      ifElse("@quota[(int64)$group] > 0", look, []),
      [],
    ),
    [],
  );
}

/** All fragments that counting needs, in order. */
function fragmentsOf(plan: Plan): FragmentName[] {
  const fields = new Set<FieldName>(plan.evidence?.fields);
  for (const map of plan.maps) keyAndSum(map, fields);
  for (const { counted } of plan.groups) {
    for (const { decision } of counted) decisionFields(decision, fields);
  }
  return withDependencies([...fields].flatMap((field) => fieldOf(field).uses));
}

/** Whether it is to be known what TCP sent again. */
function countsRetransmits(plan: Plan): boolean {
  return fragmentsOf(plan).includes("retransmits");
}

function retransmits(kernel: KernelFacts): Lines {
  const lines = retransmitCode(kernel).split("\n").filter((line) => line.trim() !== "");
  return ["tracepoint:tcp:tcp_retransmit_skb", "{", ...indent(lines), "}"];
}

/** The fragments that are run for each drop of a group, whatever its conditions decide. */
function alwaysRead(plan: Plan, counted: ReasonGroup["counted"]): FragmentName[] {
  const fields = new Set<FieldName>();
  for (const { map, decision } of counted) {
    if (typeof decision === "number") keyAndSum(plan.maps[map]!, fields);
    else decisionFields(decision, fields);
  }
  return withDependencies([...fields].flatMap((field) => fieldOf(field).uses));
}

function keyAndSum(map: KeyMap, fields: Set<FieldName>): void {
  for (const field of keyFields(map)) fields.add(field);
  if (map.sum !== undefined) fields.add(map.sum);
}

function decisionFields(decision: Decision, fields: Set<FieldName>): void {
  if (typeof decision === "number") return;
  fields.add(decision.field);
  if ("cases" in decision) decision.cases.forEach(({ then }) => decisionFields(then, fields));
  else {
    decisionFields(decision.then, fields);
    decisionFields(decision.otherwise, fields);
  }
}

function groupBranches(
  plan: Plan,
  options: LaidOut,
  scalarOf: ReadonlyMap<ReasonGroup, string>,
  emitted: ReadonlySet<FragmentName>,
): { lines: Lines; order: readonly number[] } {
  const ranges = plan.groups.flatMap((group, index) =>
    group.ranges.map((range) => ({ range, value: index }))
  ).sort((a, b) => a.range[0] - b.range[0]);
  const common = commonCounting(plan);
  const own = (group: ReasonGroup): ReasonGroup["counted"] =>
    group.counted.filter(({ map }) => !common.has(map));
  const body = (index: number, read: ReadonlySet<FragmentName>): Lines => {
    const group = plan.groups[index]!;
    return [
      ...reasonCount(scalarOf.get(group)),
      ...keyCounts(plan, own(group), options, read),
    ];
  };
  const needs = plan.groups.map((group) => new Set(alwaysRead(plan, own(group))));
  const tree = arrange(plan.groups.map((_, index) => index), needs, emitted, options.kernel);
  return {
    lines: [
      ...byReason(plan, ranges, tree, emitted, options.kernel, body),
      ...keyCounts(plan, [...common.values()], options, emitted),
    ],
    order: groupsOf(tree),
  };
}

/** Groups side by side, or those that read the same behind the code that reads it. */
type GroupTree =
  | { readonly groups: readonly number[] }
  | { readonly reads: readonly FragmentName[]; readonly with: GroupTree; readonly rest: GroupTree };

/** Fewer lines of code are repeated rather than shared: a branch costs something too. */
const worthSharing = 6;

/** Puts groups together that read the same, so that the code for it stands in the program once. */
function arrange(
  groups: readonly number[],
  needs: readonly ReadonlySet<FragmentName>[],
  done: ReadonlySet<FragmentName>,
  kernel: KernelFacts,
): GroupTree {
  let best: { name: FragmentName; reads: FragmentName[]; users: number; saved: number } | undefined;
  for (const name of new Set(groups.flatMap((group) => [...needs[group]!]))) {
    const users = groups.filter((group) => needs[group]!.has(name)).length;
    const reads = withDependencies([name]).filter((each) => !done.has(each));
    const lines = reads.reduce((sum, each) => sum + codeLines(each, kernel).length, 0);
    const saved = (users - 1) * lines;
    if (saved < worthSharing) continue;
    // What most groups need stands outside; what fewer of them need, inside of it.
    const better = best === undefined || users > best.users ||
      (users === best.users && saved > best.saved);
    if (better) best = { name, reads, users, saved };
  }
  if (best === undefined) return { groups };
  const { name, reads } = best;
  return {
    reads,
    with: arrange(
      groups.filter((group) => needs[group]!.has(name)),
      needs,
      new Set([...done, ...reads]),
      kernel,
    ),
    rest: arrange(groups.filter((group) => !needs[group]!.has(name)), needs, done, kernel),
  };
}

/** The groups in the order in which the tree has them. */
function groupsOf(tree: GroupTree): readonly number[] {
  return "groups" in tree ? tree.groups : [...groupsOf(tree.with), ...groupsOf(tree.rest)];
}

/** What every group counts alike stands once, after them all. */
function commonCounting(plan: Plan): Map<number, ReasonGroup["counted"][number]> {
  const common = new Map<number, ReasonGroup["counted"][number]>();
  if (plan.groups.length === 1) return common;
  const same = (a: Decision, b: Decision): boolean => asText(a) === asText(b);
  for (const counted of plan.groups[0]!.counted) {
    const everywhere = plan.groups.every((group) =>
      group.counted.some(({ map, decision }) =>
        map === counted.map && same(decision, counted.decision)
      )
    );
    if (everywhere) common.set(counted.map, counted);
  }
  return common;
}

function asText(decision: Decision): string {
  return JSON.stringify(decision, (_, value) => typeof value === "bigint" ? String(value) : value);
}

function byReason(
  plan: Plan,
  ranges: readonly { range: Range; value: number }[],
  tree: GroupTree,
  emitted: ReadonlySet<FragmentName>,
  kernel: KernelFacts,
  body: (index: number, read: ReadonlySet<FragmentName>) => Lines,
): Lines {
  const numbered = plan.evidence !== undefined;
  if (ranges.length === 1) {
    return [...(numbered ? ["$group = (uint64)0;"] : []), ...body(0, emitted)];
  }
  // Where a group is one range, its code stands in the leaf itself; a group of several ranges, or
  // one that shares code, gets a number first, so that its code stands there once.
  const simple = !numbered && "groups" in tree &&
    plan.groups.every(({ ranges }) => ranges.length === 1);
  if (simple) return numberTree("$reason", ranges, (index) => body(index, emitted));
  const order = groupsOf(tree);
  const numberOf = (group: number): number => order.indexOf(group);
  const branches = (part: GroupTree, from: number, read: ReadonlySet<FragmentName>): Lines => {
    if ("groups" in part) {
      const cases = part.groups.map((group, i) => ({
        range: [from + i, from + i] as Range,
        value: group,
      }));
      return cases.length === 0 ? [] : numberTree("$group", cases, (group) => body(group, read));
    }
    const behind = from + groupsOf(part.with).length;
    const then = [
      ...part.reads.flatMap((name) => codeLines(name, kernel)),
      ...branches(part.with, from, new Set([...read, ...part.reads])),
    ];
    const rest = branches(part.rest, behind, read);
    return rest.length === 0 ? then : ifElse(`$group < ${behind}`, then, rest);
  };
  return [
    `$group = (uint64)${numberOf(0)};`,
    ...numberTree(
      "$reason",
      ranges,
      (index) => index === 0 ? [] : [`$group = (uint64)${numberOf(index)};`],
    ),
    ...branches(tree, 0, emitted),
  ];
}

/** Nested ifs that find the case of a number in as few comparisons as can be. */
function numberTree<T>(
  variable: string,
  cases: readonly { range: Range; value: T }[],
  leaf: (value: T) => Lines,
): Lines {
  if (cases.length === 1) return leaf(cases[0]!.value);
  const half = cases.length >> 1;
  const below = numberTree(variable, cases.slice(0, half), leaf);
  const above = numberTree(variable, cases.slice(half), leaf);
  return ifElse(`${variable} < ${cases[half]!.range[0]}`, below, above);
}

function ifElse(condition: string, then: Lines, otherwise: Lines): Lines {
  if (then.length === 0 && otherwise.length === 0) return [];
  const tail = otherwise.length === 0 ? ["}"] : ["} else {", ...indent(otherwise), "}"];
  return [`if (${condition}) {`, ...indent(then), ...tail];
}

/** The same statement on the copy that is being written. */
function counting(statement: (copy: 0 | 1) => string): Lines {
  return [`if ($e == 1) { ${statement(1)} } else { ${statement(0)} }`];
}

/** The count of a drop's reason: it is never left out. */
function reasonCount(scalar: string | undefined): Lines {
  return counting((copy) =>
    scalar === undefined ? `@b${copy}[$reason] = count();` : `@${scalar}_${copy} = count();`
  );
}

/** The counts by key. */
function keyCounts(
  plan: Plan,
  counted: ReasonGroup["counted"],
  options: LaidOut,
  outside: ReadonlySet<FragmentName>,
): Lines {
  const lines: Lines = [];
  const emitted = new Set(outside);
  for (const { map: id, decision } of counted) {
    const map = plan.maps[id]!;
    const asked = new Set<FieldName>();
    decisionFields(decision, asked);
    lines.push(...reading(asked, options.kernel, emitted));
    if (typeof decision === "number") {
      lines.push(...update(map, String(decision), options, emitted));
      continue;
    }
    const chosen = `$class${id}`;
    lines.push(`${chosen} = (uint64)0;`, ...decisionTree(decision, chosen, options));
    const inner = new Set(emitted);
    lines.push(...ifElse(`${chosen} != 0`, update(map, chosen, options, inner), []));
  }
  return lines;
}

/** The fragments of fields that haven't been read yet. */
function reading(
  fields: Iterable<FieldName>,
  kernel: KernelFacts,
  emitted: Set<FragmentName>,
): Lines {
  const lines: Lines = [];
  for (const name of withDependencies([...fields].flatMap((field) => fieldOf(field).uses))) {
    if (emitted.has(name)) continue;
    emitted.add(name);
    lines.push(...codeLines(name, kernel));
  }
  return lines;
}

function update(
  map: KeyMap,
  chosen: string,
  options: LaidOut,
  emitted: Set<FragmentName>,
): Lines {
  const { kernel, layout } = options;
  const fields = keyFields(map);
  const lines = reading([...fields, ...(map.sum === undefined ? [] : [map.sum])], kernel, emitted);
  const value = map.sum === undefined ? "count()" : `stats(${fieldOf(map.sum).slots[0]})`;
  const count = (walked: boolean): Lines => {
    const { name, key } = keyOf(map, walked, chosen, layout);
    return counting((copy) => {
      const total = layout.joinsTotals ? `@t${copy}[(uint64)${map.id}]` : `@t${map.id}_${copy}`;
      const all = map.conditional ? ` ${total} = count();` : "";
      return `@${name}_${copy}${key} = ${value};${all}`;
    });
  };
  if (!walksStack(map)) return [...lines, ...count(false)];
  const isPlumbing = locationTest(options.addresses([...plumbing]));
  return [...lines, ...ifElse(isPlumbing, count(true), count(false))];
}

/** The map and the key of a class. */
function keyOf(
  map: KeyMap,
  walked: boolean,
  chosen: string,
  layout: Layout,
): { name: string; key: string } {
  const { name, sharer } = homeOf(layout, { map, walked });
  const stack = walked ? [`kstack(${walkedFrames})`] : [];
  const slots = keySlots(keyFields(map));
  if (sharer === undefined) {
    const own = chosen.startsWith("$") ? chosen : `(uint64)${chosen}`;
    const key = [...(hasClass(map) ? [own] : []), ...slots, ...stack];
    return { name, key: key.length === 0 ? "" : `[${key.join(", ")}]` };
  }
  // Whoever shares a map has the same types: bpftrace tells signed integers from unsigned ones.
  const number = chosen.startsWith("$")
    ? `(int64)(${chosen} + ${sharer.after})`
    : `(int64)${Number(chosen) + sharer.after}`;
  const zeros = Array.from({ length: sharer.padding }, () => "(int64)0");
  const signed = slots.map((slot) => slot === "kstack" ? slot : `(int64)${slot}`);
  return { name, key: `[${[number, ...zeros, ...signed, ...stack].join(", ")}]` };
}

/** Whether the location lies in one of the ranges of addresses. */
function locationTest(ranges: readonly Range[]): string {
  if (ranges.length === 0) return "$location == 1";
  return ranges.map(([lo, hi]) => `($location >= ${lo} && $location <= ${hi})`).join(" || ");
}

function decisionTree(decision: Decision, chosen: string, options: LaidOut): Lines {
  if (typeof decision === "number") {
    return decision === 0 ? [] : [`${chosen} = (uint64)${decision};`];
  }
  const leaf = (next: Decision): Lines => decisionTree(next, chosen, options);
  const slots = fieldOf(decision.field).slots;
  if ("cases" in decision) {
    const cases = decision.cases.map(({ ranges, then }) => ({ range: ranges, value: then }));
    return numberTree(slots[0]!, cases, leaf);
  }
  const condition = "masks" in decision
    ? decision.masks.map((mask) => maskTest(slots, mask)).join(" || ")
    : locationTest(options.addresses(decision.names));
  return ifElse(condition, leaf(decision.then), leaf(decision.otherwise));
}

/** Compares the masked words; a word with an empty mask isn't looked at. */
function maskTest(slots: readonly string[], mask: Mask): string {
  const words = (value: bigint): bigint[] => {
    const bytes = new Uint8Array(16);
    for (let i = 0; i < 16; i++) bytes[i] = Number((value >> BigInt(8 * (15 - i))) & 0xffn);
    const view = new DataView(bytes.buffer);
    return [view.getBigUint64(0, true), view.getBigUint64(8, true)];
  };
  const masks = words(mask.mask);
  const values = words(mask.value);
  const tests = slots.flatMap((slot, i) =>
    masks[i] === 0n
      ? []
      : [`((uint64)${slot} & 0x${masks[i]!.toString(16)}) == 0x${values[i]!.toString(16)}`]
  );
  return tests.length === 0 ? "1" : `(${tests.join(" && ")})`;
}

/**
 * Single drops, in a probe of their own: the arguments of a printf with all fields and the keys of
 * maps together don't fit into the 512 bytes of stack that the kernel grants a program.
 */
function sampler(samples: NonNullable<Plan["samples"]>, kernel: KernelFacts): Lines {
  const numbers = samples.fields.filter((field) => field !== "stack");
  const slots = keySlots(numbers);
  const stack = samples.fields.includes("stack");
  const format = `s${" %lld".repeat(slots.length)}${stack ? " %s" : ""}\\n`;
  const args = [...slots.map((slot) => `(int64)${slot}`), ...(stack ? ["kstack"] : [])];
  const reasons = samples.predicate.flatMap((test) => "ranges" in test ? test.ranges : [])
    .map(([lo, hi]) => lo === hi ? `$reason == ${lo}` : `($reason >= ${lo} && $reason <= ${hi})`);
  const asked = reasons.length === 0 ? "" : ` && (${reasons.join(" || ")})`;
  const emitted = new Set<FragmentName>();
  const wanted = withDependencies(numbers.flatMap((field) => fieldOf(field).uses));
  const top = wanted.filter((name) => fragments[name].arg !== undefined);
  top.forEach((name) => emitted.add(name));
  return [
    "tracepoint:skb:kfree_skb",
    "{",
    ...indent([
      "$reason = (uint64)(uint32)args->reason;",
      ...top.flatMap((name) => codeLines(name, kernel)),
      ...ifElse(`@left[0] > 0${asked}`, [
        "@left[0] = @left[0] - 1;",
        ...reading(numbers, kernel, emitted),
        `printf(${[`"${format}"`, ...args].join(", ")});`,
      ], []),
    ]),
    "}",
  ];
}

/** How many looks before a boundary the flag is armed: some of them can fall out. */
const armedLooks = 3;

/**
 * The tick. A timer's program doesn't run when it interrupts the probe on its CPU (the kernel lets
 * no tracing program interrupt another), so it looks often, and ticks when the time has come.
 */
function ticker(
  plan: Plan,
  options: LaidOut,
  scalars: readonly string[],
  order: readonly number[],
): Lines {
  const kept = plan.evidence === undefined ? [] : keptGroups(plan, order);
  const bitOf = (number: number): number => 2 ** (number + firstGroupBit);
  const all = kept.reduce((sum, number) => sum + bitOf(number), 0);
  const look = Math.max(1, Math.round(options.interval / looksPerTick));
  const nanoseconds = options.interval * 1_000_000;
  const { layout } = options;
  const isAlone = (map: KeyMap, walked: boolean): boolean =>
    homeOf(layout, { map, walked }).sharer === undefined;
  const copy = (n: 0 | 1): Lines => [
    ...scalars.map((name) => `print(@${name}_${n});`),
    `print(@b${n});`,
    ...(layout.joinsTotals ? [`print(@t${n});`] : []),
    ...plan.maps.flatMap((map) => [
      ...(map.conditional && !layout.joinsTotals ? [`print(@t${map.id}_${n});`] : []),
      ...(isAlone(map, false) ? [`print(@m${map.id}_${n});`] : []),
      ...(isAlone(map, false) && isKeyed(layout, map) ? [`clear(@m${map.id}_${n});`] : []),
      ...(walksStack(map) && isAlone(map, true)
        ? [`print(@w${map.id}_${n});`, `clear(@w${map.id}_${n});`]
        : []),
    ]),
    ...layout.shared.flatMap(({ name }) => [`print(@${name}_${n});`, `clear(@${name}_${n});`]),
    ...(kept.length === 0 ? [] : [`print(@x${n});`, `clear(@x${n});`]),
    ...(countsRetransmits(plan) ? [`print(@f${n});`, `clear(@f${n});`] : []),
  ];
  // Between ticks, from the first look on: a group that has its share is left alone until the next one.
  const close = kept.length === 0 ? [] : [
    "$open = (int64)0;",
    ...kept.flatMap((number) =>
      ifElse(`@quota[${number}] > 0`, [`$open = $open + ${bitOf(number)};`], [])
    ),
    "@e = $copy + $open;",
  ];
  const turn = (exact: 0 | 1): Lines => [
    `$at = ${exact === 1 ? "@next" : "$now"};`,
    `@next = $at + ${nanoseconds} - ($at % ${nanoseconds});`,
    "@busy[0] = 1;",
    `@e = 1 - $copy${all === 0 ? "" : ` + ${all}`};`,
    "@tick = @tick + 1;",
    `printf("tick %lld %lld %lld %lld ${exact}\\n", @tick, $copy, $at, $now);`,
    "@due = 1;",
    ...(plan.samples === undefined ? [] : [`@left[0] = ${plan.samples.perTick};`]),
    ...kept.flatMap((number) => [
      `@quota[${number}] = ${plan.evidence!.lookedAt};`,
      `@room[${number}] = ${plan.evidence!.perTick};`,
    ]),
    ...(kept.length === 0 ? [] : ["clear(@seen);"]),
  ];
  const print = [
    ...close,
    ...ifElse("$copy == 1", copy(0), copy(1)),
    "@due = 0;",
    `printf("end %lld\\n", @tick);`,
    "clear(@busy);",
  ];
  const arm = [
    "@until = @next;",
    "@e = $flags + 2;",
    // Held up in between: some packets beyond the boundary weren't told of it. (+ 0, since bpftrace
    // 0.17 doesn't know the variable's type.)
    ...ifElse("nsecs >= @until", ["@e = $flags + 0;"], []),
  ];
  const soon = `$now + ${armedLooks * look * 1_000_000} >= @next && @busy[0] == 0`;
  return [
    `interval:ms:${look}`,
    "{",
    ...indent([
      "$now = nsecs;",
      "$flags = @e;",
      "$copy = $flags & 1;",
      ...ifElse(
        "@due == 1",
        print,
        ifElse(
          "($flags & 2) == 2",
          ifElse("$now >= @next", turn(1), []),
          ifElse(
            "$now >= @next",
            ifElse("@busy[0] == 0", turn(0), close),
            ifElse(soon, arm, close),
          ),
        ),
      ),
    ]),
    "}",
  ];
}

/** Whether the names of kernel functions are needed, for a key, a condition or a sample. */
export function usesSite(plan: Plan): boolean {
  return fragmentsOf(plan).includes("location") || plan.samples?.fields.includes("site") === true;
}

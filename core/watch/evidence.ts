// What an alert is made of: the drops that the kernel kept whole, for as long as a window holds them.
// A bounded number of them; each says how many drops it stands for.
import { fieldNames } from "../drop/field.ts";
import type { Drop, FieldName } from "../drop/field.ts";
import { classOfReason, knowledgeOf } from "../drop/reason.ts";
import { flowText } from "../plan/key.ts";
import { dropMatcher } from "../plan/label.ts";
import { splitPredicate } from "../plan/plan.ts";
import type { Count, EvidencePlan } from "../plan/plan.ts";
import { inRanges } from "../plan/predicate.ts";
import type { Range, ReasonWorld } from "../plan/predicate.ts";
import { dropStreamsOf, streamsOf } from "../rule/checked.ts";
import type { CheckedRule } from "../rule/checked.ts";
import { crossCheckLog } from "./cross_check.ts";
import type { CrossCheck } from "./cross_check.ts";
import type { SourceFacts } from "./source.ts";
import type { Tick } from "./tick.ts";

/** Packets that are alike in where they came from and went to. */
export interface Flow {
  readonly l4: string;
  readonly saddr: string;
  readonly sport: string;
  readonly daddr: string;
  readonly dport: string;
  readonly dev: string;
  readonly drops: number;
}

/** What an alert is made of. Numbers are of the drops that were kept: a sample, the first of each tick. */
export interface AlertEvidence {
  /**
   * How many of the alert's drops were kept; 0 where a flood of others crowded them out, and only
   * their labels and the counters tell.
   */
  readonly kept: number;
  /** Whether the packets belonged to a socket whose owner is known. */
  readonly ownerKnown: boolean;
  readonly owners: readonly {
    readonly owner: string;
    readonly pid: string;
    readonly drops: number;
  }[];
  /** The function that decided, where in it, and where to read it. */
  readonly site: string;
  readonly at: string;
  readonly source: string;
  readonly flows: readonly Flow[];
  /** Innermost function first. */
  readonly stacks: readonly { readonly stack: readonly string[]; readonly drops: number }[];
  /** For packets to a closed port: who listened there within the last minutes. */
  readonly listeners: readonly {
    readonly l4: string;
    readonly port: string;
    /** The network namespace's inode. */
    readonly netns: string;
    readonly owner: string;
    readonly pid: string;
    /** When it was last seen to, ISO 8601. */
    readonly lastSeen: string;
  }[];
  readonly reasons: readonly {
    readonly reason: string;
    readonly class: string;
    readonly means: string;
    readonly drops: number;
  }[];
  /** Of the drops of TCP that were kept: how many, and after how many TCP sent on the same flow again. */
  readonly tcp: { readonly kept: number; readonly retransmitted: number };
  /** The kernel's own counters of the same reasons, over the window. */
  readonly counters: readonly CrossCheck[];
}

export interface EvidenceLog {
  add(tick: Tick): void;
  /** Other rules from now on. */
  use(rules: readonly CheckedRule[]): void;
  /**
   * Of a rule's alert with these labels, in its window up to `at`; undefined where nothing was kept.
   * `keeps` are the rule's filters.
   */
  of(
    rule: CheckedRule,
    labels: Readonly<Record<string, string>>,
    at: number,
    keeps?: (drop: Drop) => boolean,
  ): AlertEvidence | undefined;
}

/** What is told of each flow, and who it belonged to. */
const always: readonly FieldName[] = [
  "reason",
  "l4",
  "saddr",
  "daddr",
  "sport",
  "dport",
  "retransmitted",
  "dev",
  "netns",
  "ownerInode",
  "owner",
  "ownerPid",
];
const perTick = 32;
const perLabels = 2;
/** At a flood of 500,000 a second that is the first hundredth of a tick. */
const lookedAt = 5000;
const mostKept = 20_000;
const mostTicks = 5000;
const most = { flows: 5, stacks: 3, owners: 3, listeners: 3, reasons: 3 };

/** What is kept of a drop: of what is asked and what is always told, that which the source can give. */
export function keptFields(asked: Iterable<FieldName>, facts: SourceFacts): FieldName[] {
  const wanted = new Set<FieldName>([...always, ...asked]);
  // The stack comes by itself, and tells the site.
  return fieldNames.filter((field) =>
    wanted.has(field) && field !== "stack" && field !== "site" &&
    facts.unavailable(field) === undefined
  );
}

/** What rules are about, of which drops are to be kept. */
export function evidentCounts(rules: readonly CheckedRule[]): Count[] {
  return rules.flatMap(({ condition }) => dropStreamsOf(condition)[0]?.count ?? []);
}

/** What is to be kept of the drops of some counts, of what the source can give. */
export function evidenceFor(
  counts: readonly Count[],
  indexOf: (count: Count) => number,
  facts: SourceFacts,
): EvidencePlan {
  const labels = new Set(
    counts.flatMap(({ by, predicate }) => [...by, ...predicate.map(({ field }) => field)]),
  );
  return {
    fields: keptFields(labels, facts),
    perTick,
    labels: fieldNames.filter((field) =>
      labels.has(field) && field !== "stack" && facts.unavailable(field) === undefined
    ),
    perLabels,
    lookedAt,
    counts: [...new Set(counts.map(indexOf))],
  };
}

interface Kept {
  readonly at: number;
  readonly drops: NonNullable<Tick["evidence"]>;
  readonly retransmits: NonNullable<Tick["retransmits"]>;
  readonly reasons: Tick["reasons"];
}

/** What is known for a rule at a moment. */
interface Asked {
  readonly rule: CheckedRule;
  readonly at: number;
  /** Drops that fit, by the labels of the rule's `by`. */
  readonly byLabels: ReadonlyMap<string, KeptDrops>;
  /** The reasons that the rule asks for and that there were, the most frequent first. */
  readonly reasons: readonly string[];
}

type KeptDrops = readonly (NonNullable<Tick["evidence"]>[number])[];

/** The drops of ticks, each with whether a later moment knows of a retransmit of its flow. */
function resolveLater(log: readonly Kept[]): KeptDrops {
  const since = new Set<string>();
  const resolved: KeptDrops[] = [];
  for (const { drops, retransmits } of [...log].reverse()) {
    resolved.push(drops.map((kept) => {
      const { saddr = "", sport = "", daddr = "", dport = "", retransmitted: before } = kept.drop;
      if (before === undefined || before === "") return kept;
      const flow = flowText(saddr, sport, daddr, dport);
      const followed = since.has(flow) || (retransmits.get(flow) ?? 0) > Number(before);
      return { ...kept, drop: { ...kept.drop, retransmitted: followed ? "yes" : "no" } };
    }));
    for (const flow of retransmits.keys()) since.add(flow);
  }
  return resolved.reverse().flat();
}

/** Keeps the evidence of ticks; `release` is the kernel's, for links to its source. */
export function evidenceLog(
  rules: readonly CheckedRule[],
  world: ReasonWorld,
  release: string,
): EvidenceLog {
  const longestOf = (rules: readonly CheckedRule[]): number =>
    Math.max(0, ...rules.map(({ condition }) => streamsOf(condition)[0].span));
  let longest = longestOf(rules);
  const matchers = new Map<CheckedRule, (drop: Drop) => boolean>();
  const log: Kept[] = [];
  let size = 0;
  let isKept = false;
  const counters = crossCheckLog(() => longest, world.names.reason);
  /** What was asked for last: in a flood thousands of alerts of a rule ask at one moment. */
  let last: Asked | undefined;

  /** What there is for a rule at a moment. */
  const look = (rule: CheckedRule, count: Count, at: number, window: number): Asked => {
    if (last?.rule === rule && last.at === at) return last;
    let fits = matchers.get(rule);
    if (fits === undefined) matchers.set(rule, fits = dropMatcher(count.predicate, world));
    const within = log.filter((kept) => kept.at > at - window);
    const byLabels = new Map<string, KeptDrops[number][]>();
    for (const kept of resolveLater(within)) {
      if (!fits(kept.drop)) continue;
      const key = JSON.stringify(rule.by.map((field) => kept.drop[field as FieldName] ?? ""));
      const known = byLabels.get(key);
      if (known === undefined) byLabels.set(key, [kept]);
      else known.push(kept);
    }
    const { reasons } = splitPredicate(count.predicate);
    const names = reasonsOf(within, reasons).map((id) => world.names.reason(id));
    return last = { rule, at, byLabels, reasons: names };
  };
  return {
    use(rules) {
      longest = longestOf(rules);
      matchers.clear();
      last = undefined;
    },
    add(tick) {
      last = undefined;
      counters.add(tick);
      const drops = tick.evidence ?? [];
      isKept ||= tick.evidence !== undefined;
      const retransmits = tick.retransmits ?? new Map<string, number>();
      const { at, reasons } = tick;
      if (drops.length + reasons.size + retransmits.size > 0) {
        log.push({ at, drops, retransmits, reasons });
      }
      size += drops.length + retransmits.size;
      while (
        log.length > 0 &&
        (size > mostKept || log.length > mostTicks || log[0]!.at <= tick.at - longest)
      ) {
        const gone = log.shift()!;
        size -= gone.drops.length + gone.retransmits.size;
      }
    },
    of(rule, labels, at, keeps = () => true) {
      const [{ stream, span: window }] = streamsOf(rule.condition);
      if (!("count" in stream)) return undefined;
      const { count } = stream;
      if (!isKept) return undefined;
      const { byLabels, reasons: known } = look(rule, count, at, window);
      const key = JSON.stringify(rule.by.map((field) => labels[field]));
      const mine = (byLabels.get(key) ?? []).filter(({ drop }) => keeps(drop));
      // In a flood of others a few drops can go by unseen: their labels tell what they can.
      const told = mine.length > 0 ? mine : known
        .filter((reason) => (labels.reason ?? reason) === reason)
        .slice(0, most.reasons)
        .map((reason) => ({ drop: { ...labels, reason }, at: "", n: 0 }));
      if (told.length === 0) return undefined;
      const summary = summarize(told, world, release);
      const reasons = summary.reasons.map(({ reason }) => reason);
      return { ...summary, counters: counters.of(reasons, at - window) };
    },
  };
}

/** The reasons of a time, the most frequent first. */
function reasonsOf(log: readonly Kept[], asked: readonly Range[]): number[] {
  const sums = new Map<number, number>();
  for (const [id, n] of log.flatMap(({ reasons }) => [...reasons])) {
    if (inRanges(asked, id)) sums.set(id, (sums.get(id) ?? 0) + n);
  }
  return [...sums].sort((a, b) => b[1] - a[1]).map(([id]) => id);
}

function summarize(
  mine: KeptDrops,
  world: ReasonWorld,
  release: string,
): Omit<AlertEvidence, "counters"> {
  const top = <V>(
    value: (kept: (typeof mine)[number]) => V,
    limit: number,
  ): (V & { drops: number })[] => {
    const sums = new Map<string, V & { drops: number }>();
    for (const kept of mine) {
      const one = value(kept);
      const key = JSON.stringify(one);
      const known = sums.get(key);
      if (known === undefined) sums.set(key, { ...one, drops: kept.n });
      else known.drops += kept.n;
    }
    return [...sums.values()].sort((a, b) => b.drops - a.drops).slice(0, limit);
  };
  const of = (drop: Drop, field: FieldName): string => drop[field] ?? "";
  const [place] = top(({ drop, at }) => ({ site: of(drop, "site"), at }), 1);
  const owners = top(
    ({ drop }) => ({ owner: of(drop, "owner"), pid: of(drop, "ownerPid") }),
    most.owners,
  );
  return {
    kept: mine.reduce((sum, { n }) => sum + n, 0),
    ownerKnown: mine.every(({ drop }) => of(drop, "owner") !== ""),
    owners: owners.filter(({ owner }) => owner !== ""),
    site: place?.site ?? "",
    at: place?.at ?? "",
    source: place === undefined ? "" : sourceLink(place.site, release),
    flows: top(
      ({ drop }): Omit<Flow, "drops"> => ({
        l4: of(drop, "l4"),
        saddr: of(drop, "saddr"),
        sport: of(drop, "sport"),
        daddr: of(drop, "daddr"),
        dport: of(drop, "dport"),
        dev: of(drop, "dev"),
      }),
      most.flows,
    ).filter(({ saddr, daddr, dev }) => saddr + daddr + dev !== ""),
    listeners: listenersOf(
      top(
        ({ drop }) =>
          of(drop, "reason") === "NO_SOCKET"
            ? { l4: of(drop, "l4"), port: of(drop, "dport"), netns: of(drop, "netns") }
            : { l4: "", port: "", netns: "" },
        most.listeners,
      ),
      world,
    ),
    stacks: top(({ drop }) => ({ stack: of(drop, "stack").split(";").reverse() }), most.stacks)
      .filter(({ stack }) => stack[0] !== ""),
    tcp: tcpOf(mine),
    reasons: top(({ drop }) => ({ reason: of(drop, "reason") }), most.reasons).map(
      ({ reason, drops }) => ({
        reason,
        class: classOfReason(reason),
        means: knowledgeOf(reason)?.means ?? "",
        drops,
      }),
    ),
  };
}

function tcpOf(mine: KeptDrops): AlertEvidence["tcp"] {
  const sum = (fits: (drop: Drop) => boolean): number =>
    mine.reduce((all, { drop, n }) => fits(drop) ? all + n : all, 0);
  return {
    kept: sum(({ retransmitted = "" }) => retransmitted !== ""),
    retransmitted: sum(({ retransmitted }) => retransmitted === "yes"),
  };
}

function listenersOf(
  ports: readonly { readonly l4: string; readonly port: string; readonly netns: string }[],
  world: ReasonWorld,
): AlertEvidence["listeners"] {
  return ports.flatMap(({ l4, port, netns }) => {
    const found = port === "" ? undefined : world.names.listener(l4, port, netns);
    if (found === undefined) return [];
    const { owner, pid, at } = found;
    return [{ l4, port, netns, owner, pid, lastSeen: new Date(at).toISOString() }];
  });
}

/** Where to read a function, in the release of this kernel: `6.18.44-fc` is read as 6.18.44. */
export function sourceLink(site: string, release: string): string {
  const version = /^\d+\.\d+(?:\.[1-9]\d*)?/.exec(release)?.[0];
  if (version === undefined || !/^\w+$/.test(site)) return "";
  return `https://elixir.bootlin.com/linux/v${version}/A/ident/${site}`;
}

// Drops one by one, while they are few; at a flood a sample of them, and how many there really are.
import type { Drop } from "../../core/drop/field.ts";
import { fieldNames, fieldOf } from "../../core/drop/field.ts";
import { exitCode, jsonLine, printable, unknownReason } from "../../core/error.ts";
import { nearest } from "../../core/nearest.ts";
import { makePlan } from "../../core/plan/plan.ts";
import { readPredicate } from "../../core/plan/predicate.ts";
import type { Predicate, ReasonWorld } from "../../core/plan/predicate.ts";
import type { SourceFacts } from "../../core/watch/source.ts";
import { showNumber } from "../../core/number.ts";
import type { Command } from "../command.ts";
import { endAfter } from "../ending.ts";
import { readSetting } from "../setting.ts";

const defaultLimit = 20;
/** People watch: milliseconds between ticks unless they ask for others. */
const showEvery = 250;

/** The reasons asked for as a condition; none means all. */
export function reasonPredicate(names: readonly string[], world: ReasonWorld): Predicate {
  if (names.length === 0) return [];
  const { predicate, mistakes, missing } = readPredicate([{ reason: names }], world);
  const [wrong] = [...mistakes.map(({ value }) => String(value)), ...missing];
  if (wrong !== undefined) {
    const bare = wrong.replace(/^SKB_DROP_REASON_/, "");
    throw unknownReason(wrong, nearest(bare, world.reasons.values()));
  }
  return predicate;
}

export const tailCommand: Command = {
  name: "tail",
  usage: "[--reason NAME]",
  doc: "show drops as they happen; at a flood a sample and the true rate",
  options: [
    "reason",
    "limit",
    "interval",
    "duration",
    "config",
    "source",
    "bpftrace",
    "json",
  ],
  examples: [
    "dropwatch tail",
    "dropwatch tail --reason SOCKET_FILTER --limit 5",
    "dropwatch tail --json | jq .data.reason",
  ],
  async run(given, terminal) {
    const setting = await readSetting(given, terminal, { interval: showEvery });
    const facts = await setting.source.facts();
    const predicate = reasonPredicate(given.list("reason"), facts.world);
    const perTick = given.number("limit", 1, 1000) ?? defaultLimit;
    const ending = endAfter(terminal.signal, given.time("duration"));
    const json = given.flag("json");
    const plan = makePlan([{ predicate, by: [] }], {
      fields: fieldNames.filter((field) => wanted(field, facts)),
      perTick,
      predicate,
    });
    await setting.source.run({
      plan,
      interval: setting.interval,
      maxKeys: setting.maxKeys,
      signal: ending.signal,
      log: terminal.log,
      onAttached: () => {
        ending.begin();
        terminal.log(`watching ${facts.title}; Ctrl-C ends it`);
        if (!json) terminal.out(header);
      },
      onTick(tick) {
        const timestamp = new Date(tick.at).toISOString();
        for (const { stack: _, ...drop } of tick.samples) {
          terminal.out(
            json ? jsonLine({ type: "drop", timestamp, data: drop }) : showDrop(timestamp, drop),
          );
        }
        const matched = matching(predicate, tick.reasons);
        if (matched <= tick.samples.length) return;
        const rate = tick.seconds > 0 ? matched / tick.seconds : matched;
        if (json) {
          const data = {
            shown: tick.samples.length,
            drops: matched,
            rate: Number(rate.toFixed(1)),
          };
          terminal.out(jsonLine({ type: "flood", timestamp, data }));
        } else {
          terminal.out(
            `${timestamp.slice(11, 19)} … ${tick.samples.length} of ${showNumber(matched)} drops ` +
              `are shown: ${showNumber(rate)}/s  ${topReasons(tick.reasons, facts.world)}`,
          );
        }
      },
    });
    return exitCode.done;
  },
};

function wanted(field: (typeof fieldNames)[number], facts: SourceFacts): boolean {
  // What happens after a drop isn't known when it is shown.
  return field !== "subsystem" && fieldOf(field).kind !== "later" &&
    facts.unavailable(field) === undefined;
}

function matching(predicate: Predicate, reasons: ReadonlyMap<number, number>): number {
  const [test] = predicate;
  let sum = 0;
  for (const [reason, n] of reasons) {
    const fits = test === undefined ||
      ("ranges" in test && test.ranges.some(([lo, hi]) => reason >= lo && reason <= hi));
    if (fits) sum += n;
  }
  return sum;
}

function topReasons(reasons: ReadonlyMap<number, number>, world: ReasonWorld): string {
  return [...reasons].sort((a, b) => b[1] - a[1]).slice(0, 3)
    .map(([id, n]) => `${world.names.reason(id)} ${showNumber(n)}`).join(", ");
}

const header = `${"time".padEnd(8)} ${"reason".padEnd(22)} ${"class".padEnd(8)} ` +
  `${"site".padEnd(28)} packet`;

function showDrop(timestamp: string, drop: Drop): string {
  const of = (label: string | undefined): string => printable(label ?? "");
  const end = (address: string | undefined, port: string | undefined): string =>
    `${address?.includes(":") ? `[${of(address)}]` : of(address)}${port ? `:${of(port)}` : ""}`;
  const flow = drop.saddr || drop.daddr
    ? `${end(drop.saddr, drop.sport)} → ${end(drop.daddr, drop.dport)}`
    : "";
  const more = [
    [drop.protocol, drop.l4].filter(Boolean).map(of).join("/"),
    flow,
    drop.tcpFlags ? of(drop.tcpFlags) : "",
    drop.dev ? `dev ${of(drop.dev)}` : "",
    drop.len ? `${of(drop.len)} bytes` : "",
    drop.owner ? `socket of ${of(drop.owner)} (${of(drop.ownerPid)})` : "",
    drop.ownerInode && !drop.owner ? `socket:[${of(drop.ownerInode)}]` : "",
    drop.comm ? `on CPU: ${of(drop.comm)} (${of(drop.pid)})` : "",
  ].filter((part) => part !== "");
  return `${timestamp.slice(11, 19)} ${of(drop.reason).padEnd(22)} ${of(drop.class).padEnd(8)} ` +
    `${of(drop.site).padEnd(28)} ${more.join("  ")}`;
}

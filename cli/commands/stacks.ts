// The kernel stacks at which drops happen, with their counts: to read, or to draw.
import { badOption, exitCode, jsonLine, printable } from "../../core/error.ts";
import { makePlan } from "../../core/plan/plan.ts";
import { plural, showNumber } from "../../core/number.ts";
import type { Command } from "../command.ts";
import { endAfter } from "../ending.ts";
import { readSetting } from "../setting.ts";
import { speedscope } from "../speedscope.ts";
import { reasonPredicate } from "./tail.ts";

const formats = ["text", "folded", "speedscope"];
const defaultDuration = 10_000;
const defaultLimit = 10;
/** How many different stacks are kept. */
const maxRows = 100_000;

interface Row {
  readonly reason: string;
  readonly stack: string;
  n: number;
}

export const stacksCommand: Command = {
  name: "stacks",
  usage: "[--reason NAME]",
  doc: "the kernel stacks of drops with counts; as text, folded or speedscope",
  options: [
    "reason",
    "format",
    "limit",
    "duration",
    "interval",
    "config",
    "source",
    "bpftrace",
    "max-keys",
    "json",
  ],
  examples: [
    "dropwatch stacks --reason SOCKET_FILTER",
    "dropwatch stacks --duration 30s --format folded > drops.folded",
    "dropwatch stacks --format speedscope > drops.speedscope.json",
  ],
  async run(given, terminal) {
    const format = given.text("format") ?? "text";
    if (!formats.includes(format)) throw badOption("format", format, formats.join(", "));
    if (given.flag("json") && given.text("format") !== undefined) {
      throw badOption("format", format, "it alone, or --json alone");
    }
    const setting = await readSetting(given, terminal);
    const facts = await setting.source.facts();
    const why = facts.unavailable("stack");
    if (why !== undefined) {
      throw badOption("source", setting.source.name, `one with stacks; ${why}`);
    }
    const predicate = reasonPredicate(given.list("reason"), facts.world);
    const duration = given.time("duration") ?? defaultDuration;
    const limit = given.number("limit", 1, 10_000) ?? defaultLimit;
    const ending = endAfter(terminal.signal, duration);
    const plan = makePlan([{ predicate, by: ["reason", "stack"] }]);
    const rows = new Map<string, Row>();
    let other = 0;
    await setting.source.run({
      plan,
      interval: setting.interval,
      maxKeys: setting.maxKeys,
      signal: ending.signal,
      log: terminal.log,
      onAttached: () => {
        ending.begin();
        terminal.log(`counting stacks on ${facts.title} for ${duration / 1000} s; Ctrl-C ends it`);
      },
      onTick(tick) {
        for (const { entries, other: full, lost } of tick.maps) {
          other += full + lost;
          for (const { key, n } of entries) {
            const row = rows.get(key.text);
            const [reason = "", stack = ""] = key.labels;
            if (row === undefined && rows.size >= maxRows) other += n;
            else if (row === undefined) rows.set(key.text, { reason, stack, n });
            else row.n += n;
          }
        }
      },
    });
    const sorted = [...rows.values()].sort((a, b) => b.n - a.n);
    if (other > 0) terminal.log(`${showNumber(other)} drops have no stack here: too many at once`);
    if (sorted.length === 0) terminal.log("no drop was seen in this time");
    if (given.flag("json")) {
      const timestamp = new Date().toISOString();
      for (const { reason, stack, n } of sorted) {
        const data = { reason, drops: n, stack: stack.split(";") };
        terminal.out(jsonLine({ type: "stack", timestamp, data }));
      }
    } else if (format === "folded") {
      for (const { reason, stack, n } of sorted) {
        terminal.out(`${printable(`${stack};${reason}`)} ${n}`);
      }
    } else if (format === "speedscope") {
      const samples = sorted.map(({ reason, stack, n }) => ({
        frames: [...stack.split(";"), reason],
        weight: n,
      }));
      terminal.out(jsonLine(speedscope("packet drops", samples)));
    } else {
      for (const row of sorted.slice(0, limit)) terminal.out(showRow(row));
      if (sorted.length > limit) {
        terminal.log(`${sorted.length - limit} more stacks: --limit shows them`);
      }
    }
    return exitCode.done;
  },
};

/** Innermost first, as bpftrace and a kernel oops print it. */
function showRow({ reason, stack, n }: Row): string {
  const frames = stack.split(";").reverse().map((frame) => `    ${printable(frame)}`);
  return `${plural(n, "drop")}  ${printable(reason)}\n${frames.join("\n")}\n`;
}

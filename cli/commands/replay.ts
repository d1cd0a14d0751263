// Runs rules over a capture, as fast as it goes: what would have fired, when, for how long, and how
// that changes with the thresholds.
import { exitCode, jsonLine, missingArgument, showError } from "../../core/error.ts";
import { plural, showNumber } from "../../core/number.ts";
import { replayRules } from "../../core/replay.ts";
import type { Firing, Replayed, SweepStep } from "../../core/replay.ts";
import { showDuration } from "../../core/rule/duration.ts";
import { findRuleFiles } from "../../core/rule/load.ts";
import { replaySource } from "../../plugins/sources/replay.ts";
import type { Command, Terminal } from "../command.ts";
import { readRules, readSetting } from "../setting.ts";
import { showLabel, showTime, table } from "../table.ts";

/** By what thresholds are multiplied. */
const factors = [0.1, 0.2, 0.5, 1, 2, 5, 10];
const barWidth = 20;
const defaultLimit = 1000;
/** Milliseconds between two signs of life: on a terminal one line is written over, elsewhere lines add up. */
const sayEvery = { status: 200, log: 10_000 };

export const replayCommand: Command = {
  name: "replay",
  usage: "FILE --rules DIR",
  doc: "run rules over a capture: what would have fired, when, for how long",
  words: 1,
  options: ["rules", "config", "interval", "max-keys", "sweep", "limit", "json"],
  examples: [
    "dropwatch replay drops.ndjson --rules rules/",
    "dropwatch replay drops.ndjson --rules rules/ --sweep",
    "dropwatch replay drops.ndjson --rules rules/ --json",
  ],
  async run(given, terminal) {
    const [file] = given.words;
    if (file === undefined) throw missingArgument("replay", "a capture");
    const setting = { ...await readSetting(given, terminal), source: replaySource({ file }) };
    if (setting.rules.length === 0) {
      throw missingArgument("replay", "rules: --rules DIR (or `rules` in dropwatch.config.ts)");
    }
    const rules = await readRules(await findRuleFiles(setting.rules), setting, terminal);
    try {
      for (const error of rules.errors) terminal.log(showError(error));
      const started = performance.now();
      let said = started;
      let ticks = 0;
      const replayed = await replayRules({
        source: setting.source,
        rules,
        interval: setting.interval,
        maxKeys: setting.maxKeys,
        overrides: setting.overrides,
        factors: given.flag("sweep") ? factors : [],
        signal: terminal.signal,
        log: terminal.log,
        onTick(tick) {
          ticks++;
          const now = performance.now();
          const tell = terminal.status ?? terminal.log;
          if (now - said < (tell === terminal.log ? sayEvery.log : sayEvery.status)) return;
          said = now;
          tell(`${showTime(tick.at)}: ${showNumber(ticks)} ticks replayed`);
        },
      });
      tell(
        replayed,
        given.number("limit", 1, 1_000_000) ?? defaultLimit,
        given.flag("json"),
        terminal,
      );
      const took = (performance.now() - started) / 1000;
      terminal.log(`replayed in ${took.toFixed(1)} s`);
      return exitCode.done;
    } finally {
      await rules.host.close();
    }
  },
};

function tell(
  { firings, sweep, summary, from, to }: Replayed,
  limit: number,
  json: boolean,
  { out, log }: Terminal,
): void {
  const timestamp = new Date().toISOString();
  const iso = (at: number | null): string | null => at === null ? null : new Date(at).toISOString();
  if (json) {
    for (const firing of firings) {
      const data = { ...firing, startsAt: iso(firing.startsAt), endsAt: iso(firing.endsAt) };
      out(jsonLine({ type: "firing", timestamp, data }));
    }
    for (const data of sweep) out(jsonLine({ type: "sweep", timestamp, data }));
    out(
      jsonLine({ type: "summary", timestamp, data: { ...summary, from: iso(from), to: iso(to) } }),
    );
    return;
  }
  out(
    `${showTime(from)} to ${showTime(to)} (${showDuration(to - from)}): ` +
      `${showNumber(summary.seen)} drops seen = ${showNumber(summary.counted)} counted + ` +
      `${showNumber(summary.other)} other + ${showNumber(summary.lost)} lost`,
  );
  const fired = Map.groupBy(firings, ({ alert }) => alert);
  const rows = firings.slice(0, limit).map((each) => firingRow(each, to));
  if (rows.length > 0) out(["", ...table(firingHead, rows)].join("\n"));
  if (firings.length > limit) {
    log(`${firings.length - limit} more are left out: --limit shows them`);
  }
  const matched = summary.rules.filter(({ total }) => total > 0);
  out(
    [
      "",
      ...table(
        ["rule", "fired", "drops matched"],
        matched.map(({ alert, total }) => [
          alert,
          plural(fired.get(alert)?.length ?? 0, "time"),
          showNumber(total),
        ]),
      ),
      `${plural(summary.rules.length - matched.length, "rule")} matched no drop`,
    ].join("\n"),
  );
  if (sweep.length > 0) out(["", ...sweepTable(sweep)].join("\n"));
}

const firingHead = ["from", "for", "alert", "labels", "peak", "drops"];

function firingRow(firing: Firing, end: number): string[] {
  const { alert, labels, startsAt, endsAt, peak, total, exact } = firing;
  const least = exact ? "" : "≥ ";
  return [
    showTime(startsAt),
    `${showDuration((endsAt ?? end) - startsAt)}${endsAt === null ? " …" : ""}`,
    alert,
    Object.entries(labels).map(([name, value]) => `${name}=${showLabel(value)}`).join(" "),
    `${least}${showNumber(Number(peak.toPrecision(4)))}`,
    `${least}${showNumber(total)}`,
  ];
}

function sweepTable(sweep: readonly SweepStep[]): string[] {
  const lines: string[] = [];
  for (const [alert, steps] of Map.groupBy(sweep, ({ alert }) => alert)) {
    const most = Math.max(...steps.map(({ seconds }) => seconds));
    if (most === 0) continue;
    lines.push(
      alert,
      ...table(
        ["threshold", "fired", "of", "for", ""],
        steps.map(({ threshold, fired, series, seconds, own }) => [
          `${own ? "→ " : "  "}${showNumber(Number(threshold.toPrecision(4)))}`,
          plural(fired, "time"),
          `${series} label sets`,
          seconds === 0 ? "" : showDuration(seconds * 1000),
          "█".repeat(Math.ceil(barWidth * seconds / most)),
        ]),
      ),
      "",
    );
  }
  return lines.length === 0 ? ["no threshold of the sweep makes a rule fire"] : lines;
}

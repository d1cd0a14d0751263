// The main job: rules over this machine's drops, alerts out, until it is told to end.
import { hostname } from "node:os";
import { exitCode, jsonLine, missingArgument, showError } from "../../core/error.ts";
import { runPipeline } from "../../core/pipeline.ts";
import type { RunSummary } from "../../core/pipeline.ts";
import { showDuration } from "../../core/rule/duration.ts";
import { findRuleFiles } from "../../core/rule/load.ts";
import { openStore } from "../../core/store.ts";
import { machineClock } from "../../core/alert/clock.ts";
import { startExporters } from "../../core/view/exporter.ts";
import type { Exports } from "../../core/view/exporter.ts";
import { plural, showNumber } from "../../core/number.ts";
import type { Server } from "../../plugins/server/server.ts";
import type { View } from "../../core/view/view.ts";
import type { Command, Terminal } from "../command.ts";
import { endAfter } from "../ending.ts";
import { watchRules } from "../rule_changes.ts";
import type { RuleChanges } from "../rule_changes.ts";
import { readRules, readSetting } from "../setting.ts";
import type { Listen } from "../setting.ts";

export const watchCommand: Command = {
  name: "watch",
  usage: "--rules DIR",
  doc: "watch drops with rules and send alerts (the main job)",
  options: [
    "rules",
    "config",
    "sink",
    "metrics",
    "interval",
    "state",
    "duration",
    "source",
    "bpftrace",
    "max-keys",
    "listen",
    "token-file",
    "allow-host",
    "history-by",
    "json",
  ],
  examples: [
    "dropwatch --rules rules/",
    "dropwatch --rules rules/ --sink stdout --sink webhook=https://example.org/hook",
    "dropwatch --rules rules/ --listen 127.0.0.1:8787 --state /var/lib/dropwatch",
    "dropwatch --rules rules/ --metrics otlp=http://localhost:4318",
    "dropwatch --rules rules/ --source replay:drops.ndjson --json",
    `dropwatch --rules rules/ --bpftrace "sudo -n bpftrace"`,
  ],
  async run(given, terminal) {
    const setting = await readSetting(given, terminal);
    if (setting.rules.length === 0) {
      throw missingArgument("watch", "rules: --rules DIR (or `rules` in dropwatch.config.ts)");
    }
    const files = await findRuleFiles(setting.rules);
    setting.source.prepare?.(setting.maxKeys);
    const rules = await readRules(files, setting, terminal);
    const sinks = setting.openSinks();
    const exporters = setting.openExporters();
    let pushed: Exports | undefined;
    let shown: View | undefined;
    const server = setting.listen && await serve(setting.listen, terminal);
    const store = setting.state === undefined ? undefined : openStore(setting.state, terminal.log);
    try {
      const told = [...rules.errors, ...rules.warnings, ...setting.oddRoutes(rules)];
      for (const error of told) terminal.log(showError(error));
      if (rules.rules.length === 0) {
        terminal.log("no rule could be loaded: nothing to watch");
        return exitCode.finding;
      }
      const title = (await setting.source.facts()).title;
      const ending = endAfter(terminal.signal, given.time("duration"));
      let changes: RuleChanges | undefined;
      const summary = await runPipeline({
        source: setting.source,
        rules,
        sinks,
        routing: setting.routing,
        externalURL: setting.externalURL ?? server?.link,
        externalLabels: setting.externalLabels,
        interval: setting.interval,
        maxKeys: setting.maxKeys,
        store,
        overrides: setting.overrides,
        view: server === undefined && exporters.length === 0 ? undefined : {
          host: hostname(),
          by: setting.historyBy,
          state: setting.state,
          onView(view) {
            server?.show(view);
            // Where the first program was refused there is another view.
            shown = view;
            pushed ??= startExporters({
              exporters,
              view: () => shown ?? view,
              clock: machineClock,
              log: terminal.log,
            });
          },
        },
        onReload(reload) {
          changes?.stop();
          changes = watchRules(setting.rules, rules, reload, terminal.log);
          terminal.onHangup(() => changes!.look());
        },
        signal: ending.signal,
        log: terminal.log,
        onAttached: () => {
          ending.begin();
          terminal.log(
            `watching ${title} with ${plural(rules.rules.length, "rule")}; alerts to ` +
              `${setting.sinks.map(({ name }) => name).join(", ")}; Ctrl-C ends it`,
          );
        },
      }).finally(() => changes?.stop());
      tellSummary(summary, given.flag("json"), terminal);
      return exitCode.done;
    } finally {
      await pushed?.stop();
      await server?.close();
      store?.close();
      await rules.host.close();
    }
  },
};

/** Serves those who look on; what it needs is loaded only then. */
async function serve(listen: Listen, terminal: Terminal): Promise<Server> {
  const { openServer } = await import("../../plugins/server/server.ts");
  const { metricsFor } = await import("../../plugins/metrics/openmetrics.ts");
  const { bundleDashboard } = await import("../../plugins/server/dashboard/bundle.ts");
  const server = await openServer({
    ...listen,
    files: bundleDashboard,
    metrics: metricsFor,
    log: terminal.log,
  });
  terminal.log(`the dashboard is at ${server.link ?? server.url}`);
  return server;
}

function tellSummary(summary: RunSummary, json: boolean, terminal: Terminal): void {
  if (json) {
    const timestamp = new Date().toISOString();
    terminal.out(jsonLine({ type: "summary", timestamp, data: summary }));
    return;
  }
  const { seconds, seen, counted, other, lost, restarts, rules } = summary;
  const matched = rules.filter(({ total }) => total > 0).sort((a, b) => b.total - a.total);
  terminal.log(
    [
      `watched ${showDuration(seconds * 1000)}: ${showNumber(seen)} drops seen = ` +
      `${showNumber(counted)} counted + ${showNumber(other)} other + ${showNumber(lost)} lost` +
      (restarts > 0 ? `; bpftrace was started again ${plural(restarts, "time")}` : ""),
      ...matched.map(({ alert, total }) => `  ${alert}: ${plural(total, "drop")} matched`),
    ].join("\n"),
  );
}

// Diagnoses rules without watching anything: each mistake with its place and what would be right.
import { exitCode, jsonLine, missingArgument } from "../../core/error.ts";
import type { DropwatchError } from "../../core/error.ts";
import { plural } from "../../core/number.ts";
import { findRuleFiles, loadRules } from "../../core/rule/load.ts";
import type { Command } from "../command.ts";
import { readSetting } from "../setting.ts";
import { showError } from "./watch.ts";

export const checkCommand: Command = {
  name: "check",
  usage: "[--rules] DIR",
  doc: "find the mistakes in rules: file, line, column, value, nearest name",
  words: Infinity,
  options: ["rules", "config", "interval", "source", "bpftrace", "json"],
  examples: ["dropwatch check rules/", "dropwatch check rules/mine.ts --json"],
  async run(given, terminal) {
    const setting = await readSetting(given, terminal);
    const places = [
      ...given.words,
      ...(given.words.length > 0 ? given.list("rules") : setting.rules),
    ];
    if (places.length === 0) throw missingArgument("check", "a folder or file with rules");
    const files = await findRuleFiles(places);
    const facts = setting.source.facts();
    facts.catch(() => {});
    const rules = await loadRules({ files, facts, interval: setting.interval, log: terminal.log });
    await rules.host.close();
    if (given.flag("json")) {
      for (const error of rules.errors) terminal.out(jsonLine(asJson(error)));
    } else {
      for (const error of rules.errors) terminal.out(showError(error));
      const ok = rules.rules.length;
      terminal.log(
        `${plural(files.length, "file")}: ${plural(ok, "rule")} without a mistake, ` +
          `${plural(rules.errors.length, "mistake")} found`,
      );
    }
    return rules.errors.length === 0 ? exitCode.done : exitCode.finding;
  },
};

function asJson(error: DropwatchError): unknown {
  const { file = "", line = null, column = null } = error.place ?? {};
  return {
    type: "mistake",
    timestamp: new Date().toISOString(),
    data: { file, line, column, code: error.code, message: error.message, ...error.data },
  };
}

// Diagnoses rules without watching anything: each mistake with its place and what would be right.
import { exitCode, jsonLine, showError } from "../../core/error.ts";
import type { DropwatchError } from "../../core/error.ts";
import { plural } from "../../core/number.ts";
import { findRuleFiles } from "../../core/rule/load.ts";
import type { Command } from "../command.ts";
import { readRules, readSetting, rulePlaces } from "../setting.ts";

export const checkCommand: Command = {
  name: "check",
  usage: "[--rules] DIR",
  doc: "find the mistakes in rules: file, line, column, value, nearest name",
  words: Infinity,
  options: ["rules", "config", "interval", "source", "json"],
  examples: ["dropwatch check rules/", "dropwatch check rules/mine.ts --json"],
  async run(given, terminal) {
    const setting = await readSetting(given, terminal);
    const files = await findRuleFiles(rulePlaces("check", given, setting));
    const rules = await readRules(files, setting, terminal);
    await rules.host.close();
    // Single files may be looked at alone: the routes are about all rules.
    const all = given.words.length + given.list("rules").length === 0;
    const warnings = [...rules.warnings, ...all ? setting.oddRoutes(rules) : []];
    if (given.flag("json")) {
      for (const error of rules.errors) terminal.out(jsonLine(asJson("mistake", error)));
      for (const warning of warnings) terminal.out(jsonLine(asJson("warning", warning)));
    } else {
      for (const error of rules.errors) terminal.out(showError(error));
      for (const warning of warnings) terminal.out(`warning: ${showError(warning)}`);
      const ok = rules.rules.length;
      terminal.log(
        `${plural(files.length, "file")}: ${plural(ok, "rule")} without a mistake, ` +
          `${plural(rules.errors.length, "mistake")} found` +
          (warnings.length === 0 ? "" : `, ${plural(warnings.length, "warning")}`),
      );
    }
    return rules.errors.length === 0 ? exitCode.done : exitCode.finding;
  },
};

function asJson(type: "mistake" | "warning", error: DropwatchError): unknown {
  const { file = "", line = null, column = null } = error.place ?? {};
  return {
    type,
    timestamp: new Date().toISOString(),
    data: { file, line, column, code: error.code, message: error.message, ...error.data },
  };
}

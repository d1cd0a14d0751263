// What runs where: for each rule what the kernel counts, what TypeScript does, what it costs, and
// the program itself.
import { exitCode, jsonLine, showError } from "../../core/error.ts";
import { planRules } from "../../core/pipeline.ts";
import { explainRules } from "../../core/plan/explain.ts";
import { findRuleFiles } from "../../core/rule/load.ts";
import type { Command } from "../command.ts";
import { readRules, readSetting, rulePlaces } from "../setting.ts";

export const explainCommand: Command = {
  name: "explain",
  usage: "[--rules] DIR",
  doc: "for each rule what runs where and why, its cost, and the bpftrace program",
  words: Infinity,
  options: ["rules", "config", "interval", "source", "max-keys", "json"],
  examples: ["dropwatch explain rules/", "dropwatch explain rules/ --json | jq -r .data.program"],
  async run(given, terminal) {
    const setting = await readSetting(given, terminal);
    const { source } = setting;
    const files = await findRuleFiles(rulePlaces("explain", given, setting));
    const rules = await readRules(files, setting, terminal);
    await rules.host.close();
    for (const error of rules.errors) terminal.log(showError(error));
    const facts = await source.facts();
    const plan = planRules(rules.rules, facts);
    const program = await source.program?.(plan, setting.interval) ??
      `${source.name} counts in TypeScript, without a program in the kernel`;
    const explained = explainRules(rules.rules, plan, setting.maxKeys, facts.world);
    if (given.flag("json")) {
      const data = { ...explained, program };
      terminal.out(jsonLine({ type: "plan", timestamp: new Date().toISOString(), data }));
    } else {
      for (const { alert, lines } of explained.rules) {
        terminal.out([alert, ...lines.map((line) => `  ${line}`), ""].join("\n"));
      }
      terminal.out([explained.cost, "", program].join("\n"));
    }
    return rules.errors.length === 0 ? exitCode.done : exitCode.finding;
  },
};

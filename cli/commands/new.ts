// Writes a rule with its test: something that works, to be changed into what is wanted.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  badAlertName,
  exitCode,
  fileExists,
  jsonLine,
  missingArgument,
  unknownReason,
} from "../../core/error.ts";
import { knowledge } from "../../core/drop/knowledge.ts";
import { nearest } from "../../core/nearest.ts";
import { shown } from "../../core/rule/bundle.ts";
import type { Command } from "../command.ts";

const defaultFolder = "rules";
const defaultReason = "SOCKET_RCVBUFF";

export const newCommand: Command = {
  name: "new",
  usage: "NAME [--rules DIR]",
  doc: "write a rule with its test, which passes at once",
  words: 1,
  options: ["rules", "reason", "json"],
  examples: [
    "dropwatch new ResolverLosesPackets",
    "dropwatch new ResolverLosesPackets --reason SOCKET_RCVBUFF --rules rules/dns",
    "dropwatch test rules/",
  ],
  async run(given, terminal) {
    const [name] = given.words;
    if (name === undefined) throw missingArgument("new", "the name of an alert");
    if (!/^[A-Z][A-Za-z0-9]{0,99}$/.test(name)) throw badAlertName(name);
    const reason = given.list("reason")[0] ?? defaultReason;
    if (!Object.hasOwn(knowledge, reason)) {
      throw unknownReason(reason, nearest(reason, Object.keys(knowledge)));
    }
    const folder = given.list("rules")[0] ?? defaultFolder;
    await mkdir(folder, { recursive: true });
    const file = name.replaceAll(/(?<=[a-z0-9])[A-Z]|(?<!^)[A-Z](?=[a-z])/g, (l) => `_${l}`)
      .toLowerCase();
    const paths = [join(folder, `${file}.ts`), join(folder, `${file}.test.ts`)] as const;
    const { means } = knowledge[reason as keyof typeof knowledge];
    await write(paths[0], ruleText(name, reason, means));
    await write(paths[1], testText(file, reason));
    if (given.flag("json")) {
      const timestamp = new Date().toISOString();
      terminal.out(jsonLine({ type: "new", timestamp, data: { files: paths.map(shown) } }));
    } else {
      terminal.out(paths.map(shown).join("\n"));
      terminal.log(`try it: dropwatch test ${shown(paths[1])}`);
    }
    return exitCode.done;
  },
};

async function write(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text, { flag: "wx" });
  } catch (thrown) {
    if ((thrown as { code?: string }).code === "EEXIST") throw fileExists(file);
    throw thrown;
  }
}

function ruleText(name: string, reason: string, means: string): string {
  return [
    `// Finds: ${means}`,
    "// Matters: say what is lost, and to whom.",
    "// Misleads: say when it is nothing.",
    'import { drops, rule } from "dropwatch";',
    "",
    "export default rule({",
    `  alert: "${name}",`,
    `  when: drops.where({ reason: "${reason}" }).by("owner").rate("10s").above(20, { recovery: 10 }),`,
    '  for: "10s",',
    '  keepFiringFor: "1m",',
    '  severity: "warning",',
    "  summary: ({ value, labels }) =>",
    `    \`\${labels.owner || "nobody known"} loses \${value.toFixed(0)} packets/s (${reason})\`,`,
    '  description: "Say what to look at, and what to do.",',
    "});",
    "",
  ].join("\n");
}

function testText(file: string, reason: string): string {
  return [
    'import { ruleTest } from "dropwatch/test";',
    `import rule from "./${file}.ts";`,
    "",
    `const drop = { reason: "${reason}", owner: "unbound" } as const;`,
    "",
    "ruleTest(rule, [",
    "  {",
    '    name: "fires when it goes on, and says for whom",',
    '    given: [{ from: 0, to: "1m", drop, rate: 50 }],',
    "    expect: [",
    '      { at: "4s", state: "inactive" },',
    '      { at: "5s", state: "pending", labels: { owner: "unbound" }, value: 25 },',
    '      { at: "15s", state: "firing", value: 50, summary: /^unbound loses 50 packets\\/s/ },',
    "    ],",
    "  },",
    "  {",
    '    name: "leaves a burst alone",',
    '    given: [{ at: "5s", drop, count: 300 }],',
    '    expect: [{ at: "5s", state: "pending" }, { at: "15s", state: "inactive" }],',
    "  },",
    "  {",
    '    name: "is resolved a minute after it went on for the last time",',
    '    given: [{ from: 0, to: "30s", drop, rate: 50 }],',
    '    expect: [{ at: "1m35s", state: "firing" }, { at: "1m38s", state: "inactive" }],',
    "  },",
    "]);",
    "",
  ].join("\n");
}

// What this kernel's drop reasons are, and what one of them means.
import { knowledgeOf } from "../../core/drop/reason.ts";
import { exitCode, jsonLine, missingArgument, unknownReason } from "../../core/error.ts";
import { nearest } from "../../core/nearest.ts";
import type { ReasonWorld } from "../../core/plan/predicate.ts";
import type { Command } from "../command.ts";
import { readSetting } from "../setting.ts";

interface Row {
  readonly id: number;
  readonly name: string;
  readonly subsystem: string;
  readonly class: string;
  readonly means: string;
}

function rowsOf(world: ReasonWorld): Row[] {
  return [...world.reasons].sort(([a], [b]) => a - b).map(([id, name]) => ({
    id,
    name,
    subsystem: world.names.subsystem(id >>> 16),
    class: world.names.classOf(id),
    means: knowledgeOf(name)?.means ?? "",
  }));
}

export const reasonsCommand: Command = {
  name: "reasons",
  usage: "",
  doc: "the drop reasons of this kernel, with their numbers and classes",
  options: ["source", "config", "bpftrace", "json"],
  examples: ["dropwatch reasons", "dropwatch reasons --json"],
  async run(given, terminal) {
    const { source } = await readSetting(given, terminal);
    const { world, title } = await source.facts();
    const rows = rowsOf(world);
    if (given.flag("json")) {
      const timestamp = new Date().toISOString();
      for (const data of rows) terminal.out(jsonLine({ type: "reason", timestamp, data }));
      return exitCode.done;
    }
    terminal.log(`${rows.length} drop reasons of ${title}; \`dropwatch reason NAME\` explains one`);
    const width = Math.max(...rows.map(({ name }) => name.length));
    for (const { id, name, class: kind } of rows) {
      terminal.out(`${String(id).padStart(6)}  ${name.padEnd(width)}  ${kind}`);
    }
    return exitCode.done;
  },
};

export const reasonCommand: Command = {
  name: "reason",
  usage: "NAME",
  doc: "what a drop reason means, its usual causes, how to confirm it, what to change",
  words: 1,
  options: ["source", "config", "bpftrace", "json"],
  examples: ["dropwatch reason SOCKET_FILTER", "dropwatch reason TCP_LISTEN_OVERFLOW"],
  async run(given, terminal) {
    const [name] = given.words;
    if (name === undefined) throw missingArgument("reason", "the NAME of a drop reason");
    const { source } = await readSetting(given, terminal);
    const { world, title } = await source.facts();
    const wanted = name.toUpperCase().replace(/^SKB_DROP_REASON_/, "");
    const row = rowsOf(world).find((each) => each.name.toUpperCase() === wanted);
    if (row === undefined) throw unknownReason(name, nearest(wanted, world.reasons.values()));
    const known = knowledgeOf(row.name);
    if (given.flag("json")) {
      const data = { ...row, ...known };
      terminal.out(jsonLine({ type: "reason", timestamp: new Date().toISOString(), data }));
      return exitCode.done;
    }
    const list = (title: string, items: readonly string[]): string[] =>
      items.length === 0 ? [] : ["", title, ...items.map((item) => `  ${item}`)];
    terminal.out(
      [
        `${row.name}  (${row.id} on ${title}, class: ${row.class})`,
        "",
        known?.means ?? "Nothing is known here about this reason.",
        ...list("usual causes", known?.causes ?? []),
        ...list("to confirm it", known?.confirm ?? []),
        ...list("what to change", known?.change ?? []),
        ...list("where it happens", [
          `dropwatch stacks --reason ${row.name}`,
        ]),
      ].join("\n"),
    );
    return exitCode.done;
  },
};

// Whether all that dropwatch tells is right on this machine: it causes drops and looks.
import { release } from "node:os";
import { exitCode, jsonLine, needsRoot, printable } from "../../core/error.ts";
import { examine } from "../../plugins/doctor/doctor.ts";
import { allRight, showChecks, showCost, showSums, sumsOf } from "../../plugins/doctor/report.ts";
import { runTool } from "../../plugins/doctor/tool.ts";
import { bpftraceSource } from "../../plugins/sources/bpftrace/source.ts";
import type { Command } from "../command.ts";
import { readSetting } from "../setting.ts";

export const doctorCommand: Command = {
  name: "doctor",
  usage: "",
  doc: "cause drops in network namespaces of its own, and check what is told of them",
  options: ["config", "bpftrace", "json"],
  examples: [
    "dropwatch doctor",
    "dropwatch doctor --json | jq 'select(.data.verdict == \"wrong\")'",
  ],
  async run(given, terminal) {
    if (process.getuid?.() !== 0) throw needsRoot("dropwatch doctor");
    const started = performance.now();
    const { bpftrace } = await readSetting(given, terminal);
    const source = bpftraceSource({ command: bpftrace });
    const facts = await source.facts();
    const machine = {
      kernel: facts.release ?? release(),
      bpftrace: versionOf(bpftrace),
      btf: facts.unavailable("netns") === undefined,
      runtime: process.versions.bun === undefined
        ? `Deno ${process.versions.deno}`
        : `Bun ${process.versions.bun}`,
    };
    const { checks, cost } = await examine({
      source,
      signal: terminal.signal,
      log: terminal.log,
      onProgress: (what) => {
        if (terminal.isTerminal) terminal.log(what);
      },
    });
    const sums = sumsOf(checks);
    const seconds = Number(((performance.now() - started) / 1000).toFixed(1));
    if (given.flag("json")) {
      const timestamp = new Date().toISOString();
      for (const data of checks) terminal.out(jsonLine({ type: "check", timestamp, data }));
      const data = { ...sums, ...machine, cost: cost ?? null, seconds };
      terminal.out(jsonLine({ type: "summary", timestamp, data }));
    } else {
      terminal.out(
        [
          `Linux ${machine.kernel}, ${machine.bpftrace}, ${
            machine.btf ? "with" : "without"
          } BTF, ` +
          machine.runtime,
          "",
          showChecks(checks),
          "",
          ...(cost === undefined ? [] : [`the watch adds ${showCost(cost)}`]),
          showSums(sums),
        ].join("\n"),
      );
    }
    // What was interrupted has not been found to be right.
    return allRight(sums) && !terminal.signal.aborted ? exitCode.done : exitCode.finding;
  },
};

/** As bpftrace says it; where it can't be run, the watch will say why. */
function versionOf(command: readonly string[]): string {
  try {
    return printable(runTool([...command, "--version"]).trim());
  } catch {
    return "bpftrace";
  }
}

// This machine's drops into a file, to run rules over them later.
import { existsSync } from "node:fs";
import { fieldNames, isFieldName } from "../../core/drop/field.ts";
import type { FieldName } from "../../core/drop/field.ts";
import {
  badOption,
  captureExists,
  exitCode,
  jsonLine,
  missingArgument,
  showError,
} from "../../core/error.ts";
import { nearest } from "../../core/nearest.ts";
import { plural, showBytes, showNumber } from "../../core/number.ts";
import { makePlan } from "../../core/plan/plan.ts";
import type { EvidencePlan } from "../../core/plan/plan.ts";
import { showDuration } from "../../core/rule/duration.ts";
import { findRuleFiles } from "../../core/rule/load.ts";
import type { SourceFacts } from "../../core/watch/source.ts";
import { keptFields } from "../../core/watch/evidence.ts";
import { addTick, noTicks } from "../../core/watch/tick.ts";
import type { TickSums } from "../../core/watch/tick.ts";
import { countsOf } from "../../core/watch/watch.ts";
import { makeCaptureFile } from "../../plugins/sources/capture/file.ts";
import type { CaptureFile } from "../../plugins/sources/capture/file.ts";
import { captureFields, captureWriter } from "../../plugins/sources/capture/writer.ts";
import type { Command, Terminal } from "../command.ts";
import { endAfter } from "../ending.ts";
import type { Given } from "../option.ts";
import { readRules, readSetting } from "../setting.ts";
import type { Setting } from "../setting.ts";

/** What most rules ask for, and of what there are few different ones at a time. */
export const defaultFields: readonly FieldName[] = [
  "reason",
  "protocol",
  "l4",
  "dport",
  "dev",
  "owner",
  "ownerPort",
  "unit",
  "container",
];
/** Of each combination of these a drop is kept, beside the first ones of a tick: there are few. */
const toldApart: readonly FieldName[] = ["reason", "l4", "dev", "owner", "unit", "container"];
const perTick = 8;
const perLabels = 1;
const lookedAt = 5000;

const defaultMaxSize = 2 ** 30;
/** Milliseconds between two lines that say how far it is, where no line can be rewritten. */
const sayEvery = 10_000;

export const recordCommand: Command = {
  name: "record",
  usage: "FILE",
  doc: "record drops into a file, to run rules over them later",
  words: 1,
  options: [
    "rules",
    "by",
    "duration",
    "interval",
    "max-size",
    "max-keys",
    "force",
    "config",
    "source",
    "bpftrace",
    "json",
  ],
  examples: [
    "dropwatch record drops.ndjson",
    "dropwatch record drops.ndjson --rules rules/ --duration 10m",
    "dropwatch record drops.ndjson --by reason,saddr,site --max-size 100M",
    "dropwatch replay drops.ndjson --rules rules/",
  ],
  async run(given, terminal) {
    const [file] = given.words;
    if (file === undefined) throw missingArgument("record", "a file to record into");
    const maxSize = given.size("max-size", 1 << 16, 2 ** 40) ?? defaultMaxSize;
    const force = given.flag("force");
    // Said before anything is started; the file is made only when there is something to write.
    if (!force && existsSync(file)) throw captureExists(file);
    const setting = await readSetting(given, terminal);
    const facts = await setting.source.facts();
    const fields = await fieldsFor(given, setting, facts, terminal);
    if (fields === undefined) return exitCode.finding;
    const sum = facts.unavailable("len") === undefined ? "len" as const : undefined;
    const evidence = evidenceOf(fields, facts);
    const plan = makePlan([{ predicate: [], by: fields, sum }], undefined, "decisions", evidence);
    const { names, reasons, subsystems } = facts.world;
    const writer = captureWriter({
      head: {
        kernel: facts.release ?? "",
        reasons: Object.fromEntries(reasons),
        subsystems: Object.fromEntries(subsystems),
        interval: setting.interval,
        fields: [...plan.maps[0]!.by],
        sum,
        evidence: [...evidence.fields],
      },
      names,
    });
    const ending = endAfter(terminal.signal, given.time("duration"));
    const stopped = new AbortController();
    const sums = noTicks();
    let unreadable = 0;
    let into: CaptureFile | undefined;
    let failure: unknown;
    let complete = true;
    const stop = (why?: unknown): void => {
      failure ??= why;
      stopped.abort();
    };
    const say = progress(
      terminal,
      () =>
        `${plural(sums.ticks, "tick")}, ${plural(sums.seen, "drop")}, ${
          showBytes(into?.bytes ?? 0)
        }`,
    );
    const attempt = (doing: () => void): void => {
      if (stopped.signal.aborted) return;
      try {
        doing();
      } catch (thrown) {
        stop(thrown);
      }
    };
    try {
      await setting.source.run({
        plan,
        interval: setting.interval,
        maxKeys: setting.maxKeys,
        signal: AbortSignal.any([ending.signal, stopped.signal]),
        log: terminal.log,
        onAttached: () =>
          attempt(() => {
            into = makeCaptureFile(file, force);
            into.write(writer.head());
            ending.begin();
            terminal.log(
              `counting drops on ${facts.title} by ${fields.join(", ")} into ${file}; ` +
                `Ctrl-C ends it`,
            );
          }),
        onTick: (tick) =>
          attempt(() => {
            const lines = writer.tick(tick);
            if (into!.bytes + 4 * lines.length + longestEnd > maxSize) {
              const bytes = new TextEncoder().encode(lines).length;
              if (into!.bytes + bytes + longestEnd > maxSize) {
                complete = false;
                terminal.log(
                  `${file} has reached ${showBytes(maxSize)}: the recording ends here ` +
                    `(--max-size raises the limit)`,
                );
                return stop();
              }
            }
            into!.write(lines);
            addTick(sums, tick);
            unreadable += tick.unreadable;
            say();
          }),
      });
      if (failure === undefined) into?.write(writer.end());
    } finally {
      into?.close();
    }
    if (failure !== undefined) throw failure;
    const bytes = into?.bytes ?? 0;
    const seconds = Number(sums.seconds.toFixed(3));
    const { keys } = writer;
    tellSummary({ file, ...sums, seconds, unreadable, keys, bytes, complete }, given, terminal);
    return exitCode.done;
  },
};

/** Bytes of the line that says that the capture is complete. */
const longestEnd = 64;

/** The fields to count by, as they were asked for; undefined where no rule can be read. */
async function fieldsFor(
  given: Given,
  setting: Setting,
  facts: SourceFacts,
  terminal: Terminal,
): Promise<readonly FieldName[] | undefined> {
  const by = given.text("by");
  const places = given.list("rules");
  if (by !== undefined && places.length > 0) {
    throw badOption("by", by, "it alone, or --rules alone");
  }
  if (by !== undefined) return captureFields(readFields(by, facts));
  if (places.length === 0) {
    return captureFields(defaultFields.filter((field) => {
      const why = facts.unavailable(field);
      if (why !== undefined) terminal.log(`recording without ${field}: ${why}`);
      return why === undefined;
    }));
  }
  const rules = await readRules(await findRuleFiles(places), setting, terminal);
  try {
    for (const error of rules.errors) terminal.log(showError(error));
    if (rules.rules.length === 0) {
      terminal.log("no rule could be loaded: nothing to record");
      return undefined;
    }
    const { counts } = countsOf(rules.rules);
    const asked = new Set(
      counts.flatMap(({ by, predicate }) => [...by, ...predicate.map(({ field }) => field)]),
    );
    return captureFields(fieldNames.filter((field) => asked.has(field)));
  } finally {
    await rules.host.close();
  }
}

function readFields(text: string, facts: SourceFacts): FieldName[] {
  return text.split(",").map((name) => {
    const field = name.trim();
    if (!isFieldName(field)) {
      const near = nearest(field, fieldNames);
      const hint = near.length === 0 ? "" : `; nearest: ${near.join(", ")}`;
      throw badOption("by", field, `fields, separated by commas${hint}`);
    }
    const why = facts.unavailable(field);
    if (why !== undefined) throw badOption("by", field, `a field that can be had: ${why}`);
    return field;
  });
}

function evidenceOf(fields: readonly FieldName[], facts: SourceFacts): EvidencePlan {
  return {
    fields: keptFields(fields, facts),
    perTick,
    labels: toldApart.filter((field) => fields.includes(field)),
    perLabels,
    lookedAt,
    counts: [0],
  };
}

/** Says how far it is: at each tick on a terminal, in one line, and elsewhere now and then. */
function progress({ status, log }: Terminal, text: () => string): () => void {
  if (status !== undefined) return () => status(text());
  let said = Date.now();
  return () => {
    const now = Date.now();
    if (now - said < sayEvery) return;
    said = now;
    log(text());
  };
}

interface Summary extends Readonly<TickSums> {
  readonly file: string;
  /** Lines of the source that couldn't be read. */
  readonly unreadable: number;
  readonly keys: number;
  readonly bytes: number;
  /** Whether it wasn't cut off by --max-size. */
  readonly complete: boolean;
}

function tellSummary(summary: Summary, given: Given, terminal: Terminal): void {
  if (given.flag("json")) {
    const timestamp = new Date().toISOString();
    terminal.out(jsonLine({ type: "summary", timestamp, data: summary }));
    return;
  }
  const { file, seconds, ticks, seen, counted, other, lost, restarts, unreadable, keys, bytes } =
    summary;
  terminal.log(
    `recorded ${showDuration(seconds * 1000)} into ${file}: ${plural(ticks, "tick")}, ` +
      `${plural(keys, "key")}, ${showBytes(bytes)}\n` +
      `  ${showNumber(seen)} drops seen = ${showNumber(counted)} counted + ` +
      `${showNumber(other)} other + ${showNumber(lost)} lost` +
      (other > 0 ? " (other had no room: --max-keys raises the limit)" : "") +
      (unreadable > 0 ? `; ${plural(unreadable, "line")} of the source could not be read` : "") +
      (restarts > 0 ? `; bpftrace was started again ${plural(restarts, "time")}` : ""),
  );
}

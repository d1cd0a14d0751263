// Causes drops in network namespaces of its own, watches them as every other drop is watched, and
// compares what is told with what was sent.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { AlertData } from "../../core/alert/alert.ts";
import type { Sink } from "../../core/alert/sink.ts";
import { DropwatchError, noTool } from "../../core/error.ts";
import { runPipeline } from "../../core/pipeline.ts";
import type { RunSummary } from "../../core/pipeline.ts";
import { loadRules } from "../../core/rule/load.ts";
import type { RuleSet } from "../../core/rule/load.ts";
import type { Source, SourceFacts } from "../../core/watch/source.ts";
import { costOf } from "./cost.ts";
import type { Cost, Slices } from "./cost.ts";
import { judge, skipped } from "./judge.ts";
import type { Check, Knowledge } from "./judge.ts";
import { Namespaces } from "./namespaces.ts";
import { startPeer } from "./peer.ts";
import type { Peer } from "./peer.ts";
import { ruleText } from "./ruleset.ts";
import { hasTool, packageOf } from "./tool.ts";
import { nameOf, trials } from "./trial.ts";
import type { Sent, Trial } from "./trial.ts";

export interface DoctorOptions {
  readonly source: Source;
  /** Aborted when it is to end early: what was not tried is skipped then. */
  readonly signal: AbortSignal;
  readonly log: (message: string) => void;
  /** What it does now, for people who wait. */
  readonly onProgress: (what: string) => void;
}

/** What doctor has found out. */
export interface Examination {
  readonly checks: readonly Check[];
  /** Undefined where it was interrupted before it was known. */
  readonly cost: Cost | undefined;
}

/** Milliseconds between ticks. */
const interval = 100;
/** Milliseconds in which an alert comes, or doesn't. */
const patience = 3000;
const maxKeys = 4096;
const slices = 50;
const sendsOfSlice = 4000;

/**
 * Makes all trials. Nothing of them is left behind when this settles, and nothing but files in /tmp
 * when the process is killed.
 *
 * @throws DropwatchError where none can be made, or where the source can't run.
 */
export async function examine(options: DoctorOptions): Promise<Examination> {
  const { source, signal, log, onProgress } = options;
  const facts = await source.facts();
  for (const tool of ["unshare", "nsenter", "ip"]) {
    if (!hasTool(tool)) throw noTool(tool, packageOf(tool));
  }
  const why = new Map(trials.map((trial) => [trial, impossible(trial, facts)]));
  const possible = trials.filter((trial) => why.get(trial) === undefined);

  onProgress("setting up");
  source.prepare?.(maxKeys);
  await using undo = new AsyncDisposableStack();
  const namespaces = undo.adopt(await Namespaces.open(), (each) => each.delete());
  const sender = undo.adopt(await startPeer("dw-sender", namespaces.a), (each) => each.close());
  const receiver = undo.adopt(await startPeer("dw-receiver", namespaces.b), (each) => each.close());
  // What they were asked fails then, and the rest follows from that.
  const interrupt = (): void => void Promise.all([sender.close(), receiver.close()]);
  signal.addEventListener("abort", interrupt);
  undo.defer(() => signal.removeEventListener("abort", interrupt));
  if (signal.aborted) interrupt();

  const rules = undo.adopt(
    await readRules(ruleText(possible, namespaces, (field) => canTell(facts, field)), facts, log),
    ({ host }) => host.close(),
  );
  const timed = { plain: [] as Slices[], watched: [] as Slices[] };
  const takeTime = async (what: keyof typeof timed): Promise<void> => {
    if (signal.aborted) return;
    onProgress("measuring sends");
    timed[what].push(await timesOf(sender));
  };
  try {
    await takeTime("plain");
    onProgress("attaching");
    const watch = undo.adopt(
      await startWatch(options, rules),
      async (each) => void await each.stop(),
    );
    const fields = canTell(facts, "netns");
    // Without BTF these drops would be taken for those of a trial.
    if (fields) await takeTime("watched");
    const known: Knowledge = {
      fields,
      receivers: isSince(facts.release, 6, 11),
      devices: { a: namespaces.a.device, b: namespaces.b.device },
      netns: { a: namespaces.a.inode, b: namespaces.b.inode },
      owners: { sender, receiver },
    };
    const results: Result[] = [];
    for (const [i, trial] of trials.entries()) {
      const cannot = signal.aborted ? interrupted : why.get(trial);
      onProgress(`${nameOf(trial)} (${i + 1} of ${trials.length})`);
      results.push(
        cannot === undefined
          ? await make(trial, { namespaces, sender, receiver }, watch, signal)
          : { trial, why: cannot },
      );
    }
    await takeTime("watched");
    const totals = new Map(
      (await watch.stop()).rules.map(({ alert, total }) => [alert, total]),
    );
    await takeTime("plain");
    return {
      checks: results.map((result) =>
        "why" in result ? skipped(result.trial, result.why) : judge(
          result.trial,
          result.sent,
          { ...result, total: totals.get(nameOf(result.trial)) ?? 0 },
          known,
        )
      ),
      cost: signal.aborted ? undefined : costOf(timed.plain, timed.watched),
    };
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
    return { checks: trials.map((trial) => skipped(trial, interrupted)), cost: undefined };
  }
}

const interrupted = "interrupted";

/** A trial that was made, but for what is only known at the end; or why it wasn't. */
type Result =
  | {
    readonly trial: Trial;
    readonly sent: Sent;
    readonly alert: AlertData | undefined;
    readonly reasons: ReadonlyMap<string, number>;
  }
  | { readonly trial: Trial; readonly why: string };

/** Why a trial can't be made here. */
function impossible(
  { cause: { reason }, tool }: Trial,
  { world }: SourceFacts,
): string | undefined {
  if (![...world.reasons.values()].includes(reason)) return "this kernel has no such drop reason";
  if (tool !== undefined && !hasTool(tool)) return noTool(tool, packageOf(tool)).message;
  return undefined;
}

function canTell(facts: SourceFacts, field: Parameters<SourceFacts["unavailable"]>[0]): boolean {
  return facts.unavailable(field) === undefined;
}

function isSince(release: string | undefined, major: number, minor: number): boolean {
  const [, has = "0", had = "0"] = /^(\d+)\.(\d+)/.exec(release ?? "") ?? [];
  return Number(has) > major || (Number(has) === major && Number(had) >= minor);
}

/** Reads rules from a folder that is there only meanwhile. */
async function readRules(
  text: string,
  facts: SourceFacts,
  log: (message: string) => void,
): Promise<RuleSet> {
  const folder = await mkdtemp(join(tmpdir(), "dropwatch-doctor-"));
  try {
    const file = join(folder, "rules.ts");
    await writeFile(file, text);
    const files = [file];
    const rules = await loadRules({ files, facts: () => Promise.resolve(facts), interval, log });
    const [error] = rules.errors;
    if (error === undefined) return rules;
    await rules.host.close();
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The pipeline as it always is, with a sink that keeps alerts. */
interface Watch {
  /** The alert of a rule; undefined where it doesn't come in time. */
  alert(name: string, signal: AbortSignal): Promise<AlertData | undefined>;
  /** What was counted since this was last called, by reason. */
  takeReasons(): ReadonlyMap<string, number>;
  /** Ends it; harmless the second time. */
  stop(): Promise<RunSummary>;
}

async function startWatch(
  { source, signal, log }: DoctorOptions,
  rules: RuleSet,
): Promise<Watch> {
  const { world } = await source.facts();
  const ending = new AbortController();
  const attached = Promise.withResolvers<void>();
  const alerts = new Map<string, AlertData>();
  const waiting = new Map<string, () => void>();
  let reasons = new Map<string, number>();
  const sink: Sink = {
    name: "doctor",
    send({ type, data }) {
      if (type === "alert.firing" && !alerts.has(data.alert)) {
        alerts.set(data.alert, data);
        waiting.get(data.alert)?.();
      }
      return Promise.resolve();
    },
  };
  const running = runPipeline({
    source,
    rules,
    sinks: [sink],
    interval,
    maxKeys,
    signal: AbortSignal.any([signal, ending.signal]),
    log,
    onAttached: attached.resolve,
    onTick(tick) {
      for (const [id, n] of tick.reasons) {
        const name = world.names.reason(id);
        reasons.set(name, (reasons.get(name) ?? 0) + n);
      }
    },
  });
  await Promise.race([attached.promise, running]);
  return {
    async alert(name, signal) {
      const arrived = Promise.withResolvers<void>();
      waiting.set(name, arrived.resolve);
      if (!alerts.has(name)) {
        const over = new AbortController();
        const late = sleep(patience, undefined, {
          signal: AbortSignal.any([signal, over.signal]),
        }).catch(() => {});
        await Promise.race([arrived.promise, late]);
        over.abort();
      }
      return alerts.get(name);
    },
    takeReasons() {
      const taken = reasons;
      reasons = new Map();
      return taken;
    },
    stop() {
      ending.abort();
      return running;
    },
  };
}

async function make(
  trial: Trial,
  stage: { namespaces: Namespaces; sender: Peer; receiver: Peer },
  watch: Watch,
  signal: AbortSignal,
): Promise<Result> {
  watch.takeReasons();
  let alert: AlertData | undefined;
  const told = async (): Promise<void> => {
    alert = await watch.alert(nameOf(trial), signal);
  };
  try {
    const sent = await trial.run({ ...stage, told });
    return { trial, sent, alert, reasons: watch.takeReasons() };
  } catch (thrown) {
    if (signal.aborted) return { trial, why: interrupted };
    // The kernel has no such table, queue or socket: that is no fault of what is examined.
    if (thrown instanceof DropwatchError) return { trial, why: thrown.message };
    throw thrown;
  }
}

async function timesOf(sender: Peer): Promise<Slices> {
  const address = "127.0.0.1";
  const { times } = await sender.ask({ do: "time", address, count: sendsOfSlice, slices });
  await sender.ask({ do: "close" });
  return times;
}

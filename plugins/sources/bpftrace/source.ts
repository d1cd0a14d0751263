// The kernel as a source: one bpftrace, watched over. When it dies it is started again, the time
// in which nobody counted is said, and what it had counted stays.
import { setTimeout as sleep } from "node:timers/promises";
import { fieldOf } from "../../../core/drop/field.ts";
import type { FieldName } from "../../../core/drop/field.ts";
import { unavailable } from "../../../core/drop/fragment.ts";
import { reasonWorld } from "../../../core/drop/reason.ts";
import type { SymbolTable } from "../../../core/drop/site.ts";
import {
  bpftraceFailed,
  noBpftrace,
  noRoot,
  printable,
  programRefused,
} from "../../../core/error.ts";
import type { DropwatchError } from "../../../core/error.ts";
import { keyFields } from "../../../core/plan/plan.ts";
import type { Plan } from "../../../core/plan/plan.ts";
import type { Source, SourceFacts, SourceRun } from "../../../core/watch/source.ts";
import type { Tick } from "../../../core/watch/tick.ts";
import { cgroupTable } from "../../enrichers/cgroup.ts";
import { counterTable } from "../../enrichers/counter.ts";
import type { CounterTable } from "../../enrichers/counter.ts";
import { netnsTable } from "../../enrichers/netns.ts";
import { listenerTable } from "../../enrichers/listener.ts";
import { maySeeOwners, ownerTable } from "../../enrichers/owner.ts";
import { readKernel, readSymbols } from "./kernel.ts";
import type { Kernel } from "./kernel.ts";
import { installCommand } from "./install.ts";
import { outputReader } from "./output.ts";
import { missedBy, startBpftrace } from "./process.ts";
import type { BpftraceRun, StartedBpftrace } from "./process.ts";
import { usesSite, writeProgram } from "./program.ts";
import type { Program } from "./program.ts";

export interface BpftraceOptions {
  /** The command and its first arguments: `["sudo", "-n", "bpftrace"]`. */
  readonly command?: readonly string[];
  readonly readKernel?: () => Promise<Kernel>;
}

const firstPause = 500;
const longestPause = 30_000;
/** After so long people would like to know why nothing happens. */
const slowStart = 3000;
/** Having run for so long, the next failure counts as the first again. */
const settled = 60_000;

/** The kernel as a source; it can also show the program that it would run. */
export interface BpftraceSource extends Source {
  program(plan: Plan, interval: number): Promise<string>;
}

/** The source that the main job watches: this machine's kernel. */
export function bpftraceSource(options: BpftraceOptions = {}): BpftraceSource {
  const command = options.command ?? ["bpftrace"];
  const owners = ownerTable();
  const cgroups = cgroupTable();
  const netns = netnsTable();
  const listeners = listenerTable({ owner: owners.owner, netns });
  const counters = counterTable(netns);
  let prepared: { maxKeys: number; bpftrace: StartedBpftrace } | undefined;
  let kernel: Kernel | undefined;
  let symbols: SymbolTable | undefined;
  let seesOwners: boolean | undefined;
  const load = async (): Promise<Kernel> => kernel ??= await (options.readKernel ?? readKernel)();
  // Only plans and rules that ask for a site pay for this.
  const functions = (): SymbolTable => symbols ??= readSymbols();
  const write = async (plan: Plan, interval: number): Promise<Program> => {
    if (usesSite(plan)) functions();
    return writeProgram(plan, {
      kernel: await load(),
      interval,
      addresses: (names) => symbols?.rangesOf(names) ?? [],
    });
  };
  return {
    name: "bpftrace",
    async facts(): Promise<SourceFacts> {
      const known = await load();
      return {
        world: reasonWorld(
          known.reasons,
          known.subsystems,
          {
            site: (address) => symbols?.nameAt(address) ?? "",
            functions: () => functions().names(),
            owner: owners.owner,
            cgroup: cgroups.cgroup,
            listener: listeners.listener,
          },
        ),
        title: `Linux ${known.release}`,
        release: known.release,
        unavailable(field) {
          if (field === "site" && known.hidesAddresses) {
            return "only root may read the kernel's addresses in /proc/kallsyms: run dropwatch as root";
          }
          if (looksUpOwner(field) && !(seesOwners ??= maySeeOwners())) {
            return "only root may see which process holds a socket: run dropwatch as root";
          }
          return fieldOf(field).uses.map((fragment) => unavailable(fragment, known))
            .find((why) => why !== undefined);
        },
      };
    },
    prepare(maxKeys) {
      prepared = { maxKeys, bpftrace: startBpftrace(command, maxKeys) };
    },
    async run(run) {
      const facts = await this.facts();
      const program = await write(run.plan, run.interval);
      const ready = prepared?.maxKeys === run.maxKeys && !prepared.bpftrace.gone
        ? prepared.bpftrace
        : undefined;
      prepared = undefined;
      const stops = [
        ...(usesOwner(run.plan) ? [owners.start()] : []),
        ...(run.plan.evidence === undefined ? [] : [listeners.start()]),
      ];
      try {
        await superviseBpftrace(command, program, { facts, counters }, run, ready);
      } finally {
        for (const stop of stops) stop();
      }
    },
    async program(plan, interval) {
      return (await write(plan, interval)).text;
    },
  };
}

/** Whether processes are to be looked up by their sockets. */
function usesOwner(plan: Plan): boolean {
  const fields = [
    ...plan.maps.flatMap(keyFields),
    ...(plan.samples?.fields ?? []),
    ...(plan.evidence?.fields ?? []),
  ];
  return fields.some(looksUpOwner);
}

function looksUpOwner(field: FieldName): boolean {
  return fieldOf(field).lookedUpBy === "ownerInode";
}

/** What counts are made readable with, and told beside them. */
interface Beside {
  readonly facts: SourceFacts;
  readonly counters: CounterTable;
}

async function superviseBpftrace(
  command: readonly string[],
  program: Program,
  beside: Beside,
  run: SourceRun,
  ready: StartedBpftrace | undefined,
): Promise<void> {
  let started = ready;
  let pause = firstPause;
  let attachedOnce = false;
  let downSince: number | undefined;
  let why = "";
  while (!run.signal.aborted) {
    const startedAt = Date.now();
    let attached = false;
    const slow = setTimeout(() => {
      const lines = program.text.split("\n").length;
      run.log(
        `the kernel still checks the program of ${lines} lines: many conditions take a while`,
      );
    }, slowStart);
    const bpftrace = started ?? startBpftrace(command, run.maxKeys);
    started = undefined;
    const outcome = await once(bpftrace, program, beside, run, {
      onAttached: () => {
        clearTimeout(slow);
        attached = true;
        if (!attachedOnce) run.onAttached();
        attachedOnce = true;
        if (downSince === undefined) return;
        const seconds = (Date.now() - downSince) / 1000;
        run.log(`bpftrace counts again after ${seconds.toFixed(1)} s without it (${why})`);
        run.onTick(gapTick(run, seconds, why));
        downSince = undefined;
      },
    });
    clearTimeout(slow);
    if (run.signal.aborted) {
      for (const complaint of outcome.complaints) run.log(`bpftrace: ${printable(complaint)}`);
      return;
    }
    if (!attachedOnce) throw cannotStart(command, outcome);
    why = describeEnd(outcome);
    downSince ??= Date.now();
    if (attached && Date.now() - startedAt > settled) pause = firstPause;
    run.log(`bpftrace ended (${why}); starting it again in ${pause / 1000} s`);
    await sleep(pause, undefined, { signal: run.signal }).catch(() => {});
    pause = Math.min(longestPause, pause * 2);
  }
}

interface Outcome {
  readonly code: number | null;
  readonly signal: string | null;
  readonly error?: Error;
  readonly complaints: readonly string[];
}

async function once(
  started: StartedBpftrace,
  program: Program,
  { facts, counters }: Beside,
  run: SourceRun,
  hooks: { onAttached: () => void },
): Promise<Outcome> {
  const running: { bpftrace?: BpftraceRun } = {};
  let missed = 0;
  const reader = outputReader({
    plan: run.plan,
    scalars: program.scalars,
    names: facts.world.names,
    // The last figure stands when the process is gone.
    missed: () => missed = missedBy(running.bpftrace?.pid ?? -1) ?? missed,
    ...(run.plan.evidence === undefined ? {} : { counters: () => counters.read() }),
    now: Date.now,
    onTick: run.onTick,
    onAttached: hooks.onAttached,
  });
  const bpftrace = started.run(program.text, (line) => reader.line(line));
  running.bpftrace = bpftrace;
  const stop = (): void => bpftrace.stop();
  run.signal.addEventListener("abort", stop);
  if (run.signal.aborted) stop();
  const how = await bpftrace.ended;
  run.signal.removeEventListener("abort", stop);
  reader.end();
  return { ...how, complaints: bpftrace.complaints };
}

function gapTick(run: SourceRun, seconds: number, why: string): Tick {
  return {
    at: Date.now(),
    seconds,
    seen: 0,
    counted: 0,
    other: 0,
    lost: 0,
    reasons: new Map(),
    maps: run.plan.maps.map(() => ({ entries: [], other: 0, lost: 0 })),
    samples: [],
    unreadable: 0,
    gap: { seconds, why, over: true },
  };
}

function describeEnd(outcome: Outcome): string {
  if (outcome.error !== undefined) return outcome.error.message;
  if (outcome.signal !== null) return `killed by ${outcome.signal}`;
  return `exit code ${outcome.code}`;
}

/** Why the first start failed, and what to do about it. */
function cannotStart(command: readonly string[], outcome: Outcome): DropwatchError {
  const [file = "bpftrace"] = command;
  const output = outcome.complaints.join("\n");
  const code = (outcome.error as { code?: string } | undefined)?.code;
  if (code === "ENOENT" || /command not found|No such file or directory: .?bpftrace/.test(output)) {
    // Of `sudo -n bpftrace` either can be missing.
    return file !== "bpftrace" && code === "ENOENT"
      ? noBpftrace(file, "it is what --bpftrace names: install it, or name another")
      : noBpftrace("bpftrace", `install it: ${installCommand()}`);
  }
  const isRoot = process.getuid?.() === 0;
  if (
    /only supports running as the root user|Operation not permitted|password is required/
      .test(output) || (!isRoot && file === "bpftrace")
  ) {
    return noRoot(["dropwatch", ...process.argv.slice(2)].join(" "));
  }
  if (/Error loading (BPF )?program|stack limit|too large/i.test(output)) {
    return programRefused(output);
  }
  return bpftraceFailed(describeEnd(outcome), output);
}

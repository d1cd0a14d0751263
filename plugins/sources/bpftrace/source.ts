// The kernel as a source: what it offers, the program of a plan, and what runs beside bpftrace.
import { fieldOf } from "../../../core/drop/field.ts";
import type { FieldName } from "../../../core/drop/field.ts";
import { unavailable } from "../../../core/drop/fragment.ts";
import { reasonWorld } from "../../../core/drop/reason.ts";
import type { SymbolTable } from "../../../core/drop/site.ts";
import { DropwatchError, noReplan } from "../../../core/error.ts";
import type { Layout } from "../../../core/plan/layout.ts";
import { keyFields } from "../../../core/plan/plan.ts";
import type { Plan } from "../../../core/plan/plan.ts";
import type { Source, SourceFacts } from "../../../core/watch/source.ts";
import { cgroupTable } from "../../enrichers/cgroup.ts";
import { counterTable } from "../../enrichers/counter.ts";
import { netnsTable } from "../../enrichers/netns.ts";
import { listenerTable } from "../../enrichers/listener.ts";
import { maySeeOwners, ownerTable } from "../../enrichers/owner.ts";
import { readKernel, readSymbols } from "./kernel.ts";
import type { Kernel } from "./kernel.ts";
import { startBpftrace } from "./process.ts";
import type { StartedBpftrace } from "./process.ts";
import { usesSite, writeProgram } from "./program.ts";
import type { Program } from "./program.ts";
import { superviseBpftrace } from "./supervise.ts";
import type { Supervised } from "./supervise.ts";

export interface BpftraceOptions {
  /** The command and its first arguments: `["sudo", "-n", "bpftrace"]`. */
  readonly command?: readonly string[];
  readonly readKernel?: () => Promise<Kernel>;
}

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
  let running: Promise<Supervised> | undefined;
  let helpFor: (plan: Plan) => void = () => {};
  let log: (message: string) => void = () => {};
  let interval = 1000;
  let prepared: { maxKeys: number; bpftrace: StartedBpftrace } | undefined;
  let kernel: Kernel | undefined;
  let symbols: SymbolTable | undefined;
  let seesOwners: boolean | undefined;
  const load = async (): Promise<Kernel> => kernel ??= await (options.readKernel ?? readKernel)();
  // Only plans and rules that ask for a site pay for this.
  const functions = (): SymbolTable => symbols ??= readSymbols();
  const write = async (plan: Plan, interval: number, turned = false): Promise<Program> => {
    if (usesSite(plan)) functions();
    return writeProgram(plan, {
      kernel: await load(),
      interval,
      addresses: (names) => symbols?.rangesOf(names) ?? [],
      turned,
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
      const ready = prepared?.maxKeys === run.maxKeys && !prepared.bpftrace.gone
        ? prepared.bpftrace
        : undefined;
      prepared = undefined;
      const stops: (() => void)[] = [];
      const helped = { owners: false, listeners: false };
      // What a plan needs beside bpftrace is started once, and goes on.
      helpFor = (plan) => {
        if (usesOwner(plan) && !helped.owners) stops.push(owners.start());
        if (plan.evidence !== undefined && !helped.listeners) stops.push(listeners.start());
        helped.owners ||= usesOwner(plan);
        helped.listeners ||= plan.evidence !== undefined;
      };
      interval = run.interval;
      log = run.log;
      const begin = async (turned: boolean): Promise<Supervised> => {
        const program = await write(run.plan, run.interval, turned);
        if (!turned) saySharing(program.layout, log);
        helpFor(run.plan);
        const first = { plan: run.plan, program };
        const started = turned ? undefined : ready;
        return superviseBpftrace({ command, first, facts, counters, run, ready: started });
      };
      try {
        await orTurned(async (turned) => {
          // Another plan may be asked for before the first is written: it waits.
          running = begin(turned);
          await (await running).ended;
        }, log);
      } finally {
        running = undefined;
        helpFor = () => {}; // What would be started now, nobody would stop.
        for (const stop of stops) stop();
      }
    },
    async replan(plan) {
      const supervised = await running;
      if (supervised === undefined) throw noReplan("bpftrace");
      await orTurned(async (turned) => {
        const program = await write(plan, interval, turned);
        if (!turned) saySharing(program.layout, log);
        helpFor(plan);
        await supervised.replan({ plan, program });
      }, log);
    },
    async program(plan, interval) {
      return (await write(plan, interval)).text;
    },
  };
}

/**
 * Tries a program, and where the kernel's JIT compiler finds no layout for it, the same with its
 * branches in another order.
 */
export async function orTurned(
  attempt: (turned: boolean) => Promise<void>,
  log: (message: string) => void,
): Promise<void> {
  try {
    await attempt(false);
  } catch (thrown) {
    const isThat = thrown instanceof DropwatchError && thrown.code === "PROGRAM_HAS_NO_LAYOUT";
    if (!isThat) throw thrown;
    log(
      "the kernel's JIT compiler finds no layout for the program (error 524): " +
        "its branches are put in another order",
    );
    await attempt(true);
  }
}

/** Who shares a map shares its room. */
function saySharing({ shared }: Layout, log: (message: string) => void): void {
  if (shared.length === 0) return;
  const sets = new Set(shared.flatMap(({ sharers }) => sharers.map(({ map }) => map.id)));
  const most = Math.max(...shared.map(({ sharers }) => sharers.length));
  log(
    `${sets.size} key sets share a map with others, up to ${most} one, since the kernel allows a ` +
      `program 64 maps: they share the room of --max-keys too`,
  );
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

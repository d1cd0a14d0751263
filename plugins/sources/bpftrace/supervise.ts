// One bpftrace, watched over. When it dies it is started again, the time in which nobody counted is said,
// and what it had counted stays. When the plan changes a second one is started beside it, and takes its
// place at a moment that both agree on, so that no drop is missed or counted twice.
import { setTimeout as sleep } from "node:timers/promises";
import {
  bpftraceFailed,
  noBpftrace,
  noRoot,
  printable,
  programRefused,
} from "../../../core/error.ts";
import type { DropwatchError } from "../../../core/error.ts";
import type { Plan } from "../../../core/plan/plan.ts";
import type { SourceFacts, SourceRun } from "../../../core/watch/source.ts";
import type { Tick } from "../../../core/watch/tick.ts";
import type { CounterTable } from "../../enrichers/counter.ts";
import { installCommand } from "./install.ts";
import { outputReader } from "./output.ts";
import type { Boundary, OutputReader } from "./output.ts";
import { missedBy, startBpftrace } from "./process.ts";
import type { BpftraceRun, StartedBpftrace } from "./process.ts";
import type { Program } from "./program.ts";

const firstPause = 500;
const longestPause = 30_000;
/** After so long people would like to know why nothing happens. */
const slowStart = 3000;
/** Having run for so long, the next failure counts as the first again. */
const settled = 60_000;
/** Silent for so long beyond three ticks, it isn't counting any more as far as anybody can tell. */
const silence = 2000;
/** Silent for so much longer, it is ended. */
const deadSilence = 10_000;
/** How many ticks a new program waits for a boundary that both agree on. */
const mostHeld = 10;

/** What is counted, and the program that does it. */
export interface Counting {
  readonly plan: Plan;
  readonly program: Program;
}

export interface Supervised {
  readonly ended: Promise<void>;
  /** Settles when another program counts in the place of this one. */
  replan(counting: Counting): Promise<void>;
}

export interface SuperviseOptions {
  readonly command: readonly string[];
  readonly first: Counting;
  readonly facts: SourceFacts;
  readonly counters: CounterTable;
  readonly run: SourceRun;
  /** One that was started before. */
  readonly ready: StartedBpftrace | undefined;
}

interface Outcome {
  readonly code: number | null;
  readonly signal: string | null;
  readonly error?: Error;
  readonly complaints: readonly string[];
}

/** A bpftrace under way. */
interface Running {
  readonly counting: Counting;
  readonly reader: OutputReader;
  readonly bpftrace: BpftraceRun;
  readonly startedAt: number;
  /** When its first tick was read, which it is when all probes are attached. */
  attachedAt: number | undefined;
  /** When it printed anything. */
  heardAt: number;
  readonly ended: Promise<Outcome>;
}

/** A program that is to take another's place. */
interface Successor {
  readonly running: Running;
  /** The boundary at which it would, once the other has come to it. */
  boundary: number | undefined;
  /** Its ticks behind that boundary. */
  held: Tick[];
  ticks: number;
  resolve(): void;
  reject(error: DropwatchError): void;
}

/** Runs bpftrace until the run is aborted. */
export function superviseBpftrace(options: SuperviseOptions): Supervised {
  const { command, facts, counters, run } = options;
  let current = options.first;
  let active: Running | undefined;
  let successor: Successor | undefined;
  /** Where the active one's last tick ended. */
  let lastBoundary: Boundary | undefined;
  let attachedOnce = false;
  /** When it was last known to count, while it doesn't. */
  let downSince: number | undefined;
  let gapTold = 0;
  let why = "";
  let replanning: Promise<void> = Promise.resolve();

  const launch = (counting: Counting, started: StartedBpftrace): Running => {
    let missed = 0;
    const reader = outputReader({
      plan: counting.plan,
      scalars: counting.program.scalars,
      names: facts.world.names,
      // The last figure stands when the process is gone.
      missed: () => missed = missedBy(bpftrace.pid ?? -1) ?? missed,
      ...(counting.plan.evidence === undefined ? {} : { counters: () => counters.read() }),
      now: Date.now,
      onTick: (tick, boundary) => onTick(running, { ...tick, plan: counting.plan }, boundary),
      onAttached: () => onAttached(running),
    });
    const bpftrace = started.run(counting.program.text, (line) => {
      running.heardAt = Date.now();
      reader.line(line);
    });
    const running: Running = {
      counting,
      reader,
      bpftrace,
      startedAt: Date.now(),
      attachedAt: undefined,
      heardAt: Date.now(),
      ended: (async () => {
        const how = await bpftrace.ended;
        reader.end();
        return { ...how, complaints: bpftrace.complaints };
      })(),
    };
    if (run.signal.aborted) bpftrace.stop();
    return running;
  };

  const onAttached = (running: Running): void => {
    running.attachedAt = Date.now();
    if (running !== active) return;
    if (!attachedOnce) run.onAttached();
    attachedOnce = true;
    if (downSince === undefined) return;
    const seconds = (Date.now() - downSince) / 1000;
    run.log(`bpftrace counts again after ${seconds.toFixed(1)} s without it (${why})`);
    tellGap(true);
    downSince = undefined;
  };

  const tellGap = (over: boolean, seconds = (Date.now() - gapTold) / 1000): void => {
    gapTold = Date.now();
    void run.onTick(gapTick(current.plan, seconds, { seconds, why, over }));
  };

  const onTick = (running: Running, tick: Tick, boundary: Boundary | undefined): void => {
    if (running === active) {
      void run.onTick(tick);
      if (boundary === undefined) return;
      lastBoundary = boundary;
      takeOver();
    } else if (successor?.running === running) {
      hold(successor, tick, boundary);
    }
  };

  /** A tick of the successor: it is the other's still, or waits for the other to come to its boundary. */
  const hold = (next: Successor, tick: Tick, boundary: Boundary | undefined): void => {
    next.ticks++;
    if (next.boundary !== undefined) {
      next.held.push(tick);
      if (next.held.length > mostHeld) {
        takeOverNow("the program before hasn't come to the same moment");
      }
      return;
    }
    // These drops are the other's: so is what waits to be known of them.
    next.running.reader.forgetWaiting();
    // Where a tick began before all probes were attached, some drops may be missing in it.
    const whole = tick.at > (next.running.attachedAt ?? Infinity);
    if (boundary?.exact === true && whole) {
      next.boundary = boundary.nsecs;
      takeOver();
    } else if (next.ticks > mostHeld) takeOverNow("no tick ended exactly on time");
  };

  /** The successor takes the place of the active one, where both have ended a tick at the same moment. */
  const takeOver = (): void => {
    if (successor?.boundary === undefined || lastBoundary === undefined) return;
    if (lastBoundary.nsecs === successor.boundary && lastBoundary.exact) return install(successor);
    if (lastBoundary.nsecs < successor.boundary) return;
    // The active one has gone on beyond it: what was held is in its ticks.
    successor.boundary = undefined;
    successor.held = [];
    successor.running.reader.forgetWaiting();
  };

  const takeOverNow = (reason: string): void => {
    run.log(`the new program takes over a little early or late: ${reason}`);
    install(successor!);
  };

  const install = (next: Successor): void => {
    const old = active;
    successor = undefined;
    // What waits in the old one isn't known to the new one.
    old?.reader.settle();
    current = next.running.counting;
    active = next.running;
    lastBoundary = undefined;
    for (const tick of next.held) void run.onTick(tick);
    next.resolve();
    old?.bpftrace.stop();
  };

  const watchdog = setInterval(() => {
    if (!attachedOnce || run.signal.aborted) return;
    if (downSince !== undefined) return tellGap(false);
    if (active?.attachedAt === undefined) return;
    const quiet = Date.now() - active.heardAt - 3 * run.interval - silence;
    if (quiet < 0) return;
    // It may go on, and tell then what it has counted: no time is lost yet.
    why = "bpftrace is silent";
    if (quiet < run.interval) gapTold = active.heardAt;
    void run.onTick(gapTick(current.plan, 0, {
      seconds: (Date.now() - gapTold) / 1000,
      why,
      over: false,
    }));
    gapTold = Date.now();
    if (quiet > deadSilence) {
      run.log(`bpftrace has been silent for ${Math.round((Date.now() - active.heardAt) / 1000)} s`);
      active.bpftrace.kill();
    }
  }, run.interval);

  const stopAll = (): void => {
    active?.bpftrace.stop();
    successor?.running.bpftrace.stop();
    successor?.reject(bpftraceFailed("it was told to end", ""));
    successor = undefined;
  };
  run.signal.addEventListener("abort", stopAll);

  const supervise = async (): Promise<void> => {
    let ready = options.ready;
    let pause = firstPause;
    while (!run.signal.aborted) {
      const slow = setTimeout(() => {
        const lines = current.program.text.split("\n").length;
        run.log(
          `the kernel still checks the program of ${lines} lines: many conditions take a while`,
        );
      }, slowStart);
      let running = launch(current, ready ?? startBpftrace(command, run.maxKeys));
      ready = undefined;
      active = running;
      lastBoundary = undefined;
      void untilAttached(running).then(() => clearTimeout(slow));
      let outcome = await running.ended;
      // Another one has taken its place meanwhile.
      while (active !== running) {
        running = active;
        outcome = await running.ended;
      }
      clearTimeout(slow);
      if (run.signal.aborted) {
        for (const complaint of outcome.complaints) run.log(`bpftrace: ${printable(complaint)}`);
        return;
      }
      if (!attachedOnce) throw cannotStart(command, outcome);
      why = describeEnd(outcome);
      if (downSince === undefined) {
        downSince = Date.now();
        gapTold = downSince;
      }
      if (running.attachedAt !== undefined && Date.now() - running.startedAt > settled) {
        pause = firstPause;
      }
      run.log(`bpftrace ended (${why}); starting it again in ${pause / 1000} s`);
      await sleep(pause, undefined, { signal: run.signal }).catch(() => {});
      pause = Math.min(longestPause, pause * 2);
    }
  };

  const replan = (counting: Counting): Promise<void> =>
    new Promise((resolve, reject) => {
      if (run.signal.aborted) return reject(bpftraceFailed("it was told to end", ""));
      const running = launch(counting, startBpftrace(command, run.maxKeys));
      successor = { running, boundary: undefined, held: [], ticks: 0, resolve, reject };
      void running.ended.then((outcome) => {
        if (successor?.running !== running) return;
        successor = undefined;
        reject(
          running.attachedAt === undefined
            ? cannotStart(command, outcome)
            : bpftraceFailed(describeEnd(outcome), outcome.complaints.join("\n")),
        );
      });
    });

  const ended = supervise().finally(() => {
    clearInterval(watchdog);
    run.signal.removeEventListener("abort", stopAll);
    stopAll();
  });
  return {
    ended,
    // One after the other.
    replan(counting) {
      const mine = replanning.then(() => replan(counting));
      replanning = mine.catch(() => {}); // Whoever asked for it is told.
      return mine;
    },
  };
}

async function untilAttached(running: Running): Promise<void> {
  let gone = false;
  void running.ended.then(() => gone = true);
  while (running.attachedAt === undefined && !gone) await sleep(50);
}

function gapTick(plan: Plan, seconds: number, gap: NonNullable<Tick["gap"]>): Tick {
  return {
    at: Date.now(),
    seconds,
    seen: 0,
    counted: 0,
    other: 0,
    lost: 0,
    reasons: new Map(),
    maps: plan.maps.map(() => ({ entries: [], other: 0, lost: 0 })),
    samples: [],
    unreadable: 0,
    gap,
    plan,
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

// One bpftrace, watched over. When it dies it is started again, the time in which nobody counted is said,
// and what it had counted stays. When the plan changes a second one is started beside it, and takes its
// place at a moment that both agree on, so that no drop is missed or counted twice.
import { setTimeout as sleep } from "node:timers/promises";
import {
  bpftraceFailed,
  noBpftrace,
  noRoot,
  printable,
  programHasNoLayout,
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
/**
 * For how many ticks a new program waits for a boundary that both agree on to the nanosecond. After so
 * many it takes one that they agree on nearly, and after twice as many any.
 */
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
  /** When its last tick ended: what came later isn't told yet. */
  tickAt: number;
  /** For how long it has printed nothing, in milliseconds that this process was running itself. */
  quiet: number;
  /** Why it was killed from here. */
  killed: string | undefined;
  readonly ended: Promise<Outcome>;
}

/** A program that is to take another's place. */
interface Successor {
  readonly running: Running;
  /** The boundary at which it would, once the other has come to it. */
  boundary: Boundary | undefined;
  /** When the first drop that is its own can have been. */
  from: number;
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
  let active: Running;
  let successor: Successor | undefined;
  const all = new Set<Running>();
  /** Where the active one's last tick ended. */
  let lastBoundary: Boundary | undefined;
  let attachedOnce = false;
  let over = false;
  /** Since when nobody counts; and since when the active one is silent, and may yet tell. */
  let downSince: number | undefined;
  let silentSince: number | undefined;
  /** Up to when a gap was told, and up to when ticks cover the time. */
  let gapTold = 0;
  let covered = 0;
  let handedAt = 0;
  let why = "";
  let replanning: Promise<void> = Promise.resolve();

  const launch = (counting: Counting, started: StartedBpftrace): Running => {
    let missed = 0;
    const reader = outputReader({
      plan: counting.plan,
      scalars: counting.program.scalars,
      layout: counting.program.layout,
      names: facts.world.names,
      // The last figure stands when the process is gone.
      missed: () => missed = missedBy(bpftrace.pid ?? -1) ?? missed,
      ...(counting.plan.evidence === undefined ? {} : { counters: () => counters.read() }),
      now: Date.now,
      onTick: (tick, boundary) => onTick(running, { ...tick, plan: counting.plan }, boundary),
      onAttached: () => onAttached(running),
    });
    const bpftrace = started.run(counting.program.text, (line) => {
      running.quiet = 0;
      reader.line(line);
    });
    const running: Running = {
      counting,
      reader,
      bpftrace,
      startedAt: Date.now(),
      attachedAt: undefined,
      tickAt: Date.now(),
      quiet: 0,
      killed: undefined,
      ended: (async () => {
        const how = await bpftrace.ended;
        reader.end();
        return { ...how, complaints: bpftrace.complaints };
      })(),
    };
    const lines = counting.program.text.split("\n").length;
    const slow = setTimeout(() => {
      if (running.attachedAt !== undefined) return;
      run.log(
        `the kernel still checks the program of ${lines} lines: many conditions take a while`,
      );
    }, slowStart);
    void running.ended.then(() => {
      clearTimeout(slow);
      all.delete(running);
    });
    all.add(running);
    if (run.signal.aborted) bpftrace.stop();
    return running;
  };

  const onAttached = (running: Running): void => {
    running.attachedAt = running.tickAt = Date.now();
    if (running === active) return countsNow(running.attachedAt);
    if (successor?.running !== running) return;
    successor.from = running.attachedAt;
    // There is nobody whose place it would have to wait for.
    if (downSince !== undefined) install(successor);
  };

  /** The active one counts, since `from`. */
  const countsNow = (from: number): void => {
    if (!attachedOnce) run.onAttached();
    attachedOnce = true;
    if (downSince === undefined) return;
    const seconds = (from - downSince) / 1000;
    run.log(`bpftrace counts again after ${seconds.toFixed(1)} s without it (${why})`);
    tellGap(true, from);
    downSince = undefined;
  };

  /** How long bpftrace may be silent: three ticks, and a little. */
  const limit = 3 * run.interval + silence;

  /**
   * Hands a tick on, never one that ended before the last: what a silent bpftrace tells late is told
   * late. Where it would be later than that can be, the wall clock was set back.
   */
  const handOn = (tick: Tick): void => {
    const isSet = handedAt - tick.at > 2 * (limit + deadSilence);
    handedAt = isSet ? tick.at : Math.max(handedAt, tick.at);
    void run.onTick({ ...tick, at: handedAt });
  };

  /** Tells of the time without anybody who counts, up to `until`. */
  const tellGap = (over: boolean, until: number = Date.now()): void => {
    const seconds = Math.max(0, (until - gapTold) / 1000);
    handOn({
      ...emptyTick(current.plan, until),
      seconds: Math.max(0, until - covered) / 1000,
      gap: { seconds, why, over },
    });
    gapTold = covered = until;
  };

  const onTick = (running: Running, tick: Tick, boundary: Boundary | undefined): void => {
    if (running === active) {
      running.tickAt = tick.at;
      silentSince = undefined;
      handOn(tick);
      if (boundary === undefined) return;
      lastBoundary = boundary;
      takeOver();
    } else if (successor?.running === running) {
      running.tickAt = tick.at;
      hold(successor, tick, boundary);
    }
  };

  /** A tick of the successor: it is the other's still, or waits for the other to come to its boundary. */
  const hold = (next: Successor, tick: Tick, boundary: Boundary | undefined): void => {
    next.ticks++;
    if (next.boundary !== undefined) {
      next.held.push(tick);
      if (next.held.length > mostHeld) {
        takeOverNow(next, "the one before it hasn't come to the same moment");
      }
      return;
    }
    // These drops are the other's: so is what waits to be known of them.
    next.running.reader.forgetWaiting();
    next.from = tick.at;
    // Where a tick ended before all probes were attached, some drops may be missing in the next.
    const whole = tick.at > (next.running.attachedAt ?? Infinity);
    if (boundary !== undefined && whole && (boundary.exact || isLoose(next))) {
      next.boundary = boundary;
      takeOver();
    } else if (next.ticks > 2 * mostHeld) takeOverNow(next, "no tick of both ended together");
  };

  /** Whether it has waited so long that nearly together will do. */
  const isLoose = (next: Successor): boolean => next.ticks > mostHeld;

  /** The successor takes the place of the active one, where both have ended a tick at the same moment. */
  const takeOver = (): void => {
    const next = successor;
    if (next?.boundary === undefined || lastBoundary === undefined) return;
    const apart = lastBoundary.nsecs - next.boundary.nsecs;
    if (lastBoundary.exact && next.boundary.exact) {
      if (apart === 0) return install(next);
    } else if (isLoose(next) && Math.abs(apart) < run.interval * 1e6 / 2) {
      return takeOverNow(next, "no tick of both ended exactly on time");
    }
    if (apart < 0) return;
    // The active one has gone on beyond it: what was held is in its ticks.
    next.boundary = undefined;
    next.held = [];
    next.running.reader.forgetWaiting();
    next.from = next.running.tickAt;
    if (next.ticks > 2 * mostHeld) takeOverNow(next, "no tick of both ended together");
  };

  /** Without a moment that both agree on, which is told. */
  const takeOverNow = (next: Successor, reason: string): void => {
    const ms = Math.round(next.from - active.tickAt);
    const when = ms < 0 ? `${-ms} ms early` : `${ms} ms late`;
    run.log(`the new program takes over ${when}: ${reason}`);
    if (silentSince === undefined) gapTold = active.tickAt;
    covered = active.tickAt;
    why = "the program was changed";
    active.reader.settle();
    tellGap(false, Math.max(next.from, active.tickAt));
    install(next);
  };

  const install = (next: Successor): void => {
    const old = active;
    successor = undefined;
    // What waits in the old one isn't known to the new one.
    old.reader.settle();
    current = next.running.counting;
    active = next.running;
    lastBoundary = undefined;
    silentSince = undefined;
    countsNow(next.from);
    // Whoever asked for the plan may ask for the next one at once: it has seen a tick of this one by then.
    handOn(emptyTick(current.plan, next.from));
    next.held.forEach(handOn);
    next.resolve();
    old.bpftrace.stop();
  };

  const watchdog = setInterval(() => {
    if (!attachedOnce || run.signal.aborted) return;
    for (const running of all) {
      // Counted here, not by the clock: this process may have been stopped itself.
      if (running.attachedAt !== undefined) running.quiet += run.interval;
      if (running.quiet <= limit + deadSilence || running.killed !== undefined) continue;
      running.killed = `it was silent for ${Math.round(running.quiet / 1000)} s`;
      run.log(`bpftrace is ended: ${running.killed}`);
      running.bpftrace.kill();
    }
    if (downSince !== undefined) return tellGap(false);
    if (active.quiet <= limit) return;
    // It may go on, and tell then what it has counted: no time is lost yet.
    why = "bpftrace is silent";
    if (silentSince === undefined) silentSince = gapTold = active.tickAt;
    const now = Date.now();
    const gap = { seconds: (now - gapTold) / 1000, why, over: false };
    handOn({ ...emptyTick(current.plan, now), gap });
    gapTold = now;
  }, run.interval);

  const stopAll = (): void => {
    for (const running of all) running.bpftrace.stop();
    successor?.reject(bpftraceFailed("it was told to end", ""));
    successor = undefined;
  };
  run.signal.addEventListener("abort", stopAll);

  const start = (ready?: StartedBpftrace): Running => {
    lastBoundary = undefined;
    return active = launch(current, ready ?? startBpftrace(command, run.maxKeys));
  };

  /** Waits for the end of the one that counts, whichever that is by then. */
  const activeEnded = async (): Promise<{ running: Running; outcome: Outcome }> => {
    for (;;) {
      const running = active;
      const outcome = await running.ended;
      if (running === active) return { running, outcome };
    }
  };

  const supervise = async (): Promise<void> => {
    let pause = firstPause;
    start(options.ready);
    for (;;) {
      const { running, outcome } = await activeEnded();
      if (run.signal.aborted) {
        for (const complaint of outcome.complaints) run.log(`bpftrace: ${printable(complaint)}`);
        return;
      }
      if (!attachedOnce) throw cannotStart(command, outcome);
      why = running.killed ?? describeEnd(outcome);
      if (downSince === undefined) {
        // What it counted after its last tick is gone with it.
        downSince = silentSince ?? running.tickAt;
        if (silentSince === undefined) gapTold = running.tickAt;
        covered = running.tickAt;
        silentSince = undefined;
      }
      if (running.attachedAt !== undefined && Date.now() - running.startedAt > settled) {
        pause = firstPause;
      }
      if (successor?.running.attachedAt !== undefined) {
        run.log(`bpftrace ended (${why}); the new program takes over at once`);
        install(successor);
        continue;
      }
      run.log(`bpftrace ended (${why}); starting it again in ${pause / 1000} s`);
      await sleep(pause, undefined, { signal: run.signal }).catch(() => {});
      if (run.signal.aborted) return;
      pause = Math.min(longestPause, pause * 2);
      // Else a new program has taken over meanwhile.
      if (active === running) start();
    }
  };

  const replan = (counting: Counting): Promise<void> =>
    new Promise((resolve, reject) => {
      if (over || run.signal.aborted) return reject(bpftraceFailed("it was told to end", ""));
      const running = launch(counting, startBpftrace(command, run.maxKeys));
      successor = { running, boundary: undefined, from: 0, held: [], ticks: 0, resolve, reject };
      void running.ended.then((outcome) => {
        if (successor?.running !== running) return;
        successor = undefined;
        reject(
          running.attachedAt === undefined
            ? cannotStart(command, outcome)
            : bpftraceFailed(running.killed ?? describeEnd(outcome), outcome.complaints.join("\n")),
        );
      });
    });

  const ended = (async () => {
    try {
      await supervise();
    } finally {
      over = true;
      clearInterval(watchdog);
      run.signal.removeEventListener("abort", stopAll);
      stopAll();
      await Promise.all([...all].map((running) => running.ended));
    }
  })();
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

/** A tick in which nothing happened, and that took no time. */
function emptyTick(plan: Plan, at: number): Tick {
  return {
    at,
    seconds: 0,
    seen: 0,
    counted: 0,
    other: 0,
    lost: 0,
    reasons: new Map(),
    maps: plan.maps.map(() => ({ entries: [], other: 0, lost: 0 })),
    samples: [],
    unreadable: 0,
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
  // The kernel's ENOTSUPP, which no C library has a name for. Before 0.27 bpftrace doesn't tell it.
  if (/error (code: -)?524\b/i.test(output)) return programHasNoLayout(output);
  if (/Error loading (BPF )?program|stack limit|too large/i.test(output)) {
    return programRefused(output);
  }
  return bpftraceFailed(describeEnd(outcome), output);
}

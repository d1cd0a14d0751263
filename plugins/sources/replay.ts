// A capture as a source: drops that were recorded, as fast as they can be read, on the time at which
// they were. docs/captures.md describes both versions of the format.
import { createReadStream } from "node:fs";
import type { ReadStream } from "node:fs";
import { fieldNames } from "../../core/drop/field.ts";
import type { Drop } from "../../core/drop/field.ts";
import { badCapture, captureHasNoSum, captureInterval, unreadableFile } from "../../core/error.ts";
import { dropCounter, dropMatcher } from "../../core/plan/label.ts";
import type { ReasonWorld } from "../../core/plan/predicate.ts";
import type { Source, SourceFacts, SourceRun } from "../../core/watch/source.ts";
import { tally } from "../../core/watch/tick.ts";
import type { Tick } from "../../core/watch/tick.ts";
import { captureCounter } from "./capture/counter.ts";
import type { KeyPlace } from "./capture/counter.ts";
import { derived, readHead, worldOf } from "./capture/head.ts";
import type { Head1, Head2 } from "./capture/head.ts";
import { longestLine } from "./capture/limit.ts";
import { captureReader } from "./capture/reader.ts";
import type { CaptureKey } from "./capture/reader.ts";

export interface ReplayOptions {
  readonly file: string;
}

/** How many drops one line may stand for. */
const maxCount = 1e12;

/** Reads a capture. */
export function replaySource(options: ReplayOptions): Source {
  const { file } = options;
  // A pipe can be opened once: what the facts were read from is what is run.
  let opened: Promise<Capture> | undefined;
  return {
    name: `replay:${file}`,
    async facts(): Promise<SourceFacts> {
      const { head } = await (opened ??= openCapture(file));
      return {
        world: worldOf(head),
        title: `a capture of Linux ${head.kernel}`,
        release: head.kernel,
        unavailable: (field) =>
          head.fields.includes(field) ||
            (derived.includes(field) && head.fields.includes("reason"))
            ? undefined
            : `the capture ${file} has only ${head.fields.join(", ")}`,
      };
    },
    async run(run) {
      const capture = await (opened ?? openCapture(file));
      opened = undefined;
      const { head, close } = capture;
      checkSums(file, head, run);
      run.signal.addEventListener("abort", close);
      try {
        if (head.version === 1) await replayDrops(file, { ...capture, head }, run);
        else await replayTicks(file, { ...capture, head }, run);
      } finally {
        close();
      }
    },
  };
}

function checkSums(file: string, head: Head1 | Head2, { plan }: SourceRun): void {
  const { fields } = head;
  const has: readonly string[] = head.version === 2 && head.sum !== undefined
    ? [...fields, head.sum]
    : fields;
  const sum = plan.counts.find((count) => count.sum !== undefined && !has.includes(count.sum))?.sum;
  if (sum !== undefined) throw captureHasNoSum(file, sum, has);
}

/** Says which lines can't be read, and how many. */
function complaints(
  file: string,
  log: (message: string) => void,
): { add(line: number): void; end(): void } {
  let all = 0;
  return {
    add(line: number): void {
      if (++all > mostSaid) return;
      log(`${file}:${line}: this line of the capture can't be read, and is left out`);
    },
    end(): void {
      if (all > mostSaid) log(`${file}: ${all} lines can't be read, and are left out`);
    },
  };
}

/** Version 1: drops one by one, or by groups of like ones. */
async function replayDrops(file: string, capture: Capture<Head1>, run: SourceRun): Promise<void> {
  const { head, lines } = capture;
  const world = worldOf(head);
  const counter = dropCounter(run.plan, world);
  const derive = deriver(world);
  const sampling = run.plan.samples;
  const sampled = sampling && dropMatcher(sampling.predicate, world);
  const complain = complaints(file, run.log);
  let samples: Drop[] = [];
  let end: number | undefined;
  let unreadable = 0;
  const tick = (at: number): void | Promise<void> => {
    const { seen, reasons, maps } = counter.take();
    const taken: Tick = {
      at,
      seconds: run.interval / 1000,
      ...tally(seen, maps, 0),
      reasons,
      maps,
      samples,
      unreadable,
    };
    unreadable = 0;
    samples = [];
    return run.onTick(taken);
  };
  run.onAttached();
  const readLine = lineReader(head);
  const drop: { [name: string]: string } = {};
  let number = 1;
  for await (const line of lines) {
    number++;
    if (run.signal.aborted) break;
    const read = readLine(line, drop);
    if (read === undefined) {
      unreadable++;
      complain.add(number);
      continue;
    }
    // Ticks lie on multiples of the interval, as those of the kernel do.
    end ??= read.at - (read.at % run.interval) + run.interval;
    if (read.at >= end + maxIdle) {
      throw badCapture(file, number, "the time jumps by over a day");
    }
    for (; read.at >= end; end += run.interval) await tick(end);
    derive(drop);
    counter.add(drop as Drop, read.n);
    if (sampled !== undefined && samples.length < sampling!.perTick && sampled(drop)) {
      samples.push({ ...drop });
    }
  }
  if (end !== undefined) await tick(end);
  complain.end();
}

/** Version 2: ticks as they were recorded, joined where the run has longer ones. */
async function replayTicks(file: string, capture: Capture<Head2>, run: SourceRun): Promise<void> {
  const { head, lines } = capture;
  const { plan, interval } = run;
  if (interval % head.interval !== 0) throw captureInterval(file, interval, head.interval);
  const world = worldOf(head);
  const derive = deriver(world);
  const counter = captureCounter({
    plan,
    world,
    sums: head.sum !== undefined,
    dropOf(labels) {
      const drop: { [name: string]: string } = {};
      head.fields.forEach((field, i) => drop[field] = labels[i]!);
      derive(drop);
      return drop as Drop;
    },
  });
  const sampling = plan.samples;
  const sampled = sampling && dropMatcher(sampling.predicate, world);
  const complain = complaints(file, run.log);
  let samples: Drop[] = [];
  let evidence: NonNullable<Tick["evidence"]>[number][] = [];
  let retransmits = new Map<string, number>();
  let unreadable = 0;
  /** When the capture begins, and until when it was told. */
  let origin: number | undefined;
  let until = 0;
  /** The tick that is being joined. */
  let open: { readonly number: number; at: number; seconds: number } | undefined;

  /** A line may end several. */
  const ready: Tick[] = [];
  const handOver = async (): Promise<void> => {
    for (const tick of ready.splice(0)) {
      const wait = run.onTick(tick);
      if (wait !== undefined) await wait;
    }
  };
  const emit = (at: number, seconds: number, gap?: Tick["gap"]): void => {
    ready.push({
      at,
      seconds,
      ...counter.take(),
      samples,
      evidence: plan.evidence === undefined ? undefined : evidence,
      ...(retransmits.size === 0 ? {} : { retransmits }),
      unreadable,
      ...(gap === undefined ? {} : { gap }),
    });
    [samples, evidence, retransmits, unreadable] = [[], [], new Map(), 0];
  };
  const flush = (): void => {
    if (open !== undefined) emit(open.at, open.seconds);
    open = undefined;
  };
  /** What the capture leaves out before a moment, nobody has counted. */
  const reach = (from: number): void => {
    if (origin === undefined) {
      origin = from;
    } else if (from - until > Math.max(50, head.interval / 2)) {
      flush();
      const seconds = (from - until) / 1000;
      run.log(`${file}: the capture tells nothing of ${seconds.toFixed(1)} s`);
      emit(from, seconds, { seconds, why: "the capture tells nothing of it", over: true });
    }
  };
  const reader = captureReader<KeyPlace>(head, {
    count(key: CaptureKey<KeyPlace>, n, sum) {
      counter.add(key, n, sum);
      if (sampled === undefined || samples.length >= sampling!.perTick) return;
      const { drop } = key.place!;
      if (sampled(drop)) samples.push({ ...drop });
    },
    before: ({ at, seconds }) => {
      reach(at - 1000 * seconds);
      // By the time, since ticks may be longer than the interval, or missing.
      const nth = Math.round((at - origin!) / head.interval);
      const number = Math.ceil(nth / (interval / head.interval));
      if (open !== undefined && open.number !== number) flush();
      open ??= { number, at, seconds: 0 };
    },
    tick(tick) {
      counter.close(tick);
      until = open!.at = tick.at;
      open!.seconds += tick.seconds;
      evidence.push(...tick.evidence);
      for (const [flow, n] of tick.retransmits) {
        retransmits.set(flow, (retransmits.get(flow) ?? 0) + n);
      }
      const nth = Math.round((tick.at - origin!) / head.interval);
      if (nth >= open!.number * (interval / head.interval)) flush();
    },
    gap({ at, seconds, gap }) {
      reach(at - 1000 * seconds);
      flush();
      until = at;
      emit(at, seconds, gap);
    },
  });
  run.onAttached();
  let number = 1;
  for await (const line of lines) {
    number++;
    if (run.signal.aborted) break;
    if (!reader.line(line)) {
      unreadable++;
      complain.add(number);
    } else if (ready.length > 0) await handOver();
  }
  flush();
  if (unreadable > 0) emit(until, 0);
  await handOver();
  complain.end();
  if (!reader.ended && !run.signal.aborted) {
    run.log(
      `${file}: the capture has no end, since its recording was cut off; what it has is counted`,
    );
  }
}

const maxIdle = 86_400_000;
/** How many lines that can't be read are said one by one. */
const mostSaid = 10;
/** The last time that a Date can be, but for the tick that ends behind it. */
const endOfTime = 8.64e15 - 86_400_000;

/** Makes what fills in these fields. */
function deriver(world: ReasonWorld): (drop: { [name: string]: string }) => void {
  const classes = new Map(
    [...world.reasons].map(([id, name]) => [name, world.names.classOf(id)]),
  );
  return (drop) => {
    const reason = drop.reason ?? "";
    drop.subsystem = reason.includes("/") ? reason.slice(0, reason.indexOf("/")) : "core";
    drop.class = classes.get(reason) ?? "unknown";
  };
}

interface Capture<Head = Head1 | Head2> {
  readonly head: Head;
  readonly lines: AsyncGenerator<string>;
  close(): void;
}

async function openCapture(file: string): Promise<Capture> {
  const stream = createReadStream(file, { highWaterMark: 1 << 20 });
  let longest = firstLine;
  const lines = readLines(stream, () => longest);
  try {
    const first = await lines.next();
    const head = readHead(file, first.done === true ? "" : first.value);
    if (head.version === 2) longest = longestLine;
    return { head, lines, close: () => stream.destroy() };
  } catch (thrown) {
    stream.destroy();
    if (thrown instanceof Error && "syscall" in thrown) throw unreadableFile(file, thrown);
    throw thrown;
  }
}

/** Characters in the head, and in a line of version 1. */
const firstLine = 1 << 20;

async function* readLines(stream: ReadStream, longest: () => number): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of untilClosed(stream)) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    // What is too long is cut so that it can't be read: its end is no end.
    if (rest.length > longest()) rest = `…${rest.slice(0, longest())}`;
    yield* lines;
  }
  if (rest !== "") yield rest;
}

/** Ends quietly where the stream was closed on purpose. */
async function* untilClosed(stream: ReadStream): AsyncGenerator<Uint8Array> {
  try {
    yield* stream as AsyncIterable<Uint8Array>;
  } catch (thrown) {
    if (!stream.destroyed || (thrown as { code?: string }).code !== "ERR_STREAM_PREMATURE_CLOSE") {
      throw thrown;
    }
  }
}

/** Makes the reader of lines: it fills in the labels of a drop and returns its time and number. */
function lineReader(
  head: Head1,
): (line: string, drop: { [name: string]: string }) => { at: number; n: number } | undefined {
  const fields = head.fields.map((field) => fieldNames.find((name) => name === field)!);
  return (line, drop) => {
    let row: unknown;
    try {
      row = JSON.parse(line);
    } catch {
      return undefined;
    }
    if (!Array.isArray(row) || row.length !== fields.length + 2) return undefined;
    const [at, n] = row as [unknown, unknown];
    if (typeof at !== "number" || typeof n !== "number" || !Number.isInteger(n)) return undefined;
    if (!(at >= 0 && at <= endOfTime) || n < 1 || n > maxCount) return undefined;
    for (let i = 0; i < fields.length; i++) {
      const label: unknown = row[i + 2];
      if (typeof label !== "string") return undefined;
      drop[fields[i]!] = label;
    }
    return { at, n };
  };
}

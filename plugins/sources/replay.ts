// A capture as a source: drops that were recorded, as fast as they can be read, on the time at which
// they were.
//
// A capture is NDJSON. Its first line is the head:
//   {"dropwatch":"capture","version":1,"kernel":"6.18.44","reasons":{"5":"SOCKET_FILTER"},
//    "subsystems":{"0":"core"},"fields":["reason","ownerInode"]}
// each other line an array: [milliseconds since 1970, how many drops, the label of each field …].
import { createReadStream } from "node:fs";
import type { ReadStream } from "node:fs";
import * as v from "valibot";
import { fieldNames, isFieldName } from "../../core/drop/field.ts";
import type { Drop, FieldName } from "../../core/drop/field.ts";
import { reasonWorld } from "../../core/drop/reason.ts";
import { badCapture, unreadableFile } from "../../core/error.ts";
import type { DropwatchError } from "../../core/error.ts";
import { dropCounter, dropMatcher } from "../../core/plan/label.ts";
import type { ReasonWorld } from "../../core/plan/predicate.ts";
import type { Source, SourceFacts } from "../../core/watch/source.ts";
import { tally } from "../../core/watch/tick.ts";

export interface ReplayOptions {
  readonly file: string;
}

const names = v.record(v.pipe(v.string(), v.regex(/^\d{1,10}$/)), v.string());
const Head = v.strictObject({
  dropwatch: v.literal("capture"),
  version: v.literal(1, "version 1: this dropwatch reads no other"),
  kernel: v.string(),
  reasons: names,
  subsystems: v.optional(names, {}),
  fields: v.array(v.custom<FieldName>((field) => isFieldName(String(field)), "a field's name")),
});

type Head = v.InferOutput<typeof Head>;

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
      const { head, lines, close } = capture;
      run.signal.addEventListener("abort", close);
      const world = worldOf(head);
      const counter = dropCounter(run.plan, world);
      const derive = deriver(world);
      const sampling = run.plan.samples;
      const sampled = sampling && dropMatcher(sampling.predicate, world);
      let samples: Drop[] = [];
      let end: number | undefined;
      let unreadable = 0;
      let unreadableInAll = 0;
      const tick = (at: number): void => {
        const { seen, reasons, maps } = counter.take();
        run.onTick({
          at,
          seconds: run.interval / 1000,
          ...tally(seen, maps, 0),
          reasons,
          maps,
          samples,
          unreadable,
        });
        unreadable = 0;
        samples = [];
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
          if (++unreadableInAll <= mostSaid) {
            run.log(`${file}:${number}: this line of the capture can't be read, and is left out`);
          }
          continue;
        }
        // Ticks lie on multiples of the interval, as those of the kernel do.
        end ??= read.at - (read.at % run.interval) + run.interval;
        if (read.at >= end + maxIdle) {
          throw badCapture(file, number, "the time jumps by over a day");
        }
        for (; read.at >= end; end += run.interval) tick(end);
        derive(drop);
        counter.add(drop as Drop, read.n);
        if (sampled !== undefined && samples.length < sampling!.perTick && sampled(drop)) {
          samples.push({ ...drop });
        }
      }
      if (end !== undefined) tick(end);
      close();
      if (unreadableInAll > mostSaid) {
        run.log(`${file}: ${unreadableInAll} lines can't be read, and are left out`);
      }
    },
  };
}

const maxIdle = 86_400_000;
/** How many lines that can't be read are said one by one. */
const mostSaid = 10;
/** The last time that a Date can be, but for the tick that ends behind it. */
const endOfTime = 8.64e15 - 86_400_000;
/** Fields that follow from the reason. */
const derived: readonly FieldName[] = ["subsystem", "class"];

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

function worldOf(head: Head): ReasonWorld {
  const numbers = (table: Readonly<Record<string, string>>): Map<number, string> =>
    new Map(Object.entries(table).map(([id, name]) => [Number(id), name]));
  const subsystems = numbers(head.subsystems);
  if (subsystems.size === 0) subsystems.set(0, "core");
  return reasonWorld(numbers(head.reasons), subsystems);
}

interface Capture {
  readonly head: Head;
  readonly lines: AsyncGenerator<string>;
  close(): void;
}

async function openCapture(file: string): Promise<Capture> {
  const stream = createReadStream(file, { highWaterMark: 1 << 20 });
  const lines = readLines(stream);
  try {
    const first = await lines.next();
    const head = readHead(file, first.done === true ? "" : first.value);
    return { head, lines, close: () => stream.destroy() };
  } catch (thrown) {
    stream.destroy();
    if (thrown instanceof Error && "syscall" in thrown) throw unreadableFile(file, thrown);
    throw thrown;
  }
}

const longestLine = 1 << 20;

async function* readLines(stream: ReadStream): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of untilClosed(stream)) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    // What is too long is cut so that it can't be read: its end is no end.
    if (rest.length > longestLine) rest = `…${rest.slice(0, longestLine)}`;
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

function readHead(file: string, line: string): Head {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw badHead(file, "its first line is no JSON");
  }
  const result = v.safeParse(Head, value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  throw badHead(
    file,
    `${v.getDotPath(issue) ?? "its first line"} is not as expected: ${issue.message}`,
  );
}

function badHead(file: string, message: string): DropwatchError {
  return badCapture(file, 1, `${file} is no capture of dropwatch: ${message}`);
}

/** Makes the reader of lines: it fills in the labels of a drop and returns its time and number. */
function lineReader(
  head: Head,
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

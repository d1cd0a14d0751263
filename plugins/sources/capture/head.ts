// The first line of a capture: what it holds, and the names of the kernel that it is of. docs/captures.md
// describes the whole format.
import * as v from "valibot";
import { isFieldName } from "../../../core/drop/field.ts";
import type { FieldName } from "../../../core/drop/field.ts";
import { reasonWorld } from "../../../core/drop/reason.ts";
import { badCapture } from "../../../core/error.ts";
import type { ReasonWorld } from "../../../core/plan/predicate.ts";
import { isInterval, possibleIntervals } from "../../../core/rule/config.ts";

type NamesByNumber = Readonly<Record<string, string>>;

interface CommonHead {
  readonly dropwatch: "capture";
  /** The kernel's release. */
  readonly kernel: string;
  /** The names of its reasons and subsystems, by their numbers. */
  readonly reasons: NamesByNumber;
  readonly subsystems: NamesByNumber;
}

/** The head of version 1. */
export interface Head1 extends CommonHead {
  readonly version: 1;
  readonly fields: readonly FieldName[];
}

/** The head of version 2. */
export interface Head2 extends CommonHead {
  readonly version: 2;
  /** Milliseconds between ticks. */
  readonly interval: number;
  /** The labels of a key. */
  readonly fields: readonly FieldName[];
  /** The field whose sum stands behind each count. */
  readonly sum?: "len" | undefined;
  /** What is told of a drop that was kept whole, beside its stack and its site. */
  readonly evidence: readonly FieldName[];
}

const names = v.record(v.pipe(v.string(), v.regex(/^\d{1,10}$/)), v.string());
const field = v.custom<FieldName>((name) => isFieldName(String(name)), "a field's name");
const fields = v.pipe(
  v.array(field),
  v.check((list) => new Set(list).size === list.length, "each field once"),
);

const common = {
  dropwatch: v.literal("capture"),
  kernel: v.string(),
  reasons: names,
  subsystems: v.optional(names, {}),
};

const FirstHead = v.strictObject({
  ...common,
  version: v.literal(1),
  fields: v.array(field),
});

const SecondHead = v.strictObject({
  ...common,
  version: v.literal(2),
  interval: v.pipe(
    v.number(possibleIntervals),
    v.integer("whole milliseconds"),
    v.check(isInterval, possibleIntervals),
  ),
  fields: v.pipe(
    fields,
    v.check((list) => list.includes("reason"), "reason among the fields"),
  ),
  sum: v.optional(v.literal("len", "len")),
  evidence: v.optional(fields, []),
});

const Head = v.variant(
  "version",
  [FirstHead, SecondHead],
  (issue) =>
    issue.expected?.includes("1") === true
      ? "version 1 or 2: this dropwatch reads no other"
      : issue.message,
);

/** Fields that follow from the reason: no capture needs them. */
export const derived: readonly FieldName[] = ["subsystem", "class"];

/**
 * Reads the first line of a capture, of any version.
 *
 * @throws DropwatchError BAD_CAPTURE.
 */
export function readHead(file: string, line: string): Head1 | Head2 {
  const bad = (message: string) =>
    badCapture(file, 1, `${file} is no capture of dropwatch: ${message}`);
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw bad("its first line is no JSON");
  }
  const result = v.safeParse(Head, value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  throw bad(`${v.getDotPath(issue) ?? "its first line"} is not as expected: ${issue.message}`);
}

/** The names of the kernel that a capture is of. */
export function worldOf(head: Head1 | Head2): ReasonWorld {
  const numbers = (table: NamesByNumber): Map<number, string> =>
    new Map(Object.entries(table).map(([id, name]) => [Number(id), name]));
  const subsystems = numbers(head.subsystems);
  if (subsystems.size === 0) subsystems.set(0, "core");
  return reasonWorld(numbers(head.reasons), subsystems);
}

// What the source does where the kernel refuses a program: the command is a script in bpftrace's place.
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { makeFolder } from "../../../test/folder.ts";
import type { Folder } from "../../../test/folder.ts";
import { kernel, planOf, reasons, subsystems } from "../../../test/world.ts";
import { bpftraceSource } from "./source.ts";
import type { BpftraceSource } from "./source.ts";

/** As bpftrace 0.27.1 printed it on Linux 6.18.44; dmesg had "unexpected jmp_cond padding: -4 bytes". */
const noLayout =
  "ERROR: Error loading BPF program for tracepoint_skb_kfree_skb_1. Error code: -524 (Unknown error " +
  "524). Use -v for full kernel error log.";

/** Keeps each program that it is given; refuses those whose numbers stand in the file `refused`. */
const script = `
  n=$(($(ls "$0" | grep -c program) + 1))
  cat > "$0/program$n"
  if grep -q "^$n$" "$0/refused"; then echo "${noLayout}" >&2; exit 1; fi
  echo '{"type": "printf", "data": "tick 1 0 1000000000 1000000000 1\\\\n"}'
  echo '{"type": "printf", "data": "end 1\\\\n"}'
  exec sleep 60`;

let folder: Folder;
let source: BpftraceSource;
let logs: string[];
let ending: AbortController;
beforeEach(async () => {
  folder = await makeFolder();
  logs = [];
  ending = new AbortController();
  source = bpftraceSource({
    command: ["sh", "-c", script, folder.path],
    readKernel: () => Promise.resolve({ ...kernel, reasons, subsystems, hidesAddresses: false }),
  });
});
afterEach(async () => {
  ending.abort();
  await folder.remove();
});

const programs = (): string[] =>
  readdirSync(folder.path).filter((name) => name.startsWith("program")).sort()
    .map((name) => readFileSync(folder.file(name), "utf8"));

const plan = planOf(
  { where: { reason: "NO_SOCKET" }, by: ["dport"] },
  { where: { reason: "NO_SOCKET" }, by: ["dev"] },
);

/** Runs the source; `attached` settles when it counts. */
function run(): { attached: Promise<void>; ended: Promise<void> } {
  const attached = Promise.withResolvers<void>();
  const ended = source.run({
    plan,
    interval: 1000,
    maxKeys: 512,
    signal: ending.signal,
    onTick: () => {},
    onAttached: attached.resolve,
    log: (message) => logs.push(message),
  });
  // Tests that want to know look at it.
  ended.catch(attached.reject);
  attached.promise.catch(() => {});
  return { attached: attached.promise, ended };
}

describe("a program that the kernel's JIT has no layout for", () => {
  test("is run with its branches in another order, which is said", async () => {
    await folder.write("refused", "1\n");
    const { attached, ended } = run();
    await attached;
    const [first, second] = programs();
    const order = (text: string | undefined): string[] => [...text!.match(/@m\d_0\[/g)!];
    expect(order(second)).toEqual(order(first)!.toReversed());
    expect(logs).toEqual([
      "the kernel's JIT compiler finds no layout for the program (error 524): its branches are put " +
      "in another order",
    ]);
    ending.abort();
    await ended;
  });

  test("is an error of its own where that doesn't help", async () => {
    await folder.write("refused", "1\n2\n");
    const error = await run().ended.catch((thrown) => thrown);
    expect([error.code, programs().length]).toEqual(["PROGRAM_HAS_NO_LAYOUT", 2]);
    expect(error.message).toContain("Error code: -524");
  });

  test("is tried twice too where it is to take another's place", async () => {
    await folder.write("refused", "2\n3\n");
    const { attached, ended } = run();
    await attached;
    const error = await source.replan!(planOf({ by: ["saddr"] }, { by: ["sport"] }))
      .catch((thrown) => thrown);
    expect([error.code, programs().length, logs.length]).toEqual(["PROGRAM_HAS_NO_LAYOUT", 3, 1]);
    ending.abort();
    await ended;
  });
});

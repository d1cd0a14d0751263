/**
 * The part of "bun:test" that this project's tests use, for Deno: deno.json maps the name to this file,
 * so that `deno test` runs the same test files as `bun test`.
 *
 * A describe block is not a test of its own here: each test is registered alone, named after the
 * blocks around it. So both runtimes count the same tests, and the same skips.
 *
 * Where it differs: `expect` is deno-std's, with the matchers that both have; a test that never
 * gives up the thread (`for (;;)`) isn't stopped by its timeout; an error in `afterAll` is shown with
 * the test that comes next.
 */

import { format } from "node:util";
import { expect } from "deno-std/expect/expect.js";

export { expect };

type Body = () => unknown;
/** Milliseconds, as Bun takes them: a number, or an object. */
type Timeout = number | { readonly timeout?: number };

interface Block {
  readonly name: string;
  readonly parent: Block | undefined;
  readonly skipped: boolean;
  readonly beforeAll: Body[];
  readonly beforeEach: Body[];
  readonly afterEach: Body[];
  readonly afterAll: Body[];
  /** What a hook of `beforeAll` threw: every test in the block fails with it. */
  broken?: { readonly error: unknown };
}

interface DenoTest {
  (definition: { name: string; ignore: boolean; fn: () => Promise<void> }): void;
  afterAll(fn: () => Promise<void>): void;
}

/** As in Bun. */
const DEFAULT_TIMEOUT = 5000;

// Not as a global name: tsc, which checks this file too, knows Bun's and Node's globals only.
const register = (globalThis as unknown as { Deno: { test: DenoTest } }).Deno.test;

const file: Block = newBlock("", undefined, false);
/** The block whose callback runs now, while the tests are being registered. */
let declaring = file;
/** The blocks that the running test lies in and whose `beforeAll` has run, the outermost first. */
let open: Block[] = [];

register.afterAll(() => leaveAllBut([]));

function newBlock(name: string, parent: Block | undefined, skipped: boolean): Block {
  return { name, parent, skipped, beforeAll: [], beforeEach: [], afterEach: [], afterAll: [] };
}

function withAncestors(block: Block): Block[] {
  return block.parent === undefined ? [block] : [...withAncestors(block.parent), block];
}

async function leaveAllBut(blocks: readonly Block[]): Promise<void> {
  while (open.length > 0 && !blocks.includes(open.at(-1)!)) {
    const block = open.pop()!;
    for (const hook of block.afterAll) await hook();
  }
}

async function enter(blocks: readonly Block[]): Promise<void> {
  await leaveAllBut(blocks);
  for (const block of blocks.slice(open.length)) {
    open = [...open, block];
    try {
      for (const hook of block.beforeAll) await hook();
    } catch (error) {
      block.broken = { error };
    }
  }
  const broken = blocks.find((block) => block.broken !== undefined)?.broken;
  if (broken !== undefined) throw broken.error;
}

/** Runs the hooks around the test too; a test that failed still gets its `afterEach`. */
async function runTest(block: Block, body: Body, timeout: number): Promise<void> {
  const blocks = withAncestors(block);
  await enter(blocks);
  try {
    for (const hook of blocks.flatMap((each) => each.beforeEach)) await hook();
    await withTimeout(body, timeout);
  } finally {
    for (const hook of blocks.toReversed().flatMap((each) => each.afterEach)) await hook();
  }
}

async function withTimeout(body: Body, timeout: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Test timed out after ${timeout} ms`)), timeout);
  });
  try {
    await Promise.race([body(), tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

function addTest(
  name: string,
  body: Body,
  timeout: Timeout | undefined,
  skipped = false,
): void {
  const block = declaring;
  const blocks = withAncestors(block);
  const milliseconds = typeof timeout === "number" ? timeout : timeout?.timeout ?? DEFAULT_TIMEOUT;
  register({
    name: [...blocks.map((each) => each.name), name].filter((part) => part !== "").join(" > "),
    ignore: skipped || blocks.some((each) => each.skipped),
    fn: () => runTest(block, body, milliseconds),
  });
}

function addBlock(name: string, body: Body, skipped: boolean): void {
  const outer = declaring;
  declaring = newBlock(name, outer, skipped);
  try {
    if (body() instanceof Promise) {
      throw new TypeError(`Cannot declare the tests of "${name}": its callback is async`);
    }
  } finally {
    declaring = outer;
  }
}

/** The title of one row: `%s`, `%d`, `%j` … take the arguments in turn, `%#` is the row's number, `$key` a property. */
function title(template: string, row: readonly unknown[], index: number): string {
  const [first] = row;
  const named = template.replaceAll("%#", String(index)).replace(
    /\$([\w.]+)/g,
    (whole, path: string) => {
      let value: unknown = first;
      for (const key of path.split(".")) value = (value as Record<string, unknown> | null)?.[key];
      return value === undefined ? whole : format("%s", value);
    },
  );
  const placeholders = named.match(/%[sdifjoOp]/g)?.length ?? 0;
  return format(named.replaceAll("%p", "%o"), ...row.slice(0, placeholders));
}

function asRow(entry: unknown): readonly unknown[] {
  return Array.isArray(entry) ? entry : [entry];
}

type AddTest = (name: string, body: Body, timeout?: Timeout) => void;
type AddRows<Arguments extends readonly unknown[]> = (
  name: string,
  body: (...row: Arguments) => unknown,
  timeout?: Timeout,
) => void;

interface Each {
  <Row extends Readonly<[unknown, ...unknown[]]>>(table: readonly Row[]): AddRows<[...Row]>;
  <Row extends readonly unknown[]>(table: readonly Row[]): AddRows<[...Row]>;
  <const Row>(table: readonly Row[]): AddRows<[Row]>;
}

interface Test {
  (name: string, body: Body, timeout?: Timeout): void;
  skip: AddTest;
  todo: (name: string, body?: Body, timeout?: Timeout) => void;
  if: (condition: boolean) => AddTest;
  skipIf: (condition: boolean) => AddTest;
  each: Each;
}

interface Describe {
  (name: string, body: Body): void;
  skip: (name: string, body: Body) => void;
  if: (condition: boolean) => (name: string, body: Body) => void;
  skipIf: (condition: boolean) => (name: string, body: Body) => void;
  each: Each;
}

const skipTestIf = (condition: boolean): AddTest => (name, body, timeout) =>
  addTest(name, body, timeout, condition);

const skipBlockIf = (condition: boolean) => (name: string, body: Body) =>
  addBlock(name, body, condition);

function eachRow(add: AddTest): Each {
  return (table: readonly unknown[]) =>
  (name: string, body: (...row: never[]) => unknown, timeout?: Timeout) => {
    for (const [index, entry] of table.entries()) {
      const row = asRow(entry);
      add(title(name, row, index), () => body(...row as never[]), timeout);
    }
  };
}

export const test: Test = Object.assign(
  (name: string, body: Body, timeout?: Timeout) => addTest(name, body, timeout),
  {
    skip: skipTestIf(true),
    todo: (name: string) => addTest(name, () => {}, undefined, true),
    if: (condition: boolean) => skipTestIf(!condition),
    skipIf: skipTestIf,
    each: eachRow(addTest),
  },
);

export const it: Test = test;

export const describe: Describe = Object.assign(
  (name: string, body: Body) => addBlock(name, body, false),
  {
    skip: skipBlockIf(true),
    if: (condition: boolean) => skipBlockIf(!condition),
    skipIf: skipBlockIf,
    each: eachRow((name, body) => addBlock(name, body, false)),
  },
);

export function beforeAll(hook: Body, _milliseconds?: number): void {
  declaring.beforeAll.push(hook);
}

export function beforeEach(hook: Body): void {
  declaring.beforeEach.push(hook);
}

export function afterEach(hook: Body): void {
  declaring.afterEach.push(hook);
}

export function afterAll(hook: Body): void {
  declaring.afterAll.push(hook);
}

/**
 * Types of the modules that are used of deno-std, the Deno standard library as one npm package.
 * It is JavaScript without declarations. The names `@std/…` are those of the real packages, so that
 * the code needn't change on the day it takes them from JSR: package.json, tsconfig.json and
 * deno.json say which file stands behind each.
 */

declare module "@std/cli/parse-args" {
  /** What {@linkcode parseArgs} made of the arguments: check a flag's value before you use it. */
  export interface Args {
    /** What isn't a flag. What looks like a number is one, unless `string` has `"_"`. */
    _: (string | number)[];
    /** What stands behind `--`, when the option `"--"` is true; else it goes to `_`. */
    "--"?: string[];
    [flag: string]: unknown;
  }

  export interface ParseOptions {
    "--"?: boolean;
    alias?: Record<string, string | readonly string[]>;
    boolean?: boolean | string | readonly string[];
    string?: string | readonly string[];
    /** Flags that may be given more than once; their values come as an array. */
    collect?: string | readonly string[];
    default?: Record<string, unknown>;
    /** Flags that `--no-NAME` makes false. */
    negatable?: string | readonly string[];
    /** Everything behind the first argument that isn't a flag goes to `_`. */
    stopEarly?: boolean;
    /**
     * Called for what no other option names; `key` and `value` are missing where it isn't a flag.
     * Where it returns false, the argument is left out of the result.
     */
    unknown?: (arg: string, key?: string, value?: unknown) => unknown;
  }

  export function parseArgs(args: readonly string[], options?: ParseOptions): Args;
}

declare module "@std/text/closest-string" {
  export interface ClosestStringOptions {
    caseSensitive?: boolean;
    compareFn?: (a: string, b: string) => number;
  }

  /** The one of `possibleWords` with the least edit distance; throws a TypeError where there is none. */
  export function closestString(
    givenWord: string,
    possibleWords: readonly string[],
    options?: ClosestStringOptions,
  ): string;
}

declare module "@std/text/levenshtein-distance" {
  /** The number of characters to insert, remove or replace to make one of the other. */
  export function levenshteinDistance(str1: string, str2: string): number;
}

declare module "deno-std/expect/expect.js" {
  // deno-lint-ignore no-explicit-any
  type Constructor = abstract new (...args: any[]) => unknown;

  interface Matchers<Result> {
    toBe(expected: unknown): Result;
    toBeCloseTo(expected: number, digits?: number): Result;
    toBeDefined(): Result;
    toBeFalsy(): Result;
    toBeGreaterThan(expected: number | bigint): Result;
    toBeGreaterThanOrEqual(expected: number | bigint): Result;
    toBeInstanceOf(expected: Constructor): Result;
    toBeLessThan(expected: number | bigint): Result;
    toBeLessThanOrEqual(expected: number | bigint): Result;
    toBeNaN(): Result;
    toBeNull(): Result;
    toBeTruthy(): Result;
    toBeUndefined(): Result;
    toContain(expected: unknown): Result;
    toContainEqual(expected: unknown): Result;
    toEqual(expected: unknown): Result;
    toHaveLength(expected: number): Result;
    toHaveProperty(path: string | readonly (string | number)[], value?: unknown): Result;
    toMatch(expected: string | RegExp): Result;
    toMatchObject(expected: object): Result;
    toStrictEqual(expected: unknown): Result;
    toThrow(expected?: string | RegExp | Error | Constructor): Result;
  }

  interface Expectation extends Matchers<void> {
    not: Expectation;
    resolves: PromisedExpectation;
    rejects: PromisedExpectation;
  }

  interface PromisedExpectation extends Matchers<Promise<void>> {
    not: PromisedExpectation;
  }

  interface Asymmetric {
    arrayContaining(expected: readonly unknown[]): unknown;
    objectContaining(expected: object): unknown;
    stringContaining(expected: string): unknown;
    stringMatching(expected: string | RegExp): unknown;
  }

  /** The matchers that are the same here and in Bun's own `expect`. */
  export interface Expect extends Asymmetric {
    (actual: unknown, message?: string): Expectation;
    not: Asymmetric;
    any(expected: unknown): unknown;
    anything(): unknown;
    closeTo(expected: number, digits?: number): unknown;
    assertions(count: number): void;
    hasAssertions(): void;
  }

  export const expect: Expect;
}

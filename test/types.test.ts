// What a rule's author is told in the editor: mistakes don't compile, with either compiler, and right
// rules do, with their labels inferred.
import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = `${root}test/types/`;
const ours = `${root}.cache/bin/deno`;
const deno = "Deno" in globalThis ? process.execPath : existsSync(ours) ? ours : "deno";

interface Compiled {
  readonly status: number | null;
  readonly said: string;
}

function run(command: string, ...args: readonly string[]): Compiled {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  return { status, said: error?.message ?? stdout + stderr };
}

const tsc = (): Compiled => {
  const program = `${root}node_modules/typescript/bin/tsc`;
  const args = [program, "-p", `${folder}tsconfig.json`];
  return run(process.execPath, ...("Deno" in globalThis ? ["run", "-A", ...args] : args));
};

const denoCheck = (): Compiled =>
  run(
    deno,
    "check",
    ...readdirSync(folder).filter((name) => name.endsWith(".ts")).map((name) => folder + name),
  );

describe("rules in test/types/", () => {
  const lines = readFileSync(`${folder}wrong.ts`, "utf8").split("\n");
  const mark = "// @ts-expect-error";

  test("that are wrong are many, each a statement below its mark", () => {
    expect(lines.filter((line) => line.startsWith(mark)).length).toBeGreaterThan(80);
    lines.forEach((line, i) => {
      if (/^(drops|health|when|rule)\b/.test(line)) expect(lines[i - 1]).toContain(mark);
    });
  });

  // A mark above a line that compiles is an error, too.
  test.each([["tsc", tsc], ["deno check", denoCheck]] as const)(
    "compile with %s where they are right, and don't where they are wrong",
    (_, compile) => {
      const { status, said } = compile();
      expect(said).not.toContain("rror TS");
      expect(said).not.toContain("[ERROR]");
      expect([status, said.includes("not found")]).toEqual([0, false]);
    },
    60_000,
  );
});

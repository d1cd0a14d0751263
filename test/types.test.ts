// What the author of a rule or of a config is told in the editor: mistakes don't compile, and what is right
// does, with a rule's labels inferred. Under Bun that is what tsc says, under Deno what its own compiler does.
import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = `${root}test/types/`;

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

const tsc = (): Compiled =>
  run(process.execPath, `${root}node_modules/typescript/bin/tsc`, "-p", `${folder}tsconfig.json`);

const denoCheck = (): Compiled =>
  run(
    process.execPath,
    "check",
    ...readdirSync(folder).filter((name) => name.endsWith(".ts")).map((name) => folder + name),
  );

describe("rules and configs in test/types/", () => {
  const lines = ["wrong.ts", "wrong_config.ts"]
    .flatMap((file) => readFileSync(folder + file, "utf8").split("\n"));
  const mark = "// @ts-expect-error";

  test("that are wrong are many, each a statement below its mark", () => {
    expect(lines.filter((line) => line.startsWith(mark)).length).toBeGreaterThan(110);
    lines.forEach((line, i) => {
      if (/^(drops|health|when|rule|defineConfig|routeTest)\b/.test(line)) {
        expect(lines[i - 1]).toContain(mark);
      }
    });
  });

  // A mark above a line that compiles is an error, too.
  test("compile where they are right, and don't where they are wrong", () => {
    const { status, said } = "Deno" in globalThis ? denoCheck() : tsc();
    expect(said).not.toContain("rror TS");
    expect(said).not.toContain("[ERROR]");
    expect([status, said.includes("not found")]).toEqual([0, false]);
  }, 60_000);
});

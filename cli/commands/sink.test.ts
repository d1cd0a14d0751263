// `dropwatch sink test` says how it went, whatever the sink does.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { exitCode } from "../../core/error.ts";
import { readOptions } from "../option.ts";
import { sinkCommand } from "./sink.ts";

let folder: Folder;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => folder.remove());

interface Outcome {
  readonly code: number;
  readonly out: readonly string[];
  readonly said: readonly string[];
}

/** Tests a sink of a config, of the name `own`. */
async function tested(parts: string, ...args: readonly string[]): Promise<Outcome> {
  const config = await folder.write(
    "dropwatch.config.ts",
    `export default { sinks: [{ name: "own", ${parts} }] };`,
  );
  const out: string[] = [];
  const said: string[] = [];
  const code = await sinkCommand.run(
    readOptions(["test", "own", "--config", config, ...args], sinkCommand.options),
    {
      out: (text) => void out.push(text),
      log: (text) => void said.push(text.replace(/ \(\d+ ms\)$/, "")),
      colour: false,
      isTerminal: false,
      signal: new AbortController().signal,
      onHangup: () => {},
    },
  );
  return { code, out, said };
}

describe("a test of a sink", () => {
  test("says what it answered, also where that is no text", async () => {
    expect(await tested(`notify: async () => ({ answer: 200 })`)).toEqual({
      code: exitCode.done,
      out: [],
      said: ["own: delivered: 200"],
    });
  });

  test("fails where it throws, at once or later", async () => {
    for (
      const sink of [`send: () => { throw new Error("no"); }`, `send: async () => { throw "no"; }`]
    ) {
      expect(await tested(sink)).toEqual({
        code: exitCode.finding,
        out: [],
        said: ["own: not delivered: no"],
      });
    }
  });

  test("ends where it looks at no signal and doesn't answer", async () => {
    const { code, said } = await tested(`timeout: 20, send: () => new Promise(() => {})`);
    expect(code).toBe(exitCode.finding);
    expect(said.join()).toMatch(/^own: not delivered: /);
  });

  test("says how it went where it can't be closed", async () => {
    const { code, said } = await tested(
      `send: async () => {}, close() { throw new Error("not today"); }`,
    );
    expect(code).toBe(exitCode.done);
    expect(said).toEqual(["own: can't be closed: not today", "own: delivered"]);
  });

  test("prints JSON alone with --json", async () => {
    const { out, said } = await tested(
      `every: 60000, beat: async () => ({ answer: "\\n\\u001b[31m" })`,
      "--json",
    );
    expect(said).toEqual([]);
    expect(out.map((line) => JSON.parse(line).data)).toMatchObject([
      { sink: "own", delivered: true, outcome: "delivered: \\x0a\\x1b[31m" },
    ]);
  });
});

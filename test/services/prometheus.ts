// A real Prometheus for a test: on a free port of this machine, with a config and a storage of its own, and
// promtool. Debian's package is 2.42.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import * as v from "valibot";
import { findProgram, testWith } from "./program.ts";
import type { ProgramTest } from "./program.ts";

const prometheus = findProgram("prometheus", "prometheus");
const tool = findProgram("prometheus", "promtool");

/** A test with Prometheus and promtool. */
export const prometheusTest: ProgramTest = testWith("Prometheus", prometheus, tool);

/** What promtool says to an input, and how it ends: 0 where it finds nothing wrong. */
export async function promtool(
  args: readonly string[],
  input: string = "",
): Promise<{ readonly code: number | null; readonly said: string }> {
  const child = spawn(tool!, args, { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => void (said += text));
  }
  // It may end before it has read everything.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, said };
}

/** A target as GET /api/v1/targets has it. */
export interface Target {
  readonly scrapeUrl: string;
  readonly health: "up" | "down" | "unknown";
  readonly lastError: string;
}

/** A series of an instant query: its labels, and its value. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What is known of a metric. */
export interface Metadata {
  readonly type: string;
  readonly unit: string;
  readonly help: string;
}

const Targets = v.object({
  status: v.literal("success"),
  data: v.object({
    activeTargets: v.array(v.object({
      scrapeUrl: v.string(),
      health: v.picklist(["up", "down", "unknown"]),
      lastError: v.string(),
    })),
  }),
});

const Answer = v.object({
  status: v.literal("success"),
  data: v.object({
    resultType: v.literal("vector"),
    result: v.array(v.object({
      metric: v.record(v.string(), v.string()),
      value: v.tuple([v.number(), v.pipe(v.string(), v.transform(Number))]),
    })),
  }),
});

const MetadataAnswer = v.object({
  status: v.literal("success"),
  data: v.record(
    v.string(),
    v.array(v.object({ type: v.string(), unit: v.string(), help: v.string() })),
  ),
});

/** One that runs. */
export class Prometheus {
  /** What it has said, with all that it may warn of. */
  readonly log: string[] = [];
  #child: ChildProcess | undefined;
  #port = 0;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Starts one with a config: YAML, or JSON, which is YAML too; `files` lie beside it. */
  static async start(
    config: object,
    files: Readonly<Record<string, string>> = {},
  ): Promise<Prometheus> {
    const folder = await mkdtemp(join(tmpdir(), "dropwatch-prometheus-"));
    for (
      const [name, text] of Object.entries({
        "prometheus.yml": JSON.stringify(config),
        ...files,
      })
    ) await writeFile(join(folder, name), text);
    const one = new Prometheus(folder);
    try {
      await one.#run();
      return one;
    } catch (thrown) {
      await one.close();
      throw thrown;
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async #run(): Promise<void> {
    const child = spawn(prometheus!, [
      `--config.file=${join(this.#folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(this.#folder, "data")}`,
      "--web.listen-address=127.0.0.1:0",
      // What it can't read of a target it says at this level only.
      "--log.level=debug",
    ], { stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    const ready = Promise.withResolvers<void>();
    const lines = createInterface({ input: child.stderr! });
    lines.on("line", (line) => {
      this.log.push(line);
      const port = /Listening on"? address=127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      if (port !== undefined) this.#port = Number(port);
      if (line.includes("Server is ready to receive web requests")) ready.resolve();
    });
    lines.once("close", () => ready.reject(new Error(`Prometheus ended:\n${this.log.join("\n")}`)));
    await ready.promise;
  }

  async #get<T>(schema: v.GenericSchema<unknown, T>, path: string): Promise<T> {
    const response = await fetch(`${this.url}/api/v1/${path}`);
    return v.parse(schema, await response.json());
  }

  async targets(): Promise<readonly Target[]> {
    return (await this.#get(Targets, "targets")).data.activeTargets;
  }

  /** The answer to a query, as of now. */
  async query(query: string): Promise<readonly Series[]> {
    const { data } = await this.#get(Answer, `query?query=${encodeURIComponent(query)}`);
    return data.result.map(({ metric, value: [, value] }) => ({ metric, value }));
  }

  /** What it knows of the metrics that it scraped, by their names. */
  async metadata(): Promise<ReadonlyMap<string, Metadata>> {
    const { data } = await this.#get(MetadataAnswer, "metadata");
    return new Map(Object.entries(data).map(([name, [first]]) => [name, first!]));
  }

  async close(): Promise<void> {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

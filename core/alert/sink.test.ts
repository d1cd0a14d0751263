// What a sink of a config does when it is closed, or doesn't do, can't keep dropwatch from ending.
import { describe, expect, test } from "bun:test";
import { closed, ruleText, startRun } from "../../test/run.ts";
import { closeSink } from "./sink.ts";
import type { Sink } from "./sink.ts";

describe("closing a sink", () => {
  test("waits for it, and needs none that can be closed", async () => {
    let isClosed = false;
    await closeSink({
      close: async () => {
        await Promise.resolve();
        isClosed = true;
      },
    });
    expect(isClosed).toBe(true);
    await closeSink({});
    await closeSink({ close: () => undefined as unknown as Promise<void> });
  });

  test("rejects where it throws, or doesn't end in time", async () => {
    const thrower = (): Promise<void> => {
      throw new Error("no");
    };
    await expect(closeSink({ close: thrower })).rejects.toThrow("no");
    await expect(closeSink({ close: () => new Promise(() => {}) }, 5)).rejects.toThrow(
      "it isn't done within 5ms",
    );
  });
});

describe("a run", () => {
  test("ends, and closes all its sinks, whatever their `close` does", async () => {
    const ended: string[] = [];
    const sinkOf = (name: string, close: () => unknown): Sink => ({
      name,
      send: () => Promise.resolve(),
      close: () => {
        ended.push(name);
        return close() as Promise<void>;
      },
    });
    const run = await startRun({
      files: { "a.ts": ruleText("A", `summary: "s",`) },
      sinks: [
        sinkOf("throws", () => {
          throw new Error("not today");
        }),
        sinkOf("plain", () => undefined),
        sinkOf("rejects", () => Promise.reject(new Error("nor tomorrow"))),
        sinkOf("well", () => Promise.resolve()),
      ],
    });
    await run.second(closed(100));
    await run.stop();
    expect(ended).toEqual(["throws", "plain", "rejects", "well"]);
    expect(run.log.filter((line) => line.includes("closed"))).toEqual([
      "throws: can't be closed: not today",
      "rejects: can't be closed: nor tomorrow",
    ]);
  });
});

// Every reason of the running kernel is explained.
import { describe, expect } from "bun:test";
import { knowledgeOf } from "../../core/drop/reason.ts";
import { readKernel } from "../../plugins/sources/bpftrace/kernel.ts";
import { kernelTest } from "./machine.ts";

describe("knowledge", () => {
  kernelTest("there is an entry for each reason of this kernel", async () => {
    const { reasons } = await readKernel();
    const missing = [...reasons.values()].filter((name) => knowledgeOf(name) === undefined);
    expect(missing).toEqual([]);
    expect(reasons.size).toBeGreaterThan(50);
  });
});

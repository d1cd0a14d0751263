// Rules that change while dropwatch watches this kernel: what doesn't change counts on without a gap,
// what does takes effect within a second, and what is kept survives a kill.
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect } from "bun:test";
import { startTraffic } from "../traffic/traffic.ts";
import { kernelTest, startDropwatch, withBpftrace } from "./machine.ts";
import type { Running } from "./machine.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "dropwatch-test-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function ruleText(alert: string, threshold: number | string, more = "", above = ""): string {
  return `import { drops, rule } from "dropwatch";
${above}
export default rule({
  alert: "${alert}",
  when: drops.where({ reason: "SOCKET_FILTER" }).by("ownerPort").count("10m").above(${threshold}),
  ${more}
});
`;
}

const save = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text);

async function refuse(count: number, port: number): Promise<void> {
  const traffic = await startTraffic("socket-filter", { count, port });
  traffic.go();
  await traffic.done;
}

/** Waits for a line of standard error beyond those of before. */
async function said(watch: Running, text: string, from: number): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (watch.err.slice(from).some((line) => line.includes(text))) return;
    await sleep(5);
  }
  throw new Error(`"${text}" was not said:\n${watch.err.join("\n")}`);
}

const of = (watch: Running, alert: string): { status: string; port: string; total: number }[] =>
  watch.out.map((line) => JSON.parse(line)).filter(({ data }) => data.alert === alert)
    .map(({ data }) => ({
      status: data.status,
      port: data.labels.ownerPort ?? data.labels.why,
      total: data.total,
    }));

/** Rule hosts that are children of nobody any more, or of this process's. */
async function orphans(): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const line = await readFile(`/proc/${pid}/cmdline`, "utf8");
      const status = await readFile(`/proc/${pid}/status`, "utf8");
      if (line.includes("/dropwatch-rules-") && /^PPid:\s+1$/m.test(status)) found.push(pid);
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

describe("rules that change while they are watched", () => {
  kernelTest("take effect within a second; the others lose and double no drop", async () => {
    await save("_limits.ts", "export const most = 100_000;");
    await save("a.ts", ruleText("A", "most", "", `import { most } from "./_limits.ts";`));
    await save("b.ts", ruleText("B", 100_000));
    const watch = startDropwatch(["--rules", folder, "--json", ...withBpftrace]);
    await watch.attached;
    const traffic = await startTraffic("socket-filter", { count: 20_000, port: 45_101 });
    traffic.go();
    const times: number[] = [];
    for (let i = 0; i < 5; i++) {
      const from = watch.err.length;
      const began = performance.now();
      await save("b.ts", ruleText("B", 100_000 + i, `summary: "${i}",`));
      await said(watch, "reloaded: 2 rules", from);
      times.push(performance.now() - began);
    }
    await traffic.done;
    const from = watch.err.length;
    const began = performance.now();
    await save("_limits.ts", "export const most = 15_000;");
    await said(watch, "reloaded", from);
    times.push(performance.now() - began);
    await watch.line((line) => line.includes(`"A"`) && line.includes("45101"));
    const late = performance.now() - began;
    // A mistake, and its mending.
    let before = watch.err.length;
    await save("b.ts", "export default rule({");
    await said(watch, "RULE_SYNTAX", before);
    await watch.line((line) => line.includes("ReloadFailed") && line.includes("firing"));
    await save("b.ts", ruleText("B", 100_000));
    await watch.line((line) => line.includes("ReloadFailed") && line.includes("resolved"));
    // SIGHUP reads them again, and does not end it.
    before = watch.err.length;
    process.kill(watch.pid, "SIGHUP");
    await sleep(1000);
    expect(watch.err.slice(before)).toEqual([]);
    expect(await watch.stop()).toBe(0);
    const { data } = JSON.parse(watch.out.at(-1)!);
    expect(data.rules).toEqual([{ alert: "A", total: 20_000 }, { alert: "B", total: 20_000 }]);
    expect(data.restarts).toBe(0);
    expect(data.lost).toBe(0);
    console.error(
      `reloads took ${times.map((ms) => ms.toFixed(0)).join(", ")} ms; ` +
        `the alert came after ${late.toFixed(0)} ms`,
    );
    for (const ms of times) expect(ms).toBeLessThan(1000);
    expect(late).toBeLessThan(2200);
  });

  kernelTest("take effect with another plan, without a drop lost or doubled", async () => {
    await save("a.ts", ruleText("A", 10));
    const watch = startDropwatch(["--rules", folder, "--json", ...withBpftrace]);
    await watch.attached;
    const traffic = await startTraffic("socket-filter", { count: 20_000, port: 45_102 });
    traffic.go();
    await sleep(500);
    const from = watch.err.length;
    await save(
      "c.ts",
      ruleText("C", 10).replace(`.by("ownerPort")`, `.by("ownerPort", "l4")`),
    );
    await said(watch, "reloaded: 2 rules", from);
    await traffic.done;
    await refuse(500, 45_103);
    await watch.line((line) => line.includes(`"C"`) && line.includes("45103"));
    expect(await watch.stop()).toBe(0);
    const { data } = JSON.parse(watch.out.at(-1)!);
    expect(data.rules[0]).toEqual({ alert: "A", total: 20_500 });
    expect(of(watch, "A").filter(({ port }) => port === "45102")).toHaveLength(1);
  });

  kernelTest("and hang: others go on in time, and nothing is left behind", async () => {
    await save("a.ts", ruleText("A", 10, `summary: ({ labels }) => "port " + labels.ownerPort,`));
    await save(
      "bad.ts",
      `import { drops, rule } from "dropwatch";
export default rule({
  alert: "Bad",
  on: drops.where({ reason: "SOCKET_FILTER" }).by("ownerPort"),
  by: ["ownerPort"],
  each: () => { for (;;); },
});
`,
    );
    const watch = startDropwatch(["--rules", folder, "--json", ...withBpftrace]);
    await watch.attached;
    const delays: number[] = [];
    for (let i = 0; i < 4; i++) {
      const port = 45_110 + i;
      await refuse(100, port);
      const began = performance.now();
      const line = await watch.line((line) => line.includes(`"A"`) && line.includes(`${port}`));
      delays.push(performance.now() - began);
      expect(JSON.parse(line).data.annotations.summary).toBe(`port ${port}`);
    }
    console.error(`alerts came ${delays.map((ms) => ms.toFixed(0)).join(", ")} ms after the drops`);
    for (const ms of delays) expect(ms).toBeLessThan(2000);
    await watch.line((line) => line.includes("RuleDisabled") && line.includes("RULE_HUNG"));
    expect(await watch.stop()).toBe(0);
    expect(await orphans()).toEqual([]);
    expect(
      (await readdir(tmpdir())).filter((name) => name.startsWith(`dropwatch-rules-${watch.pid}.`)),
    ).toEqual([]);
  });
});

describe("what is kept", () => {
  kernelTest("survives a kill -9: windows, states of code, and what is pending", async () => {
    await save("a.ts", ruleText("A", 150, `summary: "over",`));
    await save(
      "code.ts",
      `import { drops, rule } from "dropwatch";
export default rule({
  alert: "Code",
  on: drops.where({ reason: "SOCKET_FILTER" }).by("ownerPort"),
  by: ["ownerPort"],
  state: { version: 1, init: () => ({ n: 0 }) },
  each: ({ count }, { state, fire }) => { state.n += count; if (state.n > 150) fire(state.n); },
});
`,
    );
    const args = ["--rules", folder, "--json", "--state", join(folder, "state"), ...withBpftrace];
    const first = startDropwatch(args);
    await first.attached;
    await refuse(100, 45_120);
    await sleep(12_000); // Windows are kept every ten seconds.
    await first.stop("SIGKILL");
    expect(first.out).toEqual([]);
    const left = (await readdir(tmpdir())).filter((name) =>
      name.startsWith(`dropwatch-rules-${first.pid}.`)
    );
    expect(left.length).toBe(1);
    const second = startDropwatch(args);
    await second.attached;
    await refuse(100, 45_120);
    await second.line((line) => line.includes(`"A"`) && line.includes("firing"));
    await second.line((line) => line.includes(`"Code"`) && line.includes("firing"));
    expect(await second.stop()).toBe(0);
    for (const alert of ["A", "Code"]) {
      const line = second.out.find((line) => line.includes(`"${alert}"`))!;
      expect(JSON.parse(line).data).toMatchObject({ status: "firing", value: 200 });
    }
    // What the killed one left is gone, too.
    expect((await readdir(tmpdir())).filter((name) => left.includes(name))).toEqual([]);
    expect(await orphans()).toEqual([]);
  }, 90_000);
});

// A run as a whole: rule files, their real processes, a store, a sink; time and drops are the test's.
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fingerprint } from "./alert/alert.ts";
import { closed, codeText, ruleText, startRun, until } from "../test/run.ts";
import type { Run, StartOptions } from "../test/run.ts";
import type { MirrorSink } from "./alert/sink.ts";

const deno = "Deno" in globalThis;
let runs: Run[] = [];
afterEach(async () => {
  for (const run of runs) await run.stop().catch(() => {});
  runs = [];
});

async function start(options: StartOptions): Promise<Run> {
  const run = await startRun(options);
  runs.push(run);
  return run;
}

const errorsOf = (run: Run, alert: string): string[] =>
  run.messages.filter(({ data }) => data.alert === alert && data.status === "firing")
    .map(({ data }) => `${data.labels["rule"]} ${data.labels["why"]}`);

/** Processes that a rule host of this test's process has. */
function children(): string[] {
  return readdirSync("/proc").filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const status = readFileSync(`/proc/${name}/status`, "utf8");
      return Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1]) === process.pid &&
        !/^State:\s+Z/m.test(status) &&
        readFileSync(`/proc/${name}/cmdline`, "utf8").includes("dropwatch-rules-");
    } catch {
      return false;
    }
  });
}

const bad: readonly (readonly [what: string, code: string, why: string])[] = [
  ["loops for ever in each", `each: () => { for (;;); },`, "RULE_HUNG"],
  ["loops for ever in tick", `tick: () => { for (;;); },`, "RULE_HUNG"],
  [
    "allocates without bound",
    `each: () => { const all = []; for (;;) all.push(new Uint8Array(1 << 20).fill(1)); },`,
    "RULE_TOO_LARGE",
  ],
  ["ends its process", `each: () => { process.exit(0); },`, "RULE_CRASHED"],
  [
    "floods standard output",
    deno
      ? `each: () => { for (;;) Deno.stdout.writeSync(new Uint8Array(1 << 16)); },`
      : `each: () => { for (;;) require("node:fs").writeSync(1, "x".repeat(1 << 16)); },`,
    "RULE_FLOODS",
  ],
];

describe("code of a rule that", () => {
  for (const [what, code, why] of bad) {
    test(`${what} is named, then disabled, and delays nobody`, async () => {
      const run = await start({
        files: {
          "bad.ts": codeText("Bad", code),
          "good.ts": codeText("GoodCode", `each: (_, { fire }) => fire(1),`),
          "plain.ts": ruleText("Plain", `summary: ({ value }) => "n=" + value,`),
        },
      });
      const began = performance.now();
      await run.second(closed(100));
      await until(() => run.told("Plain").length > 0 && run.told("GoodCode").length > 0);
      expect(performance.now() - began).toBeLessThan(1000);
      expect(run.messages.find(({ data }) => data.alert === "Plain")!.data.annotations["summary"])
        .toBe("n=100");
      // Three offences at most, and each within the time that code has.
      for (let i = 0; i < 12 && errorsOf(run, "RuleDisabled").length === 0; i++) {
        await run.second(closed(100, `${60 + i}`));
        const at = performance.now();
        await until(() =>
          run.messages.some(({ data }) =>
            data.alert === "GoodCode" && data.labels["dport"] === `${60 + i}`
          )
        );
        expect(performance.now() - at).toBeLessThan(1000);
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
      expect(errorsOf(run, "RuleError")).toEqual([`Bad ${why}`]);
      expect(errorsOf(run, "RuleDisabled")).toEqual([`Bad ${why}`]);
      expect(run.told("Bad")).toEqual([]);
      await run.stop();
      await until(() => children().length === 0);
    }, 60_000);
  }

  test("throws each time is named, and disabled after ten times", async () => {
    const run = await start({
      files: {
        "bad.ts": codeText("Bad", `each: () => { throw new Error("no\\x1b[31m"); },`),
        "plain.ts": ruleText("Plain"),
      },
    });
    for (let i = 0; i < 9; i++) await run.second(closed(5));
    await until(() => run.log.filter((line) => line.startsWith("Bad: ")).length === 9);
    await run.second();
    expect(errorsOf(run, "RuleDisabled")).toEqual([]);
    await run.second(closed(5));
    await until(() => run.log.some((line) => line.includes("isn't run any more")));
    await run.second(closed(5));
    await until(() => errorsOf(run, "RuleDisabled").length > 0);
    expect(errorsOf(run, "RuleError")).toEqual(["Bad CODE_FAILED"]);
    expect(errorsOf(run, "RuleDisabled")).toEqual(["Bad CODE_FAILED"]);
    expect(run.log.join("")).not.toContain("\x1b");
  });

  test("was disabled runs again when its file changes, and the alert is resolved", async () => {
    const run = await start({
      files: {
        "bad.ts": codeText("Bad", `each: () => { process.exit(3); },`),
        "plain.ts": ruleText("Plain"),
      },
    });
    for (let i = 0; i < 3; i++) {
      await run.second(closed(1));
      await until(() =>
        run.log.filter((line) =>
          line.includes("RULE_CRASHED") ||
          /^Bad: /.test(line)
        ).length > i, 8000);
    }
    await run.second();
    await until(() => run.told("RuleDisabled").length === 1);
    await run.save("bad.ts", codeText("Bad", `each: (_, { fire }) => fire(7),`));
    await run.reload();
    await run.second(closed(1));
    await until(() => run.told("Bad").length === 1);
    for (let i = 0; i < 4; i++) await run.second();
    await until(() => run.told("RuleDisabled").length === 2);
    expect(run.told("RuleDisabled")).toEqual(["RuleDisabled firing", "RuleDisabled resolved"]);
  }, 30_000);

  for (
    const [what, body, why] of [
      ["hangs", "() => { for (;;); }", "RULE_HUNG"],
      ["returns no boolean", "() => 1", "CODE_FAILED"],
    ] as const
  ) {
    test(`is a filter that ${what} is named, and others are not late`, async () => {
      const run = await start({
        files: {
          "f.ts": `import { drops, rule } from "dropwatch";
export default rule({
  alert: "F",
  when: drops.filter(["dport"], (${body}) as never).by("dport").count("5s").above(1),
});`,
          "plain.ts": ruleText("Plain"),
        },
      });
      expect(run.log).toEqual([]);
      const began = performance.now();
      await run.second(closed(100));
      await until(() => run.told("Plain").length === 1);
      expect(performance.now() - began).toBeLessThan(300);
      await until(() => run.log.some((line) => line.startsWith("F: ")));
      await run.second();
      await until(() => errorsOf(run, "RuleError").length > 0);
      expect(errorsOf(run, "RuleError")).toEqual([`F ${why}`]);
    });
  }
});

describe("code that is slow", () => {
  test("is moved to a process of its own: others are in time again", async () => {
    const slow = `each: () => { for (const end = Date.now() + 250; Date.now() < end;); },`;
    const run = await start({
      files: {
        "a.ts": codeText("A", slow),
        "b.ts": codeText("B", slow),
        "c.ts": codeText("C", slow),
        "good.ts": codeText("GoodCode", `each: (_, { fire }) => fire(1),`),
      },
    });
    const late: number[] = [];
    for (let i = 0; i < 6; i++) {
      const began = performance.now();
      await run.second(closed(1, `${100 + i}`));
      await until(() => run.told("GoodCode").length === i + 1);
      late.push(performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, 1000 - late[i]!)));
    }
    expect(Math.max(...late.slice(4))).toBeLessThan(250);
    expect(run.log).toEqual([]);
  }, 20_000);

  if (deno) {
    test("or opens a socket under Deno, is refused, and named", async () => {
      const run = await start({
        files: {
          "bad.ts": codeText("Bad", `each: () => { Deno.listen({ port: 0 }); },`),
          "plain.ts": ruleText("Plain"),
        },
      });
      await run.second(closed(100));
      await until(() => run.log.some((line) => line.startsWith("Bad: ")));
      expect(run.log.join("")).toContain("net access");
      await run.second();
      await until(() => errorsOf(run, "RuleError").length > 0);
      expect(errorsOf(run, "RuleError")).toEqual(["Bad CODE_FAILED"]);
      expect(run.told("Plain")).toEqual(["Plain firing"]);
    });
  }
});

describe("a summary that", () => {
  test("hangs goes out as a plain text, and alerts of others aren't late", async () => {
    const run = await start({
      files: {
        "bad.ts": ruleText("Bad", `summary: () => { for (;;); },`),
        "good.ts": ruleText("Good", `summary: ({ labels }) => "port " + labels.dport,`),
        "plain.ts": ruleText("Plain", `summary: "a text",`),
      },
    });
    const began = performance.now();
    // Many of them at once: each would hang.
    const many = Array.from({ length: 50 }, (_, i) => closed(100, `${1000 + i}`)).flat();
    await run.second(many);
    await until(() => run.told("Plain").length === 50);
    expect(performance.now() - began).toBeLessThan(300);
    await until(() => run.told("Good").length === 50);
    expect(performance.now() - began).toBeLessThan(1000);
    await until(() => run.told("Bad").length === 50, 20_000);
    for (const { data } of run.messages.filter(({ data }) => data.alert === "Bad")) {
      expect(data.annotations["summary"]).toBe(`Bad: dport="${data.labels["dport"]}"`);
    }
    await run.second();
    await until(() => errorsOf(run, "RuleDisabled").length > 0);
    expect(errorsOf(run, "RuleError")).toEqual(["Bad RULE_HUNG"]);
  }, 40_000);

  test("hangs keeps the order of its own alerts", async () => {
    const run = await start({
      files: {
        "bad.ts": ruleText("Bad", `summary: () => { for (;;); },`, `.count("1s").above(10)`),
      },
    });
    await run.second(closed(100));
    await run.second();
    await run.second(closed(100));
    await until(() => run.told("Bad").length === 3, 20_000);
    expect(run.told("Bad")).toEqual(["Bad firing", "Bad resolved", "Bad firing"]);
  }, 30_000);
});

describe("shadow", () => {
  const shadow = `mode: "shadow", summary: "a\\x1b[2J",`;

  test("is logged, safe to look at, and no sink is told", async () => {
    const run = await start({ files: { "a.ts": ruleText("A", shadow) } });
    await run.second(closed(100));
    for (let i = 0; i < 6; i++) await run.second();
    await until(() => run.log.length === 2);
    expect(run.log[0]).toContain("A would be firing, and is in shadow: a");
    expect(run.log[1]).toContain("A would be resolved");
    expect(run.log.join("")).not.toContain("\x1b");
    expect(run.messages).toEqual([]);
  });

  test("that a firing rule is put into by a reload tells its end; out of it, that it fires", async () => {
    const run = await start({ files: { "a.ts": ruleText("A") } });
    await run.second(closed(100));
    await until(() => run.told().length === 1);
    await run.save("a.ts", ruleText("A", `mode: "shadow",`));
    await run.reload();
    await until(() => run.told().length === 2);
    await run.second(closed(100));
    expect(run.told()).toEqual(["A firing", "A resolved"]);
    expect(run.messages[1]!.data.fingerprint).toBe(run.messages[0]!.data.fingerprint);
    await run.save("a.ts", ruleText("A", `mode: "alert",`));
    await run.reload();
    await until(() => run.told().length === 3);
    expect(run.messages[2]!.data).toMatchObject({
      status: "firing",
      startsAt: run.messages[0]!.data.startsAt,
      endsAt: null,
    });
    for (let i = 0; i < 6; i++) await run.second();
    await until(() => run.told().length === 4);
    expect(run.told()[3]).toBe("A resolved");
  });
});

describe("limits", () => {
  test("a window with no room is said, and is a health event that rules can count", async () => {
    const run = await start({
      maxSeries: 3,
      files: {
        "a.ts": ruleText("A"),
        "h.ts": `import { health, rule } from "dropwatch";
export default rule({ alert: "Refused", when: health.where({ event: "refused" }).count("5s").above(0) });`,
      },
    });
    const many = [1, 2, 3, 4, 5].flatMap((port) => closed(20, `${port}`));
    await run.second(many);
    await run.second();
    await until(() => run.told("Refused").length === 1);
    expect(run.messages.find(({ data }) => data.alert === "Refused")!.data.total).toBe(40);
    expect(run.log.filter((line) => line.includes("more than 3 combinations"))).toHaveLength(1);
    // After a reload it is still told.
    for (let i = 0; i < 6; i++) await run.second();
    await until(() => run.told("Refused").length === 2);
    await run.save("a.ts", ruleText("A", `severity: "info",`));
    await run.reload();
    await run.second(many);
    await run.second();
    await until(() => run.told("Refused").length === 3);
  });

  test("without a store nothing is remembered for being kept", async () => {
    const run = await start({
      files: {
        "c.ts": codeText(
          "C",
          `state: { version: 1, init: () => ({ n: 0 }) },
  each: ({ count }, { state }) => { state.n += count; },`,
        ),
      },
    });
    for (let i = 0; i < 20; i++) await run.second(closed(1, `${i}`));
    expect(existsSync(run.folder.file("state"))).toBe(false);
    expect((await run.stop()).rules).toEqual([{ alert: "C", total: 20 }]);
  });
});

describe("labels of the config", () => {
  test("are in every alert, in its identity too, where its own don't say otherwise", async () => {
    const run = await start({
      files: {
        "a.ts": ruleText("A", `labels: { team: "own" },`),
        "b.ts": ruleText("B"),
      },
      externalLabels: { instance: "web-3", team: "all" },
    });
    await run.second(closed(100));
    await until(() => run.messages.length === 2);
    const labels = Object.fromEntries(run.messages.map(({ data }) => [data.alert, data.labels]));
    expect(labels["A"]).toMatchObject({ instance: "web-3", team: "own", dport: "53" });
    expect(labels["B"]).toMatchObject({ instance: "web-3", team: "all", alertname: "B" });
    for (const { data } of run.messages) expect(data.fingerprint).toBe(fingerprint(data.labels));
  });
});

describe("what an alert says", () => {
  const shown: string[] = [];
  const picture: MirrorSink = {
    name: "picture",
    every: 50,
    keepResolved: 0,
    mirror: (alerts) => {
      for (const { data, timestamp } of alerts) {
        if (data.alert === "A") shown.push(`${timestamp} ${data.annotations["summary"]}`);
      }
      return Promise.resolve();
    },
  };

  test("is made anew while it fires, once its numbers are others; it fired when it did", async () => {
    shown.length = 0;
    const run = await start({
      files: {
        "a.ts": ruleText("A", `summary: ({ value }) => "n=" + value,`, `.count("2s").above(10)`),
      },
      sinks: [picture],
    });
    await run.second(closed(100));
    const at = new Date(run.driven.at).toISOString();
    await until(() => shown.length > 0);
    // Within ten seconds it may be what it was, and after them as long as it is nearly so.
    for (let i = 0; i < 8; i++) await run.second(closed(500));
    for (let i = 0; i < 4; i++) await run.second(closed(55));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(new Set(shown)).toEqual(new Set([`${at} n=100`]));
    await run.second(closed(500));
    await run.second(closed(500));
    await until(() => shown.at(-1) !== `${at} n=100`);
    expect(shown.at(-1)).toMatch(new RegExp(`^${at} n=(555|1000)$`));
  });

  test("stays as it was where it can't be made any more, and is asked for no more", async () => {
    shown.length = 0;
    const text =
      `summary: ({ value }) => { if (value > 200) throw new Error("no"); return "n=" + value; },`;
    const run = await start({
      files: { "a.ts": ruleText("A", text, `.count("2s").above(10)`) },
      sinks: [picture],
    });
    await run.second(closed(100));
    await until(() => shown.length > 0);
    for (let i = 0; i < 40; i++) await run.second(closed(500));
    await until(() => run.log.some((line) => line.includes("Cannot make the summary")));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(run.log.filter((line) => line.includes("Cannot make the summary"))).toHaveLength(1);
    expect(new Set(shown.map((line) => line.split(" ")[1]))).toEqual(new Set(["n=100"]));
  });
});

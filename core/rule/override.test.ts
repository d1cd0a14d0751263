// What a config says of rules: it holds as if the file had it, and what is wrong is told.
import { afterEach, describe, expect, test } from "bun:test";
import { closed, codeText, ruleText, startRun, until } from "../../test/run.ts";
import type { Run, StartOptions } from "../../test/run.ts";
import type { DropwatchError } from "../error.ts";
import { readConfig } from "./config.ts";

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

const changes = (run: Run): string[] =>
  run.transitions.map(({ change, at }) => `${change} ${(at - 1_000_000) / 1000}`);

describe("an override", () => {
  test("of threshold, recovery, for and keepFiringFor holds", async () => {
    const run = await start({
      files: { "a.ts": ruleText("A", `for: "1h",`, `.count("2s").above(1000)`) },
      overrides: { A: { threshold: 10, recovery: 5, for: "2s", keepFiringFor: "3s" } },
    });
    expect(run.log).toEqual([]);
    for (const n of [6, 6, 6, 6, 1, 1, 1, 1, 1]) await run.second(closed(n));
    expect(changes(run)).toEqual(["pending 2", "firing 4", "resolved 8"]);
  });

  test("of a threshold alone takes the rule's own recovery away", async () => {
    const run = await start({
      files: { "a.ts": ruleText("A", "", `.count("1s").above(1000, { recovery: 500 })`) },
      overrides: { A: { threshold: 10 } },
    });
    expect(run.log).toEqual([]);
    await run.second(closed(11));
    await run.second(closed(10));
    expect(changes(run)).toEqual(["firing 1", "resolved 2"]);
  });

  test("of severity and labels is in what is sent; of mode, nothing is", async () => {
    const run = await start({
      files: { "a.ts": ruleText("A", `labels: { team: "a", own: "b" },`), "b.ts": ruleText("B") },
      overrides: {
        A: { severity: "critical", labels: { team: "net" } },
        B: { mode: "shadow" },
      },
    });
    await run.second(closed(100));
    await until(() => run.told().length === 1 && run.log.length === 1);
    expect(run.messages[0]!.data).toMatchObject({
      alert: "A",
      severity: "critical",
      labels: { team: "net", own: "b", severity: "critical" },
    });
  });

  test("holds after a reload, and doesn't keep a file from being reloaded", async () => {
    const run = await start({
      files: { "a.ts": ruleText("A"), "c.ts": codeText("C", "each: () => {},") },
      overrides: { A: { severity: "info" }, C: { threshold: 4 } },
    });
    expect(run.log).toHaveLength(1);
    expect(run.log[0]).toContain("BAD_OVERRIDE");
    await run.save("a.ts", ruleText("A", `summary: "new",`));
    await run.save("c.ts", codeText("C", "each: (_, { fire }) => fire(),"));
    await run.reload();
    await run.second(closed(100));
    await until(() => run.told("A").length === 1 && run.told("C").length === 1);
    const { data } = run.messages.find(({ data }) => data.alert === "A")!;
    expect([data.severity, data.annotations["summary"]]).toEqual(["info", "new"]);
  });

  test("of dropwatch's own rules holds", async () => {
    const run = await start({
      files: { "a.ts": ruleText("A") },
      overrides: { ReloadFailed: { severity: "critical", labels: { team: "net" }, for: "2s" } },
    });
    await run.save("a.ts", "(");
    await run.reload();
    for (let i = 0; i < 2; i++) await run.second();
    expect(run.messages).toEqual([]);
    await run.second();
    await until(() => run.told().length === 1);
    expect(run.messages[0]!.data).toMatchObject({ severity: "critical", labels: { team: "net" } });
  });

  const wrong: readonly (readonly [Record<string, object>, string])[] = [
    [{ Aa: { threshold: 1 } }, `"Aa": there is no such rule; nearest: A`],
    [{ ReloadFaild: { mode: "shadow" } }, "nearest: ReloadFailed"],
    [{ RuleError: { threshold: 1 } }, "has no threshold"],
    [{ C: { recovery: 1 } }, "isn't one value above or below a threshold"],
  ];
  for (const [overrides, message] of wrong) {
    test(`${JSON.stringify(overrides)} is a mistake that is told, and others go on`, async () => {
      const run = await start({
        files: { "a.ts": ruleText("A"), "c.ts": codeText("C", "each: () => {},") },
        overrides,
      });
      const [error, ...more] = run.rules.errors;
      expect(more).toEqual([]);
      expect(error).toMatchObject({ code: "BAD_OVERRIDE" });
      expect(error!.message).toContain(message);
      expect(run.rules.rules).toHaveLength(2);
    });
  }

  test("of a rule whose own file is wrong isn't told to be of no rule", async () => {
    const run = await start({
      files: {
        "a.ts": ruleText("A", `severity: "odd" as never,`),
        "b.ts": ruleText("B"),
        "c.ts": "(",
      },
      overrides: { A: { threshold: 1 }, Unknown: { threshold: 1 } },
    });
    expect(run.rules.errors.map(({ code }) => code)).not.toContain("BAD_OVERRIDE");
  });

  const unreadable: readonly (readonly [object, string, string])[] = [
    [{ A: { treshold: 3 } }, "UNKNOWN_CONFIG_KEY", "nearest: threshold"],
    [{ A: { severity: "bad" } }, "BAD_CONFIG", "critical, warning or info"],
    [{ A: { threshold: "3" } }, "BAD_CONFIG", "a number"],
    [{ A: { for: "soon" } }, "BAD_CONFIG", `a duration like "30s"`],
    [{ A: { mode: "off" } }, "BAD_CONFIG", "alert or shadow"],
    [{ A: { labels: { team: 3 } } }, "BAD_CONFIG", "a text"],
    [{ A: 3 }, "BAD_CONFIG", "an object"],
    [{ RuleError: { for: "banana" } }, "BAD_CONFIG", "a duration"],
  ];
  for (const [overrides, code, message] of unreadable) {
    test(`${JSON.stringify(overrides)} can't be read`, () => {
      let thrown: DropwatchError | undefined;
      try {
        readConfig("config.ts", { overrides });
      } catch (error) {
        thrown = error as DropwatchError;
      }
      expect(thrown).toMatchObject({ code });
      expect(thrown!.message).toContain(message);
    });
  }
});

// Rules that are read again while they are watched. Files, bundles, processes of rules and the run are
// real; time and drops are the test's.
import { afterEach, describe, expect, test } from "bun:test";
import { closed, codeText, drivenSource, ruleText, startRun, until } from "../../test/run.ts";
import type { Run, StartOptions } from "../../test/run.ts";
import { programHasNoLayout, programRefused, ruleSyntax } from "../error.ts";
import type { Plan } from "../plan/plan.ts";

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
  run.transitions.map(({ rule, change, labels, at }) =>
    `${rule.alert} ${labels["dport"] ?? ""} ${change} ${(at - 1_000_000) / 1000}`
  );

const firingErrors = (run: Run): string[] =>
  run.messages.filter(({ data }) => data.alert === "ReloadFailed")
    .map(({ data }) => `${data.status} ${data.labels["why"]}`);

describe("a reload", () => {
  test("of a threshold holds from the next tick on, also for what no new drop touches", async () => {
    const run = await start({ files: { "a.ts": ruleText("A"), "b.ts": ruleText("B") } });
    await run.second(closed(8));
    expect(changes(run)).toEqual([]);
    await run.save("a.ts", ruleText("A", "", `.count("5s").above(5)`));
    await run.reload();
    await run.second();
    expect(changes(run)).toEqual(["A 53 firing 2"]);
    // The window went on: its eight drops leave it five seconds after they came.
    for (let i = 0; i < 5; i++) await run.second();
    expect(changes(run)).toEqual(["A 53 firing 2", "A 53 resolved 6"]);
    expect((await run.stop()).rules).toEqual([
      { alert: "A", total: 8 },
      { alert: "B", total: 8 },
    ]);
  });

  test("loses and doubles no drop of rules that are unchanged, and keeps their windows", async () => {
    const run = await start({ files: { "a.ts": ruleText("A"), "b.ts": ruleText("B") } });
    for (let i = 0; i < 10; i++) {
      await run.save("b.ts", ruleText("B", `summary: "${i}",`));
      const reloaded = run.reload();
      await run.second(closed(2));
      await reloaded;
    }
    // Ten in five seconds is not above ten; one more is.
    expect(changes(run)).toEqual([]);
    await run.second(closed(3));
    expect(changes(run)).toEqual(["A 53 firing 11", "B 53 firing 11"]);
    expect((await run.stop()).rules.map(({ total }) => total)).toEqual([23, 23]);
  });

  test("of `for` is honoured by an alert that is pending", async () => {
    const run = await start({
      files: { "a.ts": ruleText("A", `for: "1m",`, `.count("1m").above(10)`) },
    });
    await run.second(closed(100));
    await run.second();
    await run.save("a.ts", ruleText("A", `for: "3s",`, `.count("1m").above(10)`));
    await run.reload();
    await run.second();
    await run.second();
    expect(changes(run)).toEqual(["A 53 pending 1", "A 53 firing 4"]);
  });

  test("keeps an alert that fires, and what was told of it, though its texts change", async () => {
    const run = await start({ files: { "a.ts": ruleText("A", `summary: () => "before",`) } });
    await run.second(closed(100));
    await until(() => run.told().length === 1);
    await run.save("a.ts", ruleText("A", `summary: () => "after",`));
    await run.reload();
    await run.second(closed(100, "54"));
    for (let i = 0; i < 6; i++) await run.second();
    await until(() => run.told().length === 4);
    const texts = run.messages.map(({ data }) =>
      `${data.labels["dport"]} ${data.status} ${data.annotations["summary"]}`
    );
    expect(texts.sort()).toEqual([
      "53 firing before",
      "53 resolved before",
      "54 firing after",
      "54 resolved after",
    ]);
  });

  for (
    const [what, more, when] of [
      ["severity", `severity: "critical",`, undefined],
      ["labels", `labels: { team: "net" },`, undefined],
      ["fields of `by`", "", undefined],
    ] as const
  ) {
    test(`that changes its ${what} ends the alert, and another one begins`, async () => {
      const run = await start({ files: { "a.ts": ruleText("A") } });
      await run.second(closed(100));
      await until(() => run.told().length === 1);
      const text = ruleText("A", more, when);
      const byL4 = what.includes("by");
      await run.save("a.ts", byL4 ? text.replace(`by("dport")`, `by("dport", "l4")`) : text);
      // Another plan counts for it: it takes its place with the first tick.
      const reloaded = run.reload();
      if (byL4) {
        await until(() => run.driven.plans.length === 1);
        await new Promise((resolve) => setTimeout(resolve, 20));
      } else await reloaded;
      await run.second(closed(100));
      await reloaded;
      await until(() => run.told().length === 3);
      const [first, end, second] = run.messages;
      expect(end!.data).toMatchObject({ status: "resolved", fingerprint: first!.data.fingerprint });
      expect(second!.data.status).toBe("firing");
      expect(second!.data.fingerprint).not.toBe(first!.data.fingerprint);
    });
  }

  test("that deletes a rule resolves its alerts, and one that renames its file doesn't", async () => {
    const run = await start({
      files: {
        "a.ts": ruleText("A"),
        "b.ts": ruleText("B"),
        "c.ts": codeText("C", `each: (_, { fire }) => fire(1),`),
      },
    });
    await run.second(closed(100));
    await until(() => run.told().length === 3);
    await run.save("a.ts", undefined);
    await run.save("z.ts", ruleText("A"));
    await run.save("b.ts", undefined);
    await run.save("c.ts", undefined);
    await run.reload();
    await until(() => run.told().length === 5);
    expect(run.told().slice(3).sort()).toEqual(["B resolved", "C resolved"]);
    await run.second();
    expect(changes(run).filter((each) => each.startsWith("A"))).toEqual(["A 53 firing 1"]);
    expect(run.log.at(-1)).toBe("reloaded: 1 rule");
    expect(firingErrors(run)).toEqual([]);
  });

  test("makes the texts of what fired before it with the rules of then", async () => {
    const run = await start({
      files: { "a.ts": ruleText("A", `summary: () => "old",`), "b.ts": ruleText("B") },
    });
    await run.second(closed(100));
    await run.save("a.ts", ruleText("A", `summary: () => "new",`));
    await run.reload();
    await until(() => run.told("A").length === 1);
    expect(run.messages.find(({ data }) => data.alert === "A")!.data.annotations["summary"])
      .toBe("old");
    expect(run.log).toEqual(["reloaded: 2 rules"]);
  });

  test("sees helpers in the folder and outside of it", async () => {
    const text = ruleText("A", "", `.count("5s").above(most + far)`);
    const run = await start({
      files: {
        "_limits.ts": "export const most = 500;",
        "../far/limits.ts": "export const far = 500;",
        "a.ts":
          `import { most } from "./_limits.ts";\nimport { far } from "../far/limits.ts";\n${text}`,
      },
    });
    expect(run.rules.inputs().map((file) => file.replace(/.*\//, "")).sort()).toEqual([
      "_limits.ts",
      "a.ts",
      "limits.ts",
    ]);
    await run.second(closed(100));
    await run.save("_limits.ts", "export const most = 50;");
    await run.reload();
    await run.second();
    expect(changes(run)).toEqual([]);
    await run.save("../far/limits.ts", "export const far = 5;");
    await run.reload();
    await run.second();
    expect(changes(run)).toEqual(["A 53 firing 3"]);
  });

  test("with two in quick succession has the last one's outcome", async () => {
    const run = await start({ files: { "a.ts": ruleText("A") } });
    const all: Promise<void>[] = [];
    for (const severity of ["info", "critical", "info", "critical"]) {
      await run.save("a.ts", ruleText("A", `severity: "${severity}",`));
      all.push(run.reload());
    }
    await Promise.all(all);
    await run.second(closed(100));
    await until(() => run.told().length === 1);
    expect(run.messages[0]!.data.severity).toBe("critical");
  });

  test("takes many changed files at once", async () => {
    const names = Array.from({ length: 30 }, (_, i) => `R${i}`);
    const files = (more: string): Record<string, string> =>
      Object.fromEntries(names.map((name) => [`${name}.ts`, ruleText(name, more)]));
    const run = await start({ files: files("") });
    for (const [name, text] of Object.entries(files(`severity: "info",`))) {
      await run.save(name, text);
    }
    const began = performance.now();
    await run.reload();
    expect(performance.now() - began).toBeLessThan(2000);
    expect(run.log).toEqual(["reloaded: 30 rules"]);
  }, 20_000);
});

describe("a file that is broken by a change", () => {
  const bad: readonly (readonly [what: string, text: string, why: string])[] = [
    ["has a mistake in its syntax", "export default rule({", "RULE_SYNTAX"],
    ["throws", "throw new Error('no');", "RULE_THREW"],
    ["hangs", "for (;;);", "RULE_HUNG"],
    ["ends the process", "process.exit(1);", "RULE_CRASHED"],
    ["has a mistake in its data", ruleText("A", `severity: "bad" as never,`), "BAD_SEVERITY"],
    ["is no rule", "export default 1;", "NOT_A_RULE"],
  ];
  for (const [what, text, why] of bad) {
    test(
      `because it ${what} leaves its last good version, and is told until it is mended`,
      async () => {
        const run = await start({
          files: {
            "a.ts": ruleText("A", `summary: () => "good",`),
            "b.ts": ruleText("B", `summary: () => "b",`),
          },
        });
        await run.save("a.ts", text);
        await run.save("b.ts", ruleText("B", `summary: () => "b2",`));
        await run.reload();
        await run.second(closed(100));
        await until(() => run.told().length === 3);
        const textOf = (alert: string): string | undefined =>
          run.messages.find(({ data }) => data.alert === alert)?.data.annotations["summary"];
        expect([textOf("A"), textOf("B")]).toEqual(["good", "b2"]);
        const [failed] = run.messages.filter(({ data }) => data.alert === "ReloadFailed");
        expect(failed!.data.labels["file"]).toContain("a.ts");
        if (why !== "BAD_SEVERITY") expect(failed!.data.labels["why"]).toBe(why);
        expect(failed!.data.of).toBe("health");
        // Also when it is read again unchanged.
        await run.reload();
        for (let i = 0; i < 5; i++) await run.second();
        expect(firingErrors(run)).toHaveLength(1);
        await run.save("a.ts", ruleText("A", `summary: () => "better",`));
        await run.reload();
        for (let i = 0; i < 4; i++) await run.second();
        await until(() => firingErrors(run).length === 2);
        expect(firingErrors(run)[1]).toMatch(/^resolved/);
        await run.second(closed(100, "99"));
        await until(() =>
          run.messages.some(({ data }) => data.annotations["summary"] === "better")
        );
      },
      20_000,
    );
  }

  test("and is then as it was before goes on as if nothing had been", async () => {
    const run = await start({ files: { "a.ts": ruleText("A") } });
    const [rule] = run.rules.rules;
    await run.save("a.ts", "nonsense(");
    await run.reload();
    await run.save("a.ts", ruleText("A"));
    const again = await run.rules.reload([rule!.file]);
    expect(again.rules[0]).toBe(rule!);
    expect(again.errors).toEqual([]);
  });

  test("in a helper outside of the folder is told too", async () => {
    const text = ruleText("A", "", `.count("5s").above(far)`);
    const run = await start({
      files: {
        "../far.ts": "export const far = 10;",
        "a.ts": `import { far } from "../far.ts";\n${text}`,
      },
    });
    await run.save("../far.ts", "export const far = ;");
    await run.reload();
    await run.second(closed(100));
    await until(() => run.told("A").length === 1);
    expect(firingErrors(run)).toEqual(["firing RULE_SYNTAX"]);
    expect(run.rules.inputs().some((file) => file.endsWith("far.ts"))).toBe(true);
  });

  test("because another one has its name: the one that ran goes on, whatever their order", async () => {
    const run = await start({ files: { "m.ts": ruleText("A", `summary: () => "mine",`) } });
    await run.save("a.ts", ruleText("A", `summary: () => "theirs",`));
    await run.reload();
    await run.reload();
    await run.second(closed(100));
    await until(() => run.told("A").length === 1 && firingErrors(run).length === 1);
    expect(run.messages.find(({ data }) => data.alert === "A")!.data.annotations["summary"])
      .toBe("mine");
    expect(firingErrors(run)).toEqual(["firing DUPLICATE_ALERT"]);
    // It is changed, and still the one that ran.
    await run.save("m.ts", ruleText("A", `summary: () => "mine again",`));
    await run.reload();
    await run.second(closed(100, "99"));
    await until(() => run.told("A").length === 2);
    expect(run.messages.at(-1)!.data.annotations["summary"]).toBe("mine again");
    await run.save("m.ts", undefined);
    await run.reload();
    await run.second(closed(100, "98"));
    await until(() => run.told("A").length === 3);
    expect(run.messages.at(-1)!.data.annotations["summary"]).toBe("theirs");
  });

  test("and all rules gone: the rules are as they were, and it is told", async () => {
    const run = await start({ files: { "a.ts": ruleText("A") } });
    await run.save("a.ts", undefined);
    await run.reload();
    await run.reload();
    await run.second(closed(100));
    await until(() => run.told().length === 2);
    expect(firingErrors(run)).toEqual(["firing NO_RULES"]);
    await run.save("b.ts", ruleText("A"));
    await run.reload();
    for (let i = 0; i < 4; i++) await run.second();
    await until(() => firingErrors(run).length === 2);
  });
});

describe("the plan", () => {
  const other = `.where({ l4: "UDP" }).count("5s").above(10)`;
  const otherText = (alert: string): string =>
    ruleText(alert).replace(`.by("dport")`, `.by("dport", "l4")`);

  test("is the source's as long as the counts are the same", async () => {
    const run = await start({
      files: { "a.ts": ruleText("A"), "c.ts": codeText("C", `each: () => {},`) },
    });
    await run.save("a.ts", ruleText("A", `for: "3s", severity: "info",`, `.rate("7s").above(3)`));
    await run.save("b.ts", ruleText("B"));
    await run.save("c.ts", codeText("C", `tick: () => {},`));
    await run.reload();
    expect(run.log).toEqual(["reloaded: 3 rules"]);
    expect(run.driven.plans).toEqual([]);
    expect(other).toBeTruthy();
  });

  test("is changed when they aren't, and rules follow with its first tick", async () => {
    const run = await start({ files: { "a.ts": ruleText("A") } });
    await run.second(closed(6));
    await run.save("b.ts", otherText("B"));
    const reloaded = run.reload();
    await until(() => run.driven.plans.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(run.log).toEqual([]);
    await run.second(closed(6));
    await reloaded;
    await run.second(closed(6));
    expect(changes(run)).toEqual(["A 53 firing 2", "B 53 firing 3"]);
    expect((await run.stop()).rules).toEqual([
      { alert: "A", total: 18 },
      { alert: "B", total: 12 },
    ]);
  });

  test("that is refused leaves rules as they were, is told, and is tried again", async () => {
    let refuse = true;
    const driven = drivenSource({
      replan: () => {
        if (refuse) throw ruleSyntax({ file: "x" }, "the kernel says no");
      },
    });
    const run = await start({ driven, files: { "a.ts": ruleText("A") } });
    await run.save("a.ts", otherText("A"));
    await run.reload();
    await run.second(closed(100));
    await until(() => run.told().length === 2);
    expect(run.messages.find(({ data }) => data.alert === "A")!.data.labels["l4"]).toBe(undefined!);
    expect(firingErrors(run)).toEqual(["firing RULE_SYNTAX"]);
    refuse = false;
    const again = run.reload();
    await until(() => driven.plans.length === 2);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await run.second(closed(100));
    await again;
    for (let i = 0; i < 4; i++) await run.second();
    await until(() => firingErrors(run).length === 2);
    expect(run.messages.some(({ data }) => data.labels["l4"] === "UDP")).toBe(true);
  });

  test("that a source can't change leaves rules as they were, and it is told", async () => {
    const run = await start({
      driven: drivenSource({ replan: "none" }),
      files: { "a.ts": ruleText("A") },
    });
    await run.save("a.ts", otherText("A"));
    await run.reload();
    await run.second(closed(100));
    await until(() => firingErrors(run).length === 1);
    expect(firingErrors(run)).toEqual(["firing NO_REPLAN"]);
  });

  test("that is changed and changed back before a tick came is right after both", async () => {
    const run = await start({ files: { "a.ts": ruleText("A") } });
    await run.save("a.ts", otherText("A"));
    const first = run.reload();
    await until(() => run.driven.plans.length === 1);
    await run.save("a.ts", ruleText("A"));
    const second = run.reload();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await run.second(closed(6));
    await first;
    await until(() => run.driven.plans.length === 2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await run.second(closed(6));
    await second;
    await run.second(closed(6));
    expect(changes(run)).toEqual(["A 53 firing 3"]);
  });

  test("that is never taken doesn't keep a run from ending", async () => {
    const driven = drivenSource({ replan: () => new Promise<void>(() => {}) });
    const run = await start({ driven, files: { "a.ts": ruleText("A") } });
    await run.save("a.ts", otherText("A"));
    const reloaded = run.reload();
    await until(() => driven.plans.length === 1);
    await run.stop();
    await reloaded;
  });

  test.each([
    [programRefused("too large"), "refuses the program as too complex"],
    [programHasNoLayout("-524"), "no layout for the program in that order either"],
  ])("that the kernel refuses is changed to one with keys: %s", async (refusal, said) => {
    const tried: Plan[] = [];
    const driven = drivenSource({
      replan: (plan) => {
        tried.push(plan);
        if (tried.length === 1) throw refusal;
      },
    });
    const run = await start({ driven, files: { "a.ts": ruleText("A") } });
    await run.save("a.ts", otherText("A"));
    const reloaded = run.reload();
    await until(() => tried.length === 2);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await run.second(closed(100));
    await reloaded;
    await until(() => run.told().length === 1);
    expect(run.log[0]).toContain(said);
  });
});

describe("code that is reloaded", () => {
  const counting = (version: number, more = ""): string =>
    codeText(
      "C",
      `state: { version: ${version}, init: () => ({ n: 0 }), ${more} },
  each: ({ count }, { state, fire }) => { state.n += count; if (state.n > 10) fire(state.n); },`,
    );

  test("keeps its states, and hands those of another version to migrate", async () => {
    const run = await start({ files: { "c.ts": counting(1) } });
    await run.second(closed(6));
    await run.save("c.ts", `// changed\n${counting(1)}`);
    await run.reload();
    await run.second(closed(4));
    await run.save(
      "c.ts",
      counting(2, `migrate: (old, version) => ({ n: (old as { n: number }).n * 100 + version }),`),
    );
    await run.reload();
    await run.second(closed(1));
    await until(() => run.told().length === 1);
    expect(run.messages[0]!.data.value).toBe(1002);
  });

  test("without migrate begins anew with another version", async () => {
    const run = await start({ files: { "c.ts": counting(1) } });
    await run.second(closed(10));
    await run.save("c.ts", counting(2));
    await run.reload();
    await run.second(closed(9));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(run.told()).toEqual([]);
  });

  test("of other files isn't run once more for it: tick keeps its time", async () => {
    const run = await start({
      driven: drivenSource({ at: 1_008_000 }),
      files: {
        "c.ts": codeText(
          "C",
          `state: { version: 1, init: () => ({ n: 0 }) }, every: "10s",
  tick: ({ state, fire }) => { state.n += 1; fire(state.n); },`,
        ),
        "a.ts": ruleText("A"),
      },
    });
    // At a multiple of ten seconds it is run for the first time.
    const isRun = (): boolean => run.transitions.some(({ rule }) => rule.alert === "C");
    for (let second = 0; second < 10 && !isRun(); second++) {
      await run.second(closed(1));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(isRun()).toBe(true);
    for (let i = 0; i < 6; i++) {
      await run.save("a.ts", ruleText("A", `summary: "${i}",`));
      await run.reload();
      await run.second(closed(1));
    }
    await until(() => run.told("C").length === 1);
    await run.stop();
    expect(run.messages.find(({ data }) => data.alert === "C")!.data.peak).toBe(1);
    expect(run.transitions.filter(({ rule }) => rule.alert === "C")).toHaveLength(1);
  });

  test("keeps the alerts of a rule that gets a filter, and of one that loses it", async () => {
    const filtered = ruleText("A").replace(
      "drops.where",
      `drops.filter(["dport"], () => true).where`,
    );
    const run = await start({ files: { "a.ts": ruleText("A") } });
    await run.second(closed(100));
    await run.save("a.ts", filtered);
    await run.reload();
    await run.second(closed(100));
    await run.save("a.ts", ruleText("A"));
    await run.reload();
    await run.second(closed(100));
    expect(changes(run)).toEqual(["A 53 firing 1"]);
  });
});

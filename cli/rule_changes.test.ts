// Changes on the disk, as editors and deployments make them: each is seen, soon, and once it is over.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder } from "../test/folder.ts";
import type { Folder } from "../test/folder.ts";
import { ruleText, startRun, until } from "../test/run.ts";
import type { Run } from "../test/run.ts";
import { watchRules } from "./rule_changes.ts";
import type { RuleChanges } from "./rule_changes.ts";

let folder: Folder;
let changes: RuleChanges | undefined;
let run: Run | undefined;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(async () => {
  changes?.stop();
  await run?.stop();
  await folder.remove();
  changes = run = undefined;
});

interface Watching {
  /** The rule files of each reload. */
  readonly reloads: string[][];
  readonly log: string[];
}

/** Watches the folder; reloads are only written down. */
async function watching(inputs: readonly string[] = []): Promise<Watching> {
  const reloads: string[][] = [];
  const log: string[] = [];
  changes = watchRules(
    [folder.file("rules")],
    { inputs: () => inputs },
    async (find) => {
      try {
        reloads.push((await find()).map((file) => file.slice(folder.path.length + 7)));
      } catch (thrown) {
        reloads.push([(thrown as { code: string }).code]);
      }
    },
    (message) => log.push(message),
  );
  await new Promise((resolve) => setTimeout(resolve, 100));
  return { reloads, log };
}

describe("a change", () => {
  const cases: readonly (readonly [string, () => Promise<unknown>, string[]])[] = [
    ["of a file", () => folder.write("rules/a.ts", "2"), ["a.ts"]],
    ["that adds a file", () => folder.write("rules/b.ts", "2"), ["a.ts", "b.ts"]],
    [
      "that adds a folder with a file",
      () => folder.write("rules/deep/er/b.ts", "2"),
      ["a.ts", "deep/er/b.ts"],
    ],
    ["that removes a file", () => rm(folder.file("rules/a.ts")), ["NO_RULES"]],
    [
      "that renames a file",
      () => rename(folder.file("rules/a.ts"), folder.file("rules/c.ts")),
      ["c.ts"],
    ],
    [
      "that puts another file in its place, as editors do",
      async () => {
        await folder.write("rules/.a.ts.swp", "2");
        await rename(folder.file("rules/.a.ts.swp"), folder.file("rules/a.ts"));
      },
      ["a.ts"],
    ],
    ["of a helper", () => folder.write("rules/_limits.ts", "2"), ["a.ts"]],
    ["of a helper outside of the folder", () => folder.write("lib/far.ts", "2"), ["a.ts"]],
    [
      "of a link, as Kubernetes changes a volume",
      async () => {
        await folder.write("rules/..2/k.ts", "2");
        await symlink("..2", folder.file("rules/..new"));
        await rename(folder.file("rules/..new"), folder.file("rules/..data"));
      },
      ["a.ts"],
    ],
  ];
  for (const [what, change, files] of cases) {
    test(`${what} is seen within half a second, and read once`, async () => {
      await folder.write("rules/a.ts", "1");
      await folder.write("lib/far.ts", "1");
      const { reloads, log } = await watching([
        folder.file("rules/a.ts"),
        folder.file("lib/far.ts"),
      ]);
      expect(reloads).toEqual([]);
      const began = performance.now();
      await change();
      await until(() => reloads.length > 0);
      expect(performance.now() - began).toBeLessThan(500);
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(reloads).toEqual([files]);
      expect(log).toEqual([]);
    });
  }

  test("in a folder that was added is seen too", async () => {
    await folder.write("rules/a.ts", "1");
    const { reloads } = await watching();
    await mkdir(folder.file("rules/new"));
    await until(() => reloads.length === 1);
    await folder.write("rules/new/b.ts", "2");
    await until(() => reloads.length === 2);
    expect(reloads[1]).toEqual(["a.ts", "new/b.ts"]);
    await folder.write("rules/new/b.ts", "3");
    await until(() => reloads.length === 3);
  });

  test("after another one doesn't put it off for ever", async () => {
    await folder.write("rules/a.ts", "1");
    const { reloads } = await watching();
    const began = performance.now();
    while (performance.now() - began < 1200) {
      await folder.write("rules/a.ts", `${performance.now()}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(reloads.length).toBeGreaterThan(1);
  });

  test("of what isn't a rule's is nothing: files beside a helper, and the state", async () => {
    await folder.write("rules/a.ts", "1");
    await folder.write("lib/far.ts", "1");
    const { reloads } = await watching([folder.file("lib/far.ts")]);
    await folder.write("lib/other.ts", "1");
    for (const name of ["", "-wal", "-shm"]) {
      await folder.write(`rules/dropwatch.sqlite${name}`, "1");
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(reloads).toEqual([]);
  });

  test("is no longer seen once it was stopped, also where one was on its way", async () => {
    await folder.write("rules/a.ts", "1");
    const { reloads } = await watching();
    await folder.write("rules/a.ts", "2");
    await new Promise((resolve) => setTimeout(resolve, 20));
    changes!.stop();
    changes!.look();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(reloads).toEqual([]);
  });

  test("of a file that is named itself is seen, and of its neighbours it isn't", async () => {
    const file = await folder.write("rules/a.ts", "1");
    let reloads = 0;
    changes = watchRules([file], { inputs: () => [file] }, async (find) => {
      expect(await find()).toEqual([file]);
      reloads++;
    }, () => {});
    await new Promise((resolve) => setTimeout(resolve, 100));
    await folder.write("rules/b.ts", "1");
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(reloads).toBe(0);
    await writeFile(file, "2");
    await until(() => reloads === 1);
  });
});

describe("a save", () => {
  test("takes effect within a second, whatever it imports", async () => {
    const text = ruleText("A", "", `.count("5s").above(most + far)`);
    run = await startRun({
      folder,
      files: {
        "_limits.ts": "export const most = 500;",
        "../lib/far.ts": "export const far = 500;",
        "a.ts":
          `import { most } from "./_limits.ts";\nimport { far } from "../lib/far.ts";\n${text}`,
      },
    });
    const { change, rules, log } = run;
    changes = watchRules([join(folder.path, "rules")], rules, change, () => {});
    await new Promise((resolve) => setTimeout(resolve, 200));
    const saves: readonly (readonly [string, string])[] = [
      ["rules/_limits.ts", "export const most = 50;"],
      ["lib/far.ts", "export const far = 5;"],
      ["lib/far.ts", "export const far = 6;"],
      ["rules/b.ts", ruleText("B")],
    ];
    for (const [i, [name, content]] of saves.entries()) {
      const began = performance.now();
      await folder.write(name, content);
      await until(() => log.filter((line) => line.startsWith("reloaded")).length === i + 1);
      expect(performance.now() - began).toBeLessThan(1000);
    }
    expect(log.at(-1)).toBe("reloaded: 2 rules");
  }, 15_000);
});

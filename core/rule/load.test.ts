// Which files of a folder are rules, and that a file with a mistake costs the others nothing.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, symlink } from "node:fs/promises";
import { relative } from "node:path";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { facts } from "../../test/world.ts";
import type { DropwatchError } from "../error.ts";
import { findRuleFiles, loadRules } from "./load.ts";

let folder: Folder;

beforeEach(async () => {
  folder = await makeFolder();
});

afterEach(() => folder.remove());

const rule = (name: string, when = `drops.count("1m").above(1)`): string =>
  `import { drops, rule } from "dropwatch";\n` +
  `export default rule({ alert: "${name}", when: ${when} });\n`;

describe("the files of rules", () => {
  /** Writes empty files, and says which of them are found in places. */
  async function find(files: readonly string[], places: readonly string[]): Promise<string[]> {
    for (const name of files) await folder.write(name, "");
    const found = await findRuleFiles(places.map(folder.file));
    return found.map((file) => relative(folder.path, file));
  }

  async function failure(...places: readonly string[]): Promise<DropwatchError> {
    try {
      await findRuleFiles(places);
    } catch (thrown) {
      return thrown as DropwatchError;
    }
    throw new Error("it was found");
  }

  test("are all *.ts and *.js of a folder and those below, in the order of their names", async () => {
    expect(await find(["c.ts", "a.js", "below/b.ts", "below/deeper/d.js", "b.ts"], ["."]))
      .toEqual(["a.js", "b.ts", "below/b.ts", "below/deeper/d.js", "c.ts"]);
  });

  test.each([
    ["tests", ["a.test.ts", "a.test.js", "below/a.test.ts"]],
    ["type declarations", ["a.d.ts", "below/a.d.ts"]],
    ["what begins with _", ["_shared.ts", "_below/a.ts", "below/_a.js"]],
    ["what is hidden", [".a.ts", ".git/a.ts", "below/.cache/a.ts"]],
    ["node_modules, wherever they lie", ["node_modules/a/a.ts", "below/node_modules/a.js"]],
    ["other types", ["a.mts", "a.cjs", "a.tsx", "a.json", "a.ts.bak", "README.md", "ts"]],
  ])("leave out %s", async (_, names) => {
    expect(await find([...names, "rule.ts"], ["."])).toEqual(["rule.ts"]);
  });

  test("may have names that only look like those of tests and declarations", async () => {
    const names = ["a_.ts", "d.ts", "latest.ts", "test.rule.ts", "test.ts"];
    expect(await find(names, ["."])).toEqual(names);
  });

  test("may be links to files", async () => {
    await folder.write("elsewhere/.hidden.ts", "");
    await symlink(folder.file("elsewhere/.hidden.ts"), folder.file("link.ts"));
    expect(await find([], ["."])).toEqual(["link.ts"]);
  });

  test("are no folders, though one is called like a file of rules", async () => {
    await mkdir(folder.file("empty.ts"));
    expect(await find(["a.ts", "full.ts/b.ts"], ["."])).toEqual(["a.ts", "full.ts/b.ts"]);
  });

  test("aren't looked for behind links to folders, which may lead round in a circle", async () => {
    await folder.write("elsewhere/b.ts", "");
    await mkdir(folder.file("rules"));
    await symlink(folder.file("rules"), folder.file("rules/loop"));
    await symlink(folder.file("elsewhere"), folder.file("rules/link"));
    await symlink(folder.file("elsewhere"), folder.file("rules/link.ts"));
    expect(await find(["rules/a.ts"], ["rules"])).toEqual(["rules/a.ts"]);
  });

  test("in a folder that is named are found though it is a link", async () => {
    await folder.write("elsewhere/b.ts", "");
    await symlink(folder.file("elsewhere"), folder.file("link"));
    expect(await find([], ["link"])).toEqual(["link/b.ts"]);
  });

  test("that are named are taken as they are, whatever their names", async () => {
    const names = ["_shared.ts", "a.test.ts", ".hidden.ts"];
    expect(await find(names, names)).toEqual(names);
  });

  test("in a folder that is named are found though its own name is hidden", async () => {
    expect(await find([".rules/a.ts"], [".rules"])).toEqual([".rules/a.ts"]);
  });

  test("come in the order of the places, and each once", async () => {
    expect(await find(["a/1.ts", "b/2.ts", "b/3.ts"], ["b/3.ts", "a", "b", "./a/../a/1.ts"]))
      .toEqual(["b/3.ts", "a/1.ts", "b/2.ts"]);
  });

  test("are given by absolute paths", async () => {
    await folder.write("a.ts", "");
    expect(await findRuleFiles([relative(process.cwd(), folder.path)]))
      .toEqual([folder.file("a.ts")]);
  });

  test("in a folder that isn't there are an error that names it, also beside one that is", async () => {
    await folder.write("a.ts", "");
    const gone = folder.file("gone");
    for (const error of [await failure(gone), await failure(folder.path, gone)]) {
      expect(error).toMatchObject({ code: "UNREADABLE_FILE", exit: 2, place: { file: gone } });
    }
  });

  test("that aren't there are an error: in an empty folder, or one without rules", async () => {
    await mkdir(folder.file("empty"));
    await folder.write("none/a.test.ts", "");
    await folder.write("none/_shared.ts", "");
    const places = [folder.file("empty"), folder.file("none")];
    for (const place of places) {
      expect(await failure(place)).toMatchObject({ code: "NO_RULES", exit: 2 });
      expect((await failure(place)).message).toContain(place);
    }
    for (const place of places) expect((await failure(...places)).message).toContain(place);
  });
});

describe("rules that are loaded", () => {
  /** Loads files; the errors as code, file, line. */
  async function load(files: Readonly<Record<string, string>>): Promise<{
    alerts: string[];
    indexes: number[];
    told: (readonly [code: string, file: string, line: number | undefined])[];
    errors: readonly DropwatchError[];
  }> {
    for (const [name, text] of Object.entries(files)) await folder.write(name, text);
    const { rules, errors, host } = await loadRules({
      files: Object.keys(files).map(folder.file),
      facts: () => Promise.resolve(facts),
      interval: 1000,
      log: (message) => {
        throw new Error(message);
      },
    });
    await host.close();
    return {
      alerts: rules.map(({ alert }) => alert),
      indexes: rules.map(({ index }) => index),
      told: errors.map(({ code, place }) =>
        [code, relative(folder.path, place!.file), place!.line] as const
      ),
      errors,
    };
  }

  const three = `import { drops, rule } from "dropwatch";

const when = drops.count("1m").above(1);

export default [
  rule({ alert: "First", when }),
  rule({ alert: "Second", when }),
  rule({ alert: "Third", when }),
];
`;

  test("come in the order of their files, and of the array in a file", async () => {
    const { alerts, indexes, told } = await load({
      "z.ts": rule("Z"),
      "m.ts": three,
      "a.js": rule("A"),
    });
    expect(alerts).toEqual(["Z", "First", "Second", "Third", "A"]);
    expect(indexes).toEqual([0, 0, 1, 2, 0]);
    expect(told).toEqual([]);
  });

  test("are the good ones where others are broken, each of which is told with its file", async () => {
    const { alerts, told, errors } = await load({
      "a.ts": rule("A"),
      "empty.ts": "",
      "import.ts": `import "./gone.ts";\n${rule("Import")}`,
      "mistake.ts": rule("Mistake", `drops.where({ reason: "NO_SOCKT" }).count("1m").above(1)`),
      "shared.ts": "export const limit = 5;\n",
      "syntax.ts": `\nexport default {\n`,
      "throws.ts": `${rule("Throws")}\nthrow new Error("late");\n`,
      "z.ts": rule("Z"),
    });
    expect(alerts).toEqual(["A", "Z"]);
    expect(told).toEqual([
      ["NOT_A_RULE", "empty.ts", undefined],
      ["RULE_SYNTAX", "import.ts", 1],
      ["RULE_MISTAKE", "mistake.ts", 2],
      ["NOT_A_RULE", "shared.ts", undefined],
      ["RULE_SYNTAX", "syntax.ts", 3],
      ["RULE_THREW", "throws.ts", 4],
    ]);
    expect(errors.map(({ exit }) => exit)).toEqual(errors.map(() => 1));
  });

  test("are those of an array that are right, though one beside them has a mistake", async () => {
    const { alerts, indexes, told } = await load({
      "a.ts": three.replace(`"Second"`, `"not a name"`),
    });
    expect(alerts).toEqual(["First", "Third"]);
    expect(indexes).toEqual([0, 2]);
    expect(told).toEqual([["RULE_MISTAKE", "a.ts", 7]]);
  });

  test("can't have another one's name: the first is kept, and the error names it", async () => {
    const { alerts, told, errors } = await load({
      "a.ts": rule("Taken"),
      "b.ts": `\n\n${rule("Taken")}`,
      "c.ts": three.replace(`"Third"`, `"First"`),
    });
    expect(alerts).toEqual(["Taken", "First", "Second"]);
    expect(told).toEqual([["DUPLICATE_ALERT", "b.ts", 4], ["DUPLICATE_ALERT", "c.ts", 8]]);
    expect(errors.map(({ data }) => data.alert)).toEqual(["Taken", "First"]);
    expect(errors[0]!.message).toContain(`${folder.file("a.ts")}:2:16`);
    expect(errors[1]!.message).toContain(`${folder.file("c.ts")}:6:3`);
  });

  test("may have the name of one that has a mistake", async () => {
    const { alerts, told } = await load({ "a.ts": rule("Name", "drops"), "b.ts": rule("Name") });
    expect(alerts).toEqual(["Name"]);
    expect(told).toEqual([["RULE_MISTAKE", "a.ts", 2]]);
  });

  test("may all be broken", async () => {
    const { alerts, told } = await load({ "a.ts": "}", "b.ts": "throw 1;" });
    expect(alerts).toEqual([]);
    expect(told.map(([code]) => code)).toEqual(["RULE_SYNTAX", "RULE_THREW"]);
  });

  test("wait for what the source knows; where that fails, no process is left", async () => {
    const file = await folder.write("a.ts", rule("A"));
    const facts = () => Promise.reject(new Error("no such kernel"));
    await expect(loadRules({ files: [file], facts, interval: 1000, log: () => {} }))
      .rejects.toThrow("no such kernel");
    const children = readdirSync("/proc").filter((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, "utf8");
        return status.includes(`\nPPid:\t${process.pid}\n`) &&
          readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("dropwatch-rules-");
      } catch {
        return false; // It ended meanwhile, or is no process.
      }
    });
    expect(children).toEqual([]);
  });
});

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import type { DropwatchError } from "../error.ts";
import { bundleFiles, shown } from "./bundle.ts";

let folder: Folder;

beforeEach(async () => {
  folder = await makeFolder();
});

afterEach(() => folder.remove());

const good = `import { drops, rule } from "dropwatch";
export default rule({ alert: "Good", when: drops.count("1m").above(1) });
`;

/** Bundles files: which worked, and where the others are wrong. */
async function bundle(
  files: Readonly<Record<string, string>>,
  entries = Object.keys(files),
): Promise<{
  worked: string[];
  errors: Map<string, DropwatchError>;
}> {
  for (const [name, text] of Object.entries(files)) await folder.write(name, text);
  const { bundles, errors } = await bundleFiles(entries.map(folder.file));
  const short = (file: string): string => file.slice(folder.path.length + 1);
  return {
    worked: [...bundles.keys()].map(short),
    errors: new Map([...errors].map(([file, error]) => [short(file), error])),
  };
}

describe("a rule file", () => {
  test("becomes one piece of JavaScript, types and helpers and all", async () => {
    await folder.write("_shared.ts", `export const team: string = "storage";`);
    const file = await folder.write(
      "rule.ts",
      `import { team } from "./_shared.ts";\nimport type { Nothing } from "./not_there.ts";\nexport default team as string;\n`,
    );
    const { code } = (await bundleFiles([file])).bundles.get(file)!;
    expect(code).toContain("storage");
    expect(code).not.toMatch(/^import /m);
  });

  test('takes "dropwatch" from the process that runs it, not a copy of its own', async () => {
    const file = await folder.write("rule.ts", good);
    const { code } = (await bundleFiles([file])).bundles.get(file)!;
    expect(code).toContain(`Symbol.for("dropwatch.api")`);
    expect(code.length).toBeLessThan(2000);
  });

  test("can be in JavaScript", async () => {
    expect((await bundle({ "rule.js": "export default 1;" })).worked).toEqual(["rule.js"]);
  });

  test("keeps the way from a place in the bundle to the place in the source", async () => {
    const source =
      `const first: number = 1;\n\n\nexport default function () {\n  throw new Error("here");\n}\n`;
    const file = await folder.write("rule.ts", source);
    const made = (await bundleFiles([file])).bundles.get(file)!;
    const lines = made.code.split("\n");
    const line = lines.findIndex((text) => text.includes("throw"));
    const place = made.place(`${line + 1}:${lines[line]!.indexOf("throw") + 1}`);
    expect(place).toEqual({ file: shown(file), line: 5, column: 3 });
  });

  test("is the place where nothing more is known", async () => {
    const file = await folder.write("rule.ts", good);
    const made = (await bundleFiles([file])).bundles.get(file)!;
    expect(made.place("")).toEqual({ file: shown(file) });
    expect(made.place("9999:1").file).toBe(shown(file));
  });
});

describe("a syntax error", () => {
  test("is told with file, line and column, and leaves the other files", async () => {
    const { worked, errors } = await bundle({
      "a.ts": good,
      "broken.ts": `export default {\n  alert: "X",\n  when: ;\n};\n`,
      "z.ts": good,
    });
    expect(worked).toEqual(["a.ts", "z.ts"]);
    expect([...errors.keys()]).toEqual(["broken.ts"]);
    expect(errors.get("broken.ts")).toMatchObject({
      code: "RULE_SYNTAX",
      exit: 1,
      place: { file: folder.file("broken.ts"), line: 3, column: 9 },
    });
  });

  test("in several files is told of each", async () => {
    const { worked, errors } = await bundle({ "a.ts": "let x = ;", "b.ts": good, "c.ts": "}" });
    expect(worked).toEqual(["b.ts"]);
    expect([...errors.keys()].sort()).toEqual(["a.ts", "c.ts"]);
  });

  test("in a helper is told at the helper, and only of the files that import it", async () => {
    const { worked, errors } = await bundle(
      {
        "_helper.ts": "export const limit = ;\n",
        "one.ts": `import { limit } from "./_helper.ts";\n${good}console.log(limit);`,
        "two.ts": `import { limit } from "./_helper.ts";\n${good}console.log(limit);`,
        "three.ts": good,
      },
      ["one.ts", "three.ts", "two.ts"],
    );
    expect(worked).toEqual(["three.ts"]);
    expect([...errors.keys()].sort()).toEqual(["one.ts", "two.ts"]);
    for (const error of errors.values()) {
      expect(error.place).toEqual({ file: folder.file("_helper.ts"), line: 1, column: 22 });
    }
  });
});

describe("an import", () => {
  test("that isn't there is told where it stands, and leaves the other files", async () => {
    const { worked, errors } = await bundle({
      "a.ts": good,
      "b.ts": `${good}import { x } from "./missing.ts";\nconsole.log(x);\n`,
    });
    expect(worked).toEqual(["a.ts"]);
    const error = errors.get("b.ts")!;
    expect(error.place).toEqual({ file: folder.file("b.ts"), line: 3, column: 19 });
    expect(error.message).toContain("./missing.ts");
  });

  test("of a name that a helper doesn't export is told", async () => {
    const { errors } = await bundle(
      {
        "_helper.ts": "export const a = 1;\n",
        "rule.ts": `import { b } from "./_helper.ts";\nexport default b;\n`,
      },
      ["rule.ts"],
    );
    expect(errors.get("rule.ts")!.place).toMatchObject({ line: 1, column: 10 });
  });

  test("of a package that isn't installed is told", async () => {
    const { errors } = await bundle({ "rule.ts": `import "no-such-package-anywhere";\n` });
    expect(errors.get("rule.ts")!.message).toContain("no-such-package-anywhere");
  });

  test("of a part of Node's is left to the process that runs it", async () => {
    expect((await bundle({ "rule.ts": `import "node:fs";\nexport default 1;\n` })).worked)
      .toEqual(["rule.ts"]);
  });
});

test("a file that isn't there is told, and leaves the others", async () => {
  await folder.write("a.ts", good);
  const { bundles, errors } = await bundleFiles([folder.file("a.ts"), folder.file("gone.ts")]);
  expect([...bundles.keys()]).toEqual([folder.file("a.ts")]);
  expect(errors.get(folder.file("gone.ts"))?.code).toBe("RULE_SYNTAX");
});

test("a path is shown from where people are, if it lies below", () => {
  expect(shown(`${process.cwd()}/rules/a.ts`)).toBe("rules/a.ts");
  expect(shown("/elsewhere/a.ts")).toBe("/elsewhere/a.ts");
});

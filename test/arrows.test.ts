// The arrows of ARCHITECTURE.md go one way: cli → plugins → core, rules → "dropwatch", and no file
// leads back to itself. What touches the world lies where it is said to lie, and errors that users see
// are made in one file.
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "bun:test";

/** BTF of an unknown kind, what code of a rule does wrong, a state of a later version; an invariant. */
const caughtByCallers = new Set([
  "core/drop/fragment.ts",
  "core/rule/run.ts",
  "core/store.ts",
  "core/view/history_store.ts",
  "plugins/sources/bpftrace/btf.ts",
]);

const root = fileURLToPath(new URL("..", import.meta.url));

interface Import {
  /** As it is written: `node:fs`, `../error.ts`. */
  readonly from: string;
  /** The file from the root that it leads to; absent for packages. */
  readonly file: string | undefined;
  readonly typeOnly: boolean;
}

interface Source {
  readonly file: string;
  /** Without comments. */
  readonly code: string;
  readonly imports: readonly Import[];
}

/** A source without its comments; strings and patterns stay as they are. */
function withoutComments(text: string): string {
  const token = /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?<=^|[\s({;,])\/\/.*|\/\*[^]*?\*\//g;
  return text.replace(token, (whole, string) => string === undefined ? "" : whole);
}

function importsOf(file: string, code: string): Import[] {
  const found = [
    ...code.matchAll(
      /^(?:import|export)\s+(type\s+)?(?:(?:\{[^}]*\}|\*(?: as \w+)?|\w+)\s+from\s+)?"([^"]+)";/gm,
    ),
    ...code.matchAll(/\bimport\(\s*()"([^"]+)"/g),
  ];
  return found.map(([, type, from]) => ({
    from: from!,
    file: from!.startsWith(".") ? join(dirname(file), from!) : undefined,
    typeOnly: type !== undefined && type !== "",
  }));
}

async function readSources(): Promise<Source[]> {
  const folders = await Promise.all(
    ["core", "plugins", "cli", "rules"].map(async (folder) =>
      (await readdir(join(root, folder), { recursive: true })).map((name) => join(folder, name))
    ),
  );
  const files = ["mod.ts", ...folders.flat()]
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts")).sort();
  return await Promise.all(files.map(async (file) => {
    const code = withoutComments(await readFile(join(root, file), "utf8"));
    return { file, code, imports: importsOf(file, code) };
  }));
}

const sources = await readSources();
const under = (folder: string): Source[] =>
  sources.filter(({ file }) => file.startsWith(`${folder}/`));
const roomOf = (file: string): string => file.split("/")[0]!;

/** `file → what it imports`, of what `wrong` finds. */
const arrows = (of: readonly Source[], wrong: (to: Import, source: Source) => boolean): string[] =>
  of.flatMap((source) =>
    source.imports.filter((to) => wrong(to, source))
      .map((to) => `${source.file} → ${to.file ?? to.from}`)
  );

/** The ways from files back to themselves, each once. */
function cycles(of: readonly Source[], counts: (to: Import) => boolean): string[] {
  const next = new Map(of.map(({ file, imports }) => [
    file,
    imports.filter(counts).flatMap((to) => to.file ?? []),
  ]));
  const found = new Map<string, string>();
  const done = new Set<string>();
  const walk = (file: string, way: readonly string[]): void => {
    const at = way.indexOf(file);
    if (at !== -1) {
      const cycle = way.slice(at);
      found.set([...cycle].sort().join(), [...cycle, file].join(" → "));
    }
    if (at !== -1 || done.has(file)) return;
    for (const to of next.get(file) ?? []) walk(to, [...way, file]);
    done.add(file);
  };
  for (const { file } of of) walk(file, []);
  return [...found.values()];
}

describe("the reading of imports", () => {
  test("finds each form, and what is only a type", () => {
    const code = withoutComments(`
import { a } from "./a.ts"; // import "./no.ts"
import type { B } from "../b.ts";
import {
  c, // from "./no.ts"
} from "node:c";
import "./d.ts";
export type { E } from "./e.ts";
export * from "./f.ts";
/* import "./no.ts" */
const url = "https://x.example/"; await import("./g.ts");
`.trim());
    expect(importsOf("core/x/y.ts", code)).toEqual([
      { from: "./a.ts", file: "core/x/a.ts", typeOnly: false },
      { from: "../b.ts", file: "core/b.ts", typeOnly: true },
      { from: "node:c", file: undefined, typeOnly: false },
      { from: "./d.ts", file: "core/x/d.ts", typeOnly: false },
      { from: "./e.ts", file: "core/x/e.ts", typeOnly: true },
      { from: "./f.ts", file: "core/x/f.ts", typeOnly: false },
      { from: "./g.ts", file: "core/x/g.ts", typeOnly: false },
    ]);
  });

  test("finds the sources, and every import of a file leads to one", () => {
    for (const room of ["core", "plugins", "cli", "rules"]) {
      expect(under(room).length).toBeGreaterThan(2);
    }
    expect(arrows(sources, ({ file }) => file !== undefined && !existsSync(join(root, file))))
      .toEqual([]);
    for (const { file, code, imports } of sources) {
      const written = code.match(/^.*\bfrom "[^"]+";$|^import "[^"]+";$/gm) ?? [];
      expect([file, imports.length >= written.length]).toEqual([file, true]);
    }
  });

  test("finds a way back, once", () => {
    const source = (file: string, ...to: readonly string[]): Source => ({
      file,
      code: "",
      imports: to.map((each) => ({ from: each, file: each, typeOnly: false })),
    });
    expect(cycles([source("a", "b", "c"), source("b", "c"), source("c", "b")], () => true))
      .toEqual(["b → c → b"]);
    expect(cycles([source("a", "b", "c"), source("b", "c"), source("c")], () => true)).toEqual([]);
  });
});

describe("an import", () => {
  const allowed: Readonly<Record<string, readonly string[]>> = {
    core: ["core"],
    plugins: ["plugins", "core"],
    cli: ["cli", "plugins", "core"],
    rules: ["rules"],
    "mod.ts": ["core"],
  };

  test.each(Object.keys(allowed))("of %s leads nowhere but where the arrows go", (room) => {
    const wrong = sources.filter(({ file }) => roomOf(file) === room);
    expect(wrong.length).toBeGreaterThan(0);
    expect(
      arrows(wrong, ({ file }) => file !== undefined && !allowed[room]!.includes(roomOf(file))),
    )
      .toEqual([]);
  });

  test("of a rule is of dropwatch, or of a file beside it", () => {
    expect(arrows(under("rules"), ({ from, file }) => file === undefined && from !== "dropwatch"))
      .toEqual([]);
  });

  test('of "dropwatch" is for rules: what it is made of doesn\'t import it', () => {
    const rest = sources.filter(({ file }) => roomOf(file) !== "rules");
    expect(arrows(rest, ({ from }) => from === "dropwatch")).toEqual([]);
  });

  test("of one plugin is none of another, but for what looks up a source's keys: they share core, and what lies beside them", () => {
    const lookup = (from: string, to: string): boolean =>
      (from === "plugins/sources" && to === "plugins/enrichers") || dirname(to) === "plugins";
    const kindOf = (file: string): string => file.split("/").slice(0, 2).join("/");
    expect(
      arrows(
        under("plugins"),
        ({ file }, source) =>
          file !== undefined && roomOf(file) === "plugins" &&
          kindOf(file) !== kindOf(source.file) && !lookup(kindOf(source.file), kindOf(file)),
      ),
    ).toEqual([]);
  });

  test("is none of a package that package.json doesn't name, nor of one that only tests need", async () => {
    const { dependencies } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    const known = [...Object.keys(dependencies), "dropwatch"];
    const isKnown = (from: string): boolean =>
      from.startsWith("node:") || from.startsWith("@std/") ||
      known.some((name) => from === name || from.startsWith(`${name}/`));
    expect(arrows(sources, ({ from, file }) => file === undefined && !isKnown(from))).toEqual([]);
  });

  test("never leads back to the file itself, over whatever others", () => {
    expect(cycles(sources, ({ typeOnly }) => !typeOnly)).toEqual([]);
  });
});

describe("what touches the world", () => {
  const worldly =
    /^node:(fs|child_process|net|http|https|dgram|sqlite|worker_threads|os|process)\b/;

  test("is in no file of core but those that read rules, run them, keep alerts and the past, or read a secret", () => {
    const touching = new Set(
      under("core").filter(({ imports }) =>
        imports.some(({ from, typeOnly }) => worldly.test(from) && from !== "node:net" && !typeOnly)
      ).map(({ file }) => file),
    );
    expect([...touching].sort()).toEqual([
      "core/rule/host.ts",
      "core/rule/host_child.ts",
      "core/rule/host_folder.ts",
      "core/rule/host_process.ts",
      "core/rule/load.ts",
      "core/secret.ts",
      "core/store.ts",
      "core/store_beside.ts",
      "core/view/cost.ts",
      "core/view/history_store.ts",
    ]);
  });

  test("of the network is in no file of core, but for telling what an address is", () => {
    const network = /^node:(net|http|https|http2|tls|dns|dgram)\b/;
    expect(arrows(under("core"), ({ from }) => network.test(from)))
      .toEqual(["core/drop/bytes.ts → node:net"]);
    const bytes = sources.find(({ file }) => file === "core/drop/bytes.ts")!;
    expect(bytes.code).toContain(`import { isIP } from "node:net";`);
    expect(under("core").filter(({ code }) => /\bfetch\(/.test(code)).map(({ file }) => file))
      .toEqual([]);
  });

  test("starts a child process in the rule host, for bpftrace, in doctor, to enter a namespace, to run tests and for a sink that is one only", () => {
    expect(arrows(sources, ({ from, typeOnly }) => from === "node:child_process" && !typeOnly))
      .toEqual([
        "cli/commands/run_tests.ts → node:child_process",
        "core/rule/host_process.ts → node:child_process",
        "plugins/doctor/namespaces.ts → node:child_process",
        "plugins/doctor/peer.ts → node:child_process",
        "plugins/doctor/tool.ts → node:child_process",
        "plugins/enrichers/netns.ts → node:child_process",
        "plugins/sinks/exec.ts → node:child_process",
        "plugins/sources/bpftrace/process.ts → node:child_process",
      ]);
  });

  test("isn't in core/drop, core/plan and core/watch: no clock, no chance, no I/O", () => {
    const pure = ["core/drop", "core/plan", "core/watch"].flatMap(under);
    expect(pure.length).toBeGreaterThan(10);
    const impure = new RegExp(
      [
        "\\bDate\\.now\\b",
        "\\bnew Date\\(\\)",
        "\\bperformance\\b",
        "\\bMath\\.random\\b",
        "\\bcrypto\\b",
        "\\bset(Timeout|Interval|Immediate)\\b",
        "\\bfetch\\(",
        "\\bprocess\\.",
        "\\bconsole\\.",
        "\\b(Bun|Deno)\\.",
      ].join("|"),
    );
    expect(pure.filter(({ code }) => impure.test(code)).map(({ file }) => file)).toEqual([]);
    const node = ({ from }: Import): boolean => from.startsWith("node:") && from !== "node:net";
    expect(arrows(pure, node)).toEqual([]);
  });

  test("prints in cli/main.ts and the stdout sink only, and ends the process in cli/main.ts", () => {
    // These are the whole program of a process of its own.
    const ours = sources.filter(({ file }) => !/\/(host|peer)_child\.ts$/.test(file));
    const filesWith = (pattern: RegExp): string[] =>
      ours.filter(({ code }) => pattern.test(code)).map(({ file }) => file);
    expect(filesWith(/\bconsole\.\w+\(|\bprocess\.(stdout|stderr)\b/))
      .toEqual(["cli/main.ts", "plugins/sinks/stdout.ts"]);
    expect(filesWith(/\bprocess\.exit\b/)).toEqual(["cli/main.ts"]);
  });

  test("calls into C in one file only", () => {
    const calling = sources.filter(({ code }) => /\bdlopen\b|bun:ffi/.test(code));
    expect(calling.map(({ file }) => file)).toEqual(["plugins/libc.ts"]);
  });

  test("is the same on every runtime: no global of Bun's or Deno's is used", () => {
    const wrong = sources.filter(({ code, imports }) =>
      /\b(Bun|Deno)\./.test(code) || imports.some(({ from }) => /^(bun|jsr|npm|https?):/.test(from))
    );
    expect(wrong.map(({ file }) => file)).toEqual([]);
  });
});

describe("an error", () => {
  const making = (pattern: RegExp): string[] =>
    sources.flatMap(({ file, code }) =>
      [...code.matchAll(pattern)].map(([line]) => `${file}: ${line.trim()}`)
    );

  test("with a code is made in core/error.ts", () => {
    expect(new Set(making(/new DropwatchError\b/g).map((made) => made.split(":")[0])))
      .toEqual(new Set(["core/error.ts"]));
  });

  test("is nowhere thrown without a code", () => {
    const plain = making(/.*\bthrow new (?:\w*Error)\b.*/g)
      // How an attempt failed, for the queue: it never reaches a user as an error.
      .filter((made) => !made.includes("throw new DeliveryError("))
      // These are caught by who called, who says with a code what it means there.
      .filter((made) => !caughtByCallers.has(made.split(":")[0]!));
    expect(plain).toEqual([]);
  });
});

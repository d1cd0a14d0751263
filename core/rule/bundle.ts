// Turns rule files (and the config) into bundles that a process can import. Nothing of them is run
// here; esbuild only reads.
import { build, stop } from "esbuild";
import type { BuildFailure, Message, Plugin } from "esbuild";
import { createHash } from "node:crypto";
import { SourceMap } from "node:module";
import { relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ruleSyntax } from "../error.ts";
import type { DropwatchError, Place } from "../error.ts";
import { api, apiModule } from "./api.ts";
import { apiSymbol } from "./rule_api.ts";

/** A bundle: JavaScript, and the way back from its lines to the source's. */
export interface Bundle {
  /** Another one for other code, or the same in another file. */
  readonly id: string;
  readonly code: string;
  /** All files that it was made of. */
  readonly inputs: readonly string[];
  /** The place in the source of a `line:column` of the bundle. */
  place(at: string): Place;
}

/** A bundle for each file that could be read, an error for each that couldn't. */
export interface Bundled {
  readonly bundles: ReadonlyMap<string, Bundle>;
  readonly errors: ReadonlyMap<string, DropwatchError>;
}

/** What files can import beside their own: the names of a module, which are found under a symbol. */
export interface GlobalModule {
  readonly symbol: symbol;
  readonly names: readonly string[];
}

const dropwatch: GlobalModule = { symbol: apiSymbol, names: Object.keys(api) };

function globals(modules: Readonly<Record<string, GlobalModule>>): Plugin {
  return {
    name: "dropwatch",
    setup({ onResolve, onLoad }) {
      onResolve(
        { filter: /^dropwatch(\/|$)/ },
        ({ path }) => Object.hasOwn(modules, path) ? { path, namespace: "dropwatch" } : undefined,
      );
      onLoad({ filter: /.*/, namespace: "dropwatch" }, ({ path }) => ({
        contents: apiModule(modules[path]!.symbol, modules[path]!.names),
        loader: "js",
      }));
    },
  };
}

/** Bundles each file by itself; `modules` are what they may import beside "dropwatch". */
export async function bundleFiles(
  files: readonly string[],
  modules: Readonly<Record<string, GlobalModule>> = {},
): Promise<Bundled> {
  const bundles = new Map<string, Bundle>();
  const errors = new Map<string, DropwatchError>();
  let rest = files;
  while (rest.length > 0) {
    const failed = await bundleAll(rest, bundles, globals({ dropwatch, ...modules }));
    if (failed === undefined) break;
    // One file's mistake fails the whole build: the others are built again without it.
    const broken = new Map<string, DropwatchError>();
    for (const message of failed.errors) {
      const file = brokenFile(message, rest);
      if (file !== undefined && !broken.has(file)) broken.set(file, syntaxError(message, file));
    }
    for (const [file, error] of broken) errors.set(file, error);
    if (broken.size === 0) {
      // It is in a file that some of them import: which, only building them one by one tells.
      if (rest.length < 2) throw failed;
      for (const file of rest) {
        const alone = await bundleFiles([file], modules);
        alone.bundles.forEach((bundle, key) => bundles.set(key, bundle));
        alone.errors.forEach((error, key) => errors.set(key, error));
      }
      break;
    }
    rest = rest.filter((file) => !broken.has(file));
  }
  return { bundles, errors };
}

/** The entry that a message is about; undefined where it is about a file that entries import. */
function brokenFile(message: Message, entries: readonly string[]): string | undefined {
  const file = message.location === null ? undefined : resolve(message.location.file);
  return entries.find((entry) => entry === file) ?? (entries.length === 1 ? entries[0] : undefined);
}

function syntaxError(message: Message, entry: string): DropwatchError {
  const at = message.location;
  const place = at === null
    ? { file: shown(entry) }
    : { file: shown(resolve(at.file)), line: at.line, column: at.column + 1 };
  return ruleSyntax(place, message.text);
}

async function bundleAll(
  files: readonly string[],
  bundles: Map<string, Bundle>,
  plugin: Plugin,
  again = true,
): Promise<BuildFailure | undefined> {
  try {
    const result = await build({
      entryPoints: files.map((file, i) => ({ in: file, out: `rule-${i}` })),
      outdir: "/bundled",
      outExtension: { ".js": ".mjs" },
      bundle: true,
      write: false,
      format: "esm",
      platform: "node",
      target: "esnext",
      sourcemap: "external",
      sourcesContent: false,
      metafile: true,
      logLevel: "silent",
      plugins: [plugin],
    });
    const outputs = new Map(result.outputFiles.map((output) => [output.path, output.text]));
    files.forEach((file, i) => {
      const path = `/bundled/rule-${i}.mjs`;
      const made = Object.entries(result.metafile.outputs)
        .find(([name]) => resolve(name) === path)?.[1];
      const inputs = Object.keys(made?.inputs ?? {}).filter((name) =>
        !name.startsWith("dropwatch:")
      )
        .map((name) => resolve(name));
      const [code, map] = [outputs.get(path)!, outputs.get(`${path}.map`)!];
      bundles.set(file, makeBundle(file, code, map, inputs));
    });
    return undefined;
  } catch (thrown) {
    if (typeof thrown === "object" && thrown !== null && "errors" in thrown) {
      return thrown as BuildFailure;
    }
    // esbuild is a process, which somebody may have ended: another one is started.
    if (!again || !/service/.test(String(thrown))) throw thrown;
    await stop();
    return await bundleAll(files, bundles, plugin, false);
  }
}

function makeBundle(
  file: string,
  code: string,
  map: string,
  inputs: readonly string[],
): Bundle {
  let parsed: SourceMap | undefined;
  return {
    id: createHash("sha256").update(`${file}\0${code}`).digest("hex").slice(0, 16),
    code,
    inputs,
    place(at) {
      const [line, column] = at.split(":").map(Number);
      if (line === undefined || column === undefined) return { file: shown(file) };
      parsed ??= new SourceMap(JSON.parse(map));
      const entry = parsed.findEntry(line - 1, column - 1);
      if (!("originalSource" in entry) || entry.originalSource === undefined) {
        return { file: shown(file) };
      }
      return {
        file: shown(resolve("/bundled", entry.originalSource)),
        line: entry.originalLine + 1,
        column: entry.originalColumn + 1,
      };
    },
  };
}

/** A path as people typed it: relative to where they are, if it lies below. */
export function shown(file: string): string {
  const path = relative(process.cwd(), file);
  return path.startsWith("..") || path === "" ? file : path;
}

/** The rule host's own program as one file. */
export async function bundleHost(): Promise<string> {
  const result = await build({
    entryPoints: [fileURLToPath(new URL("./host_child.ts", import.meta.url))],
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
    target: "esnext",
    logLevel: "silent",
    external: ["esbuild"],
  });
  return result.outputFiles[0]!.text;
}

const projectFile = (name: string): string =>
  fileURLToPath(new URL(`../../${name}`, import.meta.url));

/** "dropwatch" and what tests of rules import, as this process has it. */
const testing: Plugin = {
  name: "dropwatch",
  setup({ onResolve }) {
    onResolve({ filter: /^dropwatch$/ }, () => ({ path: projectFile("mod.ts") }));
    onResolve({ filter: /^dropwatch\/test$/ }, () => ({ path: projectFile("testing.ts") }));
    onResolve({ filter: /^dropwatch\/sinks$/ }, () => ({ path: projectFile("sinks.ts") }));
    onResolve(
      { filter: /^bun:test$/ },
      ({ path }) =>
        "Bun" in globalThis ? { path, external: true } : { path: projectFile("test/shim/bun.ts") },
    );
  },
};

/**
 * Bundles tests of rules, each by itself with all that it imports, for the runner of this runtime. The
 * bundles are written to `folder`, and named as the files are.
 *
 * @throws DropwatchError RULE_SYNTAX.
 */
export async function bundleTests(files: readonly string[], folder: string): Promise<string[]> {
  const written: string[] = [];
  for (const file of files) {
    const name = shown(file).replaceAll(/[/\\]/g, ".").replace(/\.[tj]s$/, ".mjs").replace(
      /^\.+/,
      "",
    );
    const outfile = resolve(folder, name);
    try {
      await build({
        entryPoints: [file],
        outfile,
        bundle: true,
        format: "esm",
        platform: "node",
        target: "esnext",
        logLevel: "silent",
        plugins: [testing],
      });
    } catch (thrown) {
      const [message] = (thrown as Partial<BuildFailure>).errors ?? [];
      if (message === undefined) throw thrown;
      throw syntaxError(message, file);
    }
    written.push(outfile);
  }
  return written;
}

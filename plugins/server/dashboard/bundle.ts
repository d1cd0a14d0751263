// The dashboard as files that a server can hand out: the page's TypeScript, and the libraries that it
// uses, become one script and one style sheet. Made at run time, from the sources, once.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** A file of the dashboard. */
export interface DashboardFile {
  readonly body: Uint8Array;
  /** Its content type. */
  readonly type: string;
}

const page = (name: string): string => fileURLToPath(new URL(`./page/${name}`, import.meta.url));

/** Browsers of 2024, which have `light-dark()`, popovers and nested rules. */
const target = ["chrome123", "firefox125", "safari17.5"];

let bundled: Promise<ReadonlyMap<string, DashboardFile>> | undefined;

/**
 * The files of the dashboard by the path of their URL: `/`, and under `/assets/` what it is made of.
 * The names of these have a hash of what is in them, so they can be kept for ever; `/` can't. It takes
 * some 200 ms, the first time.
 *
 * @throws what esbuild throws, where the sources or the libraries aren't there; the next call tries again.
 */
export function bundleDashboard(): Promise<ReadonlyMap<string, DashboardFile>> {
  bundled ??= bundleOnce().catch((thrown) => {
    bundled = undefined;
    throw thrown;
  });
  return bundled;
}

async function bundleOnce(): Promise<ReadonlyMap<string, DashboardFile>> {
  const [result, html, icon] = await Promise.all([
    build({
      // One entry for both, so that there is one script and one style sheet.
      stdin: {
        contents: `import "./dashboard.css"; import "./main.ts";`,
        resolveDir: page(""),
        sourcefile: "app.ts",
      },
      outdir: page(""),
      entryNames: "app",
      bundle: true,
      write: false,
      minify: true,
      format: "esm",
      platform: "browser",
      target,
      charset: "utf8",
      legalComments: "none",
      logLevel: "silent",
      // Whatever project this lies in says nothing about how it is built.
      tsconfigRaw: "{}",
    }),
    readFile(page("page.html"), "utf8"),
    readFile(page("favicon.svg")),
  ]);
  const output = (extension: string): Uint8Array =>
    result.outputFiles.find(({ path }) => path.endsWith(extension))!.contents;
  const assets = [
    named("/assets/app.js", output(".js"), "text/javascript; charset=utf-8"),
    named("/assets/app.css", output(".css"), "text/css; charset=utf-8"),
    named("/assets/favicon.svg", icon, "image/svg+xml"),
  ];
  const text = assets.reduce((text, { path, to }) => text.replace(`"${path}"`, `"${to}"`), html);
  const body = new TextEncoder().encode(text.replaceAll(/\n\s*/g, "\n"));
  return new Map([
    ["/", { body, type: "text/html; charset=utf-8" }],
    ...assets.map(({ to, file }) => [to, file] as const),
  ]);
}

/** An asset under a name that is another one for other content. */
function named(
  path: string,
  body: Uint8Array,
  type: string,
): { readonly path: string; readonly to: string; readonly file: DashboardFile } {
  const hash = createHash("sha256").update(body).digest("hex").slice(0, 12);
  return { path, to: path.replace(/\.(\w+)$/, `-${hash}.$1`), file: { body, type } };
}

// The dashboard's files, as a server hands them out.
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "bun:test";
import { bundleDashboard } from "./bundle.ts";

const text = async (find: (path: string) => boolean): Promise<string> => {
  const [, file] = [...await bundleDashboard()].find(([path]) => find(path))!;
  return new TextDecoder().decode(file.body);
};

describe("the bundle", () => {
  test("is a page, a script, a style sheet and an icon, each with its type", async () => {
    const files = [...await bundleDashboard()].map((
      [path, { type }],
    ) => [path.replace(/-[0-9a-f]{12}\./, "-HASH."), type]);
    expect(files).toEqual([
      ["/", "text/html; charset=utf-8"],
      ["/assets/app-HASH.js", "text/javascript; charset=utf-8"],
      ["/assets/app-HASH.css", "text/css; charset=utf-8"],
      ["/assets/favicon-HASH.svg", "image/svg+xml"],
    ]);
  });

  test("is made once", async () => {
    expect(await bundleDashboard()).toBe(await bundleDashboard());
  });

  test("names in its page what it has, and nothing else", async () => {
    const files = await bundleDashboard();
    const page = await text((path) => path === "/");
    const named = [...page.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, path]) => path!);
    expect(named.sort()).toEqual([...files.keys()].filter((path) => path !== "/").sort());
  });

  test("is small: all of it, compressed, in less than 90 kB", async () => {
    const sizes = [...(await bundleDashboard()).values()].map(({ body }) => gzipSync(body).length);
    const sum = sizes.reduce((a, b) => a + b, 0);
    expect(sum).toBeGreaterThan(10_000);
    expect(sum).toBeLessThan(90_000);
  });

  test("asks nobody but its server, and works under a strict policy: nothing stands inline", async () => {
    const page = await text((path) => path === "/");
    expect(page).not.toMatch(/<script(?![^>]*\bsrc=)/);
    expect(page).not.toMatch(/<style|\sstyle=|\son\w+=|https?:/);
    const style = await text((path) => path.endsWith(".css"));
    expect(style).not.toMatch(/@import|url\(/);
    const script = await text((path) => path.endsWith(".js"));
    const addresses = new Set(script.match(/https?:\/\/[\w./-]+/g));
    // Names of XML, and what links to a runbook are tested against.
    expect([...addresses].filter((each) => !each.startsWith("http://www.w3.org/"))).toEqual([]);
    expect(script).not.toMatch(/\beval\(|new Function\(/);
  });
});

describe("the page's sources", () => {
  test("never read markup: what strangers name is text", async () => {
    const folder = fileURLToPath(new URL("./page/", import.meta.url));
    const files = (await readdir(folder)).filter((name) =>
      name.endsWith(".ts") && !name.endsWith(".test.ts")
    );
    expect(files.length).toBeGreaterThan(15);
    const markup =
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\.html\(|srcdoc/;
    for (const name of files) {
      expect([name, markup.test(await readFile(`${folder}${name}`, "utf8"))]).toEqual([
        name,
        false,
      ]);
    }
  });
});

// The browser that tests look through: what a page does wrong is seen, and nothing is left of it.
import { readdirSync, readFileSync } from "node:fs";
import { access } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { afterAll, afterEach, beforeAll, describe, expect } from "bun:test";
import { browserTest, makeBrowser } from "./browser.ts";

const pages: Readonly<Record<string, string>> = {
  "/right": `<!doctype html><title>right</title><script src="/right.js"></script>`,
  "/right.js": `console.log("seen"); document.title = matchMedia("(prefers-color-scheme: dark)")
    .matches + " " + innerWidth + " " + document.cookie; document.cookie = "left=behind";`,
  "/throws": `<!doctype html><script src="/throws.js"></script>`,
  "/throws.js": `throw new Error("thrown by the page")`,
  "/complains": `<!doctype html><script src="/complains.js"></script>`,
  "/complains.js": `console.error("complained")`,
  "/inline": `<!doctype html><script>document.title = "ran"</script>`,
  "/handler": `<!doctype html><img src="/none.png" onerror="alert(1)">`,
  "/asks": `<!doctype html><script src="/asks.js"></script>`,
  "/asks.js": `alert("anybody there?")`,
  "/elsewhere": `<!doctype html><script src="/elsewhere.js"></script>`,
  "/elsewhere.js": `fetch("http://127.0.0.1:9/").catch(() => {})`,
};

const server = createServer((request, response) => {
  const text = pages[request.url ?? ""];
  response.writeHead(text === undefined ? 404 : 200, {
    "Content-Type": request.url?.endsWith(".js") ? "text/javascript" : "text/html",
    // Where the policy forbids a request, none is made.
    ...request.url !== "/elsewhere" && { "Content-Security-Policy": "default-src 'self'" },
  });
  response.end(text);
});
let home = "";
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  home = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

const browser = makeBrowser();
afterEach(() => browser.closePages());
afterAll(async () => {
  await browser.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** Opens a page, and tells what it does wrong until all of it is loaded. */
async function faultsOf(path: string, expected: readonly string[] = []): Promise<string[]> {
  const page = await browser.open(`${home}${path}`, { expected: ["favicon.ico", ...expected] });
  await page.evaluate("new Promise((resolve) => setTimeout(resolve))"); // What came before is told before.
  return await browser.closePages();
}

describe("a page", () => {
  browserTest(
    "that does nothing wrong has no faults, and knows nothing of the one before",
    async () => {
      const expected = ["favicon.ico"];
      const page = await browser.open(`${home}/right`, {
        expected,
        colours: "dark",
        size: { width: 390, height: 844 },
      });
      expect(await page.title()).toBe("true 390");
      expect(await (await browser.open(`${home}/right`, { expected })).title()).toBe("false 1280");
      expect(await page.evaluate("document.cookie")).toBe("left=behind");
      expect(await browser.closePages()).toEqual([]);
    },
  );

  browserTest("that throws, complains, asks, or calls elsewhere is caught", async () => {
    expect((await faultsOf("/throws")).join()).toMatch(/^error: Error: thrown by the page/);
    expect((await faultsOf("/complains")).join()).toMatch(/^console: complained/);
    expect(await faultsOf("/asks")).toEqual(["dialog: anybody there?"]);
    expect(await faultsOf("/elsewhere", ["console: "])).toEqual([
      "request to elsewhere: http://127.0.0.1:9/",
    ]);
  });

  browserTest(
    "that runs a script against its policy is caught, and the script doesn't run",
    async () => {
      const page = await browser.open(`${home}/inline`, { expected: ["favicon.ico"] });
      expect(await page.title()).toBe("");
      expect((await browser.closePages()).join()).toMatch(/Content Security Policy/);
      const faults = await faultsOf("/handler", ["none.png"]);
      expect(faults.join()).toMatch(/Content Security Policy/);
      expect(faults.join()).not.toMatch(/dialog/);
    },
  );

  browserTest("is forgiven what the test expects, and that alone", async () => {
    expect(await faultsOf("/complains", ["complained"])).toEqual([]);
    expect((await faultsOf("/complains", ["something else"])).length).toBe(1);
  });
});

/** The folders of the browsers that this process started, while they run. */
function profiles(): string[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
      if (parent !== String(process.pid)) return [];
      return /--user-data-dir=([^\0]+)/.exec(readFileSync(`/proc/${pid}/cmdline`, "utf8"))?.[1] ??
        [];
    } catch {
      return []; // It ended while we looked.
    }
  });
}

describe("a browser", () => {
  browserTest("leaves nothing behind, and can be started again", async () => {
    await browser.close();
    expect(profiles()).toEqual([]);
    await browser.open(`${home}/right`, { expected: ["favicon.ico"] });
    const [profile, ...others] = profiles();
    expect(others).toEqual([]);
    await access(profile!);
    await browser.close();
    expect(profiles()).toEqual([]);
    expect(await access(profile!).then(() => "there", () => "gone")).toBe("gone");
  });
});

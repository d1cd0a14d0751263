import { describe, expect, test } from "bun:test";
import { through } from "../../../test/guard.ts";
import { parseAddress } from "../address.ts";
import { namesOf } from "./host.ts";
import { checkOrigin } from "./origin.ts";

const askOn = (address: string, allowedHosts: readonly string[] = []) =>
  through(checkOrigin(namesOf({ address: parseAddress(address), port: 8787, allowedHosts })));

const host = "127.0.0.1:8787";

describe("an Origin", () => {
  test("that is the server's own, or isn't told, is let through", async () => {
    const ask = askOn("127.0.0.1:0", ["drops.example"]);
    for (
      const origin of [
        undefined,
        "http://127.0.0.1:8787",
        "http://localhost:8787",
        "http://[::1]:8787",
        "https://drops.example",
      ]
    ) {
      const headers = origin === undefined ? { host } : { host, origin };
      expect([origin, (await ask({ headers })).status]).toEqual([origin, 200]);
    }
  });

  test("that is another is refused, whatever the method, and without a word of CORS", async () => {
    const ask = askOn("127.0.0.1:0");
    for (const method of ["GET", "HEAD", "POST", "DELETE", "OPTIONS"]) {
      for (
        const origin of [
          "null",
          "",
          "http://evil.example",
          "http://localhost:9999",
          "http://localhost",
          "http://127.0.0.1:8787.evil.example",
          "http://evil.example/127.0.0.1:8787",
          "http://a@127.0.0.1:8787",
          "file://",
          "chrome-extension://127.0.0.1:8787",
        ]
      ) {
        const answer = await ask({ method, headers: { host, origin } });
        expect([method, origin, answer.status]).toEqual([method, origin, 403]);
        expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control")))
          .toEqual([]);
      }
    }
  });

  test("on every address has to be the Host: a page on another machine is another's", async () => {
    const ask = askOn("0.0.0.0:8787");
    const status = async (origin: string) =>
      (await ask({ headers: { host: "192.0.2.1:8787", origin } })).status;
    expect(await status("http://192.0.2.1:8787")).toBe(200);
    expect(await status("http://192.0.2.66:8787")).toBe(403);
  });
});

describe("what a browser says of where a request is from", () => {
  const ask = askOn("127.0.0.1:0");
  const status = async (path: string, headers: Record<string, string>, method = "GET") =>
    (await ask({ path, method, headers: { host, ...headers } })).status;

  test("is refused where it is another site's", async () => {
    for (const site of ["cross-site", "same-site"]) {
      for (const path of ["/", "/api/v1/status", "/metrics", "/assets/app.js"]) {
        const headers = { "sec-fetch-site": site, "sec-fetch-mode": "no-cors" };
        expect([path, await status(path, headers)]).toEqual([path, 403]);
      }
    }
    expect(await status("/api/v1/status", { "sec-fetch-site": "same-origin" })).toBe(200);
    expect(await status("/api/v1/status", { "sec-fetch-site": "none" })).toBe(200);
  });

  test("may be a link to the page, in a window of its own, and nothing else", async () => {
    const link = {
      "sec-fetch-site": "cross-site",
      "sec-fetch-mode": "navigate",
      "sec-fetch-dest": "document",
    };
    expect(await status("/", link)).toBe(200);
    expect(await status("/api/v1/status", link)).toBe(403);
    expect(await status("/", { ...link, "sec-fetch-dest": "iframe" })).toBe(403);
    expect(await status("/", link, "POST")).toBe(403);
  });
});

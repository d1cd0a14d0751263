import { describe, expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import { serveAssets } from "./asset.ts";
import type { DashboardFiles } from "./asset.ts";

const script = "const x = 1;\n".repeat(1000);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const files: DashboardFiles = new Map([
  ["/", { body: bytes("<p>page</p>"), type: "text/html; charset=utf-8" }],
  ["/assets/app-0123456789ab.js", {
    body: bytes(script),
    type: "text/javascript; charset=utf-8",
  }],
  ["/assets/icon.png", { body: bytes("x".repeat(1000)), type: "image/png" }],
]);
const name = "/assets/app-0123456789ab.js";

describe("the dashboard's files", () => {
  const serving = (clock = { now: 0 }, make = () => Promise.resolve(files)) => {
    const log: string[] = [];
    let made = 0;
    const serve = serveAssets(() => {
      made++;
      return make();
    }, { now: () => clock.now, log: (message) => void log.push(message) });
    const get = (path: string, headers: Record<string, string> = {}) =>
      serve(path, new Headers(headers));
    return { get, log, made: () => made };
  };

  test("are made once, when they are first asked for", async () => {
    const { get, made } = serving();
    expect(made()).toBe(0);
    const answers = await Promise.all([get("/"), get(name), get("/"), get("/none")]);
    expect(answers.map((answer) => answer?.status)).toEqual([200, 200, 200, undefined]);
    expect(await answers[0]!.text()).toBe("<p>page</p>");
    expect(made()).toBe(1);
  });

  test("are compressed for those who take it, where it is worth it", async () => {
    const { get } = serving();
    for (const encoding of ["gzip", "br, gzip;q=0.8", "deflate,gzip", "*", "gzip;q=1.0"]) {
      const answer = (await get(name, { "accept-encoding": encoding }))!;
      expect([encoding, answer.headers.get("content-encoding")]).toEqual([encoding, "gzip"]);
      const body = new Uint8Array(await answer.arrayBuffer());
      expect(body.length).toBeLessThan(script.length / 10);
      expect(answer.headers.get("content-length")).toBe(String(body.length));
      expect(gunzipSync(body).toString()).toBe(script);
    }
    for (const encoding of ["", "br", "gzip;q=0", "gzip;q=0.0", "xgzip"]) {
      const answer = (await get(name, { "accept-encoding": encoding }))!;
      expect([encoding, answer.headers.get("content-encoding")]).toEqual([encoding, null]);
      expect(await answer.text()).toBe(script);
    }
    const small = (await get("/", { "accept-encoding": "gzip" }))!;
    const icon = (await get("/assets/icon.png", { "accept-encoding": "gzip" }))!;
    expect([small, icon].map(({ headers }) => headers.get("content-encoding"))).toEqual([
      null,
      null,
    ]);
  });

  test("may be kept for ever where the name has a hash, and are asked for again elsewhere", async () => {
    const { get } = serving();
    expect((await get(name))!.headers.get("cache-control")).toContain("immutable");
    for (const path of ["/", "/assets/icon.png"]) {
      expect((await get(path))!.headers.get("cache-control")).toBe("no-cache");
    }
  });

  test("aren't sent again to those who have them", async () => {
    const { get } = serving();
    const packed = (await get(name, { "accept-encoding": "gzip" }))!.headers.get("etag")!;
    const plain = (await get(name))!.headers.get("etag")!;
    expect(packed).not.toBe(plain);
    const again = async (etag: string, encoding: string) =>
      (await get(name, { "if-none-match": etag, "accept-encoding": encoding }))!;
    const same = await again(`"x", W/${packed}`, "gzip");
    expect([same.status, await same.text(), same.headers.get("etag")]).toEqual([304, "", packed]);
    expect((await again(packed, "")).status).toBe(200);
    expect((await again('"other"', "gzip")).status).toBe(200);
  });

  test("that can't be made are said once, and tried again a minute later", async () => {
    const clock = { now: 0 };
    let fail = true;
    const { get, log, made } = serving(
      clock,
      () => fail ? Promise.reject(new Error("no esbuild")) : Promise.resolve(files),
    );
    for (let i = 0; i < 5; i++) expect(await get("/")).toBeUndefined();
    expect([made(), log]).toEqual([1, ["the dashboard can't be shown: no esbuild"]]);
    fail = false;
    clock.now = 60_000;
    expect((await get("/"))?.status).toBe(200);
    expect(made()).toBe(2);
  });
});

import { expect, test } from "bun:test";
import { Hono } from "hono";
import type { Asking } from "../asking.ts";
import { secureHeaders } from "./secure.ts";

test("every answer tells browsers to trust nothing else, and to keep nothing that isn't said to be kept", async () => {
  const app = new Hono<Asking>();
  app.use(secureHeaders());
  app.get("/kept", (c) => c.text("", 200, { "cache-control": "public" }));
  app.get("/broken", () => {
    throw new Error("broken");
  });
  app.onError((_, c) => c.text("broken", 500));
  for (const [path, status] of [["/kept", 200], ["/broken", 500], ["/none", 404]] as const) {
    const { headers, status: got } = await app.request(path);
    expect(got).toBe(status);
    const policy = headers.get("content-security-policy")!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
    expect(headers.get("cross-origin-resource-policy")).toBe("same-origin");
    expect(headers.get("cache-control")).toBe(path === "/kept" ? "public" : "no-store");
    expect([...headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
  }
});

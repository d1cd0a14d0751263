// The dashboard keeps in its URL what is looked at: that is none of the server's.
import { afterEach, describe, expect, test } from "bun:test";
import { serve } from "../../test/server.ts";
import type { Served } from "../../test/server.ts";
import { bundleDashboard } from "./dashboard/bundle.ts";

let served: Served | undefined;
afterEach(() => served?.stop());

describe("the dashboard's page", () => {
  test("is the same whatever its query is; anything else refuses what it doesn't know", async () => {
    served = await serve({ files: bundleDashboard });
    const [plain, looking] = await Promise.all(
      ["/", "/?by=owner&where.owner=%3Cb%3E&where.owner=y"].map((path) => served!.ask(path)),
    );
    expect([plain!.status, looking!.status]).toEqual([200, 200]);
    const page = await plain!.text();
    expect(page).toContain("<title>dropwatch</title>");
    expect(await looking!.text()).toBe(page);
    for (const path of ["/healthz?by=owner", "/api/v1/status?by=owner"]) {
      expect((await served.ask(path)).status).toBe(400);
    }
  });
});

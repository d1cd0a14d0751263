// What the API answers is small on its way, for those who can read that.
import { request } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { gunzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "bun:test";
import { serve } from "../../test/server.ts";
import type { Served } from "../../test/server.ts";

let served: Served | undefined;
afterEach(() => served?.stop());

/** An answer as it comes over the wire; of a stream of events what came up to the first of them. */
function get(
  path: string,
  encoding?: string,
): Promise<{ headers: IncomingHttpHeaders; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const asked = request(served!.server.url + path, {
      agent: false,
      headers: encoding === undefined ? {} : { "accept-encoding": encoding },
    }, (response) => {
      const { headers } = response;
      const parts: Uint8Array[] = [];
      response.on("data", (part: Uint8Array) => {
        parts.push(part);
        if (!Buffer.concat(parts).includes("event: hello")) return;
        resolve({ headers, body: Buffer.concat(parts) });
        asked.destroy();
      });
      response.on("end", () => resolve({ headers, body: Buffer.concat(parts) }));
    });
    asked.on("error", reject);
    asked.end();
  });
}

describe("an answer of the API", () => {
  test("is compressed for those who say that they can read it, and is the same then", async () => {
    served = await serve();
    const plain = await get("/api/v1/reasons");
    const packed = await get("/api/v1/reasons", "gzip, deflate, br");
    expect(plain.headers["content-encoding"]).toBe(undefined);
    expect(packed.headers["content-encoding"]).toBe("gzip");
    expect(packed.headers["vary"]).toMatch(/accept-encoding/i);
    expect(gunzipSync(packed.body).toString()).toBe(plain.body.toString());
    expect(packed.body.length).toBeLessThan(plain.body.length / 2);
  });

  test("isn't where it is a stream of events: each is to be read when it happens", async () => {
    served = await serve();
    const { headers, body } = await get("/api/v1/events", "gzip");
    expect(headers["content-encoding"]).toBe(undefined);
    expect(body.toString()).toContain("event: hello");
  });
});

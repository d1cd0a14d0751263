// What the page makes of answers, over HTTP from a server of its own.
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ask, waitOf } from "./api.ts";

/** The statuses that are answered with, one after the other, and the last for ever. */
let statuses: number[];
let asked: number[];
let server: Server;
let url: string;

beforeEach(async () => {
  asked = [];
  server = createServer((_, response) => {
    asked.push(performance.now());
    const status = statuses.length > 1 ? statuses.shift()! : statuses[0]!;
    response.writeHead(status, { "content-type": "application/json", "retry-after": "1" });
    response.end(JSON.stringify(status === 200 ? { is: "here" } : { error: { code: "X" } }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe("a server that has too much to do", () => {
  test("is asked again when it said, and then answers", async () => {
    statuses = [429, 200];
    expect(await ask<{ is: string }>(url)).toEqual({ value: { is: "here" } });
    expect(asked.length).toBe(2);
    expect(asked[1]! - asked[0]!).toBeGreaterThan(900);
  });

  test("isn't asked twice to change something, and a no is a no", async () => {
    for (const [status, method] of [[429, "POST"], [400, "GET"]] as const) {
      statuses = [status];
      asked = [];
      expect(await ask(url, method)).toMatchObject({ failed: { status, code: "X" } });
      expect(asked.length).toBe(1);
    }
  });

  test("is waited for within bounds, whatever it says", () => {
    expect(["3", "0", "-1", "1e9", "soon", null].map(waitOf))
      .toEqual([3000, 500, 500, 10_000, 1000, 1000]);
  });
});

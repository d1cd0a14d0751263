import { hostname } from "node:os";
import { describe, expect, test } from "bun:test";
import { through } from "../../../test/guard.ts";
import { parseAddress } from "../address.ts";
import { checkHost, namesOf } from "./host.ts";

function statusWith(address: string, allowedHosts: readonly string[] = [], port = 8787) {
  const ask = through(checkHost(namesOf({ address: parseAddress(address), port, allowedHosts })));
  return async (host: string | undefined): Promise<number> =>
    (await ask(host === undefined ? {} : { headers: { host } })).status;
}

describe("a Host", () => {
  test("of a server on loopback is one of loopback's, with its port", async () => {
    const status = statusWith("127.0.0.1:0");
    for (const host of ["127.0.0.1:8787", "localhost:8787", "LOCALHOST:8787", "[::1]:8787"]) {
      expect([host, await status(host)]).toEqual([host, 200]);
    }
    for (
      const host of [
        undefined,
        "",
        "localhost",
        "127.0.0.1",
        "127.0.0.1:8788",
        "127.0.0.1:87870",
        "evil.example:8787",
        "localhost.evil.example:8787",
        "localhost:8787.evil.example",
        "evil.example",
        "192.0.2.1:8787",
        `${hostname()}x:8787`,
        "localhost:8787@evil.example",
        "localhost:8787,evil.example",
      ]
    ) expect([host, await status(host)]).toEqual([host, 403]);
  });

  test("may leave out port 80", async () => {
    const status = statusWith("127.0.0.1:80", [], 80);
    expect([await status("localhost"), await status("localhost:80")]).toEqual([200, 200]);
    expect(await status("localhost:8080")).toBe(403);
  });

  test("of a server on one address is that, or the machine's name", async () => {
    const status = statusWith("192.0.2.1:8787");
    expect(await status("192.0.2.1:8787")).toBe(200);
    expect(await status(`${hostname()}:8787`)).toBe(200);
    expect(await status("192.0.2.2:8787")).toBe(403);
    expect(await status("localhost:8787")).toBe(403);
  });

  test("of a server on every address is any address, since no page has one for its name", async () => {
    for (const address of ["0.0.0.0:8787", ":8787", "[::]:8787"]) {
      const status = statusWith(address);
      for (const host of ["192.0.2.7:8787", "[2001:db8::1]:8787", "localhost:8787"]) {
        expect([host, await status(host)]).toEqual([host, 200]);
      }
      for (const host of ["evil.example:8787", "192.0.2.7:8788", "192.0.2.7", "1.2.3:8787"]) {
        expect([host, await status(host)]).toEqual([host, 403]);
      }
    }
  });

  test("that is allowed is taken with any port, or with its own", async () => {
    const status = statusWith("127.0.0.1:0", ["drops.example", "Other.example:8443"]);
    for (const host of ["drops.example", "drops.example:443", "other.example:8443"]) {
      expect([host, await status(host)]).toEqual([host, 200]);
    }
    for (const host of ["other.example", "x.drops.example", "drops.example.evil:1"]) {
      expect([host, await status(host)]).toEqual([host, 403]);
    }
  });

  test("of a unix socket is any: no browser gets there", async () => {
    expect(await statusWith("unix:/run/x.sock", [], 0)("whatever")).toBe(200);
  });
});

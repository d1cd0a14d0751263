import { hostname } from "node:os";
import { describe, expect, test } from "bun:test";
import { through } from "../../../test/guard.ts";
import { parseAddress } from "../address.ts";
import { checkHost, namesOf } from "./host.ts";

function statusWith(address: string, allowedHosts: readonly string[] = []) {
  const ask = through(
    checkHost(namesOf({ address: parseAddress(address), port: 8787, allowedHosts })),
  );
  return async (host: string | undefined): Promise<number> =>
    (await ask(host === undefined ? {} : { headers: { host } })).status;
}

describe("a Host", () => {
  test("of a server on loopback is one of loopback's, with the port of whatever tunnel leads there", async () => {
    const status = statusWith("127.0.0.1:0");
    for (
      const host of ["127.0.0.1:8787", "localhost:8787", "LOCALHOST:9", "[::1]:8787", "localhost"]
    ) {
      expect([host, await status(host)]).toEqual([host, 200]);
    }
    for (
      const host of [
        undefined,
        "",
        "localhost:",
        "localhost:878787",
        "localhost.:8787",
        "[::1",
        "::1",
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
      for (const host of ["evil.example:8787", "1.2.3:8787", "[1.2.3.4]:8787", "2001:db8::1"]) {
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
    expect(await statusWith("unix:/run/x.sock")("whatever")).toBe(200);
  });
});

describe("a page", () => {
  test("is the server's own where its name and its port are", () => {
    const of = (address: string, port: number, allowedHosts: readonly string[] = []) =>
      namesOf({ address: parseAddress(address), port, allowedHosts }).hasPages;
    const onLoopback = of("127.0.0.1:0", 8787, ["drops.example", "other.example:8443"]);
    for (
      const host of [
        "localhost:8787",
        "127.0.0.1:8787",
        "[::1]:8787",
        "drops.example",
        "drops.example:1",
        "other.example:8443",
      ]
    ) expect([host, onLoopback(host)]).toEqual([host, true]);
    for (
      const host of ["localhost:8788", "localhost", "[::1]", "other.example", "192.0.2.1:8787"]
    ) {
      expect([host, onLoopback(host)]).toEqual([host, false]);
    }
    expect([of("127.0.0.1:80", 80)("localhost"), of("[::1]:80", 80)("[::1]")]).toEqual([
      true,
      true,
    ]);
    expect(of("0.0.0.0:8787", 8787)("192.0.2.1:8787")).toBe(false);
  });
});

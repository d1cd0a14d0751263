import { describe, expect, test } from "bun:test";
import { DropwatchError } from "../../core/error.ts";
import { hostAndPort, parseAddress } from "./address.ts";

describe("an address", () => {
  test.each([
    ["8787", "127.0.0.1", 8787, "loopback"],
    ["localhost:0", "127.0.0.1", 0, "loopback"],
    ["LocalHost:80", "127.0.0.1", 80, "loopback"],
    ["127.0.0.1:8787", "127.0.0.1", 8787, "loopback"],
    ["127.9.8.7:1", "127.9.8.7", 1, "loopback"],
    ["[::1]:8787", "::1", 8787, "loopback"],
    ["[0:0:0:0:0:0:0:1]:1", "0:0:0:0:0:0:0:1", 1, "loopback"],
    ["[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", 1, "loopback"],
    [":8787", "::", 8787, "every"],
    ["0.0.0.0:8787", "0.0.0.0", 8787, "every"],
    ["[::]:8787", "::", 8787, "every"],
    ["[::0.0.0.0]:1", "::0.0.0.0", 1, "every"],
    ["[::ffff:0.0.0.0]:1", "::ffff:0.0.0.0", 1, "every"],
    ["192.0.2.1:65535", "192.0.2.1", 65535, "one"],
    ["[2001:db8::1]:8787", "2001:db8::1", 8787, "one"],
    ["[fe80::1%eth0]:8787", "fe80::1%eth0", 8787, "one"],
    ["drops.example.org:8787", "drops.example.org", 8787, "one"],
    // A name that leads here is no promise that it always will.
    ["localhost.example.org:1", "localhost.example.org", 1, "one"],
  ])("%s is %s, port %d, reached by %s", (text, host, port, reach) => {
    expect(parseAddress(text)).toEqual({
      kind: "tcp",
      host,
      port,
      reach: reach as "loopback" | "one" | "every",
    });
  });

  test("can be a unix socket", () => {
    expect(parseAddress("unix:/run/dropwatch.sock"))
      .toEqual({ kind: "unix", path: "/run/dropwatch.sock" });
  });

  test.each([
    "",
    ":",
    "x",
    "localhost",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:65536",
    "127.0.0.1:-1",
    "127.0.0.1:1e3",
    "127.0.0.1:080808",
    "::1:8787",
    "[::1]",
    "[::1]8787",
    "[127.0.0.1]:1",
    "[::1:1",
    "256.0.0.1:1",
    "1.2.3:1",
    "a b:1",
    "a/b:1",
    "-a:1",
    "user@host:1",
    "http://127.0.0.1:8787",
    "unix:",
    "unix:run/x.sock",
    `unix:/${"x".repeat(107)}`,
  ])('"%s" is none, and it is said what would be', (text) => {
    let thrown: unknown;
    try {
      parseAddress(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(DropwatchError);
    expect((thrown as DropwatchError).code).toBe("BAD_ADDRESS");
    expect((thrown as DropwatchError).message).toContain("[IPV6]:PORT");
  });

  test("stands in a URL as it must", () => {
    expect(hostAndPort("::1", 80)).toBe("[::1]:80");
    expect(hostAndPort("127.0.0.1", 80)).toBe("127.0.0.1:80");
  });
});

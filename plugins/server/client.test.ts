import { describe, expect, test } from "bun:test";
import { clientOf } from "./client.ts";

describe("a client", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002::/64"],
    ["2001:db8:1:2::", "2001:0db8:0001:0002::/64"],
    ["::1", "0000:0000:0000:0000::/64"],
    ["fe80::1%eth0", "fe80:0000:0000:0000::/64"],
    ["", "unix"],
    [undefined, "unix"],
    ["what", "unknown"],
  ])("with the address %s is counted as %s", (address, counted) => {
    expect(clientOf(address)).toBe(counted);
  });
});

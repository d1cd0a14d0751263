// Addresses as the kernel's structs have them.
import { expect, test } from "bun:test";
import { familyOf, linkAddress, portOf, socketAddress } from "./address.ts";

test("an IPv4 endpoint is a sockaddr_in", () => {
  expect([...socketAddress({ address: "10.203.0.1", port: 5001 })])
    .toEqual([2, 0, 0x13, 0x89, 10, 203, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  expect(familyOf("10.203.0.1")).toBe(4);
});

test("an IPv6 endpoint is a sockaddr_in6", () => {
  const bytes = socketAddress({ address: "fd00:203::1", port: 53 });
  expect(bytes.length).toBe(28);
  expect([...bytes.subarray(0, 12)]).toEqual([10, 0, 0, 53, 0, 0, 0, 0, 0xfd, 0, 0x02, 0x03]);
  expect(bytes[23]).toBe(1);
  expect([portOf(bytes), familyOf("fd00:203::1")]).toEqual([53, 6]);
});

test("a device is a sockaddr_ll", () => {
  expect([...linkAddress(7).subarray(0, 12)]).toEqual([17, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 6]);
});

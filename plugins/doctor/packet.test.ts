// Frames as they lie on the wire: everything is right but for one checksum.
import { describe, expect, test } from "bun:test";
import { wireBytes } from "./address.ts";
import { checksum, wronglySummed } from "./packet.ts";

const from = { mac: "02:64:77:00:00:01", port: 40_000 };
const to = { mac: "02:64:77:00:00:02", port: 5001 };
const addresses = { 4: ["10.203.0.1", "10.203.0.2"], 6: ["fd00:203::1", "fd00:203::2"] } as const;
const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

test("the sum is that of RFC 1071's example", () => {
  expect(checksum(Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)))
    .toBe(~0xddf2 & 0xffff);
});

describe("a wrongly summed packet", () => {
  for (const family of [4, 6] as const) {
    for (const l4 of ["UDP", "TCP"] as const) {
      test(`of ${l4} over IPv${family} has its ports, lengths and addresses, and one wrong sum`, () => {
        const [source, target] = addresses[family];
        const frame = wronglySummed({
          l4,
          from: { ...from, address: source },
          to: { ...to, address: target },
          size: 16,
        });
        expect(hex(frame.subarray(0, 14)))
          .toBe(`026477000002026477000001${family === 4 ? "0800" : "86dd"}`);
        const length = (l4 === "UDP" ? 8 : 20) + 16;
        const header = family === 4 ? 20 : 40;
        const ip = frame.subarray(14, 14 + header);
        const transport = frame.subarray(14 + header);
        expect(frame.length).toBe(14 + header + length);
        if (family === 4) {
          expect(checksum(ip)).toBe(0);
          expect((ip[2]! << 8) | ip[3]!).toBe(20 + length);
        } else expect((ip[4]! << 8) | ip[5]!).toBe(length);
        expect(hex(ip)).toContain(hex(wireBytes(source)) + hex(wireBytes(target)));
        expect(hex(transport.subarray(0, 4))).toBe("9c401389");
        const pseudo = [
          ...wireBytes(source),
          ...wireBytes(target),
          0,
          l4 === "UDP" ? 17 : 6,
          0,
          length,
        ];
        expect(checksum(Uint8Array.of(...pseudo, ...transport))).not.toBe(0);
      });
    }
  }
});

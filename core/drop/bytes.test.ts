import { describe, expect, test } from "bun:test";
import { isIP } from "node:net";
import { randomFrom } from "../../test/random.ts";
import { addressBytes, addressText, bytesOf, bytesText, noAddress, wordsOf } from "./bytes.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Up to sixteen bytes as the two words in which they travel. */
function words(bytes: Uint8Array): [bigint, bigint] {
  const all = new Uint8Array(16);
  all.set(bytes);
  return wordsOf(all);
}

/** An address as it comes back from its bytes; undefined where it has none. */
function readAgain(text: string): string | undefined {
  const bytes = addressBytes(text);
  return bytes && addressText(...wordsOf(bytes));
}

describe("an address as text", () => {
  // From RFC 5952, sections 4.1 to 4.3 and 5, and the ends of what can be written.
  test.each(
    [
      ["2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1", "the first of two runs"],
      ["2001:db8:0:0:0:0:2:1", "2001:db8::2:1", "zeros as short as can be"],
      ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", "a single zero group stays"],
      ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1", "the longest run"],
      ["2001:DB8::A", "2001:db8::a", "lower case"],
      ["0:0:0:0:0:0:0:0", "::", "nothing but zeros"],
      ["0:0:0:0:0:0:0:1", "::1", "zeros at the beginning"],
      ["fe80:0:0:0:0:0:0:0", "fe80::", "zeros at the end"],
      ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0", ":: for one group"],
      ["::1.2.3.4", "::102:304", "an IPv4 tail that isn't a mapped address"],
      ["::ffff:1.2.3.4", "1.2.3.4", "a mapped address is the IPv4 one"],
      ["::ffff:0:0", "0.0.0.0", "also where it is zero"],
      ["::fffe:1.2.3.4", "::fffe:102:304", "one bit off is no mapped address"],
      ["0:0:0:1:0:ffff:1.2.3.4", "::1:0:ffff:102:304", "nor with a bit set before it"],
      ["255.255.255.255", "255.255.255.255", "broadcast"],
    ] as [string, string, string][],
  )("%s is %s: %s", (written, shown) => {
    expect(readAgain(written)).toBe(shown);
  });

  test("is empty where there is no address, and only there", () => {
    const [hi, lo] = wordsOf(noAddress);
    expect(addressText(hi, lo)).toBe("");
    expect(addressText(hi, lo + 1n)).not.toBe("");
    expect(addressText(hi + 1n, lo)).not.toBe("");
    expect(addressText(-1n, -1n)).toBe("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  });

  test("is the same whether the words came as signed or as unsigned integers", () => {
    const [hi, lo] = wordsOf(addressBytes("fe80::ffff:ffff:ffff:fffe")!);
    expect(addressText(BigInt.asIntN(64, hi), BigInt.asIntN(64, lo)))
      .toBe("fe80::ffff:ffff:ffff:fffe");
  });

  test("reads back to the same sixteen bytes, and is what node:net takes for an address", () => {
    const random = randomFrom(1);
    for (let i = 0; i < 5000; i++) {
      const bytes = random.bytes(16);
      // Zeros, so that runs of them and mapped addresses come up.
      for (let at = 0; at < 16; at++) if (random.chance(0.6)) bytes[at] = 0;
      if (random.chance(0.2)) bytes.fill(0, 0, 10).fill(0xff, 10, 12);
      const text = addressText(...wordsOf(bytes));
      expect(isIP(text)).not.toBe(0);
      expect([...addressBytes(text)!]).toEqual([...bytes]);
      // URL writes IPv6 by the same rules (but never dotted).
      if (isIP(text) === 6) expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`);
    }
  });
});

describe("the bytes of an address", () => {
  test("are the same however an IPv6 address is written", () => {
    const ways = ["2001:db8::1", "2001:DB8:0::0:1", "2001:0db8:0000:0:0:0:0:0001"];
    const [first = [], ...others] = ways.map((way) => [...addressBytes(way)!]);
    for (const other of others) expect(other).toEqual(first);
  });

  test("lie in the order of the network, IPv4 behind ::ffff", () => {
    expect([...addressBytes("1.2.3.4")!]).toEqual([
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      255,
      255,
      1,
      2,
      3,
      4,
    ]);
    expect([...addressBytes("102:304:506:708:90a:b0c:d0e:f10")!])
      .toEqual(Array.from({ length: 16 }, (_, i) => i + 1));
  });

  test("are not made up for what is no address", () => {
    const wrong = [
      "",
      "localhost",
      "1.2.3",
      "1.2.3.256",
      "01.2.3.4",
      " 1.2.3.4",
      "1:2:3",
      "1::2::3",
      "12345::",
      "::g",
      "1:2:3:4:5:6:7:8:9",
      "fe80::1%eth0",
      "10.0.0.0/8",
    ];
    for (const text of wrong) expect([text, addressBytes(text)]).toEqual([text, undefined]);
  });

  test("exist for exactly the texts that node:net takes for addresses", () => {
    const random = randomFrom(2);
    const pieces = [
      "::",
      ":",
      "0",
      "1",
      "ff",
      "fffff",
      "1.2.3.4",
      ".",
      "255",
      "256",
      "10.",
      "abcd",
      "g",
    ];
    for (let i = 0; i < 20_000; i++) {
      const text = Array.from({ length: random.int(1, 12) }, () => random.pick(pieces)).join("");
      expect([text, addressBytes(text) !== undefined]).toEqual([text, isIP(text) !== 0]);
    }
  });
});

describe("words", () => {
  test("hold sixteen bytes as they lie in memory, little-endian", () => {
    const bytes = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
    expect(wordsOf(bytes)).toEqual([0x0807_0605_0403_0201n, 0x100f_0e0d_0c0b_0a09n]);
    expect([...bytesOf(...wordsOf(bytes))]).toEqual([...bytes]);
  });

  test("of a part of a longer buffer are that part's", () => {
    const buffer = Uint8Array.from({ length: 40 }, (_, i) => i);
    expect(wordsOf(buffer.subarray(8, 24))).toEqual(wordsOf(buffer.slice(8, 24)));
  });

  test("may be negative, as bpftrace prints them", () => {
    expect([...bytesOf(-1n, -2n)]).toEqual([...Array(8).fill(255), 254, ...Array(7).fill(255)]);
  });
});

describe("a name", () => {
  test("ends at the first NUL, whatever an older and longer name left behind it", () => {
    expect(bytesText(...words(encode("sh\0d-longer-one")))).toBe("sh");
    expect(bytesText(...words(encode("\0left")))).toBe("");
    expect(bytesText(0n, 0n)).toBe("");
  });

  test("may fill all of its bytes, with a NUL at the end or without", () => {
    expect(bytesText(...words(encode("fifteen--bytes!")))).toBe("fifteen--bytes!");
    expect(bytesText(...words(encode("sixteen---bytes!")))).toBe("sixteen---bytes!");
  });

  test("keeps what is UTF-8, and shows U+FFFD for what isn't", () => {
    expect(bytesText(...words(encode("grün→x")))).toBe("grün→x");
    expect(bytesText(...words(encode("\ufeffsh")))).toBe("\ufeffsh");
    expect(bytesText(...words(Uint8Array.of(0x61, 0xff, 0x62)))).toBe("a\ufffdb");
    // Cut in the middle of a character, as the kernel cuts names.
    expect(bytesText(...words(encode("fourteen-bytes€").subarray(0, 15)))).toBe(
      "fourteen-bytes\ufffd",
    );
  });

  test("with control characters comes through as it is: who prints it escapes it", () => {
    expect(bytesText(...words(encode('a\n"]: 9\x1b[1m')))).toBe('a\n"]: 9\x1b[1m');
  });

  test("of every kind of bytes is read without an error", () => {
    const random = randomFrom(3);
    for (let i = 0; i < 2000; i++) {
      const bytes = random.bytes(16);
      const text = bytesText(...wordsOf(bytes));
      expect(text).not.toContain("\0");
      const end = bytes.indexOf(0);
      const named = bytes.subarray(0, end === -1 ? 16 : end);
      expect(text).toBe(new TextDecoder("utf-8", { ignoreBOM: true }).decode(named));
    }
  });
});

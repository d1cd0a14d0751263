import { describe, expect, test } from "bun:test";
import { fingerprint, plainSummary } from "./alert.ts";

describe("a fingerprint", () => {
  test("is the one that Alertmanager gives to the same labels", () => {
    expect(fingerprint({ alertname: "DemoAlert", server: "ni3", severity: "critical" }))
      .toBe("8a07086b74f3ba78");
  });

  test("is the same in whatever order the labels come", () => {
    expect(fingerprint({ severity: "critical", server: "ni3", alertname: "DemoAlert" }))
      .toBe("8a07086b74f3ba78");
  });

  test("of no labels is the beginning of FNV-1a, with all 16 digits", () => {
    expect(fingerprint({})).toBe("cbf29ce484222325");
    for (let i = 0; i < 500; i++) {
      expect(fingerprint({ [`name${i}`]: `value ${i * 7919}` })).toMatch(/^[0-9a-f]{16}$/);
    }
  });

  test("tells a name from a value, and where each ends", () => {
    const all = [{ a: "bc" }, { ab: "c" }, { a: "b", c: "" }, { a: "", b: "c" }, { a: "b" }, {
      a: "",
    }];
    expect(new Set(all.map(fingerprint)).size).toBe(all.length);
  });

  test("is made of UTF-8", () => {
    expect(fingerprint({ dev: "ü" })).not.toBe(fingerprint({ dev: "\u00fc\u00fc" }));
    expect(fingerprint({ dev: "ü" })).not.toBe(fingerprint({ dev: "u" }));
  });
});

describe("the text of an alert that has none of its own", () => {
  test("is its name, and its labels but for those that every alert has", () => {
    expect(
      plainSummary("Drops", { alertname: "Drops", severity: "info", dev: "eth0", comm: "a b" }),
    )
      .toBe('Drops: dev="eth0" comm="a b"');
    expect(plainSummary("Drops", { alertname: "Drops", severity: "info" })).toBe("Drops");
  });

  test("escapes names that a stranger chose", () => {
    expect(plainSummary("Drops", { comm: "a\n\x1b[1m" })).toBe('Drops: comm="a\\x0a\\x1b[1m"');
  });
});

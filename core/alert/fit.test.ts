import { describe, expect, test } from "bun:test";
import { alertOf, hostileNames, rawControl } from "../../test/alert.ts";
import { jsonLine } from "../error.ts";
import type { AlertEvidence } from "../watch/evidence.ts";
import { fitLine } from "./fit.ts";

describe("an alert in so many bytes", () => {
  test("is whole where it has room", () => {
    const alert = alertOf({ evidence: { kept: 1, site: "f" } });
    const whole = jsonLine(alert);
    expect(fitLine(alert, Buffer.byteLength(whole))).toBe(whole);
  });

  test("loses its evidence first", () => {
    const evidence = { stacks: [{ stack: ["f".repeat(10_000)], drops: 1 }] };
    const alert = alertOf({ evidence: evidence as unknown as AlertEvidence });
    const { data } = JSON.parse(fitLine(alert, 8192));
    expect(data).toEqual({ ...alert.data, evidence: {} });
  });

  test("has its texts cut then, and says that they were", () => {
    const alert = alertOf({ labels: { comm: "x".repeat(100_000) } });
    const { data } = JSON.parse(fitLine(alert, 8192));
    expect(data).toEqual({
      ...alert.data,
      labels: { ...alert.data.labels, comm: `${"x".repeat(1999)}…` },
    });
  });

  test("fits into 16 KiB whatever it is", () => {
    for (const name of ["x", "ü", "\u2028", ...hostileNames.slice(0, 4)]) {
      const long = name.repeat(3000);
      const many = Object.fromEntries(
        Array.from({ length: 2000 }, (_, i) => [`${i}${name}`, name]),
      );
      const longMany = Object.fromEntries(
        Array.from({ length: 200 }, (_, i) => [`${i}`.padEnd(300, name), name.repeat(300)]),
      );
      for (
        const alert of [
          alertOf({ alert: long, labels: { [long]: long }, annotations: { summary: long } }),
          alertOf({ labels: many, annotations: many }),
          alertOf({ alert: long, labels: longMany, annotations: longMany }),
        ]
      ) {
        const line = fitLine(alert, 16_384);
        expect(Buffer.byteLength(line)).toBeLessThanOrEqual(16_384);
        expect(line).not.toMatch(rawControl);
        expect(JSON.parse(line).data.fingerprint).toBe(alert.data.fingerprint);
      }
    }
  });
});

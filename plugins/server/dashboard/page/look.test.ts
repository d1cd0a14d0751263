// What is looked at, in a URL and back.
import { describe, expect, test } from "bun:test";
import {
  addFilters,
  filterTest,
  firstLook,
  keptFilters,
  readLook,
  timeWindows,
  toggleFilter,
  windowOf,
  writeLook,
  zoomStep,
} from "./look.ts";
import type { Look } from "./look.ts";

describe("a look", () => {
  test("is an empty query at first", () => {
    expect(writeLook(firstLook)).toBe("");
    expect(readLook("")).toEqual(firstLook);
  });

  test("comes back from its URL as it was, whatever names are in it", () => {
    const look: Look = {
      by: "owner",
      window: "24h",
      zoom: { from: 1_700_000_000_000, to: 1_700_000_060_000 },
      filters: [
        { field: "owner", label: `"><script>alert(1)</script>&where.dev=x` },
        { field: "owner", label: "" },
        { field: "owner", label: null },
        { field: "dev", label: "étage\n\u0000🦆" },
      ],
      section: "rules",
      alert: "0123456789abcdef",
    };
    expect(writeLook(look)).not.toContain("<");
    expect(readLook(writeLook(look))).toEqual(look);
  });

  test("leaves out of a URL what makes no sense", () => {
    const junk = readLook(
      "?by=a.b&window=3y&from=9&to=1&section=../x&alert=ZZ&where.__proto__=1&where.=1&nul.dev=1" +
        "&where.constructor=x&null.dev=1&null.dev=1",
    );
    expect(junk).toEqual({
      ...firstLook,
      filters: [{ field: "constructor", label: "x" }, { field: "dev", label: null }],
    });
    expect(readLook("?from=1&to=99999999999999999").zoom).toBe(null);
    expect(readLook("?from=-5&to=5").zoom).toBe(null);
    const many = Array.from({ length: 100 }, (_, i) => `where.dev=${i}`).join("&");
    expect(readLook(`?${many}`).filters.length).toBe(20);
    expect(readLook(`?where.dev=${"x".repeat(1001)}`).filters).toEqual([]);
  });

  test("asks the API for the same filters", () => {
    const query = new URLSearchParams();
    addFilters(query, [{ field: "dev", label: "a b" }, { field: "owner", label: null }]);
    expect(query.toString()).toBe("where.dev=a+b&null.owner=1");
  });
});

describe("filters", () => {
  const eth0 = { field: "dev", label: "eth0" };

  test("are taken away by what added them", () => {
    const one = toggleFilter([], eth0);
    expect(one).toEqual([eth0]);
    expect(toggleFilter(one, { ...eth0 })).toEqual([]);
    expect(toggleFilter(one, { field: "dev", label: null }).length).toBe(2);
  });

  test("of one field are alternatives, of more fields they add up", () => {
    const fields = ["reason", "dev"];
    const fits = filterTest([
      { field: "reason", label: "A" },
      { field: "reason", label: null },
      eth0,
    ], fields);
    expect(fits(["A", "eth0"])).toBe(true);
    expect(fits([null, "eth0"])).toBe(true);
    expect(fits(["B", "eth0"])).toBe(false);
    expect(fits(["A", "eth1"])).toBe(false);
    expect(fits(["A", null])).toBe(false);
    expect(filterTest([], fields)(["A", null])).toBe(true);
  });

  test("of a field that ticks don't have fit nothing: what they mean can't be told", () => {
    for (const label of ["x", null]) {
      expect(filterTest([{ field: "owner", label }], ["reason"])(["A"])).toBe(false);
    }
  });

  test("of a field that the history isn't kept by any more are told from the others", () => {
    const gone = { field: "owner", label: null };
    expect(keptFilters([eth0, gone], ["reason", "dev"])).toEqual({ kept: [eth0], gone: [gone] });
    expect(keptFilters([eth0], ["dev"])).toEqual({ kept: [eth0], gone: [] });
  });
});

describe("a time", () => {
  test("has whole steps, of minutes where the history has only these, and not too many", () => {
    for (const { length, step } of timeWindows) {
      expect(length % step).toBe(0);
      expect(length / step).toBeLessThanOrEqual(720);
      expect(length % 60).toBe(0);
      if (length > 3_600_000) expect(step % 60_000).toBe(0);
    }
    expect(windowOf("1h").length).toBe(3_600_000);
    expect(windowOf("none").name).toBe("5m");
  });

  test("that was zoomed into has some 300 steps", () => {
    expect(zoomStep(0, 10_000)).toBe(1000);
    expect(zoomStep(0, 600_000)).toBe(2000);
    expect(zoomStep(0, 86_400_000) % 60_000).toBe(0);
  });
});

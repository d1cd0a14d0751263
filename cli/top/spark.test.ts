import { describe, expect, test } from "bun:test";
import { barStyleOf, spark } from "./spark.ts";

describe("a sparkline", () => {
  test("has a bar a value, the newest at the right", () => {
    expect(spark([1, 2, 3, 4, 5, 6, 7, 8], 8)).toBe("▁▂▃▄▅▆▇█");
    expect(spark([1, 2, 3, 4, 5, 6, 7, 8], 4)).toBe("▅▆▇█");
    expect(spark([8], 4)).toBe("   █");
  });

  test("tells nothing, a little and not counted apart", () => {
    expect(spark([0, 0.001, null, 1000], 4)).toBe(" ▁?█");
  });

  test("is as high as the scale it is given", () => {
    expect(spark([50, 50], 2, "utf8", 100)).toBe("▄▄");
    expect(spark([200], 1, "utf8", 100)).toBe("█");
  });

  test("of nothing at all is empty", () => {
    expect(spark([], 5)).toBe("     ");
    expect(spark([0, 0, 0], 3)).toBe("   ");
    expect(spark([1], 0)).toBe("");
  });

  test("is ASCII where the locale isn't UTF-8", () => {
    expect(spark([1, 2, 3, 4, 5, 6, 7, 8], 8, "ascii")).toBe("_.:-=+*#");
    expect(barStyleOf({ LANG: "de_DE.UTF-8" })).toBe("utf8");
    expect(barStyleOf({ LANG: "C.utf8" })).toBe("utf8");
    expect(barStyleOf({ LC_ALL: "C", LANG: "en_US.UTF-8" })).toBe("ascii");
    expect(barStyleOf({ LC_ALL: "", LC_CTYPE: "C.UTF-8", LANG: "C" })).toBe("utf8");
    expect(barStyleOf({})).toBe("ascii");
  });
});

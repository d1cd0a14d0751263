import { describe, expect, test } from "bun:test";
import { flameTree } from "./flame_tree.ts";
import { sparkPath } from "./spark.ts";

describe("a flame graph", () => {
  test("has reasons, and in them functions, with what was counted", () => {
    const tree = flameTree([
      { reason: "A", frames: ["outer", "inner"], kept: 1, drops: 10 },
      { reason: "A", frames: ["outer", "other"], kept: 1, drops: 5 },
      { reason: "B", frames: ["outer"], kept: 1, drops: 2 },
      { reason: "B", frames: ["none"], kept: 0, drops: 0 },
    ]);
    const flat = (node: typeof tree): unknown => [node.name, node.value, node.children.map(flat)];
    expect(flat(tree)).toEqual(["all drops with a stack", 17, [
      ["A", 15, [["outer", 15, [["inner", 10, []], ["other", 5, []]]]]],
      ["B", 2, [["outer", 2, []]]],
    ]]);
  });

  test("takes names as they are", () => {
    const tree = flameTree([{ reason: "__proto__", frames: ["constructor"], kept: 1, drops: 1 }]);
    expect(tree.children[0]!.children[0]!.name).toBe("constructor");
  });
});

describe("a sparkline", () => {
  test("is empty where there were no drops", () => {
    expect([sparkPath([]), sparkPath([0, null, 0])]).toEqual(["", ""]);
  });

  test("goes as high as its largest rate, and is open at a gap", () => {
    expect(sparkPath([1, null, 2])).toBe("M0 24V12.5H40V24ZM80 24V1H120V24Z");
    expect(sparkPath([0, 2])).toBe("M0 24V24H60V1H120V24Z");
  });

  test("shows a drop beside a flood", () => {
    expect(sparkPath([1, 1e9])).toContain("V23H60");
  });
});

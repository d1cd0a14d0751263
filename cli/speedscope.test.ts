// A profile as speedscope's own schema has it (https://www.speedscope.app/file-format-schema.json).
import { describe, expect, test } from "bun:test";
import { speedscope } from "./speedscope.ts";

interface Sample {
  readonly frames: readonly string[];
  readonly weight: number;
}

interface File {
  readonly $schema: string;
  readonly name: string;
  readonly activeProfileIndex: number;
  readonly shared: { readonly frames: readonly { readonly name: string }[] };
  readonly profiles: readonly {
    readonly type: string;
    readonly name: string;
    readonly unit: string;
    readonly startValue: number;
    readonly endValue: number;
    readonly samples: readonly (readonly number[])[];
    readonly weights: readonly number[];
  }[];
}

/** The file as it is read again. */
const fileOf = (samples: readonly Sample[]): File =>
  JSON.parse(JSON.stringify(speedscope("drops", samples)));

const samples: readonly Sample[] = [
  { frames: ["a", "b", "c"], weight: 5 },
  { frames: ["a", "c"], weight: 3 },
  { frames: ["a", "b", "a"], weight: 2 },
];

describe("a speedscope file", () => {
  test("has each function once, and stacks by their numbers, the outermost first", () => {
    const { shared, profiles: [profile] } = fileOf(samples);
    const names = shared.frames.map(({ name }) => name);
    expect(names).toEqual(["a", "b", "c"]);
    expect(profile!.samples.map((stack) => stack.map((frame) => names[frame])))
      .toEqual(samples.map(({ frames }) => [...frames]));
  });

  test("has a weight for each stack, and their sum as its length", () => {
    const { profiles } = fileOf(samples);
    expect(profiles).toHaveLength(1);
    expect(profiles[0]).toMatchObject({
      type: "sampled",
      unit: "none",
      startValue: 0,
      endValue: 10,
      weights: [5, 3, 2],
    });
  });

  test("says what it is, and which profile to show", () => {
    const { $schema, name, activeProfileIndex, profiles } = fileOf(samples);
    expect($schema).toBe("https://www.speedscope.app/file-format-schema.json");
    expect([name, profiles[0]!.name, activeProfileIndex]).toEqual(["drops", "drops", 0]);
  });

  test("tells functions apart that have names like those every object has", () => {
    const { shared, profiles } = fileOf([{ frames: ["__proto__", "constructor"], weight: 1 }]);
    expect(shared.frames).toEqual([{ name: "__proto__" }, { name: "constructor" }]);
    expect(profiles[0]!.samples).toEqual([[0, 1]]);
  });

  test("is whole without a single drop", () => {
    const { shared, profiles } = fileOf([]);
    expect(shared.frames).toEqual([]);
    expect(profiles[0]).toMatchObject({ endValue: 0, samples: [], weights: [] });
  });
});

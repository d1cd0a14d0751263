// Stacks in the file format of speedscope (https://www.speedscope.app/file-format-schema.json).

/** A "sampled" profile: outermost frame first, the weight is a number of drops. */
export function speedscope(
  name: string,
  samples: readonly { readonly frames: readonly string[]; readonly weight: number }[],
): unknown {
  const index = new Map<string, number>();
  const of = (frame: string): number => {
    let at = index.get(frame);
    if (at === undefined) {
      at = index.size;
      index.set(frame, at);
    }
    return at;
  };
  const stacks = samples.map(({ frames }) => frames.map(of));
  const total = samples.reduce((sum, { weight }) => sum + weight, 0);
  return {
    $schema: "https://www.speedscope.app/file-format-schema.json",
    exporter: "dropwatch",
    name,
    activeProfileIndex: 0,
    shared: { frames: [...index.keys()].map((frame) => ({ name: frame })) },
    profiles: [{
      type: "sampled",
      name,
      unit: "none",
      startValue: 0,
      endValue: total,
      samples: stacks,
      weights: samples.map(({ weight }) => weight),
    }],
  };
}

import { describe, expect, test } from "bun:test";
import {
  bursts,
  closed,
  datagram,
  filtered,
  recordedKernel,
  recordedLines,
  recordedPlan,
  recordedVersions,
} from "../../../test/fixtures/recording.ts";
import { randomFrom } from "../../../test/random.ts";
import type { Random } from "../../../test/random.ts";
import { planOf, world } from "../../../test/world.ts";
import type { Names } from "../../../core/drop/field.ts";
import { makeLayout } from "../../../core/plan/layout.ts";
import type { Plan } from "../../../core/plan/plan.ts";
import type { Tick } from "../../../core/watch/tick.ts";
import { outputReader } from "./output.ts";
import type { Boundary } from "./output.ts";

interface Reading {
  readonly ticks: Tick[];
  /** Where they ended, by the kernel's clock. */
  readonly boundaries: (Boundary | undefined)[];
  line(text: string): void;
  settle(): void;
  forgetWaiting(): void;
  end(): void;
  attached: number;
  /** Milliseconds since 1970. */
  now: number;
  /** What the kernel kept from the probe, in all. */
  missed: number;
}

/** Reads output of bpftrace for a plan. */
function read(
  plan: Plan,
  options: { scalars?: ReadonlyMap<string, number>; names?: Names; mostMaps?: number } = {},
): Reading {
  const ticks: Tick[] = [];
  const boundaries: (Boundary | undefined)[] = [];
  const reading = { ticks, boundaries, attached: 0, now: 1_000_000, missed: 0 };
  const reader = outputReader({
    plan,
    scalars: options.scalars ?? new Map(),
    layout: makeLayout(plan, options.mostMaps),
    names: options.names ?? world.names,
    missed: () => reading.missed,
    now: () => reading.now,
    onTick(tick, boundary) {
      ticks.push(tick);
      boundaries.push(boundary);
    },
    onAttached: () => reading.attached++,
  });
  return Object.assign(reading, reader);
}

const printf = (text: string): string => JSON.stringify({ type: "printf", data: `${text}\n` });
const map = (name: string, value: unknown): string =>
  JSON.stringify({ type: "map", data: { [`@${name}`]: value } });

/** The lines of a frame: of a tick that ended exactly on time, and was printed at once. */
const frame = (tick: number, copy: number, seconds: number, ...maps: string[]): string[] => [
  printf(`tick ${tick} ${copy} ${seconds * 1e9} ${seconds * 1e9} 1`),
  ...maps,
  printf(`end ${tick}`),
];

const sums = (ticks: readonly Tick[], name: "seen" | "counted" | "other" | "lost"): number =>
  ticks.reduce((sum, tick) => sum + tick[name], 0);

/** What was counted in a map: labels, counts served, how many, their sum. */
const entriesOf = (tick: Tick | undefined, id = 0): unknown[] =>
  tick!.maps[id]!.entries.map(({ key, n, sum }) => [key.labels.join("|"), key.counts, n, sum]);

const byPort = planOf({ by: ["dport"] });

describe.each(recordedVersions.map((version) => [version] as const))(
  "what bpftrace %s printed",
  (version) => {
    const { world: recorded, scalars } = recordedKernel();
    const plan = recordedPlan(recorded);
    const reading = read(plan, { scalars, names: recorded.names });
    for (const line of recordedLines(version)) reading.line(line);
    reading.end();
    const { ticks } = reading;
    const withDrops = ticks.filter(({ maps }) => maps.some(({ entries }) => entries.length > 0));
    const comms = bursts.map(({ comm }) => new TextDecoder().decode(comm));
    const onWire = datagram + 8;

    test("has no line that can't be read, and says once that it is attached", () => {
      expect(ticks.reduce((sum, { unreadable }) => sum + unreadable, 0)).toBe(0);
      expect(reading.attached).toBe(1);
    });

    test("has every packet under the sender's name as it is, with its bytes", () => {
      expect(withDrops.map((tick) => entriesOf(tick, 0))).toEqual(
        bursts.map(({ sent }, i) => [[comms[i], [0], sent[filtered], sent[filtered]! * onWire]]),
      );
    });

    test("has the site, found in the stack or at the location, and what each key serves", () => {
      expect(withDrops.map((tick) => entriesOf(tick, 2).sort())).toEqual(
        bursts.map(({ sent }) =>
          [
            [`udp_queue_rcv_one_skb|${filtered}`, [2, 3], sent[filtered], 0],
            ...(sent[closed] === undefined
              ? []
              : [[`__udp4_lib_rcv|${closed}`, [2], sent[closed], 0]]),
          ].sort()
        ),
      );
    });

    test("has a sum without a key", () => {
      expect(withDrops.map((tick) => entriesOf(tick, 3))).toEqual(
        bursts.map(({ sent }) => {
          const n = sent[closed];
          return n === undefined ? [] : [["", [5], n, n * onWire]];
        }),
      );
    });

    test("has the stack, outermost function first", () => {
      const stacks = withDrops.map((tick) => tick.maps[1]!.entries);
      expect(stacks.map((entries) => entries.map(({ n }) => n)))
        .toEqual(bursts.map(({ sent }) => [sent[filtered]!]));
      for (const { key } of stacks.flat()) {
        const [reason, stack = ""] = key.labels;
        expect(reason).toBe("SOCKET_FILTER");
        expect(stack).toMatch(
          /^entry_SYSCALL_64_after_hwframe;do_syscall_64;.*;udp_queue_rcv_one_skb;sk_skb_reason_drop$/,
        );
        expect(stack).not.toMatch(/[+\s]/);
      }
    });

    test("has the counts by reason, also of those that are counted apart", () => {
      expect(withDrops.map(({ reasons }) => [reasons.get(5), reasons.get(3)]))
        .toEqual(bursts.map(({ sent }) => [sent[filtered], sent[closed]]));
    });

    test("has the first drops of each tick in full", () => {
      const samples = withDrops.flatMap((tick) => tick.samples);
      expect(samples.map(({ stack: _, ...rest }) => rest)).toEqual(
        comms.flatMap((comm) =>
          Array(2).fill({
            reason: "SOCKET_FILTER",
            site: "udp_queue_rcv_one_skb",
            saddr: "127.0.0.1",
            dport: String(filtered),
            len: String(onWire),
            comm,
          })
        ),
      );
      for (const { stack } of samples) expect(stack).toMatch(/;udp_queue_rcv_one_skb;/);
    });

    test("adds up: nothing is lost, and nothing is counted twice", () => {
      for (const { seen, counted, other, lost, maps } of ticks) {
        expect([counted, other, lost]).toEqual([seen, 0, 0]);
        for (const each of maps) expect([each.other, each.lost]).toEqual([0, 0]);
      }
    });
  },
);

describe("a tick", () => {
  test("has the growth of the counts by reason of its copy, and the keys as they were printed", () => {
    const reading = read(byPort);
    for (
      const line of [
        ...frame(1, 0, 1, map("b0", { "3": 5 }), map("m0_0", { "53": 4, "80": 1 })),
        ...frame(2, 1, 2, map("b1", { "3": 2 }), map("m0_1", { "53": 2 })),
        ...frame(3, 0, 3, map("b0", { "3": 8, "5": 1 }), map("m0_0", { "80": 4 })),
      ]
    ) reading.line(line);
    expect(reading.ticks.map(({ reasons }) => [...reasons]))
      .toEqual([[[3, 5]], [[3, 2]], [[3, 3], [5, 1]]]);
    expect(reading.ticks.map((tick) => entriesOf(tick))).toEqual([
      [["53", [0], 4, 0], ["80", [0], 1, 0]],
      [["53", [0], 2, 0]],
      [["80", [0], 4, 0]],
    ]);
    expect(reading.ticks.map(({ seen }) => seen)).toEqual([5, 2, 4]);
  });

  test("is there also where nothing was dropped: that is how the source is known to live", () => {
    const reading = read(byPort);
    frame(1, 0, 1).forEach(reading.line);
    frame(2, 1, 2).forEach(reading.line);
    expect(reading.ticks.map(({ seen, seconds }) => [seen, seconds])).toEqual([[0, 0], [0, 1]]);
  });

  test("is on the kernel's clock: a line that comes late doesn't move it", () => {
    const reading = read(byPort);
    frame(1, 0, 1).forEach(reading.line);
    reading.now += 1300; // 0.3 s late
    frame(2, 1, 2).forEach(reading.line);
    reading.now += 700;
    frame(3, 0, 3).forEach(reading.line);
    expect(reading.ticks.map(({ at }) => at)).toEqual([1_000_000, 1_001_000, 1_002_000]);
    expect(reading.ticks.map(({ seconds }) => seconds)).toEqual([0, 1, 1]);
  });

  test("ends at its boundary on the wall clock, however long after it the line was printed", () => {
    const reading = read(byPort);
    const printed = (tick: number, boundary: number, after: number, exact: 0 | 1): void => {
      reading.now = 1_000_000 + boundary + after;
      const nsecs = boundary * 1e6;
      reading.line(printf(`tick ${tick} ${tick % 2} ${nsecs} ${nsecs + after * 1e6} ${exact}`));
      reading.line(printf(`end ${tick}`));
    };
    printed(1, 400, 0, 0);
    printed(2, 1000, 19, 1);
    printed(3, 2000, 7, 1);
    printed(4, 3004, 0, 0);
    expect(reading.ticks.map(({ at }) => at)).toEqual([1_000_400, 1_001_000, 1_002_000, 1_003_004]);
    expect(reading.ticks.map(({ seconds }) => seconds)).toEqual([0, 0.6, 1, 1.004]);
    expect(reading.boundaries).toEqual([
      { nsecs: 400e6, exact: false },
      { nsecs: 1000e6, exact: true },
      { nsecs: 2000e6, exact: true },
      { nsecs: 3004e6, exact: false },
    ]);
  });

  test("has no boundary where it isn't the kernel that ended it", () => {
    const reading = read(byPort);
    frame(1, 0, 1, map("b0", { "3": 5 }), map("m0_0", { "53": 5 })).forEach(reading.line);
    [map("b0", { "3": 7 }), map("m0_0", { "53": 2 })].forEach(reading.line);
    reading.end();
    expect(reading.boundaries).toEqual([{ nsecs: 1e9, exact: true }, undefined]);
  });

  test("doesn't cover the time before bpftrace was attached, if it is the first", () => {
    const reading = read(byPort);
    reading.now += 5000;
    frame(1, 0, 1).forEach(reading.line);
    expect(reading.ticks[0]).toMatchObject({ at: 1_005_000, seconds: 0 });
  });

  test("follows a wall clock that was set", () => {
    const reading = read(byPort);
    frame(1, 0, 1).forEach(reading.line);
    reading.now += 3_600_000;
    frame(2, 1, 2).forEach(reading.line);
    expect(reading.ticks.map(({ at }) => at)).toEqual([1_000_000, 4_600_000]);
  });

  test("counts as lost what the kernel kept from the probe", () => {
    const reading = read(byPort);
    reading.missed = 3;
    frame(1, 0, 1, map("b0", { "3": 5 }), map("m0_0", { "53": 5 })).forEach(reading.line);
    frame(2, 1, 2).forEach(reading.line);
    reading.missed = 4;
    frame(3, 0, 3).forEach(reading.line);
    expect(reading.ticks.map(({ seen, counted, lost }) => [seen, counted, lost]))
      .toEqual([[8, 5, 3], [0, 0, 0], [1, 0, 1]]);
  });

  test("counts as other what found no room in a full map", () => {
    const reading = read(byPort);
    frame(1, 0, 1, map("b0", { "3": 10 }), map("m0_0", { "53": 4 })).forEach(reading.line);
    const [tick] = reading.ticks;
    expect(tick).toMatchObject({ seen: 10, counted: 4, other: 6, lost: 0 });
    expect(tick!.maps[0]).toMatchObject({ other: 6, lost: 0 });
  });

  test("counts as lost what belongs to a map that wasn't printed", () => {
    const reading = read(byPort);
    frame(1, 0, 1, map("b0", { "3": 10 })).forEach(reading.line);
    expect(reading.ticks[0]).toMatchObject({ seen: 10, counted: 0, other: 0, lost: 10 });
  });

  test("asks a map only for the reasons that are counted in it", () => {
    const reading = read(planOf({ where: { reason: "NO_SOCKET" }, by: ["dport"] }));
    frame(1, 0, 1, map("b0", { "3": 4, "5": 100 }), map("m0_0", { "53": 4 })).forEach(reading.line);
    expect(reading.ticks[0]).toMatchObject({ seen: 104, counted: 104, other: 0, lost: 0 });
  });

  test("knows what belongs to a map with conditions by its own total", () => {
    const reading = read(planOf({ where: { l4: "UDP" }, by: ["dport"] }));
    frame(1, 0, 1, map("b0", { "3": 10 }), map("t0_0", 7), map("m0_0", { "53": 5 }))
      .forEach(reading.line);
    frame(3, 0, 3, map("b0", { "3": 12 }), map("t0_0", 8), map("m0_0", { "53": 1 }))
      .forEach(reading.line);
    expect(reading.ticks.map(({ seen, counted, other }) => [seen, counted, other]))
      .toEqual([[10, 8, 2], [2, 2, 0]]);
  });

  test("keeps keys apart that serve other rules, whatever their labels", () => {
    // Class 1 serves count 0, class 2 count 1 … and "1" + "23" must not meet "12" + "3".
    const plan = planOf(
      ...Array.from({ length: 13 }, (_, i) => ({
        where: { l4: String(i + 100) },
        by: ["dport"] as const,
      })),
    );
    const { classes } = plan.maps[0]!;
    const classOf = (count: number): number =>
      classes.findIndex((counts) => counts.join() === String(count));
    const reading = read(plan);
    const keys = { [`${classOf(1)},23`]: 5, [`${classOf(12)},3`]: 7 };
    frame(1, 0, 1, map("b0", { "3": 12 }), map("t0_0", 12), map("m0_0", keys))
      .forEach(reading.line);
    expect(entriesOf(reading.ticks[0])).toEqual([["23", [1], 5, 0], ["3", [12], 7, 0]]);
  });

  test("joins keys that look alike to people", () => {
    const reading = read(planOf({ by: ["site"] }), {
      names: { ...world.names, site: () => "tcp_v4_rcv" },
    });
    frame(1, 0, 1, map("b0", { "3": 12 }), map("m0_0", { "-10": 5, "-20": 7 }))
      .forEach(reading.line);
    expect(entriesOf(reading.ticks[0])).toEqual([["tcp_v4_rcv", [0], 12, 0]]);
  });

  test("joins their sums too", () => {
    const reading = read(planOf({ by: ["site"], sum: "len" }), {
      names: { ...world.names, site: () => "tcp_v4_rcv" },
    });
    const value = (count: number, total: number) => ({ count, average: 1, total });
    frame(1, 0, 1, map("b0", { "3": 3 }), map("m0_0", { "-10": value(1, 50), "-20": value(2, 7) }))
      .forEach(reading.line);
    expect(entriesOf(reading.ticks[0])).toEqual([["tcp_v4_rcv", [0], 3, 57]]);
  });
});

describe("garbage", () => {
  const garbage = [
    "not JSON",
    '{"type": "map", "data": {"@b0": {"3": 5',
    "[]",
    "null",
    "5",
    '"text"',
    "{}",
    '{"type": "map"}',
    '{"type": 5, "data": {}}',
    '{"type": "map", "data": null}',
    '{"type": "map", "data": "@b0"}',
    '{"type": "nothing that is known", "data": {}}',
    '{"type": "printf", "data": {}}',
    printf("something else"),
    printf("tick 5"),
    printf("tick 5 2 100 100 1"),
    printf("tick five 0 100 100 1"),
    printf("tick 5 0 -100 100 1"),
    printf("tick 5 0 100 -100 1"),
    printf("tick 5 0 100 100 2"),
    printf("tick 5 0 100 100"),
    printf("tick 5 0 100"),
    printf("end 77"),
    printf("end"),
    printf("s 1 2 3"),
  ];

  test.each(garbage.map((line) => [line] as const))(
    "is counted, and costs no count: %s",
    (line) => {
      const reading = read(byPort);
      frame(1, 0, 1, map("b0", { "3": 5 }), map("m0_0", { "53": 5 })).forEach(reading.line);
      reading.line(line);
      frame(2, 1, 2, map("b1", { "3": 1 }), map("m0_1", { "53": 1 })).forEach(reading.line);
      expect(reading.ticks.map(({ unreadable }) => unreadable)).toEqual([0, 1]);
      expect(reading.ticks.map((tick) => entriesOf(tick)))
        .toEqual([[["53", [0], 5, 0]], [["53", [0], 1, 0]]]);
      expect(sums(reading.ticks, "counted")).toBe(6);
    },
  );

  test("among reasons and keys is counted, and the others are read", () => {
    const reading = read(byPort);
    frame(
      1,
      0,
      1,
      map("b0", { "3": 5, "x": 1, "-3": 2, "5": -1, "6": "7", "99999999999": 1 }),
      map("m0_0", { "53": 5, "http": 1, "1,2": 3, "80": 1.5, "81": null, "82": { count: 1 } }),
    ).forEach(reading.line);
    expect([...reading.ticks[0]!.reasons]).toEqual([[3, 5]]);
    expect(entriesOf(reading.ticks[0])).toEqual([["53", [0], 5, 0]]);
    expect(reading.ticks[0]!.unreadable).toBe(10);
  });

  test("in place of counts by reason costs nothing: they only grow, and the next line tells", () => {
    const reading = read(byPort);
    frame(1, 0, 1, "garbage", map("m0_0", { "53": 5 })).forEach(reading.line);
    frame(3, 0, 3, map("b0", { "3": 7 }), map("m0_0", { "53": 2 })).forEach(reading.line);
    expect(sums(reading.ticks, "seen")).toBe(7);
    expect(reading.ticks.map((tick) => entriesOf(tick)))
      .toEqual([[["53", [0], 5, 0]], [["53", [0], 2, 0]]]);
    // The five came before their number: they are neither lost nor other when that comes.
    expect([sums(reading.ticks, "other"), sums(reading.ticks, "lost")]).toEqual([0, 0]);
  });

  test("in place of a variable without a key costs nothing either", () => {
    const reading = read(planOf({ where: { l4: "UDP" } }));
    frame(1, 0, 1, map("b0", { "3": 5 }), map("t0_0", 5), "garbage").forEach(reading.line);
    frame(3, 0, 3, map("b0", { "3": 7 }), map("t0_0", 7), map("m0_0", 7)).forEach(reading.line);
    expect(reading.ticks.flatMap((tick) => entriesOf(tick))).toEqual([["", [0], 7, 0]]);
    expect([sums(reading.ticks, "other"), sums(reading.ticks, "lost")]).toEqual([0, 0]);
  });

  test("in place of a frame's end or its beginning costs no key", () => {
    const whole = [
      ...frame(1, 0, 1, map("b0", { "3": 5 }), map("m0_0", { "53": 5 })),
      ...frame(2, 1, 2, map("b1", { "3": 1 }), map("m0_1", { "53": 1 })),
      ...frame(3, 0, 3, map("b0", { "3": 7 }), map("m0_0", { "53": 2 })),
    ];
    // The end of the first, the beginning of the second, both of them, the end of the last.
    for (const broken of [[3], [4], [3, 4], [11], [0, 8]]) {
      const reading = read(byPort);
      whole.forEach((line, i) => reading.line(broken.includes(i) ? "garbage" : line));
      reading.end();
      const counted = reading.ticks.flatMap(({ maps }) => maps[0]!.entries);
      expect([broken, sums(reading.ticks, "seen"), counted.reduce((sum, { n }) => sum + n, 0)])
        .toEqual([broken, 8, 8]);
      expect(sums(reading.ticks, "other") + sums(reading.ticks, "lost")).toBe(0);
    }
  });

  test("never makes counts by reason shrink", () => {
    const reading = read(byPort);
    frame(1, 0, 1, map("b0", { "3": 100 }), map("m0_0", { "53": 100 })).forEach(reading.line);
    frame(3, 0, 3, map("b0", { "3": 2 })).forEach(reading.line);
    frame(5, 0, 5, map("b0", { "3": 101 }), map("m0_0", { "53": 1 })).forEach(reading.line);
    expect(reading.ticks.map(({ seen, unreadable }) => [seen, unreadable]))
      .toEqual([[100, 0], [0, 1], [1, 0]]);
  });

  test("never makes a map's total shrink", () => {
    const reading = read(planOf({ where: { l4: "UDP" }, by: ["dport"] }));
    frame(1, 0, 1, map("b0", { "3": 5 }), map("t0_0", 5), map("m0_0", { "53": 5 }))
      .forEach(reading.line);
    frame(3, 0, 3, map("b0", { "3": 5 }), map("t0_0", 0)).forEach(reading.line);
    frame(5, 0, 5, map("b0", { "3": 6 }), map("t0_0", 6), map("m0_0", { "53": 1 }))
      .forEach(reading.line);
    expect(reading.ticks.map(({ counted, other, lost, unreadable }) => [
      counted,
      other,
      lost,
      unreadable,
    ])).toEqual([[5, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]]);
  });

  test("that begins no frame leaves what follows without a tick", () => {
    for (
      const begin of [
        "tick 1 2 1000 1000 1",
        "tick 1 x 1000 1000 1",
        "tick 1 0",
        "tick 1 0 1000",
        "tick 1 0 1000 1000",
        "tick 1 0 1000 1000 x",
        "tick 1 0 1000 1000 1 more",
      ]
    ) {
      const reading = read(byPort);
      [printf(begin), map("b2", { "3": 1 }), map("bx", { "3": 1 }), printf("end 1")]
        .forEach(reading.line);
      expect([begin, reading.ticks]).toEqual([begin, []]);
    }
  });

  test("of events that bpftrace itself lost is told", () => {
    const reading = read(byPort);
    reading.line('{"type": "lost_events", "data": {"events": 42}}');
    frame(1, 0, 1).forEach(reading.line);
    frame(2, 1, 2).forEach(reading.line);
    expect(reading.ticks.map(({ unreadable }) => unreadable)).toEqual([42, 0]);
  });

  test("before bpftrace is attached doesn't make it attached", () => {
    const reading = read(byPort);
    reading.line('{"type": "attached_probes", "data": {"probes": 2}}');
    reading.line("garbage");
    expect(reading.attached).toBe(0);
    frame(1, 0, 1).forEach(reading.line);
    frame(2, 1, 2).forEach(reading.line);
    expect(reading.attached).toBe(1);
  });
});

describe("what looks like another line", () => {
  const hostile = [
    'x"}}',
    '\n{"type": "map", "data": {"@b0": {"3": 1000000}}}',
    "53,80",
    "]: 9",
  ];

  test("is text in a key that holds integers only, and so is refused", () => {
    for (const name of hostile) {
      const reading = read(byPort);
      frame(1, 0, 1, map("b0", { "3": 5 }), map("m0_0", { "53": 5, [name]: 1 }))
        .forEach(reading.line);
      expect(entriesOf(reading.ticks[0])).toEqual([["53", [0], 5, 0]]);
      expect(reading.ticks[0]).toMatchObject({ seen: 5, unreadable: 1 });
    }
  });

  test("in a frame doesn't replace what the frame has said already", () => {
    const reading = read(byPort);
    const lines = frame(
      1,
      0,
      1,
      map("b0", { "3": 5 }),
      map("m0_0", { "53": 5 }),
      map("b0", { "3": 9 }),
      map("m0_0", { "53": 9 }),
    );
    lines.forEach(reading.line);
    expect(reading.ticks[0]!.seen).toBe(5);
    expect(entriesOf(reading.ticks[0])).toEqual([["53", [0], 5, 0]]);
  });
});

describe("the end of bpftrace", () => {
  test("gives the counts since the last tick, of both copies", () => {
    const reading = read(byPort);
    frame(1, 0, 1, map("b0", { "3": 5 }), map("m0_0", { "53": 5 })).forEach(reading.line);
    const dump = [
      map("b0", { "3": 5 }),
      map("b1", { "3": 2, "5": 1 }),
      map("e", 1),
      map("m0_1", { "53": 3 }),
      map("next", 5_000_000_000),
    ];
    dump.forEach(reading.line);
    reading.end();
    expect(reading.ticks).toHaveLength(2);
    expect(reading.ticks[1]).toMatchObject({ seen: 3, counted: 3 });
  });

  test("in the middle of a frame loses nothing and counts nothing twice", () => {
    const whole = [
      ...frame(1, 0, 1, map("b0", { "3": 5 }), map("m0_0", { "53": 5 })),
      ...frame(2, 1, 2, map("b1", { "3": 1, "5": 3 }), map("m0_1", { "53": 3, "80": 1 })),
    ];
    // The dump repeats what was printed, or shows it cleared; the other copy has new drops.
    const dumps = [
      [map("b0", { "3": 7 }), map("b1", { "3": 1, "5": 3 }), map("m0_0", { "80": 2 })],
      [
        map("b0", { "3": 7 }),
        map("b1", { "3": 1, "5": 3 }),
        map("m0_0", { "80": 2 }),
        map("m0_1", { "53": 3, "80": 1 }),
      ],
    ];
    for (const dump of dumps) {
      // Cut before the map by key only where the dump still has it.
      const first = dump.length === 4 ? 5 : 7;
      for (let cut = first; cut < whole.length; cut++) {
        const reading = read(byPort);
        [...whole.slice(0, cut), "", ...dump].forEach(reading.line);
        reading.end();
        expect([cut, sums(reading.ticks, "seen"), sums(reading.ticks, "counted")])
          .toEqual([cut, 11, 11]);
        const found = new Map<string, number>();
        for (const { key, n } of reading.ticks.flatMap(({ maps }) => maps[0]!.entries)) {
          found.set(key.text, (found.get(key.text) ?? 0) + n);
        }
        expect([...found].sort()).toEqual([["53", 8], ["80", 3]]);
      }
    }
  });

  test("makes lost what a line would have told that never came", () => {
    const reading = read(planOf({ where: { l4: "UDP" } }));
    frame(1, 0, 1, map("b0", { "3": 5 }), map("t0_0", 5)).forEach(reading.line);
    expect(reading.ticks[0]).toMatchObject({ counted: 5, lost: 0 });
    [map("b0", { "3": 6 }), map("t0_0", 6)].forEach(reading.line);
    reading.end();
    expect(reading.ticks[1]!.maps[0]!.lost).toBe(6);
  });

  test("without a drop since the last tick makes no tick", () => {
    const reading = read(byPort);
    frame(1, 0, 1, map("b0", { "3": 5 }), map("m0_0", { "53": 5 })).forEach(reading.line);
    [map("b0", { "3": 5 }), map("tick", 1)].forEach(reading.line);
    reading.end();
    expect(reading.ticks).toHaveLength(1);
  });
});

describe("what waits for TCP to send again", () => {
  const byRetransmitted = planOf({ where: { reason: "NO_SOCKET" }, by: ["retransmitted"] });
  /** A key of IPv4, port 1000 to 443, whose flow wasn't sent on before. */
  const flow = "0,-65536,0,-65536,1000,443";
  const dropped = (n: number, total = n): string[] => [
    map("b0", { "3": total }),
    map("m0_0", { [`${flow},0`]: n }),
  ];

  test("comes with what a later tick tells", () => {
    const reading = read(byRetransmitted);
    frame(1, 0, 1, ...dropped(5)).forEach(reading.line);
    frame(2, 1, 2, map("f1", { [flow]: 1 })).forEach(reading.line);
    expect(reading.ticks.map((tick) => entriesOf(tick))).toEqual([[], [["yes", [0], 5, 0]]]);
  });

  test("is handed on as it is when it is settled, in a tick that takes no time; once", () => {
    const reading = read(byRetransmitted);
    frame(1, 0, 1).forEach(reading.line);
    reading.now += 1000;
    frame(3, 0, 2, ...dropped(5)).forEach(reading.line);
    reading.now += 700;
    reading.missed = 7; // These are of the tick that has begun.
    reading.settle();
    reading.settle();
    expect(reading.ticks.map((tick) => entriesOf(tick))).toEqual([[], [], [["no", [0], 5, 0]]]);
    expect(reading.ticks.map(({ at, seconds, seen }) => [at, seconds, seen]))
      .toEqual([[1_000_000, 0, 0], [1_001_000, 1, 5], [1_001_000, 0, 0]]);
    expect(reading.boundaries.at(-1)).toBe(undefined);
    reading.end();
    expect(sums(reading.ticks, "seen")).toBe(12);
  });

  test("is nothing to settle where nothing waits", () => {
    const reading = read(byRetransmitted);
    frame(1, 0, 1).forEach(reading.line);
    reading.settle();
    expect(reading.ticks).toHaveLength(1);
  });

  test("is forgotten where it is somebody else's, and what comes then is not", () => {
    const reading = read(byRetransmitted);
    frame(1, 0, 1, ...dropped(5)).forEach(reading.line);
    reading.forgetWaiting();
    frame(3, 0, 3, ...dropped(2, 7)).forEach(reading.line);
    reading.settle();
    expect(reading.ticks.map((tick) => entriesOf(tick))).toEqual([[], [], [["no", [0], 2, 0]]]);
  });

  test("and a number that no line told yet is lost when it is settled, whichever copy it is of", () => {
    for (const copy of [0, 1]) {
      const reading = read(planOf({ where: { l4: "UDP" } }));
      frame(1, copy, 1, map(`b${copy}`, { "3": 5 }), map(`t0_${copy}`, 5)).forEach(reading.line);
      reading.settle();
      expect([copy, sums(reading.ticks, "counted"), reading.ticks.at(-1)!.maps[0]!.lost])
        .toEqual([copy, 5, 5]);
    }
  });
});

describe("a single drop", () => {
  const sampling = {
    ...planOf({}),
    samples: { fields: ["site", "dport", "stack"] as const, perTick: 5, predicate: [] },
  };

  test("is read with its fields, and its stack folded", () => {
    const reading = read(sampling);
    reading.line(printf("s -2000 53 \n  tcp_v4_rcv+5\n  entry+1\n"));
    frame(1, 0, 1).forEach(reading.line);
    frame(2, 1, 2).forEach(reading.line);
    expect(reading.ticks.map(({ samples }) => samples))
      .toEqual([[{ site: "tcp_v4_rcv", dport: "53", stack: "entry;tcp_v4_rcv" }], []]);
  });

  test("has its site from the stack where its location is plumbing", () => {
    const reading = read(sampling, { names: { ...world.names, site: () => "kfree_skb" } });
    reading.line(printf("s -2000 53 \n  kfree_skb+5\n  ip_rcv_core+1\n"));
    frame(1, 0, 1).forEach(reading.line);
    expect(reading.ticks[0]!.samples[0]!.site).toBe("ip_rcv_core");
  });

  test("that can't be read is none", () => {
    const reading = read(sampling);
    for (const text of ["s -2000", "s", "s x 53 \n f+1\n", "s -2000 5e3 \n", "s  53 \n"]) {
      reading.line(printf(text));
    }
    frame(1, 0, 1).forEach(reading.line);
    expect(reading.ticks[0]).toMatchObject({ samples: [], unreadable: 5 });
  });

  test("that nobody asked for can't be read either", () => {
    const reading = read(byPort);
    reading.line(printf("s -2000 53"));
    frame(1, 0, 1).forEach(reading.line);
    expect(reading.ticks[0]).toMatchObject({ samples: [], unreadable: 1 });
  });
});

/**
 * A program that counts as the real one: two copies in turn, counts by reason that only grow, keys
 * that are cleared, a map with room for `room` keys.
 */
class Program {
  readonly plan: Plan = planOf(
    { by: ["dport"] },
    { where: { l4: "UDP" }, by: ["cpu"] },
    { where: { l4: "UDP" } },
  );
  /** All drops, and those that belong to each map. */
  readonly truth: { all: number; maps: number[] } = { all: 0, maps: [0, 0, 0] };
  readonly #room: number;
  readonly #reasons = [new Map<string, number>(), new Map<string, number>()] as const;
  readonly #totals: readonly [number[], number[]] = [[0, 0, 0], [0, 0, 0]];
  readonly #keys = [
    [new Map<string, number>(), new Map<string, number>()],
    [new Map<string, number>(), new Map<string, number>()],
  ] as const;
  #copy: 0 | 1 = 0;
  #tick = 0;

  constructor(room: number) {
    this.#room = room;
  }

  drop(reason: number, udp: boolean, dport: number, cpu: number): void {
    const copy = this.#copy;
    const add = (into: Map<string, number>, key: number, room = Infinity): void => {
      const before = into.get(String(key));
      if (before !== undefined || into.size < room) into.set(String(key), (before ?? 0) + 1);
    };
    this.truth.all++;
    add(this.#reasons[copy], reason);
    const belongs = [true, udp, udp];
    belongs.forEach((yes, id) => {
      if (!yes) return;
      this.truth.maps[id]!++;
      this.#totals[copy][id]!++;
    });
    add(this.#keys[copy][0], dport, this.#room);
    if (udp) add(this.#keys[copy][1], cpu, this.#room);
  }

  #print(copy: 0 | 1): string[] {
    const keys = (id: 0 | 1): string[] =>
      this.#keys[copy][id].size === 0
        ? []
        : [map(`m${id}_${copy}`, Object.fromEntries(this.#keys[copy][id]))];
    return [
      map(`b${copy}`, Object.fromEntries(this.#reasons[copy])),
      ...keys(0),
      map(`t1_${copy}`, this.#totals[copy][1]),
      ...keys(1),
      map(`t2_${copy}`, this.#totals[copy][2]),
      ...(this.#totals[copy][2] === 0 ? [] : [map(`m2_${copy}`, this.#totals[copy][2])]),
    ];
  }

  tick(): string[] {
    const copy = this.#copy;
    this.#copy = copy === 0 ? 1 : 0;
    const lines = frame(++this.#tick, copy, this.#tick, ...this.#print(copy));
    for (const keys of this.#keys[copy]) keys.clear();
    return lines;
  }

  end(): string[] {
    return [...this.#print(0), ...this.#print(1)];
  }
}

/** Breaks lines as a full pipe, a crash or a bug could. */
function breakSome(random: Random, lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    switch (random.int(0, 24)) {
      case 0:
        return [];
      case 1:
        return [line.slice(0, random.int(0, line.length))];
      case 2:
        return ["garbage", line];
      case 3:
        return [line.replace(/[{}]/, "")];
      default:
        return [line];
    }
  });
}

describe("whatever is lost on the way", () => {
  test("seen = counted + other + lost at every tick, no drop is forgotten, none comes twice", () => {
    const random = randomFrom(41);
    for (let round = 0; round < 400; round++) {
      const program = new Program(random.int(1, 6));
      const reading = read(program.plan);
      for (let tick = random.int(1, 8); tick > 0; tick--) {
        for (let i = random.int(0, 30); i > 0; i--) {
          program.drop(random.int(2, 6), random.chance(0.5), random.int(1, 8), random.int(0, 3));
        }
        if (random.chance(0.1)) reading.missed += random.int(1, 5);
        for (const line of breakSome(random, program.tick())) reading.line(line);
      }
      program.end().forEach(reading.line);
      reading.end();
      for (const { seen, counted, other, lost, maps } of reading.ticks) {
        expect(counted + other + lost).toBe(seen);
        expect(Math.min(counted, other, lost)).toBeGreaterThanOrEqual(0);
        for (const each of maps) expect(Math.min(each.other, each.lost)).toBeGreaterThanOrEqual(0);
      }
      // What the kernel kept from the probe since the last line is told by the next one.
      expect(sums(reading.ticks, "seen") - program.truth.all).toBeLessThanOrEqual(reading.missed);
      expect(sums(reading.ticks, "seen")).toBeGreaterThanOrEqual(program.truth.all);
      program.truth.maps.forEach((belongs, id) => {
        const told = reading.ticks.reduce((sum, { maps }) => {
          const { entries, other, lost } = maps[id]!;
          return sum + other + lost + entries.reduce((n, entry) => n + entry.n, 0);
        }, 0);
        expect([round, id, told]).toEqual([round, id, belongs]);
      });
    }
  });

  test("nothing is other or lost where nothing was lost and every key had room", () => {
    const random = randomFrom(42);
    for (let round = 0; round < 100; round++) {
      const program = new Program(100);
      const reading = read(program.plan);
      for (let tick = random.int(1, 6); tick > 0; tick--) {
        for (let i = random.int(0, 30); i > 0; i--) {
          program.drop(random.int(2, 6), random.chance(0.5), random.int(1, 8), random.int(0, 3));
        }
        program.tick().forEach(reading.line);
      }
      program.end().forEach(reading.line);
      reading.end();
      for (const { seen, counted, unreadable } of reading.ticks) {
        expect([counted, unreadable]).toEqual([seen, 0]);
      }
      expect(sums(reading.ticks, "seen")).toBe(program.truth.all);
    }
  });
});

describe("a map that several key sets share", () => {
  // Both in @k0, the first's class as 1, the second's as 2; @k1 has the totals' sets, one without a key.
  const plan = planOf(
    { by: ["dport"] },
    { by: ["sport"] },
    ...[53, 80].map((dport) => ({ where: { dport }, by: ["len"] as const })),
    { where: { l4: "UDP" } },
  );
  const reading = (): Reading => read(plan, { mostMaps: 20 });

  test("is read as if each had one to itself", () => {
    const layout = makeLayout(plan, 20);
    expect(
      layout.shared.map(({ sharers }) =>
        sharers.map(({ map, after, padding }) => [map.id, after, padding])
      ),
    ).toEqual([[[0, 0, 0], [1, 1, 0], [2, 2, 0], [3, 4, 1]]]);
    const run = reading();
    const lines = [
      map("t0", { "2": 5, "3": 9 }),
      map("b0", { "3": 20 }),
      map("k0_0", { "1,53": 12, "1,80": 8, "2,40000": 20, "3,60": 3, "4,60": 2, "5,0": 9 }),
    ];
    frame(1, 0, 1, ...lines).forEach(run.line);
    const [tick] = run.ticks;
    expect(entriesOf(tick, 0)).toEqual([["53", [0], 12, 0], ["80", [0], 8, 0]]);
    expect(entriesOf(tick, 1)).toEqual([["40000", [1], 20, 0]]);
    expect(entriesOf(tick, 2)).toEqual([["60", [2], 3, 0], ["60", [3], 2, 0]]);
    expect(entriesOf(tick, 3)).toEqual([["", [4], 9, 0]]);
    expect([tick!.seen, tick!.counted, tick!.other, tick!.lost, tick!.unreadable])
      .toEqual([20, 20, 0, 0, 0]);
    // What had no key of its own is cleared now: the next tick's number is its own, not a sum.
    frame(
      2,
      0,
      2,
      map("t0", { "2": 5, "3": 10 }),
      map("b0", { "3": 21 }),
      map("k0_0", {
        ...{ "1,53": 1, "2,40000": 1, "5,0": 1 },
      }),
    ).forEach(run.line);
    expect(entriesOf(run.ticks[1], 3)).toEqual([["", [4], 1, 0]]);
    expect(run.ticks[1]!.counted).toBe(1);
  });

  test("is lost for all of them where its line is, and other for those whose keys had no room", () => {
    const run = reading();
    const totals = map("t0", { "2": 5, "3": 9 });
    frame(1, 0, 1, totals, map("b0", { "3": 20 })).forEach(run.line);
    expect(run.ticks[0]!.maps.map(({ lost }) => lost)).toEqual([20, 20, 5, 9]);
    frame(2, 1, 2, map("t1", {}), map("b1", { "3": 20 }), map("k0_1", { "1,53": 20, "2,1": 5 }))
      .forEach(run.line);
    expect(run.ticks[1]!.maps.map(({ other }) => other)).toEqual([0, 15, 0, 0]);
    expect(run.ticks[1]!.maps.map(({ lost }) => lost)).toEqual([0, 0, 0, 0]);
  });

  test("may hold nothing that is nobody's", () => {
    for (const key of ["0,53", "6,53", "", "x,1", "1", "1,", "1,2,3", "-1,53"]) {
      const run = reading();
      frame(1, 0, 1, map("b0", { "3": 1 }), map("k0_0", { [key]: 1 })).forEach(run.line);
      expect([key, run.ticks[0]!.unreadable]).toEqual([key, 1]);
    }
  });
});

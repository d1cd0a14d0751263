// The kernel's counters beside our counts: what agrees, what doesn't, and over which time.
import { describe, expect, test } from "bun:test";
import { crossCheckLog } from "./cross_check.ts";
import type { CrossCheck } from "./cross_check.ts";
import type { Tick } from "./tick.ts";

const names = new Map([[3, "NO_SOCKET"], [6, "SOCKET_RCVBUFF"], [8, "TCP_CSUM"], [9, "OTHERHOST"]]);
const nameOf = (reason: number): string => names.get(reason) ?? "";

function tick(
  at: number,
  reasons: [number, number][],
  counters?: Record<string, Record<string, number>>,
  more: Partial<Tick> = {},
): Tick {
  return {
    at,
    seconds: 1,
    seen: 0,
    counted: 0,
    other: 0,
    lost: 0,
    reasons: new Map(reasons),
    maps: [],
    samples: [],
    unreadable: 0,
    counters: counters && {
      delay: 0,
      grown: new Map(
        Object.entries(counters).map(([netns, grown]) => [netns, new Map(Object.entries(grown))]),
      ),
    },
    ...more,
  };
}

describe("the cross-check", () => {
  test("adds up namespaces and families over the window, and tells where they grew", () => {
    const log = crossCheckLog(() => 10_000, nameOf);
    log.add(tick(1000, [[8, 50]], { "1": { TcpInCsumErrors: 50 }, "2": {} }));
    log.add(
      tick(2000, [[8, 300]], { "1": { TcpInCsumErrors: 250 }, "2": { TcpInCsumErrors: 100 } }),
    );
    log.add(tick(3000, [], { "1": { TcpInCsumErrors: 250 }, "2": { TcpInCsumErrors: 100 } }));
    expect(log.of(["TCP_CSUM", "OTHERHOST", "toString"], 1000)).toEqual([{
      reason: "TCP_CSUM",
      counted: 300,
      kernel: 300,
      agrees: true,
      seconds: 2,
      names: ["TcpInCsumErrors"],
      less: [],
      grew: [
        { netns: "1", name: "TcpInCsumErrors", by: 200 },
        { netns: "2", name: "TcpInCsumErrors", by: 100 },
      ],
      note: "",
    }]);
  });

  test("says a disagreement either way, unless one side is known to count less", () => {
    const check = (reason: number, drops: number, counter: string, grown: number): boolean => {
      const log = crossCheckLog(() => 10_000, nameOf);
      log.add(tick(1000, [], { "1": {} }));
      log.add(tick(2000, [[reason, drops]], { "1": { [counter]: grown } }));
      log.add(tick(3000, [], { "1": { [counter]: grown } }));
      return log.of([nameOf(reason)], 1000)[0]!.agrees;
    };
    expect(check(8, 300, "TcpInCsumErrors", 299)).toBe(false);
    expect(check(8, 299, "TcpInCsumErrors", 300)).toBe(false);
    // TCP's closed ports are in no counter, UDP's are in one.
    expect(check(3, 300, "UdpNoPorts", 200)).toBe(true);
    expect(check(3, 200, "UdpNoPorts", 300)).toBe(false);
  });

  test("allows for what came between a tick and the reading, and for no more", () => {
    const log = crossCheckLog(() => 10_000, nameOf);
    log.add(tick(1000, [], { "1": {} }));
    // 100,000/s for 5 ms and 15 ms of delay: 2,000 may be in the counter already.
    const late = tick(2000, [[8, 100_000]], { "1": { TcpInCsumErrors: 101_900 } });
    log.add({ ...late, counters: { ...late.counters!, delay: 15 } });
    expect(log.of(["TCP_CSUM"], 1000)).toMatchObject([{ agrees: true, kernel: 101_900 }]);
    const more = tick(3000, [[8, 100_000]], { "1": { TcpInCsumErrors: 210_000 } });
    log.add(more);
    expect(log.of(["TCP_CSUM"], 1000)).toMatchObject([{ agrees: false }]);
  });

  test("doubts what a namespace had counted when it was first seen, and nothing after that", () => {
    const check = (counted: number, ...later: number[]): unknown => {
      const log = crossCheckLog(() => 10_000, nameOf);
      log.add(tick(1000, [], { "1": {} }));
      later.forEach((grown, i) => {
        const reasons: [number, number][] = i === 0 ? [[8, counted]] : [];
        log.add(tick(2000 + 1000 * i, reasons, { "1": {}, "2": { TcpInCsumErrors: grown } }));
      });
      const [{ agrees, note, kernel }] = log.of(["TCP_CSUM"], 1000) as [CrossCheck];
      return [agrees, kernel, note.includes("new here")];
    };
    expect(check(300, 300, 300)).toEqual([true, 300, true]);
    expect(check(300, 5000, 5000)).toEqual([true, 5000, true]);
    expect(check(300, 5000, 5400)).toEqual([false, 5400, true]);
    expect(check(300, 200, 200)).toEqual([false, 200, true]);
  });

  test("covers the window, or the little that there is; nothing is compared across a gap", () => {
    const log = crossCheckLog(() => 2000, nameOf);
    log.add(tick(1000, [[6, 1]], { "1": { UdpRcvbufErrors: 1 } }));
    expect(log.of(["SOCKET_RCVBUFF"], 0)).toEqual([]);
    for (let i = 2; i < 9; i++) log.add(tick(1000 * i, [[6, 1]], { "1": { UdpRcvbufErrors: i } }));
    expect(log.of(["SOCKET_RCVBUFF"], 6000)).toMatchObject([{ counted: 2, kernel: 2, seconds: 2 }]);
    // Ticks without a reading belong to the next one.
    log.add(tick(9000, [[6, 7]]));
    log.add(tick(10_000, [[6, 1]], { "1": { UdpRcvbufErrors: 16 } }));
    expect(log.of(["SOCKET_RCVBUFF"], 8000)).toMatchObject([{
      counted: 8,
      kernel: 8,
      agrees: true,
    }]);
    log.add(tick(11_000, [], undefined, { gap: { seconds: 1, why: "", over: true } }));
    log.add(tick(12_000, [[6, 1]], { "1": { UdpRcvbufErrors: 5000 } }));
    expect(log.of(["SOCKET_RCVBUFF"], 10_000)).toEqual([]);
    log.add(tick(13_000, [[6, 2]], { "1": { UdpRcvbufErrors: 5002 } }));
    expect(log.of(["SOCKET_RCVBUFF"], 11_000)).toMatchObject([{ counted: 2, kernel: 2 }]);
  });
});

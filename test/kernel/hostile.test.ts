// A task's name is chosen by strangers. It must neither forge a count or a line, nor reach a
// terminal raw.
import { describe, expect } from "bun:test";
import { startTraffic } from "../traffic/traffic.ts";
import { kernelTest, observe, startDropwatch, withBpftrace } from "./machine.ts";

const encoder = new TextEncoder();

/** Names of at most 15 bytes, as the kernel has them. */
const names: readonly Uint8Array[] = [
  encoder.encode("a\nend 1\nb"),
  encoder.encode('q",]: 9'),
  encoder.encode("x]: 9, y"),
  encoder.encode("\x1b[31mred\x07"),
  encoder.encode("a\\n\\\\x41"),
  encoder.encode('{"type":"map"}'),
  encoder.encode("grüße ✓"),
  encoder.encode("1,2,3,4"),
  new Uint8Array([0xff, 0xfe, 0x80, 0x61]),
  new Uint8Array([0xc2, 0x9b, 0x33, 0x31, 0x6d]), // CSI as one C1 character
];

describe("hostile names", () => {
  kernelTest("each name keeps its own count, whatever is in it", async () => {
    const seen = await observe({
      counts: [
        { where: { reason: "SOCKET_FILTER" }, by: ["comm"] },
        { where: { reason: "SOCKET_FILTER", comm: 'q",]: 9' }, by: [] },
      ],
      samples: { fields: ["reason", "comm"], perTick: 1000 },
    }, async () => {
      for (const [i, comm] of names.entries()) {
        const traffic = await startTraffic("socket-filter", { count: 100 + i, comm });
        traffic.go();
        await traffic.done;
      }
    });
    const expected = names.map((comm, i): [string, number] => [
      new TextDecoder().decode(comm),
      100 + i,
    ]);
    expect([...seen.of(0)].sort()).toEqual(expected.sort());
    expect(seen.of(1).get("")).toBe(101);
    const sampled = new Set(
      seen.samples.filter(({ reason }) => reason === "SOCKET_FILTER").map(({ comm }) => comm),
    );
    for (const [name] of expected) expect(sampled.has(name)).toBe(true);
  });

  kernelTest("no name reaches a terminal raw", async () => {
    const tail = startDropwatch(["tail", "--limit", "1000", ...withBpftrace]);
    await tail.attached;
    for (const comm of names) {
      const traffic = await startTraffic("socket-filter", { count: 3, comm });
      traffic.go();
      await traffic.done;
    }
    const ofTheLast = (): string[] => tail.out.filter((line) => /\\xc2\\x9b|\\x9b31m/.test(line));
    await tail.line(() => ofTheLast().length === 3);
    expect(await tail.stop()).toBe(0);
    for (const line of [...tail.out, ...tail.err]) {
      // deno-lint-ignore no-control-regex
      expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
    }
    const drops = tail.out.filter((line) => line.includes("SOCKET_FILTER"));
    expect(drops.length).toBeGreaterThanOrEqual(3 * names.length);
  });
});

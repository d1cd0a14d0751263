// What is special to stdout; what every sink promises is in test/contract/sink.test.ts.
import { describe, expect, test } from "bun:test";
import { stripVTControlCharacters } from "node:util";
import { alertOf, hostileNames, rawControl } from "../../test/alert.ts";
import { sinkContract } from "../../test/contract/sink.ts";
import type { SinkUnderTest } from "../../test/contract/sink.ts";
import { sinkOf } from "../../test/sink.ts";
import { showAlert, stdoutSink } from "./stdout.ts";

const onTerminal = (json: boolean) => (): Promise<SinkUnderTest> => {
  const written: string[] = [];
  const out = (text: string): void => void written.push(`${text}\n`);
  return Promise.resolve({ sink: sinkOf("stdout", { json, out }), received: () => written });
};

sinkContract("stdout for people", { setUp: onTerminal(false) });
sinkContract("stdout in JSON", { setUp: onTerminal(true), read: (text) => JSON.parse(text) });

describe("stdout in JSON", () => {
  const printed = async (comm: string): Promise<string> => {
    const written: string[] = [];
    const sink = stdoutSink({ json: true, write: (text) => written.push(text) });
    const signal = new AbortController().signal;
    await sink.send(alertOf({ labels: { comm } }), { id: "msg_1", signal });
    return written.join("");
  };

  test("writes an object a line, and nothing but ASCII where a terminal could be fooled", async () => {
    for (const comm of hostileNames) {
      const text = await printed(comm);
      expect(text).toMatch(/^\{[^\n]*\}\n$/);
      expect(text.slice(0, -1)).not.toMatch(rawControl);
    }
  });

  test("keeps a name as it is for who reads it", async () => {
    const comm = "\x1b[31m\u009b\u202e€";
    const text = await printed(comm);
    expect(JSON.parse(text).data.labels.comm).toBe(comm);
    expect(text).toContain("€");
  });
});

describe("an alert for people", () => {
  test("says when, what, how bad, which labels, and the numbers", () => {
    expect(showAlert(alertOf(), false)).toBe(
      "03:04:05 FIRING   SocketFilterDrops warning  a socket refuses packets\n" +
        "         ownerInode=4711  value 250.5  peak 300  12,345 drops",
    );
  });

  test("that is resolved says after how long", () => {
    const text = showAlert(alertOf({ endsAt: "2026-01-02T03:09:05.000Z", value: 0 }), false);
    expect(text).toContain("03:09:05 RESOLVED SocketFilterDrops");
    expect(text).toContain("after 5m");
  });

  test("has its description and its runbook while it fires, not when it is over", () => {
    const annotations = { summary: "s", description: "look there", runbook: "https://x.example/" };
    const firing = showAlert(alertOf({ annotations }), false);
    expect(firing).toContain("look there");
    expect(firing).toContain("https://x.example/");
    const resolved = showAlert(alertOf({ annotations, endsAt: "2026-01-02T03:09:05.000Z" }), false);
    expect(resolved).not.toContain("look there");
  });

  test("sets the kernel's counters beside ours, and says where they disagree", () => {
    const check = {
      reason: "NO_SOCKET",
      counted: 300,
      kernel: 300,
      agrees: true,
      seconds: 10,
      names: ["UdpNoPorts"],
      less: [] as string[],
      grew: [{ netns: "1", name: "UdpNoPorts", by: 300 }],
      note: "the kernel counts closed UDP ports only",
    };
    const show = (more: Partial<typeof check>): string => {
      const evidence = {
        kept: 1,
        ownerKnown: false,
        owners: [],
        site: "f",
        at: "f+0x1",
        source: "",
        flows: [],
        stacks: [],
        listeners: [],
        reasons: [],
        tcp: { kept: 0, retransmitted: 0 },
        counters: [{ ...check, ...more }],
      };
      return showAlert(alertOf({ evidence }), false).split("\n").at(-1)!.trim();
    };
    expect(show({ less: ["UdpMemErrors"] })).toBe(
      "NO_SOCKET on this machine: 300 counted, 300 by the kernel's own count " +
        "(UdpNoPorts − UdpMemErrors)",
    );
    expect(show({ kernel: 100 })).toBe(
      "NO_SOCKET on this machine: 300 counted, 100 by the kernel's own count (UdpNoPorts) " +
        "(the kernel counts closed UDP ports only)",
    );
    expect(show({ kernel: 0, agrees: false, names: [], note: "" })).toBe(
      "DISAGREES: NO_SOCKET on this machine: 300 counted, 0 by the kernel's own count",
    );
  });

  test("shows a label that is empty as one", () => {
    expect(showAlert(alertOf({ labels: { dev: "" } }), false)).toContain('dev=""');
  });

  test("has the same text in colour as without", () => {
    for (
      const alert of [alertOf(), alertOf({ endsAt: "2026-01-02T03:09:05.000Z", exact: false })]
    ) {
      const coloured = showAlert(alert, true);
      expect(coloured).toContain("\x1b[");
      expect(stripVTControlCharacters(coloured)).toBe(showAlert(alert, false));
    }
  });

  test("has no colours but its own: a hostile name adds none", () => {
    const plain = showAlert(alertOf({ labels: { comm: "x" } }), true).split("\x1b").length;
    for (const comm of hostileNames) {
      expect(showAlert(alertOf({ labels: { comm } }), true).split("\x1b")).toHaveLength(plain);
    }
  });
});

test("an alert about dropwatch itself tells how often, and not of drops", () => {
  const text = (total: number): string =>
    stripVTControlCharacters(showAlert(alertOf({ of: "health", total }), false));
  expect(text(3)).toContain("  3 times");
  expect(text(1)).toContain("  1 time");
  expect(text(3)).not.toContain("drops");
});

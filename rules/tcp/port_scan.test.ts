import { ruleTest } from "dropwatch/test";
import type { Given } from "dropwatch/test";
import rule from "./port_scan.ts";

const drop = { reason: "NO_SOCKET", l4: "TCP", tcpFlags: "SYN", saddr: "203.0.113.7" } as const;

/** One packet to each of so many ports, two each second. */
const scan = (ports: number, given: Readonly<Record<string, string>> = {}): Given[] =>
  Array.from({ length: ports }, (_, i) => ({
    at: `${1 + Math.floor(i / 2)}s` as const,
    drop: { ...drop, ...given, dport: 1000 + i },
    count: 1,
  }));

ruleTest(rule, [
  {
    name: "fires with the 101st port of a minute, and tells the most there were",
    given: scan(104),
    expect: [
      { at: "50s", state: "inactive" },
      { at: "51s", state: "firing", labels: { saddr: "203.0.113.7" }, value: 102 },
      {
        at: "1m20s",
        state: "firing",
        peak: 104,
        summary: "203.0.113.7 tried 104 closed TCP ports in a minute",
      },
    ],
  },
  {
    name: "leaves a hundred ports alone, many packets for one, and answers to clients' ports",
    given: [
      ...scan(100),
      { from: 0, to: "1m", drop: { ...drop, saddr: "203.0.113.8", dport: 23 }, rate: 300 },
      ...scan(300, { tcpFlags: "RST", saddr: "203.0.113.9" }),
    ],
    expect: [{ at: "55s", state: "inactive" }, { at: "3m", state: "inactive" }],
  },
  {
    name: "is resolved ten minutes after the scan",
    given: scan(104),
    // Ten ports are left in the window at 1m47s.
    expect: [{ at: "11m45s", state: "firing" }, { at: "11m46s", state: "inactive" }],
  },
]);

import { describe, expect, test } from "bun:test";
import { hostileNames, rawControl } from "../../test/alert.ts";
import type { Evidence } from "./alert.ts";
import { evidenceLines } from "./evidence_text.ts";

const flow = {
  l4: "UDP",
  saddr: "192.0.2.1",
  sport: "4000",
  daddr: "192.0.2.2",
  dport: "53",
  dev: "eth0",
  drops: 7,
};
const check = {
  reason: "SOCKET_RCVBUFF",
  counted: 1200,
  kernel: 1200,
  agrees: true,
  seconds: 10,
  names: ["UdpRcvbufErrors"],
  less: [],
  grew: [],
  note: "",
};

describe("evidence", () => {
  test("that isn't there has no lines", () => {
    expect(evidenceLines({})).toEqual([]);
    expect(evidenceLines({ site: "tcp_v4_rcv" })).toEqual([]);
  });

  test("of which nothing was kept has what is known nevertheless", () => {
    expect(evidenceLines({ kept: 0, site: "", counters: [check] }))
      .toEqual([
        "SOCKET_RCVBUFF on this machine: 1,200 counted, 1,200 by the kernel's own count (UdpRcvbufErrors)",
      ]);
  });

  test("says where in the kernel, which packets, whose socket, who listened, in this order", () => {
    const evidence: Evidence = {
      kept: 9,
      site: "udp_queue_rcv_one_skb",
      at: "udp_queue_rcv_one_skb+0x1f",
      source: "https://elixir.bootlin.com/x",
      flows: [flow, { ...flow, drops: 1 }],
      owners: [{ owner: "named", pid: "77", drops: 7 }, { owner: "other", pid: "78", drops: 2 }],
      listeners: [{
        l4: "UDP",
        port: "53",
        netns: "1",
        owner: "named",
        pid: "77",
        lastSeen: "2026-01-02T03:04:05.000Z",
      }],
      tcp: { kept: 4, retransmitted: 3 },
      counters: [check],
    };
    expect(evidenceLines(evidence)).toEqual([
      "in udp_queue_rcv_one_skb+0x1f  https://elixir.bootlin.com/x",
      "UDP 192.0.2.1:4000 → 192.0.2.2:53  (dev eth0, 7 of 9 that were kept)",
      "socket of named, process 77",
      "UDP port 53 was named's (process 77) until 03:04:05",
      "TCP sent again on the flow after 3 of 4 drops that were kept",
      "SOCKET_RCVBUFF on this machine: 1,200 counted, 1,200 by the kernel's own count (UdpRcvbufErrors)",
    ]);
  });

  test("names the function where it isn't known where in it", () => {
    expect(evidenceLines({ kept: 1, site: "tcp_v4_rcv", at: "" })).toEqual(["in tcp_v4_rcv"]);
    expect(evidenceLines({ kept: 1, site: "", at: "" })).toEqual([]);
  });

  test("puts an address with colons in brackets, and leaves out what isn't known", () => {
    const of = (parts: Partial<typeof flow>): string[] =>
      evidenceLines({ kept: 9, flows: [{ ...flow, ...parts }] });
    expect(of({ saddr: "2001:db8::1", daddr: "::1", dev: "" }))
      .toEqual(["UDP [2001:db8::1]:4000 → [::1]:53  (7 of 9 that were kept)"]);
    expect(of({ l4: "ICMP", sport: "", dport: "" }))
      .toEqual(["ICMP 192.0.2.1 → 192.0.2.2  (dev eth0, 7 of 9 that were kept)"]);
    expect(of({ saddr: "" })).toEqual([]);
  });

  test("doesn't speak of TCP where none of its drops was kept, nor of a listener's unknown name", () => {
    expect(evidenceLines({ kept: 1, tcp: { kept: 0, retransmitted: 0 } })).toEqual([]);
    const listener = {
      l4: "TCP",
      port: "80",
      netns: "1",
      owner: "",
      pid: "5",
      lastSeen: "2026-01-02T03:04:05Z",
    };
    expect(evidenceLines({ kept: 1, listeners: [listener] }))
      .toEqual(["TCP port 80 was somebody's (process 5) until 03:04:05"]);
  });

  test("says loudly where the kernel counts otherwise, and what explains it", () => {
    const lines = evidenceLines({
      kept: 1,
      counters: [
        { ...check, kernel: 900, agrees: false },
        { ...check, kernel: 1300, names: ["A", "B"], less: ["C"], note: "IPv6 is in none" },
        { ...check, names: [] },
      ],
    });
    const counted = "SOCKET_RCVBUFF on this machine: 1,200 counted,";
    expect(lines).toEqual([
      `DISAGREES: ${counted} 900 by the kernel's own count (UdpRcvbufErrors)`,
      `${counted} 1,300 by the kernel's own count (A + B − C) (IPv6 is in none)`,
      `${counted} 1,200 by the kernel's own count`,
    ]);
  });

  test("is safe to print, whatever a process or a device is called", () => {
    for (const name of hostileNames) {
      const lines = evidenceLines({
        kept: 1,
        site: name,
        flows: [{ ...flow, dev: name }],
        owners: [{ owner: name, pid: "1", drops: 1 }],
        listeners: [{ l4: "TCP", port: "1", netns: "", owner: name, pid: "1", lastSeen: name }],
      });
      expect(lines).toHaveLength(4);
      for (const line of lines) expect(line).not.toMatch(rawControl);
    }
  });
});

// Which drops TCP notices: those that it sends again after, told by the second probe.
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect } from "bun:test";
import { withNamespaces } from "../../plugins/doctor/namespaces.ts";
import type { Side } from "../../plugins/doctor/namespaces.ts";
import { makeFolder } from "../folder.ts";
import type { Folder } from "../folder.ts";
import { startTraffic } from "../traffic/traffic.ts";
import { kernelTest, startDropwatch, withBpftrace } from "./machine.ts";

let folder: Folder;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => folder.remove());

const rules = `import { drops, rule } from "dropwatch";
const refused = drops.where({ reason: "NETFILTER_DROP", l4: "TCP" });
export default [
  rule({ alert: "By", when: refused.by("retransmitted", "dport").count("1m").above(0) }),
  rule({
    alert: "Lost",
    when: refused.where({ retransmitted: "yes" }).by("dport").count("1m").above(0),
  }),
  rule({ alert: "Evidence", when: refused.by("dport").count("30s").above(0), for: "4s" }),
];
`;

/** Connects with a SYN that is dropped, and waits until TCP has sent it once more, after a second. */
function connectInVain(from: Side, to: string, port: number): Promise<void> {
  const command = ["timeout", "1.5", "bash", "-c", `exec 3<>/dev/tcp/${to}/${port}`];
  const child = spawn("nsenter", [`--net=${from.netns}`, ...command], { stdio: "ignore" });
  return new Promise((resolve) => child.on("close", () => resolve()));
}

const refuse = `
  table inet dw_drop {
    chain input {
      type filter hook input priority 0
      tcp dport { 9, 10 } drop
    }
  }`;

describe("whether TCP sent again", () => {
  kernelTest("is known of each drop, for both families, in rules and in evidence", async () => {
    await folder.write("rules.ts", rules);
    const watch = startDropwatch(["--rules", folder.path, "--json", ...withBpftrace]);
    await watch.attached;
    await withNamespaces(async (namespaces) => {
      const { a, b } = namespaces;
      namespaces.nft(b, refuse);
      for (const [family, to] of [[4, b.v4], [6, b.v6]] as const) {
        // Each gives up at once: nothing is sent again.
        const given = await startTraffic("tcp-connect", {
          count: 20,
          netns: a.netns,
          address: to,
          port: 10,
          family,
        });
        given.go();
        await given.done;
        await given.stop();
        await Promise.all(Array.from({ length: 5 }, () => connectInVain(a, to, 9)));
      }
      await sleep(4500);
    });
    expect(await watch.stop()).toBe(0);
    const told = watch.out.map((line) => JSON.parse(line));
    const totals = Object.fromEntries(
      told.at(-1).data.rules.map((rule: { alert: string; total: number }) => [
        rule.alert,
        rule.total,
      ]),
    );
    // 40 that gave up; 10 that were dropped, sent again, and dropped again.
    const { other, lost, seen, counted } = told.at(-1).data;
    expect(seen).toBe(counted + other + lost);
    // All of them, but for those of which it says that they aren't under their key.
    for (const [alert, n] of [["By", 60], ["Lost", 10], ["Evidence", 60]] as const) {
      expect(totals[alert]).toBeLessThanOrEqual(n);
      expect(totals[alert]).toBeGreaterThanOrEqual(n - other - lost);
    }
    const fired = told.filter(({ type }) => type === "alert.firing").map(({ data }) => data);
    const seriesOf = (alert: string): string[] =>
      fired.filter((data) => data.alert === alert)
        .map(({ labels }) => [labels.dport, labels.retransmitted].join(" ").trim()).sort();
    expect(seriesOf("By")).toEqual(["10 no", "9 no", "9 yes"]);
    expect(seriesOf("Lost")).toEqual(["9"]);
    const tcpOf = (port: string): unknown =>
      fired.find(({ alert, labels }) => alert === "Evidence" && labels.dport === port).evidence.tcp;
    expect(tcpOf("10")).toEqual({ kept: 40, retransmitted: 0 });
    expect(tcpOf("9")).toEqual({ kept: 20, retransmitted: 10 });
  });
});

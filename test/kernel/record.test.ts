// A recording of real drops: rules over it find what was sent, as they would have then.
import { afterEach, beforeEach, describe, expect } from "bun:test";
import { spawn } from "node:child_process";
import { readFile, stat, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { AlertData } from "../../core/alert/alert.ts";
import type { AlertEvidence } from "../../core/watch/evidence.ts";
import type { RunSummary } from "../../core/pipeline.ts";
import { withNamespaces } from "../../plugins/doctor/namespaces.ts";
import { makeFolder } from "../folder.ts";
import type { Folder } from "../folder.ts";
import { startTraffic } from "../traffic/traffic.ts";
import { kernelTest, startDropwatch, withBpftrace } from "./machine.ts";
import type { Running } from "./machine.ts";

let folder: Folder;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => folder.remove());

const rules = `
import { drops, rule } from "dropwatch";
export default [
  rule({
    alert: "Refused",
    when: drops.where({ reason: "SOCKET_FILTER", l4: "UDP" }).by("ownerPort", "owner").count("1m").above(100),
  }),
  rule({
    alert: "Bytes",
    when: drops.where({ reason: "SOCKET_FILTER" }).by("owner").sum("len", "1m").above(100),
  }),
];
`;

/** Sends to a socket that refuses all, while `record` runs. */
async function recordTraffic(
  file: string,
  options: readonly string[],
  count: number,
): Promise<{ record: Running; sent: number; port: string }> {
  const record = startDropwatch(["record", file, "--json", ...options, ...withBpftrace]);
  await record.attached;
  // Held for as long as a tick, so that the owner can be looked up.
  const traffic = await startTraffic("socket-filter", { count, comm: "collector", hold: 2 });
  traffic.go();
  const { sent } = await traffic.done;
  return { record, sent, port: String(traffic.ready.port) };
}

interface Message {
  readonly type: string;
  readonly data: AlertData & RunSummary;
}

interface Replayed {
  readonly alerts: readonly Message[];
  readonly summary: Message;
  readonly err: string;
}

async function replay(file: string): Promise<Replayed> {
  const watch = startDropwatch(["--rules", folder.path, "--source", `replay:${file}`, "--json"]);
  expect(await watch.ended).toBe(0);
  const lines = watch.out.map((line): Message => JSON.parse(line));
  return { alerts: lines.slice(0, -1), summary: lines.at(-1)!, err: watch.err.join("\n") };
}

describe("a recording", () => {
  kernelTest("gives rules the drops that were sent, with owner, sums and evidence", async () => {
    await folder.write("rules.ts", rules);
    const file = folder.file("drops.ndjson");
    const { record, sent, port } = await recordTraffic(file, [], 1000);
    expect(await record.stop()).toBe(0);
    const { data } = JSON.parse(record.out.at(-1)!);
    expect(data).toMatchObject({ file, lost: 0, other: 0, restarts: 0, complete: true });
    expect(data.bytes).toBe((await stat(file)).size);
    const { alerts, summary, err } = await replay(file);
    expect(err).not.toContain("can't be read");
    expect(summary.data.ticks).toBe(data.ticks);
    expect(summary.data.seen).toBe(data.seen);
    const refused = alerts.find(({ data }) =>
      data.alert === "Refused" && data.labels.ownerPort === port
    )!;
    expect(refused).toMatchObject({
      type: "alert.firing",
      data: { labels: { owner: "collector" }, total: sent, value: sent, exact: true, lost: 0 },
    });
    const evidence = refused.data.evidence as AlertEvidence;
    expect(evidence.site).toBe("udp_queue_rcv_one_skb");
    expect(evidence.kept).toBeGreaterThan(0);
    expect(evidence.owners[0]!.owner).toBe("collector");
    expect(evidence.flows[0]).toMatchObject({ l4: "UDP", daddr: "127.0.0.1", dport: port });
    const bytes = alerts.find(({ data }) =>
      data.alert === "Bytes" && data.labels.owner === "collector"
    )!;
    expect(bytes.data.total).toBe(sent);
    expect(bytes.data.value % sent).toBe(0);
    expect(bytes.data.value).toBeGreaterThan(sent * 20);
  });

  kernelTest("of what rules need has the fields of their by and where", async () => {
    await folder.write("rules.ts", rules);
    const file = folder.file("drops.ndjson");
    const { record, sent } = await recordTraffic(file, ["--rules", folder.path], 500);
    expect(await record.stop()).toBe(0);
    const [head = ""] = (await readFile(file, "utf8")).split("\n");
    expect(JSON.parse(head).fields).toEqual(["reason", "l4", "ownerPort", "owner"]);
    const { alerts } = await replay(file);
    expect(alerts.find(({ data }) => data.alert === "Refused")!.data.total).toBe(sent);
  });

  kernelTest(
    "has what is known later: whether TCP sent again, in counts and in evidence",
    async () => {
      await folder.write(
        "rules.ts",
        `import { drops, rule } from "dropwatch";
      const refused = drops.where({ reason: "NETFILTER_DROP", l4: "TCP", dport: 9 });
      export default [
        rule({ alert: "By", when: refused.by("retransmitted").count("1m").above(0) }),
        rule({ alert: "Evidence", when: refused.count("30s").above(1) }),
      ];
      `,
      );
      const file = folder.file("drops.ndjson");
      const record = startDropwatch(["record", file, "--rules", folder.path, ...withBpftrace]);
      await record.attached;
      await withNamespaces(async (namespaces) => {
        const { a, b } = namespaces;
        namespaces.nft(
          b,
          "table inet dw_drop { chain input { type filter hook input priority 0; tcp dport 9 drop; }; }",
        );
        // A SYN that is dropped, sent again after a second, and dropped again.
        const command = ["timeout", "1.5", "bash", "-c", `exec 3<>/dev/tcp/${b.v4}/9`];
        const child = spawn("nsenter", [`--net=${a.netns}`, ...command], { stdio: "ignore" });
        await new Promise((resolve) => child.on("close", resolve));
        await sleep(4500);
      });
      expect(await record.stop()).toBe(0);
      const { alerts, summary } = await replay(file);
      const { seen, counted, other, lost } = summary.data;
      expect([seen, other, lost]).toEqual([counted, 0, 0]);
      const by = alerts.filter(({ data, type }) => data.alert === "By" && type === "alert.firing");
      expect(by.map(({ data }) => [data.labels.retransmitted, data.total]).sort())
        .toEqual([["no", 1], ["yes", 1]]);
      const told = alerts.find(({ data }) => data.alert === "Evidence")!;
      expect(told.data.total).toBe(2);
      expect((told.data.evidence as AlertEvidence).tcp).toEqual({ kept: 2, retransmitted: 1 });
    },
  );

  kernelTest(
    "that was killed is read up to its last tick, and says that it was cut off",
    async () => {
      await folder.write("rules.ts", rules);
      const file = folder.file("drops.ndjson");
      const { record, sent } = await recordTraffic(file, ["--interval", "200ms"], 500);
      const until = Date.now() + 10_000;
      while (
        Date.now() < until && !(await readFile(file, "utf8")).includes('SOCKET_FILTER","IPv4')
      ) {
        await sleep(50);
      }
      await sleep(500);
      await record.stop("SIGKILL");
      const text = await readFile(file);
      await writeFile(file, text.subarray(0, text.length - 3));
      const watch = startDropwatch([
        "--rules",
        folder.path,
        "--source",
        `replay:${file}`,
        "--json",
        "--interval",
        "1s",
      ]);
      expect(await watch.ended).toBe(0);
      const lines = watch.out.map((line) => JSON.parse(line));
      expect(lines.find(({ data }) => data.alert === "Refused")!.data.total).toBe(sent);
      expect(watch.err.join("\n")).toContain("has no end");
    },
  );

  kernelTest("isn't written over a file that is there, and ends at --max-size", async () => {
    const file = await folder.write("drops.ndjson", "mine\n");
    const refused = startDropwatch(["record", file, ...withBpftrace]);
    expect(await refused.ended).toBe(2);
    expect(refused.err.join("\n")).toContain("[CAPTURE_EXISTS]");
    expect(await readFile(file, "utf8")).toBe("mine\n");
    const small = startDropwatch([
      "record",
      file,
      "--force",
      "--interval",
      "50ms",
      "--by",
      "reason,dport",
      "--max-size",
      "64K",
      "--json",
      ...withBpftrace,
    ]);
    await small.attached;
    let going = true;
    const send = async (): Promise<void> => {
      while (going) {
        const traffic = await startTraffic("no-socket", { count: 2000, port: 20_000, ports: 2000 });
        traffic.go();
        await traffic.done;
      }
    };
    const sending = send();
    expect(await small.ended).toBe(0);
    going = false;
    await sending;
    expect(JSON.parse(small.out.at(-1)!).data.complete).toBe(false);
    expect(small.err.join("\n")).toContain("--max-size");
    expect((await stat(file)).size).toBeLessThanOrEqual(64 * 1024);
    const lines = (await readFile(file, "utf8")).trimEnd().split("\n");
    expect(lines.at(-1)).toMatch(/^\["e",\d+\]$/);
  });
});

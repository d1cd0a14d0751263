// What people look at, on the real kernel: the history has every drop, and says whose it was.
import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect } from "bun:test";
import type { Drops, ViewStatus } from "../../core/view/view.ts";
import { makeFolder } from "../folder.ts";
import type { Folder } from "../folder.ts";
import { startTraffic } from "../traffic/traffic.ts";
import { kernelTest, startDropwatch, withBpftrace } from "./machine.ts";

let folder: Folder;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => folder.remove());

const rule = `
import { drops, rule } from "dropwatch";
export default rule({
  alert: "Refused",
  when: drops.where({ reason: "SOCKET_FILTER" }).by("ownerPort").count("1m").above(10),
});
`;

/** Starts the command, and asks it over HTTP. */
async function watching(): Promise<{
  readonly watch: ReturnType<typeof startDropwatch>;
  readonly ask: <T>(path: string) => Promise<T>;
}> {
  const watch = startDropwatch([
    "--rules",
    folder.file("rules"),
    "--json",
    "--state",
    folder.file("state"),
    "--listen",
    "127.0.0.1:0",
    ...withBpftrace,
  ]);
  await watch.attached;
  const url = watch.err.map((line) => /the dashboard is at (\S+)/.exec(line)?.[1])
    .find((found) => found !== undefined);
  return {
    watch,
    ask: async <T>(path: string) => {
      const answer = await fetch(new URL(path, url));
      expect(answer.status).toBe(200);
      return await answer.json() as T;
    },
  };
}

/** Waits until the seconds are written once more, with all that is counted now. */
async function keptAnew(): Promise<void> {
  const kept = (): string => {
    const database = new DatabaseSync(folder.file("state/history.sqlite"), { readOnly: true });
    try {
      const all = database.prepare(
        "SELECT number, data FROM block WHERE level = 'seconds' ORDER BY number",
      ).all();
      return JSON.stringify(all);
    } finally {
      database.close();
    }
  };
  const before = kept();
  for (;;) {
    const now = kept();
    if (now !== before && now.includes("resolver")) return;
    await sleep(50);
  }
}

async function send(comm: string, count: number, port: number): Promise<void> {
  const receiver = await startTraffic("socket-filter", { receiverOnly: true, comm, port });
  const sender = await startTraffic("socket-filter", { senderOnly: true, count, port });
  sender.go();
  await sender.done;
  await sleep(1500); // Whose a socket is, is looked up while it is there.
  await receiver.stop();
}

describe("the view", () => {
  kernelTest("has every drop by its owner, site and device, also after a kill -9", async () => {
    await folder.write("rules/refused.ts", rule);
    const first = await watching();
    await send("collector", 20_000, 45_101);
    await send("resolver", 300, 45_102);
    const query = "/api/v1/drops?by=owner,site,dev&where.reason=SOCKET_FILTER";
    const { history } = await first.ask<ViewStatus>("/api/v1/status");
    const begin = Date.parse(history.secondsFrom!);
    const drops = await first.ask<Drops>(`${query}&from=${begin}`);
    expect(drops.series.map(({ labels: { owner, dev }, total }) => [owner, dev, total])).toEqual([
      ["collector", "lo", 20_000],
      ["resolver", "lo", 300],
    ]);
    expect(drops.series[0]!.labels["site"]).toMatch(/^\w+_rcv|^sk_filter|^udp/);
    expect([drops.missing, drops.exact, drops.rest]).toEqual([0, true, null]);
    const status = await first.ask<ViewStatus>("/api/v1/status");
    expect(status).toMatchObject({ state: "watching", trouble: "", lost: { probe: 0, map: 0 } });
    expect(status.sums.seen).toBe(status.sums.counted);
    expect(status.cost.processes.map(({ name }) => name).sort())
      .toEqual(["bpftrace", "dropwatch", "rules"]);
    expect(status.cost.processes.every(({ memoryBytes }) => memoryBytes > 1e6)).toBe(true);
    const stacks = await first.ask<{ stacks: { frames: string[]; drops: number }[] }>(
      "/api/v1/stacks?where.owner=collector",
    );
    expect(stacks.stacks[0]!.frames.length).toBeGreaterThan(3);
    // Each stack's share is rounded for itself.
    const shared = stacks.stacks.reduce((sum, { drops }) => sum + drops, 0);
    expect(Math.abs(shared - 20_000)).toBeLessThanOrEqual(stacks.stacks.length);
    // What is kept each ten seconds is there after a kill; what came since isn't.
    await keptAnew();
    await first.watch.stop("SIGKILL");
    const second = await watching();
    while ((await second.ask<ViewStatus>("/api/v1/status")).lastTickAt === null) await sleep(50);
    const after = await second.ask<Drops>(`${query}&from=${begin}`);
    expect(after.series.map(({ labels, total }) => [labels["owner"], total])).toEqual([
      ["collector", 20_000],
      ["resolver", 300],
    ]);
    expect(after.exact).toBe(false);
    expect(await second.watch.stop()).toBe(0);
  }, 90_000);
});

// Rules that together are too complex for the kernel's verifier are counted all the same, as exactly.
import { afterEach, beforeEach, expect } from "bun:test";
import { makeFolder } from "../folder.ts";
import type { Folder } from "../folder.ts";
import { startTraffic } from "../traffic/traffic.ts";
import { kernelTest, startDropwatch, withBpftrace } from "./machine.ts";

let folder: Folder;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => folder.remove());

const port = 45_101;

/** Lists of ports, networks and names over ten key sets: their cases multiply. */
const rules = `
import { drops, rule } from "dropwatch";
const list = (i) => Array.from({ length: 20 }, (_, k) => i * 1000 + k * 3 + 1);
const by = ["ownerPort", "dport", "sport", "dev", "comm", "saddr", "daddr", "ifindex", "netns", "mark"];
export default Array.from({ length: 20 }, (_, i) =>
  rule({
    alert: "R" + i,
    when: drops.where({
      reason: "SOCKET_FILTER",
      dport: [...list(i), ${port} + (i % 2)],
      sport: { not: list(i + 1) },
      saddr: ["10." + i + ".0.0/16", "127.0.0.0/8"],
      comm: ["x" + i, "traffic"],
      len: { gte: i },
    }).by(by[i % 10]).count("1m").above(10),
  }));
`;

kernelTest("a program that the verifier refuses is made anew, and counts exactly", async () => {
  await folder.write("many.ts", rules);
  const watch = startDropwatch([
    "--rules",
    folder.path,
    "--json",
    ...withBpftrace,
  ]);
  await watch.attached;
  expect(watch.err.some((line) => line.includes("conditions are tested on keys"))).toBe(true);
  const traffic = await startTraffic("socket-filter", { count: 500, port, comm: "traffic" });
  traffic.go();
  await traffic.done;
  await watch.line((line) => line.includes("alert.firing"));
  expect(await watch.stop()).toBe(0);
  const { data } = JSON.parse(watch.out.at(-1)!);
  expect(data.seen).toBe(data.counted);
  // Those with an even number ask for this port, the others for the next one.
  expect(data.rules.map(({ total }: { total: number }) => total))
    .toEqual(Array.from({ length: 20 }, (_, i) => i % 2 === 0 ? 500 : 0));
}, 120_000);

// A whole run and a real Alertmanager: it has what fires and is told of each end, whichever of the two is
// killed in between.
import { afterEach, beforeEach, describe, expect } from "bun:test";
import { openStore } from "../core/store.ts";
import type { StateStore } from "../core/store.ts";
import { alertmanager } from "../plugins/sinks/alertmanager.ts";
import { makeFolder } from "./folder.ts";
import type { Folder } from "./folder.ts";
import { Receiver } from "./receiver.ts";
import { closed, drivenSource, ruleText, startRun, until } from "./run.ts";
import type { Drops, Run } from "./run.ts";
import { Alertmanager, alertmanagerTest, tells } from "./services/alertmanager.ts";
import type { WebhookBody } from "./services/alertmanager.ts";
import { sinkOf } from "./sink.ts";

let folder: Folder;
let receiver: Receiver;
const ends: (() => Promise<void>)[] = [];
beforeEach(async () => {
  folder = await makeFolder();
  receiver = new Receiver();
  await receiver.open();
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await receiver.close();
  await folder.remove();
});

interface Life {
  readonly run: Run;
  /** Nothing that comes after this is kept. */
  kill(): Promise<void>;
}

/** A run on the folder's state that sends all alerts to an Alertmanager every second. */
async function live(url: string, at: number): Promise<Life> {
  const store = openStore(folder.file("state"), () => {});
  let dead = false;
  const mortal: StateStore = { ...store, save: (changes) => dead || store.save(changes) };
  const run = await startRun({
    folder,
    files: { "a.ts": ruleText("A", `summary: "s",`, `.count("2s").above(10)`) },
    driven: drivenSource({ at }),
    store: mortal,
    sinks: [sinkOf(alertmanager({ urls: url, every: "1s" }))],
  });
  const kill = async (): Promise<void> => {
    if (dead) return;
    dead = true;
    await run.stop();
    store.close();
  };
  ends.push(kill);
  return { run, kill };
}

const drops = (...ports: readonly string[]): Drops => ports.flatMap((port) => closed(100, port));

describe("alerts in a real Alertmanager", () => {
  alertmanagerTest("survive a kill of either side, and so do their ends", async () => {
    const am = await Alertmanager.start(tells(receiver.url()));
    ends.push(() => am.close());
    const ports = async (): Promise<string[]> =>
      [...(await am.alerts()).values()].map(({ labels }) => labels["dport"]!).sort();
    const has = async (...wanted: readonly string[]): Promise<void> => {
      const deadline = Date.now() + 10_000;
      while ((await ports()).join() !== wanted.join()) {
        if (Date.now() > deadline) expect(await ports()).toEqual([...wanted]);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    const start = Date.now();
    const one = await live(am.url, start);
    await one.run.second(drops("1", "2"));
    await has("1", "2");
    const before = await am.alerts();

    await am.kill();
    // Meanwhile one is over, and another begins.
    for (let i = 0; i < 4; i++) await one.run.second(drops("1", "3"));
    await am.run();
    await has("1", "3");

    await one.kill();
    const two = await live(am.url, start + 6000);
    await two.run.second(drops("1", "4"));
    await has("1", "3", "4");
    const after = await am.alerts();
    const of = (alerts: typeof after, port: string) => {
      const { fingerprint, startsAt, annotations } = [...alerts.values()]
        .find(({ labels }) => labels["dport"] === port)!;
      return { fingerprint, startsAt, summary: annotations["summary"] };
    };
    expect(of(after, "1")).toEqual(of(before, "1"));

    for (let i = 0; i < 4; i++) await two.run.second();
    await has();
    // Whoever it tells hears of the end of each of them.
    const told = (): Set<string> =>
      new Set(
        receiver.received.flatMap(({ body }) => (JSON.parse(body) as WebhookBody).alerts)
          .filter(({ status }) => status === "resolved").map(({ labels }) => labels["dport"]!),
      );
    await until(() => ["1", "3", "4"].every((port) => told().has(port)), 10_000);
  });
});

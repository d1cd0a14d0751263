// kill -9, at each point of what is done between an alert and its receipt: every alert arrives, whatever
// arrives twice is the same message, and whoever was told of an alert is told of its end.
import { spawn } from "node:child_process";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { AlertMessage } from "../core/alert/alert.ts";
import { makeFolder } from "./folder.ts";
import type { Folder } from "./folder.ts";
import { Receiver } from "./receiver.ts";

const child = fileURLToPath(new URL("./delivery_life.ts", import.meta.url));
/** How many chains of lives there are, and how many lives of each end by a kill. */
const chains = 20;
const kills = 10;
/** At up to which point: most lives have some twenty, those that find much to deliver a hundred. */
const points = 40;

let folder: Folder;
let receiver: Receiver;
beforeEach(async () => {
  folder = await makeFolder();
  receiver = new Receiver();
  await receiver.open();
});
afterEach(async () => {
  await receiver.close();
  await folder.remove();
});

/** Lives until it is killed or done; returns whether it was killed. */
async function live(state: string, url: string, life: string, point: number): Promise<boolean> {
  const args = "Deno" in globalThis ? ["run", "--no-check", "--allow-all"] : [];
  const run = spawn(process.execPath, [...args, child, state, url, life, String(point)], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  run.stderr.on("data", (data) => said += String(data));
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    run.on("close", (...how) => resolve(how))
  );
  if (signal === "SIGKILL") return true;
  expect([code, said]).toEqual([0, ""]);
  return false;
}

/** The ports of alerts that are kept as firing. */
function firingIn(state: string): string[] {
  const db = new DatabaseSync(`${state}/dropwatch.sqlite`);
  try {
    return (db.prepare("SELECT labels, state FROM alert").all() as Record<string, string>[])
      .filter(({ state }) => JSON.parse(state!).state === "firing")
      .map(({ labels }) => Object.fromEntries(JSON.parse(labels!))["dport"]);
  } catch {
    return []; // It was killed before there was a table.
  } finally {
    db.close();
  }
}

describe("a delivery that is killed", () => {
  test(
    "at any of 200 points arrives all the same, and twice only as the same message",
    async () => {
      let killed = 0;
      const chain = async (n: number): Promise<void> => {
        const state = folder.file(`state-${n}`);
        const path = `/${n}`;
        const url = receiver.url(path);
        const fired = new Set<string>();
        for (let life = 0, left = kills; left > 0; life++) {
          const point = 1 + (n * kills + life) % points;
          if (await live(state, url, String(life), point)) left--, killed++;
          for (const port of firingIn(state)) fired.add(port);
        }
        await live(state, url, "last", 0);
        expect(firingIn(state)).toEqual([]);
        const rest = new DatabaseSync(`${state}/dropwatch.sqlite`);
        expect(rest.prepare("SELECT * FROM outbox").all()).toEqual([]);
        rest.close();
        for (const end of ["/hook", "/log"]) {
          const got = receiver.received.filter((each) => each.path === `${path}${end}`)
            .map(({ headers, body }) => ({
              id: headers["webhook-id"] as string,
              ...(JSON.parse(body) as AlertMessage).data,
            }));
          for (const port of fired) {
            const own = got.filter(({ labels }) => labels["dport"] === port);
            expect([n, end, port, own.at(-1)?.status]).toEqual([n, end, port, "resolved"]);
          }
          // The same change of an alert is the same message, however often it came.
          const ids = Map.groupBy(
            got,
            ({ fingerprint, status, startsAt }) => [fingerprint, status, startsAt].join(),
          );
          for (const [change, same] of ids) {
            expect([
              n,
              end,
              change,
              new Set(same.map(({ id }) => id)).size,
            ]).toEqual([n, end, change, 1]);
          }
        }
        expect(fired.size).toBeGreaterThan(0);
      };
      // Two at a time: the machine may have no more processors.
      const waiting = Array.from({ length: chains }, (_, n) => n);
      const work = async (): Promise<void> => {
        for (let n = waiting.shift(); n !== undefined; n = waiting.shift()) await chain(n);
      };
      await Promise.all([work(), work()]);
      expect(killed).toBe(chains * kills);
    },
    240_000,
  );
});

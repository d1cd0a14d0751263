// Metrics of `watch` itself: scraped from where it listens, and pushed to where it is told to.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { makeFolder } from "../test/folder.ts";
import type { Folder } from "../test/folder.ts";
import { liveConfigOf } from "../test/live_config.ts";
import { Receiver } from "../test/receiver.ts";
import { until } from "../test/run.ts";
import { pointsOf, standForCollector } from "../test/services/otlp.ts";
import { watchCommand } from "./commands/watch.ts";
import { readOptions } from "./option.ts";

const rule = `import { drops, rule } from "dropwatch";
export default rule({
  alert: "Refused",
  when: drops.where({ reason: "SOCKET_FILTER" }).rate("1s").above(1e9),
});
`;

const config = liveConfigOf({ dev: "eth0" });

let folder: Folder;
let receiver: Receiver;
let refused: readonly string[];
let ending: AbortController;
let out: string[];
let log: string[];
beforeEach(async () => {
  folder = await makeFolder({ "rules/refused.ts": rule, "dropwatch.config.ts": config });
  receiver = new Receiver();
  await receiver.open();
  refused = standForCollector(receiver, pointsOf);
  ending = new AbortController();
  [out, log] = [[], []];
});
afterEach(async () => {
  ending.abort();
  await receiver.close();
  await folder.remove();
  expect(refused).toEqual([]);
});

const watch = (...args: readonly string[]): Promise<number> =>
  watchCommand.run(
    readOptions(
      ["--config", folder.file("dropwatch.config.ts"), "--rules", folder.file("rules"), ...args],
      watchCommand.options,
    ),
    {
      out: (text) => out.push(text),
      log: (text) => log.push(text),
      colour: false,
      isTerminal: false,
      signal: ending.signal,
      onHangup: () => {},
    },
  );

/** Drops seen, as each push told. */
const pushed = (): (number | undefined)[] =>
  receiver.received.map((each) =>
    pointsOf(each).find(({ name }) => name === "dropwatch.drops_seen")?.value
  );

describe("watch", () => {
  test("pushes metrics without listening, the last of them at its end", async () => {
    const done = watch("--metrics", `otlp=${receiver.url("/")}`, "--json");
    await until(() => log.some((line) => line.startsWith("watching ")), 20_000);
    ending.abort();
    expect(await done).toBe(0);
    const { data } = JSON.parse(out.at(-1)!);
    expect(data.seen).toBeGreaterThan(0);
    expect(pushed()).toEqual([data.seen]);
    const last = pointsOf(receiver.received.at(-1)!);
    expect(last.find(({ name }) => name === "dropwatch.drops")?.attributes)
      .toEqual({ reason: "SOCKET_FILTER", dev: "eth0", class: "policy" });
    expect(log.filter((line) => line.includes("otlp"))).toEqual([]);
  }, 30_000);

  test("serves metrics where it listens, to whoever knows the token", async () => {
    await folder.write("token", "of-these-tests-alone\n");
    const token = folder.file("token");
    const done = watch("--listen", "127.0.0.1:0", "--token-file", token, "--json");
    await until(() => log.some((line) => line.startsWith("watching ")), 20_000);
    const url = /http:\S+/.exec(log.find((line) => line.includes("the dashboard is at"))!)![0];
    const scrape = async (): Promise<number> => {
      const headers = { authorization: "Bearer of-these-tests-alone" };
      const text = await (await fetch(new URL("/metrics", url), { headers })).text();
      return Number(
        /^dropwatch_rule_matched_total\{alert="Refused"\} (\d+)$/m.exec(text)?.[1] ?? 0,
      );
    };
    expect((await fetch(new URL("/metrics", url))).status).toBe(401);
    const deadline = Date.now() + 10_000;
    let matched = await scrape();
    while (matched === 0 && Date.now() < deadline) matched = await scrape();
    expect(matched).toBeGreaterThan(0);
    expect(await scrape()).toBeGreaterThanOrEqual(matched);
    ending.abort();
    expect(await done).toBe(0);
    const [total] = JSON.parse(out.at(-1)!).data.rules;
    expect(total).toMatchObject({ alert: "Refused" });
    expect(total.total).toBeGreaterThanOrEqual(matched);
  }, 30_000);

  test("says once that metrics don't arrive, and goes on", async () => {
    receiver.answers(400, {}, "no such tenant");
    const done = watch("--metrics", `otlp=${receiver.url("/")}`);
    await until(() => log.some((line) => line.startsWith("watching ")), 20_000);
    ending.abort();
    expect(await done).toBe(0);
    expect(log.filter((line) => line.includes("otlp:")))
      .toEqual(["otlp: metrics aren't delivered: answered 400: no such tenant"]);
    expect(log.join("\n")).toContain("drops seen = ");
  }, 30_000);
});

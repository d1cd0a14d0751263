// What a page shows of drops, while it reads the history, gets ticks, and looks at something else meanwhile.
import { describe, expect, test } from "bun:test";
import { makeHistory } from "../../../../core/view/history.ts";
import type { Cell, History } from "../../../../core/view/history.ts";
import type { Drops, ViewTick } from "../../../../core/view/view.ts";
import type { Answer, Failure } from "./api.ts";
import { makeFeed } from "./feed.ts";
import { firstLook } from "./look.ts";

const cells = (n: number): Cell[] => [[["A", "eth0"], n], [["B", "eth1"], 1]];
const tickOf = (at: number, drops: Cell[], more: Partial<ViewTick> = {}): ViewTick => ({
  at,
  seconds: 1,
  seen: 0,
  counted: 0,
  other: 0,
  lost: 0,
  gap: null,
  drops,
  cost: { cpu: 0, memoryBytes: 0 },
  ...more,
});

/** Answers as the server does, from a history, when the test says so. */
function server(history: History) {
  const asked: { path: string; answer: (failed?: Failure) => void }[] = [];
  const read = (path: string): Promise<Answer<Drops>> =>
    new Promise((resolve) => {
      const query = new URL(path, "http://x").searchParams;
      const where: Record<string, string[]> = {};
      for (const [name, value] of query) {
        if (name.startsWith("where.")) (where[name.slice(6)] ??= []).push(value);
      }
      asked.push({
        path,
        answer: (failed) =>
          resolve(
            failed !== undefined ? { failed } : {
              value: history.query({
                by: query.get("by")!.split(",") as ["reason"],
                where,
                from: Number(query.get("from")),
                to: Number(query.get("to")),
                step: Number(query.get("step")),
                limit: Number(query.get("limit")),
              }),
            },
          ),
      });
    });
  return { asked, read };
}

function start(seconds: number) {
  const history = makeHistory(["reason", "dev"]);
  const failures: (Failure | undefined)[] = [];
  const changes: string[] = [];
  const { asked, read } = server(history);
  const feed = makeFeed(
    read,
    (what) => void changes.push(what),
    (failure) => void failures.push(failure),
  );
  feed.fields(["reason", "dev"]);
  const second = (at: number, n: number, more: Partial<ViewTick> = {}): void => {
    history.add({ at, seconds: 1, seen: n + 1, other: 0, lost: 0, cells: cells(n) });
    feed.tick(tickOf(at, cells(n), more));
  };
  for (let i = 1; i <= seconds; i++) {
    history.add({ at: i * 1000, seconds: 1, seen: 3, other: 0, lost: 0, cells: cells(2) });
  }
  feed.startAt(seconds * 1000);
  const totals = (): unknown =>
    feed.shown?.chart.top().map(({ labels, total }) => [labels[0], total]);
  return { feed, asked, failures, changes, second, totals };
}

describe("the drops of a page", () => {
  test("are those of the history and of each tick once, those that came meanwhile too", async () => {
    const { feed, asked, second, totals, changes } = start(400);
    const loaded = feed.load(firstLook);
    // The server counts it before it answers, and the page is told of it before it has the answer.
    second(401_000, 5);
    for (const { answer } of asked) answer();
    await loaded;
    expect(totals()).toEqual([["A", 603], ["B", 300]]);
    second(402_000, 7);
    expect(totals()).toEqual([["A", 608], ["B", 300]]);
    expect(feed.shown!.culprits.top().map(({ labels, now }) => [...labels, now]))
      .toEqual([["A", "eth0", 7], ["B", "eth1", 1]]);
    expect(changes).toEqual(["history", "tick"]);
    expect([feed.shown!.exact, feed.shown!.missing]).toEqual([true, 0]);
  });

  test("are of what is looked at last, in whatever order answers come", async () => {
    const { feed, asked, totals } = start(10);
    const byDev = { ...firstLook, by: "dev" };
    const first = feed.load(firstLook);
    const second = feed.load(byDev);
    asked.slice(2).forEach(({ answer }) => answer());
    await second;
    const third = feed.load({ ...byDev, filters: [{ field: "reason", label: "A" }] });
    asked.slice(0, 2).forEach(({ answer }) => answer());
    await first;
    expect(totals()).toEqual([["eth0", 20], ["eth1", 10]]);
    asked.slice(4).forEach(({ answer }) => answer());
    await third;
    expect(totals()).toEqual([["eth0", 20]]);
  });

  test("fit the filters, in ticks as in the history", async () => {
    const { feed, asked, second, totals } = start(10);
    const loaded = feed.load({ ...firstLook, filters: [{ field: "dev", label: "eth1" }] });
    for (const { answer } of asked) answer();
    await loaded;
    second(11_000, 99);
    expect(totals()).toEqual([["B", 11]]);
  });

  test("of a time that was zoomed into stay as they are", async () => {
    const { feed, asked, second, totals, changes } = start(10);
    const loaded = feed.load({ ...firstLook, zoom: { from: 2000, to: 6000 } });
    for (const { answer } of asked) answer();
    await loaded;
    second(11_000, 99);
    expect(totals()).toEqual([["A", 8], ["B", 4]]);
    expect(changes).toEqual(["history"]);
    expect(feed.shown!.chart.times()).toEqual([2000, 3000, 4000, 5000]);
  });

  test("stay where they can't be read, and why is told until they can", async () => {
    const { feed, asked, failures, totals } = start(10);
    const first = feed.load(firstLook);
    for (const { answer } of asked) answer();
    await first;
    const failed = { status: 503, code: "NOT_READY", message: "not yet" };
    const second = feed.load({ ...firstLook, by: "dev" });
    asked[2]!.answer(failed);
    asked[3]!.answer();
    await second;
    expect(totals()).toEqual([["A", 20], ["B", 10]]);
    expect(failures).toEqual([undefined, failed]);
  });

  test("aren't exact any more once a tick is missing some, or nobody counted", async () => {
    for (const [more, missing] of [[{ other: 3, lost: 2 }, 5], [{ gap: "gone" }, 0]] as const) {
      const { feed, asked, second } = start(400);
      const loaded = feed.load(firstLook);
      for (const { answer } of asked) answer();
      await loaded;
      expect(feed.shown!.exact).toBe(true);
      second(401_000, 1, more);
      expect([feed.shown!.exact, feed.shown!.missing]).toEqual([false, missing]);
    }
  });
});

// What whoever looks sees, of real runs and real servers; only the terminal is one of the test's.
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, describe, expect, test } from "bun:test";
import { closed, ruleText, startRun, until } from "../../test/run.ts";
import type { Run } from "../../test/run.ts";
import { serve } from "../../test/server.ts";
import { newChoice } from "./choice.ts";
import { connectTo } from "./connect.ts";
import { feedOf } from "./feed.ts";
import type { Feed } from "./feed.ts";
import { readKeys } from "./key.ts";
import { paint } from "./paint.ts";
import type { Screen, ScreenListeners } from "./screen.ts";
import { openSession } from "./session.ts";
import type { Session } from "./session.ts";

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).toReversed()) await end();
});

interface Watched {
  readonly session: Session;
  /** What can be seen. */
  readonly lines: () => readonly string[];
  readonly type: (keys: string) => void;
  readonly frames: () => number;
  readonly over: AbortController;
}

async function watch(feed: Feed): Promise<Watched> {
  let lines: readonly string[] = [];
  let frames = 0;
  let listeners: ScreenListeners | undefined;
  let open = true;
  const able = { colour: false, utf8: true };
  const size = { columns: 100, rows: 24 };
  const screen: Screen = {
    size,
    able,
    draw(drawn) {
      if (!open) throw new Error("it is drawn on a screen that is closed");
      frames++;
      // deno-lint-ignore no-control-regex
      lines = paint(drawn, size, able).map((line) => line.replaceAll(/\x1b\[[0-9;]*[mG]/g, ""));
    },
    forget() {},
    suspend: () => false,
    close: () => void (open = false),
  };
  const over = new AbortController();
  const session = await openSession({
    feed,
    choice: newChoice({ by: ["reason", "owner"] }),
    openScreen(given) {
      listeners = given;
      return screen;
    },
    signal: over.signal,
    end: () => over.abort(),
  });
  ending.push(() => over.abort());
  return {
    session,
    lines: () => lines,
    type(keys) {
      for (const key of readKeys(keys, true).keys) listeners!.onKey(key);
    },
    frames: () => frames,
    over,
  };
}

async function started(): Promise<Run> {
  const run = await startRun({ view: true, files: { "closed.ts": ruleText("Closed") } });
  ending.push(() => run.stop());
  return run;
}

/** A way to a server that can be closed, so that all that use it are cut off, and opened again. */
async function wayTo(
  url: string,
): Promise<{ readonly url: string; close(): void; open(): void }> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  let isOpen = true;
  const server = createServer((near) => {
    if (!isOpen) return void near.destroy();
    const far = connect(Number(port), hostname);
    for (const [own, other] of [[near, far], [far, near]] as const) {
      sockets.add(own);
      own.on("error", () => other.destroy());
      own.on("close", () => {
        sockets.delete(own);
        other.destroy();
      });
      own.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = (): void => {
    isOpen = false;
    for (const socket of sockets) socket.destroy();
  };
  ending.push(() => {
    close();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close,
    open: () => void (isOpen = true),
  };
}

const sees = (watched: Watched, text: RegExp): boolean =>
  watched.lines().some((line) => text.test(line));

describe("a session", () => {
  test("shows ticks and alerts as they come, and what is asked for", async () => {
    const run = await started();
    const watched = await watch(feedOf(run.view, () => run.driven.at));
    await until(() => sees(watched, /waiting for the first tick/));
    await run.second(closed(30));
    await until(() => sees(watched, /^> NO_SOCKET +- +30\.0 +30\.0 +30 +100%/));
    await until(() => sees(watched, /^1 FIRING {2}Closed dport=53/));
    watched.type("i");
    await until(() => sees(watched, /usual causes/));
    watched.type("d");
    await until(() => sees(watched, /stacks of NO_SOCKET -: 30 drops, 0 walked/));
    watched.type("d");
    await until(() => sees(watched, /^FIRING Closed dport=53/));
    watched.type("\x1a");
    await until(() => sees(watched, /there is no shell to go back to/));
  });

  test("has the numbers of alerts that go on firing, and the stacks of what a text picks out", async () => {
    const run = await started();
    const watched = await watch(feedOf(run.view, () => run.driven.at));
    await run.second(closed(30));
    await until(() => sees(watched, /^1 FIRING/));
    watched.type("dd");
    await until(() => sees(watched, /^ {2}value 30, peak 30, 30 in all/));
    // Nothing but the ticks tells of these: the alert fires as before.
    await run.second(closed(50));
    await until(() => sees(watched, /^ {2}value 80, peak 80, 80 in all/));
    watched.type("dd/socket\r");
    await until(() => sees(watched, /stacks of NO_SOCKET -: 80 drops/));
    watched.type("\x1b/nobody\r");
    await until(() => sees(watched, /no drops, no stacks/));
  });

  test("stands still while it is paused, and has everything when it goes on", async () => {
    const run = await started();
    const watched = await watch(feedOf(run.view));
    await run.second(closed(1));
    await until(() => sees(watched, /total 1 in 1s/));
    watched.type(" ");
    await until(() => sees(watched, /PAUSED/));
    await run.second(closed(500));
    watched.type("s");
    await until(() => sees(watched, /1M\/s▼/));
    expect(sees(watched, /total 1 in 1s/)).toBe(true);
    watched.type(" ");
    await until(() => sees(watched, /total 501 in 2s/));
  });

  test("draws ten frames a second at most, however much happens", async () => {
    const run = await started();
    const watched = await watch(feedOf(run.view));
    const begun = performance.now();
    for (let i = 0; i < 200; i++) {
      await run.second(closed(1));
      watched.type("r");
    }
    await until(() => sees(watched, /total 200 in/));
    const tenths = (performance.now() - begun) / 100;
    expect(watched.frames()).toBeLessThanOrEqual(Math.ceil(tenths) + 2);
  });

  test("ends when whoever looks says so: the screen is closed, and nothing more is drawn", async () => {
    const run = await started();
    const watched = await watch(feedOf(run.view));
    await run.second(closed(1));
    watched.type("q");
    await watched.session.ended;
    const frames = watched.frames();
    await run.second(closed(1));
    watched.session.say("nobody sees it");
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(watched.frames()).toBe(frames);
  });

  test("ends with what is thrown while it is drawn", async () => {
    const run = await started();
    const feed = feedOf(run.view);
    const broken: Feed = {
      ...feed,
      status: () => feed.status().then((status) => ({ ...status, source: undefined! })),
    };
    const watched = await watch(broken);
    await expect(watched.session.ended).rejects.toThrow();
    expect(watched.over.signal.aborted).toBe(true);
  });

  test(
    "of a watch elsewhere has its last minute, loses nothing at the seam, and begins anew with it",
    async () => {
      const served = await serve({ run: { files: { "closed.ts": ruleText("Closed") } } });
      ending.push(() => served.stop());
      await served.run.second(closed(30));
      await served.run.second(closed(12));
      const over = new AbortController();
      ending.push(() => over.abort());
      const feed = connectTo({ url: served.server.url, token: undefined, signal: over.signal });
      let joined = 0;
      const watched = await watch({
        ...feed,
        subscribe: (listener) =>
          feed.subscribe((event) => {
            if (event.event === "joined") joined++;
            listener(event);
          }),
      });
      await until(() => sees(watched, /^> NO_SOCKET +- +12\.0 +21\.0 +42 +100%/));
      await until(() => sees(watched, /1 FIRING/));
      await until(() => joined === 1);
      await served.run.second(closed(8));
      await until(() => sees(watched, /^> NO_SOCKET +- +8\.0 +16\.7 +50 +100%/));
      expect(sees(watched, /nobody counted/)).toBe(false);

      const { port } = new URL(served.server.url);
      await served.server.close();
      await until(() => sees(watched, /NOT CONNECTED: /));
      const again = await serve({ address: `127.0.0.1:${port}` });
      ending.push(() => again.stop());
      // Of the run that is over nothing is left once the next one is known.
      await until(() => sees(watched, /waiting for the first tick/), 15_000);
      await until(() => joined >= 2, 15_000);
      await again.run.second(closed(3));
      await until(() => sees(watched, /^> NO_SOCKET +- +3\.0 +3\.0 +3 +100%/));
    },
    30_000,
  );

  test(
    "has what was counted while it was cut off, however long that was: that is no gap",
    async () => {
      const served = await serve({ limits: { ringEvents: 10 } });
      ending.push(() => served.stop());
      await served.run.second(closed(30));
      const over = new AbortController();
      ending.push(() => over.abort());
      const way = await wayTo(served.server.url);
      const feed = connectTo({ url: way.url, token: undefined, signal: over.signal });
      const events: string[] = [];
      const watched = await watch({
        ...feed,
        subscribe: (listener) =>
          feed.subscribe((event) => {
            events.push(event.event);
            listener(event);
          }),
      });
      await until(() => events.includes("joined"));
      await served.run.second(closed(4));
      await until(() => sees(watched, /^> NO_SOCKET +- +4\.0 +17\.0 +34 /));
      way.close();
      await until(() => sees(watched, /NOT CONNECTED: /));
      for (let i = 0; i < 200; i++) await served.run.second(closed(2));
      way.open();
      await until(() => events.includes("missed"), 15_000);
      await until(() => sees(watched, /^> NO_SOCKET +- +2\.0 +2\.0 +1[12]\d /));
      await served.run.second(closed(5));
      await until(() => sees(watched, /^> NO_SOCKET +- +5\.0 /));
      expect(sees(watched, /^exact {2}total 1[12]\d in (1m|59s)/)).toBe(true);
      expect(sees(watched, /nobody counted/)).toBe(false);
    },
    30_000,
  );
});

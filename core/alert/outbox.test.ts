// What is to be told arrives once, in the end, whatever a sink does meanwhile; and no sink waits for
// another. All on a time of the test's own.
import { describe, expect, test } from "bun:test";
import { alertOf } from "../../test/alert.ts";
import { notificationOf } from "../../test/sink.ts";
import { virtualClock } from "../testing/virtual_clock.ts";
import type { VirtualClock } from "../testing/virtual_clock.ts";
import type { AlertMessage } from "./alert.ts";
import { makeJournal } from "./journal.ts";
import type { Journal } from "./journal.ts";
import { makeOutbox } from "./outbox.ts";
import type { Outbox, OutboxOptions, OutboxRow, Receiver } from "./outbox.ts";
import { DeliveryError } from "./sink.ts";
import type { Delivered, SendContext } from "./sink.ts";

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const start = Date.parse("2026-01-05T00:00:00Z");

interface Attempt {
  readonly at: number;
  readonly id: string;
  readonly says: string;
  readonly memo: string | undefined;
}

type Answer = (
  attempt: number,
  context: SendContext,
) => Promise<Delivered | void> | Delivered | void;

interface Desk {
  readonly outbox: Outbox;
  readonly clock: VirtualClock;
  readonly journal: Journal;
  readonly log: string[];
  /** By sink. */
  readonly attempts: Record<string, Attempt[]>;
}

/** An outbox in front of sinks that answer as they are told; names that begin with `log` get every change. */
function deskOf(
  answers: Readonly<Record<string, Answer>>,
  options: Partial<OutboxOptions> = {},
  parts: Partial<Receiver> = {},
): Desk {
  const clock = virtualClock(start);
  const journal = makeJournal();
  const log: string[] = [];
  const attempts: Record<string, Attempt[]> = {};
  const sinks = Object.entries(answers).map(([name, answer]): Receiver => {
    const own: Attempt[] = attempts[name] = [];
    const take = async (says: string, context: SendContext): Promise<Delivered | void> => {
      own.push({ at: clock.now() - start, id: context.id, says, memo: context.memo });
      return await answer(own.length, context);
    };
    return name.startsWith("log")
      ? {
        name,
        send: ({ data }, context) => take(`${data.alert} ${data.status}`, context),
        ...parts,
      }
      : {
        name,
        notify: ({ alerts }, context) =>
          take(alerts.map(({ alert, status }) => `${alert} ${status}`).join(", "), context),
        ...parts,
      } as Receiver;
  });
  let id = 0;
  const outbox = makeOutbox({
    sinks,
    clock,
    journal,
    log: (message) => log.push(message),
    random: () => 1,
    makeId: () => `msg_${++id}`,
    mirrored: () => [],
    onChange: () => {},
    ...options,
  });
  return { outbox, clock, journal, log, attempts };
}

const firing = (alert: string): AlertMessage => alertOf({ alert });
const over = (alert: string): AlertMessage =>
  alertOf({ alert, endsAt: "2026-01-05T01:00:00.000Z" });

/** The newest state of a group, or a change of an alert for what writes every change. */
function put(desk: Desk, sink: string, group: string, ...alerts: AlertMessage[]): string {
  const body = sink.startsWith("log")
    ? { is: "alert" as const, alert: alerts[0]! }
    : { is: "notification" as const, notification: notificationOf(alerts) };
  return desk.outbox.put(sink, group, body);
}

const refuse = (
  message: string,
  how: ConstructorParameters<typeof DeliveryError>[1] = {},
): never => {
  throw new DeliveryError(message, how);
};
const times = (attempts: readonly Attempt[]): number[] => attempts.map(({ at }) => at / second);
const says = (attempts: readonly Attempt[]): string[] => attempts.map((each) => each.says);
const events = ({ journal }: Desk): string[] =>
  journal.waiting.map(({ kind, message, text }) =>
    `${kind} ${message}${text === "" ? "" : `: ${text}`}`
  );

describe("a message", () => {
  test("is delivered once, and is gone from the outbox then", async () => {
    const desk = deskOf({ ops: () => ({ answer: "200 ok" }) });
    put(desk, "ops", "g", firing("A"));
    expect(desk.outbox.changes().rows.map(({ id, state }) => [id, state])).toEqual([[
      "msg_1",
      "pending",
    ]]);
    desk.outbox.kept();
    desk.outbox.send();
    await desk.clock.advance(hour);
    expect(says(desk.attempts["ops"]!)).toEqual(["A firing"]);
    expect(desk.outbox.rows()).toEqual([]);
    expect(desk.outbox.changes()).toEqual({ rows: [], gone: ["msg_1"], memos: [] });
    expect(events(desk)).toEqual(["delivered msg_1: 200 ok"]);
  });

  test("isn't sent before `send`: it must be kept first", async () => {
    const desk = deskOf({ ops: () => {} });
    put(desk, "ops", "g", firing("A"));
    await desk.clock.advance(minute);
    expect(desk.attempts["ops"]).toEqual([]);
  });

  test("is tried again with the same id, after pauses that grow, until it arrives", async () => {
    const desk = deskOf({ ops: (n) => n < 8 ? refuse("answered 500") : undefined });
    put(desk, "ops", "g", firing("A"));
    desk.outbox.send();
    await desk.clock.advance(hour);
    const attempts = desk.attempts["ops"]!;
    expect(times(attempts)).toEqual([0, 2, 6, 14, 30, 62, 126, 254]);
    expect(new Set(attempts.map(({ id }) => id)).size).toBe(1);
    expect(desk.log[0]).toBe("ops: A (firing): answered 500; next attempt in 2.0 s");
    expect(events(desk).at(-1)).toBe("delivered msg_1");
  });

  test("never pauses for longer than five minutes, and by chance for less", async () => {
    const desk = deskOf({ ops: () => refuse("answered 500") }, { random: () => 0.5 });
    put(desk, "ops", "g", firing("A"));
    desk.outbox.send();
    await desk.clock.advance(3 * hour);
    const at = times(desk.attempts["ops"]!);
    const pauses = at.slice(1).map((each, i) => each - at[i]!);
    expect(pauses.slice(0, 4)).toEqual([1, 2, 4, 8]);
    expect(Math.max(...pauses)).toBe(150);
  });

  test("that is refused for good goes to the dead letters at once, and others are sent", async () => {
    const desk = deskOf({
      ops: (n) => n === 1 ? refuse("answered 400: bad", { final: true }) : undefined,
    });
    put(desk, "ops", "g", firing("A"));
    put(desk, "ops", "h", firing("B"));
    desk.outbox.send();
    await desk.clock.advance(minute);
    expect(says(desk.attempts["ops"]!)).toEqual(["A firing", "B firing"]);
    expect(desk.outbox.rows().map(({ state, error }) => [state, error]))
      .toEqual([["dead", "answered 400: bad"]]);
    expect(desk.log.join()).toContain("was not delivered: answered 400: bad");
    expect(desk.outbox.take()).toEqual([
      { event: "undelivered", sink: "ops", why: "answered 400: bad", n: 1 },
    ]);
    expect(desk.outbox.take()).toEqual([]);
  });

  test("is given up after a day, and can be sent once more by hand", async () => {
    let down = true;
    const desk = deskOf({ ops: () => down ? refuse("no answer") : undefined });
    const id = put(desk, "ops", "g", firing("A"));
    desk.outbox.send();
    await desk.clock.advance(25 * hour);
    expect(desk.outbox.rows()[0]).toMatchObject({ id, state: "dead" });
    expect(desk.outbox.rows()[0]!.error).toMatch(/^no answer \(given up after 1d/);
    const before = desk.attempts["ops"]!.length;
    down = false;
    expect(desk.outbox.retry("msg_0")).toBe(false);
    expect(desk.outbox.retry(id)).toBe(true);
    desk.outbox.send();
    await desk.clock.advance(10 * minute);
    expect(desk.attempts["ops"]!.length).toBe(before + 1);
    expect(desk.attempts["ops"]!.at(-1)!.id).toBe(id);
    expect(desk.outbox.rows()).toEqual([]);
  });

  test("that waits for its next attempt is sent at once when somebody says so", async () => {
    let down = true;
    const desk = deskOf({ ops: () => down ? refuse("answered 503") : undefined });
    const id = put(desk, "ops", "g", firing("A"));
    desk.outbox.send();
    await desk.clock.advance(hour);
    const before = desk.attempts["ops"]!.length;
    down = false;
    expect(desk.outbox.retry(id)).toBe(true);
    desk.outbox.send();
    await desk.clock.advance(1);
    expect(desk.attempts["ops"]!.length).toBe(before + 1);
    expect(desk.outbox.rows()).toEqual([]);
  });

  test("can be dropped by hand; while it is under way that attempt is its last", async () => {
    const { promise, reject } = Promise.withResolvers<void>();
    const desk = deskOf({ ops: () => promise });
    const first = put(desk, "ops", "g", firing("A"));
    desk.outbox.send();
    const waiting = put(desk, "ops", "g", firing("B"));
    desk.outbox.kept();
    expect(desk.outbox.drop(waiting)).toBe(true);
    expect(desk.outbox.drop(first)).toBe(true);
    expect(desk.outbox.drop(first)).toBe(false);
    reject(new DeliveryError("answered 500"));
    await desk.clock.advance(hour);
    expect(says(desk.attempts["ops"]!)).toEqual(["A firing"]);
    expect(desk.outbox.rows()).toEqual([]);
    expect(desk.outbox.changes()).toMatchObject({ rows: [], gone: [waiting, first] });
    expect(events(desk)).toEqual([
      "dropped msg_2: dropped by hand",
      "dropped msg_1: dropped by hand",
    ]);
  });

  test("is delivered also where its sink answers with what is no text", async () => {
    const answers: unknown[] = [{ answer: 200, memo: 4711 }, { answer: {}, memo: [] }, "ok", null];
    const desk = deskOf({ ops: (n) => answers[n - 1] as Delivered });
    for (const name of ["A", "B", "C", "D"]) {
      put(desk, "ops", "g", firing(name));
      desk.outbox.send();
      await desk.clock.advance(minute);
    }
    expect(desk.outbox.rows()).toEqual([]);
    expect(events(desk)).toEqual([
      "delivered msg_1: 200",
      "delivered msg_2",
      "delivered msg_3",
      "delivered msg_4",
    ]);
    expect(desk.attempts["ops"]!.map(({ memo }) => memo)).toEqual([
      undefined,
      "4711",
      "4711",
      "4711",
    ]);
  });

  test("is tried again within an hour, whatever its sink asks for", async () => {
    const asks = [NaN, Infinity, -5 * second, 1e15];
    const desk = deskOf({ ops: (n) => n < 5 ? refuse("no", { retryAfter: asks[n - 1]! }) : {} });
    put(desk, "ops", "g", firing("A"));
    desk.outbox.send();
    for (let attempt = 1; attempt < 5; attempt++) {
      await desk.clock.advance(second / 2);
      const [row] = desk.outbox.rows();
      expect(Number.isFinite(row!.nextAt)).toBe(true);
      await desk.clock.until(row!.nextAt + 1);
    }
    expect(times(desk.attempts["ops"]!).map(Math.round)).toEqual([0, 2, 3602, 3610, 7210]);
  });

  test("that a sink throws nothing for is tried again like any other", async () => {
    const desk = deskOf({ ops: (n) => n === 1 ? Promise.reject(undefined) : undefined });
    put(desk, "ops", "g", firing("A"));
    desk.outbox.send();
    await desk.clock.advance(minute);
    expect(desk.attempts["ops"]).toHaveLength(2);
  });
});

describe("an outage of an hour", () => {
  /** The first hour of a sink is as `down` says, while two others are well. */
  const outage = async (down: Answer): Promise<Desk> => {
    const answers: Record<string, Answer> = { other: () => {}, logfile: () => {} };
    const desk: Desk = deskOf({
      ...answers,
      ops: (n, context) => desk.clock.now() - start < hour ? down(n, context) : undefined,
    });
    for (let at = 0; at < 60; at++) {
      for (const sink of ["ops", "other", "logfile"]) {
        put(desk, sink, "g", at % 2 === 0 ? firing("A") : over("A"));
      }
      desk.outbox.send();
      await desk.clock.advance(minute);
    }
    await desk.clock.advance(10 * minute);
    return desk;
  };
  const wells: readonly (readonly [string, Answer])[] = [
    ["refuses connections", () => refuse("no answer (refused)")],
    ["answers 500", () => refuse("answered 500")],
    ["answers garbage", () => {
      throw new TypeError("Unexpected token < in JSON");
    }],
    ["never answers", () => new Promise(() => {})],
    [
      "looks at no signal and answers after an hour",
      (_, { signal }) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    ],
  ];
  test.each(wells)(
    "of one that %s ends in one true message, and others are on time",
    async (_, down) => {
      const desk = await outage(down);
      const whole = Array.from({ length: 60 }, (_, i) => i * 60);
      expect(times(desk.attempts["other"]!)).toEqual(whole);
      expect(times(desk.attempts["logfile"]!)).toEqual(whole);
      const after = desk.attempts["ops"]!.filter(({ at }) => at >= hour);
      expect(says(after)).toEqual(["A resolved"]);
      expect(after[0]!.at).toBeLessThanOrEqual(hour + 5 * minute + 20 * second);
      // Some twenty attempts, where sixty messages were to be told.
      expect(desk.attempts["ops"]!.length).toBeLessThan(40);
      expect(desk.outbox.rows()).toEqual([]);
    },
  );

  test("of one that asks for ten minutes each time is left alone for as long", async () => {
    const desk = await outage(() => refuse("answered 429", { retryAfter: 10 * minute }));
    expect(times(desk.attempts["ops"]!)).toEqual([0, 600, 1200, 1800, 2400, 3000, 3600]);
  });

  test("of one that writes every change gets all of it, in order, when it is back", async () => {
    let down = true;
    const desk = deskOf({ logfile: () => down ? refuse("disk full") : undefined });
    for (let i = 0; i < 50; i++) {
      put(desk, "logfile", "f", i % 2 === 0 ? firing(`A${i}`) : over(`A${i}`));
    }
    desk.outbox.send();
    await desk.clock.advance(hour);
    const before = desk.attempts["logfile"]!.length;
    expect(new Set(says(desk.attempts["logfile"]!))).toEqual(new Set(["A0 firing"]));
    down = false;
    await desk.clock.advance(10 * minute);
    expect(says(desk.attempts["logfile"]!.slice(before)))
      .toEqual(
        Array.from({ length: 50 }, (_, i) => `A${i} ${i % 2 === 0 ? "firing" : "resolved"}`),
      );
  });

  test("costs as much for a hundred groups as for one, and all of them are told within seconds", async () => {
    let down = true;
    const desk = deskOf({ ops: () => down ? refuse("answered 503") : undefined });
    for (let i = 0; i < 100; i++) put(desk, "ops", `g${i}`, firing(`A${i}`));
    desk.outbox.send();
    await desk.clock.advance(hour);
    expect(desk.attempts["ops"]!.length).toBeLessThan(60);
    expect(desk.outbox.take()).toContainEqual(
      { event: "sinkFailing", sink: "ops", why: "answered 503", n: 1 },
    );
    down = false;
    await desk.clock.advance(5 * minute + second);
    expect(new Set(says(desk.attempts["ops"]!.slice(-100))).size).toBe(100);
    expect(desk.outbox.rows()).toEqual([]);
    expect(desk.log.at(-1)).toMatch(/^ops: delivers again, after 1h/);
    expect(desk.outbox.take()).toEqual([]);
  });
});

describe("a clock that is set", () => {
  test("back by hours holds up nothing: what is tried again, what asked for a pause, what is new", async () => {
    const desk = deskOf({
      ops: (n) => n < 4 ? refuse("answered 500") : undefined,
      busy: (n) => n === 1 ? refuse("answered 429", { retryAfter: 10 * second }) : undefined,
    });
    put(desk, "ops", "g", firing("A"));
    put(desk, "busy", "g", firing("A"));
    desk.outbox.send();
    await desk.clock.advance(second);
    desk.clock.set(start - 30 * hour);
    // As every second does.
    desk.outbox.send();
    put(desk, "ops", "h", firing("B"));
    desk.outbox.send();
    await desk.clock.advance(30 * second);
    expect(says(desk.attempts["ops"]!).filter((each) => each === "A firing").length)
      .toBeGreaterThan(1);
    expect(says(desk.attempts["busy"]!)).toEqual(["A firing", "A firing"]);
    expect(desk.outbox.rows()).toEqual([]);
  });
});

describe("a sink that doesn't look at its signal", () => {
  test("isn't given the same group twice at once, as long as it ends a little later", async () => {
    let under = 0;
    let most = 0;
    const desk = deskOf({
      ops: async () => {
        most = Math.max(most, ++under);
        await new Promise<void>((resolve) => void desk.clock.after(23 * second, resolve));
        under--;
        return { answer: "late" };
      },
    });
    put(desk, "ops", "g", firing("A"));
    desk.outbox.send();
    await desk.clock.advance(10 * minute);
    expect(most).toBe(1);
    // It has arrived: nobody needs it twice.
    expect(events(desk)).toEqual(["delivered msg_1: late"]);
  });

  test("and never ends is tried again all the same", async () => {
    const desk = deskOf({ ops: (n) => n === 1 ? new Promise(() => {}) : undefined });
    put(desk, "ops", "g", firing("A"));
    desk.outbox.send();
    await desk.clock.advance(minute);
    expect(times(desk.attempts["ops"]!)).toEqual([0, 27]);
  });
});

describe("a sink that is gone for good (410)", () => {
  test("gets nothing more, says so through what happens, and comes back when one is sent by hand", async () => {
    let gone = true;
    const desk = deskOf({ ops: () => gone ? refuse("answered 410", { gone: true }) : undefined });
    const first = put(desk, "ops", "g", firing("A"));
    desk.outbox.send();
    await desk.clock.advance(hour);
    put(desk, "ops", "h", firing("B"));
    desk.outbox.send();
    await desk.clock.advance(hour);
    expect(desk.attempts["ops"]).toHaveLength(1);
    expect(desk.outbox.rows().map(({ state }) => state)).toEqual(["dead", "dead"]);
    expect(desk.outbox.take()).toContainEqual(
      { event: "sinkDisabled", sink: "ops", why: "answered 410", n: 1 },
    );
    gone = false;
    desk.outbox.retry(first);
    desk.outbox.send();
    await desk.clock.advance(minute);
    expect(desk.outbox.take()).toEqual([]);
    put(desk, "ops", "i", firing("C"));
    desk.outbox.send();
    await desk.clock.advance(minute);
    expect(says(desk.attempts["ops"]!)).toEqual(["A firing", "A firing", "C firing"]);
  });

  test("is news once: what isn't sent there makes no alert besides", async () => {
    const desk = deskOf({ ops: () => refuse("answered 410", { gone: true }) });
    for (const name of ["A", "B"]) {
      put(desk, "ops", name, firing(name));
      desk.outbox.send();
      await desk.clock.advance(second);
    }
    expect(desk.outbox.take().map(({ event }) => event)).toEqual(["sinkDisabled"]);
  });
});

describe("a sink that refuses everything", () => {
  const undelivered = async (...alerts: AlertMessage[]): Promise<number> => {
    const desk = deskOf({ ops: () => refuse("answered 403", { final: true }) });
    put(desk, "ops", "g", ...alerts);
    desk.outbox.send();
    await desk.clock.advance(second);
    return desk.outbox.take().filter(({ event }) => event === "undelivered").length;
  };
  const about = (alert: string, sink: string): AlertMessage => alertOf({ alert, labels: { sink } });

  test("is news, as often as somebody isn't told of an alert", async () => {
    expect(await undelivered(firing("A"))).toBe(1);
    expect(await undelivered(firing("A"), about("AlertUndelivered", "ops"))).toBe(1);
    expect(await undelivered(about("SinkFailing", "other"))).toBe(1);
  });

  test("isn't news because of what tells of it, nor two because of each other", async () => {
    expect(await undelivered(about("SinkFailing", "ops"))).toBe(0);
    expect(await undelivered(about("AlertUndelivered", "ops"))).toBe(0);
    expect(await undelivered(about("AlertUndelivered", "ops"), about("AlertUndelivered", "other")))
      .toBe(0);
  });
});

describe("a sink that fails again and again", () => {
  test("is one alert as long as it does, whatever each attempt is answered", async () => {
    const desk = deskOf({ ops: (n) => refuse(`answered 503: request req-${n}abc`) });
    put(desk, "ops", "g", firing("A"));
    desk.outbox.send();
    const reasons = new Set<string>();
    for (let i = 0; i < 60; i++) {
      await desk.clock.advance(minute);
      for (const { why } of desk.outbox.take()) reasons.add(why!);
    }
    expect([...reasons]).toEqual(["answered 503: request req-1abc"]);
  });
});

describe("the newest state of a group", () => {
  test("is as old as what it tells: an outage of days doesn't give up what is true now", async () => {
    const desk = deskOf({
      ops: () => desk.clock.now() - start < 30 * hour ? refuse("answered 500") : undefined,
    });
    for (let i = 0; i < 30; i++) {
      put(desk, "ops", "g", firing(`A${i}`));
      desk.outbox.send();
      await desk.clock.advance(hour);
    }
    put(desk, "ops", "g", over("A29"));
    await desk.clock.advance(hour);
    expect(desk.outbox.rows()).toEqual([]);
    expect(says(desk.attempts["ops"]!).at(-1)).toBe("A29 resolved");
  });

  test("takes the place of one that waits, under an id of its own", async () => {
    let down = true;
    const desk = deskOf({ ops: () => down ? refuse("answered 500") : undefined });
    put(desk, "ops", "g", firing("A"));
    desk.outbox.send();
    await desk.clock.advance(second);
    put(desk, "ops", "g", firing("A"), firing("B"));
    down = false;
    desk.outbox.send();
    await desk.clock.advance(minute);
    const attempts = desk.attempts["ops"]!;
    expect(says(attempts)).toEqual(["A firing", "A firing, B firing"]);
    expect(attempts[0]!.id).not.toBe(attempts[1]!.id);
    // It waits for as long as the one before would have.
    expect(times(attempts)).toEqual([0, 2]);
    expect(events(desk)).toContain("replaced msg_1: by msg_2, which tells the newest state");
  });

  test("keeps those that are over and that nobody has heard of yet", async () => {
    let down = true;
    const desk = deskOf({ ops: () => down ? refuse("answered 500") : undefined });
    put(desk, "ops", "g", firing("A"), over("B"));
    desk.outbox.send();
    await desk.clock.advance(second);
    put(desk, "ops", "g", firing("A"), firing("C"));
    put(desk, "ops", "g", firing("C"), over("A"));
    down = false;
    await desk.clock.advance(minute);
    expect(says(desk.attempts["ops"]!).at(-1)).toBe("C firing, A resolved, B resolved");
  });

  test("waits while one of its group is under way, and never overtakes it", async () => {
    const first = Promise.withResolvers<void>();
    const desk = deskOf({ ops: (n) => n === 1 ? first.promise : undefined });
    put(desk, "ops", "g", firing("A"));
    put(desk, "ops", "h", firing("B"));
    desk.outbox.send();
    put(desk, "ops", "g", over("A"));
    desk.outbox.send();
    await desk.clock.advance(5 * second);
    expect(says(desk.attempts["ops"]!)).toEqual(["A firing", "B firing"]);
    first.resolve();
    await desk.clock.advance(second);
    expect(says(desk.attempts["ops"]!)).toEqual(["A firing", "B firing", "A resolved"]);
  });

  test("knows what the sink wanted to know, until the group is over, and after a restart", async () => {
    const desk = deskOf({ ops: (n) => ({ memo: `ts${n}` }) });
    const tell = async (...alerts: AlertMessage[]): Promise<void> => {
      put(desk, "ops", "g", ...alerts);
      desk.outbox.send();
      await desk.clock.advance(second);
    };
    await tell(firing("A"));
    const { memos } = desk.outbox.changes();
    expect(memos).toEqual([{ sink: "ops", group: "g", memo: "ts1" }]);
    await tell(firing("A"), firing("B"));
    await tell(over("A"), over("B"));
    expect(desk.outbox.changes().memos).toEqual([{ sink: "ops", group: "g", memo: "" }]);
    await tell(firing("A"));
    expect(desk.attempts["ops"]!.map(({ memo }) => memo)).toEqual([
      undefined,
      "ts1",
      "ts2",
      undefined,
    ]);
    const again = deskOf({ ops: () => {} });
    again.outbox.restore([], memos);
    put(again, "ops", "g", firing("A"));
    again.outbox.send();
    await again.clock.advance(second);
    expect(again.attempts["ops"]!.map(({ memo }) => memo)).toEqual(["ts1"]);
  });
});

describe("a rate", () => {
  test("is held: a burst, then so many a second; what waits is the newest state; both ends are said", async () => {
    const desk = deskOf({ ops: () => {} }, {}, { rate: { perSecond: 1, burst: 3 } });
    for (let i = 0; i < 6; i++) put(desk, "ops", `g${i}`, firing(`A${i}`));
    desk.outbox.send();
    await desk.clock.advance(second / 2);
    expect(desk.outbox.take()).toEqual([{ event: "throttled", sink: "ops", n: 1 }]);
    put(desk, "ops", "g5", over("A5"));
    await desk.clock.advance(minute);
    expect(times(desk.attempts["ops"]!)).toEqual([0, 0, 0, 1, 2, 3]);
    expect(says(desk.attempts["ops"]!).at(-1)).toBe("A5 resolved");
    expect(desk.outbox.take()).toEqual([]);
    expect(desk.log).toEqual([
      "ops: messages wait: it takes 1 a second, 3 at once",
      "ops: no message waits any more, after 3s",
    ]);
  });
});

describe("a limit", () => {
  test("of what waits lets the oldest go, says so, and keeps what is under way", async () => {
    const first = Promise.withResolvers<void>();
    const desk = deskOf({ logfile: (n) => n === 1 ? first.promise : undefined }, { limit: 3 });
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) {
      ids.push(put(desk, "logfile", `f${i}`, firing(`A${i}`)));
      desk.outbox.send();
    }
    expect(desk.log).toEqual([
      "logfile: the outbox is full: more than 3 messages wait; A1 (firing) is given up",
    ]);
    expect(desk.outbox.take().filter(({ event }) => event === "undelivered")).toHaveLength(2);
    first.resolve();
    await desk.clock.advance(second);
    expect(says(desk.attempts["logfile"]!)).toEqual(["A0 firing", "A3 firing", "A4 firing"]);
    expect(desk.outbox.changes().gone).toEqual(expect.arrayContaining(ids));
  });

  test("of dead letters lets the oldest go", async () => {
    const desk = deskOf({ ops: () => refuse("answered 400", { final: true }) });
    for (let i = 0; i < 1010; i++) put(desk, "ops", `g${i}`, firing(`A${i}`));
    desk.outbox.send();
    await desk.clock.advance(minute);
    const rows = desk.outbox.rows();
    expect(rows).toHaveLength(1000);
    expect(rows.some(({ group }) => group === "g0")).toBe(false);
  });
});

describe("a restart", () => {
  const left = (desk: Desk): OutboxRow[] => desk.outbox.rows();

  test("sends what is left with the ids that it had, at once, in order", async () => {
    const desk = deskOf({ ops: () => refuse("answered 500"), logfile: () => refuse("disk full") });
    put(desk, "ops", "g", firing("A"));
    put(desk, "logfile", "f", firing("A"));
    put(desk, "logfile", "f", over("A"));
    desk.outbox.send();
    await desk.clock.advance(10 * minute);
    const again = deskOf({ ops: () => {}, logfile: () => {} });
    again.outbox.restore(left(desk), []);
    again.outbox.send();
    await again.clock.advance(second);
    expect(again.attempts["ops"]!.map(({ id }) => id)).toEqual(["msg_1"]);
    expect(says(again.attempts["logfile"]!)).toEqual(["A firing", "A resolved"]);
    expect(again.outbox.changes().gone.toSorted()).toEqual(["msg_1", "msg_2", "msg_3"]);
  });

  test("keeps dead letters, and what was for a sink that there is no more becomes one", async () => {
    const desk = deskOf({
      ops: () => refuse("answered 400", { final: true }),
      old: () => refuse("no"),
    });
    put(desk, "ops", "g", firing("A"));
    put(desk, "old", "g", firing("B"));
    desk.outbox.send();
    await desk.clock.advance(second);
    const again = deskOf({ ops: () => {} });
    again.outbox.restore(left(desk), []);
    again.outbox.send();
    await again.clock.advance(hour);
    expect(again.attempts["ops"]).toEqual([]);
    expect(again.outbox.rows().map(({ sink, state, error }) => [sink, state, error])).toEqual([
      ["ops", "dead", "answered 400"],
      ["old", "dead", "there is no such sink any more"],
    ]);
  });
});

describe("the end", () => {
  test("delivers what is due, and tells how much remains", async () => {
    const desk = deskOf({
      ops: () => {},
      dead: () => refuse("no answer"),
      slow: () => new Promise(() => {}),
    });
    for (const sink of ["ops", "dead", "slow"]) put(desk, sink, "g", firing("A"));
    const closing = desk.outbox.close(5 * second);
    await desk.clock.advance(10 * second);
    expect(Object.fromEntries(await closing)).toEqual({ ops: 0, dead: 1, slow: 1 });
    expect(desk.outbox.rows().map(({ sink, attempts }) => [sink, attempts]))
      .toEqual([["dead", 2], ["slow", 0]]);
    const before = desk.attempts["dead"]!.length;
    await desk.clock.advance(hour);
    expect(desk.attempts["dead"]).toHaveLength(before);
  });

  test("comes at once where nobody waits for it", async () => {
    const desk = deskOf({ ops: () => {} });
    put(desk, "ops", "g", firing("A"));
    expect(Object.fromEntries(await desk.outbox.close(0))).toEqual({ ops: 1 });
    expect(desk.attempts["ops"]).toEqual([]);
  });
});

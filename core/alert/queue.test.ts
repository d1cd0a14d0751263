import { describe, expect, test } from "bun:test";
import { alertOf } from "../../test/alert.ts";
import type { AlertMessage } from "./alert.ts";
import { makeQueue } from "./queue.ts";
import type { Queue, QueueOptions } from "./queue.ts";
import { DeliveryError } from "./sink.ts";
import type { SendContext } from "./sink.ts";

interface Attempt {
  readonly alert: string;
  readonly id: string;
}

type Answer = (alert: AlertMessage, context: SendContext, attempt: number) => Promise<void> | void;

/** A queue in front of a sink that answers as it is told; pauses are noted and not waited for. */
function queueTo(answer: Answer, options: Partial<QueueOptions> = {}): {
  queue: Queue;
  attempts: Attempt[];
  pauses: number[];
  logged: string[];
} {
  const attempts: Attempt[] = [];
  const pauses: number[] = [];
  const logged: string[] = [];
  const queue = makeQueue({
    name: "fake",
    async send(alert, context) {
      attempts.push({ alert: alert.data.alert, id: context.id });
      await answer(alert, context, attempts.length);
    },
  }, {
    log: (message) => logged.push(message),
    random: () => 1,
    sleep: (milliseconds, signal) => {
      pauses.push(milliseconds);
      // What drain waits for at most is never over, unless it is told.
      if (milliseconds === patience) {
        return new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason))
        );
      }
      return Promise.resolve();
    },
    ...options,
  });
  return { queue, attempts, pauses, logged };
}

/** Told apart from other pauses by its number. */
const patience = 12_321;

const named = (alert: string): AlertMessage => alertOf({ alert });
const failing = (): never => {
  throw new Error("no");
};

describe("a queue", () => {
  test("delivers each alert once, in order, each with an id of its own", async () => {
    const { queue, attempts } = queueTo(() => {});
    ["A", "B", "C"].forEach((name) => queue.push(named(name)));
    expect(await queue.drain(patience)).toBe(0);
    expect(attempts.map(({ alert }) => alert)).toEqual(["A", "B", "C"]);
    expect(new Set(attempts.map(({ id }) => id)).size).toBe(3);
    for (const { id } of attempts) expect(id).toMatch(/^msg_\w{32}$/);
    expect([queue.delivered, queue.dropped]).toEqual([3, 0]);
  });

  test("sends one alert at a time", async () => {
    let under = 0;
    let most = 0;
    const { queue } = queueTo(async () => {
      most = Math.max(most, ++under);
      await Promise.resolve();
      under--;
    });
    ["A", "B", "C"].forEach((name) => queue.push(named(name)));
    await queue.drain(patience);
    expect(most).toBe(1);
  });

  test("takes what comes while it is busy, and after it was empty", async () => {
    const { queue, attempts } = queueTo(() => {});
    queue.push(named("A"));
    while (queue.delivered < 1) await Promise.resolve();
    await new Promise((resolve) => setTimeout(resolve, 0));
    queue.push(named("B"));
    await queue.drain(patience);
    expect(attempts.map(({ alert }) => alert)).toEqual(["A", "B"]);
  });
});

describe("an alert that comes at any moment", () => {
  test("is delivered, also in the one when the queue has just become empty", async () => {
    for (let later = 0; later < 20; later++) {
      const { queue } = queueTo((alert) => {
        if (alert.data.alert !== "A") return;
        void (async () => {
          for (let i = 0; i < later; i++) await Promise.resolve();
          queue.push(named("B"));
        })();
      });
      queue.push(named("A"));
      await new Promise((resolve) => setTimeout(resolve, 0));
      expect([later, queue.delivered]).toEqual([later, 2]);
      await queue.drain(patience);
    }
  });
});

describe("an alert that can't be delivered", () => {
  test("is tried again, under the same id, before those behind it", async () => {
    const { queue, attempts } = queueTo((_alert, _context, attempt) =>
      attempt < 3 ? failing() : undefined
    );
    ["A", "B"].forEach((name) => queue.push(named(name)));
    await queue.drain(patience);
    expect(attempts.map(({ alert }) => alert)).toEqual(["A", "A", "A", "B"]);
    expect(new Set(attempts.slice(0, 3).map(({ id }) => id)).size).toBe(1);
    expect([queue.delivered, queue.dropped]).toEqual([2, 0]);
  });

  test("is tried again after pauses that double, with jitter, and have an end", async () => {
    const { queue, pauses } = queueTo(failing);
    queue.push(named("A"));
    await queue.drain(patience);
    const tries = pauses.filter((pause) => pause !== patience);
    expect(tries).toEqual([2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000]);
    const lucky = queueTo(failing, { random: () => 0 });
    lucky.queue.push(named("A"));
    await lucky.queue.drain(patience);
    expect(new Set(lucky.pauses.filter((pause) => pause !== patience))).toEqual(new Set([1000]));
  });

  test("waits for as long as the receiver asked, but never less than without", async () => {
    const asked = [9000, 0, 777];
    const { queue, pauses } = queueTo((_alert, _context, attempt) => {
      const retryAfter = asked[attempt - 1];
      if (retryAfter !== undefined) throw new DeliveryError("later", { retryAfter });
    });
    queue.push(named("A"));
    await queue.drain(patience);
    expect(pauses.filter((pause) => pause !== patience)).toEqual([9000, 4000, 8000]);
  });

  test("is given up in the end, which is said, and those behind it are delivered", async () => {
    const { queue, attempts, logged } = queueTo((alert) =>
      alert.data.alert === "A" ? failing() : undefined
    );
    ["A", "B"].forEach((name) => queue.push(named(name)));
    expect(await queue.drain(patience)).toBe(0);
    expect(attempts.map(({ alert }) => alert)).toEqual([...Array(10).fill("A"), "B"]);
    expect([queue.delivered, queue.dropped]).toEqual([1, 1]);
    expect(logged.at(-1)).toBe("fake: A (firing) was not delivered: no");
    expect(logged[0]).toBe("fake: A (firing): no; next attempt in 2.0 s");
  });

  test("is given up at once where trying again would be useless", async () => {
    const { queue, attempts, logged } = queueTo(() => {
      throw new DeliveryError("answered 404", { final: true });
    });
    queue.push(named("A"));
    await queue.drain(patience);
    expect(attempts).toHaveLength(1);
    expect([queue.delivered, queue.dropped]).toEqual([0, 1]);
    expect(logged).toEqual(["fake: A (firing) was not delivered: answered 404"]);
  });

  test("is told with an error that is safe to print", async () => {
    const { queue, logged } = queueTo(() => {
      throw new DeliveryError("\x1b[2J\nevil", { final: true });
    });
    queue.push(named("A"));
    await queue.drain(patience);
    expect(logged[0]).toContain("\\x1b[2J\\x0aevil");
  });
});

describe("a sink that doesn't answer", () => {
  test("is told to stop when an attempt takes too long, and is tried again", async () => {
    const { queue, attempts } = queueTo((_alert, { signal }, attempt) => {
      if (attempt > 1) return;
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason))
      );
    }, { timeout: 1 });
    queue.push(named("A"));
    while (queue.delivered < 1) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(attempts).toHaveLength(2);
    await queue.drain(patience);
  });

  test("and doesn't stop either holds up neither the queue nor the end of the program", async () => {
    const { queue, attempts, logged } = queueTo(() => new Promise(() => {}), { timeout: 1 });
    queue.push(named("A"));
    while (attempts.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(logged[0]).toContain("next attempt");
    const stuck = queueTo(() => new Promise(() => {}), { sleep: () => Promise.resolve() });
    stuck.queue.push(named("A"));
    expect(await stuck.queue.drain(0)).toBe(1);
    await queue.drain(patience);
  });
});

describe("the end", () => {
  test("waits for what is under way, and for what waits", async () => {
    let release = (): void => {};
    const { queue } = queueTo((alert) =>
      alert.data.alert === "A" ? new Promise((resolve) => release = resolve) : undefined
    );
    ["A", "B"].forEach((name) => queue.push(named(name)));
    const drained = queue.drain(patience);
    while (queue.delivered === 0) {
      release();
      await Promise.resolve();
    }
    expect(await drained).toBe(0);
    expect(queue.delivered).toBe(2);
  });

  test("comes when the patience is over, and says how many alerts remain", async () => {
    const { queue, logged } = queueTo(
      (_alert, { signal }) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
      { sleep: () => Promise.resolve() },
    );
    ["A", "B", "C"].forEach((name) => queue.push(named(name)));
    expect(await queue.drain(0)).toBe(3);
    expect([queue.delivered, queue.dropped, logged]).toEqual([0, 0, []]);
  });

  test("ends a pause before the next attempt", async () => {
    const { queue, attempts } = queueTo(failing, {
      sleep: (milliseconds, signal) =>
        milliseconds === 0
          ? Promise.resolve()
          : new Promise((_, reject) =>
            signal.addEventListener("abort", () => reject(signal.reason))
          ),
    });
    queue.push(named("A"));
    while (attempts.length === 0) await Promise.resolve();
    expect(await queue.drain(0)).toBe(1);
    expect(attempts).toHaveLength(1);
  });

  test("closes the sink once, after its last alert, whether that goes well or not", async () => {
    const events: string[] = [];
    const logged: string[] = [];
    for (const close of [() => Promise.resolve(), () => Promise.reject(new Error("broken"))]) {
      const queue = makeQueue({
        name: "fake",
        send: (alert) => {
          events.push(alert.data.alert);
          return Promise.resolve();
        },
        close: () => {
          events.push("closed");
          return close();
        },
      }, { log: (message) => logged.push(message) });
      queue.push(named("A"));
      expect(await queue.drain(1000)).toBe(0);
    }
    expect(events).toEqual(["A", "closed", "A", "closed"]);
    expect(logged).toEqual(["fake: cannot be closed: broken"]);
  });

  test("of a queue that never had an alert is there at once", async () => {
    const { queue, attempts } = queueTo(() => {});
    expect(await queue.drain(patience)).toBe(0);
    expect(attempts).toEqual([]);
  });
});

describe("a queue that is full", () => {
  test("gives up the oldest that waits, and says so; what is under way goes on", async () => {
    let release = (): void => {};
    const { queue, attempts, logged } = queueTo(
      (alert) => alert.data.alert === "A" ? new Promise((resolve) => release = resolve) : undefined,
      { limit: 3 },
    );
    ["A", "B", "C", "D", "E"].forEach((name) => queue.push(named(name)));
    expect(queue.dropped).toBe(2);
    expect(logged).toEqual([
      "fake: the queue is full; B was not delivered",
      "fake: the queue is full; C was not delivered",
    ]);
    const drained = queue.drain(patience);
    while (attempts.length === 0) await Promise.resolve();
    release();
    await drained;
    expect(attempts.map(({ alert }) => alert)).toEqual(["A", "D", "E"]);
  });
});

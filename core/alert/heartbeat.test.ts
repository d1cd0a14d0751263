import { describe, expect, test } from "bun:test";
import { virtualClock } from "../testing/virtual_clock.ts";
import type { VirtualClock } from "../testing/virtual_clock.ts";
import { makeHeartbeats, makePulse } from "./heartbeat.ts";
import type { Heartbeats } from "./heartbeat.ts";
import { DeliveryError } from "./sink.ts";
import type { HeartbeatSink, SendContext } from "./sink.ts";

const second = 1000;
const minute = 60 * second;

/** A heart, and in which second it has beaten. */
function heartOf(
  { answer = () => Promise.resolve(), ...more }: {
    readonly answer?: (n: number, context: SendContext) => Promise<void>;
    readonly every?: number;
    readonly timeout?: number;
    readonly name?: string;
    readonly trouble?: () => string | undefined;
  } = {},
): {
  readonly clock: VirtualClock;
  readonly beats: number[];
  readonly ids: string[];
  readonly said: string[];
  readonly hearts: Heartbeats;
} {
  const { trouble = () => undefined, ...parts } = more;
  const clock = virtualClock(0);
  const beats: number[] = [];
  const ids: string[] = [];
  const said: string[] = [];
  const sink: HeartbeatSink = {
    name: "pulse",
    every: minute,
    ...parts,
    beat(context) {
      ids.push(context.id);
      return answer(beats.push(clock.now() / second), context);
    },
  };
  const hearts = makeHeartbeats({
    sinks: [sink],
    clock,
    log: (line) => said.push(line),
    trouble,
  });
  return { clock, beats, ids, said, hearts };
}

const never = (): Promise<void> => new Promise(() => {});

describe("a source", () => {
  test("that hangs is trouble, until it ticks again", () => {
    let now = 0;
    const pulse = makePulse(second, () => now);
    const trouble = (at: number): string | undefined => {
      now = at * second;
      return pulse.trouble();
    };
    expect([trouble(0), trouble(13)]).toEqual([undefined, undefined]);
    expect(trouble(13.1)).toBe("the source doesn't tick");
    pulse.ticked();
    expect([trouble(14), trouble(26)]).toEqual([undefined, undefined]);
    expect(trouble(27)).toBe("the source doesn't tick");
  });
});

describe("a sign of life", () => {
  test("is given at the start, and then each `every`", async () => {
    const { clock, beats, ids, said, hearts } = heartOf();
    hearts.begin();
    await clock.until(3 * minute);
    expect(beats).toEqual([0, 60, 120, 180]);
    expect(said).toEqual([]);
    expect(new Set(ids).size).toBe(4);
    for (const id of ids) expect(id).toMatch(/^msg_[0-9a-f]{32}$/);
  });

  test("isn't given before it begins", async () => {
    const { clock, beats } = heartOf();
    await clock.until(minute);
    expect(beats).toEqual([]);
  });

  test("that waits for the first counts alone is no trouble to be told of", async () => {
    let trouble: string | undefined = "drops aren't counted yet";
    const { clock, beats, said, hearts } = heartOf({ trouble: () => trouble });
    hearts.begin();
    await clock.until(second);
    trouble = undefined;
    await clock.until(10 * second);
    expect(beats).toEqual([5]);
    expect(said).toEqual([]);
  });

  test("isn't given while all isn't well, and is within five seconds when it is", async () => {
    let trouble: string | undefined = "drops aren't counted";
    const { clock, beats, said, hearts } = heartOf({ trouble: () => trouble });
    hearts.begin();
    await clock.until(3 * minute - second);
    expect(beats).toEqual([]);
    expect(said).toEqual(["pulse: no sign of life: drops aren't counted"]);
    trouble = undefined;
    await clock.until(4 * minute);
    expect(beats).toEqual([180, 240]);
    expect(said.slice(1)).toEqual(["pulse: gives a sign of life every 1m again"]);
  });

  test("ends with the trouble that begins between two, and says so", async () => {
    let trouble: string | undefined;
    const { clock, beats, said, hearts } = heartOf({ trouble: () => trouble });
    hearts.begin();
    await clock.until(70 * second);
    trouble = "stdout: closed";
    await clock.until(5 * minute);
    expect(beats).toEqual([0, 60]);
    trouble = "another thing";
    await clock.until(6 * minute);
    expect(said).toEqual([
      "pulse: no sign of life: stdout: closed",
      "pulse: no sign of life: another thing",
    ]);
  });

  test("that fails is tried again after five seconds, and told once", async () => {
    const { clock, beats, said, hearts } = heartOf({
      answer: (n) =>
        n === 2 || n === 3 ? Promise.reject(new Error("no route\nto host")) : Promise.resolve(),
    });
    hearts.begin();
    await clock.until(2 * minute + 10 * second);
    expect(beats).toEqual([0, 60, 65, 70, 130]);
    expect(said).toEqual([
      "pulse: no sign of life: no route\\x0ato host",
      "pulse: gives a sign of life every 1m again",
    ]);
  });

  test("that fails is tried no later than the next one", async () => {
    const { clock, beats, hearts } = heartOf({
      every: 2 * second,
      answer: () => Promise.reject(new Error("down")),
    });
    hearts.begin();
    await clock.until(6 * second);
    expect(beats).toEqual([0, 2, 4, 6]);
  });

  test("waits as long as the receiver asks for, also longer than `every`", async () => {
    const asked = [90, 2];
    const { clock, beats, hearts } = heartOf({
      answer: (n) => {
        const wait = asked[n - 1];
        return wait === undefined
          ? Promise.resolve()
          : Promise.reject(new DeliveryError("429", { retryAfter: wait * second }));
      },
    });
    hearts.begin();
    await clock.until(3 * minute);
    expect(beats).toEqual([0, 90, 95, 155]);
  });

  test("that is refused for good isn't tried sooner than the next one", async () => {
    const { clock, beats, said, hearts } = heartOf({
      answer: () => Promise.reject(new DeliveryError("answered 404", { final: true })),
    });
    hearts.begin();
    await clock.until(2 * minute);
    expect(beats).toEqual([0, 60, 120]);
    expect(said).toEqual(["pulse: no sign of life: answered 404"]);
  });

  test("that is never answered is given up after the sink's time, and tried again", async () => {
    const signals: AbortSignal[] = [];
    const { clock, beats, said, hearts } = heartOf({
      timeout: 10 * second,
      answer: (n, { signal }) => {
        signals.push(signal);
        return n === 1 ? never() : Promise.resolve();
      },
    });
    hearts.begin();
    await clock.until(9 * second);
    expect(signals[0]!.aborted).toBe(false);
    await clock.until(2 * minute);
    expect(signals[0]!.aborted).toBe(true);
    expect(beats).toEqual([0, 15, 75]);
    expect(said).toEqual([
      "pulse: no sign of life: no answer within 10s",
      "pulse: gives a sign of life every 1m again",
    ]);
  });

  test("of a sink that throws at once is one that failed", async () => {
    const { clock, beats, said, hearts } = heartOf({
      answer: () => {
        throw new Error("broken");
      },
    });
    hearts.begin();
    await clock.until(5 * second);
    expect(beats).toEqual([0, 5]);
    expect(said).toEqual(["pulse: no sign of life: broken"]);
  });
});

describe("the end", () => {
  test("comes although a sink never answers, and nothing is said of that", async () => {
    const { clock, beats, said, hearts } = heartOf({ answer: never });
    hearts.begin();
    await clock.until(second);
    await hearts.end();
    await clock.until(10 * minute);
    expect(beats).toEqual([0]);
    expect(said).toEqual([]);
  });

  test("is the end of all signs of life", async () => {
    const { clock, beats, hearts } = heartOf();
    hearts.begin();
    await clock.until(90 * second);
    await hearts.end();
    await clock.until(10 * minute);
    expect(beats).toEqual([0, 60]);
  });

  test("comes at once where nothing has begun", async () => {
    await heartOf().hearts.end();
  });
});

test("several sinks give theirs each in its own time, and none waits for another", async () => {
  const clock = virtualClock(0);
  const beats: string[] = [];
  const sinkOf = (name: string, every: number, answer: () => Promise<void>): HeartbeatSink => ({
    name,
    every,
    beat() {
      beats.push(`${clock.now() / second} ${name}`);
      return answer();
    },
  });
  const hearts = makeHeartbeats({
    sinks: [
      sinkOf("slow", 30 * second, never),
      sinkOf("quick", 20 * second, () => Promise.resolve()),
    ],
    clock,
    log: () => {},
    trouble: () => undefined,
  });
  hearts.begin();
  await clock.until(45 * second);
  await hearts.end();
  expect(beats).toEqual(["0 slow", "0 quick", "20 quick", "25 slow", "40 quick"]);
});

// The stream of events: on a real run, over what a client reads.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readEvents } from "../../test/server.ts";
import type { EventReader, ServerEvent } from "../../test/server.ts";
import { closed, ruleText, startRun, until } from "../../test/run.ts";
import type { Run } from "../../test/run.ts";
import * as v from "valibot";
import { makeEventHub } from "./event_stream.ts";
import type { EventHub } from "./event_stream.ts";
import { defaultLimits } from "./limit.ts";
import type { Limits } from "./limit.ts";
import { AlertSchema, ChangedSchema, HelloSchema, ResetSchema, TickSchema } from "./schema.ts";

let run: Run;
let hub: EventHub;
let log: string[] = [];
const readers = new Set<EventReader>();
const schemas: Record<string, v.GenericSchema> = {
  hello: HelloSchema,
  tick: TickSchema,
  alert: AlertSchema,
  changed: ChangedSchema,
  reset: ResetSchema,
};

beforeEach(async () => {
  run = await startRun({ view: true, files: { "closed.ts": ruleText("Closed") } });
  log = [];
});
afterEach(async () => {
  hub?.close();
  for (const reader of readers) await reader.close();
  readers.clear();
  await run.stop();
});

function open(limits: Partial<Limits> = {}): EventHub {
  return hub = makeEventHub({
    view: run.view,
    limits: { ...defaultLimits, ...limits },
    notices: { say: (_, message) => void log.push(message) },
    now: () => 1000,
  });
}

function look(lastEventId?: string, allowed: () => boolean = () => true): EventReader {
  const stream = hub.open({ client: "192.0.2.1", lastEventId, allowed });
  const reader = readEvents(new Response(stream));
  readers.add(reader);
  return reader;
}

/** Events up to the next tick, that too. */
async function upToTick(reader: EventReader): Promise<ServerEvent[]> {
  const events: ServerEvent[] = [];
  for (;;) {
    const event = await reader.next();
    if (event === undefined) throw new Error("the stream ended");
    expect([event.event, v.parse(schemas[event.event]!, event.data)])
      .toEqual([event.event, event.data]);
    events.push(event);
    if (event.event === "tick") return events;
  }
}

const kinds = (events: readonly ServerEvent[]): string[] => events.map(({ event }) => event);
const seqs = (events: readonly ServerEvent[]): number[] =>
  events.flatMap(({ id }) => id === undefined ? [] : [Number(id.split("-").at(-1))]);

describe("a stream", () => {
  test("begins with hello, and tells ticks and alerts as they come, with ids without a gap", async () => {
    open();
    const reader = look();
    const told: ServerEvent[] = [];
    for (let i = 0; i < 3; i++) {
      await run.second(closed(20));
      told.push(...await upToTick(reader));
    }
    const { instance, history } = run.view.status();
    expect(told[0]).toMatchObject({
      event: "hello",
      id: `${instance}-1000`,
      data: { instance, fields: history.fields },
    });
    expect(kinds(told).filter((kind) => kind === "tick")).toHaveLength(3);
    const alert = told.find(({ event }) => event === "alert");
    expect(alert?.data).toMatchObject({ alert: "Closed", state: "firing" });
    const ids = seqs(told);
    expect(ids).toEqual(ids.map((_, i) => 1000 + i));
  });

  test("is the same bytes for all", async () => {
    open();
    const [first, second] = [look(), look()];
    await run.second(closed(20));
    expect(await upToTick(first)).toEqual(await upToTick(second));
    expect(hub.streams).toBe(2);
    await first.close();
    await until(() => hub.streams === 1);
  });
});

describe("who comes back", () => {
  test("gets what was missed, and nothing twice", async () => {
    open();
    const first = look();
    await run.second(closed(20));
    const before = await upToTick(first);
    await first.close();
    for (let i = 0; i < 4; i++) await run.second(closed(20));
    const again = look(before.at(-1)!.id);
    await run.second(closed(20));
    const after: ServerEvent[] = [];
    for (let i = 0; i < 5; i++) after.push(...await upToTick(again));
    expect(kinds(after)).not.toContain("reset");
    expect(after[0]).toMatchObject({ event: "hello", id: undefined });
    const last = seqs(before).at(-1)!;
    const ids = seqs(after);
    expect(ids).toEqual(ids.map((_, i) => last + 1 + i));
  });

  test("with all there is gets no more, and no reset", async () => {
    open();
    const first = look();
    await run.second();
    const last = (await upToTick(first)).at(-1)!.id!;
    const again = look(last);
    await run.second();
    expect(kinds(await upToTick(again))).not.toContain("reset");
  });

  test.each([
    ["another run", "other-1000"],
    ["what is to come", "INSTANCE-2000"],
    ["before the first", "INSTANCE-3"],
    ["nothing", ""],
    ["what is no number", "INSTANCE-x"],
    ["a number beside", "INSTANCE-1000-1000"],
    ["a number too large", `INSTANCE-${"9".repeat(40)}`],
  ])("from %s is told to read all again", async (_, id) => {
    open();
    look();
    await run.second();
    const again = look(id.replace("INSTANCE", run.view.status().instance));
    await run.second();
    const events = await upToTick(again);
    expect(kinds(events).slice(0, 2)).toEqual(["hello", "reset"]);
  });

  test("after more than is kept is told to read all again: in events, and in bytes", async () => {
    for (const limits of [{ ringEvents: 3 }, { ringBytes: 700 }, { streamBytes: 3000 }]) {
      open(limits);
      const first = look();
      await run.second();
      const last = (await upToTick(first)).at(-1)!.id;
      await first.close();
      for (let i = 0; i < 10; i++) await run.second(closed(i));
      const again = look(last);
      await run.second();
      expect([limits, kinds(await upToTick(again))[1]]).toEqual([limits, "reset"]);
      hub.close();
    }
  });

  test("long after the last one looked is told to read all again: nothing was kept", async () => {
    open({ ringIdle: 20 });
    const first = look();
    await run.second();
    const last = (await upToTick(first)).at(-1)!.id;
    await first.close();
    await new Promise((resolve) => setTimeout(resolve, 60));
    const again = look(last);
    await run.second();
    expect(kinds(await upToTick(again))[1]).toBe("reset");
  });
});

describe("a client", () => {
  test("that reads nothing is let go when so much waits, and others get all", async () => {
    open({ streamBytes: 5000 });
    const lazy = hub.open({ client: "192.0.2.9", lastEventId: undefined, allowed: () => true });
    const eager = look();
    for (let i = 0; i < 30; i++) {
      await run.second(closed(i));
      await upToTick(eager);
    }
    expect(log).toEqual(["the server ended a stream of 192.0.2.9: it isn't read"]);
    expect(hub.streams).toBe(1);
    let thrown: unknown;
    await lazy.getReader().read().catch((error) => thrown = error);
    expect((thrown as Error).name).toBe("ClientGone");
  });

  test("of an event that is larger than all may be reads again", async () => {
    open({ streamBytes: 4000 });
    const reader = look();
    await reader.next();
    await run.second(
      Array.from({ length: 100 }, (_, i) => [{ reason: "NO_SOCKET", dev: `eth${i}` }, 1] as const),
    );
    let event = await reader.next();
    while (event?.event !== "reset") event = await reader.next();
    expect(event.data).toEqual({});
    expect(log[0]).toContain("too large");
  });

  test("without the right to look any more is let go at the next heartbeat", async () => {
    open({ heartbeat: 10 });
    let allowed = true;
    const reader = look(undefined, () => allowed);
    expect((await reader.next())?.event).toBe("hello");
    allowed = false;
    expect(await reader.next()).toBeUndefined();
    expect(hub.streams).toBe(0);
  });

  test("sees the stream end when the server does, and gets none afterwards", async () => {
    open();
    const reader = look();
    await reader.next();
    hub.close();
    expect(await reader.next()).toBeUndefined();
    expect(() => look()).toThrow("the server is ending");
  });

  test("hears that the stream is alive", async () => {
    open({ heartbeat: 10 });
    const bytes = hub.open({ client: "a", lastEventId: undefined, allowed: () => true })
      .getReader();
    let text = "";
    while (!text.includes("\n\n: alive\n\n")) {
      text += new TextDecoder().decode((await bytes.read()).value);
    }
    expect(text.startsWith("retry: 2000\n\n")).toBe(true);
    await bytes.cancel();
  });
});

// What every sink promises. A sink's own test calls `sinkContract` with a way to set it up, and
// tests beside that what is special to it.
import { describe, expect, test } from "bun:test";
import type { AlertMessage } from "../../core/alert/alert.ts";
import type { Sink } from "../../core/alert/sink.ts";
import { alertOf, hostileNames, rawControl } from "../alert.ts";

/** A sink and its other end. */
export interface SinkUnderTest {
  readonly sink: Sink;
  /** What has arrived so far, a text for each alert, as it arrived. */
  received(): readonly string[];
  /** Takes the other end down. */
  close?(): Promise<void>;
}

export interface SinkContract {
  setUp(): Promise<SinkUnderTest>;
  /** Reads a text as the alert that it tells; left out for a sink that writes for people. */
  readonly read?: (text: string) => AlertMessage;
}

const context = { id: "msg_1", signal: new AbortController().signal };

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    Object.values(value).forEach(freeze);
    Object.freeze(value);
  }
  return value;
}

/** Declares the tests of a sink's promises. */
export function sinkContract(name: string, { setUp, read }: SinkContract): void {
  const using = async (body: (under: SinkUnderTest) => Promise<void>): Promise<void> => {
    const under = await setUp();
    try {
      await body(under);
      await under.sink.close?.();
    } finally {
      await under.close?.();
    }
  };

  describe(`${name}, as every sink`, () => {
    test("has a name for the log, without an address that could hold a token", () =>
      using(({ sink }) => {
        expect(sink.name).toMatch(/^[a-z][a-z0-9_-]*$/);
        return Promise.resolve();
      }));

    test("has delivered an alert when `send` settles", () =>
      using(async ({ sink, received }) => {
        await sink.send(alertOf(), context);
        expect(received()).toHaveLength(1);
        expect(received()[0]).toContain("SocketFilterDrops");
        expect(received()[0]).toContain("4711");
      }));

    test("delivers in order what fires and what is resolved", () =>
      using(async ({ sink, received }) => {
        const alerts = [
          alertOf({ alert: "First" }),
          alertOf({ alert: "First", endsAt: "2026-01-02T03:09:05.000Z" }),
          alertOf({ alert: "Second" }),
        ];
        for (const alert of alerts) await sink.send(alert, context);
        expect(received().map((text) => /First|Second/.exec(text)?.[0]))
          .toEqual(["First", "First", "Second"]);
        expect(received().map((text) => /resolved/i.test(text))).toEqual([false, true, false]);
      }));

    test("leaves the alert as it was: other sinks get it too", () =>
      using(async ({ sink, received }) => {
        await sink.send(freeze(alertOf()), context);
        expect(received()).toHaveLength(1);
      }));

    test("lets nothing through raw that a stranger chose: no control character, no line", () =>
      using(async ({ sink, received }) => {
        for (const name of hostileNames) {
          await sink.send(
            alertOf({
              labels: { comm: name, dev: name },
              annotations: { summary: `from ${name}`, description: name, runbook: name },
            }),
            context,
          );
        }
        expect(received()).toHaveLength(hostileNames.length);
        for (const text of received()) {
          for (const line of text.replace(/\n$/, "").split("\n")) {
            expect(line).not.toMatch(rawControl);
          }
        }
      }));

    test("says that a number is only `at least`", () =>
      using(async ({ sink, received }) => {
        await sink.send(alertOf({ exact: false, lost: 77 }), context);
        expect(received()[0]).toContain("77");
        expect(received()[0]).toMatch(/at least|"exact":false/);
      }));

    if (read === undefined) return;

    test("tells the alert in the one shape that it has everywhere", () =>
      using(async ({ sink, received }) => {
        const alerts = [
          alertOf(),
          alertOf({ endsAt: "2026-01-02T03:09:05.000Z" }),
          ...hostileNames.map((comm) => alertOf({ labels: { comm } })),
        ];
        for (const alert of alerts) await sink.send(alert, context);
        expect(received().map(read)).toEqual(
          alerts.map((alert) => JSON.parse(JSON.stringify(alert))),
        );
      }));
  });
}

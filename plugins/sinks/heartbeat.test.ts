// What is special to the heartbeat; what every sink promises is in test/contract/sink.ts.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { heartbeatContract } from "../../test/contract/sink.ts";
import { Receiver } from "../../test/receiver.ts";
import { sinkOf } from "../../test/sink.ts";
import type { HeartbeatSink } from "../../core/alert/sink.ts";
import type { SinkSetting } from "./registry.ts";
import { heartbeat } from "./heartbeat.ts";
import type { HeartbeatOptions } from "./heartbeat.ts";

heartbeatContract("heartbeat", { make: (url) => sinkOf(`heartbeat=${url}`) });

let receiver: Receiver;

beforeEach(async () => {
  receiver = new Receiver();
  await receiver.open();
});

afterEach(() => receiver.close());

const context = { id: "msg_1", signal: new AbortController().signal };
const sinkWith = (options: HeartbeatOptions, setting: Partial<SinkSetting> = {}): HeartbeatSink =>
  sinkOf<HeartbeatSink>(heartbeat(options), setting);

describe("a heartbeat", () => {
  test("is called every minute, or as often as it is told", () => {
    const url = "https://x.example/";
    expect(sinkWith({ url }).every).toBe(60_000);
    expect(sinkWith({ url, every: "5m" }).every).toBe(300_000);
    for (const every of ["500ms", "2d", "0s", "soon", "", 60] as never[]) {
      expect(() => sinkWith({ url, every })).toThrow(
        "its every can't be used: expected a duration from 1s to 1d",
      );
    }
  });

  test("takes the method that the other end wants", async () => {
    for (const method of ["GET", "POST", "HEAD"] as const) {
      await sinkWith({ url: receiver.url("/ping/1"), method }).beat(context);
    }
    expect(receiver.received.map(({ method, path }) => [method, path]))
      .toEqual([["GET", "/ping/1"], ["POST", "/ping/1"], ["HEAD", "/ping/1"]]);
    expect(() => sinkWith({ url: receiver.url(), method: "DELETE" as never }))
      .toThrow("expected GET, POST or HEAD");
  });

  test("has its URL from elsewhere, and keeps it", async () => {
    const traced: string[] = [];
    const trace = (_: string, lines: string): void => void traced.push(lines);
    const url = receiver.url("/0b5f-s3cret");
    receiver.answers(200, {}, `pinged ${url}`);
    const sink = sinkWith({ url: { env: "PING" } }, { env: { PING: url }, trace });
    expect(await sink.beat(context)).toEqual({ answer: "200" });
    expect(traced).toHaveLength(2);
    expect(traced.join("\n")).not.toContain("s3cret");
  });
});

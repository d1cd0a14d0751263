// What a sink is made with in a test: nothing is written anywhere, and secrets are hidden as they are in
// a run.
import type { AlertMessage } from "../core/alert/alert.ts";
import { makeNotification } from "../core/alert/notification.ts";
import type { Notification } from "../core/alert/notification.ts";
import type { Delivered, SendContext, Sink } from "../core/alert/sink.ts";
import { makeSink, makeSinkOf } from "../plugins/sinks/registry.ts";
import type { SinkSetting } from "../plugins/sinks/registry.ts";
import type { SinkSpec } from "../plugins/sinks/kind.ts";

export const testSetting: SinkSetting = {
  json: false,
  colour: false,
  out: () => {},
  log: () => {},
  env: {},
};

/** Makes a sink as the command line (a word) or a config (what a kind returns) makes it. */
export function sinkOf<S extends Sink = Sink>(
  from: string | SinkSpec,
  setting: Partial<SinkSetting> = {},
): S {
  const all = { ...testSetting, ...setting };
  return (typeof from === "string" ? makeSink(from, all) : makeSinkOf(from, all)) as S;
}

/** A notification about some alerts. */
export function notificationOf(
  alerts: readonly AlertMessage[],
  parts: Partial<Notification> = {},
): Notification {
  const about = {
    receiver: "test",
    reason: "first notification" as const,
    timestamp: alerts[0]?.timestamp ?? "2026-01-02T03:04:05.000Z",
    groupKey: `{}:{alertname="${alerts[0]?.data.alert}"}`,
    groupLabels: { alertname: alerts[0]?.data.alert ?? "" },
    externalURL: "",
  };
  return { ...makeNotification(about, alerts.map(({ data }) => data)), ...parts };
}

/** Hands an alert to a sink, of whatever sort it is, as the only one of its group. */
export function give(
  sink: Sink,
  alert: AlertMessage,
  context: SendContext,
): Promise<Delivered | void> {
  if ("send" in sink) return sink.send(alert, context);
  if ("notify" in sink) return sink.notify(notificationOf([alert]), context);
  if ("mirror" in sink) return sink.mirror([alert], context);
  return sink.beat(context);
}

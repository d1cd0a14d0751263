// Sinks: which there are, and whether one works: it is sent an alert that says it is a test.
import { fingerprint } from "../../core/alert/alert.ts";
import type { AlertMessage } from "../../core/alert/alert.ts";
import { makeNotification } from "../../core/alert/notification.ts";
import {
  closeSink,
  inWords,
  newMessageId,
  timeoutOf,
  untilAborted,
} from "../../core/alert/sink.ts";
import type { Delivered, SendContext, Sink } from "../../core/alert/sink.ts";
import {
  exitCode,
  jsonLine,
  missingArgument,
  printable,
  reasonOf,
  unknownSink,
} from "../../core/error.ts";
import { nearest } from "../../core/nearest.ts";
import { sinkMakers } from "../../plugins/sinks/registry.ts";
import type { Command } from "../command.ts";
import { readSetting } from "../setting.ts";
import type { NamedSink } from "../setting.ts";
import { table } from "../table.ts";
import { verbOf } from "../verb.ts";

export const sinkCommand: Command = {
  name: "sink",
  usage: "list | test NAME",
  doc: "which sinks there are; send one a test alert, and see the request and the answer",
  words: 2,
  options: ["config", "sink", "json"],
  examples: [
    "dropwatch sink list",
    "dropwatch sink test slack",
    "dropwatch sink test webhook --sink webhook=http://127.0.0.1:9000/hook",
  ],
  async run(given, terminal) {
    const verb = verbOf("sink", given.words[0], ["list", "test"]);
    const timestamp = new Date().toISOString();
    const json = given.flag("json");
    const trace = (direction: "sent" | "got", text: string): void => {
      if (json) {
        terminal.out(
          jsonLine({ type: direction, timestamp: new Date().toISOString(), data: { text } }),
        );
      } else {
        const mark = direction === "sent" ? ">" : "<";
        terminal.out(
          text.split("\n").map((line) => `${mark} ${printable(line)}`.trimEnd()).join("\n"),
        );
      }
    };
    const { sinks, openSinks } = await readSetting(given, terminal, {
      trace,
      // A sink of the command line is tried out beside whatever the config has.
      routed: given.list("sink").length === 0,
    });
    const names = sinks.map((sink) => sink.name);
    if (verb === "list") {
      const kinds = Object.values(sinkMakers).map(({ of: { name, value, fromWord, doc } }) => [
        name,
        fromWord === undefined
          ? "in the config"
          : `--sink ${name}${value === undefined ? "" : `=${value}`}`,
        doc,
      ]);
      if (json) {
        const data = { names, kinds: Object.keys(sinkMakers) };
        terminal.out(jsonLine({ type: "sinks", timestamp, data }));
      } else {
        terminal.out([
          ...table(["set up here", "kind", "what it gets"], sinks.map(rowOf)),
          "",
          ...table(["kinds there are", "written", "what it does"], kinds),
        ].join("\n"));
      }
      return exitCode.done;
    }
    const [, name] = given.words;
    if (name === undefined) {
      throw missingArgument("sink test", `the name of a sink: ${names.join(", ")}`);
    }
    if (!names.includes(name)) throw unknownSink(name, names, nearest(name, names));
    const sink = openSinks(name)[0]!;
    const signal = AbortSignal.any([
      terminal.signal,
      AbortSignal.timeout(timeoutOf(sink)),
    ]);
    const id = newMessageId();
    const started = performance.now();
    let outcome: string;
    let ok = false;
    try {
      const delivered = await untilAborted(send(sink, { id, signal }), signal);
      ok = true;
      const answer = inWords((delivered ?? {}).answer);
      outcome = answer === undefined ? "delivered" : `delivered: ${printable(answer)}`;
    } catch (thrown) {
      outcome = `not delivered: ${reasonOf(thrown)}`;
    }
    await closeSink(sink).catch((thrown) =>
      terminal.log(`${name}: can't be closed: ${reasonOf(thrown)}`)
    );
    const took = Math.round(performance.now() - started);
    if (json) {
      const data = { sink: name, delivered: ok, outcome, milliseconds: took };
      terminal.out(jsonLine({ type: "outcome", timestamp: new Date().toISOString(), data }));
    } else terminal.log(`${name}: ${outcome} (${took} ms)`);
    return ok ? exitCode.done : exitCode.finding;
  },
};

const gets: Readonly<Record<NamedSink["sort"], string>> = {
  changes: "every change of every alert",
  groups: "groups of alerts",
  mirror: "all alerts, again and again",
  heartbeat: "signs of life",
};

function rowOf({ name, kind, sort }: NamedSink): readonly string[] {
  return [printable(name), kind === "own" ? "the config's own" : kind, gets[sort]];
}

function send(sink: Sink, context: SendContext): Promise<Delivered | void> {
  const alert = testAlert(new Date().toISOString());
  if ("send" in sink) return sink.send(alert, context);
  if ("mirror" in sink) return sink.mirror([alert], context);
  if ("beat" in sink) return sink.beat(context);
  const { timestamp, data } = alert;
  const { labels } = data;
  const notification = makeNotification({
    receiver: sink.name,
    reason: "test",
    timestamp,
    groupKey: `{}:{alertname="${data.alert}"}`,
    groupLabels: { alertname: labels["alertname"]! },
    externalURL: "",
    rates: {
      from: Date.parse(timestamp) - 900_000,
      step: 10_000,
      values: Array.from({ length: 90 }, (_, i) => i < 60 ? i % 7 : 400 + 40 * (i % 5)),
      of: "a test, no drops",
    },
  }, [data]);
  return sink.notify(notification, context);
}

/** It says what it is, in all that people read. */
function testAlert(at: string): AlertMessage {
  const labels = { alertname: "DropwatchTest", severity: "info", owner: "nobody" };
  return {
    type: "alert.firing",
    timestamp: at,
    data: {
      alert: "DropwatchTest",
      status: "firing",
      severity: "info",
      labels,
      annotations: {
        summary: "this is a test of dropwatch: nothing is wrong",
        description: "Somebody ran `dropwatch sink test`. No packet was dropped for this.",
      },
      value: 1,
      peak: 1,
      total: 1,
      startsAt: at,
      endsAt: null,
      fingerprint: fingerprint(labels),
      exact: true,
      lost: 0,
      evidence: {},
    },
  };
}

// What became of alerts: why somebody was, or wasn't, told.
import type { AlertEvent } from "../../core/alert/journal.ts";
import { exitCode, jsonLine, printable } from "../../core/error.ts";
import { showDuration } from "../../core/rule/duration.ts";
import { findId, openBeside } from "../../core/store_beside.ts";
import type { KnownAlert } from "../../core/store_beside.ts";
import type { Command } from "../command.ts";
import { readState } from "../setting.ts";
import { showLabel, showTime, table } from "../table.ts";
import { verbOf, wordOf } from "../verb.ts";

export const alertsCommand: Command = {
  name: "alerts",
  usage: "list | show FINGERPRINT",
  doc: "alerts of now and of late, and why somebody was, or wasn't, told of one",
  words: 2,
  options: ["all", "state", "config", "json"],
  examples: [
    "dropwatch alerts list --all",
    "dropwatch alerts show 768562ca",
  ],
  async run(given, terminal) {
    const verb = verbOf("alerts", given.words[0], ["list", "show"]);
    const state = openBeside(await readState(given));
    const timestamp = new Date().toISOString();
    const json = given.flag("json");
    try {
      const alerts = state.alerts();
      if (verb === "list") {
        const shown = alerts.filter((each) => given.flag("all") || isActive(each));
        if (json) {
          for (const data of shown) terminal.out(jsonLine({ type: "alert", timestamp, data }));
        } else if (shown.length === 0) {
          terminal.log(
            "no alert fires" + (alerts.length > 0 ? "; --all shows those that did" : ""),
          );
        } else terminal.out(tableOf(shown).join("\n"));
        return exitCode.done;
      }
      const word = wordOf("alerts show", given.words, "the alert's fingerprint");
      const fingerprint = findId("alert", word, alerts.map((each) => each.fingerprint));
      const events = state.events(fingerprint);
      if (json) {
        for (const data of events) {
          const at = new Date(data.at).toISOString();
          terminal.out(jsonLine({ type: "event", timestamp: at, data: { ...data, at } }));
        }
        return exitCode.done;
      }
      const alert = alerts.find((each) => each.fingerprint === fingerprint)!;
      terminal.out([...headOf(alert), "", ...timeline(events)].join("\n"));
      return exitCode.done;
    } finally {
      state.close();
    }
  },
};

function isActive({ message }: KnownAlert): boolean {
  return message?.data.status === "firing";
}

function tableOf(alerts: readonly KnownAlert[]): string[] {
  return table(
    ["fingerprint", "state", "since (UTC)", "alert", "labels", "last"],
    alerts.map(({ fingerprint, message, last }) => [
      fingerprint,
      message?.data.status ?? "over",
      message === undefined ? "" : showTime(Date.parse(message.data.startsAt)),
      printable(message?.data.alert ?? last?.text.split(":")[0] ?? ""),
      message === undefined ? "" : labelsOf(message.data.labels),
      last === undefined
        ? ""
        : `${shownKind(last.kind)}${last.sink === "" ? "" : ` (${last.sink})`}`,
    ]),
  );
}

function labelsOf(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels).filter(([name]) => name !== "alertname")
    .map(([name, value]) => `${name}=${showLabel(value)}`).join(" ");
}

function headOf({ fingerprint, message }: KnownAlert): string[] {
  if (message === undefined) return [`${fingerprint}  over`];
  const { data } = message;
  return [
    `${fingerprint}  ${printable(data.alert)}  ${data.status}`,
    `  ${labelsOf(data.labels)}`,
    `  ${printable(data.annotations["summary"] ?? "")}`,
  ];
}

/** What happened when; what a message of it came to is set under it. */
function timeline(events: readonly AlertEvent[]): string[] {
  const lines = inOneLine(events);
  return lines.map(({ at, kind, sink, text, message, fingerprint }, i) => {
    const before = lines[i - 1]?.at;
    const later = before === undefined || at - before < 1000
      ? ""
      : ` (+${showDuration(at - before)})`;
    const about = message === "" ? "" : `  ${message.slice(0, 12)}`;
    const indent = fingerprint === "" ? "  " : "";
    const who = sink === "" ? "" : `${sink}: `;
    const time = new Date(at).toISOString().replace("T", " ");
    return `${time}  ${indent}${shownKind(kind).padEnd(12)} ${who}${
      printable(text)
    }${about}${later}`;
  });
}

/** What happened to an alert with several sinks at once, in the same words, as one event. */
function inOneLine(events: readonly AlertEvent[]): AlertEvent[] {
  const lines: AlertEvent[] = [];
  for (const event of events) {
    const last = lines.at(-1);
    const same = last !== undefined && last.sink !== "" && event.sink !== "" &&
      last.message === "" && event.message === "" &&
      last.at === event.at && last.kind === event.kind && last.text === event.text;
    if (same) lines[lines.length - 1] = { ...last, sink: `${last.sink}, ${event.sink}` };
    else lines.push(event);
  }
  return lines;
}

/** As `outbox` calls it. */
function shownKind(kind: AlertEvent["kind"]): string {
  return kind === "dead" ? "given up" : kind;
}

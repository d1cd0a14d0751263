// What is still to be delivered, and what was given up.
import type { Body, OutboxRow } from "../../core/alert/outbox.ts";
import { plainText, textOf } from "../../core/alert/text.ts";
import { exitCode, jsonLine, printable } from "../../core/error.ts";
import { showDuration } from "../../core/rule/duration.ts";
import { plural } from "../../core/number.ts";
import { findId, openBeside } from "../../core/store_beside.ts";
import { showAlert } from "../../plugins/sinks/stdout.ts";
import type { Command } from "../command.ts";
import { readState } from "../setting.ts";
import { showTime, table } from "../table.ts";
import { verbOf, wordOf } from "../verb.ts";

export const outboxCommand: Command = {
  name: "outbox",
  usage: "list | show ID | retry ID | drop ID",
  doc: "what is undelivered: what waits, and what was given up, to send or to drop",
  words: 2,
  options: ["state", "config", "json"],
  examples: [
    "dropwatch outbox list",
    "dropwatch outbox show msg_3f2a",
    "dropwatch outbox retry all",
  ],
  async run(given, terminal) {
    const verb = verbOf("outbox", given.words[0], ["list", "show", "retry", "drop"]);
    const state = openBeside(await readState(given));
    const now = Date.now();
    const timestamp = new Date(now).toISOString();
    try {
      const rows = state.outbox();
      if (verb === "list") {
        for (const row of given.flag("json") ? rows : []) {
          terminal.out(jsonLine({ type: "message", timestamp, data: asJson(row) }));
        }
        if (given.flag("json")) return exitCode.done;
        if (rows.length === 0) terminal.log("all that was to be told has arrived");
        else terminal.out(tableOf(rows, now).join("\n"));
        return exitCode.done;
      }
      const word = wordOf(`outbox ${verb}`, given.words, "the message's id");
      if (word === "all" && verb !== "show") {
        // What waits is told in its time, and isn't dropped by the dozen.
        const meant = verb === "retry" ? rows : rows.filter((row) => row.state === "dead");
        for (const { id } of meant) verb === "retry" ? state.retry(id) : state.drop(id);
        const did = verb === "retry" ? "sent now" : "that had been given up dropped";
        terminal.log(`${plural(meant.length, "message")} ${did}`);
        return exitCode.done;
      }
      const id = findId("message", word, rows.map((row) => row.id));
      const row = rows.find((each) => each.id === id)!;
      if (verb === "show") terminal.out(show(row, given.flag("json"), timestamp));
      else if (verb === "drop") {
        state.drop(id);
        terminal.log(`${id} is dropped`);
      } else {
        state.retry(id);
        terminal.log(
          `${id} will be sent ${
            row.state === "dead" ? "again" : "at once"
          }, by the \`watch\` of this state`,
        );
      }
      return exitCode.done;
    } finally {
      state.close();
    }
  },
};

function tableOf(rows: readonly OutboxRow[], now: number): string[] {
  return table(
    ["id", "sink", "state", "tells of", "age", "attempts", "next", "why"],
    rows.map(({ id, sink, state, body, created, attempts, nextAt, error }) => [
      id.slice(0, 12),
      sink,
      state === "dead" ? "given up" : "waits",
      titleOf(body),
      showDuration(now - created),
      String(attempts),
      state === "dead" ? "" : nextAt <= now ? "now" : `in ${showDuration(nextAt - now)}`,
      printable(error).slice(0, 60),
    ]),
  );
}

function titleOf(body: Body): string {
  if (body.is === "alert") return printable(`${body.alert.data.alert} ${body.alert.data.status}`);
  if (body.is === "mirror") return "all alerts";
  const { alerts, status, firing, resolved } = body.notification;
  const more = firing + resolved - 1;
  return printable(`${alerts[0]?.alert} ${status}${more > 0 ? ` and ${more} more` : ""}`);
}

function asJson({ created, nextAt, ...row }: OutboxRow): unknown {
  return {
    ...row,
    created: new Date(created).toISOString(),
    nextAt: new Date(nextAt).toISOString(),
  };
}

/** What it tells, in the words of the default text. */
function textIn(body: Body): string {
  if (body.is === "alert") return showAlert(body.alert, false);
  if (body.is === "notification") return plainText(textOf(body.notification));
  return "all alerts that fire, as they are when it is sent";
}

function show(row: OutboxRow, json: boolean, timestamp: string): string {
  if (json) return jsonLine({ type: "message", timestamp, data: asJson(row) });
  const { id, sink, state, body, created, attempts, nextAt, error } = row;
  const dead = state === "dead";
  return [
    `${id}  ${sink}  ${dead ? "given up" : "waits"}`,
    `  since ${showTime(created)} UTC, ${plural(attempts, "attempt")}` +
    (dead ? "" : `, the next at ${showTime(nextAt)} UTC`),
    ...(error === "" ? [] : [`  ${printable(error)}`]),
    "",
    textIn(body),
  ].join("\n");
}

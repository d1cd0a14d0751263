// Alerts on standard output: for people on a terminal, or as JSON, an object a line.
import { styleText } from "node:util";
import type { AlertMessage } from "../../core/alert/alert.ts";
import { evidenceLines } from "../../core/alert/evidence_text.ts";
import type { AlertSink } from "../../core/alert/sink.ts";
import { badSinkOption, jsonLine, printable } from "../../core/error.ts";
import { plural, showNumber } from "../../core/number.ts";
import { showDuration } from "../../core/rule/duration.ts";
import { sinkKind } from "./kind.ts";
import type { SinkMaker } from "./kind.ts";

export interface StdoutOptions {
  /** An object a line, and nothing else. */
  readonly json?: boolean;
  readonly write?: (text: string) => void;
  /** Whether to colour. */
  readonly colour?: boolean;
}

const colours = { critical: "red", warning: "yellow", info: "cyan" } as const;

/** A sink that prints. */
export function stdoutSink(options: StdoutOptions = {}): AlertSink {
  const { json = false, write = (text) => void process.stdout.write(text) } = options;
  return {
    name: "stdout",
    send(alert) {
      write(`${json ? jsonLine(alert) : showAlert(alert, options.colour ?? false)}\n`);
      return Promise.resolve();
    },
  };
}

/** `--sink stdout`. */
export const stdout: SinkMaker<object> = sinkKind({
  name: "stdout",
  doc: "prints alerts: for people on a terminal, or as JSON with --json",
  sort: "changes",
  options: {},
  fromWord(value) {
    if (value !== "") throw badSinkOption("stdout", "it takes no value");
    return {};
  },
  make: (_, { json, colour, out }) =>
    stdoutSink({ json, colour, write: (text) => out(text.replace(/\n$/, "")) }),
});

/** An alert for a terminal: what, how bad, since when, and the numbers under it. */
export function showAlert(message: AlertMessage, colour: boolean): string {
  const { data } = message;
  const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
    colour ? styleText(style, text, { validateStream: false }) : text;
  const firing = data.status === "firing";
  const state = firing
    ? paint(["bold", colours[data.severity]], "FIRING  ")
    : paint(["bold", "green"], "RESOLVED");
  const time = message.timestamp.slice(11, 19);
  const lines = [
    `${paint("dim", time)} ${state} ${paint("bold", printable(data.alert))} ` +
    `${data.severity}  ${printable(data.annotations.summary ?? "")}`,
  ];
  const labels = Object.entries(data.labels)
    .filter(([name]) => name !== "alertname" && name !== "severity")
    .map(([name, value]) => `${name}=${value === "" ? '""' : printable(value)}`);
  const atLeast = data.exact ? "" : "at least ";
  const numbers = [
    `value ${atLeast}${showNumber(data.value)}`,
    `peak ${showNumber(data.peak)}`,
    plural(data.total, data.of === "health" ? "time" : "drop"),
    ...(data.endsAt === null
      ? []
      : [`after ${showDuration(Date.parse(data.endsAt) - Date.parse(data.startsAt))}`]),
    ...(data.lost > 0 ? [`${showNumber(data.lost)} lost`] : []),
  ];
  lines.push(`         ${paint("dim", [...labels, ...numbers].join("  "))}`);
  if (firing) {
    lines.push(...evidenceLines(data.evidence).map((line) => `         ${paint("dim", line)}`));
  }
  for (const name of ["description", "runbook"]) {
    const text = data.annotations[name];
    if (text !== undefined && firing) lines.push(`         ${printable(text)}`);
  }
  return lines.join("\n");
}

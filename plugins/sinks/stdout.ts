// Alerts on standard output: for people on a terminal, or as JSON, an object a line.
import { styleText } from "node:util";
import type { CrossCheck } from "../../core/watch/cross_check.ts";
import type { AlertMessage, Evidence } from "../../core/alert/alert.ts";
import type { Sink } from "../../core/alert/sink.ts";
import { badSinkOption, jsonLine, printable } from "../../core/error.ts";
import { plural, showNumber } from "../../core/number.ts";
import { showDuration } from "../../core/rule/duration.ts";
import type { SinkKind } from "./registry.ts";

export interface StdoutOptions {
  /** An object a line, and nothing else. */
  readonly json?: boolean;
  readonly write?: (text: string) => void;
  /** Whether to colour. */
  readonly colour?: boolean;
}

const colours = { critical: "red", warning: "yellow", info: "cyan" } as const;

/** A sink that prints. */
export function stdoutSink(options: StdoutOptions = {}): Sink {
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
export const stdout: SinkKind = {
  name: "stdout",
  make(value, { json, colour, out }) {
    if (value !== "") throw badSinkOption("stdout", "it takes no value");
    return stdoutSink({ json, colour, write: (text) => out(text.replace(/\n$/, "")) });
  },
};

/** Where in the kernel, and which packets: what whoever is on call looks at first. */
function showEvidence(evidence: Evidence): string[] {
  const {
    site,
    at,
    source = "",
    kept,
    flows = [],
    owners = [],
    listeners = [],
    counters = [],
    tcp,
  } = evidence;
  if (kept === undefined) return [];
  const end = (address: string, port: string): string =>
    `${address.includes(":") ? `[${address}]` : address}${port === "" ? "" : `:${port}`}`;
  const where = at || site;
  const lines = where === "" ? [] : [`in ${where}${source === "" ? "" : `  ${source}`}`];
  const [flow] = flows;
  if (flow !== undefined && flow.saddr !== "") {
    const [from, to] = [end(flow.saddr, flow.sport), end(flow.daddr, flow.dport)];
    const dev = flow.dev === "" ? "" : `dev ${flow.dev}, `;
    lines.push(`${flow.l4} ${from} → ${to}  (${dev}${flow.drops} of ${kept} that were kept)`);
  }
  const [owner] = owners;
  if (owner !== undefined) lines.push(`socket of ${owner.owner}, process ${owner.pid}`);
  const [listener] = listeners;
  if (listener !== undefined) {
    const { l4, port, pid, lastSeen } = listener;
    const at = lastSeen.slice(11, 19);
    lines.push(
      `${l4} port ${port} was ${listener.owner || "somebody"}'s (process ${pid}) until ${at}`,
    );
  }
  if (tcp !== undefined && tcp.kept > 0) {
    lines.push(
      `TCP sent again on the flow after ${tcp.retransmitted} of ${tcp.kept} drops that were kept`,
    );
  }
  for (const each of counters) lines.push(showCounters(each));
  return lines.map(printable);
}

/** The kernel's own number beside ours: one that disagrees is what to look at. */
function showCounters({ reason, counted, kernel, agrees, names, less, note }: CrossCheck): string {
  const which = [names.join(" + "), ...less].join(" − ");
  const why = kernel === counted || note === "" ? "" : ` (${note})`;
  return `${agrees ? "" : "DISAGREES: "}${reason} on this machine: ${
    showNumber(counted)
  } counted, ` +
    `${showNumber(kernel)} by the kernel's own count${which === "" ? "" : ` (${which})`}${why}`;
}

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
    lines.push(...showEvidence(data.evidence).map((line) => `         ${paint("dim", line)}`));
  }
  for (const name of ["description", "runbook"]) {
    const text = data.annotations[name];
    if (text !== undefined && firing) lines.push(`         ${printable(text)}`);
  }
  return lines.join("\n");
}

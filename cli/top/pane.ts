// What is shown below the table: where in the kernel a row's drops happen, the alerts, what a reason
// means. Lines of plain text; whoever draws them cuts and cleans them.
import { evidenceLines } from "../../core/alert/evidence_text.ts";
import { printable } from "../../core/error.ts";
import { plural, showNumber } from "../../core/number.ts";
import type { Stacks, ViewAlert, ViewReason } from "../../core/view/view.ts";
import type { Line } from "./paint.ts";
import { wrap } from "./width.ts";

/** Stacks that are shown. */
const mostStacks = 10;

/** The title of a pane and its lines. */
export interface PaneText {
  readonly title: string;
  readonly lines: readonly Line[];
}

/** The innermost function first, as a kernel oops prints it. `of` is undefined where there is no drop. */
export function stackPane(of: string | undefined, stacks: Stacks | undefined): PaneText {
  if (of === undefined) return { title: "stacks", lines: [["no drops, no stacks"]] };
  if (stacks === undefined) return { title: `stacks of ${of}`, lines: [["…"]] };
  const { total, kept } = stacks;
  const title = `stacks of ${of}: ${plural(total, "drop")}, ${showNumber(kept)} walked`;
  if (stacks.stacks.length === 0) {
    return { title, lines: [["no stack of these drops was walked in the last minute"]] };
  }
  const lines = stacks.stacks.slice(0, mostStacks).flatMap(({ reason, frames, drops }): Line[] => [
    [[plural(Math.round(drops), "drop"), "bold"], `  ${reason}`],
    ...frames.toReversed().map((frame): Line => [`    ${frame}`]),
  ]);
  const more = stacks.stacks.length - mostStacks;
  return { title, lines: more > 0 ? [...lines, [`${more} more`]] : lines };
}

export function reasonPane(
  name: string | undefined,
  reason: ViewReason | undefined,
  width: number,
): PaneText {
  if (name === undefined) return { title: "reason", lines: [["no drops, no reason"]] };
  if (reason === undefined) return { title: name, lines: [["…"]] };
  const list = (title: string, items: readonly string[]): Line[] =>
    items.length === 0 ? [] : [
      [[title, "bold"]],
      ...items.flatMap((item) =>
        wrap(item, width - 4).map((line, i): Line => [`${i === 0 ? "  " : "    "}${line}`])
      ),
    ];
  return {
    title: `${reason.reason}  ${reason.class}`,
    lines: [
      ...wrap(reason.means || "Nothing is known here about this reason.", width)
        .map((line): Line => [line]),
      ...list("usual causes", reason.causes),
      ...list("to confirm it", reason.confirm),
      ...list("what to change", reason.change),
    ],
  };
}

/** Those that fire, and those that may; the worst first, as they come. */
export function alertPane(alerts: readonly ViewAlert[], width: number): PaneText {
  const shown = alerts.filter(({ state }) => state !== "resolved");
  if (shown.length === 0) return { title: "alerts", lines: [["no alert is pending or firing"]] };
  return {
    title: `alerts: ${shown.filter(({ state }) => state === "firing").length} firing, ` +
      `${shown.filter(({ state }) => state === "pending").length} pending`,
    lines: shown.flatMap((alert) => alertLines(alert, width)),
  };
}

function alertLines(alert: ViewAlert, width: number): Line[] {
  const { state, severity, value, peak, total, exact, startsAt, annotations, evidence } = alert;
  const quiet = [
    alert.shadow ? "in shadow" : "",
    alert.silencedBy.length > 0 ? `silenced by ${alert.silencedBy.join(", ")}` : "",
    alert.inhibitedBy.length > 0 ? "inhibited" : "",
  ].filter((why) => why !== "").join(", ");
  const text = (line: string): Line[] =>
    wrap(line, width - 2).map((part, i): Line => [`${i === 0 ? "  " : "    "}${part}`]);
  const said = annotations.summary ?? annotations.title ?? "";
  return [
    [[`${state.toUpperCase()} ${alertName(alert)}`, colourOf(alert)], `  ${severity}`],
    ...(said === "" ? [] : text(printable(said))),
    ...text(
      `value ${showNumber(value)}, peak ${showNumber(peak)}, ${exact ? "" : "at least "}${
        showNumber(total)
      } in all, since ${startsAt}`,
    ),
    ...(quiet === "" ? [] : text(quiet)),
    ...evidenceLines(evidence).flatMap(text),
  ];
}

/** Its name and what tells it from others of the same rule. */
export function alertName({ alert, labels }: Pick<ViewAlert, "alert" | "labels">): string {
  const own = Object.entries(labels)
    .filter(([name]) => name !== "alertname" && name !== "severity")
    .map(([name, value]) => `${name}=${value}`);
  return own.length === 0 ? alert : `${alert} ${own.join(" ")}`;
}

export function colourOf({ state, severity }: Pick<ViewAlert, "state" | "severity">):
  | "red"
  | "yellow"
  | "dim" {
  if (state !== "firing") return "dim";
  return severity === "critical" ? "red" : "yellow";
}

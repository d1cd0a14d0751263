// What an alert is made of, in lines for people: where in the kernel, which packets, whose socket.
import { printable } from "../error.ts";
import { showNumber } from "../number.ts";
import type { CrossCheck } from "../watch/cross_check.ts";
import type { Evidence } from "./alert.ts";

/** The evidence of an alert, what whoever is on call looks at first. Safe to print, unescaped otherwise. */
export function evidenceLines(evidence: Evidence): string[] {
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
  const where = at || site || "";
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
  for (const each of counters) lines.push(counterLine(each));
  return lines.map(printable);
}

/** The kernel's own number beside ours: one that disagrees is what to look at. */
function counterLine({ reason, counted, kernel, agrees, names, less, note }: CrossCheck): string {
  const which = [names.join(" + "), ...less].join(" − ");
  const why = kernel === counted || note === "" ? "" : ` (${note})`;
  return `${agrees ? "" : "DISAGREES: "}${reason} on this machine: ${
    showNumber(counted)
  } counted, ` +
    `${showNumber(kernel)} by the kernel's own count${which === "" ? "" : ` (${which})`}${why}`;
}

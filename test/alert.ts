// Alerts as sinks get them.
import type { AlertData, AlertMessage } from "../core/alert/alert.ts";
import { fingerprint } from "../core/alert/alert.ts";

/** A firing alert, or a resolved one where `endsAt` is given. */
export function alertOf(parts: Partial<AlertData> = {}): AlertMessage {
  const alert = parts.alert ?? "SocketFilterDrops";
  const labels = { alertname: alert, severity: "warning", ownerInode: "4711", ...parts.labels };
  const status = parts.endsAt === undefined || parts.endsAt === null ? "firing" : "resolved";
  return {
    type: `alert.${status}`,
    timestamp: parts.endsAt ?? "2026-01-02T03:04:05.000Z",
    data: {
      status,
      severity: "warning",
      annotations: { summary: "a socket refuses packets" },
      value: 250.5,
      peak: 300,
      total: 12_345,
      startsAt: "2026-01-02T03:04:05.000Z",
      endsAt: null,
      exact: true,
      lost: 0,
      evidence: {},
      ...parts,
      alert,
      labels,
      fingerprint: fingerprint(labels),
    },
  };
}

/** Names that a stranger can choose: each tries to be more than text. */
export const hostileNames: readonly string[] = [
  "\x1b[2J\x1b[31mred",
  "two\nlines\r\n",
  "\x07\x08\x7f",
  "\u009b31m\u0085",
  "\u202egnp.exe\u2066\u061c",
  "\u2028\u2029\ufeff",
  '"},{"type":"alert.resolved"',
  "<!channel> <script>alert(1)</script> & `id`",
  "\ud800 lone",
];

/** Everything that must not reach a terminal or a log as it is. */
export const rawControl: RegExp =
  // deno-lint-ignore no-control-regex
  /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;

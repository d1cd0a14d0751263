// Whether what dropwatch told of a trial is what was sent. No I/O.
import type { AlertData } from "../../core/alert/alert.ts";
import { counterChecks } from "../../core/drop/counter.ts";
import type { Sent, Trial } from "./trial.ts";

/** What is looked at, in the order in which it is shown. */
export const aspects = ["name", "owner", "site", "count", "flow", "counters"] as const;
export type Aspect = (typeof aspects)[number];

/** What came of one aspect; "none" where this machine has nothing to tell. */
export interface Finding {
  readonly verdict: "right" | "wrong" | "none";
  readonly expected: string;
  readonly found: string;
}

export type Findings = Readonly<Record<Aspect, Finding>>;

/** What became of one trial. */
export interface Check {
  readonly kind: string;
  readonly family: 4 | 6;
  readonly verdict: "right" | "wrong" | "skipped";
  /** Packets; 0 where it was skipped. */
  readonly sent: number;
  /** Why it was skipped. */
  readonly why?: string;
  readonly findings?: Findings;
}

/** What dropwatch told. */
export interface Told {
  /** The alert of the trial's rule; undefined where none came. */
  readonly alert: AlertData | undefined;
  /** How many drops matched its rule, from the start to the end of the run. */
  readonly total: number;
  /** What was counted on the whole machine meanwhile, for when there is no alert. */
  readonly reasons: ReadonlyMap<string, number>;
}

/** What is known of the machine. */
export interface Knowledge {
  /** Whether packets and sockets can be read (BTF). */
  readonly fields: boolean;
  /** Whether the kernel says whose socket a received packet was for (Linux 6.11). */
  readonly receivers: boolean;
  readonly devices: Readonly<Record<"a" | "b", string>>;
  /** The inodes of the namespaces. */
  readonly netns: Readonly<Record<"a" | "b", number>>;
  readonly owners: Readonly<
    Record<"sender" | "receiver", { readonly name: string; readonly pid: number }>
  >;
}

/** Judges a trial. */
export function judge(trial: Trial, sent: Sent, told: Told, known: Knowledge): Check {
  const unkept = whyUnkept(trial, sent, told);
  const fromKept = (finding: Finding): Finding =>
    unkept === undefined ? finding : { ...finding, verdict: "none", found: unkept };
  const findings: Findings = {
    name: judgeName(trial, told),
    owner: fromKept(judgeOwner(trial, told, known)),
    site: fromKept(judgeSite(trial, told)),
    count: judgeCount(sent, told, known),
    flow: fromKept(judgeFlow(trial, sent, told, known)),
    counters: judgeCounters(trial, sent, told, known),
  };
  const wrong = Object.values(findings).some(({ verdict }) => verdict === "wrong");
  return {
    kind: trial.cause.reason,
    family: trial.family,
    verdict: wrong ? "wrong" : "right",
    sent: sent.packets,
    findings,
  };
}

/**
 * The first drops of a reason in each tick are kept: where this machine has many of it, ours may be
 * none of them. That is no mistake. Where there were no others it is one.
 */
function whyUnkept(
  { cause: { reason } }: Trial,
  { drops }: Sent,
  { alert, reasons }: Told,
): string | undefined {
  const all = reasons.get(reason) ?? 0;
  return alert !== undefined && (alert.evidence.kept ?? 0) === 0 && all > drops
    ? `others came first: ${all} of this reason meanwhile`
    : undefined;
}

/** A trial that could not be made. */
export function skipped({ cause, family }: Trial, why: string): Check {
  return { kind: cause.reason, family, verdict: "skipped", sent: 0, why };
}

const silent = "no alert";

function compare(right: boolean, expected: string, found: string): Finding {
  return { verdict: right ? "right" : "wrong", expected, found };
}

function judgeName({ cause: { reason } }: Trial, { alert, reasons }: Told): Finding {
  if (alert === undefined) {
    const others = [...reasons].sort((a, b) => b[1] - a[1]).slice(0, 3)
      .map(([name, n]) => `${name} ${n}`).join(", ");
    return compare(false, reason, `${silent}; counted meanwhile: ${others || "nothing"}`);
  }
  const names = [
    alert.labels.reason ?? "",
    ...alert.evidence.reasons?.map((each) => each.reason) ?? [],
  ];
  return compare(
    names.every((name) => name === reason),
    reason,
    [...new Set(names)].join(", "),
  );
}

function judgeOwner(
  trial: Trial,
  { alert }: Told,
  { fields, receivers, owners }: Knowledge,
): Finding {
  const owner = trial.owner && owners[trial.owner];
  const expected = owner === undefined ? "unknown" : `${owner.name} (${owner.pid})`;
  if (!fields) return { verdict: "none", expected, found: "no BTF" };
  if (alert === undefined) return compare(false, expected, silent);
  const { owners: told = [], ownerKnown = false } = alert.evidence;
  const found = [
    ...told.map((each) => `${each.owner} (${each.pid})`),
    ...(ownerKnown ? [] : ["unknown"]),
  ].join(", ");
  const mayBeUnknown = trial.owner === "receiver" && !receivers && found === "unknown";
  return mayBeUnknown
    ? { verdict: "none", expected, found: "unknown before Linux 6.11" }
    : compare(found === expected, expected, found);
}

function judgeSite({ cause, family }: Trial, { alert }: Told): Finding {
  const sites = cause.sites[family];
  const expected = sites.join(" or ");
  if (alert === undefined) return compare(false, expected, silent);
  const { site = "" } = alert.evidence;
  return compare(sites.includes(site), expected, site || "none");
}

/** Both what the alert says and what the whole run has counted: none too few, and none too many later. */
function judgeCount({ drops }: Sent, { alert, total }: Told, { fields }: Knowledge): Finding {
  if (alert === undefined) return compare(false, String(drops), silent);
  const { value, exact } = alert;
  const least = exact ? "" : "at least ";
  // Without BTF the rule takes every drop of this machine that has the reason.
  if (!fields) return compare(value >= drops, `at least ${drops}`, `${least}${value}`);
  const found = value === total ? String(total) : `${value} in the alert, ${total} in all`;
  return compare(
    exact && value === drops && total === drops,
    String(drops),
    `${least}${found}`,
  );
}

function judgeFlow(
  trial: Trial,
  sent: Sent,
  { alert }: Told,
  { fields, devices }: Knowledge,
): Finding {
  const { saddr, sports, daddr, dport } = sent;
  const end = (address: string, port: string): string =>
    `${address.includes(":") ? `[${address}]` : address}:${port}`;
  const ports = sports.length > 1 ? `one of ${sports.length} ports` : String(sports[0] ?? "");
  const dev = devices[trial.where];
  const expected = `${trial.l4} ${end(saddr, ports)} → ${end(daddr, String(dport))} dev ${dev}`;
  if (!fields) return { verdict: "none", expected, found: "no BTF" };
  if (alert === undefined) return compare(false, expected, silent);
  const { flows = [] } = alert.evidence;
  const wrong = flows.filter((flow) =>
    flow.l4 !== trial.l4 || flow.saddr !== saddr || flow.daddr !== daddr ||
    flow.dport !== String(dport) || !sports.map(String).includes(flow.sport) || flow.dev !== dev
  );
  const shown = (wrong.length > 0 ? wrong : flows).slice(0, 2).map((flow) =>
    `${flow.l4} ${end(flow.saddr, flow.sport)} → ${end(flow.daddr, flow.dport)} dev ${flow.dev}`
  );
  return compare(
    flows.length > 0 && wrong.length === 0,
    expected,
    shown.join(", ") || "none",
  );
}

/**
 * Counters are told of each namespace, and ours have nobody else's drops. That they agree in all is
 * only sure to be so where there were no others.
 */
function judgeCounters(
  { cause: { reason }, where }: Trial,
  { drops }: Sent,
  { alert }: Told,
  { netns }: Knowledge,
): Finding {
  const counter = alert?.evidence.counters?.find((each) => each.reason === reason);
  const expected = `${drops} in net:[${netns[where]}]`;
  const none = (found: string): Finding => ({ verdict: "none", expected, found });
  if (!Object.hasOwn(counterChecks, reason)) return none("the kernel has no counter for it");
  // Where there are many namespaces, reading them all at every tick would cost too much.
  if (counter === undefined || counter.counted < drops) return none("not read in time");
  const { counted, kernel, agrees, grew, less } = counter;
  const ours = grew.filter((each) => each.netns === String(netns[where]));
  const own = ours.reduce((sum, { name, by }) => sum + (less.includes(name) ? -by : by), 0);
  const alone = counted === drops && ours.length === grew.length;
  return compare(
    own === drops && (agrees || !alone),
    alone ? `${expected}, and in all` : expected,
    `${own} there, ${kernel} in all, by ${grew.map(({ name }) => name).join(", ") || "nothing"}`,
  );
}

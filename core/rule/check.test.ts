// What is checked in a rule: each mistake is told with its code, file, line and column, the value,
// and the nearest right names. Every rule here is a real file that went through the rule host. In a
// source ▸ stands before the place that the error has to name; it isn't written into the file.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { relative } from "node:path";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { facts, reasons, sites, subsystems } from "../../test/world.ts";
import { reasonWorld } from "../drop/reason.ts";
import type { DropwatchError } from "../error.ts";
import type { SourceFacts } from "../watch/source.ts";
import type { CheckedRule, DropStream, Leaf } from "./checked.ts";
import { loadRules } from "./load.ts";
import type { RuleSet } from "./load.ts";

interface Mistake {
  /** What is before the value in the message: `bad window`. */
  readonly what: string;
  readonly value: unknown;
  readonly nearest?: readonly string[];
}

/** Its name, the rule with ▸, and what is wrong there. */
type Case = readonly [name: string, source: string, mistake: Mistake];

/** A rule with this condition. */
const when = (condition: string): string =>
  `export default rule({\n  alert: "Conditional",\n  when: ${condition},\n});\n`;

/** A rule with a right condition, and these lines beside it. */
const having = (...lines: readonly string[]): string =>
  `export default rule({\n  alert: "Having",\n  when: drops.by("dport").rate("10s").above(1),\n  ${
    lines.join("\n  ")
  }\n});\n`;

const where = (condition: string): string => when(`drops.where(${condition}).rate("10s").above(1)`);

const ofWhere: readonly Case[] = [
  ["a field that there isn't", where(`{ ▸ownerPrt: 53 }`), {
    what: "unknown field",
    value: "ownerPrt",
    nearest: ["ownerPort", "ownerPid", "owner"],
  }],
  ["a field like no other", where(`{ ▸qqqqqqqqqq: 53 }`), {
    what: "unknown field",
    value: "qqqqqqqqqq",
    nearest: [],
  }],
  ["a reason that this kernel hasn't", where(`{ reason: ▸"SOCKET_FILTR" }`), {
    what: "bad reason",
    value: "SOCKET_FILTR",
    nearest: ["SOCKET_FILTER"],
  }],
  ["a reason in single quotes", where(`{ reason: ▸'NO_SOCKT' }`), {
    what: "bad reason",
    value: "NO_SOCKT",
    nearest: ["NO_SOCKET"],
  }],
  ["a reason with the enum's prefix", where(`{ reason: ▸"SKB_DROP_REASON_NO_SOCKET" }`), {
    what: "bad reason",
    value: "SKB_DROP_REASON_NO_SOCKET",
    nearest: ["NO_SOCKET"],
  }],
  [
    "one of several reasons, on a line of its own",
    where(`{\n    dport: 53,\n    reason: ["NO_SOCKET",\n      ▸"NETFILTER_DORP"],\n  }`),
    { what: "bad reason", value: "NETFILTER_DORP", nearest: ["NETFILTER_DROP"] },
  ],
  ["a reason behind not", where(`{ reason: { not: ["NO_SOCKET", ▸"TCP_CSMU"] } }`), {
    what: "bad reason",
    value: "TCP_CSMU",
    nearest: ["TCP_CSUM"],
  }],
  ["a subsystem", where(`{ subsystem: ▸"openvswich" }`), {
    what: "bad subsystem",
    value: "openvswich",
    nearest: ["openvswitch"],
  }],
  ["a class", where(`{ class: ▸"faults" }`), {
    what: "bad class",
    value: "faults",
    nearest: ["fault"],
  }],
  ["a protocol", where(`{ protocol: ▸"IPV4" }`), {
    what: "bad protocol",
    value: "IPV4",
    nearest: ["IPv4", "IPv6"],
  }],
  ["TCP flags in another order", where(`{ tcpFlags: ▸"ACK|SYN" }`), {
    what: "bad tcpFlags",
    value: "ACK|SYN",
    nearest: ["SYN|ACK"],
  }],
  ["a port that is too large", where(`{ dport: ▸70000 }`), { what: "bad dport", value: 70000 }],
  ["a negative number", where(`{ len: ▸-1 }`), { what: "bad len", value: -1 }],
  ["a number that isn't whole", where(`{ len: ▸1.5 }`), { what: "bad len", value: 1.5 }],
  ["a bound of a range", where(`{ dport: { gte: 1, lt: ▸70001 } }`), {
    what: "bad dport",
    value: 70001,
  }],
  ["a word of a range", where(`{ dport: { ▸gtt: 9 } }`), {
    what: "bad dport",
    value: "gtt",
    nearest: ["gt", "gte", "lt"],
  }],
  ["an address", where(`{ saddr: ▸"10.0.0.256" }`), { what: "bad saddr", value: "10.0.0.256" }],
  ["a network", where(`{ daddr: ▸"10.0.0.0/33" }`), { what: "bad daddr", value: "10.0.0.0/33" }],
  ["a name that is too long", where(`{ dev: ▸"sixteen-bytes-16" }`), {
    what: "bad dev",
    value: "sixteen-bytes-16",
  }],
  ["a stack", where(`{ stack: ▸"tcp_v4_rcv" }`), { what: "bad stack", value: "tcp_v4_rcv" }],
  ["a site that no function can be called", where(`{ site: ▸"no name" }`), {
    what: "bad site",
    value: "no name",
  }],
  ["null for an object of fields", where(`▸null`), { what: "bad where", value: null }],
  ["a value of another type", where(`{ dport: ▸true }`), { what: "bad dport", value: true }],
  [
    "a field in the second where",
    when(
      `drops\n    .where({ reason: "NO_SOCKET" })\n    .where({ ▸dprt: 53 })\n    .rate("10s").above(1)`,
    ),
    { what: "unknown field", value: "dprt", nearest: ["dport", "sport"] },
  ],
];

const ofValues: readonly Case[] = [
  ["a field to count by", when(`drops.by("dport", ▸"saddrr").rate("10s").above(1)`), {
    what: "unknown field",
    value: "saddrr",
    nearest: ["saddr", "daddr"],
  }],
  [
    "too many fields to count by",
    when(
      `drops.▸by(
    "dport", "sport", "saddr", "daddr", "dev", "cpu", "pid", "comm", "mark",
  ).rate("10s").above(1)`,
    ),
    { what: "too many fields", value: 9 },
  ],
  ["a window that is no duration", when(`drops.rate(▸"10x").above(1)`), {
    what: "bad window",
    value: "10x",
  }],
  ["a window that is a number", when(`drops.count(▸600).above(1)`), {
    what: "bad window",
    value: 600,
  }],
  ["a window that isn't there", when(`drops.▸count().above(1)`), {
    what: "bad window",
    value: undefined,
  }],
  ["a window of zero", when(`drops.count(▸"0s").above(1)`), { what: "bad window", value: "0s" }],
  ["a window that no whole ticks fill", when(`drops.rate(▸"1500ms").above(1)`), {
    what: "bad window",
    value: "1500ms",
  }],
  ["a window of over a day", when(`drops.rate(▸"25h").above(1)`), {
    what: "bad window",
    value: "25h",
  }],
  ["a field that can't be summed", when(`drops.sum(▸"dport", "1m").above(1)`), {
    what: "bad field to sum",
    value: "dport",
  }],
  ["a field to sum that is nearly right", when(`drops.sum(▸"lne", "1m").above(1)`), {
    what: "bad field to sum",
    value: "lne",
    nearest: ["len"],
  }],
  [
    "a whole that is counted by other fields",
    when(`drops.by("dport").count("1m").over(drops.by("saddr").count("1m")).above(1)`),
    { what: "bad over()", value: "saddr" },
  ],
  [
    "the least that a whole must be",
    when(`drops.count("1m").over(drops.count("1m"), { min: ▸-7 }).above(1)`),
    { what: "bad min", value: -7 },
  ],
  [
    "the window of a whole",
    when(`drops.count("1m").over(drops.count(▸"1mm")).above(0.5)`),
    { what: "bad window", value: "1mm" },
  ],
  ["a threshold below zero", when(`drops.rate("10s").above(▸-5)`), {
    what: "bad threshold",
    value: -5,
  }],
  ["a threshold without bounds", when(`drops.rate("10s").above(▸Infinity)`), {
    what: "bad threshold",
    value: "Infinity",
  }],
  ["a threshold that is no number", when(`drops.rate("10s").below(▸NaN)`), {
    what: "bad threshold",
    value: "NaN",
  }],
  ["a threshold that isn't there", when(`drops.rate("10s").▸above()`), {
    what: "bad threshold",
    value: undefined,
  }],
  ["a recovery above the threshold", when(`drops.rate("10s").above(100, { recovery: ▸200 })`), {
    what: "bad recovery",
    value: 200,
  }],
  ["a recovery below the threshold", when(`drops.rate("10s").below(100, { recovery: ▸20 })`), {
    what: "bad recovery",
    value: 20,
  }],
  ["a recovery that is no number", when(`drops.rate("10s").above(9, { recovery: ▸"low" })`), {
    what: "bad recovery",
    value: "low",
  }],
];

const ofRules: readonly Case[] = [
  ["a key that a rule hasn't", having(`▸summry: "x",`), {
    what: "unknown key",
    value: "summry",
    nearest: ["summary"],
  }],
  [
    "an alert's name",
    `export default rule({\n  alert: ▸"two words",\n  when: drops.rate("10s").above(1),\n});\n`,
    { what: "bad alert name", value: "two words" },
  ],
  [
    "an alert's name that isn't there",
    `export default ▸rule({ when: drops.rate("10s").above(1) });\n`,
    { what: "bad alert name", value: undefined },
  ],
  ["a condition that isn't there", `export default ▸rule({ alert: "NoWhen" });\n`, {
    what: "bad when",
    value: "nothing",
  }],
  ["a condition that is a text", `export default rule({ alert: "Text", when: ▸"often" });\n`, {
    what: "bad when",
    value: "often",
  }],
  ["a condition that is null", `export default ▸rule({ alert: "Null", when: null });\n`, {
    what: "bad when",
    value: "nothing",
  }],
  ["a severity that is null", having(`severity: ▸null,`), { what: "bad severity", value: null }],
  ["a severity", having(`severity: ▸"warn",`), {
    what: "bad severity",
    value: "warn",
    nearest: ["warning"],
  }],
  [
    "a severity that an alert's name begins with",
    `export default rule({\n  alert: "warnAlways",\n  when: drops.rate("10s").above(1),\n` +
    `  severity: ▸"warn",\n});\n`,
    { what: "bad severity", value: "warn", nearest: ["warning"] },
  ],
  ["for", having(`for: ▸"half a minute",`), { what: "bad for", value: "half a minute" }],
  ["keepFiringFor", having(`keepFiringFor: ▸"7",`), { what: "bad keepFiringFor", value: "7" }],
  ["labels that are a list", having(`labels: ["storage"],`), {
    what: "bad labels",
    value: ["storage"],
  }],
  ["labels that are null", having(`labels: ▸null,`), { what: "bad labels", value: null }],
  ["a label's value", having(`labels: { team: ▸47 },`), { what: "bad label team", value: 47 }],
  ["a label's name", having(`labels: { ▸"a-b": "x" },`), {
    what: "bad label name",
    value: "a-b",
  }],
  ["a label that dropwatch sets", having(`labels: { ▸alertname: "x" },`), {
    what: "bad label name",
    value: "alertname",
  }],
  ["a label that by gives", having(`labels: {`, `  team: "x",`, `  ▸dport: "53",`, `},`), {
    what: "bad label name",
    value: "dport",
  }],
  ["a summary", having(`summary: ▸42,`), { what: "bad summary", value: 42 }],
  ["a description", having(`description: ▸43,`), { what: "bad description", value: 43 }],
  ["a runbook that is no URL", having(`runbook: ▸"ask Ann",`), {
    what: "bad runbook",
    value: "ask Ann",
  }],
  ["a runbook of another scheme", having(`runbook: ▸"file:///etc/passwd",`), {
    what: "bad runbook",
    value: "file:///etc/passwd",
  }],
];

/** Cases of several tables may be of the same name. */
const about = (what: string, cases: readonly Case[]): readonly Case[] =>
  cases.map(([name, source, mistake]) => [`${what}: ${name}`, source, mistake]);

/** A rule of code with these lines; what isn't given is right. */
const code = (lines: Readonly<Record<string, string>>): string => {
  const all = { on: `drops.by("saddr", "dport")`, by: `["saddr"]`, each: "() => {}", ...lines };
  return `export default rule({\n  alert: "Code",\n${
    Object.entries(all).filter(([, value]) => value !== "")
      .map(([key, value]) =>
        value.startsWith("▸:") ? `  ▸${key}: ${value.slice(2)},` : `  ${key}: ${value},`
      )
      .join("\n")
  }\n});\n`;
};

const spike = (options: string): string => when(`drops.rate("10s").spike({ ${options} })`);

const ofConditions = about("condition", [
  ["distinct of a field that there isn't", when(`drops.distinct(▸"dprt", "1m").above(5)`), {
    what: "unknown field",
    value: "dprt",
    nearest: ["dport", "sport"],
  }],
  ["distinct of no field", when(`drops.▸distinct(undefined, "1m").above(5)`), {
    what: "unknown field",
    value: undefined,
  }],
  ["distinct of a label", when(`drops.by("dport").distinct(▸"dport", "1m").above(5)`), {
    what: "bad distinct()",
    value: "dport",
  }],
  ["the window of distinct", when(`drops.distinct("dport", ▸"5 m").above(5)`), {
    what: "bad window",
    value: "5 m",
  }],
  ["the window of absent", when(`drops.absent(▸"soon")`), { what: "bad window", value: "soon" }],
  ["the window of absent, of no whole ticks", when(`drops.absent(▸"1500ms")`), {
    what: "bad window",
    value: "1500ms",
  }],
  ["the window of absent, of over a day", when(`drops.absent(▸"2d")`), {
    what: "bad window",
    value: "2d",
  }],
  ["the window of absent, in an array", when(`drops.absent(▸["5m"])`), {
    what: "bad window",
    value: ["5m"],
  }],
  ["a spike without options", when(`drops.rate("10s").▸spike({ factor: 2, min: 1 })`), {
    what: "bad over",
    value: undefined,
  }],
  ["a spike's over", spike(`over: ▸"1w", factor: 2, min: 1`), { what: "bad over", value: "1w" }],
  ["a spike's factor", spike(`over: "1h", factor: ▸0, min: 1`), {
    what: "bad factor",
    value: 0,
  }],
  ["a spike's factor as a text", spike(`over: "1h", factor: ▸"twice", min: 1`), {
    what: "bad factor",
    value: "twice",
  }],
  ["a spike's min", spike(`over: "1h", factor: 2, min: ▸-1`), { what: "bad min", value: -1 }],
  ["a spike's min that is NaN", spike(`over: "1h", factor: 2, min: ▸NaN`), {
    what: "bad min",
    value: "NaN",
  }],
  ["an option of spike", spike(`over: "1h", factor: 2, min: 1, ▸factr: 3`), {
    what: "unknown option",
    value: "factr",
    nearest: ["factor"],
  }],
  [
    "a spike of distinct",
    when(`drops.distinct("dport", "1m").▸spike({ over: "1h", factor: 2, min: 1 })`),
    { what: "bad spike()", value: "spike" },
  ],
  [
    "a spike of a share",
    when(`drops.count("1m").over(drops.count("1h")).▸spike({ over: "1h", factor: 2, min: 1 })`),
    { what: "bad spike()", value: "spike" },
  ],
  ["first without by", when(`drops.▸first()`), { what: "bad first()", value: "first" }],
  ["first's learn", when(`drops.by("saddr").first({ learn: ▸"a day" })`), {
    what: "bad learn",
    value: "a day",
  }],
  ["first's learn that is null", when(`drops.by("saddr").first({ learn: ▸null })`), {
    what: "bad learn",
    value: null,
  }],
  ["an option of first", when(`drops.by("saddr").first({ ▸lern: "1d" })`), {
    what: "unknown option",
    value: "lern",
    nearest: ["learn"],
  }],
  ["a first that is to hold for a while", when(`drops.by("saddr").first(),\n  for: ▸"1m"`), {
    what: "bad for",
    value: "1m",
  }],
  [
    "a first that is joined with others",
    when(`drops.by("saddr").first().▸and(drops.count("1m").above(1))`),
    { what: "bad and()", value: "first()" },
  ],
  ["an option of above", when(`drops.count("1m").above(9, { ▸recover: 3 })`), {
    what: "unknown option",
    value: "recover",
    nearest: ["recovery"],
  }],
  ["a number in place of options", when(`drops.count("1m").above(9, ▸3)`), {
    what: "unknown option",
    value: 3,
  }],
  ["a recovery that is null", when(`drops.count("1m").below(9, { recovery: ▸null })`), {
    what: "bad recovery",
    value: null,
  }],
  [
    "a min that is null",
    when(`drops.count("1m").over(drops.count("2m"), { min: ▸null }).above(1)`),
    {
      what: "bad min",
      value: null,
    },
  ],
  ["a whole that is null", when(`drops.count("1m").over(▸null).above(1)`), {
    what: "bad over()",
    value: null,
  }],
  ["a whole that is a condition", when(`drops.count("1m").▸over(drops.absent("1m")).above(1)`), {
    what: "bad over()",
    value: expect.objectContaining({ is: "absent" }),
  }],
  ["nothing to join with", when(`drops.absent("1m").and(▸null)`), {
    what: "bad and()",
    value: null,
  }],
  ["a text to join with", when(`drops.absent("1m").or(▸"often")`), {
    what: "bad or()",
    value: "often",
  }],
  ["a value to join with", when(`drops.absent("1m").▸or(drops.count("1m"))`), {
    what: "bad or()",
    value: expect.objectContaining({ aggregate: "count" }),
  }],
  [
    "a condition by other labels to join with",
    when(`drops.by("dport").absent("1m").and(drops.by(▸"saddr").absent("1m"))`),
    { what: "bad and()", value: "saddr" },
  ],
  [
    "a condition about dropwatch by its own labels to join with",
    when(`drops.by("dport").absent("1m").or(health.by(▸"rule").count("1m").above(1))`),
    { what: "bad or()", value: "rule" },
  ],
  [
    "a mistake in what is joined",
    when(`drops.absent("1m").and(drops.where({ dport: ▸70000 }).absent("1m"))`),
    { what: "bad dport", value: 70000 },
  ],
]);

const filtered = (filter: string): string => when(`drops.${filter}.count("1m").above(1)`);

const ofFilters = about("filter", [
  ["a field that there isn't", filtered(`filter([▸"dprt"], () => true)`), {
    what: "unknown field",
    value: "dprt",
    nearest: ["dport", "sport"],
  }],
  ["a field twice", filtered(`filter([▸"dport", "dport"], () => true)`), {
    what: "field twice",
    value: "dport",
  }],
  ["no field", filtered(`filter(▸[], () => true)`), { what: "bad filter", value: [] }],
  ["a text in place of fields", filtered(`filter(▸"dport", () => true)`), {
    what: "bad filter",
    value: "dport",
  }],
  ["a function alone", filtered(`▸filter(() => true)`), {
    what: "bad filter",
    value: { function: true },
  }],
  ["no function", filtered(`▸filter(["dport"])`), { what: "bad filter", value: "nothing" }],
  ["a value in place of the function", filtered(`filter(["dport"], ▸true)`), {
    what: "bad filter",
    value: true,
  }],
  [
    "more fields than a key may have, by all together",
    when(`drops.▸by("dport", "sport", "saddr", "daddr", "dev")
    .filter(["cpu", "pid"], () => true).filter(["comm"], () => true).distinct("mark", "1m").above(1)`),
    { what: "too many fields", value: 9 },
  ],
]);

const ofHealth = about("health", [
  ["an event", when(`health.where({ event: ▸"losst" }).count("1m").above(0)`), {
    what: "bad event",
    value: "losst",
    nearest: ["lost"],
  }],
  [
    "one of several events",
    when(`health.where({ event: ["lost", ▸"downn"] }).count("1m").above(0)`),
    {
      what: "bad event",
      value: "downn",
      nearest: ["down"],
    },
  ],
  ["no event", when(`health.where({ event: ▸[] }).count("1m").above(0)`), {
    what: "bad event",
    value: [],
  }],
  ["a rule that is no text", when(`health.where({ rule: ▸5 }).count("1m").above(0)`), {
    what: "bad rule",
    value: 5,
  }],
  ["a field that it hasn't", when(`health.where({ ▸rules: "A" }).count("1m").above(0)`), {
    what: "unknown field",
    value: "rules",
    nearest: ["rule"],
  }],
  ["a field of drops", when(`health.where({ ▸dport: 53 }).count("1m").above(0)`), {
    what: "unknown field",
    value: "dport",
  }],
  ["null for an object of fields", when(`health.where(▸null).count("1m").above(0)`), {
    what: "bad where",
    value: null,
  }],
  ["a number for an object of fields", when(`health.where(▸5).count("1m").above(0)`), {
    what: "bad where",
    value: 5,
  }],
  ["a label that it hasn't", when(`health.by(▸"evnt").count("1m").above(0)`), {
    what: "unknown field",
    value: "evnt",
    nearest: ["event"],
  }],
  ["a label twice", when(`health.by(▸"why", "why").count("1m").above(0)`), {
    what: "field twice",
    value: "why",
  }],
  ["its window", when(`health.count(▸"1 m").above(0)`), { what: "bad window", value: "1 m" }],
]);

const ofCode = about("code", [
  ["both when and on", code({ when: `▸:drops.count("1m").above(1)` }), {
    what: "bad when",
    value: "when",
  }],
  ["code without drops to look at", having(`each: () => {},`), {
    what: "bad each",
    value: "each",
  }],
  ["a state beside a condition", having(`▸state: {},`), { what: "bad state", value: "state" }],
  ["drops that are none", code({ on: `▸"drops"` }), { what: "bad on", value: "drops" }],
  ["a value in place of drops", code({ on: `drops.count("1m")` }), {
    what: "bad on",
    value: expect.objectContaining({ aggregate: "count" }),
  }],
  ["what happens to dropwatch in place of drops", code({ on: `▸health`, by: "[]" }), {
    what: "bad on",
    value: "health",
  }],
  ["no function", code({ each: "", on: "▸:drops", by: "[]" }), { what: "bad on", value: "on" }],
  ["each that is no function", code({ each: `▸"often"` }), { what: "bad each", value: "often" }],
  ["tick that is no function", code({ tick: "▸5" }), { what: "bad tick", value: 5 }],
  ["labels that aren't there", code({ by: "" }).replace("rule(", "▸rule("), {
    what: "bad by",
    value: "nothing",
  }],
  ["a label that on isn't by", code({ by: `[▸"daddr"]` }), { what: "bad by", value: "daddr" }],
  ["a label twice", code({ by: `["saddr", "saddr"]`, on: `drops.by("dport", ▸"saddr")` }), {
    what: "field twice",
    value: "saddr",
  }],
  ["a label that is no text", code({ by: `[▸7]` }), { what: "bad by", value: 7 }],
  ["every", code({ tick: "() => {}", every: `▸"often"` }), { what: "bad every", value: "often" }],
  ["every of no whole ticks", code({ tick: "() => {}", every: `▸"2500ms"` }), {
    what: "bad every",
    value: "2500ms",
  }],
  ["every without tick", code({ every: `▸"10s"` }), { what: "bad every", value: "10s" }],
  ["a state that is a function", code({ state: "() => ({})" }), {
    what: "bad state",
    value: { function: true },
  }],
  ["a state that is null", code({ state: "▸null" }), { what: "bad state", value: null }],
  ["a state without a version", code({ state: "{ init: () => ({}) }" }), {
    what: "bad version",
    value: undefined,
  }],
  ["a state's version", code({ state: "{ version: ▸1.5, init: () => ({}) }" }), {
    what: "bad version",
    value: 1.5,
  }],
  ["a state's version that is too small", code({ state: "{ version: ▸0, init: () => ({}) }" }), {
    what: "bad version",
    value: 0,
  }],
  ["a state's init", code({ state: "{ version: 1, init: {} }" }), { what: "bad init", value: {} }],
  ["a state's migrate", code({ state: `{ version: 1, init: () => ({}), migrate: ▸"no" }` }), {
    what: "bad migrate",
    value: "no",
  }],
  ["a key of a state", code({ state: `{ version: 1, init: () => ({}), ▸migrat: 1 }` }), {
    what: "unknown key",
    value: "migrat",
  }],
  ["a mistake in what it looks at", code({ on: `drops.where({ l4: ▸"TCPP" }).by("saddr")` }), {
    what: "bad l4",
    value: "TCPP",
    nearest: ["TCP", "DCCP", "ICMP"],
  }],
]);

/** What nobody writes who has types. */
const ofScripts = about("script", [
  ["a function for a field's value", where(`{ dport: () => 53 }`), {
    what: "bad dport",
    value: "function",
  }],
  ["a function for an object of fields", where(`() => ({})`), {
    what: "unknown field",
    value: "function",
  }],
  ["a Map for an object of fields", where(`new Map([["dport", 53]])`), {
    what: "bad where",
    value: [["Map"]],
  }],
  ["a pattern for a name", where(`{ comm: /nginx/ }`), { what: "bad comm", value: [["RegExp"]] }],
  ["a list in a list of reasons", where(`{ reason: [["NO_SOCKET"]] }`), {
    what: "bad reason",
    value: ["NO_SOCKET"],
  }],
  ["not behind not", where(`{ reason: { not: { not: "NO_SOCKET" } } }`), {
    what: "bad reason",
    value: { not: { not: "NO_SOCKET" } },
  }],
  ["null for a field's value", where(`{ saddr: ▸null }`), { what: "bad saddr", value: null }],
  ["a list for fields to count by", when(`drops.by(["dport"]).count("1m").above(1)`), {
    what: "unknown field",
    value: ["dport"],
  }],
  ["null for a field to count by", when(`drops.by(▸null).count("1m").above(1)`), {
    what: "unknown field",
    value: null,
  }],
  ["an object that has no text", having(`severity: { toString: 1 },`), {
    what: "bad severity",
    value: { toString: 1 },
  }],
  ["a length of time that has no text", having(`for: { toString: null },`), {
    what: "bad for",
    value: { toString: null },
  }],
  ["a length of time in an array", having(`for: ▸["30s"],`), { what: "bad for", value: ["30s"] }],
  ["a length of time that is null", having(`for: ▸null,`), { what: "bad for", value: null }],
  ["a Set for labels", having(`labels: new Set(["a"]),`), { what: "bad labels", value: [["Set"]] }],
  ["a function for labels", having(`labels: () => ({ a: "b" }),`), {
    what: "bad label function",
    value: true,
  }],
  ["a function for a label", having(`labels: { team: () => "x" },`), {
    what: "bad label team",
    value: { function: true },
  }],
  ["a label that Prometheus keeps for itself", having(`labels: { ▸__name__: "x" },`), {
    what: "bad label name",
    value: "__name__",
  }],
  ["a mode", having(`mode: ▸"shadwo",`), {
    what: "bad mode",
    value: "shadwo",
    nearest: ["shadow"],
  }],
  ["a mode that is true", having(`mode: ▸true,`), { what: "bad mode", value: true }],
  ["a condition that is a function", `export default rule({ alert: "F", when: () => true });\n`, {
    what: "bad when",
    value: { function: true },
  }],
  ["a condition that is drops", `export default rule({ alert: "D", when: drops });\n`, {
    what: "bad when",
    value: expect.objectContaining({ where: [] }),
  }],
  ["a severity that is very long", having(`severity: "x".repeat(300_000),`), {
    what: "bad severity",
    value: "x".repeat(300_000),
  }],
  [
    "conditions without end",
    `let all = drops.count("1m").above(1);\n` +
    `for (let i = 0; i < 500; i++) all = all.and(drops.absent("1m"));\n` +
    `export default rule({ alert: "Deep", when: all });\n`,
    { what: "bad and()", value: "and" },
  ],
  [
    "shares without end",
    `let all = drops.count("1m");\n` +
    `for (let i = 0; i < 500; i++) all = all.over(drops.count("1h"));\n` +
    `export default rule({ alert: "Deep", when: all.above(1) });\n`,
    { what: "bad over()", value: "over" },
  ],
]);

const head = `import { drops, health, rule } from "dropwatch";\n\n`;

const several = `${head}export default rule({
  alert: "Several",
  when: drops.where({ reason: "NO_SOCKT", dport: 70000 }).by("devv").rate("10y").above(1),
  for: "soon",
  severity: "bad",
});
`;

const inArray = `${head}const limits = { eth0: 50, eth1: 500 };

export default Object.entries(limits).map(([dev, limit]) => {
  const made = rule({
    alert: \`DropsOn_\${dev}\`,
    when: drops.where({ dev, class: "fualt" }).rate("30s").above(limit),
  });
  return made;
});
`;

const helper = `import { drops } from "dropwatch";

/** What several rules count. */
export const shared = drops
  .where({ reason: "NO_SOCKT" });
`;

const ports = `import { drops } from "dropwatch";

/**
 * The ports of several rules. The rule that imports it has the same value below the line on which the
 * mistake stands here.
 */

export const shared = drops.where({ dport: ▸99999 });
`;

const withPorts = `import { rule } from "dropwatch";
import { shared } from "./_ports.ts";

export default rule({
  alert: "WithPorts",
  when: shared.rate("10s").above(1),
  labels: { a: "99999" },

  summary: "99999",
});
`;

const right = `${head}export default [
  rule({
    alert: "All",
    when: drops.where({ reason: "NO_SOCKET" }).where({ dport: 53 }).by("saddr", "dport")
      .rate("1m30s").above(100, { recovery: 20 }),
    for: "30s",
    keepFiringFor: "5m",
    severity: "critical",
    labels: { team: "storage" },
    summary: ({ value }) => String(value),
    description: "what it means",
    runbook: "https://example.org/runbook",
  }),
  rule({ alert: "Least", when: drops.count("24h").below(0) }),
  rule({
    alert: "Share",
    when: drops.by("dev").sum("len", "1m").over(drops.sum("len", "10m"), { min: 5 }).above(0.5),
  }),
  rule({
    alert: "SameFields",
    when: drops.by("dev", "cpu").count("1m").over(drops.by("cpu", "dev").count("1m")).above(0.5),
  }),
];
`;

let folder: Folder;
let errors: readonly DropwatchError[];
let rules: readonly CheckedRule[];

const all = [
  ...ofWhere,
  ...ofValues,
  ...ofRules,
  ...ofConditions,
  ...ofFilters,
  ...ofHealth,
  ...ofCode,
  ...ofScripts,
];
const fileOf = (name: string): string => `${name.replace(/\W/g, "_")}.ts`;

/** Why this kernel doesn't give a field. */
const unavailable = "this kernel has no cgroups";

/** Reads files as the rules of a kernel. */
async function load(names: readonly string[], facts: SourceFacts): Promise<RuleSet> {
  const set = await loadRules({
    files: names.map(folder.file),
    facts: () => Promise.resolve(facts),
    interval: 1000,
    log: () => {},
  });
  await set.host.close();
  return set;
}

beforeAll(async () => {
  folder = await makeFolder({ "_helper.ts": helper, "_ports.ts": ports.replace("▸", "") });
  const files = new Map<string, string>([
    ["several.ts", several],
    ["array.ts", inArray],
    ["right.ts", right],
    ["ports.ts", withPorts],
    ["unavailable.ts", head + where(`{ cgroupId: 5 }`)],
    [
      "helped.ts",
      `import { rule } from "dropwatch";\nimport { shared } from "./_helper.ts";\n` +
      `export default rule({ alert: "Helped", when: shared.rate("10s").above(1) });\n`,
    ],
  ]);
  for (const [name, source] of all) files.set(fileOf(name), head + source.replace("▸", ""));
  for (const [name, source] of files) await folder.write(name, source);
  ({ errors, rules } = await load([...files.keys()], {
    ...facts,
    unavailable: (field) => field === "cgroupId" ? unavailable : undefined,
  }));
});

afterAll(() => folder.remove());

/** The errors of a file. */
function errorsOf(name: string): DropwatchError[] {
  return errors.filter(({ place }) => relative(folder.path, place!.file) === name);
}

/** Where ▸ stands in a file; undefined where there is none. */
function markOf(source: string): { line: number; column: number } | undefined {
  const lines = (head + source).split("\n");
  const at = lines.findIndex((line) => line.includes("▸"));
  return at === -1 ? undefined : { line: at + 1, column: lines[at]!.indexOf("▸") + 1 };
}

function expectMistake(name: string, source: string, { what, value, nearest }: Mistake): void {
  const found = errorsOf(fileOf(name));
  expect(found.map(({ data }) => data.what)).toEqual([what]);
  const [error] = found;
  expect(error).toMatchObject({ code: "RULE_MISTAKE", exit: 1 });
  expect(error!.data.value).toEqual(value);
  expect(error!.data.nearest).toEqual(nearest ?? []);
  const mark = markOf(source);
  expect(error!.place).toMatchObject({ file: folder.file(fileOf(name)), ...mark });
  for (const near of nearest ?? []) expect(error!.message).toContain(near);
}

describe("a mistake in where", () => {
  test.each(ofWhere)("is told at its place: %s", expectMistake);
});

describe("a mistake in a value or a condition", () => {
  test.each(ofValues)("is told at its place: %s", expectMistake);
});

describe("a mistake in the rest of a rule", () => {
  test.each(ofRules)("is told at its place: %s", expectMistake);
});

describe("a mistake in a condition that isn't a comparison", () => {
  test.each(ofConditions)("is told at its place: %s", expectMistake);
});

describe("a mistake in a filter", () => {
  test.each(ofFilters)(
    "is told at its place: %s",
    (name, source, mistake) => expectMistake(name, source, mistake),
  );
});

describe("a mistake in what is asked of dropwatch itself", () => {
  test.each(ofHealth)("is told at its place: %s", expectMistake);
});

describe("a mistake in a rule of code", () => {
  test.each(ofCode)("is told at its place: %s", expectMistake);
});

describe("a mistake that nobody makes who has types", () => {
  test.each(ofScripts)("is told: %s", expectMistake);
});

describe("mistakes", () => {
  test("are all told, each at its place", () => {
    const told = errorsOf("several.ts")
      .map(({ data, place }) => [data.value, place!.line, place!.column]);
    const lines = several.split("\n");
    const at = (value: unknown, written: string) => {
      const line = lines.findIndex((text) => text.includes(written));
      return [value, line + 1, lines[line]!.indexOf(written) + 1];
    };
    const expected = [
      at("NO_SOCKT", `"NO_SOCKT"`),
      at(70000, "70000"),
      at("devv", `"devv"`),
      at("10y", `"10y"`),
      at("soon", `"soon"`),
      at("bad", `"bad"`),
    ];
    expect(told.map(String).sort()).toEqual(expected.map(String).sort());
  });

  test("of rules that a function makes are told for each, at the line of the function", () => {
    const line = inArray.split("\n").findIndex((text) => text.includes("fualt")) + 1;
    expect(errorsOf("array.ts").map(({ data, place }) => [data.value, place!.line]))
      .toEqual([["fualt", line], ["fualt", line]]);
  });

  test("in what a rule imports are told at the file where they are written", () => {
    const { code, place, data } = errorsOf("_helper.ts")[0]!;
    expect([code, data.value, place!.line]).toEqual(["RULE_MISTAKE", "NO_SOCKT", 5]);
  });

  test("in what a rule imports are told at their column there, though the rule has the same value", () => {
    const lines = ports.split("\n");
    const line = lines.findIndex((text) => text.includes("▸"));
    const [error, ...more] = errors.filter(({ data }) => data.value === 99999);
    expect(more).toEqual([]);
    expect(error!.place).toEqual({
      file: folder.file("_ports.ts"),
      line: line + 1,
      column: lines[line]!.indexOf("▸") + 1,
    });
  });
});

describe("a site", () => {
  const wrong = (name: string, condition: string, value: string, nearest: readonly string[]) =>
    [name, where(condition), { what: "bad site", value, nearest }] as const;
  const wrongSites: readonly Case[] = [
    wrong("nothing like a function", `{ site: ▸"nonsense" }`, "nonsense", []),
    wrong("a function, nearly", `{ site: ▸"tcp_v4_rvc" }`, "tcp_v4_rvc", ["tcp_v4_rcv"]),
    wrong("one of several", `{ site: ["tcp_v4_rcv", ▸"ip_rcv_cor"] }`, "ip_rcv_cor", [
      "ip_rcv_core",
    ]),
    wrong("one behind not", `{ site: { not: ▸"udp4_lib_rcv" } }`, "udp4_lib_rcv", [
      "__udp4_lib_rcv",
    ]),
  ];
  const rightSites = where(`{ site: ["tcp_v4_rcv", "ip_rcv_core"] }`);
  const noSite = where(`{ dport: 53 }`);

  let asked: number;
  let known: RuleSet;

  const fileOfSite = (name: string): string => `site_${fileOf(name)}`;

  /** A kernel whose functions are known. */
  const withFunctions = (): SourceFacts => ({
    ...facts,
    world: reasonWorld(reasons, subsystems, {
      functions: () => {
        asked++;
        return new Set(sites.values());
      },
    }),
  });

  beforeAll(async () => {
    asked = 0;
    for (const [name, source] of wrongSites) {
      await folder.write(fileOfSite(name), head + source.replace("▸", ""));
    }
    await folder.write("site_right.ts", head + rightSites);
    await folder.write("site_none.ts", head + noSite);
    const names = [...wrongSites.map(([name]) => fileOfSite(name)), "site_right.ts"];
    known = await load(names, withFunctions());
  });

  test.each(wrongSites)(
    "that the kernel has no function for is told at its place: %s",
    (name, source, mistake) => {
      const { value, nearest } = mistake;
      const found = known.errors.filter(({ place }) =>
        place!.file === folder.file(fileOfSite(name))
      );
      expect(found).toHaveLength(1);
      expect(found[0]).toMatchObject({ code: "RULE_MISTAKE", exit: 1 });
      expect(found[0]!.data).toMatchObject({ what: "bad site", value, nearest });
      expect(found[0]!.place).toMatchObject(markOf(source)!);
      expect(found[0]!.message).toContain(
        `bad site "${value}": this kernel, with the modules that are loaded, has no such function`,
      );
      for (const near of nearest ?? []) expect(found[0]!.message).toContain(near);
    },
  );

  test("that the kernel has a function for is right", () => {
    expect(known.rules.map(({ file }) => file)).toEqual([folder.file("site_right.ts")]);
  });

  test("may have any name where the kernel's functions aren't known", async () => {
    const set = await load(wrongSites.map(([name]) => fileOfSite(name)).slice(0, 1), facts);
    expect(set.errors).toEqual([]);
    expect(set.rules).toHaveLength(1);
  });

  test("is what the kernel's functions are read for, and nothing else is", async () => {
    asked = 0;
    expect((await load(["site_none.ts"], withFunctions())).errors).toEqual([]);
    expect(asked).toBe(0);
  });
});

test("a field that the source doesn't give is an error that says why, at its place", () => {
  const [error, ...more] = errorsOf("unavailable.ts");
  expect(more).toEqual([]);
  expect(error).toMatchObject({ code: "UNAVAILABLE_FIELD", exit: 1, data: { field: "cgroupId" } });
  expect(error!.message).toContain(unavailable);
  const mark = markOf(where(`{ ▸cgroupId: 5 }`));
  expect(error!.place).toEqual({ file: folder.file("unavailable.ts"), ...mark! });
});

describe("a right rule", () => {
  const ruleOf = (alert: string): CheckedRule => rules.find((rule) => rule.alert === alert)!;

  test("is the only kind that there are rules of", () => {
    expect(rules.map(({ alert }) => alert)).toEqual(["All", "Least", "Share", "SameFields"]);
    expect(errorsOf("right.ts")).toEqual([]);
  });

  test("keeps all that was written, with lengths of time in milliseconds", () => {
    const { condition, ...rule } = ruleOf("All");
    expect(rule).toEqual({
      file: folder.file("right.ts"),
      bundle: expect.stringMatching(/^[0-9a-f]{16}$/),
      index: 0,
      place: { file: folder.file("right.ts"), line: 4, column: 3 },
      alert: "All",
      by: ["saddr", "dport"],
      for: 30_000,
      keepFiringFor: 300_000,
      severity: "critical",
      labels: { team: "storage" },
      texts: { summary: { function: true }, description: "what it means" },
      runbook: "https://example.org/runbook",
      mode: "alert",
    });
    expect(condition).toMatchObject({
      is: "above",
      threshold: 100,
      recovery: 20,
      value: { aggregate: "rate", window: 90_000, stream: { by: ["saddr", "dport"] } },
    });
    const { value } = condition as typeof condition & { is: "above" };
    const { count } = (value as Leaf).stream as DropStream;
    expect(count.predicate.map(({ field }) => field)).toEqual(["reason", "dport"]);
    expect(count.sum).toBe(undefined);
  });

  test("is a warning at once, without labels or texts, where nothing else is written", () => {
    expect(ruleOf("Least")).toMatchObject({
      index: 1,
      by: [],
      for: 0,
      keepFiringFor: 0,
      severity: "warning",
      labels: {},
      texts: {},
      condition: {
        is: "below",
        threshold: 0,
        recovery: 0,
        value: {
          aggregate: "count",
          window: 86_400_000,
          stream: { count: { predicate: [], by: [] }, by: [], filters: [] },
        },
      },
    });
    expect(ruleOf("Least").runbook).toBe(undefined);
  });

  test("may be a share of a whole without fields, or of the same ones in another order", () => {
    expect(ruleOf("Share")).toMatchObject({
      by: ["dev"],
      condition: {
        value: {
          part: {
            aggregate: "sum",
            window: 60_000,
            stream: { count: { by: ["dev"], sum: "len" } },
          },
          whole: { aggregate: "sum", window: 600_000, stream: { count: { by: [], sum: "len" } } },
          min: 5,
        },
      },
    });
    expect(ruleOf("SameFields")).toMatchObject({
      by: ["dev", "cpu"],
      condition: { value: { whole: { stream: { by: ["cpu", "dev"] } }, min: 0 } },
    });
  });
});

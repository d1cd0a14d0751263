// Rules that are wrong: each line below a `@ts-expect-error` doesn't compile, and all others do.
import { drops, health, rule } from "dropwatch";

const when = drops.by("dport").rate("10s").above(1);
const on = drops.by("saddr", "dport");

// What packets are asked for.
// @ts-expect-error: there is no such reason
drops.where({ reason: "NO_SOCKT" });
// @ts-expect-error: one of several reasons
drops.where({ reason: ["NO_SOCKET", "TCP_CSMU"] });
// @ts-expect-error: a reason behind not
drops.where({ reason: { not: "NO_SOCKT" } });
// @ts-expect-error: there is no such field
drops.where({ dprt: 53 });
// @ts-expect-error: a stack can't be asked for
drops.where({ stack: "tcp_v4_rcv" });
// @ts-expect-error: a class
drops.where({ class: "faults" });
// @ts-expect-error: a port is a number
drops.where({ dport: "53" });
// @ts-expect-error: only names have prefixes
drops.where({ dport: { prefix: "5" } });
// @ts-expect-error: only numbers have ranges
drops.where({ comm: { gte: "a" } });
// @ts-expect-error: a word of a range
drops.where({ dport: { gtt: 9 } });

// What is counted by, and over how long.
// @ts-expect-error: there is no such field
drops.by("saddr", "dprt");
// @ts-expect-error: not a list
drops.by(["saddr"]);
// @ts-expect-error: no unit
drops.rate("10");
// @ts-expect-error: no such unit
drops.count("10x");
// @ts-expect-error: a number
drops.count(600);
// @ts-expect-error: the smaller unit first
drops.absent("30s5m");
// @ts-expect-error: no window
drops.rate();
// @ts-expect-error: a field that has no sum
drops.sum("dport", "1m");
// @ts-expect-error: there is no such field
drops.distinct("dprt", "1m");
// @ts-expect-error: a label has one value
drops.by("saddr").distinct("saddr", "1m");
// @ts-expect-error: drops are no number
drops.above(5);

// Filters.
// @ts-expect-error: there is no such field
drops.filter(["dprt"], () => true);
// @ts-expect-error: no function
drops.filter(["dport"]);
// @ts-expect-error: a field that wasn't asked for
drops.filter(["dport"], ({ saddr }) => saddr === "");
// @ts-expect-error: it has to say yes or no
drops.filter(["dport"], ({ dport }) => dport);
// @ts-expect-error: it can't wait
drops.filter(["dport"], () => Promise.resolve(true));
// @ts-expect-error: fields are texts
drops.filter(["dport"], ({ dport }) => dport > 1024);

// Conditions.
// @ts-expect-error: no threshold
drops.count("1m").above();
// @ts-expect-error: a text
drops.count("1m").above("5");
// @ts-expect-error: there is no such option
drops.count("1m").above(5, { recover: 3 });
// @ts-expect-error: an option in place of options
drops.count("1m").above(5, 3);
// @ts-expect-error: no min
drops.count("1m").spike({ over: "1h", factor: 5 });
// @ts-expect-error: no over
drops.count("1m").spike({ factor: 5, min: 1 });
// @ts-expect-error: no options
drops.count("1m").spike();
// @ts-expect-error: a duration
drops.count("1m").spike({ over: "an hour", factor: 5, min: 1 });
// @ts-expect-error: a duration
drops.by("saddr").first({ learn: "soon" });
// @ts-expect-error: a whole by other labels
drops.by("dev").count("1m").over(drops.by("cpu").count("1m"));
// @ts-expect-error: a whole by some of the labels
drops.by("dev", "cpu").count("1m").over(drops.by("cpu").count("1m"));
// @ts-expect-error: a whole by more labels
drops.by("dev").count("1m").over(drops.by("dev", "cpu").count("1m"));
// @ts-expect-error: a whole that is a condition
drops.count("1m").over(drops.absent("1m"));
// @ts-expect-error: conditions by other labels
when.and(drops.by("saddr").absent("1m"));
// @ts-expect-error: conditions by other labels
when.or(drops.by("saddr", "dport").absent("1m"));
// @ts-expect-error: conditions by some of the labels
drops.by("saddr", "dport").absent("1m").and(when);
// @ts-expect-error: other labels than those that came with the first join
drops.absent("1m").or(when).and(drops.by("saddr").absent("1m"));
// @ts-expect-error: a value is no condition
when.and(drops.count("1m"));

// What happens to dropwatch.
// @ts-expect-error: there is no such event
health.where({ event: "losst" });
// @ts-expect-error: a field of drops
health.where({ dport: 53 });
// @ts-expect-error: there is no such label
health.by("rules");
// @ts-expect-error: it has no rate
health.rate("1m");
// @ts-expect-error: labels of drops and labels of dropwatch
drops.by("dev").absent("1m").and(health.by("why").count("1m").above(0));

// Rules.
// @ts-expect-error: no alert
rule({ when });
// @ts-expect-error: no condition
rule({ alert: "A" });
// @ts-expect-error: a value is no condition
rule({ alert: "A", when: drops.count("1m") });
// @ts-expect-error: there is no such key
rule({ alert: "A", when, summry: "x" });
// @ts-expect-error: a severity
rule({ alert: "A", when, severity: "warn" });
// @ts-expect-error: a mode
rule({ alert: "A", when, mode: "shadwo" });
// @ts-expect-error: a duration
rule({ alert: "A", when, for: "soon" });
// @ts-expect-error: a duration
rule({ alert: "A", when, keepFiringFor: 30 });
// @ts-expect-error: a label is a text
rule({ alert: "A", when, labels: { team: 5 } });
// @ts-expect-error: a label that there isn't
rule({ alert: "A", when, summary: ({ labels }) => labels.nope });
// @ts-expect-error: a label that there isn't, beside one of the rule's own
rule({ alert: "A", when, labels: { team: "x" }, summary: ({ labels }) => labels.nope });
// @ts-expect-error: a rule without labels
rule({ alert: "A", when: drops.count("1m").above(1), summary: ({ labels }) => labels.dport });
// @ts-expect-error: a text has to be returned
rule({ alert: "A", when, summary: ({ value }) => value });
// @ts-expect-error: it can't wait
rule({ alert: "A", when, summary: () => Promise.resolve("x") });
// @ts-expect-error: code goes with on
rule({ alert: "A", when, each: () => {} });

// Rules of code.
// @ts-expect-error: a label that on isn't by
rule({ alert: "A", on, by: ["daddr"], each: () => {} });
// @ts-expect-error: no labels
rule({ alert: "A", on, each: () => {} });
// @ts-expect-error: dropwatch's own life
rule({ alert: "A", on: health.by("why"), by: ["why"], each: () => {} });
// @ts-expect-error: either when or on
rule({ alert: "A", when, on, by: ["saddr"], each: () => {} });
// @ts-expect-error: it can't wait
rule({ alert: "A", on, by: ["saddr"], each: async () => {} });
// @ts-expect-error: it can't wait
rule({ alert: "A", on, by: ["saddr"], tick: async () => {} });
// @ts-expect-error: a field that on isn't by
rule({ alert: "A", on, by: ["saddr"], each: ({ daddr }) => void daddr });
// @ts-expect-error: a field that is no label
rule({ alert: "A", on, by: ["saddr"], tick: ({ labels }) => void labels.dport });
// @ts-expect-error: a field that is no label
rule({ alert: "A", on, by: ["saddr"], each: () => {}, summary: ({ labels }) => labels.dport });
// @ts-expect-error: a duration
rule({ alert: "A", on, by: ["saddr"], tick: () => {}, every: "often" });
// @ts-expect-error: a number
rule({ alert: "A", on, by: ["saddr"], tick: ({ fire }) => fire("much") });

const state = { version: 1, init: () => ({ n: 0 }) };
// @ts-expect-error: what the state hasn't
rule({ alert: "A", on, by: ["saddr"], state, each: (_, { state }) => void state.m });
// @ts-expect-error: a number in the state
rule({ alert: "A", on, by: ["saddr"], state, tick: ({ state }) => void (state.n = "one") });
// @ts-expect-error: no state
rule({ alert: "A", on, by: ["saddr"], each: (_, { state }) => void state.n });
// @ts-expect-error: no version
rule({ alert: "A", on, by: ["saddr"], state: { init: () => ({}) }, each: () => {} });
// @ts-expect-error: a state is an object
rule({ alert: "A", on, by: ["saddr"], state: { version: 1, init: () => 5 }, each: () => {} });
// @ts-expect-error: another state
rule({ alert: "A", on, by: ["saddr"], state: { ...state, migrate: () => ({ m: 1 }) }, each() {} });

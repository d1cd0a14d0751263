// Rules that are right: each compiles, with the labels that its texts may use inferred.
import { drops, health, rule } from "dropwatch";
import type { Duration, Rule } from "dropwatch";

const windows: Duration[] = ["500ms", "10s", "1.5s", "5m", "1h", "1d", "1h30m", "1m30s", "1d12h"];

export const right: readonly Rule[] = [
  rule({ alert: "Least", when: drops.count("1m").above(1) }),
  rule({
    alert: "All",
    when: drops.where({
      reason: "NO_SOCKET",
      dport: { gte: 1, lt: 1024 },
      comm: { prefix: ["nginx", "ssh"] },
      saddr: { not: ["10.0.0.0/8", "::1"] },
      dev: "eth0",
      class: ["fault", "unknown"],
    }).where({ l4: { not: "UDP" } }).by("dport", "saddr").rate("10s").above(5, { recovery: 1 }),
    for: "30s",
    keepFiringFor: "5m",
    severity: "critical",
    labels: { team: "storage" },
    mode: "shadow",
    summary: ({ value, labels }) => `${value.toFixed(0)} ${labels.dport} ${labels.team}`,
    description: ({ peak, total, exact, labels }) => `${peak} ${total} ${exact} ${labels.saddr}`,
    runbook: "https://example.org",
  }),
  ...windows.map((window) => rule({ alert: "W", when: drops.absent(window) })),
  rule({
    alert: "Filtered",
    when: drops.filter(["dport", "comm"], ({ dport, comm }) => Number(dport) > 9 && comm !== "")
      .by("saddr").count("1m").above(1),
    summary: ({ labels }) => labels.saddr,
  }),
  rule({
    alert: "Absent",
    when: drops.by("dev").absent("5m"),
    summary: ({ labels, value }) => `${labels.dev} ${value}`,
  }),
  rule({
    alert: "Distinct",
    when: drops.by("saddr").distinct("dport", "1m").above(100),
    summary: ({ labels }) => labels.saddr,
  }),
  rule({
    alert: "Share",
    when: drops.by("dev").sum("len", "1m").over(drops.sum("len", "1m"), { min: 5 }).above(0.5),
    summary: ({ labels }) => labels.dev,
  }),
  rule({
    alert: "ShareByTheSame",
    when: drops.by("dev", "cpu").count("1m").over(drops.by("cpu", "dev").count("1m")).below(0.5),
    summary: ({ labels }) => labels.dev + labels.cpu,
  }),
  rule({
    alert: "Spike",
    when: drops.by("dev").rate("1m").spike({ over: "1h", factor: 5, min: 10 }),
    summary: ({ labels }) => labels.dev,
  }),
  rule({
    alert: "First",
    when: drops.by("saddr").first({ learn: "1d" }),
    summary: ({ labels }) => labels.saddr,
  }),
  rule({
    alert: "Joined",
    when: drops.by("dev").rate("1m").above(5).and(drops.by("dev").absent("1m"))
      .or(drops.count("1m").above(1000)),
    summary: ({ labels }) => labels.dev,
  }),
  rule({
    alert: "JoinedFromWithoutLabels",
    when: health.count("1m").above(5).and(drops.count("1m").above(1))
      .or(drops.by("dev", "cpu").absent("1m")).and(drops.by("cpu", "dev").absent("2m")),
    summary: ({ labels }) => labels.dev + labels.cpu,
  }),
  rule({
    alert: "JoinedWithHealth",
    when: drops.by("dev").absent("5m")
      .and(health.where({ event: "down" }).count("5m").below(1)),
    summary: ({ labels }) => labels.dev,
  }),
  rule({
    alert: "Health",
    when: health.where({ event: ["lost", "other"], rule: "A" }).by("why", "file").count("1m")
      .above(0),
    summary: ({ labels }) => labels.why + labels.file,
  }),
  rule({
    alert: "Code",
    on: drops.where({ l4: "TCP" }).by("saddr", "dport"),
    by: ["saddr"],
    state: {
      version: 2,
      init: () => ({ last: 0, seen: [] as string[] }),
      migrate: (old, version) => ({ last: version, seen: [String(old)] }),
    },
    each: ({ saddr, dport, count }, { state, labels, fire }) => {
      state.last = Number(dport) + count;
      state.seen.push(saddr, labels.saddr);
      if (state.last > 5) fire(state.last);
    },
    every: "10s",
    tick({ state, now, resolve }) {
      if (state.last < now) resolve();
    },
    labels: { team: "storage" },
    summary: ({ labels }) => labels.saddr + labels.team,
  }),
  rule({
    alert: "CodeOfAWord",
    on: drops.by("dport"),
    by: ["dport"],
    state: { version: 1, init: () => ({ n: 0 }) },
    each: ({ count }, { state }) => state.n += count,
    tick: ({ state, fire }) => fire(state.n),
  }),
  rule({ alert: "CodeWithoutLabels", on: drops, by: [], each: (_, { fire }) => fire() }),
];

// What monitoring systems are told: the numbers of a real run, under names that follow the rules.
import { afterEach, describe, expect, test } from "bun:test";
import { hostileNames, rawControl } from "../../test/alert.ts";
import { closed, ruleText, startRun, until } from "../../test/run.ts";
import type { Run, StartOptions } from "../../test/run.ts";
import { metricFamilies, metrics, others } from "./metrics.ts";
import type { MetricFamily, MetricsView } from "./metrics.ts";
import type { ViewMessage, ViewRule, ViewTotal } from "./view.ts";

let runs: Run[] = [];
afterEach(async () => {
  for (const run of runs) await run.stop();
  runs = [];
});

async function start(options: StartOptions = {}): Promise<Run> {
  const run = await startRun({ view: true, ...options });
  runs.push(run);
  return run;
}

const family = (view: MetricsView, name: string): MetricFamily | undefined =>
  metricFamilies(view).find((each) => each.name === name);
/** The samples of a metric: `a b` for the labels. */
const read = (view: MetricsView, name: string): Record<string, number> =>
  Object.fromEntries(family(view, name)!.rows.map(([values, value]) => [values.join(" "), value]));
const total = ({ rows }: MetricFamily): number => rows.reduce((sum, [, value]) => sum + value, 0);

describe("a metric", () => {
  test.each(metrics.map(({ name }) => name))("%s is named as Prometheus names its own", (name) => {
    const { type, unit, help, labels } = metrics.find((each) => each.name === name)!;
    expect(name).toMatch(/^dropwatch(_[a-z]+)+$/);
    expect(name).not.toMatch(/_(total|info|created|count|sum|bucket)$/);
    if (unit !== "") expect(name.endsWith(`_${unit}`)).toBe(true);
    else expect(name).not.toMatch(/_(seconds|bytes)$/);
    if (type === "info") expect(unit).toBe("");
    expect(help).toMatch(/^[A-Z0-9].*[^.]\.$/s);
    for (const label of labels) expect(label).toMatch(/^(?!(instance|job|le|quantile)$)[a-z]+$/);
  });

  test("has a name that no other one has", () => {
    expect(new Set(metrics.map(({ name }) => name)).size).toBe(metrics.length);
  });
});

describe("of a run", () => {
  test("drops are told by reason, device and class, and the sums add up", async () => {
    const { view, second } = await start({ files: { "a.ts": ruleText("A") } });
    await second([
      [{ reason: "NO_SOCKET", dev: "eth0", dport: "53" }, 20],
      [{ reason: "NO_SOCKET", dev: "other", dport: "53" }, 7],
      [{ reason: "NETFILTER_DROP", dev: "" }, 3],
    ]);
    await second([[{ reason: "NO_SOCKET", dev: "eth0", dport: "53" }, 5]]);
    const drops = read(view, "dropwatch_drops");
    const [kind] = view.totals().filter(({ reason }) => reason === "NO_SOCKET").map((t) => t.class);
    expect(drops).toEqual({
      [`NO_SOCKET eth0 ${kind}`]: 25,
      [`NO_SOCKET other ${kind}`]: 7,
      "NETFILTER_DROP  policy": 3,
    });
    expect(total(family(view, "dropwatch_drops_seen")!)).toBe(35);
    expect(
      ["counted", "other", "lost"].map((name) => total(family(view, `dropwatch_drops_${name}`)!)),
    ).toEqual([35, 0, 0]);
    expect(read(view, "dropwatch_rule_matched")).toMatchObject({ A: 32 });
    expect(total(family(view, "dropwatch_counted_seconds")!)).toBe(2);
    expect(total(family(view, "dropwatch_last_tick_timestamp_seconds")!))
      .toBe(Date.parse(view.status().lastTickAt!) / 1000);
    expect(total(family(view, "dropwatch_start_time_seconds")!))
      .toBe(Date.parse(view.status().startedAt) / 1000);
    expect(read(view, "dropwatch_tick_interval_seconds")).toEqual({ "": 1 });
    expect(read(view, "dropwatch_source_up")).toEqual({ driven: 1 });
  });

  test("what is missing is told by where it went missing", async () => {
    const { view, second } = await start();
    await second(closed(5), { seen: 12, lost: 7, unreadable: 2 });
    await second([], { gap: { seconds: 3, why: "bpftrace ended", over: false } });
    expect(total(family(view, "dropwatch_drops_lost")!)).toBe(7);
    const stages = family(view, "dropwatch_lost")!;
    expect(stages.rows.map(([[stage]]) => stage)).toEqual(["probe", "map", "output", "window"]);
    expect(total(stages)).toBe(7);
    expect(read(view, "dropwatch_unreadable_lines")).toEqual({ "": 2 });
    expect(read(view, "dropwatch_gap_seconds")).toEqual({ "": 3 });
    expect(read(view, "dropwatch_source_up")).toEqual({ driven: 0 });
  });

  test("alerts are told by state and severity, and those of shadow rules apart", async () => {
    const { view, second } = await start({
      files: {
        "a.ts": ruleText("A", `severity: "critical",`),
        "b.ts": ruleText("B", `mode: "shadow",`),
        "c.ts": ruleText("C", `for: "1h",`),
        "d.ts": ruleText("D", "", `.count("5s").above(1000)`),
        "e.ts": "export default 1;",
      },
    });
    await second(closed(20));
    expect(read(view, "dropwatch_alerts")).toEqual({
      "pending critical": 0,
      "pending warning": 1,
      "pending info": 0,
      "firing critical": 1,
      "firing warning": 0,
      "firing info": 0,
    });
    expect(read(view, "dropwatch_rule_firing_alerts")).toMatchObject({
      "A critical alert": 1,
      "B warning shadow": 1,
      "C warning alert": 0,
      "D warning alert": 0,
    });
    expect(read(view, "dropwatch_rules"))
      .toEqual({ inactive: 1, pending: 1, firing: 2, disabled: 0 });
    expect(read(view, "dropwatch_broken_rule_files")).toEqual({ "": 1 });
    expect(read(view, "dropwatch_alerts_suppressed")).toEqual({ "": 0 });
    view.addSilence({
      matchers: ['alertname="A"'],
      duration: 60_000,
      createdBy: "t",
      comment: "a test",
    });
    expect(read(view, "dropwatch_alerts_suppressed")).toEqual({ "": 1 });
  });

  test("messages that aren't delivered are told by sink", async () => {
    const { view, second } = await start({
      files: { "a.ts": ruleText("A") },
      sinks: [
        { name: "down", send: () => Promise.reject(new Error("no answer")) },
        { name: "up", send: () => Promise.resolve() },
      ],
    });
    await second(closed(20));
    await until(() => view.status().outbox.pending > 0);
    expect(read(view, "dropwatch_outbox_messages")).toMatchObject({
      "down pending": view.status().outbox.pending,
      "down dead": 0,
      "up pending": 0,
      "up dead": 0,
    });
  });

  test("what isn't known is left out", async () => {
    const { view } = await start();
    const known = new Set(metricFamilies(view).map(({ name }) => name));
    for (const name of ["drops", "last_tick_timestamp_seconds"]) {
      expect(known.has(`dropwatch_${name}`)).toBe(false);
    }
    expect(known.has("dropwatch_probe_runs")).toBe(view.status().cost.probe !== null);
    const status = view.status();
    const probe = { runs: 1000, nanoseconds: 250_000 };
    const measured = { ...view, status: () => ({ ...status, cost: { processes: [], probe } }) };
    expect(read(measured, "dropwatch_probe_runs")).toEqual({ "": 1000 });
    expect(read(measured, "dropwatch_probe_seconds")).toEqual({ "": 0.00025 });
    expect(family(measured, "dropwatch_process_cpu_seconds")).toBeUndefined();
    const odd = {
      ...view,
      status: () => ({ ...status, startedAt: "no time", interval: Infinity }),
    };
    expect(family(odd, "dropwatch_start_time_seconds")).toBeUndefined();
    expect(family(odd, "dropwatch_tick_interval_seconds")).toBeUndefined();
  });

  test("every part of the view is read once", async () => {
    const { view, second } = await start({ files: { "a.ts": ruleText("A") } });
    await second(closed(20));
    const calls: string[] = [];
    const counted = Object.fromEntries(
      (["status", "rules", "totals", "outbox"] as const)
        .map((part) => [part, () => (calls.push(part), view[part]())]),
    ) as unknown as MetricsView;
    expect(metricFamilies(counted).length).toBeGreaterThan(20);
    expect(calls.sort()).toEqual(["outbox", "rules", "status", "totals"]);
  });
});

describe("labels", () => {
  const drop = (reason: string | null, dev: string | null, drops: number): ViewTotal => ({
    reason,
    dev,
    class: "fault",
    drops,
  });

  test("of what isn't told apart are none that a reason, a device, an alert or a sink can have", async () => {
    const { view } = await start();
    const totals = (): ViewTotal[] => [
      drop(null, null, 1),
      drop("NO_SOCKET", null, 2),
      drop("NO_SOCKET", "other", 4),
      drop("NO_SOCKET", "", 8),
    ];
    expect(read({ ...view, totals }, "dropwatch_drops")).toEqual({
      "all other reasons all other devices fault": 1,
      "NO_SOCKET all other devices fault": 2,
      "NO_SOCKET other fault": 4,
      "NO_SOCKET  fault": 8,
    });
    // IFNAMSIZ leaves a name 15 bytes, and dev_valid_name() no space.
    expect(others.dev.length).toBeGreaterThan(15);
    for (const label of Object.values(others)) expect(label).toContain(" ");
  });

  test("are safe to show, well-formed, and of a length that has an end", async () => {
    const { view } = await start();
    const names = [...hostileNames, "x".repeat(100_000)];
    const totals = (): ViewTotal[] => names.map((name) => drop("NO_SOCKET", name, 1));
    const { rows } = family({ ...view, totals }, "dropwatch_drops")!;
    expect(rows).toHaveLength(names.length);
    for (const [values] of rows) {
      for (const value of values) {
        expect(value.isWellFormed() && value.length <= 200).toBe(true);
        expect(value).not.toMatch(rawControl);
      }
    }
  });

  test("that look the same are one sample, with the sum", async () => {
    const { view } = await start();
    const totals = (): ViewTotal[] => [
      drop("NO_SOCKET", "\ud800", 1),
      drop("NO_SOCKET", "\udfff", 2),
      drop("NO_SOCKET", "x".repeat(300), 4),
      drop("NO_SOCKET", `${"x".repeat(300)}y`, 8),
    ];
    const { rows } = family({ ...view, totals }, "dropwatch_drops")!;
    expect(rows.map(([, n]) => n)).toEqual([3, 12]);
  });

  test("of rules and sinks are bounded, and their sums aren't", async () => {
    const { view, second } = await start({ files: { "a.ts": ruleText("A") } });
    await second(closed(20));
    const all = view.rules();
    const one = all.rules.find(({ alert }) => alert === "A")!;
    const many = Array.from({ length: 3000 }, (_, i): ViewRule => ({
      ...one,
      alert: `A${i}`,
      total: 1,
    }));
    const rules = () => ({ ...all, rules: many });
    const matched = family({ ...view, rules }, "dropwatch_rule_matched")!;
    expect([matched.rows.length, total(matched)]).toEqual([1001, 3000]);
    expect(matched.rows.at(-1)).toEqual([[others.alert], 2000]);
    const firing = family({ ...view, rules }, "dropwatch_rule_firing_alerts")!;
    expect([firing.rows.length, total(firing)]).toEqual([1001, 3000]);

    const message = (i: number): ViewMessage => ({ sink: `s${i}`, state: "dead" }) as ViewMessage;
    const outbox = () => Array.from({ length: 500 }, (_, i) => message(i));
    const status = () => ({ ...view.status(), outbox: { pending: 3, dead: 700 } });
    const messages = family({ ...view, outbox, status }, "dropwatch_outbox_messages")!;
    expect(messages.rows.length).toBe(202);
    expect(total(messages)).toBe(703);
    expect(messages.rows.slice(-2)).toEqual([
      [[others.sink, "pending"], 3],
      [[others.sink, "dead"], 700 - 99],
    ]);
  });
});

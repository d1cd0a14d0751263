// Metrics in a real Prometheus: it scrapes a run, understands every line, and answers with our numbers.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "bun:test";
import { metricFamilies, metrics, others } from "../core/view/metrics.ts";
import type { MetricsView } from "../core/view/metrics.ts";
import type { View } from "../core/view/view.ts";
import {
  metricsFor,
  openMetricsType,
  prometheusText,
  prometheusType,
  sampleName,
} from "../plugins/metrics/openmetrics.ts";
import { openServer } from "../plugins/server/server.ts";
import { hostileNames } from "./alert.ts";
import { makeFolder } from "./folder.ts";
import { drivenSource, ruleText, startRun } from "./run.ts";
import type { Run } from "./run.ts";
import { Prometheus, prometheusTest, promtool } from "./services/prometheus.ts";
import { viewOf } from "./view.ts";

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const token = "of-these-tests-alone";

/** A server that shows a view; `types` are what scrapers got. */
async function serve(view: View): Promise<{ target: string; types: string[] }> {
  const types: string[] = [];
  const server = await openServer({
    address: "127.0.0.1:0",
    token,
    log: () => {},
    metrics(accept, shown) {
      const answer = metricsFor(accept, shown);
      types.push(answer.type);
      return answer;
    },
  });
  ends.push(() => server.close());
  server.show(view);
  return { target: new URL(server.url).host, types };
}

async function prometheusOf(target: string, rules?: string): Promise<Prometheus> {
  const prometheus = await Prometheus.start({
    global: { scrape_interval: "500ms", scrape_timeout: "500ms", evaluation_interval: "500ms" },
    scrape_configs: [{
      job_name: "dropwatch",
      authorization: { type: "Bearer", credentials_file: "token" },
      static_configs: [{ targets: [target] }],
    }],
    rule_files: rules === undefined ? [] : ["rules.yml"],
  }, { token: `${token}\n`, ...(rules === undefined ? {} : { "rules.yml": rules }) });
  ends.push(() => prometheus.close());
  return prometheus;
}

/** Waits until a query has an answer that is as it should be. */
async function answers(
  prometheus: Prometheus,
  query: string,
  wanted: number,
): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const values = (await prometheus.query(query)).map(({ value }) => value);
    if (values.length === 1 && values[0] === wanted) return;
    if (Date.now() > deadline) expect([query, values]).toEqual([query, [wanted]]);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A view of which every part that a stranger may choose is hostile. */
function hostileView(): MetricsView {
  const names = [
    ...hostileNames,
    "other",
    "back\\slash\\",
    'a"b',
    '"} 1',
    "\\n",
    "é\u{1f600}",
    "x".repeat(5000),
  ];
  return viewOf({
    totals: [
      ...names.map((dev) => ({ reason: "NO_SOCKET", dev, class: "normal" as const, drops: 1 })),
      ...names.map((reason) => ({ reason, dev: null, class: "unknown" as const, drops: 1 })),
      { reason: null, dev: null, class: "fault", drops: 5 },
    ],
    status: { sinks: names, source: { name: '"\n', title: "" }, version: "\\" },
    rules: names.map((alert) => ({
      alert,
      file: "a.ts",
      line: 1,
      severity: "warning",
      by: [],
      state: "firing",
      pending: 0,
      firing: 1,
      total: 1,
      shadow: false,
      plan: [],
      why: "",
    })),
  });
}

async function liveRun(): Promise<Run> {
  const run = await startRun({
    view: true,
    driven: drivenSource({ at: Date.now() }),
    files: {
      "a.ts": ruleText("A", `severity: "critical",`),
      "b.ts": ruleText("B", "", `.count("5s").above(100000)`),
    },
  });
  ends.push(() => run.stop());
  return run;
}

describe("promtool", () => {
  prometheusTest("finds nothing to say about the metrics of a run", async () => {
    const run = await liveRun();
    await run.second([[{ reason: "NO_SOCKET", dev: "eth0", dport: "53" }, 20]]);
    const { code, said } = await promtool(["check", "metrics"], prometheusText(run.view));
    expect([code, said]).toEqual([0, ""]);
  });

  prometheusTest("nor where strangers chose every name", async () => {
    const text = prometheusText(hostileView());
    const { code, said } = await promtool(["check", "metrics"], text);
    expect([code, said]).toEqual([0, ""]);
    // It would say so.
    const broken = await promtool(["check", "metrics"], text.replace('dev="', 'dev=""'));
    expect(broken.code).not.toBe(0);
    const odd = await promtool(["check", "metrics"], "# TYPE dropwatch_x counter\ndropwatch_x 1\n");
    expect(odd.code).not.toBe(0);
  });
});

describe("docs/metrics.md", () => {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const page = readFileSync(join(root, "docs/metrics.md"), "utf8");
  const blocks = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text]) => text!);
  const block = (beginning: string): string => blocks.find((text) => text.startsWith(beginning))!;

  prometheusTest("has a config of Prometheus and rules that promtool takes", async () => {
    const folder = await makeFolder({
      "prometheus.yml": block("scrape_configs:"),
      "rules.yml": block("groups:"),
    });
    ends.push(() => folder.remove());
    // The token's file isn't here.
    const config = folder.file("prometheus.yml");
    const checked = await promtool(["check", "config", "--syntax-only", config]);
    expect([checked.said, checked.code]).toEqual([expect.stringContaining("SUCCESS"), 0]);
    const rules = await promtool(["check", "rules", folder.file("rules.yml")]);
    expect([rules.said, rules.code]).toEqual([expect.stringContaining("SUCCESS: 6 rules"), 0]);
  });

  test("speaks of no metric that there isn't", () => {
    const known = new Set(metrics.map(sampleName));
    const named = new Set([...page.matchAll(/\bdropwatch_\w+/g)].map(([name]) => name));
    expect([...named].filter((name) => !known.has(name))).toEqual([]);
    expect(named.size).toBe(known.size);
  });

  prometheusTest("has queries and alerts that Prometheus can answer", async () => {
    const run = await liveRun();
    const { target } = await serve(run.view);
    await run.second([[{ reason: "NO_SOCKET", dev: "eth0", dport: "53" }, 20]]);
    const prometheus = await prometheusOf(target, block("groups:"));
    await answers(prometheus, "up", 1);
    const queries = [...page.matchAll(/^\| [^|`]+ \| `([^`]+)` +\|$/gm)]
      .map(([, query]) => query!).filter((query) => !/^[a-z_]+$/.test(query));
    expect(queries.length).toBe(6);
    for (const query of queries) await prometheus.query(query);
    const [firing] = await prometheus.query("dropwatch_rule_firing_alerts > 0");
    expect(firing!.metric).toMatchObject({ alert: "A", severity: "critical", mode: "alert" });
    // An alert of the page, in earnest: nobody counts any more.
    expect(await prometheus.query("ALERTS")).toEqual([]);
    await run.second([], { gap: { seconds: 1, why: "bpftrace ended", over: false } });
    await answers(prometheus, `ALERTS{alertname="DropwatchCountsNothing",alertstate="pending"}`, 1);
  });
});

describe("a Prometheus that scrapes", () => {
  prometheusTest("a run has all its numbers, under the names of the table", async () => {
    const run = await liveRun();
    const { target, types } = await serve(run.view);
    await run.second([
      [{ reason: "NO_SOCKET", dev: "eth0", dport: "53" }, 20],
      [{ reason: "NETFILTER_DROP", dev: "" }, 3],
    ]);
    const prometheus = await prometheusOf(target);
    await answers(prometheus, `dropwatch_drops_total{reason="NO_SOCKET",dev="eth0"}`, 20);
    await run.second([[{ reason: "NO_SOCKET", dev: "eth0", dport: "53" }, 22]]);
    await answers(prometheus, `dropwatch_drops_total{reason="NO_SOCKET",dev="eth0"}`, 42);
    await answers(prometheus, `dropwatch_drops_total{reason="NETFILTER_DROP",dev=""}`, 3);
    await answers(prometheus, `sum(dropwatch_drops_total)`, 45);
    await answers(
      prometheus,
      "dropwatch_drops_seen_total - dropwatch_drops_counted_total - dropwatch_drops_other_total" +
        " - dropwatch_drops_lost_total",
      0,
    );
    await answers(prometheus, `dropwatch_rule_matched_total{alert="A"}`, 42);
    await answers(prometheus, `dropwatch_alerts{state="firing",severity="critical"}`, 1);
    await answers(prometheus, `increase(dropwatch_drops_seen_total[1m]) > bool 0`, 1);

    expect((await prometheus.targets()).map(({ health, lastError }) => [health, lastError]))
      .toEqual([["up", ""]]);
    const plain = await fetch(`http://${target}/metrics`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect([plain.status, plain.headers.get("content-type"), plain.headers.get("vary")])
      .toEqual([200, prometheusType, "accept"]);
    expect(await plain.text()).toContain("\ndropwatch_drops_seen_total 45\n");
    expect((await fetch(`http://${target}/metrics`)).status).toBe(401);
    types.splice(types.indexOf(prometheusType), 1);
    expect(new Set(types)).toEqual(new Set([openMetricsType]));
    const metadata = await prometheus.metadata();
    for (const { name, type, unit, help } of metricFamilies(run.view)) {
      expect([name, metadata.get(name)]).toEqual([name, { type, unit, help }]);
    }
    for (const family of metricFamilies(run.view)) {
      const answer = await prometheus.query(sampleName(family));
      expect([family.name, answer.length]).toEqual([family.name, family.rows.length]);
    }
    expect(prometheus.log.filter((line) => /level=(warn|error)|append failed/i.test(line)))
      .toEqual([]);
  });

  prometheusTest("hostile names has them as they are, and every sample", async () => {
    const view = { ...(await liveRun()).view, ...hostileView() };
    const { target } = await serve(view);
    const prometheus = await prometheusOf(target);
    await answers(prometheus, "up", 1);
    await answers(prometheus, `dropwatch_drops_total{dev="back\\\\slash\\\\"}`, 1);
    await answers(prometheus, `dropwatch_drops_total{dev="a\\"b"}`, 1);
    await answers(prometheus, `dropwatch_drops_total{dev="other"}`, 1);
    await answers(prometheus, `dropwatch_drops_total{reason="${others.reason}"}`, 5);
    for (const family of metricFamilies(view)) {
      const answer = await prometheus.query(sampleName(family));
      expect([family.name, answer.length]).toEqual([family.name, family.rows.length]);
      const values = answer.map(({ metric }) => family.labels.map((label) => metric[label] ?? ""));
      expect(values.sort().join()).toBe(family.rows.map(([values]) => [...values]).sort().join());
    }
    expect((await prometheus.targets()).map(({ lastError }) => lastError)).toEqual([""]);
    expect(prometheus.log.filter((line) => /level=(warn|error)|append failed/i.test(line)))
      .toEqual([]);
    expect(metrics.length).toBe(metricFamilies(view).length);
  });

  prometheusTest("a target that lies says so: these tests would see it", async () => {
    const server = createServer((_, response) => {
      const body = "# TYPE a counter\na_total 1\na_total 2\n# EOF\nmore";
      response.writeHead(200, { "content-type": openMetricsType }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ends.push(() =>
      new Promise((resolve) => (server.closeAllConnections(), server.close(resolve)))
    );
    const prometheus = await prometheusOf(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    await answers(prometheus, "up", 0);
    expect((await prometheus.targets())[0]!.health).toBe("down");
    expect(prometheus.log.some((line) => /append failed/i.test(line))).toBe(true);
  });
});

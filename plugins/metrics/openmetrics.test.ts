// The text that is scraped, to the letter, and which of the two formats who gets. That a real Prometheus
// reads it is shown in test/prometheus.test.ts.
import { describe, expect, test } from "bun:test";
import { hostileNames, rawControl } from "../../test/alert.ts";
import { randomFrom } from "../../test/random.ts";
import { statusOf, viewOf } from "../../test/view.ts";
import {
  metricsFor,
  openMetrics,
  openMetricsType,
  prometheusText,
  prometheusType,
} from "./openmetrics.ts";

/** The lines about a metric. */
const about = (text: string, name: string): string[] =>
  text.split("\n").filter((line) => new RegExp(`^(# \\w+ )?${name}(?=[ {])`).test(line));

describe("OpenMetrics", () => {
  test("has type, unit and help before the samples, and ends with EOF", () => {
    const view = viewOf({
      totals: [{ reason: "NO_SOCKET", dev: "eth0", class: "normal", drops: 12 }],
      status: { sums: { seconds: 1.5, seen: 12, counted: 12, other: 0, lost: 0 } },
    });
    const text = openMetrics(view);
    expect(about(text, "dropwatch_counted_seconds(_total)?")).toEqual([
      "# TYPE dropwatch_counted_seconds counter",
      "# UNIT dropwatch_counted_seconds seconds",
      "# HELP dropwatch_counted_seconds How long drops were counted.",
      "dropwatch_counted_seconds_total 1.5",
    ]);
    expect(about(text, "dropwatch_drops_total")).toEqual([
      'dropwatch_drops_total{reason="NO_SOCKET",dev="eth0",class="normal"} 12',
    ]);
    expect(about(text, "dropwatch_build(_info)?")).toEqual([
      "# TYPE dropwatch_build info",
      "# HELP dropwatch_build The version of dropwatch.",
      `dropwatch_build_info{version="${statusOf({}).version}"} 1`,
    ]);
    expect(text.endsWith("\n# EOF\n")).toBe(true);
    expect(text.match(/^# EOF$/gm)).toHaveLength(1);
    expect(text).not.toMatch(/^\n|\n\n/);
  });

  test("has each metric's lines in one place, and no line twice", () => {
    const lines = openMetrics(viewOf()).split("\n").slice(0, -2);
    const names = lines.map((line) =>
      /^(?:# \w+ )?(\w+?)(?:_total|_info)?(?=[ {])/.exec(line)?.[1]
    );
    const changes = names.filter((name, i) => name !== names[i - 1]);
    expect(changes.length).toBe(new Set(changes).size);
    expect(new Set(lines).size).toBe(lines.length);
  });

  test("leaves out a label that is empty: to a scraper it is none", () => {
    const totals = [{ reason: "NETFILTER_DROP", dev: "", class: "policy" as const, drops: 1 }];
    expect(about(openMetrics(viewOf({ totals })), "dropwatch_drops_total"))
      .toEqual(['dropwatch_drops_total{reason="NETFILTER_DROP",class="policy"} 1']);
  });

  test("escapes what a stranger chose, and a reader gets it back", () => {
    const random = randomFrom(3);
    const names = [
      ...hostileNames,
      '"} 1\ndropwatch_drops_seen_total 99\n#',
      "back\\slash",
      'a"b',
      "\\",
      "\\n",
      ...Array.from(
        { length: 200 },
        () =>
          Array.from(
            { length: random.int(1, 15) },
            () => random.pick([...'\\"\n{},=# a\r\0é\ud800']),
          )
            .join(""),
      ),
    ];
    for (const dev of names) {
      const view = viewOf({ totals: [{ reason: "NO_SOCKET", dev, class: "normal", drops: 1 }] });
      for (const text of [openMetrics(view), prometheusText(view)]) {
        const [line, ...more] = about(text, "dropwatch_drops_total").filter((l) => l[0] !== "#");
        expect(more).toEqual([]);
        const [, value] = /,dev="((?:[^"\\]|\\[\\n"])*)",class="normal"} 1$/.exec(line!)!;
        expect(value).not.toMatch(rawControl);
        expect(text.isWellFormed()).toBe(true);
        const meant = value!.replaceAll(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
        if (!rawControl.test(dev) && dev.isWellFormed()) expect(meant).toBe(dev);
      }
      expect(about(openMetrics(view), "dropwatch_drops_seen_total")).toHaveLength(1);
    }
  });

  test("writes numbers that are large or small as they are", () => {
    const sums = { seconds: 0.001, seen: 2 ** 53 - 1, counted: 1e21, other: 0, lost: 5e-7 };
    const text = openMetrics(viewOf({ status: { sums } }));
    const value = (name: string): number => Number(about(text, name)[0]!.split(" ")[1]);
    expect(value("dropwatch_drops_seen_total")).toBe(2 ** 53 - 1);
    expect(value("dropwatch_drops_counted_total")).toBe(1e21);
    expect(value("dropwatch_drops_lost_total")).toBe(5e-7);
  });
});

describe("Prometheus's own format", () => {
  test("names a counter with its end, knows no units and no infos, and has no EOF", () => {
    const text = prometheusText(viewOf());
    expect(about(text, "dropwatch_gap_seconds_total")).toEqual([
      "# HELP dropwatch_gap_seconds_total How long nobody counted: what was dropped then is in no number.",
      "# TYPE dropwatch_gap_seconds_total counter",
      "dropwatch_gap_seconds_total 0",
    ]);
    expect(about(text, "dropwatch_build_info")[1]).toBe("# TYPE dropwatch_build_info gauge");
    expect(text).not.toMatch(/# (UNIT|EOF)/);
    expect(text.endsWith("\n")).toBe(true);
  });
});

describe("a scraper", () => {
  test.each([
    // Prometheus 2 and 3, VictoriaMetrics and Telegraf, a browser, curl.
    [
      "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75," +
      "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
      openMetricsType,
    ],
    [
      "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6," +
      "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;" +
      "q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
      openMetricsType,
    ],
    ["text/plain;version=0.0.4;q=1,*/*;q=0.1", prometheusType],
    ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", prometheusType],
    ["*/*", prometheusType],
    ["", prometheusType],
    ["application/openmetrics-text", openMetricsType],
    ["APPLICATION/OpenMetrics-Text; version=1.0.0", openMetricsType],
    ["application/openmetrics-text; version=1.0.0; charset=utf-8, text/plain", openMetricsType],
    ["application/openmetrics-text;version=0.0.1", prometheusType],
    ["application/openmetrics-text;q=0, */*", prometheusType],
    ["application/openmetrics-text;q=0.2, text/plain;q=0.7", prometheusType],
    ["application/openmetrics-text;q=0.2, text/*;q=0.1", openMetricsType],
    ["application/*", prometheusType],
    [`application/openmetrics-text;version="1.0.0"`, openMetricsType],
    [",;,q=;;=,text", prometheusType],
  ])("that accepts %s gets %s", (accept, type) => {
    const view = viewOf();
    const answer = metricsFor(accept, view);
    expect(answer.type).toBe(type);
    expect(answer.body).toBe(type === openMetricsType ? openMetrics(view) : prometheusText(view));
  });
});

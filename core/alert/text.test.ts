import { describe, expect, test } from "bun:test";
import { alertOf, hostileNames, rawControl } from "../../test/alert.ts";
import { notificationOf } from "../../test/sink.ts";
import type { AlertData } from "./alert.ts";
import type { Notification } from "./notification.ts";
import { ownText, plainText, textOf } from "./text.ts";
import type { AlertText, NotificationText } from "./text.ts";

const endsAt = "2026-01-02T04:34:10.000Z";

const of = (
  alerts: readonly Partial<AlertData>[],
  parts: Partial<Notification> = {},
): NotificationText => textOf(notificationOf(alerts.map(alertOf), parts));
const titleOf = (
  alerts: readonly Partial<AlertData>[],
  parts: Partial<Notification> = {},
): string => of(alerts, parts).title;
const alertTextOf = (parts: Partial<AlertData>): AlertText => of([parts]).alerts[0]!;

describe("the title of a notification", () => {
  test("is the state, the alert and its summary", () => {
    expect(titleOf([{}])).toBe("FIRING SocketFilterDrops: a socket refuses packets");
    expect(titleOf([{ endsAt }])).toBe("RESOLVED SocketFilterDrops: a socket refuses packets");
  });

  test("says which machine it is about, before what may be cut off", () => {
    const titleOn = (...alerts: readonly Partial<AlertData>[]): string =>
      textOf(notificationOf(alerts.map(alertOf)), "web-3").title;
    expect(titleOn({})).toBe("FIRING SocketFilterDrops on web-3: a socket refuses packets");
    expect(titleOn({}, {})).toBe("FIRING (2) SocketFilterDrops on web-3: a socket refuses packets");
    expect(titleOn({ endsAt })).toMatch(/^RESOLVED SocketFilterDrops on web-3: /);
  });

  test("has the alert's name twice where it has no summary", () => {
    expect(titleOf([{ alert: "X", annotations: {} }])).toBe("FIRING X: X");
  });

  test("says of a test that it is one, and of an alert that it comes and goes", () => {
    expect(titleOf([{}], { reason: "test" })).toMatch(/^TEST FIRING SocketFilterDrops: /);
    expect(titleOf([{}], { reason: "alert is flapping" })).toMatch(/^FLAPPING FIRING /);
    expect(titleOf([{}], { reason: "repeat interval elapsed" })).toMatch(/^FIRING /);
  });

  test("of several alerts has their number, their names, and the summary of the worst", () => {
    const [a, b, c] = [
      { alert: "A", severity: "info", annotations: { summary: "mild" } },
      { alert: "B", severity: "critical", annotations: { summary: "bad" } },
      { alert: "C", endsAt },
    ] as const;
    expect(titleOf([a, b])).toBe("FIRING (2) B, A: bad");
    expect(titleOf([a, b, c])).toBe("FIRING (2, 1 resolved) B, A, C: bad");
    expect(titleOf([c, { ...a, endsAt }])).toBe("RESOLVED (2) C, A: a socket refuses packets");
    expect(titleOf([a, a].map((each, i) => ({ ...each, labels: { dev: `eth${i}` } }))))
      .toBe("FIRING (2) A: mild");
  });

  test("names three alerts at most", () => {
    const alerts = ["A", "B", "C", "D", "E"].map((alert) => ({ alert }));
    expect(titleOf(alerts)).toMatch(/^FIRING \(5\) \w, \w, \w and 2 more: /);
  });

  test("counts alerts that aren't shown", () => {
    expect(titleOf([{}], { firing: 1234, truncatedAlerts: 1233 })).toMatch(/^FIRING \(1,234\) /);
  });

  test("of no alert says so", () => {
    expect(titleOf([])).toBe("no alert");
  });
});

describe("the text of an alert that fires", () => {
  test("has its labels but for name and severity, then its numbers, then since when", () => {
    expect(alertTextOf({ labels: { dev: "eth0", owner: "" } }).facts).toEqual([
      ["ownerInode", "4711"],
      ["dev", "eth0"],
      ["owner", "unknown"],
      ["value", "250.5"],
      ["peak", "300"],
      ["drops", "12,345"],
      ["since", "2026-01-02 03:04:05 UTC"],
    ]);
  });

  test("says where numbers are at least, and how many drops are lost", () => {
    const facts = new Map(alertTextOf({ exact: false, lost: 1500 }).facts);
    expect(facts.get("value")).toBe("at least 250.5");
    expect(facts.get("drops")).toBe("at least 12,345");
    expect(facts.get("lost")).toBe("1,500");
  });

  test("counts times in place of drops where it is about dropwatch itself", () => {
    const facts = new Map(alertTextOf({ of: "health", total: 3 }).facts);
    expect(facts.get("times")).toBe("3");
    expect(facts.has("drops")).toBe(false);
  });

  test("has its description, its other annotations, and what it is made of", () => {
    const { title, body, links } = alertTextOf({
      annotations: {
        summary: "short",
        description: "long",
        team: "net",
        runbook: "https://run.example/book",
      },
      evidence: { kept: 1, site: "tcp_v4_rcv", source: "https://src.example/tcp.c#L1" },
    });
    expect(title).toBe("short");
    expect(body).toEqual(["long", "team: net", "in tcp_v4_rcv"]);
    expect(links).toEqual([
      { text: "runbook", url: "https://run.example/book" },
      { text: "kernel source", url: "https://src.example/tcp.c#L1" },
    ]);
  });
});

describe("the text of an alert that is over", () => {
  const text = alertTextOf({
    endsAt,
    value: 0,
    annotations: { summary: "short", description: "long", runbook: "https://run.example/book" },
    evidence: { kept: 1, site: "tcp_v4_rcv" },
  });

  test("says the value now, the peak, the total and how long it lasted", () => {
    const facts = new Map(text.facts);
    expect([facts.get("value"), facts.get("peak"), facts.get("drops"), facts.get("lasted")])
      .toEqual(["0", "300", "12,345", "1h30m"]);
  });

  test("says no more what to do", () => {
    expect([text.status, text.body, text.links]).toEqual(["resolved", [], []]);
  });
});

describe("the text of a notification", () => {
  test("has the severity of its worst alert, and all alerts in their order", () => {
    const text = of([{ alert: "A", severity: "info" }, { alert: "B", severity: "critical" }]);
    expect(text.severity).toBe("critical");
    expect(text.alerts.map(({ severity }) => severity)).toEqual(["critical", "info"]);
    expect(text.status).toBe("firing");
  });

  test("says how many alerts it leaves out", () => {
    expect(of([{}]).more).toBe("");
    expect(of([{}], { firing: 1200, resolved: 34, truncatedAlerts: 1184 }).more)
      .toBe("and 1,184 more alerts: 1,200 firing, 34 resolved in all");
    expect(of([{}], { firing: 2, truncatedAlerts: 1 }).more)
      .toBe("and 1 more alert: 2 firing, 0 resolved in all");
  });

  test("links to the dashboard, where there is one", () => {
    expect(of([{}]).links).toEqual([]);
    expect(of([{}], { externalURL: "https://d.example/" }).links)
      .toEqual([{ text: "dashboard", url: "https://d.example/" }]);
  });

  for (
    const url of [
      "javascript:alert(1)",
      "data:text/html,x",
      "file:///etc/passwd",
      "//d.example/",
      "d.example",
      "http://",
      " ",
      "vbscript:x",
    ]
  ) {
    test(`doesn't link to ${url}`, () => {
      const text = of([{ annotations: { runbook: url }, evidence: { kept: 1, source: url } }], {
        externalURL: url,
      });
      expect([text.links, text.alerts[0]!.links]).toEqual([[], []]);
    });
  }

  test("links to URLs in which nothing is hidden", () => {
    const text = of([{}], { externalURL: "HTTPS://d.example/a\nb\u202e<x>\u0007" });
    expect(text.links[0]!.url).toMatch(/^https:\/\/d\.example\/[!-~]+$/);
    expect(text.links[0]!.url).not.toContain("<");
  });

  test("is safe to print, whatever a stranger is called", () => {
    for (const name of hostileNames) {
      const text = of([
        {
          alert: name,
          labels: { [name]: name, comm: name },
          annotations: { summary: name, description: name, [name]: name },
          evidence: { kept: 1, site: name },
        },
        { alert: `${name}2`, endsAt, annotations: { summary: name } },
      ]);
      const texts = [
        text.title,
        text.more,
        ...text.alerts.flatMap(({ title, facts, body }) => [title, ...facts.flat(), ...body]),
      ];
      for (const each of texts) expect(each).not.toMatch(rawControl);
      // A name that is in the middle of a line begins none.
      expect(plainText(text).split("\n").length).toBe(
        plainText(of([
          {
            alert: "x",
            labels: { x: "x", comm: "x" },
            annotations: { summary: "x", description: "x", x: "x" },
            evidence: { kept: 1, site: "x" },
          },
          { alert: "x2", endsAt, annotations: { summary: "x" } },
        ])).split("\n").length,
      );
    }
  });

  test("is left as it is where it has halves of characters: what sends it makes them whole", () => {
    const { title } = of([{ annotations: { summary: "a \ud800 b" } }]);
    expect(title.toWellFormed()).toBe("FIRING SocketFilterDrops: a \ufffd b");
  });
});

describe("a text of the config's own", () => {
  const own = (text: Parameters<typeof ownText>[1]): NotificationText =>
    ownText(
      notificationOf([alertOf({ severity: "critical" })], { externalURL: "https://x.example/" }),
      text,
    );

  test("is a title and lines, and nothing else", () => {
    const text = own("look at this\n\nfirst\nsecond\n");
    expect(text).toEqual({
      title: "look at this",
      status: "firing",
      severity: "critical",
      alerts: [{
        title: "",
        status: "firing",
        severity: "critical",
        facts: [],
        body: ["first", "second"],
        links: [],
      }],
      more: "",
      links: [],
    });
    expect(own({ title: "look at this", body: "first\nsecond" })).toEqual(text);
  });

  test("may be a title alone", () => {
    expect([own("alone").alerts, own({ title: "alone" }).alerts]).toEqual([[], []]);
    expect(plainText(own("alone"))).toBe("alone");
  });

  test("is safe to print, and its title is one line", () => {
    for (const name of hostileNames) {
      const text = own({ title: name, body: `it is ${name}` });
      for (const each of [text.title, ...text.alerts.flatMap(({ body }) => body)]) {
        expect(each).not.toMatch(rawControl);
      }
    }
  });
});

describe("a notification as lines", () => {
  test("has the title, and of each alert what the title doesn't say, and links", () => {
    const text = of([
      { severity: "critical", evidence: { kept: 1, site: "tcp_v4_rcv" } },
      { alert: "Other", annotations: { summary: "another" }, endsAt },
    ], { externalURL: "https://d.example/" });
    expect(plainText(text).split("\n")).toEqual([
      "FIRING (1, 1 resolved) SocketFilterDrops, Other: a socket refuses packets",
      "ownerInode 4711, value 250.5, peak 300, drops 12,345, since 2026-01-02 03:04:05 UTC",
      "in tcp_v4_rcv",
      "another",
      "ownerInode 4711, value 250.5, peak 300, drops 12,345, since 2026-01-02 03:04:05 UTC, lasted 1h30m",
      "dashboard: https://d.example/",
    ]);
  });
});

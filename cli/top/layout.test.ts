import { describe, expect, test } from "bun:test";
import type { FieldName } from "../../core/drop/field.ts";
import type { ViewAlert, ViewStatus, ViewTick } from "../../core/view/view.ts";
import { hostileNames } from "../../test/alert.ts";
import { randomFrom } from "../../test/random.ts";
import type { Random } from "../../test/random.ts";
import { newChoice } from "./choice.ts";
import type { Choice } from "./choice.ts";
import { addTick, newCounted } from "./counted.ts";
import type { Counted } from "./counted.ts";
import { layOut } from "./layout.ts";
import type { Picture } from "./layout.ts";
import { clean, difference, paint, paintLine } from "./paint.ts";
import type { Line } from "./paint.ts";
import { rowsOf, sortKeys } from "./row.ts";
import { widthOf } from "./width.ts";

const fields: readonly FieldName[] = ["reason", "site", "dev", "owner"];
const able = { colour: true, utf8: true };

const status = {
  host: "host",
  source: { name: "bpftrace", title: "Linux 6.18" },
  trouble: "",
  state: "watching",
  history: { fields },
} as unknown as ViewStatus;

function tick(at: number, drops: ViewTick["drops"], more: Partial<ViewTick> = {}): ViewTick {
  const seen = drops.reduce((sum, [, n]) => sum + n, 0);
  return {
    at,
    seconds: 1,
    seen,
    counted: seen,
    other: 0,
    lost: 0,
    gap: null,
    drops,
    cost: { cpu: 0.02, memoryBytes: 50 * 1024 * 1024 },
    ...more,
  };
}

function counted(...ticks: readonly ViewTick[]): Counted {
  const made = newCounted(fields);
  for (const each of ticks) addTick(made, each);
  return made;
}

function picture(
  made: Counted,
  choice: Partial<Choice> = {},
  more: Partial<Picture> = {},
): Picture {
  const whole = newChoice({ by: ["reason", "owner"], ...choice });
  return {
    status,
    counted: made,
    rows: rowsOf(made, whole),
    choice: whole,
    alerts: [],
    stacks: undefined,
    without: [],
    reasonName: undefined,
    reason: undefined,
    message: "",
    trouble: "",
    bars: "utf8",
    now: 1_700_000_000_000,
    ...more,
  };
}

// deno-lint-ignore no-control-regex
const escapes = /\x1b\[[0-9;]*[mG]/g;
const text = (shown: Picture, columns = 100, rows = 24): string[] =>
  paint(layOut(shown, { columns, rows }), { columns, rows }, able)
    .map((line) => line.replaceAll(escapes, "").trimEnd());

const made = counted(
  tick(1_000_000, [[["NO_SOCKET", "udp_rcv", "eth0", "nginx"], 100]]),
  tick(1_001_000, [
    [["NO_SOCKET", "udp_rcv", "eth0", "nginx"], 50],
    [["SOCKET_FILTER", "filter", "", ""], 1234],
    [["QDISC_DROP", "xmit", "eth1", null], 2],
  ]),
);

const alert: ViewAlert = {
  alert: "SocketFilterDrops",
  fingerprint: "1",
  severity: "critical",
  labels: { alertname: "SocketFilterDrops", severity: "critical", dev: "lo" },
  annotations: { summary: "somebody refuses packets" },
  value: 200,
  peak: 300,
  total: 5000,
  startsAt: "2026-01-02T03:04:05.000Z",
  endsAt: null,
  exact: false,
  lost: 1,
  evidence: {},
  state: "firing",
  health: false,
  shadow: false,
  silencedBy: [],
  inhibitedBy: [],
};

const named = (dev: string): string => `  SocketFilterDrops dev=${dev}`;

describe("the screen", () => {
  test("has a head, the table with the most drops first, and the keys", () => {
    const lines = text(picture(made));
    expect(lines.length).toBe(24);
    expect(lines.slice(0, 7)).toEqual([
      "dropwatch top  host  Linux 6.18  22:13:20Z",
      "drops 1,286/s now  693/s 1m  " + " ".repeat(58) + "▁█",
      "exact  total 1,386 in 2s  own cpu 2.0%  memory 50 MiB",
      expect.stringMatching(/^ {2}reason {8}owner +NOW\/s▼ +1M\/s +TOTAL +SHARE LAST MINUTE$/),
      expect.stringMatching(/^> SOCKET_FILTER - +1,234 +617 +1,234 +89\.0% +█$/),
      expect.stringMatching(/^ {2}NO_SOCKET {5}nginx +50\.0 +75\.0 +150 +10\.8% +█▄$/),
      expect.stringMatching(/^ {2}QDISC_DROP {4}\(not told apart\) +2\.0 +1\.0 +2 +0\.1% +█$/),
    ]);
    expect(lines.at(-1)).toMatch(/^q: end/);
  });

  test("says what is missing, that nobody counts, and for how long nobody did", () => {
    const missing = counted(tick(1_000_000, [], { seen: 15, counted: 0, other: 12, lost: 3 }));
    expect(text(picture(missing))[2]).toMatch(/^at least: 12 other, 3 lost/);
    const gap = counted(
      tick(1_000_000, []),
      tick(1_003_000, [], { seconds: 0, gap: "bpftrace ended" }),
    );
    expect(text(picture(gap))[2]).toMatch(/^NOT COUNTING: bpftrace ended {2}nobody counted for 3s/);
    addTick(gap, tick(1_004_000, []));
    expect(text(picture(gap))[2]).toMatch(/^exact but for the gap {2}nobody counted for 3s/);
    expect(text(picture(made, {}, { trouble: "connection refused" }))[2])
      .toMatch(/^NOT CONNECTED: connection refused/);
  });

  test("has firing alerts in a line, and their details in a pane", () => {
    const alerts = [alert, { ...alert, state: "pending" as const, alert: "Other" }];
    const lines = text(picture(made, { pane: "alerts" }, { alerts }));
    expect(lines[3]).toBe("1 FIRING  SocketFilterDrops dev=lo");
    expect(lines[2]).toContain("1 firing");
    const pane = lines.slice(lines.findIndex((line) => line.startsWith("──")));
    expect(pane.slice(0, 4)).toEqual([
      "── alerts: 1 firing, 1 pending",
      "FIRING SocketFilterDrops dev=lo  critical",
      "  somebody refuses packets",
      "  value 200, peak 300, at least 5,000 in all, since 2026-01-02T03:04:05.000Z",
    ]);
    expect(pane[4]).toMatch(/^PENDING Other/);
  });

  test("has as many firing alerts in the line as fit, whole, and says how many more there are", () => {
    const alerts = ["A", "B", "C", "D"].map((dev) => ({ ...alert, labels: { dev } }));
    const line = (columns: number, some = alerts): string =>
      text(picture(made, {}, { alerts: some }), columns)[3]!;
    for (let columns = 42; columns < 120; columns++) {
      const number = columns < 67 ? 1 : columns < 92 ? 2 : columns < 108 ? 3 : 4;
      expect(line(columns)).toBe(
        "4 FIRING" + ["A", "B", "C", "D"].slice(0, number).map(named).join("") +
          (number < 4 ? `  +${4 - number} more` : ""),
      );
    }
    expect(line(33)).toBe("4 FIRING  SocketFilterD…  +3 more");
    expect(line(20, alerts.slice(0, 1))).toBe("1 FIRING  SocketFil…");
  });

  test("says which texts the stacks are not of, and that no row has none", () => {
    const title = (more: Partial<Choice>, without: readonly string[]): string[] => {
      const lines = text(picture(made, { pane: "stack", ...more }, { without }));
      return lines.slice(lines.findIndex((line) => line.startsWith("──"))).slice(0, 2);
    };
    expect(title({}, ["a", "b"])[0]).toBe("── stacks of SOCKET_FILTER - without /a without /b");
    expect(title({ filters: [{ text: "nobody" }] }, []))
      .toEqual(["── stacks", "no drops, no stacks"]);
  });

  test("shows the stacks of the selected row, innermost function first, and scrolls them", () => {
    const stacks = {
      from: 0,
      to: 1,
      total: 1234,
      kept: 32,
      keptFrom: 0,
      stacks: [{
        reason: "SOCKET_FILTER",
        frames: ["entry", "ip_rcv", "udp_rcv"],
        kept: 32,
        drops: 1234,
      }],
    };
    const lines = text(picture(made, { pane: "stack" }, { stacks }));
    const at = lines.findIndex((line) => line.startsWith("──"));
    expect(lines.slice(at, at + 5)).toEqual([
      "── stacks of SOCKET_FILTER -: 1,234 drops, 32 walked",
      "1,234 drops  SOCKET_FILTER",
      "    udp_rcv",
      "    ip_rcv",
      "    entry",
    ]);
    const small = text(picture(made, { pane: "stack", scrolled: 99 }, { stacks }), 100, 10);
    expect(small.at(-2)).toBe("    entry");
  });

  test("keeps the selected row in sight", () => {
    const many = counted(tick(
      1_000_000,
      Array.from({ length: 100 }, (_, i) => [["R", "s", "d", `p${i}`], 1000 - i] as const),
    ));
    const rows = rowsOf(many, newChoice({ by: ["owner"] }));
    const lines = text(picture(many, { by: ["owner"], selected: rows[70]!.key }));
    expect(lines.some((line) => line.startsWith("> p70 "))).toBe(true);
    expect(text(picture(many, { by: ["owner"], selected: rows[99]!.key })).at(-2))
      .toMatch(/^> p99 /);
  });

  test("says why there is no row", () => {
    expect(text(picture(newCounted(fields)))[4]).toBe("  waiting for the first tick");
    expect(text(picture(counted(tick(1_000_000, []))))[4]).toBe("  no drops so far");
    const lines = text(picture(made, { filters: [{ text: "nobody" }] }));
    expect(lines[4]).toBe("  no drop fits the filter (Esc takes it off)");
    expect(lines.at(-1)).toMatch(/^only \/nobody {2}0\/s/);
  });

  test("shows what is typed, said and chosen in its last line", () => {
    expect(text(picture(made, { typing: "ngi" })).at(-1)).toBe("/ngi_");
    expect(text(picture(made, {}, { message: "bpftrace ended" })).at(-1)).toBe("! bpftrace ended");
    expect(text(picture(made, { filters: [{ is: { owner: ["nginx"] } }] })).at(-1))
      .toBe("only owner=nginx  50.0/s  150 in all  Esc: without");
    expect(text(picture(made, { paused: true }))[1]).toMatch(/^PAUSED drops/);
  });

  test("of 20 by 5 has the rate, and who it is", () => {
    expect(text(picture(made), 20, 5)).toEqual([
      "drops 1,286/s now  …",
      "  re… ow…    NOW/s▼",
      "> SO… -       1,234",
      "  NO… ng…      50.0",
      "q: end  1-9 g: group",
    ]);
    expect(text(picture(made), 1, 1)).toEqual(["q"]);
  });

  test("in ASCII has no other character", () => {
    const shown = picture(made, { pane: "reason" }, { bars: "ascii" });
    const size = { columns: 60, rows: 20 };
    const lines = paint(layOut(shown, size), size, { colour: false, utf8: false });
    for (const line of lines) expect(line.replaceAll(escapes, "")).toMatch(/^[\x20-\x7e]*$/);
  });
});

/** Names as strangers choose them. */
function nameFrom(random: Random): string {
  const parts = [
    ...hostileNames,
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x9b31m",
    "\r\n",
    "\u202e",
    "\u200d",
    "日本語",
    "👨‍👩‍👧",
    "e\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301",
    "क्षि",
    "\ud800",
    "ﷺ",
    "a",
    "syncthing",
    " ",
  ];
  return Array.from({ length: random.int(0, 6) }, () => random.pick(parts)).join("");
}

/** What is left of a written line, and where its jumps lead, must fit the terminal. */
function checkLine(line: string, columns: number): void {
  // deno-lint-ignore no-control-regex
  const pieces = line.split(/(\x1b\[\d+G)/);
  let column = 0;
  for (const piece of pieces) {
    // deno-lint-ignore no-control-regex
    const jump = /^\x1b\[(\d+)G$/.exec(piece);
    if (jump !== null) {
      expect(Number(jump[1])).toBe(column + 1);
      expect(column).toBeLessThan(columns);
      continue;
    }
    // deno-lint-ignore no-control-regex
    const shown = piece.replaceAll(/\x1b\[[0-9]{1,2}m/g, "");
    // deno-lint-ignore no-control-regex
    expect(shown).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/);
    expect(shown.isWellFormed()).toBe(true);
    column += widthOf(shown);
  }
  expect(column).toBeLessThanOrEqual(columns);
}

describe("no line", () => {
  test(
    "is wider than the terminal, and no escape of a stranger gets out, whatever the names and the size",
    () => {
      const random = randomFrom(2026);
      for (let round = 0; round < 300; round++) {
        const drops = Array.from({ length: random.int(0, 12) }, () => {
          const labels = fields.map(() => random.chance(0.1) ? null : nameFrom(random));
          return [labels, random.int(1, 10 ** random.int(1, 12))] as const;
        });
        const shown = counted(tick(1_000_000, drops), tick(1_001_000, drops.slice(0, 3)));
        const hostile = {
          ...alert,
          alert: nameFrom(random),
          labels: { [nameFrom(random)]: nameFrom(random) },
          annotations: { summary: nameFrom(random) },
        };
        const filters = random.chance(0.3)
          ? [{ text: nameFrom(random) }, { is: { owner: [nameFrom(random)] } }]
          : [];
        const whole = picture(shown, {
          by: random.some(fields),
          sort: random.pick(sortKeys),
          pane: random.pick(["none", "stack", "alerts", "reason"] as const),
          help: random.chance(0.1),
          paused: random.chance(0.2),
          typing: random.chance(0.1) ? nameFrom(random) : null,
          scrolled: random.int(0, 30),
          filters,
        }, {
          alerts: random.chance(0.5) ? [hostile] : [],
          message: random.chance(0.3) ? nameFrom(random) : "",
          trouble: random.chance(0.2) ? nameFrom(random) : "",
          status: {
            ...status,
            host: nameFrom(random),
            source: { name: "", title: nameFrom(random) },
          },
          stacks: {
            from: 0,
            to: 1,
            total: 3,
            kept: 1,
            keptFrom: 0,
            stacks: [{
              reason: nameFrom(random),
              frames: [nameFrom(random), nameFrom(random)],
              kept: 1,
              drops: 3,
            }],
          },
          reasonName: nameFrom(random),
          reason: {
            reason: nameFrom(random),
            id: 1,
            subsystem: "",
            class: "fault",
            means: nameFrom(random),
            causes: [nameFrom(random)],
            confirm: [nameFrom(random)],
            change: [],
            drops: 1,
          },
        });
        const size = { columns: random.int(1, 130), rows: random.int(1, 40) };
        const terminal = { colour: random.chance(0.5), utf8: random.chance(0.7) };
        const lines = layOut({ ...whole, bars: terminal.utf8 ? "utf8" : "ascii" }, size);
        expect(lines.length).toBe(size.rows);
        for (const line of paint(lines, size, terminal)) checkLine(line, size.columns);
      }
    },
    30_000,
  );
});

describe("painting", () => {
  test("styles a span and nothing behind it; without colour only what isn't one", () => {
    const line: Line = ["a", ["b", "red"], ["c", "reverse"], "d"];
    expect(paintLine(line, 10, able)).toBe("a\x1b[31mb\x1b[0m\x1b[7mc\x1b[0md");
    expect(paintLine(line, 10, { ...able, colour: false })).toBe("ab\x1b[7mc\x1b[0md");
    expect(paintLine(line, 2, able)).toBe("a\x1b[31mb\x1b[0m");
  });

  test("says where to go on behind what terminals measure differently", () => {
    expect(paintLine(["日本", "x"], 10, able)).toBe("日本\x1b[5Gx");
  });

  test("makes harmless what isn't text", () => {
    expect(clean("a\x1b[31m\u202eb", true)).toBe("a\\x1b[31m\\u202eb");
    expect(clean("日…▼", false)).toBe("\\u65e5~v");
    expect(clean("\ud800", true)).toBe("\ufffd");
  });

  test("writes only lines that differ, each to its end", () => {
    expect(difference(["a", "b", "c"], ["a", "x", "c"])).toBe("\x1b[2;1Hx\x1b[K");
    expect(difference(["a"], ["a"])).toBe("");
    expect(difference([], ["a", ""])).toBe("\x1b[1;1Ha\x1b[K\x1b[2;1H\x1b[K");
  });
});

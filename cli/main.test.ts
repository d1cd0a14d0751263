// The command line as a user has it: a process, its arguments, its two streams and its exit code, on
// the runtime that runs the test. Drops come from captures, or from a source of a config's own.
import { spawn } from "node:child_process";
import type {
  ChildProcessByStdio,
  SpawnOptionsWithStdioTuple,
  StdioNull,
  StdioPipe,
} from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rawControl } from "../test/alert.ts";
import { makeFolder } from "../test/folder.ts";
import type { Folder } from "../test/folder.ts";
import { liveConfigOf } from "../test/live_config.ts";

const main = fileURLToPath(new URL("main.ts", import.meta.url));
const commands = [
  "watch",
  "tail",
  "stacks",
  "record",
  "reasons",
  "reason",
  "check",
  "explain",
  "doctor",
];

type Child = ChildProcessByStdio<null, Readable, Readable>;

interface Ended {
  readonly out: string;
  readonly log: string;
  /** Null where a signal ended it. */
  readonly code: number | null;
}

let folder: Folder;

beforeAll(async () => {
  folder = await makeFolder({
    "rules/refused.ts": rule,
    "wrong/wrong.ts": wrongRule,
    "wrong/refused.ts": rule,
    "nothing/wrong.ts": wrongRule,
    "newer/newer.ts": rule.replace('"SOCKET_FILTER"', '["SOCKET_FILTER", "PFMEMALLOC"]'),
    "empty/notes.txt": "",
    "drops.ndjson": capture,
    "no.ndjson": "this is no capture\n",
    "ticks.ndjson": ticks,
    "live/dropwatch.config.ts": liveConfig,
    "live/rules/refused.ts": rule.replace('"1s").above', '"100ms").above').replace(
      '"1s",',
      '"50ms",',
    ),
  });
});

afterAll(() => folder.remove());

const rule = `import { drops, rule } from "dropwatch";

export default rule({
  alert: "Refused",
  when: drops.where({ reason: "SOCKET_FILTER" }).by("comm").rate("1s").above(50, { recovery: 10 }),
  for: "1s",
  summary: ({ value, labels }) => \`\${labels.comm} refuses \${value}/s\`,
});
`;

const wrongRule = `import { drops, rule } from "dropwatch";

export default rule({
  alert: "Wrong",
  when: drops.where({ reason: "SOCKET_FILTR" as "SOCKET_FILTER" }).rate("10s").above(1),
});
`;

/** A name that tries to be a line, a colour and the end of a string. */
const comm = 'evil\n\x1b[31m"}\u202e';
const start = Date.parse("2026-01-02T03:04:05Z");

/** Ten seconds with 100 drops that a filter refuses and a single one beside them, then ten quiet ones. */
const capture = [
  {
    dropwatch: "capture",
    version: 1,
    kernel: "6.18.44",
    reasons: { 3: "NO_SOCKET", 5: "SOCKET_FILTER", 6: "SOCKET_RCVBUFF" },
    fields: ["reason", "comm", "stack"],
  },
  ...Array.from({ length: 20 }, (_, second) => {
    const at = start + 1000 * second;
    const one = [at + 500, 1, "NO_SOCKET", "swapper/0", "net_rx_action;icmp_rcv"];
    return second < 10
      ? [[at, 100, "SOCKET_FILTER", comm, "net_rx_action;udp_rcv;sk_filter"], one]
      : [one];
  }).flat(),
].map((line) => JSON.stringify(line)).join("\n");

/** One of version 2 with ticks of a second. */
const ticks = JSON.stringify({
  dropwatch: "capture",
  version: 2,
  kernel: "6.18.44",
  reasons: { 5: "SOCKET_FILTER" },
  interval: 1000,
  fields: ["reason", "comm"],
});

const liveConfig = liveConfigOf({ comm: "flood" }, `rules: "rules/",`);

const commandOf = (args: readonly string[]): string[] => [
  process.execPath,
  ...("Deno" in globalThis ? ["run", "--allow-all"] : []),
  main,
  ...args,
];

/** Without what the environment of whoever runs the tests may ask for. */
const inFolder = (cwd: string): SpawnOptionsWithStdioTuple<StdioNull, StdioPipe, StdioPipe> => ({
  cwd,
  env: { ...process.env, NO_COLOR: "1", DROPWATCH_WEBHOOK_SECRET: undefined },
  stdio: ["ignore", "pipe", "pipe"],
});

function launch(args: readonly string[], cwd: string): Child {
  const [command, ...rest] = commandOf(args);
  return spawn(command!, rest, inFolder(cwd));
}

async function ended(child: Child): Promise<Ended> {
  let [out, log] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => out += text);
  child.stderr.setEncoding("utf8").on("data", (text: string) => log += text);
  const [code] = await once(child, "close");
  return { out, log, code: code as number | null };
}

/** Runs `dropwatch` in the folder until it ends. */
const run = (...args: readonly string[]): Promise<Ended> => ended(launch(args, folder.path));

/** The same over the capture. */
const replay = (...args: readonly string[]): Promise<Ended> =>
  run(...args, "--source", "replay:drops.ndjson");

// deno-lint-ignore no-explicit-any
type Data = any;

/** Its standard output as objects, an object a line; throws where anything else is there. */
function objects({ out }: Ended): { type: string; timestamp: string; data: Data }[] {
  expect(out).toMatch(/^(\{.*\}\n)*$/);
  return out.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

describe("watch over a capture", () => {
  test("tells what fires and what is resolved, and ends with the sums", async () => {
    const { out, log, code } = await replay("--rules", "rules");
    expect(out.split("\n").map((line) => line.slice(0, 33)).filter((line) => /^\d/.test(line)))
      .toEqual(["03:04:07 FIRING   Refused warning", "03:04:16 RESOLVED Refused warning"]);
    expect(log).toContain("watching a capture of Linux 6.18.44 with 1 rule; alerts to stdout");
    expect(log).toContain("1,020 drops seen = 1,020 counted + 0 other + 0 lost");
    expect(log).toContain("Refused: 1,000 drops matched");
    expect(code).toBe(0);
  });

  test("tells what an alert was made of when it fired, however far is read by then", async () => {
    // A minute with 100 drops a second, of which one was kept whole.
    const lines = Array.from({ length: 60 }, (_, second) => [
      ["s", 1, 0, "sk_filter", `sk_filter+${second}`, "SOCKET_FILTER", "a"],
      ["t", start + 1000 * second, 1, 0, 0, 0, 100],
    ]).flat();
    const head = { ...JSON.parse(ticks), evidence: ["reason", "comm"] };
    const all = [head, ["k", 0, "SOCKET_FILTER", "a"], ["w", 0, "udp_rcv;sk_filter"], ...lines];
    const text = all.map((line) => JSON.stringify(line)).join("\n");
    const source = `replay:${await folder.write("kept.ndjson", text)}`;
    const [fired] = objects(await run("--rules", "rules", "--source", source, "--json"));
    // The rule's window is a second.
    const second = (Date.parse(fired!.timestamp) - start) / 1000;
    expect([fired!.type, fired!.data.evidence.kept, fired!.data.evidence.at])
      .toEqual(["alert.firing", 1, `sk_filter+${second}`]);
  });

  test("with --json has nothing but objects on stdout, the sums among them", async () => {
    const ended = await replay("watch", "--rules", "rules", "--json");
    const told = objects(ended);
    expect(told.map(({ type }) => type)).toEqual(["alert.firing", "alert.resolved", "summary"]);
    const [firing, resolved, summary] = told.map(({ data }) => data);
    expect(firing).toMatchObject({
      status: "firing",
      labels: { alertname: "Refused", severity: "warning", comm },
      annotations: { summary: `${comm} refuses 100/s` },
      value: 100,
      startsAt: "2026-01-02T03:04:06.000Z",
      endsAt: null,
      exact: true,
    });
    expect(resolved).toMatchObject({
      status: "resolved",
      value: 0,
      peak: 100,
      total: 1000,
      endsAt: "2026-01-02T03:04:16.000Z",
    });
    expect(resolved.fingerprint).toBe(firing.fingerprint);
    expect(summary).toMatchObject({ ticks: 20, seen: 1020, counted: 1020, other: 0, lost: 0 });
    expect(ended.log).toMatch(/^(dropwatch: .*\n)+$/);
    expect(ended.code).toBe(0);
  });

  test("lets no hostile name be a line or a colour on a terminal", async () => {
    const { out, log } = await replay("--rules", "rules");
    expect(out).toContain('comm=evil\\x0a\\x1b[31m"}\\u202e');
    for (const line of `${out}${log}`.split("\n")) expect(line).not.toMatch(rawControl);
  });

  test("delivers to a webhook before it ends", async () => {
    const bodies: string[] = [];
    const server = createServer(async (request, response) => {
      let body = "";
      for await (const part of request.setEncoding("utf8")) body += part;
      bodies.push(body);
      response.writeHead(204).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const sink = `webhook=http://127.0.0.1:${port}/s3cret`;
    const { out, log, code } = await replay("--rules", "rules", "--sink", sink);
    server.close();
    expect(bodies.map((body) => JSON.parse(body).type)).toEqual(["alert.firing", "alert.resolved"]);
    expect([out, code]).toEqual(["", 0]);
    expect(log).not.toContain("s3cret");
  });

  test("goes on with the rules that are right, and tells what is wrong with the rest", async () => {
    const ended = await replay("--rules", "wrong", "--json");
    expect(objects(ended).map(({ type }) => type))
      .toEqual(["alert.firing", "alert.resolved", "summary"]);
    expect(ended.log).toContain("wrong/wrong.ts:5:");
    expect(ended.code).toBe(0);
  });

  test("without a rule that is right has exit code 1", async () => {
    const { out, log, code } = await replay("--rules", "nothing", "--json");
    expect(log).toContain("[RULE_MISTAKE]");
    expect(log).toContain("no rule could be loaded");
    expect([out, code]).toEqual(["", 1]);
  });
});

/** A process for each command takes its time on a busy machine. */
const manyProcesses = 30_000;

describe("what is used wrongly has exit code 2, and says what", () => {
  const wrong: readonly (readonly [args: string, message: string])[] = [
    ["wach", 'Cannot run "wach": there is no such command; nearest: watch [UNKNOWN_COMMAND]'],
    ["--ruels x", "nearest: --rules [UNKNOWN_OPTION]"],
    ["tail --max-keys 1000", "[UNKNOWN_OPTION]"],
    ["watch rules", "[UNEXPECTED_ARGUMENT]"],
    ["tail SOCKET_FILTER", "[UNEXPECTED_ARGUMENT]"],
    ["reason NO_SOCKET SOCKET_FILTER", "[UNEXPECTED_ARGUMENT]"],
    ["watch", "rules: --rules DIR (or `rules` in dropwatch.config.ts) [MISSING_ARGUMENT]"],
    ["check", "[MISSING_ARGUMENT]"],
    ["explain", "[MISSING_ARGUMENT]"],
    ["reason", "[MISSING_ARGUMENT]"],
    ["record", "it needs a file to record into [MISSING_ARGUMENT]"],
    ["record a b", "[UNEXPECTED_ARGUMENT]"],
    ["record drops.ndjson", "drops.ndjson: Cannot write it: there is such a file already; --force"],
    ["record new --source replay:drops.ndjson --by comm,reasn", "nearest: reason"],
    ["record new --source replay:drops.ndjson --by dport", "a field that can be had"],
    ["record new --source replay:drops.ndjson --by comm --rules rules", "it alone, or --rules"],
    ["record new --max-size 1", "a size from 64 KiB to 1 TiB"],
    ["record no/new --source replay:drops.ndjson --by comm", "[UNWRITABLE_FILE]"],
    ["tail --source replay:ticks.ndjson --interval 1500ms", "[CAPTURE_INTERVAL]"],
    ["--rules rules --interval 10", "[BAD_OPTION]"],
    ["--rules rules --interval 10ms", "[BAD_OPTION]"],
    ["--rules rules --max-keys 1", "[BAD_OPTION]"],
    ["--rules rules --duration 0s", "[BAD_OPTION]"],
    ["tail --source replay:drops.ndjson --limit 0", "[BAD_OPTION]"],
    ["stacks --source replay:drops.ndjson --format svg", "text, folded, speedscope [BAD_OPTION]"],
    ["tail --source replay:drops.ndjson --reason SOCKET_FILTR", "nearest: SOCKET_FILTER"],
    ["reason SOCKET_FILTR --source replay:drops.ndjson", "nearest: SOCKET_FILTER"],
    ["--rules rules --sink stdot", 'Cannot use the sink "stdot"'],
    ["--rules rules --sink webhook=x", "[BAD_SINK_OPTION]"],
    ["--rules rules --source repaly:x", "[UNKNOWN_SOURCE]"],
    ["--rules nowhere --source replay:drops.ndjson", "nowhere: Cannot read it: there is no such"],
    ["check nowhere", "[UNREADABLE_FILE]"],
    ["check empty", "[NO_RULES]"],
    ["--rules rules --source replay:nowhere.ndjson", "nowhere.ndjson: Cannot read it"],
    ["--rules rules --source replay:rules", "rules: Cannot read it: it is a folder"],
    ["--rules rules --config nowhere.ts", "nowhere.ts: Cannot read it"],
    ["--rules rules --config rules", "rules: Cannot "],
  ];

  // At once: each is a process.
  let all: readonly Ended[] = [];
  beforeAll(async () => {
    all = await Promise.all(wrong.map(([args]) => run(...args.split(" "))));
  }, manyProcesses);

  for (const [at, [args, message]] of wrong.entries()) {
    test(`dropwatch ${args}`, () => {
      const { out, log, code } = all[at]!;
      expect(log).toContain(message);
      expect(log).toMatch(/^dropwatch: .* \[[A-Z_]+\]\n$/s);
      expect([out, code]).toEqual(["", 2]);
    });
  }
});

describe("a source that can't run has exit code 3", () => {
  test("where bpftrace isn't there, whatever it is wanted for", async () => {
    for (
      const { out, log, code } of await Promise.all([
        run("--rules", "rules", "--json", "--bpftrace", "/nonexistent/bpftrace"),
        run("tail", "--json", "--bpftrace", "/nonexistent/bpftrace"),
        run("stacks", "--json", "--bpftrace", "/nonexistent/bpftrace --more"),
      ])
    ) {
      expect(log).toContain('Cannot find "/nonexistent/bpftrace"');
      expect([out, code]).toEqual(["", 3]);
    }
  });

  test("where bpftrace ends before it counts, and its words are told", async () => {
    const file = await folder.write("bpftrace.sh", `echo "ERROR: not today" >&2; exit 5\n`);
    const { out, log, code } = await run("--rules", "rules", "--json", "--bpftrace", `sh ${file}`);
    expect(log).toContain("not today");
    expect([out, code]).toEqual(["", 3]);
  });

  test("where a file is no capture", async () => {
    const { out, log, code } = await run("--rules", "rules", "--source", "replay:no.ndjson");
    expect(log).toContain("no.ndjson:1: Cannot replay: ");
    expect([out, code]).toEqual(["", 3]);
  });
});

describe("--version", () => {
  test("is the one of package.json and deno.json, for each command too", async () => {
    const versions = await Promise.all(
      ["../package.json", "../deno.json"].map(async (name) =>
        JSON.parse(await readFile(new URL(name, import.meta.url), "utf8")).version as string
      ),
    );
    expect(versions[0]).toBe(versions[1]!);
    const all = [["--version"], ["-V"], ...commands.map((command) => [command, "--version"])];
    for (const told of await Promise.all(all.map((args) => run(...args)))) {
      expect(told).toEqual({ out: `dropwatch ${versions[0]}\n`, log: "", code: 0 });
    }
  }, manyProcesses);
});

describe("--help", () => {
  test("of dropwatch names every command", async () => {
    for (const { out, log, code } of await Promise.all([run("--help"), run("-h"), run("help")])) {
      for (const command of commands) expect(out).toMatch(new RegExp(`^ +${command} .*\\S$`, "m"));
      expect(out).toContain("dropwatch COMMAND --help");
      expect([log, code]).toEqual(["", 0]);
    }
  });

  test("of a command has its usage, its options and examples", async () => {
    const all = await Promise.all(commands.map((command) => run(command, "--help")));
    for (const [at, { out, log, code }] of all.entries()) {
      expect(out).toMatch(new RegExp(`^dropwatch ${commands[at]}: `));
      expect(out).toContain(`usage: dropwatch ${commands[at]}`);
      for (const option of ["--config FILE", "-h, --help"]) expect(out).toContain(`  ${option} `);
      expect(out).toMatch(/\nexamples:\n( {2}dropwatch .*\n)+$/);
      expect([log, code]).toEqual(["", 0]);
    }
  }, manyProcesses);

  test("is shown where nothing else is right: no rules, no kernel, no NAME", async () => {
    const args = ["reason", "--help", "--source", "replay:nowhere"];
    expect((await run(...args)).out).toContain("usage: dropwatch reason NAME");
  });
});

describe("check", () => {
  test("has exit code 0 where all is right", async () => {
    const { out, log, code } = await replay("check", "rules");
    expect([out, code]).toEqual(["", 0]);
    expect(log).toBe("dropwatch: 1 file: 1 rule without a mistake, 0 mistakes found\n");
  });

  test("tells each mistake with its place and the nearest name, and has exit code 1", async () => {
    const { out, log, code } = await replay("check", "wrong");
    expect(out).toMatch(/^wrong\/wrong\.ts:5:31: .*"SOCKET_FILTR".*nearest: SOCKET_FILTER.*\n$/);
    expect(log).toBe("dropwatch: 2 files: 1 rule without a mistake, 1 mistake found\n");
    expect(code).toBe(1);
  });

  test("warns of a reason in a list that this kernel hasn't got, and has exit code 0", async () => {
    const { out, log, code } = await replay("check", "newer");
    expect(out).toBe(
      'warning: newer/newer.ts:5:49: bad reason "PFMEMALLOC": this kernel has no such drop ' +
        "reason; the rule counts the others of its list [REASON_MISSING]\n",
    );
    expect(log).toBe("dropwatch: 1 file: 1 rule without a mistake, 0 mistakes found, 1 warning\n");
    expect(code).toBe(0);
    const ended = await replay("check", "newer", "--json");
    expect(objects(ended)).toMatchObject([{
      type: "warning",
      data: { file: "newer/newer.ts", line: 5, code: "REASON_MISSING", value: "PFMEMALLOC" },
    }]);
    expect(ended.code).toBe(0);
  });

  test("with --json tells mistakes as objects", async () => {
    const ended = await replay("check", "--rules", "wrong", "--json");
    const [mistake, ...others] = objects(ended);
    expect(mistake).toMatchObject({
      type: "mistake",
      data: {
        file: "wrong/wrong.ts",
        line: 5,
        code: "RULE_MISTAKE",
        value: "SOCKET_FILTR",
        nearest: ["SOCKET_FILTER"],
      },
    });
    expect(others).toEqual([]);
    expect(ended.code).toBe(1);
  });
});

describe("reasons", () => {
  test("are listed with number and class, those of the source", async () => {
    const { out, code } = await replay("reasons");
    expect(out.trim().split("\n").map((line) => line.trim().split(/ +/))).toEqual([
      ["3", "NO_SOCKET", "policy"],
      ["5", "SOCKET_FILTER", "policy"],
      ["6", "SOCKET_RCVBUFF", "fault"],
    ]);
    expect(code).toBe(0);
    const told = objects(await replay("reasons", "--json"));
    expect(told.map(({ data }) => [data.id, data.name])).toEqual([
      [3, "NO_SOCKET"],
      [5, "SOCKET_FILTER"],
      [6, "SOCKET_RCVBUFF"],
    ]);
  });

  test("are explained one by one, however their name is written", async () => {
    for (
      const { out, code } of await Promise.all(
        ["SOCKET_FILTER", "socket_filter", "SKB_DROP_REASON_SOCKET_FILTER"]
          .map((name) => replay("reason", name)),
      )
    ) {
      expect(out).toMatch(
        /^SOCKET_FILTER {2}\(5 on a capture of Linux 6\.18\.44, class: policy\)\n/,
      );
      for (const part of ["usual causes", "to confirm it", "what to change"]) {
        expect(out).toMatch(new RegExp(`^${part}\n {2}\\S`, "m"));
      }
      expect(out).toContain("dropwatch stacks --reason SOCKET_FILTER\n");
      expect(code).toBe(0);
    }
  });

  test("are objects with --json", async () => {
    const [reason, ...others] = objects(await replay("reason", "NO_SOCKET", "--json"));
    expect(reason).toMatchObject({ type: "reason", data: { id: 3, name: "NO_SOCKET" } });
    expect(reason!.data.causes.length).toBeGreaterThan(0);
    expect(others).toEqual([]);
  });
});

describe("tail over a capture", () => {
  test("shows drops, and how many there really were", async () => {
    const { out, code } = await replay("tail", "--interval", "1s");
    const lines = out.trimEnd().split("\n");
    expect(lines[0]).toMatch(/^time +reason +class +site +packet$/);
    expect(lines.filter((line) => / SOCKET_FILTER +policy /.test(line))).toHaveLength(10);
    expect(lines.filter((line) => / NO_SOCKET +policy /.test(line))).toHaveLength(20);
    expect(lines[3]).toBe(
      "03:04:06 … 2 of 101 drops are shown: 101/s  SOCKET_FILTER 100, NO_SOCKET 1",
    );
    for (const line of lines) expect(line).not.toMatch(rawControl);
    expect(code).toBe(0);
  });

  test("shows only the reasons that are asked for, and no more than --limit a tick", async () => {
    const reason = objects(await replay("tail", "--json", "--reason", "NO_SOCKET"));
    expect(reason.map(({ type, data }) => `${type} ${data.reason}`))
      .toEqual(Array(20).fill("drop NO_SOCKET"));
    const limited = objects(await replay("tail", "--json", "--limit", "1", "--interval", "1s"));
    expect(limited.slice(0, 2).map(({ type, data }) => [type, data.reason ?? data.drops]))
      .toEqual([["drop", "SOCKET_FILTER"], ["flood", 101]]);
    expect(limited[0]!.data).toMatchObject({ comm, class: "policy", subsystem: "core" });
  });
});

describe("stacks over a capture", () => {
  test("are counted, the most frequent first, the innermost function on top", async () => {
    const { out, log, code } = await replay("stacks");
    expect(out.split("\n").map((line) => line.trimEnd())).toEqual([
      "1,000 drops  SOCKET_FILTER",
      "    sk_filter",
      "    udp_rcv",
      "    net_rx_action",
      "",
      "20 drops  NO_SOCKET",
      "    icmp_rcv",
      "    net_rx_action",
      "",
      "",
    ]);
    expect(log).toContain("counting stacks on a capture of Linux 6.18.44");
    expect(code).toBe(0);
  });

  test("are folded for flame graphs, the outermost function first", async () => {
    expect((await replay("stacks", "--format", "folded")).out).toBe(
      "net_rx_action;udp_rcv;sk_filter;SOCKET_FILTER 1000\n" +
        "net_rx_action;icmp_rcv;NO_SOCKET 20\n",
    );
  });

  test("are objects with --json, of one reason with --reason", async () => {
    const told = objects(await replay("stacks", "--json", "--reason", "NO_SOCKET"));
    expect(told.map(({ type, data }) => ({ type, data }))).toEqual([{
      type: "stack",
      data: { reason: "NO_SOCKET", drops: 20, stack: ["net_rx_action", "icmp_rcv"] },
    }]);
  });

  test("are a file that speedscope reads", async () => {
    const { out, code } = await replay("stacks", "--format", "speedscope");
    const file = JSON.parse(out);
    expect(file.$schema).toBe("https://www.speedscope.app/file-format-schema.json");
    const frames = file.shared.frames.map(({ name }: { name: string }) => name) as string[];
    expect([...frames].sort()).toEqual([
      "NO_SOCKET",
      "SOCKET_FILTER",
      "icmp_rcv",
      "net_rx_action",
      "sk_filter",
      "udp_rcv",
    ]);
    expect(file.profiles).toHaveLength(1);
    const [profile] = file.profiles;
    expect(profile).toMatchObject({ type: "sampled", unit: "none", startValue: 0, endValue: 1020 });
    expect(profile.name).not.toBe("");
    expect(profile.weights).toEqual([1000, 20]);
    expect(profile.samples.map((stack: number[]) => stack.map((frame) => frames[frame]))).toEqual([
      ["net_rx_action", "udp_rcv", "sk_filter", "SOCKET_FILTER"],
      ["net_rx_action", "icmp_rcv", "NO_SOCKET"],
    ]);
    expect(code).toBe(0);
  });

  test("of a capture that has none are refused", async () => {
    const file = await folder.write(
      "bare.ndjson",
      JSON.stringify({ ...JSON.parse(capture.split("\n")[0]!), fields: ["reason"] }),
    );
    const { out, log, code } = await run("stacks", "--source", `replay:${file}`);
    expect(log).toContain("has only reason");
    expect([out, code]).toEqual(["", 2]);
  });

  test("are printed without control characters, whatever a capture calls them", async () => {
    const head = { ...JSON.parse(capture.split("\n")[0]!), fields: ["reason", "stack"] };
    const drop = [start, 1, "NO_SOCKET", "outer;in\x1b[2Jner\u202e"];
    const file = await folder.write(
      "bad.ndjson",
      [head, drop].map((l) => JSON.stringify(l)).join("\n"),
    );
    for (const format of ["text", "folded", "speedscope"]) {
      const { out } = await run("stacks", "--source", `replay:${file}`, "--format", format);
      expect(out).toContain("outer");
      for (const line of out.split("\n")) expect(line).not.toMatch(rawControl);
    }
  });
});

describe("record", () => {
  /** Records the capture, and runs the rules over both. */
  async function recorded(
    file: string,
    ...args: readonly string[]
  ): Promise<{ record: Ended; before: Ended; after: Ended; head: Data }> {
    const record = await replay("record", file, ...args);
    const [before, after] = await Promise.all([
      replay("--rules", "rules", "--json"),
      run("--rules", "rules", "--json", "--source", `replay:${file}`),
    ]);
    const [head = ""] = (await readFile(folder.file(file), "utf8")).split("\n");
    return { record, before, after, head: JSON.parse(head) };
  }

  test("gives a file that the same rules find the same in", async () => {
    const { record, before, after, head } = await recorded("by.ndjson", "--by", "comm,class,stack");
    expect(record).toMatchObject({ out: "", code: 0 });
    expect(record.log).toContain(
      "counting drops on a capture of Linux 6.18.44 by reason, comm, stack into by.ndjson",
    );
    expect(record.log).toMatch(/recorded 20s into by.ndjson: 20 ticks, 2 keys, [\d.]+ KiB\n/);
    expect(record.log).toContain("1,020 drops seen = 1,020 counted + 0 other + 0 lost");
    expect(head).toMatchObject({ version: 2, interval: 1000, kernel: "6.18.44" });
    expect([...head.fields].sort()).toEqual(["comm", "reason", "stack"]);
    const [told, expected] = [objects(after), objects(before)];
    expect(told.map(({ type }) => type)).toEqual(["alert.firing", "alert.resolved", "summary"]);
    const last = (data: readonly { data: Data }[]): Data => data.at(-1)!.data;
    expect(last(told)).toEqual(last(expected));
    told.slice(0, -1).forEach(({ data }, i) => {
      // What the capture of version 1 hasn't is no evidence either.
      expect({ ...data, evidence: {} }).toEqual({ ...expected[i]!.data, evidence: {} });
    });
    expect(after.log).not.toContain("dropwatch: by.ndjson");
  });

  test("of rules has what they need, and what is wrong with the others is told", async () => {
    const { record, head } = await recorded("rules.ndjson", "--rules", "wrong", "--json");
    expect(record.log).toContain("wrong.ts:");
    expect(record.log).toContain("[RULE_MISTAKE]");
    expect([record.code, head.fields]).toEqual([0, ["reason", "comm"]]);
    const [{ type, data }] = objects(record) as unknown as [{ type: string; data: Data }];
    expect(type).toBe("summary");
    expect(data).toMatchObject({ file: "rules.ndjson", ticks: 20, seen: 1020, keys: 2 });
    expect(data).toMatchObject({ seconds: 20, lost: 0, restarts: 0, complete: true });
  });

  test("without a rule that is right has exit code 1, and no file", async () => {
    const { log, code } = await replay("record", "none.ndjson", "--rules", "nothing");
    expect(log).toContain("nothing to record");
    expect(code).toBe(1);
    await expect(readFile(folder.file("none.ndjson"))).rejects.toThrow();
  });

  test("leaves out what can't be had, and says so", async () => {
    const { record, head } = await recorded("default.ndjson");
    expect(record.log).toContain("recording without dport: the capture drops.ndjson has only");
    expect(head.fields).toEqual(["reason"]);
  });

  test("that can't start leaves a file as it was, even with --force", async () => {
    const file = await folder.write("mine.ndjson", "mine\n");
    const { code } = await run("record", file, "--force", "--bpftrace", "/nonexistent/bpftrace");
    expect(code).toBe(3);
    expect(await readFile(file, "utf8")).toBe("mine\n");
  });

  test("of a source that goes on ends after --duration, with an end", async () => {
    const { log, code } = await ended(
      launch(["record", "live.ndjson", "--by", "comm", "--duration", "300ms"], folder.file("live")),
    );
    expect(log).toMatch(/recorded .* into live.ndjson: \d+ ticks, 1 key, /);
    expect(code).toBe(0);
    const lines = (await readFile(folder.file("live/live.ndjson"), "utf8")).trimEnd().split("\n");
    expect(lines[1]).toBe(`["k",0,"SOCKET_FILTER","flood"]`);
    expect(lines[2]).toMatch(/^\["t",\d{13},0.05,0,0,0,10,0\]$/);
    expect(lines.at(-1)).toMatch(/^\["e",\d{13}\]$/);
  });

  test("that can't go on writing says why", async () => {
    const { log, code } = await ended(
      launch(["record", "/dev/full", "--force", "--by", "comm"], folder.file("live")),
    );
    expect(log).toContain("[UNWRITABLE_FILE]");
    expect(code).toBe(2);
  });
});

describe("explain", () => {
  test("without rules that are right has exit code 1, and says why", async () => {
    const { log, code } = await run("explain", "nothing");
    expect(log).toContain("nothing/wrong.ts:5:");
    expect(code).toBe(1);
  });
});

describe("a run that goes on", () => {
  /** Starts the live source of a config, and waits for the first alert or whatever it should print. */
  async function live(
    until: string,
    ...args: readonly string[]
  ): Promise<[Child, Promise<Ended>]> {
    const child = launch(args, folder.file("live"));
    const end = ended(child);
    await new Promise<void>((resolve) => {
      let text = "";
      for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (more: string) => {
          text += more;
          if (text.includes(until)) resolve();
        });
      }
      void end.then(() => resolve());
    });
    return [child, end];
  }

  test.each(["SIGINT", "SIGTERM"] as const)(
    "ends with its sums and exit code 0 at %s",
    async (signal) => {
      const [child, end] = await live("alert.firing", "--json");
      // Not with child.kill: Deno then reports the child as killed, whatever its exit code.
      process.kill(child.pid!, signal);
      const ended = await end;
      const told = objects(ended);
      expect(told.at(-1)!.type).toBe("summary");
      expect(told.filter(({ type }) => type === "alert.firing")).toHaveLength(1);
      const { seen, ticks } = told.at(-1)!.data;
      expect(seen).toBe(10 * ticks);
      expect(ended.code).toBe(0);
    },
  );

  test("tells its sums to people on stderr", async () => {
    const [child, end] = await live("FIRING");
    process.kill(child.pid!, "SIGINT");
    const { out, log, code } = await end;
    expect(out).not.toContain("watched");
    expect(log).toMatch(/watched .*: ([\d,]+) drops seen = \1 counted \+ 0 other \+ 0 lost\n/);
    expect(log).toMatch(/Refused: [\d,]+ drops matched\n$/);
    expect(code).toBe(0);
  });

  test("ends by itself after --duration", async () => {
    const { log, code } = await ended(launch(["--duration", "300ms"], folder.file("live")));
    expect(log).toContain("drops seen");
    expect(code).toBe(0);
  });

  test("ends quietly when nobody reads on", async () => {
    const [child, end] = await live("{", "tail", "--json");
    child.stdout.destroy();
    const { log, code } = await end;
    expect(log).not.toMatch(/EPIPE|Error/i);
    expect(code).toBe(0);
  });
});

describe("a reader", () => {
  /** More than a pipe holds, in one tick. */
  const many = (): Promise<string> => {
    const [head, drop] = capture.split("\n");
    return folder.write("many.ndjson", [head, ...Array(5000).fill(drop)].join("\n"));
  };

  /** Runs `dropwatch` into a pipe; the exit code is what stderr ends with. */
  const piped = async (reader: string, ...args: readonly string[]): Promise<Ended> => {
    const [command, ...rest] = commandOf([...args, "--source", `replay:${await many()}`]);
    const script = `{ "$0" "$@"; echo "exit code $?" >&2; } | ${reader}`;
    return await ended(spawn("sh", ["-c", script, command!, ...rest], inFolder(folder.path)));
  };

  test("that goes away (`| head -n 1`) is no error", async () => {
    for (
      const { out, log } of await Promise.all([
        piped("head -n 1", "tail", "--limit", "1000"),
        piped("head -n 1", "tail", "--limit", "1000", "--json"),
      ])
    ) {
      expect(out).toMatch(/^(time .*|\{.*\})\n$/);
      expect(log).toMatch(/^dropwatch: watching a capture .*\nexit code 0\n$/);
    }
  });

  test("that is slow gets all of it", async () => {
    const slow = await piped("{ sleep 0.5; cat; }", "tail", "--limit", "1000", "--json");
    expect(objects(slow).map(({ type }) => type)).toEqual([...Array(1000).fill("drop"), "flood"]);
    expect(slow.log).toContain("exit code 0");
  });
});

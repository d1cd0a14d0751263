// `silence`, `outbox` and `alerts` beside a state that a run has left: what they print, and what they say
// where there is nothing, or something was written wrongly.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { makeFolder } from "../test/folder.ts";
import type { Folder } from "../test/folder.ts";
import type { Command, Terminal } from "./command.ts";
import { alertsCommand } from "./commands/alerts.ts";
import { outboxCommand } from "./commands/outbox.ts";
import { silenceCommand } from "./commands/silence.ts";
import { watchCommand } from "./commands/watch.ts";
import { readOptions } from "./option.ts";

const start = Date.parse("2026-01-02T03:04:00Z");

/** Drops for ten seconds, and then the recording breaks off: the alert fires on. */
const capture = [
  {
    dropwatch: "capture",
    version: 1,
    kernel: "6.1.0",
    reasons: { 3: "NO_SOCKET" },
    fields: ["reason", "dport"],
  },
  ...Array.from({ length: 10 }, (_, i) => [start + 1000 * i, 100, "NO_SOCKET", "53"]),
].map((line) => JSON.stringify(line)).join("\n");

const rule = `import { drops, rule } from "dropwatch";
export default rule({
  alert: "ClosedPort",
  when: drops.where({ reason: "NO_SOCKET" }).by("dport").rate("3s").above(66.6),
});
`;

let folder: Folder;
beforeEach(async () => {
  folder = await makeFolder({ "rules/closed.ts": rule, "drops.ndjson": capture });
});
afterEach(() => folder.remove());

/** Runs a command over the folder's state, and returns what it wrote. */
async function run(
  command: Command,
  ...args: readonly string[]
): Promise<{ readonly out: string; readonly log: string }> {
  const [out, log]: [string[], string[]] = [[], []];
  const terminal: Terminal = {
    out: (text) => out.push(text),
    log: (text) => log.push(text),
    colour: false,
    isTerminal: false,
    signal: new AbortController().signal,
    onHangup: () => {},
  };
  const given = readOptions([...args, "--state", folder.file("state")], command.options);
  await command.run(given, terminal);
  return { out: out.join("\n"), log: log.join("\n") };
}

/** A run over the capture that leaves an alert firing. */
const watch = (): Promise<unknown> =>
  run(
    watchCommand,
    ...["--rules", folder.file("rules"), "--source", `replay:${folder.file("drops.ndjson")}`],
    ...["--sink", `file=${folder.file("a.ndjson")}`, "--sink", `file=${folder.file("b.ndjson")}`],
  );

const failure = (command: Command, ...args: readonly string[]): Promise<Error> =>
  run(command, ...args).then(() => new Error("it was taken"), (thrown) => thrown as Error);

describe("silence add", () => {
  test("says what it matches now, and until when in which time", async () => {
    await watch();
    const { out, log } = await run(silenceCommand, "add", "dport=53", "--duration", "2h");
    expect(out).toMatch(/^[0-9a-f-]{36} {2}active until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
    expect(log).toBe("it matches 1 alert of those that fire now: ClosedPort");
    const other = await run(silenceCommand, "add", "dport=54", "--duration", "2h");
    expect(other.log).toBe(
      "it matches no alert that fires now; `dropwatch alerts list` shows their labels",
    );
  });

  test("says where no run has left a state: a slip in --state would keep nothing quiet", async () => {
    const { log } = await run(silenceCommand, "add", "a=b", "--duration", "2h");
    expect(log).toContain("had no state");
    expect((await run(silenceCommand, "add", "a=b", "--duration", "2h")).log)
      .not.toContain("had no state");
  });

  test("refuses what has two operators", async () => {
    expect((await failure(silenceCommand, "add", "dport==53", "--duration", "2h")).message)
      .toContain("stands in quotes");
  });
});

describe("alerts", () => {
  test("are listed with the labels that a silence asks for", async () => {
    await watch();
    const { out } = await run(alertsCommand, "list");
    expect(out).toMatch(/^fingerprint +state +since \(UTC\) +alert +labels +last$/m);
    expect(out).toMatch(/ firing +2026-01-02 03:04:\d\d +ClosedPort +severity=warning dport=53 /);
  });

  test("have a timeline whose numbers can be read", async () => {
    await watch();
    const [{ fingerprint }] = (await run(alertsCommand, "list", "--json")).out.split("\n")
      .map((line) => JSON.parse(line).data) as [{ fingerprint: string }];
    const { out } = await run(alertsCommand, "show", fingerprint);
    expect(out).toMatch(/^\d{4}-\d\d-\d\d [\d:.]{12}Z {2}fired +ClosedPort: .*\(value 66\.7\)$/m);
  });
});

test("outbox show tells in words what waits, since when, and why; with --json all of it", async () => {
  const [sink, missing] = ["--sink", `file=${folder.file("gone/a.ndjson")}`];
  await run(
    watchCommand,
    ...["--rules", folder.file("rules"), "--source", `replay:${folder.file("drops.ndjson")}`],
    ...[sink, missing],
  );
  const { out } = await run(outboxCommand, "show", "msg_");
  const [head, since, why, , what] = out.split("\n");
  expect(head).toMatch(/^msg_[0-9a-f]{32} {2}file {2}waits$/);
  expect(since).toMatch(/^ {2}since [\d-]{10} [\d:]{8} UTC, \d+ attempts?, the next at .* UTC$/);
  expect(why).toContain("no such file or directory");
  expect(what).toMatch(/^03:04:\d\d FIRING {3}ClosedPort warning/);
  expect(JSON.parse((await run(outboxCommand, "show", "msg_", "--json")).out).data.body.is)
    .toBe("alert");
});

test("without a verb they say which there are", async () => {
  expect((await failure(outboxCommand)).message)
    .toBe("Cannot run outbox: it needs one of list, show, retry, drop");
  expect((await failure(alertsCommand)).message)
    .toBe("Cannot run alerts: it needs one of list, show");
});

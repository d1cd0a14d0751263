/**
 * Writes docs/fields.md, docs/evidence.md, docs/errors.md and the table of docs/metrics.md from the code:
 * `bun run docs`, or `deno task docs`.
 *
 * The fields come from the catalogue (core/drop/field.ts). The errors come from core/error.ts: each
 * function there is called with the names of its own parameters, so that the page shows the real
 * message, code and exit code; when it is raised says the comment above the function.
 */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { counterChecks } from "../core/drop/counter.ts";
import { fieldNames, fieldOf, l4Protocols, protocols } from "../core/drop/field.ts";
import type { FieldName } from "../core/drop/field.ts";
import { unavailable, withDependencies } from "../core/drop/fragment.ts";
import type { KernelFacts } from "../core/drop/fragment.ts";
import * as errors from "../core/error.ts";
import { DropwatchError, exitCode } from "../core/error.ts";
import { metrics } from "../core/view/metrics.ts";
import { sampleName } from "../plugins/metrics/openmetrics.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const generated = "<!-- Written by scripts/docs.ts (`bun run docs`); do not edit. -->";

/** As `deno fmt` breaks prose. */
const lineWidth = 100;

/** Each page by its path from the project's root. */
export async function pages(): Promise<ReadonlyMap<string, string>> {
  const source = await readFile(join(root, "core/error.ts"), "utf8");
  return new Map([
    ["docs/fields.md", fieldsPage()],
    ["docs/evidence.md", evidencePage()],
    ["docs/errors.md", errorsPage(source)],
    ["docs/metrics.md", withMetrics(await readFile(join(root, "docs/metrics.md"), "utf8"))],
  ]);
}

// --- fields ---

function fieldsPage(): string {
  return page("Fields", [
    wrap(
      "What can be known of a dropped packet. Each field can be asked for in `where`, counted by in " +
        "`by`; [rules.md](rules.md) says how. `dropwatch tail --json` shows all but `subsystem`, " +
        "`stack` and `retransmitted` of each drop.",
    ),
    table(
      ["field", "kind", "what it is", "can be empty", "needs"],
      fieldNames.map((name) => [
        `\`${name}\``,
        kindOf(name),
        fieldOf(name).doc + (fieldOf(name).sums === true ? "; it can be summed" : ""),
        canBeEmpty(name) ? "yes" : "",
        needsOf(name),
      ]),
    ),
    wrap(
      '"Can be empty": where the packet, or the place of its drop, doesn\'t tell the value, the label ' +
        'is `""`. Such a packet equals no value and lies in no range, so `{ not: … }` takes it. To ' +
        'ask for it, compare a text or an address with `""`, and ' +
        `${fieldNames.filter(isZeroWhenEmpty).map((name) => `\`${name}\``).join(", ")} with \`0\`.`,
    ),
    "## Kinds",
    table(["kind", "what `where` takes"], [
      ["name", 'a name, a list of names, `{ not: … }`: `reason: ["NO_SOCKET", "SOCKET_FILTER"]`'],
      [
        "number",
        "a whole number, a list, `{ not: … }`, a range of `gte`, `gt`, `lte`, `lt`: " +
        "`dport: { gte: 1024, lt: 49152 }`",
      ],
      [
        "text",
        "a text of at most 15 bytes, a list, `{ not: … }`, `{ prefix: … }`: " +
        '`dev: { prefix: ["veth", "tap"] }`',
      ],
      [
        "address",
        'an IPv4 or IPv6 address, a CIDR, a list of them, `{ not: … }`: `saddr: "10.0.0.0/8"`',
      ],
      ["function", 'a kernel function, a list, `{ not: … }`: `site: "udp_queue_rcv_one_skb"`'],
      ["stack", "nothing: it can be in `by`, not in `where`"],
    ]),
    "## Needs",
    wrap(
      "tracepoint: skb:kfree_skb alone; such a field can be had on every kernel since Linux 5.17.",
    ),
    wrap(
      "BTF: also the kernel's types, /sys/kernel/btf/vmlinux. Without them a rule that uses the field " +
        "is an error (UNAVAILABLE_FIELD).",
    ),
    wrap(
      "BTF, socket: also the socket that the packet belongs to. On receive the tracepoint tells it " +
        "since Linux 6.11; on transmit, and for unix sockets, the packet itself does. The label is " +
        "empty where there is none, as for `NO_SOCKET` and for most drops by netfilter, routing, " +
        "queueing and devices.",
    ),
    wrap(
      "So the socket is the receiver's on receive, and the sender's on transmit. A message between " +
        "unix sockets is the sender's until it is read: `owner` is who sent what is dropped when the " +
        "receiver is closed (`SOCKET_CLOSE`), and `comm` and `pid` tell who closed it. A socket that " +
        "its process has closed, and a connection that nobody has accepted, belong to nobody.",
    ),
    wrap(
      "`unit` is named as systemctl names it, and `unit` and `container` are the innermost ones. A " +
        "pod isn't told: the cgroup's path holds only its number, and what runs containers knows the " +
        "pod of each (`crictl inspect`, `podman inspect`).",
    ),
    wrap(
      "`site` gets its names from /proc/kallsyms. On most machines that hides all addresses from other " +
        "users than root: there, dropwatch without root leaves the label empty, and no drop equals " +
        "a function.",
    ),
    "## Names",
    wrap(
      "`reason` and `subsystem`: those of the running kernel; `dropwatch reasons` lists them, " +
        "`dropwatch reason NAME` explains one. A reason without a name keeps its number: " +
        "`mac80211_unusable/0x1000b`.",
    ),
    wrap("`class`: `fault`, `policy`, `teardown`, `normal`, `unknown`."),
    wrap(`\`protocol\`: ${namesOf(protocols)}; others as a text such as \`0x88cc\`.`),
    wrap(`\`l4\`: ${namesOf(l4Protocols)}; others as a text such as \`"103"\`.`),
    wrap(
      "`tcpFlags`: the flags that are set, in the order `FIN`, `SYN`, `RST`, `PSH`, `ACK`, `URG`, " +
        "`ECE`, `CWR`, joined by `|`; `none` where none is.",
    ),
  ]);
}

function kindOf(name: FieldName): string {
  const { kind, named, bytes } = fieldOf(name);
  switch (kind) {
    case "reason":
      return "name";
    case "number":
      return named === undefined ? "number" : "name";
    case "bytes":
      return bytes ?? "text";
    case "site":
      return "function";
    case "stack":
      return "stack";
    case "later":
      return "name";
    case "lookup":
      return fieldOf(name).max === undefined ? "text" : "number";
  }
}

function canBeEmpty(name: FieldName): boolean {
  const { kind, unknown, bytes } = fieldOf(name);
  return unknown !== undefined || bytes !== undefined || kind === "site" ||
    kind === "lookup" || kind === "later";
}

function isZeroWhenEmpty(name: FieldName): boolean {
  return kindOf(name) === "number" && fieldOf(name).unknown === 0;
}

/** A kernel that has everything but its types. */
const withoutBtf: KernelFacts = {
  release: "",
  args: new Set(["skbaddr", "location", "rx_sk", "protocol", "reason"]),
  retransmitArgs: new Set(["skaddr"]),
  btf: false,
  members: new Map(),
};

function needsOf(name: FieldName): string {
  const uses = fieldOf(name).uses;
  if (uses.every((fragment) => unavailable(fragment, withoutBtf) === undefined)) {
    return "tracepoint";
  }
  const all = withDependencies(uses);
  // What can also be read from the device doesn't hang on the socket.
  return all.includes("sock") && !all.includes("device") ? "BTF, socket" : "BTF";
}

function namesOf(table: Readonly<Record<string, number>>): string {
  return Object.keys(table).map((name) => `\`${name}\``).join(", ");
}

// --- evidence ---

function evidencePage(): string {
  return page("Evidence", [
    wrap(
      "Every alert that fires tells what it is made of, in `evidence`. Its drops are those of the " +
        "alert's own window and labels; what is beyond the first 32 of a tick is a sample, and the " +
        "numbers beside flows, stacks, owners and reasons are of the sample.",
    ),
    table(["member", "what it is"], [
      ["`kept`", "how many of its drops were kept whole; 0 where a flood of others left none"],
      ["`ownerKnown`, `owners`", "whose sockets they were for; not known where there is no socket"],
      ["`site`, `at`, `source`", "the kernel's function, the place in it, and where to read it"],
      ["`flows`", "protocol, addresses, ports and device, at most five"],
      ["`stacks`", "kernel stacks, innermost function first, at most three"],
      ["`listeners`", "who had a closed port (`NO_SOCKET`) within the last ten minutes"],
      [
        "`tcp`",
        "TCP's drops among those that were kept, and how many were followed by a retransmit",
      ],
      ["`reasons`", "class and meaning of each; `dropwatch reason NAME` tells more"],
      ["`counters`", "the kernel's own counters of the same reasons, see below"],
    ]),
    "## The kernel's own counters",
    wrap(
      "`counted` is what dropwatch counted of a reason, `kernel` what the kernel's counters grew by in " +
        "the same `seconds`. Both are of the whole machine: all network namespaces, all families, and " +
        "so more than one alert's drops where there are several. `grew` tells in which namespaces. " +
        "`agrees` is false where they differ by more than the table explains and than came in the " +
        "moment of reading: then one of the two is wrong, or a namespace came and went within a " +
        "second and took its counters along. Names are those of `nstat -az`; `SoftnetDropped` is the " +
        "second column of /proc/net/softnet_stat.",
    ),
    table(
      ["reason", "counters", "why ours can be more", "why the kernel's can be more"],
      Object.entries(counterChecks).map((
        [reason, { plus, minus = [], misses = "", besides = "" }],
      ) => [
        `\`${reason}\``,
        [plus.map(code).join(" + "), ...minus.map(code)].join(" − "),
        misses,
        besides,
      ]),
    ),
    wrap(
      "Other reasons have no counter in these files: the firewall's (`nft list ruleset` has its own), " +
        "queueing disciplines' (`tc -s qdisc`), neighbours' (`lnstat -f arp_cache`).",
    ),
  ]);
}

const code = (text: string): string => `\`${text}\``;

// --- metrics ---

/** The page with the table between its marks as it is now. */
function withMetrics(text: string): string {
  const marked = /(?<=<!-- metrics -->\n).*?(?=<!-- \/metrics -->)/s;
  if (!marked.test(text)) {
    throw new Error("docs/metrics.md: no <!-- metrics --> … <!-- /metrics -->");
  }
  const rows = metrics.map((metric) => [
    code(sampleName(metric)),
    metric.type,
    metric.labels.map(code).join(", "),
    metric.help,
  ]);
  const lines = [generated, table(["metric", "type", "labels", "what it is"], rows)];
  return text.replace(marked, () => `\n${lines.join("\n\n")}\n\n`);
}

// --- errors ---

interface ErrorEntry {
  readonly code: string;
  readonly exit: number;
  readonly when: string;
  readonly message: string;
}

function errorsPage(source: string): string {
  // The source is cut into sections by comments such as `// --- rules ---…`.
  const sections = source.split(/^\/\/ --- (.+?) -+$/m).slice(1);
  const parts: string[] = [];
  for (let i = 0; i < sections.length; i += 2) {
    parts.push(`## ${sections[i]!.charAt(0).toUpperCase()}${sections[i]!.slice(1)}`);
    for (const { code, exit, when, message } of entriesOf(sections[i + 1]!)) {
      parts.push(`### ${code}`, wrap(when), `Exit code ${exit}.`, fenced(message));
    }
  }
  return page("Errors", [
    wrap(
      "Every error that dropwatch raises on purpose has a code, which stays the same while its words " +
        "may change. It is printed on stderr (by `check` on stdout) as " +
        "`FILE:LINE:COLUMN: message [CODE]`, with the place only where there is one. What stands in " +
        "capitals here is the value that it is about; `; nearest: …` follows where there are names " +
        "that look like it.",
    ),
    wrap(
      "A mistake in a rule doesn't end `watch`: it is said, and the other rules are watched. The exit " +
        "code of an error is that of the command where the error ends it.",
    ),
    table(["exit code", "what it means"], [
      [String(exitCode.done), "done; also when SIGINT, SIGTERM or SIGHUP ended it"],
      [
        String(exitCode.finding),
        "a finding: a rule with a mistake, or no rule that can be watched",
      ],
      [String(exitCode.usage), "wrong usage: an option, the config, a file that isn't there"],
      [String(exitCode.source), "the source can't run: no root, no bpftrace, no tracepoint"],
      ["70", "an exception that is no error of this list, with its stack"],
      ["130", "a third signal: it left before the last counts had arrived"],
    ]),
    ...parts,
  ]);
}

/** The errors of a section: each function with the comment above it. */
function entriesOf(source: string): ErrorEntry[] {
  const pattern = /(?:\/\*\*([^/]*(?:\/(?!\*)[^/]*)*?)\*\/\n)?export function (\w+)\(([^)]*)\)/g;
  return [...source.matchAll(pattern)].map(([, comment, name = "", parameters = ""]) => {
    if (comment === undefined) {
      throw new Error(`core/error.ts: ${name} has no comment that says when it is raised`);
    }
    const error = call(name, parameters);
    const when = comment.replaceAll(/^ \* ?/gm, " ").replaceAll(/\s+/g, " ").trim();
    return { code: error.code, exit: error.exit, when, message: error.message };
  });
}

/** Makes an error of its function, with the names of the parameters for their values. */
function call(name: string, parameters: string): DropwatchError {
  const values = parameters.split(",").map((parameter) => parameter.trim())
    .filter((parameter) => parameter !== "")
    .map((parameter) => {
      const [, own = "", type = ""] = /^(\w+)\??:?\s*(.*)$/.exec(parameter) ?? [];
      if (type.startsWith("Place")) return { file: "FILE" };
      if (type.startsWith("readonly string[]")) return own === "nearest" ? [] : [own.toUpperCase()];
      return own.replaceAll(/([A-Z])/g, " $1").toUpperCase();
    });
  const make = (errors as unknown as Record<string, (...values: unknown[]) => unknown>)[name];
  const made = make?.(...values);
  if (!(made instanceof DropwatchError)) throw new Error(`core/error.ts: ${name} makes no error`);
  return made;
}

// --- Markdown, as `deno fmt` leaves it ---

function page(title: string, parts: readonly string[]): string {
  return `${[generated, `# ${title}`, ...parts].join("\n\n")}\n`;
}

function fenced(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\``;
}

function wrap(text: string): string {
  const lines: string[] = [];
  let line = "";
  // Code isn't broken.
  for (const word of text.match(/(?:`[^`]*`|\S)+/g) ?? []) {
    if (line !== "" && line.length + 1 + word.length > lineWidth) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].join("\n");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = head.map((_, i) => Math.max(3, ...cells.map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [line(cells[0]!), rule, ...cells.slice(1).map(line)].join("\n");
}

if (import.meta.main) {
  for (const [path, text] of await pages()) {
    await writeFile(join(root, path), text);
    process.stderr.write(`docs: ${path}\n`);
  }
}

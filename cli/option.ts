// The options of the command line: one table, from which parsing, help and completion follow.
import { parseArgs } from "@std/cli/parse-args";
import { badOption, unknownOption } from "../core/error.ts";
import { nearest } from "../core/nearest.ts";
import { showBytes } from "../core/number.ts";
import { milliseconds } from "../core/rule/duration.ts";
import { exporterUsages } from "../plugins/metrics/registry.ts";
import { sinkUsages } from "../plugins/sinks/registry.ts";

interface Option {
  /** What the help shows for its value; a switch has none. */
  readonly value?: string;
  readonly doc: string;
  /** May be given several times. */
  readonly many?: boolean;
  /** Its letter: `-h`. */
  readonly short?: string;
}

const sinkDoc = `where alerts go: ${sinkUsages.join(", ")} (several times)`;
const metricsDoc = `where metrics are pushed: ${exporterUsages.join(", ")} (several times)`;

/** All options. A command says which of them it takes. */
export const options = {
  rules: { value: "DIR", doc: "folder or file with rules (several times for more)", many: true },
  config: { value: "FILE", doc: "config file (default: dropwatch.config.ts, if there is one)" },
  sink: {
    value: "SINK",
    doc: sinkDoc as string,
    many: true,
  },
  metrics: { value: "EXPORTER", doc: metricsDoc as string, many: true },
  interval: { value: "TIME", doc: "time between ticks (default: 1s)" },
  state: { value: "DIR", doc: "folder that state is kept in" },
  duration: { value: "TIME", doc: "end after this time" },
  source: { value: "SOURCE", doc: "bpftrace (default), or replay:FILE" },
  bpftrace: { value: "CMD", doc: `command that runs bpftrace, e.g. "sudo -n bpftrace"` },
  "max-keys": { value: "N", doc: "keys that a map in the kernel may hold (default: 4096)" },
  reason: { value: "NAME", doc: "only drops of this reason (several times)", many: true },
  format: { value: "FORMAT", doc: "text, folded (for flame graphs) or speedscope" },
  by: { value: "FIELDS", doc: "fields to count by, separated by commas" },
  where: {
    value: "FIELD=LABEL",
    doc: "only drops with this label (several times; of one field: any of them)",
    many: true,
  },
  sort: { value: "COLUMN", doc: "rate (default), average, total, share or name" },
  once: { doc: "print a table and end" },
  connect: { value: "URL", doc: "the address of a `watch --listen` to look at" },
  "max-size": { value: "SIZE", doc: "end when the file is so large: 100M, 2G (default: 1G)" },
  force: { doc: "write over a file that is there already" },
  limit: { value: "N", doc: "how many to show" },
  sweep: { doc: "show how the outcome changes with the thresholds" },
  listen: {
    value: "ADDRESS",
    doc: "serve the dashboard, the API and metrics there, e.g. 127.0.0.1:8787",
  },
  "token-file": {
    value: "FILE",
    doc: "the token that clients need (default: $DROPWATCH_TOKEN); needed beyond loopback",
  },
  "allow-host": {
    value: "NAME",
    doc: "a name by which clients may call the server, such as a proxy's (several times)",
    many: true,
  },
  "history-by": {
    value: "FIELDS",
    doc: "fields by which drops of the past are told apart (default: reason,site,dev,owner)",
  },
  comment: { value: "TEXT", doc: "why, for whoever wonders" },
  author: { value: "NAME", doc: "who (default: the user)" },
  all: { doc: "also what is over" },
  json: { doc: "one JSON object a line on stdout, and nothing else there" },
  help: { doc: "show this help", short: "h" },
  version: { doc: "show the version", short: "V" },
} as const;

export type OptionName = keyof typeof options;

/** What was given: texts, lists of texts for what can come several times, true for switches. */
export interface Given {
  readonly words: readonly string[];
  text(name: OptionName): string | undefined;
  list(name: OptionName): readonly string[];
  flag(name: OptionName): boolean;
  /** Milliseconds of a duration. */
  time(name: OptionName): number | undefined;
  /** Bytes, in bounds: 4096, 100M, 2G. */
  size(name: OptionName, least: number, most: number): number | undefined;
  /** A whole number in bounds. */
  number(name: OptionName, least: number, most: number): number | undefined;
}

/**
 * Reads the arguments of a command that takes `names`.
 *
 * @throws DropwatchError UNKNOWN_OPTION, BAD_OPTION.
 */
export function readOptions(args: readonly string[], names: readonly OptionName[]): Given {
  const table: Readonly<Record<string, Option>> = options;
  const taken = [...names, "help", "version"];
  const texts = taken.filter((name) => table[name]!.value !== undefined);
  const isSwitch = (name: string): boolean =>
    taken.includes(name as OptionName) &&
    table[name]!.value === undefined;
  args.forEach((arg, i) => {
    // The parser would take `--json=yes`, `--json false` and `-h5` for switches, and `--_` for words.
    const [, name = "", value] = /^--([^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
    const next = /^(true|false)$/.test(args[i + 1] ?? "") ? args[i + 1] : undefined;
    const surplus = isSwitch(name) ? value ?? next : undefined;
    if (surplus !== undefined) throw badOption(name, surplus, "no value: it is a switch");
    const letters = /^-([a-zA-Z])([^a-zA-Z].*)$/s.exec(arg);
    if (letters !== null) {
      const lettered = taken.find((each) => table[each]!.short === letters[1]);
      if (lettered !== undefined) throw badOption(lettered, letters[2], "no value: it is a switch");
    }
    if (name === "_") throw unknownOption("--_", []);
  });
  const parsed = parseArgs(args, {
    string: [...texts, "_"],
    boolean: taken.filter((name) => table[name]!.value === undefined),
    collect: texts,
    alias: { h: "help", V: "version" },
    unknown: (arg: string) => {
      if (!arg.startsWith("-") || arg === "-") return true;
      const name = arg.replace(/^--?/, "").replace(/=.*$/s, "");
      throw unknownOption(
        arg.replace(/=.*$/s, ""),
        // Of a letter or two every short name is near.
        name.length < 3 ? [] : nearest(name, taken).map((known) => `--${known}`),
      );
    },
  });
  const list = (name: OptionName): readonly string[] => (parsed[name] ?? []) as string[];
  for (const name of texts as OptionName[]) {
    const values = list(name);
    if (values.includes("")) throw badOption(name, "", table[name]!.value!);
    if (values.length > 1 && table[name]!.many !== true) {
      throw badOption(name, values.join(" "), "one value");
    }
  }
  const text = (name: OptionName): string | undefined => list(name)[0];
  return {
    words: parsed._.map(String),
    text,
    list,
    flag: (name) => parsed[name] === true,
    time(name) {
      const value = text(name);
      if (value === undefined) return undefined;
      try {
        return milliseconds(value);
      } catch {
        throw badOption(name, value, `a duration such as "10s" or "500ms"`);
      }
    },
    size(name, least, most) {
      const value = text(name);
      if (value === undefined) return undefined;
      const [, digits, unit = ""] = /^(\d{1,15})([KMG]?)$/i.exec(value) ?? [];
      const size = Number(digits) * 1024 ** " KMG".indexOf(unit.toUpperCase() || " ");
      if (!(size >= least && size <= most)) {
        throw badOption(
          name,
          value,
          `a size from ${showBytes(least)} to ${showBytes(most)}, such as 100M or 2G`,
        );
      }
      return size;
    },
    number(name, least, most) {
      const value = text(name);
      if (value === undefined) return undefined;
      const number = /^\d+$/.test(value) ? Number(value) : NaN;
      if (!(number >= least && number <= most)) {
        throw badOption(name, value, `a whole number from ${least} to ${most}`);
      }
      return number;
    },
  };
}

/** How wide a line of the help may be. */
const widest = 100;

/** The lines of a help text for the options of a command; `docs` are what some of them mean there. */
export function optionHelp(
  names: readonly OptionName[],
  docs: Partial<Record<OptionName, string>> = {},
): string[] {
  const table: Readonly<Record<string, Option>> = options;
  const rows = [...names, "help" as const, "version" as const].map((name) => {
    const { value, doc: usual, short } = table[name]!;
    const doc = docs[name as OptionName] ?? usual;
    const letter = short === undefined ? "" : `-${short}, `;
    return [`${letter}--${name}${value === undefined ? "" : ` ${value}`}`, doc] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.flatMap(([left, doc]) =>
    wrap(doc, widest - width - 4).map((line, i) =>
      `  ${(i === 0 ? left : "").padEnd(width)}  ${line}`
    )
  );
}

/** A text in lines of so many characters, broken between words. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
}

// Every error that dropwatch raises on purpose is made here, so that each has a code, names the
// value that was wrong, and says what would be right. docs/errors.md lists the codes.

/** The exit codes of the command line. */
export const exitCode = { done: 0, finding: 1, usage: 2, source: 3 } as const;

/** Where in a file a mistake is: line and column count from 1. */
export interface Place {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
}

/**
 * An error with a stable code, the place it is about, and the exit code that the command line
 * leaves with when nothing handles it.
 */
export class DropwatchError extends Error {
  override readonly name = "DropwatchError";
  readonly code: string;
  readonly exit: number;
  readonly place: Place | undefined;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(
    code: string,
    message: string,
    options: {
      exit?: number;
      place?: Place | undefined;
      data?: Record<string, unknown>;
      cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.exit = options.exit ?? exitCode.usage;
    this.place = options.place;
    this.data = options.data ?? {};
  }
}

/** `file:line:column`, as editors and terminals make a link of it. */
export function showPlace(place: Place): string {
  const line = place.line === undefined ? "" : `:${place.line}`;
  const column = place.column === undefined ? "" : `:${place.column}`;
  return `${place.file}${line}${column}`;
}

/** A string from a stranger, quoted and with control characters escaped, cut at 80 characters. */
export function quote(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
  const cut = text.length > 80 ? `${text.slice(0, 79)}…` : text;
  return `"${printable(cut)}"`;
}

/**
 * Text that a stranger chose, made safe for a terminal or a log line: control characters, quotes
 * that would end a quotation, and bidirectional overrides become escapes.
 */
export function printable(text: string): string {
  return text.replace(
    // deno-lint-ignore no-control-regex
    /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (c) => {
      const code = c.charCodeAt(0);
      return code < 256
        ? `\\x${code.toString(16).padStart(2, "0")}`
        : `\\u${code.toString(16).padStart(4, "0")}`;
    },
  );
}

/** The message of anything that was thrown, safe to print. */
export function reasonOf(thrown: unknown): string {
  return printable(thrown instanceof Error ? thrown.message : String(thrown));
}

function suggest(nearest: readonly string[]): string {
  if (nearest.length === 0) return "";
  return `; nearest: ${nearest.join(", ")}`;
}

// --- command line and config ------------------------------------------------------------------

export function unknownOption(option: string, nearest: readonly string[]): DropwatchError {
  return new DropwatchError(
    "UNKNOWN_OPTION",
    `Cannot read the option ${quote(option)}: there is no such option${suggest(nearest)}`,
    { data: { option, nearest } },
  );
}

export function unknownCommand(command: string, nearest: readonly string[]): DropwatchError {
  return new DropwatchError(
    "UNKNOWN_COMMAND",
    `Cannot run ${quote(command)}: there is no such command${suggest(nearest)}`,
    { data: { command, nearest } },
  );
}

export function badOption(option: string, value: unknown, expected: string): DropwatchError {
  return new DropwatchError(
    "BAD_OPTION",
    `Cannot use --${option} ${quote(value)}: expected ${expected}`,
    { data: { option, value, expected } },
  );
}

export function missingArgument(command: string, argument: string): DropwatchError {
  return new DropwatchError(
    "MISSING_ARGUMENT",
    `Cannot run ${command}: it needs ${argument}`,
    { data: { command, argument } },
  );
}

export function badConfig(
  file: string,
  key: string,
  value: unknown,
  expected: string,
  nearest: readonly string[] = [],
): DropwatchError {
  return new DropwatchError(
    "BAD_CONFIG",
    `Cannot use ${key} = ${quote(value)} in ${file}: expected ${expected}${suggest(nearest)}`,
    { place: { file }, data: { key, value, expected, nearest } },
  );
}

export function unknownConfigKey(
  file: string,
  key: string,
  nearest: readonly string[],
): DropwatchError {
  return new DropwatchError(
    "UNKNOWN_CONFIG_KEY",
    `Cannot use ${quote(key)} in ${file}: there is no such key${suggest(nearest)}`,
    { place: { file }, data: { key, nearest } },
  );
}

export function unreadableFile(file: string, cause: unknown): DropwatchError {
  return new DropwatchError(
    "UNREADABLE_FILE",
    `Cannot read ${file}: ${reasonOf(cause)}`,
    { place: { file }, cause },
  );
}

export function unknownSink(spec: string, nearest: readonly string[]): DropwatchError {
  return new DropwatchError(
    "UNKNOWN_SINK",
    `Cannot use --sink ${quote(spec)}: there is no such sink${suggest(nearest)}`,
    { data: { spec, nearest } },
  );
}

export function unknownSource(spec: string, nearest: readonly string[]): DropwatchError {
  return new DropwatchError(
    "UNKNOWN_SOURCE",
    `Cannot use --source ${quote(spec)}: there is no such source${suggest(nearest)}`,
    { data: { spec, nearest } },
  );
}

export function badSinkOption(sink: string, message: string): DropwatchError {
  return new DropwatchError("BAD_SINK_OPTION", `Cannot set up the sink ${sink}: ${message}`, {
    data: { sink },
  });
}

// --- rules --------------------------------------------------------------------------------------

export function notARule(place: Place, found: string): DropwatchError {
  return new DropwatchError(
    "NOT_A_RULE",
    `Cannot load a rule: expected "export default rule({ … })" or an array of rules, found ${found}`,
    { place, exit: exitCode.finding, data: { found } },
  );
}

export function ruleSyntax(place: Place, message: string): DropwatchError {
  return new DropwatchError("RULE_SYNTAX", message, { place, exit: exitCode.finding });
}

export function ruleThrew(place: Place, message: string): DropwatchError {
  return new DropwatchError("RULE_THREW", `Cannot load the rule: it threw ${message}`, {
    place,
    exit: exitCode.finding,
  });
}

export function ruleHung(place: Place, seconds: number, doing: string): DropwatchError {
  return new DropwatchError(
    "RULE_HUNG",
    `Cannot ${doing} the rule: it did not return within ${seconds} s`,
    { place, exit: exitCode.finding, data: { seconds, doing } },
  );
}

export function ruleCrashed(place: Place, doing: string, how: string): DropwatchError {
  return new DropwatchError(
    "RULE_CRASHED",
    `Cannot ${doing} the rule: the rule host ended (${how})`,
    { place, exit: exitCode.finding, data: { doing, how } },
  );
}

export function textFailed(place: Place, text: string, message: string): DropwatchError {
  return new DropwatchError(
    "TEXT_FAILED",
    `Cannot make the ${text} of an alert: ${message}; it goes out with a plain one`,
    { place, exit: exitCode.finding, data: { text } },
  );
}

export function hostFailed(how: string): DropwatchError {
  return new DropwatchError(
    "HOST_FAILED",
    `Cannot start the rule host, the process that runs rules: ${how}; its messages are above`,
    { exit: exitCode.usage, data: { how } },
  );
}

export function ruleMistake(
  place: Place,
  what: string,
  value: unknown,
  expected: string,
  nearest: readonly string[] = [],
): DropwatchError {
  return new DropwatchError(
    "RULE_MISTAKE",
    `${what} ${quote(value)}: ${expected}${suggest(nearest)}`,
    { place, exit: exitCode.finding, data: { what, value, expected, nearest } },
  );
}

export function duplicateAlert(place: Place, alert: string, first: Place): DropwatchError {
  return new DropwatchError(
    "DUPLICATE_ALERT",
    `The alert name ${quote(alert)} is taken: ${showPlace(first)} has it, each rule needs its own`,
    { place, exit: exitCode.finding, data: { alert } },
  );
}

export function unavailableField(place: Place, field: string, why: string): DropwatchError {
  return new DropwatchError(
    "UNAVAILABLE_FIELD",
    `The field ${quote(field)} is not to be had on this machine: ${why}`,
    { place, exit: exitCode.finding, data: { field, why } },
  );
}

export function tooManyKeySets(place: Place, limit: number): DropwatchError {
  return new DropwatchError(
    "TOO_MANY_KEY_SETS",
    `The rule counts by a set of fields of its own, and there are ${limit} sets already: ` +
      `use a "by" that another rule has`,
    { place, exit: exitCode.finding, data: { limit } },
  );
}

export function noRules(where: string): DropwatchError {
  return new DropwatchError(
    "NO_RULES",
    `Cannot find a rule in ${where}: no file *.ts there exports one`,
    { exit: exitCode.usage, data: { where } },
  );
}

export function badDuration(text: unknown): DropwatchError {
  return new DropwatchError(
    "BAD_DURATION",
    `Cannot read the duration ${quote(text)}: expected one like "500ms", "10s", "5m", "1h30m"`,
    { data: { text } },
  );
}

// --- sources ------------------------------------------------------------------------------------

export function noRoot(command: string): DropwatchError {
  return new DropwatchError(
    "NO_ROOT",
    `Cannot attach to the kernel without root. Run it as root: sudo ${command}\n` +
      `or let only bpftrace be root: --bpftrace "sudo -n bpftrace"`,
    { exit: exitCode.source, data: { command } },
  );
}

export function noBpftrace(program: string, install: string): DropwatchError {
  return new DropwatchError(
    "NO_BPFTRACE",
    `Cannot find ${quote(program)}. Install it: ${install}`,
    { exit: exitCode.source, data: { program, install } },
  );
}

export function noTracepoint(release: string): DropwatchError {
  return new DropwatchError(
    "NO_TRACEPOINT",
    `Cannot find the tracepoint skb:kfree_skb on Linux ${release}: a kernel with CONFIG_TRACEPOINTS ` +
      `and tracefs at /sys/kernel/tracing is needed (mount -t tracefs tracefs /sys/kernel/tracing)`,
    { exit: exitCode.source, data: { release } },
  );
}

export function noReasonField(release: string): DropwatchError {
  return new DropwatchError(
    "NO_REASON_FIELD",
    `Cannot read drop reasons on Linux ${release}: skb:kfree_skb has no field "reason" there; ` +
      `Linux 5.17 or later is needed`,
    { exit: exitCode.source, data: { release } },
  );
}

export function bpftraceFailed(how: string, output: string): DropwatchError {
  return new DropwatchError(
    "BPFTRACE_FAILED",
    `Cannot run the program in bpftrace: ${how}${output === "" ? "" : `\n${output}`}`,
    { exit: exitCode.source, data: { how, output } },
  );
}

export function programRefused(output: string): DropwatchError {
  return new DropwatchError(
    "PROGRAM_REFUSED",
    `Cannot load the program: the kernel refuses it as too large or too complex: ` +
      `use fewer rules, or fewer fields in one rule\n${output}`,
    { exit: exitCode.source, data: { output } },
  );
}

export function badCapture(file: string, line: number, message: string): DropwatchError {
  return new DropwatchError("BAD_CAPTURE", `Cannot replay: ${message}`, {
    place: { file, line },
    exit: exitCode.source,
  });
}

export function unknownReason(name: string, nearest: readonly string[]): DropwatchError {
  return new DropwatchError(
    "UNKNOWN_REASON",
    `Cannot find the drop reason ${quote(name)} on this kernel${suggest(nearest)}`,
    { data: { name, nearest } },
  );
}

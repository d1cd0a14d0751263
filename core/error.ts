// Every error that dropwatch raises on purpose is made here, so that each has a code, names the
// value that was wrong, and says what would be right. docs/errors.md lists the codes.

import { inspect } from "node:util";

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

/** An error as compilers print it: `file:line:column: message [CODE]`. */
export function showError(error: DropwatchError): string {
  const place = error.place === undefined ? "" : `${showPlace(error.place)}: `;
  return `${place}${error.message} [${error.code}]`;
}

/** A string from a stranger, quoted and with control characters escaped, cut at 80 characters. */
export function quote(value: unknown): string {
  const text = typeof value === "string" ? value : asText(value);
  const cut = text.length > 80 ? `${text.slice(0, 79)}…` : text;
  return `"${printable(cut)}"`;
}

function asText(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return inspect(value, { depth: 1, breakLength: Infinity }); // 10n, or what holds itself.
  }
}

/**
 * Text that a stranger chose, made safe for a terminal or a log line: control characters, quotes
 * that would end a quotation, and bidirectional overrides become escapes.
 */
export function printable(text: string): string {
  return text.replace(unsafe, (c) => {
    const code = c.charCodeAt(0);
    return code < 256
      ? `\\x${code.toString(16).padStart(2, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

const unsafe =
  // deno-lint-ignore no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * A value as JSON in one line. JSON lets most of what {@linkcode printable} escapes through; here it
 * is escaped too, in JSON's own way, so that the line is as safe to look at as to read.
 */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value)
    .replace(unsafe, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The message of anything that was thrown, safe to print. */
export function reasonOf(thrown: unknown): string {
  return printable(thrown instanceof Error ? thrown.message : String(thrown));
}

function suggest(nearest: readonly string[]): string {
  if (nearest.length === 0) return "";
  return `; nearest: ${nearest.join(", ")}`;
}

function cannotSetUp(sink: string): string {
  return `Cannot set up the sink ${sink}: `;
}

/** What is wrong with a sink, under the name that the config gives it, and with the config's file. */
export function ofSink(
  { code, message, data, place }: DropwatchError,
  { name, kind, file }: {
    readonly name: string;
    readonly kind: string;
    readonly file: string | undefined;
  },
): DropwatchError {
  const called = name === kind ? name : `${printable(name)} (${kind})`;
  return new DropwatchError(code, message.replace(cannotSetUp(kind), () => cannotSetUp(called)), {
    place: place ?? (file === undefined ? undefined : { file }),
    data: { ...data, sink: name },
  });
}

/** What is wrong with the options of an exporter of metrics, which are checked as those of a sink. */
export function ofExporter(
  { message }: DropwatchError,
  { name, file }: { readonly name: string; readonly file: string | undefined },
): DropwatchError {
  const bad = badExporterOption(name, message.replace(cannotSetUp(name), ""));
  return new DropwatchError(bad.code, bad.message, {
    place: file === undefined ? undefined : { file },
    data: bad.data,
  });
}

/** What is wrong with routes of the config whose sinks `--sink` has taken the place of. */
export function ofReplacedSinks({ code, message, data, place }: DropwatchError): DropwatchError {
  return new DropwatchError(
    code,
    `${message}; --sink takes the place of all sinks of the config, and its routes name those`,
    { place, data },
  );
}

// --- command line and config ------------------------------------------------------------------

/** An option that the command doesn't have. `dropwatch COMMAND --help` lists those it has. */
export function unknownOption(option: string, nearest: readonly string[]): DropwatchError {
  return new DropwatchError(
    "UNKNOWN_OPTION",
    `Cannot read the option ${quote(option)}: there is no such option${suggest(nearest)}`,
    { data: { option, nearest } },
  );
}

/** The first word is no command. `dropwatch --help` lists the commands. */
export function unknownCommand(command: string, nearest: readonly string[]): DropwatchError {
  return new DropwatchError(
    "UNKNOWN_COMMAND",
    `Cannot run ${quote(command)}: there is no such command${suggest(nearest)}`,
    { data: { command, nearest } },
  );
}

/** A command has verbs, and the word behind it is none: `silence add`, `outbox list`. */
export function unknownVerb(
  command: string,
  word: string,
  verbs: readonly string[],
  nearest: readonly string[],
): DropwatchError {
  return new DropwatchError(
    "UNKNOWN_VERB",
    `Cannot run ${command} ${quote(word)}: expected ${verbs.join(", ")}${suggest(nearest)}`,
    { data: { command, word, verbs, nearest } },
  );
}

/** An option has no value, one that can't be used, or more than one where it takes one. */
export function badOption(option: string, value: unknown, expected: string): DropwatchError {
  return new DropwatchError(
    "BAD_OPTION",
    `Cannot use --${option} ${quote(value)}: expected ${expected}`,
    { data: { option, value, expected } },
  );
}

/** A command that takes no words, or one, was given more. */
export function unexpectedArgument(command: string, argument: string): DropwatchError {
  return new DropwatchError(
    "UNEXPECTED_ARGUMENT",
    `Cannot run ${command} with ${quote(argument)}: it takes no such argument; ` +
      `dropwatch ${command} --help shows what it takes`,
    { data: { command, argument } },
  );
}

/**
 * A command wasn't told what to work on: rules for `watch`, `check` and `explain`, a name for
 * `reason`, a file for `record`.
 */
export function missingArgument(command: string, argument: string): DropwatchError {
  return new DropwatchError(
    "MISSING_ARGUMENT",
    `Cannot run ${command}: it needs ${argument}`,
    { data: { command, argument } },
  );
}

/**
 * A key of the config has a value of another type or out of bounds, or the file exports no config
 * as its default.
 */
export function badConfig(
  file: string,
  key: string,
  value: unknown,
  expected: string,
  nearest: readonly string[] = [],
): DropwatchError {
  return new DropwatchError(
    "BAD_CONFIG",
    `Cannot use ${key} = ${quote(value)}: expected ${expected}${suggest(nearest)}`,
    { place: { file }, data: { key, value, expected, nearest } },
  );
}

/** A config can't be read as TypeScript, imports a file that isn't there, or threw an exception. */
export function brokenConfig(place: Place, message: string, cause?: unknown): DropwatchError {
  return new DropwatchError("BROKEN_CONFIG", `Cannot use the config: ${message}`, { place, cause });
}

/** The config has a key that means nothing. docs/config.md lists the keys. */
export function unknownConfigKey(
  file: string,
  key: string,
  nearest: readonly string[],
): DropwatchError {
  return new DropwatchError(
    "UNKNOWN_CONFIG_KEY",
    `Cannot use the key ${quote(key)}: there is no such key${suggest(nearest)}`,
    { place: { file }, data: { key, nearest } },
  );
}

/** What the system said of a file, without its name: the place of the error has that. */
function readReason(cause: unknown): string {
  const code = (cause as { code?: unknown } | null)?.code;
  if (code === "ENOENT") return "there is no such file or folder";
  if (code === "EACCES" || code === "EPERM") return "permission denied";
  if (code === "EISDIR") return "it is a folder";
  return reasonOf(cause);
}

/** A file or folder that was named isn't there, or can't be read. */
export function unreadableFile(file: string, cause: unknown): DropwatchError {
  return new DropwatchError(
    "UNREADABLE_FILE",
    `Cannot read it: ${readReason(cause)}`,
    { place: { file }, cause },
  );
}

/** `--sink`, `sinks` in the config or `dropwatch sink test` names a sink that there isn't. */
export function unknownSink(
  spec: string,
  known: readonly string[],
  nearest: readonly string[],
): DropwatchError {
  return new DropwatchError(
    "UNKNOWN_SINK",
    `Cannot use the sink ${quote(spec)}: expected one of ${known.join(", ")}${suggest(nearest)}`,
    { data: { spec, known, nearest } },
  );
}

/** `--source`, or `source` in the config, names a source that there isn't. */
export function unknownSource(spec: string, known: readonly string[]): DropwatchError {
  return new DropwatchError(
    "UNKNOWN_SOURCE",
    `Cannot use the source ${quote(spec)}: expected ${known.join(" or ")}`,
    { data: { spec, known } },
  );
}

/**
 * A sink can't be set up with what it was given: a webhook's URL that isn't http or https, or a
 * secret of another form.
 */
export function badSinkOption(sink: string, message: string): DropwatchError {
  return new DropwatchError("BAD_SINK_OPTION", `${cannotSetUp(sink)}${message}`, {
    data: { sink },
  });
}

/** A sink in the config has an option that it doesn't know. docs/sinks.md lists them. */
export function unknownSinkOption(
  sink: string,
  option: string,
  nearest: readonly string[],
): DropwatchError {
  return new DropwatchError(
    "UNKNOWN_SINK_OPTION",
    `${cannotSetUp(sink)}it has no option ${quote(option)}${suggest(nearest)}`,
    { data: { sink, option, nearest } },
  );
}

/** `--metrics`, or `metrics` in the config, names an exporter of metrics that there isn't. */
export function unknownExporter(
  spec: string,
  known: readonly string[],
  nearest: readonly string[],
  place: Place | undefined,
): DropwatchError {
  return new DropwatchError(
    "UNKNOWN_EXPORTER",
    `Cannot use the exporter ${quote(spec)}: expected ${known.join(" or ")}${suggest(nearest)}`,
    { place, data: { spec, known, nearest } },
  );
}

/**
 * An exporter of metrics can't be set up with what it was given: a URL that isn't http or https, a secret
 * that isn't there, or an option that it doesn't know. docs/metrics.md lists them.
 */
export function badExporterOption(exporter: string, message: string): DropwatchError {
  return new DropwatchError(
    "BAD_EXPORTER_OPTION",
    `Cannot set up the exporter ${exporter}: ${message}`,
    { data: { exporter } },
  );
}

/** A matcher of a route, a silence or an inhibition can't be read, or its pattern is none of RE2's. */
export function badMatcher(text: string, expected: string): DropwatchError {
  return new DropwatchError(
    "BAD_MATCHER",
    `Cannot read the matcher ${quote(text)}: expected ${expected}`,
    { data: { text, expected } },
  );
}

/** A silence has no matcher, matches everything, or its texts are too long. */
export function badSilence(message: string): DropwatchError {
  return new DropwatchError("BAD_SILENCE", `Cannot make the silence: ${message}`);
}

/** There are as many silences that aren't over as there may be. */
export function tooManySilences(most: number): DropwatchError {
  return badSilence(`there are ${most} that aren't over: expire some`);
}

// --- looking --------------------------------------------------------------------------------------

/** What was asked of the history, or of stacks, can't be answered. */
export function badQuery(
  message: string,
  value: string,
  possible: readonly string[],
  near: readonly string[] = [],
): DropwatchError {
  return new DropwatchError(
    "BAD_QUERY",
    `Cannot look up ${quote(value)}: ${message}; expected ${possible.join(", ")}` +
      suggest(near),
    { data: { value, possible } },
  );
}

/** The history can't tell drops apart by a field: there is none, it costs too much, or isn't to be had. */
export function badHistoryField(
  field: string,
  possible: readonly string[],
  near: readonly string[],
  why?: string,
): DropwatchError {
  return new DropwatchError(
    "BAD_HISTORY_FIELD",
    `Cannot keep a history by ${quote(field)}: ` +
      (why ?? `expected some of ${possible.join(", ")}`) + suggest(near),
    { data: { field, possible }, exit: exitCode.usage },
  );
}

/** `top` draws on a terminal that can move its cursor, and there is none. */
export function needsTerminal(why: string): DropwatchError {
  return new DropwatchError(
    "NEEDS_TERMINAL",
    `Cannot draw: ${why}; \`dropwatch top --once\` prints a table instead`,
    { data: { why } },
  );
}

/** What another dropwatch was asked for with `--connect` didn't come, or isn't as it must be. */
export function cannotConnect(url: string, why: string): DropwatchError {
  return new DropwatchError(
    "CANNOT_CONNECT",
    `Cannot look at ${quote(url)}: ${printable(why)}`,
    { data: { url, why }, exit: exitCode.source },
  );
}

// --- rules --------------------------------------------------------------------------------------

/**
 * A rule file was run, and its default export is neither a rule nor an array of rules. A file that
 * rules import from belongs under a name that begins with `_`.
 */
export function notARule(place: Place, found: string): DropwatchError {
  return new DropwatchError(
    "NOT_A_RULE",
    `Cannot load a rule: expected "export default rule({ … })" or an array of rules, found ${found}`,
    { place, exit: exitCode.finding, data: { found } },
  );
}

/** A rule file can't be read as TypeScript, or imports a file that isn't there. */
export function ruleSyntax(place: Place, message: string): DropwatchError {
  return new DropwatchError("RULE_SYNTAX", message, { place, exit: exitCode.finding });
}

/** A rule file threw an exception while it was being loaded. The other files are loaded. */
export function ruleThrew(place: Place, message: string): DropwatchError {
  return new DropwatchError("RULE_THREW", `Cannot load the rule: it threw ${message}`, {
    place,
    exit: exitCode.finding,
  });
}

/**
 * The code of a rule ran for longer than it may. The process that ran it was killed and started
 * again; the other rules go on.
 */
export function ruleHung(place: Place, seconds: number, doing: string): DropwatchError {
  return new DropwatchError(
    "RULE_HUNG",
    `Cannot ${doing} the rule: it did not return within ${seconds} s`,
    { place, exit: exitCode.finding, data: { seconds, doing } },
  );
}

/**
 * The process that runs rules ended in the middle of this rule's code. It is started again for the
 * other rules.
 */
export function ruleCrashed(place: Place, doing: string, how: string): DropwatchError {
  return new DropwatchError(
    "RULE_CRASHED",
    `Cannot ${doing} the rule: the rule host ended (${how})`,
    { place, exit: exitCode.finding, data: { doing, how } },
  );
}

/**
 * The `summary` or `description` of a rule threw an exception, or returned something else than a
 * text, when an alert changed its state. The alert goes out all the same.
 */
export function textFailed(place: Place, text: string, message: string): DropwatchError {
  return new DropwatchError(
    "TEXT_FAILED",
    `Cannot make the ${text} of an alert: ${message}; it goes out with a plain one`,
    { place, exit: exitCode.finding, data: { text } },
  );
}

/**
 * The process that ran this rule's code had taken too much memory, and was ended; or it took more and
 * more until its time was over. It is started again for the other rules.
 */
export function ruleTooLarge(place: Place, megabytes: number, doing: string): DropwatchError {
  return new DropwatchError(
    "RULE_TOO_LARGE",
    `Cannot ${doing} the rule: it takes more than ${megabytes} MB of memory`,
    { place, exit: exitCode.finding, data: { megabytes, doing } },
  );
}

/** The code of a rule printed without end, and its process was ended. */
export function ruleFloods(place: Place, doing: string): DropwatchError {
  return new DropwatchError("RULE_FLOODS", `Cannot ${doing} the rule: it prints without end`, {
    place,
    exit: exitCode.finding,
    data: { doing },
  });
}

/**
 * A filter, `each` or `tick` of a rule threw an exception, or returned something else than it must. The
 * alerts of the rule stay as they are until it has run again.
 */
export function codeFailed(place: Place, code: string, message: string): DropwatchError {
  return new DropwatchError("CODE_FAILED", `Cannot run the ${code} of a rule: ${message}`, {
    place,
    exit: exitCode.finding,
    data: { code },
  });
}

/** The code of a rule takes longer than there are ticks: some were left out for its rules. */
export function tooSlow(place: Place, ticks: number): DropwatchError {
  return new DropwatchError(
    "RULE_TOO_SLOW",
    `Cannot keep up: ${ticks} ticks wait for the code of the rule, and what comes is left out`,
    { place, exit: exitCode.finding, data: { ticks } },
  );
}

/** The process that runs rules ended three times before it was ready to run one. */
export function hostFailed(how: string): DropwatchError {
  return new DropwatchError(
    "HOST_FAILED",
    `Cannot start the rule host, the process that runs rules: ${how}; its messages are above`,
    { exit: exitCode.usage, data: { how } },
  );
}

/** Something in a rule is not as it must be. The message has the value and what would be right. */
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

/** Two rules have the same alert name. The one that was read first is kept. */
export function duplicateAlert(place: Place, alert: string, first: Place): DropwatchError {
  return new DropwatchError(
    "DUPLICATE_ALERT",
    `The alert name ${quote(alert)} is taken: ${showPlace(first)} has it, each rule needs its own`,
    { place, exit: exitCode.finding, data: { alert } },
  );
}

/**
 * `overrides` in the config names a rule that there isn't, or overrides the threshold of one that has no
 * such thing. The rules are loaded as they are.
 */
export function badOverride(
  alert: string,
  message: string,
  nearest: readonly string[],
): DropwatchError {
  return new DropwatchError(
    "BAD_OVERRIDE",
    `Cannot override the rule ${quote(alert)}: ${message}${suggest(nearest)}`,
    { exit: exitCode.finding, data: { alert, nearest } },
  );
}

/**
 * A route or an inhibition of the config is about an alert that none of the rules makes: a warning, since
 * such a rule may come while `watch` runs.
 */
export function noSuchAlert(
  file: string,
  key: string,
  alert: string,
  nearest: readonly string[],
): DropwatchError {
  return new DropwatchError(
    "NO_SUCH_ALERT",
    `${key} is about ${quote(alert)}, and no rule has that name${suggest(nearest)}`,
    { place: { file }, exit: exitCode.finding, data: { key, alert, nearest } },
  );
}

/** Another plan is needed for rules that were reloaded, and the source can't change its plan. */
export function noReplan(source: string): DropwatchError {
  return new DropwatchError(
    "NO_REPLAN",
    `Cannot reload: the source ${source} can't count anything else while it runs; start dropwatch again`,
    { exit: exitCode.finding, data: { source } },
  );
}

/**
 * A rule uses a field that the kernel, or the capture, doesn't give. docs/fields.md says what each
 * field needs.
 */
export function unavailableField(place: Place, field: string, why: string): DropwatchError {
  return new DropwatchError(
    "UNAVAILABLE_FIELD",
    `The field ${quote(field)} is not to be had on this machine: ${why}`,
    { place, exit: exitCode.finding, data: { field, why } },
  );
}

/**
 * There is no rule file where rules were looked for: no `*.ts` or `*.js`, or only tests and files
 * whose name begins with `_` or `.`.
 */
export function noRules(where: string): DropwatchError {
  return new DropwatchError(
    "NO_RULES",
    `Cannot find a rule in ${where}: there is no *.ts or *.js that isn't a test and whose name ` +
      `doesn't begin with . or _`,
    { exit: exitCode.usage, data: { where } },
  );
}

/** There is no test of a rule where tests were looked for: no `*.test.ts` or `*.test.js`. */
export function noRuleTests(where: string): DropwatchError {
  return new DropwatchError(
    "NO_RULE_TESTS",
    `Cannot find a test in ${where}: there is no *.test.ts or *.test.js; \`dropwatch new NAME\` writes a ` +
      `rule with its test`,
    { exit: exitCode.usage, data: { where } },
  );
}

/** A file that was to be written is there already. */
export function fileExists(file: string): DropwatchError {
  return new DropwatchError("FILE_EXISTS", "Cannot write it: it is there already", {
    place: { file },
  });
}

/** The name of a new rule can't be that of an alert. */
export function badAlertName(name: string): DropwatchError {
  return new DropwatchError(
    "BAD_ALERT_NAME",
    `Cannot name an alert ${quote(name)}: expected letters and digits, as in SocketFilterDrops`,
    { data: { name } },
  );
}

/**
 * A text is no duration, or one of zero: a number and `ms`, `s`, `m`, `h` or `d`, several of them
 * with the larger first.
 */
export function badDuration(text: unknown): DropwatchError {
  return new DropwatchError(
    "BAD_DURATION",
    `Cannot read the duration ${quote(text)}: expected one like "500ms", "10s", "5m", "1h30m"`,
    { data: { text } },
  );
}

/** The folder of `--state` is used by another dropwatch that still runs. */
export function stateInUse(folder: string): DropwatchError {
  return new DropwatchError(
    "STATE_IN_USE",
    "Cannot use the state: another dropwatch runs on it; give each its own --state",
    { place: { file: folder } },
  );
}

/** The folder of `--state` can't be written, or the database in it is damaged or of a later version. */
export function badState(file: string, cause: unknown): DropwatchError {
  return new DropwatchError(
    "BAD_STATE",
    `Cannot open the state: ${readReason(cause)}; where it is damaged, move it away to begin anew`,
    { place: { file }, cause },
  );
}

/**
 * There is no state in the folder of `--state`, or no folder was named: silences, the outbox and what
 * became of alerts are kept where `watch` runs with `--state`.
 */
export function noState(folder: string | undefined): DropwatchError {
  return new DropwatchError(
    "NO_STATE",
    folder === undefined
      ? "Cannot find a state: --state DIR (or `state` in dropwatch.config.ts) names the folder that `watch` " +
        "keeps it in"
      : "Cannot find a state: there is none in this folder; `dropwatch watch --state DIR` makes one",
    { place: folder === undefined ? undefined : { file: folder }, data: { folder } },
  );
}

/** No silence, message or alert has an id that begins so, or several have. */
export function unknownId(
  what: string,
  written: string,
  several: readonly string[],
): DropwatchError {
  return new DropwatchError(
    "UNKNOWN_ID",
    `Cannot find the ${what} ${quote(written)}: ${
      several.length === 0 ? "there is none" : `several begin so: ${several.join(", ")}`
    }`,
    { data: { what, written, several } },
  );
}

/** A case of a rule's test isn't as it must be, or two have the same name. */
export function badRuleTest(
  where: string,
  value: unknown,
  expected: string,
  nearest: readonly string[] = [],
): DropwatchError {
  return new DropwatchError(
    "BAD_RULE_TEST",
    `Cannot read ${where}: ${quote(value)}: ${expected}${suggest(nearest)}`,
    { exit: exitCode.finding, data: { where, value, expected, nearest } },
  );
}

/** The rule did something else than its test says. The message has the time, and what each said. */
export function ruleTestFailed(message: string): DropwatchError {
  return new DropwatchError("RULE_TEST_FAILED", message, { exit: exitCode.finding });
}

// --- sources ------------------------------------------------------------------------------------

/**
 * A list in `where` names a drop reason that this kernel hasn't got, beside others that it has. It is a
 * warning: the rule counts those.
 */
export function reasonMissing(place: Place, name: string): DropwatchError {
  return new DropwatchError(
    "REASON_MISSING",
    `bad reason ${quote(name)}: this kernel has no such drop reason; ` +
      "the rule counts the others of its list",
    { place, exit: exitCode.done, data: { value: name } },
  );
}

/**
 * bpftrace was refused what only root may do. dropwatch needs no root itself: it is enough that the
 * command of `--bpftrace` is run as root.
 */
export function noRoot(command: string): DropwatchError {
  return new DropwatchError(
    "NO_ROOT",
    `Cannot attach to the kernel without root. Run it as root: sudo ${command}\n` +
      `or let only bpftrace be root: --bpftrace "sudo -n bpftrace"`,
    { exit: exitCode.source, data: { command } },
  );
}

/** The program that is to be run as bpftrace, or the one that is to run it, isn't there. */
export function noBpftrace(program: string, remedy: string): DropwatchError {
  return new DropwatchError(
    "NO_BPFTRACE",
    `Cannot find ${quote(program)}: ${remedy}`,
    { exit: exitCode.source, data: { program, remedy } },
  );
}

/** Neither the tracepoint's format file nor the kernel's types (BTF) can be read. */
export function noTracepoint(release: string): DropwatchError {
  return new DropwatchError(
    "NO_TRACEPOINT",
    `Cannot find the tracepoint skb:kfree_skb on Linux ${release}: a kernel with CONFIG_TRACEPOINTS ` +
      `and tracefs at /sys/kernel/tracing is needed (mount -t tracefs tracefs /sys/kernel/tracing)`,
    { exit: exitCode.source, data: { release } },
  );
}

/** The kernel is older than drop reasons. */
export function noReasonField(release: string): DropwatchError {
  return new DropwatchError(
    "NO_REASON_FIELD",
    `Cannot read drop reasons on Linux ${release}: skb:kfree_skb has no field "reason" there; ` +
      `Linux 5.17 or later is needed`,
    { exit: exitCode.source, data: { release } },
  );
}

/**
 * bpftrace ended before it had attached the program, for a reason that isn't known here. Its own
 * words follow the message.
 */
export function bpftraceFailed(how: string, output: string): DropwatchError {
  return new DropwatchError(
    "BPFTRACE_FAILED",
    `Cannot run the program in bpftrace: ${how}${output === "" ? "" : `\n${output}`}`,
    { exit: exitCode.source, data: { how, output } },
  );
}

/** The kernel's verifier refuses the program, also after conditions were moved out of it. */
export function programRefused(output: string): DropwatchError {
  return new DropwatchError(
    "PROGRAM_REFUSED",
    `Cannot load the program: the kernel refuses it as too large or too complex: ` +
      `use fewer rules, or fewer fields in one rule\n${output}`,
    { exit: exitCode.source, data: { output } },
  );
}

/**
 * The kernel's verifier takes the program, and its JIT compiler finds no layout for its jumps (error
 * 524), also with the branches in another order and with conditions moved out of it. It hangs on where
 * jumps happen to lie, so that any change may make it go away.
 */
export function programHasNoLayout(output: string): DropwatchError {
  return new DropwatchError(
    "PROGRAM_HAS_NO_LAYOUT",
    `Cannot load the program: the kernel's JIT compiler finds no layout for its jumps (error 524), ` +
      `in either order of its branches: add, change or leave out any rule, and it is another program\n` +
      output,
    { exit: exitCode.source, data: { output } },
  );
}

/**
 * The file of `--source replay:FILE` is no capture, is one of another version, or its times make no
 * sense. docs/captures.md describes the format.
 */
export function badCapture(file: string, line: number, message: string): DropwatchError {
  return new DropwatchError("BAD_CAPTURE", `Cannot replay: ${message}`, {
    place: { file, line },
    exit: exitCode.source,
  });
}

/** A capture has ticks of its own, and rules are to run in others that aren't made of whole ones. */
export function captureInterval(file: string, interval: number, own: number): DropwatchError {
  return new DropwatchError(
    "CAPTURE_INTERVAL",
    `Cannot replay in ticks of ${interval} ms: the capture has one every ${own} ms; ` +
      `expected --interval ${own}ms, or a multiple of it`,
    { place: { file }, data: { interval, own } },
  );
}

/** Rules sum up a field that the capture has no sums of: record again with `dropwatch record`. */
export function captureHasNoSum(
  file: string,
  field: string,
  fields: readonly string[],
): DropwatchError {
  return new DropwatchError(
    "CAPTURE_HAS_NO_SUM",
    `Cannot replay: a rule sums ${quote(field)}, and the capture has only ${fields.join(", ")}`,
    { place: { file }, exit: exitCode.source, data: { field, fields } },
  );
}

/** `record` doesn't write over a file that is there already. */
export function captureExists(file: string): DropwatchError {
  return new DropwatchError(
    "CAPTURE_EXISTS",
    `Cannot write it: there is such a file already; --force writes over it`,
    { place: { file } },
  );
}

/** A file that `record` is to write can't be made, or can't be written to: the disk may be full. */
export function unwritableFile(file: string, cause: unknown): DropwatchError {
  return new DropwatchError(
    "UNWRITABLE_FILE",
    `Cannot write it: ${readReason(cause)}`,
    { place: { file }, cause },
  );
}

/**
 * A name given to `reason`, or to `--reason`, is no drop reason of this kernel. `dropwatch reasons`
 * lists them.
 */
export function unknownReason(name: string, nearest: readonly string[]): DropwatchError {
  return new DropwatchError(
    "UNKNOWN_REASON",
    `Cannot find the drop reason ${quote(name)} on this kernel${suggest(nearest)}`,
    { data: { name, nearest } },
  );
}

// --- doctor -------------------------------------------------------------------------------------

/** `doctor` makes network namespaces, raw packets and firewall rules in them: that takes root. */
export function needsRoot(command: string): DropwatchError {
  return new DropwatchError(
    "NEEDS_ROOT",
    `Cannot make network namespaces without root. Run it as root: sudo ${command}`,
    { exit: exitCode.source, data: { command } },
  );
}

/** A command that `doctor` sets its network namespaces up with isn't there: ip, tc, nft, unshare, nsenter. */
export function noTool(tool: string, source: string): DropwatchError {
  return new DropwatchError(
    "NO_TOOL",
    `Cannot find ${quote(tool)}: install the package ${source}`,
    { exit: exitCode.source, data: { tool, source } },
  );
}

/**
 * A command that `doctor` sets its network namespaces up with failed: this kernel lacks what it asks
 * for, or a container isn't allowed to. Its own words follow the message.
 */
export function toolFailed(command: string, output: string): DropwatchError {
  return new DropwatchError(
    "TOOL_FAILED",
    `Cannot run ${quote(command)}: ${printable(output.trim())}`,
    { exit: exitCode.source, data: { command, output } },
  );
}

/**
 * The kernel refused a system call with which `doctor` was about to cause a drop, or the sink `syslog` to
 * reach its socket.
 */
export function systemCallFailed(call: string, reason: string): DropwatchError {
  return new DropwatchError("SYSTEM_CALL_FAILED", `Cannot ${call}: ${reason}`, {
    exit: exitCode.source,
    data: { call, reason },
  });
}

/**
 * The C library isn't where it is looked for. `doctor` and the sink `syslog` call it for sockets that
 * JavaScript has no words for.
 */
export function noLibc(names: readonly string[], cause: unknown): DropwatchError {
  return new DropwatchError(
    "NO_LIBC",
    `Cannot open the C library (${names.join(", ")}): ${reasonOf(cause)}`,
    { exit: exitCode.source, data: { names }, cause },
  );
}

/** A process that `doctor` lets send or receive ended, or could not do what it was told. */
export function peerFailed(name: string, doing: string, how: string): DropwatchError {
  return new DropwatchError("PEER_FAILED", `Cannot ${doing} as ${name}: ${printable(how)}`, {
    exit: exitCode.source,
    data: { name, doing, how },
  });
}

// --- the server and its API ---------------------------------------------------------------------

/** The address of `--listen` has none of the forms that there are. */
export function badAddress(address: string): DropwatchError {
  return new DropwatchError(
    "BAD_ADDRESS",
    `Cannot listen on ${quote(address)}: expected PORT (this machine only), HOST:PORT, ` +
      "[IPV6]:PORT, :PORT (every address) or unix:/PATH, with a port from 0 to 65535",
    { data: { address } },
  );
}

/** Other machines can reach the address of `--listen`, and there is no token that they have to know. */
export function needsToken(address: string): DropwatchError {
  return new DropwatchError(
    "NEEDS_TOKEN",
    `Cannot listen on ${quote(address)} without a token: other machines can reach it. Give one ` +
      "(openssl rand -hex 32 makes one), or listen on 127.0.0.1",
    { data: { address } },
  );
}

/** The server's token is too easy to guess, or can't be sent in a header. The token isn't told. */
export function badToken(): DropwatchError {
  return new DropwatchError(
    "BAD_TOKEN",
    "Cannot use the token of the server: expected 16 to 512 visible ASCII characters without " +
      "spaces; openssl rand -hex 32 makes one",
  );
}

/** Another program listens on the address of `--listen`. */
export function addressTaken(address: string): DropwatchError {
  return new DropwatchError(
    "ADDRESS_TAKEN",
    `Cannot listen on ${quote(address)}: it is taken. Choose another port; ` +
      "ss -ltnpx shows who has it",
    { data: { address } },
  );
}

/** The kernel refuses the address of `--listen`: no right to it, or this machine doesn't have it. */
export function cannotListen(address: string, reason: string): DropwatchError {
  return new DropwatchError(
    "CANNOT_LISTEN",
    `Cannot listen on ${quote(address)}: ${printable(reason)}`,
    { data: { address, reason } },
  );
}

/** The API was asked with a parameter that it doesn't have there (status 400). */
export function unknownParameter(name: string, nearest: readonly string[]): DropwatchError {
  return new DropwatchError(
    "UNKNOWN_PARAMETER",
    `Cannot ask for ${quote(name)}: there is no such parameter${suggest(nearest)}`,
    { data: { name, nearest } },
  );
}

/** A parameter of the API has a value that can't be used, or more than one (status 400). */
export function badParameter(name: string, value: unknown, problem: string): DropwatchError {
  return new DropwatchError(
    "BAD_PARAMETER",
    `Cannot use ${quote(value)} for ${printable(name)}: ${printable(problem)}`,
    { data: { name, value, problem } },
  );
}

/** What was sent to the API is no JSON, or lacks something, or has too much (status 400). */
export function badBody(problem: string): DropwatchError {
  return new DropwatchError("BAD_BODY", `Cannot read what was sent: ${printable(problem)}`, {
    data: { problem },
  });
}

/** The request isn't as HTTP wants it: two `Host` headers, or a target that is no path (status 400). */
export function badRequest(problem: string): DropwatchError {
  return new DropwatchError("BAD_REQUEST", `Cannot answer the request: ${problem}`, {
    data: { problem },
  });
}

/** The API wants the token, and there was none, or another one (status 401). */
export function unauthorized(problem: string): DropwatchError {
  return new DropwatchError(
    "UNAUTHORIZED",
    `Cannot answer without the token: ${problem}. Send it as Authorization: Bearer TOKEN`,
    { data: { problem } },
  );
}

/**
 * The `Host` of a request isn't a name of this server, as where a web page lets its own name lead here
 * (status 403).
 */
export function foreignHost(host: string): DropwatchError {
  return new DropwatchError(
    "FOREIGN_HOST",
    `Cannot answer as ${
      quote(host)
    }: it is none of this server's names. A proxy's name has to be ` +
      "among the allowed hosts",
    { data: { host } },
  );
}

/** A web page of another origin asks (status 403). */
export function foreignOrigin(origin: string): DropwatchError {
  return new DropwatchError(
    "FOREIGN_ORIGIN",
    `Cannot answer a page of ${
      quote(origin)
    }: only the server's own pages may ask. A proxy's name ` +
      "has to be among the allowed hosts",
    { data: { origin } },
  );
}

/** What the API was asked for isn't there (status 404). */
export function notFound(what: string, name: string, nearest: readonly string[]): DropwatchError {
  return new DropwatchError(
    "NOT_FOUND",
    `Cannot find ${what} ${quote(name)}${suggest(nearest)}`,
    { data: { what, name, nearest } },
  );
}

/** The path is there, but not with this method (status 405). */
export function methodNotAllowed(method: string, allowed: readonly string[]): DropwatchError {
  return new DropwatchError(
    "METHOD_NOT_ALLOWED",
    `Cannot ${printable(method)} this path: it takes ${allowed.join(", ")}`,
    { data: { method, allowed } },
  );
}

/** What was sent is larger than the API takes (status 413). */
export function bodyTooLarge(most: number): DropwatchError {
  return new DropwatchError("BODY_TOO_LARGE", `Cannot take more than ${most} bytes`, {
    data: { most },
  });
}

/** The path and query of a request are longer than the server reads (status 414). */
export function addressTooLong(most: number): DropwatchError {
  return new DropwatchError(
    "ADDRESS_TOO_LONG",
    `Cannot read a path and query of more than ${most} characters`,
    { data: { most } },
  );
}

/** A request, or its headers, took longer to arrive than the server waits (status 408). */
export function requestTooSlow(): DropwatchError {
  return new DropwatchError(
    "REQUEST_TOO_SLOW",
    "Cannot wait any longer for the rest of the request",
  );
}

/** The headers of a request are larger than the server reads (status 431). */
export function headersTooLarge(most: number): DropwatchError {
  return new DropwatchError(
    "HEADERS_TOO_LARGE",
    `Cannot read more than ${most} bytes of headers`,
    { data: { most } },
  );
}

/** What was sent isn't said to be JSON (status 415). */
export function notJson(type: string): DropwatchError {
  return new DropwatchError(
    "NOT_JSON",
    `Cannot read ${quote(type)}: send Content-Type: application/json`,
    { data: { type } },
  );
}

/** An address asks too often, or with too many wrong tokens (status 429). */
export function tooManyRequests(seconds: number): DropwatchError {
  return new DropwatchError(
    "TOO_MANY_REQUESTS",
    `Cannot answer so many requests of one address: wait ${seconds} s`,
    { data: { seconds } },
  );
}

/** There are as many streams of events as the server has room for, in all or of one address (status 503). */
export function tooManyStreams(problem: string): DropwatchError {
  return new DropwatchError(
    "TOO_MANY_STREAMS",
    `Cannot open another stream of events: ${problem}`,
    { data: { problem } },
  );
}

/** The server is up, but nothing is watched yet (status 503). */
export function notReady(): DropwatchError {
  return new DropwatchError(
    "NOT_READY",
    "Cannot tell yet: rules are being loaded, and nothing is watched so far",
  );
}

/** A mistake of dropwatch's own while it answered; the log has its text (status 500). */
export function internalFault(): DropwatchError {
  return new DropwatchError(
    "INTERNAL_FAULT",
    "Cannot answer: something went wrong in dropwatch; its log says what",
  );
}

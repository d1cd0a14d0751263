// Who loses packets now, live in the terminal: what htop is for processes. Or one look, for scripts.
import { hostname } from "node:os";
import process from "node:process";
import type { FieldName } from "../../core/drop/field.ts";
import {
  badOption,
  exitCode,
  needsTerminal,
  printable,
  showError,
  unknownReason,
} from "../../core/error.ts";
import { nearest } from "../../core/nearest.ts";
import { plural } from "../../core/number.ts";
import { showDuration } from "../../core/rule/duration.ts";
import { runPipeline } from "../../core/pipeline.ts";
import type { ReasonWorld } from "../../core/plan/predicate.ts";
import { findRuleFiles } from "../../core/rule/load.ts";
import { historyBy, usualHistoryFields } from "../../core/view/overview.ts";
import type { Command, Terminal } from "../command.ts";
import { endAfter } from "../ending.ts";
import type { Given } from "../option.ts";
import { watchRules } from "../rule_changes.ts";
import type { RuleChanges } from "../rule_changes.ts";
import { readRules, readSetting, readToken } from "../setting.ts";
import { newChoice } from "../top/choice.ts";
import type { Choice } from "../top/choice.ts";
import { connectTo } from "../top/connect.ts";
import { addTick, newCounted } from "../top/counted.ts";
import { feedOf } from "../top/feed.ts";
import type { Feed } from "../top/feed.ts";
import { jsonOnce, onceOf, showOnce } from "../top/once.ts";
import { sortKeys } from "../top/row.ts";
import type { Filter, SortKey } from "../top/row.ts";
import type { Screen, ScreenListeners } from "../top/screen.ts";
import { inOrder, openSession } from "../top/session.ts";

/** Rows of a table, and of JSON, where nobody says how many. */
const defaultLimit = 20;
const mostRows = 10_000;
/** Messages that are kept until the screen is closed. */
const mostMessages = 1000;
const usualBy: readonly FieldName[] = ["reason", "owner"];

export const topCommand: Command = {
  name: "top",
  usage: "[--rules DIR | --connect URL]",
  doc: "who loses packets now, live in the terminal; --once for scripts",
  options: [
    "by",
    "where",
    "sort",
    "once",
    "duration",
    "limit",
    "json",
    "connect",
    "token-file",
    "rules",
    "config",
    "interval",
    "source",
    "bpftrace",
    "max-keys",
  ],
  optionDocs: {
    by: "fields to group by, separated by commas (default: reason,owner)",
    rules: "rules to watch as well; nobody is told but the screen (several times)",
    limit: `rows of --once (default: ${defaultLimit})`,
    duration: "end after this time (default of --once: one interval)",
    json: "--once, as one JSON object a line",
    "token-file": "the token that the server of --connect wants (default: $DROPWATCH_TOKEN)",
  },
  examples: [
    "dropwatch top",
    "dropwatch top --by owner,dev --sort total",
    "dropwatch top --where reason=NO_SOCKET --by dport,saddr",
    "dropwatch top --rules rules/",
    "dropwatch top --connect http://127.0.0.1:8787",
    "dropwatch top --once --duration 10s",
    "dropwatch top --json --duration 10s | jq .data.labels",
  ],
  async run(given, terminal) {
    const asked = readAsked(given);
    const look = lookOf(given, terminal);
    const url = given.text("connect");
    return url === undefined
      ? await watchHere(asked, look, given, terminal)
      : await watchElsewhere(url, asked, look, given, terminal);
  },
};

/** What the command line asks to see. */
interface Asked {
  readonly by: readonly FieldName[];
  readonly sort: SortKey;
  readonly filters: readonly Filter[];
  readonly where: Readonly<Record<string, readonly string[]>>;
}

/** @throws DropwatchError BAD_OPTION. */
function readAsked(given: Given): Asked {
  const sort = (given.text("sort") ?? "rate") as SortKey;
  if (!sortKeys.includes(sort)) throw badOption("sort", sort, sortKeys.join(", "));
  const by =
    (given.text("by")?.split(",").map((field) => field.trim()) ?? usualBy) as readonly FieldName[];
  const twice = by.find((field, i) => by.indexOf(field) !== i);
  if (twice !== undefined) throw badOption("by", given.text("by"), "each field once");
  const where: Record<string, string[]> = Object.create(null);
  for (const text of given.list("where")) {
    const at = text.indexOf("=");
    if (at < 1) throw badOption("where", text, "FIELD=LABEL, such as reason=NO_SOCKET");
    (where[text.slice(0, at)] ??= []).push(text.slice(at + 1));
  }
  const filters = Object.keys(where).length === 0 ? [] : [{ is: where } as Filter];
  return { by, sort, filters, where };
}

/** How it is looked: on a screen, or once. */
type Look =
  | { readonly on: "screen"; readonly open: (listeners: ScreenListeners) => Screen }
  | { readonly on: "lines" };

/** @throws DropwatchError NEEDS_TERMINAL. */
function lookOf(given: Given, terminal: Terminal): Look {
  if (given.flag("once") || given.flag("json")) return { on: "lines" };
  if (!terminal.isTerminal) {
    terminal.log("standard output is no terminal: one look, as with --once");
    return { on: "lines" };
  }
  const term = process.env.TERM ?? "";
  if (term === "" || term === "dumb") {
    throw needsTerminal(`a terminal of the type "${term}" can't move its cursor`);
  }
  const open = terminal.openScreen;
  if (open === undefined) throw needsTerminal("standard input is no terminal to read keys from");
  return { on: "screen", open };
}

/** Counts in this process. */
async function watchHere(
  asked: Asked,
  look: Look,
  given: Given,
  terminal: Terminal,
): Promise<number> {
  const setting = await readSetting(given, terminal, { routed: false });
  const places = given.list("rules");
  const files = places.length === 0 ? [] : await findRuleFiles(places);
  const facts = await setting.source.facts();
  checkReasons(asked.where, facts.world);
  // Beside the usual ones the history has what is asked for.
  const usual = (setting.historyBy ?? usualHistoryFields as readonly string[])
    .filter((field) => facts.unavailable(field as FieldName) === undefined);
  const fields = historyBy([...usual, ...asked.by, ...Object.keys(asked.where)], facts);
  setting.source.prepare?.(setting.maxKeys);
  const rules = await readRules(files, setting, terminal);
  for (const error of [...rules.errors, ...rules.warnings]) terminal.log(showError(error));

  const over = new AbortController();
  // One look ends with a tick: what came after the last one would have no time.
  const ending = endAfter(
    AbortSignal.any([terminal.signal, over.signal]),
    look.on === "lines" ? undefined : given.time("duration"),
  );
  const end = (): void => over.abort();
  const { log, say, flush } = messagesOf(terminal);
  const time = given.time("duration") ?? setting.interval;
  let feed: Feed | undefined;
  let shown: Promise<void> | undefined;
  let changes: RuleChanges | undefined;
  try {
    const lines = look.on === "lines" ? linesOf(asked, fields, given, terminal) : undefined;
    terminal.status?.(`starting to count on ${facts.title}`);
    await runPipeline({
      source: setting.source,
      rules,
      sinks: [],
      interval: setting.interval,
      maxKeys: setting.maxKeys,
      overrides: setting.overrides,
      view: {
        host: hostname(),
        by: fields,
        onView(view) {
          feed = feedOf(view);
          lines?.count(feed, { time, end });
        },
      },
      onReload(reload) {
        changes?.stop();
        if (places.length > 0) changes = watchRules(places, rules, reload, log);
      },
      signal: ending.signal,
      log,
      onAttached() {
        ending.begin();
        terminal.status?.("");
        if (look.on === "lines") {
          return terminal.log(
            `counting drops on ${facts.title} for ${showDuration(time)}; Ctrl-C ends it`,
          );
        }
        const opened = openSession({
          feed: feed!,
          choice: choiceOf(asked),
          openScreen: look.open,
          signal: ending.signal,
          end,
        });
        shown = opened.then((session) => {
          say(session.say);
          return session.ended;
        });
        // Whoever waits for it below gets the error; until then the run is to end.
        shown.catch(end);
      },
    }).finally(() => changes?.stop());
    if (lines !== undefined) return lines.print();
  } finally {
    end();
    // The screen is closed first, whatever it was that ended the run.
    try {
      await shown;
    } finally {
      flush();
      await rules.host.close();
    }
  }
  return exitCode.done;
}

/** What a watch of another process, or machine, counts by itself. */
const ofOwnWatch = [
  "rules",
  "config",
  "interval",
  "source",
  "bpftrace",
  "max-keys",
] as const;

/** Shows what is counted elsewhere. */
async function watchElsewhere(
  url: string,
  asked: Asked,
  look: Look,
  given: Given,
  terminal: Terminal,
): Promise<number> {
  const surplus = ofOwnWatch.find((name) => given.list(name).length > 0);
  if (surplus !== undefined) {
    throw badOption(
      surplus,
      given.text(surplus),
      "none with --connect: the watch there has its own",
    );
  }
  const token = readToken(given);
  const over = new AbortController();
  const end = (): void => over.abort();
  const signal = AbortSignal.any([terminal.signal, over.signal]);
  const { log, say, flush } = messagesOf(terminal);
  try {
    const feed = connectTo({ url, token, signal });
    const { history, interval, host } = await feed.status();
    for (
      const [option, fields] of [["by", asked.by], ["where", Object.keys(asked.where)]] as const
    ) {
      const odd = fields.find((field) => !(history.fields as readonly string[]).includes(field));
      if (odd !== undefined) {
        throw badOption(
          option,
          odd,
          `what the watch there tells apart: ${history.fields.join(", ")}`,
        );
      }
    }
    const time = given.time("duration");
    const looked = time ?? interval;
    // Ticks say when a look is over; where none come, it is over all the same.
    const ending = endAfter(signal, look.on === "lines" ? looked + 3 * interval + 2000 : time);
    ending.begin();
    if (look.on === "screen") {
      const session = await openSession({
        feed,
        choice: choiceOf(asked),
        openScreen: look.open,
        signal: ending.signal,
        end,
      });
      say(session.say);
      await session.ended;
      return exitCode.done;
    }
    const lines = linesOf(asked, history.fields, given, terminal);
    lines.count(feed, { time: looked, end }, log);
    log(`counting drops on ${printable(host)} for ${showDuration(looked)}; Ctrl-C ends it`);
    await new Promise<void>((resolve) => {
      if (ending.signal.aborted) resolve();
      else ending.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    return lines.print();
  } finally {
    end();
    flush();
  }
}

function choiceOf({ by, sort, filters }: Asked): Choice {
  return newChoice({ by: inOrder(by), sort, filters });
}

/** @throws DropwatchError UNKNOWN_REASON. */
function checkReasons(where: Asked["where"], world: ReasonWorld): void {
  const names = new Set(world.reasons.values());
  for (const name of where.reason ?? []) {
    if (!names.has(name)) throw unknownReason(name, nearest(name, names));
  }
}

interface Lines {
  /** Begins to count, and ends with the tick that makes the time whole, in milliseconds. */
  count(
    feed: Feed,
    until: { readonly time: number; readonly end: () => void },
    log?: (message: string) => void,
  ): void;
  /** Returns the exit code: to have counted nothing isn't to have seen no drop. */
  print(): number;
}

/** One look: counts what comes, and prints it at the end. */
function linesOf(
  asked: Asked,
  fields: readonly FieldName[],
  given: Given,
  terminal: Terminal,
): Lines {
  const json = given.flag("json");
  const limit = given.number("limit", 1, mostRows) ?? (json ? mostRows : defaultLimit);
  const counted = newCounted(fields);
  let why = "it ended before the first tick";
  return {
    count(feed, until, log) {
      feed.subscribe((event) => {
        if (event.event === "cut") {
          why = `nothing comes from there: ${event.data.why}`;
          log?.(why);
        }
        if (event.event === "missed") {
          log?.("ticks from there were missed: they aren't counted here");
        }
        if (event.event !== "tick") return;
        addTick(counted, event.data);
        why = event.data.gap ?? why;
        // The first tick may be a short one: ticks end at multiples of the interval.
        if ((counted.seconds + counted.gapSeconds) * 1000 >= until.time * 0.99) until.end();
      });
    },
    print() {
      const once = onceOf(counted, { ...asked, reverse: false });
      const lines = json
        ? jsonOnce(once, new Date(counted.at || Date.now()).toISOString(), limit)
        : showOnce(once, asked.by, limit);
      for (const line of lines) terminal.out(line);
      if (once.summary.seconds > 0) return exitCode.done;
      terminal.log(`nothing was counted: ${why}`);
      return exitCode.source;
    },
  };
}

/** Messages while the screen is open: the last one is shown on it, all of them come afterwards. */
function messagesOf(terminal: Terminal): {
  log(message: string): void;
  /** The screen is open: `show` shows a message on it. */
  say(show: (message: string) => void): void;
  /** The screen is closed. */
  flush(): void;
} {
  const kept: string[] = [];
  let left = 0;
  let show: ((message: string) => void) | undefined;
  return {
    log(message) {
      // Where standard error goes to a file, it doesn't disturb the screen.
      if (show === undefined || terminal.status === undefined) terminal.log(message);
      else if (kept.length < mostMessages) kept.push(message);
      else left++;
      show?.(message.split("\n", 1)[0]!);
    },
    say: (given) => void (show = given),
    flush() {
      show = undefined;
      for (const message of kept.splice(0)) terminal.log(message);
      if (left > 0) terminal.log(`${plural(left, "more message")} left out here`);
    },
  };
}

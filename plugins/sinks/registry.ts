// The kinds of sinks there are, and how one is made of a word of the command line (`--sink stdout`,
// `--sink webhook=URL`) or of what a config says. A new sink is a file that exports its kind, and a
// line here.
import type { Notification } from "../../core/alert/notification.ts";
import type { Sink } from "../../core/alert/sink.ts";
import { ownText, textOf } from "../../core/alert/text.ts";
import type { NotificationText } from "../../core/alert/text.ts";
import { badSinkOption, reasonOf, unknownSink } from "../../core/error.ts";
import { nearest } from "../../core/nearest.ts";
import { alertmanager } from "./alertmanager.ts";
import { heartbeat } from "./heartbeat.ts";
import { readOptions } from "./kind.ts";
import { makeSecrets } from "../secret.ts";
import type { CommonOptions, SinkContext, SinkKind, SinkMaker, SinkSpec } from "./kind.ts";
import { ntfy } from "./ntfy.ts";
import { pagerduty } from "./pagerduty.ts";
import { telegram } from "./telegram.ts";
import { discord } from "./discord.ts";
import { slack } from "./slack.ts";
import { teams } from "./teams.ts";
import { email } from "./email.ts";
import { exec } from "./exec.ts";
import { file } from "./file.ts";
import { loki } from "./loki.ts";
import { otlp } from "./otlp.ts";
import { stdout } from "./stdout.ts";
import { syslog } from "./syslog.ts";
import { webhook } from "./webhook.ts";

/** What all sinks of a run are made with. */
export type SinkSetting =
  & Pick<SinkContext, "json" | "colour" | "out" | "log" | "env">
  & Partial<Pick<SinkContext, "trace" | "now" | "host">>
  & {
    /** Is told of each secret that stands in the config itself: `url`, of `chat`. */
    readonly inTheClear?: (option: string, sink: string) => void;
  };

const makers = [
  stdout,
  file,
  webhook,
  exec,
  syslog,
  otlp,
  loki,
  email,
  slack,
  teams,
  discord,
  telegram,
  ntfy,
  pagerduty,
  alertmanager,
  heartbeat,
] as unknown as SinkMaker<never>[];

/** All kinds, by their names. */
export const sinkMakers: { readonly [name: string]: SinkMaker<never> } = Object.fromEntries(
  makers.map((maker) => [maker.of.name, maker]),
);

/** How each is written on the command line: `stdout`, `webhook=URL`. */
export const sinkUsages: readonly string[] = Object.values(sinkMakers)
  .filter(({ of }) => of.fromWord !== undefined)
  .map(({ of: { name, value } }) => value === undefined ? name : `${name}=${value}`);

/**
 * What a config's sink is, without making it: its name, its sort and its text. A sink of the config's own
 * is known by its methods.
 */
export function describeSink(given: string | Sink | SinkSpec): SinkDescription {
  if (typeof given !== "string" && !("kind" in given)) {
    const sort = "send" in given
      ? "changes"
      : "notify" in given
      ? "groups"
      : "mirror" in given
      ? "mirror"
      : "heartbeat";
    const sendResolved = "notify" in given ? given.sendResolved : undefined;
    return { name: given.name, sort, sendResolved, text: textOf };
  }
  const kindName = typeof given === "string" ? given.split("=", 1)[0]! : given.kind;
  const kind = kindOf(kindName);
  const { name = kindName, text, sendResolved }: CommonOptions = typeof given === "string"
    ? {}
    : given.options ?? {};
  return {
    name,
    sort: kind.sort,
    sendResolved,
    text: (notification) =>
      text === undefined ? textOf(notification) : ownText(notification, text(notification)),
  };
}

/** Names of which no two are the same: the second `webhook` is `webhook-2`, unless another one is called so. */
export function distinctNames(names: readonly string[]): string[] {
  const taken = new Set(names);
  const given = new Set<string>();
  return names.map((name) => {
    let own = name;
    for (let n = 2; given.has(own) || (own !== name && taken.has(own)); n++) own = `${name}-${n}`;
    given.add(own);
    return own;
  });
}

export interface SinkDescription extends Pick<SinkKind<never>, "name" | "sort"> {
  readonly sendResolved: boolean | undefined;
  readonly text: (notification: Notification) => NotificationText;
}

/**
 * Checks what a word or a config's options say, as far as that can be said without secrets.
 *
 * @throws DropwatchError UNKNOWN_SINK, UNKNOWN_SINK_OPTION, BAD_SINK_OPTION.
 */
export function checkSink(given: string | Sink | SinkSpec, env: SinkSetting["env"]): void {
  if (typeof given === "string") {
    const [kind, options] = ofWord(given, env);
    readOptions(kind, options);
  } else if ("kind" in given) readOptions(kindOf(given.kind), given.options);
}

function kindOf(name: string): SinkKind<never> {
  const kind = Object.hasOwn(sinkMakers, name) ? sinkMakers[name]!.of : undefined;
  if (kind === undefined) throw noKind(name, Object.keys(sinkMakers));
  return kind;
}

function ofWord(word: string, env: SinkSetting["env"]): [SinkKind<never>, never] {
  const [name = ""] = word.split("=", 1);
  const kind = Object.hasOwn(sinkMakers, name) ? sinkMakers[name]!.of : undefined;
  if (kind?.fromWord === undefined) throw noKind(name, sinkUsages);
  return [kind, kind.fromWord(word.slice(name.length + 1), env)];
}

function noKind(name: string, known: readonly string[]): Error {
  return unknownSink(name, known, nearest(name, Object.keys(sinkMakers)));
}

/**
 * Makes the sink that a word stands for.
 *
 * @throws DropwatchError UNKNOWN_SINK, BAD_SINK_OPTION.
 */
export function makeSink(word: string, setting: SinkSetting): Sink {
  const [kind, options] = ofWord(word, setting.env);
  // A shell's history has what is in a word anyway.
  return makeOfKind(kind, options, { ...setting, inTheClear: () => {} });
}

/**
 * Makes the sink that a config describes.
 *
 * @throws DropwatchError UNKNOWN_SINK, UNKNOWN_SINK_OPTION, BAD_SINK_OPTION.
 */
export function makeSinkOf({ kind: name, options }: SinkSpec, setting: SinkSetting): Sink {
  return makeOfKind(kindOf(name), options as never, setting);
}

function makeOfKind<Options extends object>(
  kind: SinkKind<Options>,
  given: Options,
  setting: SinkSetting,
): Sink {
  const options = readOptions(kind, given);
  const { rate = kind.rate, sendResolved, text, name = kind.name } = options as CommonOptions;
  const secrets = makeSecrets(
    kind.name,
    setting.env,
    (option) => setting.inTheClear?.(option, name),
  );
  const { hide } = secrets;
  const { trace, host = "" } = setting;
  const sink = kind.make(options, {
    name,
    json: setting.json,
    colour: setting.colour,
    out: setting.out,
    env: setting.env,
    host,
    now: setting.now ?? Date.now,
    log: (line) => setting.log(hide(line)),
    ...secrets,
    text: (notification) => textFor(notification, text, name, setting.log, host),
    trace: trace === undefined ? undefined : (direction, lines) => trace(direction, hide(lines)),
  });
  return Object.assign(
    sink,
    { name },
    rate === undefined ? {} : { rate },
    sendResolved === undefined ? {} : { sendResolved },
  );
}

/** The text of the config, or the default one where it fails. */
function textFor(
  notification: Notification,
  own: CommonOptions["text"],
  name: string,
  log: (text: string) => void,
  host: string,
): NotificationText {
  if (own === undefined) return textOf(notification, host);
  try {
    const made = own(notification);
    if (typeof made === "string" || typeof made?.title === "string") {
      return ownText(notification, made);
    }
    throw badSinkOption(name, "its text returns no text");
  } catch (thrown) {
    log(`${name}: the text of the config failed (${reasonOf(thrown)}): the default one is sent`);
    return textOf(notification, host);
  }
}

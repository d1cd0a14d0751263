// The kinds of sinks there are, and how one is made of a word of the command line (`--sink stdout`,
// `--sink webhook=URL`) or of what a config says. A new sink is a file that exports its kind, and a
// line here.
import type { Notification } from "../../core/alert/notification.ts";
import type { Sink } from "../../core/alert/sink.ts";
import { ownText, textOf } from "../../core/alert/text.ts";
import type { NotificationText } from "../../core/alert/text.ts";
import { badSinkOption, reasonOf, unknownSink } from "../../core/error.ts";
import { alertmanager } from "./alertmanager.ts";
import { heartbeat } from "./heartbeat.ts";
import { readOptions, readSecret } from "./kind.ts";
import type { CommonOptions, Secret, SinkContext, SinkKind, SinkMaker, SinkSpec } from "./kind.ts";
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
  & Partial<Pick<SinkContext, "trace" | "now">>
  & {
    /** Whether secrets in the clear are warned about. */
    readonly warn?: boolean;
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
  const kind = sinkMakers[kindName]?.of;
  if (kind === undefined) throw unknownSink(kindName, Object.keys(sinkMakers));
  const { name = kindName, text, sendResolved }: CommonOptions = typeof given === "string"
    ? {}
    : given.options;
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
 * Makes the sink that a word stands for.
 *
 * @throws DropwatchError UNKNOWN_SINK, BAD_SINK_OPTION.
 */
export function makeSink(word: string, setting: SinkSetting): Sink {
  const [name = ""] = word.split("=", 1);
  const kind = sinkMakers[name]?.of;
  if (kind?.fromWord === undefined) throw unknownSink(name, sinkUsages);
  return makeOfKind(kind, kind.fromWord(word.slice(name.length + 1), setting.env), setting);
}

/**
 * Makes the sink that a config describes.
 *
 * @throws DropwatchError UNKNOWN_SINK, UNKNOWN_SINK_OPTION, BAD_SINK_OPTION.
 */
export function makeSinkOf({ kind: name, options }: SinkSpec, setting: SinkSetting): Sink {
  const kind = sinkMakers[name]?.of;
  if (kind === undefined) throw unknownSink(name, Object.keys(sinkMakers));
  return makeOfKind(kind, options as never, setting, setting.warn ?? true);
}

/** How short a secret may be for being hidden: a shorter one is in every second word. */
const leastHidden = 4;

function makeOfKind<Options extends object>(
  kind: SinkKind<Options>,
  given: Options,
  setting: SinkSetting,
  warn = false,
): Sink {
  const options = readOptions(kind, given);
  const { rate = kind.rate, sendResolved, text, name = kind.name } = options as CommonOptions;
  const secrets = new Set<string>();
  const keepSecret = (secret: string): void => {
    if (secret.length < leastHidden) return;
    for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]) {
      secrets.add(form);
    }
  };
  const hide = (line: string): string =>
    [...secrets].sort((a, b) => b.length - a.length)
      .reduce((rest, secret) => rest.replaceAll(secret, "•••"), line);
  const { trace } = setting;
  const sink = kind.make(options, {
    name,
    json: setting.json,
    colour: setting.colour,
    out: setting.out,
    env: setting.env,
    now: setting.now ?? Date.now,
    log: (line) => setting.log(hide(line)),
    secret(option: string, secret: Secret) {
      const read = readSecret(kind.name, option, secret, setting.env);
      if (warn && typeof secret === "string") {
        setting.log(
          `the sink ${name} has its ${option} in the clear: { env: "NAME" } or { file: "PATH" } keeps it ` +
            `out of the config`,
        );
      }
      keepSecret(read);
      return read;
    },
    keepSecret,
    hide,
    text: (notification) => textFor(notification, text, name, setting.log),
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
): NotificationText {
  if (own === undefined) return textOf(notification);
  try {
    const made = own(notification);
    if (typeof made === "string" || typeof made?.title === "string") {
      return ownText(notification, made);
    }
    throw badSinkOption(name, "its text returns no text");
  } catch (thrown) {
    log(`${name}: the text of the config failed (${reasonOf(thrown)}): the default one is sent`);
    return textOf(notification);
  }
}

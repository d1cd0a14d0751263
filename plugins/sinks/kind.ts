// What a kind of sink is: its options, how the command line writes it, and how one is made. A file in
// this folder exports one kind; registry.ts lists them.
import * as v from "valibot";
import type { Notification } from "../../core/alert/notification.ts";
import type { Rate, Sink, SinkSpec } from "../../core/alert/sink.ts";
export type { SinkSpec };
import type { NotificationText, OwnText } from "../../core/alert/text.ts";
import { badSinkOption, unknownSinkOption } from "../../core/error.ts";
import { nearest } from "../../core/nearest.ts";
import { milliseconds } from "../../core/rule/duration.ts";
import type { Duration } from "../../core/rule/duration.ts";
import { SecretSchema } from "../../core/secret.ts";
import type { Secret } from "../../core/secret.ts";
export { SecretSchema };
export type { Secret };

/** What every sink for people can be told. */
export interface CommonOptions {
  /** By what routes call it; the kind's name where it is left out. */
  readonly name?: string;
  /** How much it is sent at most: a burst, refilled at so many a second. */
  readonly rate?: Rate;
  /** The text in place of the default one; what it returns is plain text. */
  readonly text?: (notification: Notification) => OwnText;
  /** Whether it is told of ends, of one alert and of all; true. */
  readonly sendResolved?: boolean;
}

/** What a sink is made with besides its options. */
export interface SinkContext {
  /** By what routes and the log call it. */
  readonly name: string;
  /** Whether results are to be JSON, an object a line (`--json`). */
  readonly json: boolean;
  readonly colour: boolean;
  /** Writes a line to standard output. */
  out(text: string): void;
  log(text: string): void;
  /** Milliseconds since 1970. */
  now(): number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The name of the machine that alerts are about; empty where it is of no interest. */
  readonly host: string;
  /**
   * Reads a secret, without the white space at its end. It is hidden from then on.
   *
   * @throws DropwatchError BAD_SINK_OPTION where there is none.
   */
  secret(option: string, secret: Secret): string;
  /** Hides a text that secrets were made into. */
  keepSecret(text: string): void;
  /** A text without the secrets of this sink. */
  hide(text: string): string;
  /** What people read of a notification: the default text, or what the config makes of it. */
  text(notification: Notification): NotificationText;
  /** What goes out and comes in, for `sink test`: lines without secrets. */
  readonly trace: ((direction: "sent" | "got", lines: string) => void) | undefined;
}

/** A kind of sink. */
export interface SinkKind<Options extends object> {
  readonly name: string;
  /** One line for the help and the docs. */
  readonly doc: string;
  /** What it gets: every change of an alert, groups for people, all alerts, or signs of life. */
  readonly sort: "changes" | "groups" | "mirror" | "heartbeat";
  /** What stands behind `--sink name=`; absent where nothing does. */
  readonly value?: string;
  /** The options beside the common ones: a schema for each, whose message says what it may be. */
  readonly options: { readonly [K in keyof Required<Options>]: v.GenericSchema<unknown> };
  /** How much the receiver takes, where that is known. */
  readonly rate?: Rate;
  /** The options that `--sink name=VALUE` stands for; undefined where it can't be written so. */
  fromWord?(value: string, env: SinkContext["env"]): Options;
  make(options: Options, context: SinkContext): Sink;
}

/** Makes sinks of a kind in a config: `slack({ url: { env: "SLACK_URL" } })`. */
export type SinkMaker<Options extends object> =
  & ((options: Options & CommonOptions) => SinkSpec)
  & { readonly of: SinkKind<Options> };

/** Declares a kind of sink. */
export function sinkKind<Options extends object>(kind: SinkKind<Options>): SinkMaker<Options> {
  return Object.assign(
    (options: Options & CommonOptions): SinkSpec => ({ kind: kind.name, options }),
    { of: kind },
  );
}

/** The schema of how often a sink is to be told what it is told again and again. */
export const everySchema: v.GenericSchema<unknown, Duration> = v.custom<Duration>((every) => {
  if (typeof every !== "string") return false;
  try {
    const ms = milliseconds(every);
    return ms >= 1000 && ms <= 86_400_000;
  } catch {
    return false;
  }
}, "a duration from 1s to 1d");

/** A secret as the command line writes it: `env:NAME`, `file:PATH`, or itself. */
export function secretWord(word: string): Secret {
  if (word.startsWith("env:")) return { env: word.slice(4) };
  if (/^file:(?!\/\/)/.test(word)) return { file: word.slice(5) };
  return word;
}

const commonEntries = {
  name: v.optional(
    v.pipe(
      v.string("a name"),
      v.regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/, "a name of letters, digits, _ and -"),
    ),
  ),
  rate: v.optional(v.strictObject({
    perSecond: v.pipe(v.number("a number"), v.minValue(0.001, "a number above 0")),
    burst: v.pipe(v.number("a number"), v.minValue(1, "1 or more")),
  }, "{ perSecond, burst }")),
  text: v.optional(v.function("a function")),
  sendResolved: v.optional(v.boolean("true or false")),
};

/**
 * Checks the options of a sink.
 *
 * @throws DropwatchError UNKNOWN_SINK_OPTION, BAD_SINK_OPTION.
 */
export function readOptions<Options extends object>(
  kind: SinkKind<Options>,
  options: unknown,
): Options & CommonOptions {
  const entries: v.ObjectEntries = { ...kind.options, ...commonEntries };
  if (typeof options !== "object" || options === null) {
    throw badSinkOption(kind.name, "it needs its options as an object");
  }
  const odd = Object.keys(options).find((key) => !Object.hasOwn(entries, key));
  if (odd !== undefined) {
    throw unknownSinkOption(kind.name, odd, nearest(odd, Object.keys(entries)));
  }
  const result = v.safeParse(v.object(entries), options);
  if (result.success) return result.output as Options & CommonOptions;
  const [issue] = result.issues;
  const path = v.getDotPath(issue) ?? "";
  // The value may be a secret that stands in the wrong place: it isn't shown.
  const what = issue.input === undefined ? "is missing" : "can't be used";
  throw badSinkOption(kind.name, `its ${path} ${what}: expected ${issue.message}`);
}

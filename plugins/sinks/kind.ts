// What a kind of sink is: its options, how the command line writes it, and how one is made. A file in
// this folder exports one kind; registry.ts lists them.
import * as v from "valibot";
import type { Notification } from "../../core/alert/notification.ts";
import type { Rate, Sink, SinkSpec } from "../../core/alert/sink.ts";
export type { SinkSpec };
import type { NotificationText, OwnText } from "../../core/alert/text.ts";
import type { Traced } from "../http.ts";
import { checkOptions, nameSchema } from "../option.ts";
import type { Environment, Secrets } from "../secret.ts";

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
export interface SinkContext extends Secrets, Traced {
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
  readonly env: Environment;
  /** The name of the machine that alerts are about; empty where it is of no interest. */
  readonly host: string;
  /** What people read of a notification: the default text, or what the config makes of it. */
  text(notification: Notification): NotificationText;
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

const commonEntries = {
  name: v.optional(nameSchema),
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
  const entries = { ...kind.options, ...commonEntries };
  return checkOptions(kind.name, entries, options) as Options & CommonOptions;
}

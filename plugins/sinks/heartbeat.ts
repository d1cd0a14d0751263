// A dead man's switch: a URL that is called as long as all is well. Whoever listens there (Healthchecks,
// Dead Man's Snitch, Uptime Kuma, Better Stack, Alertmanager's own Watchdog receivers) cries when it
// isn't called any more, and that is the only alert that still comes when this machine is gone.
import * as v from "valibot";
import { DeliveryError } from "../../core/alert/sink.ts";
import type { HeartbeatSink } from "../../core/alert/sink.ts";
import { milliseconds } from "../../core/rule/duration.ts";
import type { Duration } from "../../core/rule/duration.ts";
import { httpUrl, request } from "../http.ts";
import { SecretSchema } from "../../core/secret.ts";
import { secretWord } from "../secret.ts";
import { everySchema } from "../option.ts";
import { sinkKind } from "./kind.ts";
import type { Secret } from "../../core/secret.ts";
import type { SinkContext, SinkMaker } from "./kind.ts";

export interface HeartbeatOptions {
  /** Who knows it can keep the switch quiet: it is a secret. */
  readonly url: Secret;
  /** How often it is called; 1m. */
  readonly every?: Duration;
  /** GET without it. */
  readonly method?: "GET" | "POST" | "HEAD";
}

/** Calls a URL while all is well. */
export const heartbeat: SinkMaker<HeartbeatOptions> = sinkKind<HeartbeatOptions>({
  name: "heartbeat",
  doc: "calls a URL every minute while all is well: a dead man's switch",
  sort: "heartbeat",
  value: "URL",
  options: {
    url: SecretSchema,
    every: v.optional(everySchema),
    method: v.optional(v.picklist(["GET", "POST", "HEAD"], "GET, POST or HEAD")),
  },
  fromWord: (value) => ({ url: secretWord(value) }),
  make: heartbeatSink,
});

/**
 * A sink that is called while all is well. There is no call for the case that it isn't: who can still
 * make one has other sinks.
 *
 * @throws DropwatchError BAD_SINK_OPTION for what is no http(s) URL.
 */
export function heartbeatSink(options: HeartbeatOptions, context: SinkContext): HeartbeatSink {
  const { method = "GET" } = options;
  const url = httpUrl("heartbeat", context.secret("url", options.url));
  return {
    name: context.name,
    every: milliseconds(options.every ?? "1m"),
    async beat({ signal }) {
      try {
        const { status } = await request({ url, method, signal, again: () => true }, context);
        return { answer: String(status) };
      } catch (thrown) {
        // Also after 410: to stop calling is what the switch is to cry about, not what it asks for.
        if (!(thrown instanceof DeliveryError) || !thrown.gone) throw thrown;
        throw new DeliveryError(thrown.message);
      }
    },
  };
}

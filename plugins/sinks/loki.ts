// Alerts in Grafana Loki, by its push interface: a stream for each alert's name and severity, and the
// whole alert as a line of JSON, which `| json` takes apart.
import { hostname } from "node:os";
import * as v from "valibot";
import { fitLine } from "../../core/alert/fit.ts";
import { shortenBytes } from "../../core/alert/shorten.ts";
import type { AlertSink } from "../../core/alert/sink.ts";
import { badSinkOption, jsonLine } from "../../core/error.ts";
import { basicAuthorization, receiverUrl, request } from "../http.ts";
import { SecretSchema } from "../../core/secret.ts";
import { secretWord } from "../secret.ts";
import { sinkKind } from "./kind.ts";
import type { Secret } from "../../core/secret.ts";
import type { SinkContext, SinkMaker } from "./kind.ts";

export interface LokiOptions {
  /** `http://host:3100`, or with a path where it isn't `/loki/api/v1/push`. */
  readonly url: Secret;
  /** With `password`, or `token` alone. */
  readonly user?: Secret;
  readonly password?: Secret;
  readonly token?: Secret;
  /** The header X-Scope-OrgID. */
  readonly tenant?: string;
  /** Further labels of the streams: few, and the same for all alerts. */
  readonly labels?: Readonly<Record<string, string>>;
}

/**
 * Loki's defaults (limits_config): max_line_size, max_label_value_length, and 15 label names a stream,
 * of which four are ours and one is made by Loki (service_name).
 */
const most = { line: 256 * 1024, value: 2048, labels: 10 };

const ours: readonly string[] = ["job", "alertname", "severity", "host"];

/** Pushes alerts to Loki. */
export const loki: SinkMaker<LokiOptions> = sinkKind<LokiOptions>({
  name: "loki",
  sort: "changes",
  doc: "pushes alerts to Grafana Loki",
  value: "URL",
  options: {
    url: SecretSchema,
    user: v.optional(SecretSchema),
    password: v.optional(SecretSchema),
    token: v.optional(SecretSchema),
    // What Loki takes as a tenant, and `|` between several.
    tenant: v.optional(
      v.pipe(v.string("a tenant"), v.regex(/^[A-Za-z0-9!_.*'()|-]{1,150}$/, "a tenant's id")),
    ),
    labels: v.optional(
      v.pipe(
        v.record(
          v.pipe(v.string("a name"), v.regex(/^[a-zA-Z_][a-zA-Z0-9_]{0,99}$/, "a label's name")),
          v.string("a text"),
          "{ name: text }",
        ),
        v.check((labels) => Object.keys(labels).length <= most.labels, "ten labels or fewer"),
        v.check(
          (labels) => ours.every((name) => !Object.hasOwn(labels, name)),
          `other labels than ${ours.join(", ")}`,
        ),
      ),
    ),
  },
  fromWord: (value) => ({ url: secretWord(value) }),
  make: lokiSink,
});

/**
 * A sink that pushes to Loki.
 *
 * @throws DropwatchError BAD_SINK_OPTION for a user without a password, or two ways of logging in.
 */
export function lokiSink(options: LokiOptions, context: SinkContext): AlertSink {
  const url = receiverUrl("loki", options.url, "/loki/api/v1/push", context);
  const headers = {
    "content-type": "application/json",
    ...authorization(options, context),
    ...(options.tenant === undefined ? {} : { "x-scope-orgid": options.tenant }),
  };
  const host = hostname();
  return {
    name: context.name,
    async send(alert, { signal }) {
      const { alertname = alert.data.alert } = alert.data.labels;
      // No label of `by`: each value of one would be a stream of its own.
      const labels = { job: "dropwatch", host, ...options.labels, alertname };
      const stream = Object.fromEntries(
        Object.entries({ ...labels, severity: alert.data.severity })
          .map(([name, text]) => [name, shortenBytes(text.toWellFormed(), most.value)]),
      );
      const at = `${BigInt(Date.parse(alert.timestamp)) * 1_000_000n}`;
      const body = jsonLine({ streams: [{ stream, values: [[at, fitLine(alert, most.line)]] }] });
      const { status } = await request({ url, headers, body, signal }, context);
      return { answer: String(status) };
    },
  };
}

function authorization(
  { user, password, token }: LokiOptions,
  context: SinkContext,
): Record<string, string> {
  if (token !== undefined && (user !== undefined || password !== undefined)) {
    throw badSinkOption("loki", "it takes a token, or a user and a password, not both");
  }
  if ((user === undefined) !== (password === undefined)) {
    throw badSinkOption("loki", "it needs a user and a password, or neither");
  }
  if (token !== undefined) {
    const read = context.secret("token", token);
    if (!/^[\x21-\x7e]+$/.test(read)) {
      throw badSinkOption("loki", "its token has characters that no token has");
    }
    return { authorization: `Bearer ${read}` };
  }
  if (user === undefined || password === undefined) return {};
  // A user's name alone is no secret.
  const name = typeof user === "string" ? user : context.secret("user", user);
  return basicAuthorization(name, context.secret("password", password), context);
}

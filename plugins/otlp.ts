// OTLP 1.x over HTTP, in its JSON: what logs and metrics have in common. Names of fields and the meaning of
// answers are those of https://opentelemetry.io/docs/specs/otlp/.
import { hostname } from "node:os";
import * as v from "valibot";
import { shorten } from "../core/alert/shorten.ts";
import { DeliveryError } from "../core/alert/sink.ts";
import { jsonLine, printable } from "../core/error.ts";
import { version } from "../core/version.ts";
import { readHeaders, receiverUrl, request } from "./http.ts";
import type { Traced } from "./http.ts";
import { SecretSchema } from "../core/secret.ts";
import type { Secret } from "../core/secret.ts";
import type { Secrets } from "./secret.ts";

export interface OtlpOptions {
  /** `http://host:4318`, or with a path where it isn't that of the signal, such as `/v1/logs`. */
  readonly url: Secret;
  /** Further headers: what lets us in. */
  readonly headers?: Readonly<Record<string, Secret>>;
  /** Further attributes of the resource: `{ "deployment.environment.name": "prod" }`. */
  readonly resource?: Readonly<Record<string, string>>;
}

/** The schemas of these options. */
export const otlpEntries: { readonly [K in keyof Required<OtlpOptions>]: v.GenericSchema } = {
  url: SecretSchema,
  headers: v.optional(v.record(v.string("a name"), SecretSchema, "{ name: secret }")),
  resource: v.optional(v.record(v.string("a name"), v.string("a text"), "{ name: text }")),
};

/** An AnyValue of OTLP: integers of 64 bits are texts in its JSON, and so is what JSON has no number for. */
export type Value =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  | { readonly intValue: string }
  | { readonly doubleValue: number }
  | { readonly arrayValue: { readonly values: readonly Value[] } };

export interface Attribute {
  readonly key: string;
  readonly value: Value;
}

/** The protocol has no limit for a text, but a receiver may. */
export const longestText = 8192;

export function attribute(
  key: string,
  value: string | number | boolean | readonly string[],
): Attribute {
  return { key: shorten(key.toWellFormed(), 256), value: valueOf(value) };
}

function valueOf(value: string | number | boolean | readonly string[]): Value {
  if (typeof value === "string") return { stringValue: shorten(value.toWellFormed(), longestText) };
  if (typeof value === "boolean") return { boolValue: value };
  if (typeof value !== "number") return { arrayValue: { values: value.map(valueOf) } };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

/** Milliseconds since 1970 as a fixed64 of nanoseconds. */
export const nanoseconds = (ms: number): string => `${BigInt(Math.round(ms)) * 1_000_000n}`;

/** What sends: this program on this machine, and what else the config says of it. */
export function resourceOf(
  ...more: readonly (Readonly<Record<string, string>> | undefined)[]
): { readonly attributes: readonly Attribute[] } {
  const all: Record<string, string> = Object.assign({
    "service.name": "dropwatch",
    "service.version": version,
    "host.name": hostname(),
  }, ...more);
  return { attributes: Object.entries(all).map(([key, text]) => attribute(key, text)) };
}

/**
 * Makes what posts requests of a signal; it returns the status of a good answer.
 *
 * @throws DropwatchError BAD_SINK_OPTION.
 */
export function otlpPost(
  options: OtlpOptions,
  { path, rejected }: { readonly path: string; readonly rejected: string },
  context: Secrets & Traced,
): (body: object, signal: AbortSignal) => Promise<number> {
  const url = receiverUrl("otlp", options.url, path, context);
  const headers = {
    ...readHeaders("otlp", options.headers ?? {}, context),
    "content-type": "application/json",
  };
  return async (body, signal) => {
    const { status, text } = await request({
      url,
      headers,
      body: jsonLine(body),
      signal,
      wantsText: true,
      again: (status) => [429, 502, 503, 504].includes(status),
    }, context);
    const refused = refusal(text, rejected);
    if (refused !== undefined) {
      throw new DeliveryError(`refused: ${context.hide(refused)}`, { final: true });
    }
    return status;
  };
}

/** Why the receiver took the request but not all that is in it; undefined where it took it. */
function refusal(answer: string, rejected: string): string | undefined {
  let partial: Readonly<Record<string, unknown>> | null | undefined;
  try {
    partial = JSON.parse(answer)?.partialSuccess;
  } catch {
    return undefined; // 200 is what counts; some answer without a body.
  }
  if (!(Number(partial?.[rejected] ?? 0) > 0)) return undefined;
  const why = partial?.["errorMessage"];
  return typeof why === "string" && why !== "" ? printable(why.slice(0, 200)) : "no reason given";
}
